"""The ceilings: servers that read the request, answer 204 and keep nothing."""

import os
import pathlib
import shutil
import subprocess

from servers import Server, wait_for_answer

HERE = pathlib.Path(__file__).parent


def start_nginx(server, prefix, template, values):
    """nginx, from a template of its configuration with @NAMES@ in it."""
    (prefix / "tmp").mkdir(parents=True)
    text = (HERE / template).read_text()
    for name, value in {"PORT": server.port, "WORKERS": os.cpu_count(), **values}.items():
        text = text.replace(f"@{name}@", str(value))
    (prefix / "nginx.conf").write_text(text)
    binary = shutil.which("nginx") or "/usr/sbin/nginx"
    process = server.launch(binary, "-e", "stderr", "-p", f"{prefix}/", "-c", "nginx.conf")
    wait_for_answer(server.port, process)


class Nginx(Server):
    name = "nginx return 204"

    def __init__(self, prefix):
        super().__init__()
        self.prefix = prefix

    def start(self):
        start_nginx(self, self.prefix, "nginx.conf", {})


class Floor(Server):
    """bench/floor.c."""

    name = "kernel floor"

    def __init__(self, binary):
        super().__init__()
        self.binary = binary

    def start(self):
        process = self.launch(self.binary, self.port, os.cpu_count(), stdout=subprocess.DEVNULL)
        wait_for_answer(self.port, process)
