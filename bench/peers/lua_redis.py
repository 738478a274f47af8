"""nginx with Lua in front of a Redis that syncs every write: the usual home-made tracker."""

import os
import pathlib
import shutil
import subprocess
import tempfile

from peers.plain import start_nginx
from servers import Server

HERE = pathlib.Path(__file__).parent


class LuaRedis(Server):
    name = "nginx + Lua + Redis"

    def __init__(self, prefix, load):
        super().__init__()
        self.prefix, self.load = prefix, load
        self.sockets = None

    def start(self):
        self.prefix.mkdir(parents=True)
        self.sockets = tempfile.mkdtemp(prefix="adtally-bench-")
        os.chmod(self.sockets, 0o755)  # nginx that was started by root is somebody else
        self.start_redis()
        start_nginx(self, self.prefix / "nginx", "lua_redis.conf",
                    {"HERE": HERE, "KEY": self.load.partner_key, "SOCKET": self.socket()})

    def socket(self):
        return f"{self.sockets}/redis"

    def start_redis(self):
        """The clicks are loaded without a sync for each; then every write has one."""
        self.launch(shutil.which("redis-server"), "--port", 0, "--unixsocket", self.socket(),
                    "--unixsocketperm", 777,
                    "--dir", self.prefix, "--appendonly", "yes", "--appendfsync", "no",
                    "--save", "", "--auto-aof-rewrite-percentage", 0, stdout=subprocess.DEVNULL)
        while subprocess.run(["redis-cli", "-s", self.socket(), "ping"], check=False,
                             stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL).returncode != 0:
            if self.processes[0].poll() is not None:
                raise SystemExit("bench: Redis did not start")
        self.load_clicks()
        self.cli("config", "set", "appendfsync", "always")

    def cli(self, *arguments):
        run = subprocess.run(["redis-cli", "-s", self.socket(), *arguments], text=True, check=True,
                             stdout=subprocess.PIPE)
        return run.stdout.strip()

    def load_clicks(self):
        with subprocess.Popen(["redis-cli", "-s", self.socket(), "--pipe"], text=True,
                              stdin=subprocess.PIPE, stdout=subprocess.DEVNULL) as pipe:
            with open(self.load.clicks_file(), encoding="ascii") as ids:
                for line in ids:
                    pipe.stdin.write(f"SET click:{line.rstrip()} bid\r\n")
            pipe.stdin.close()

    def rows(self):
        return int(self.cli("xlen", "conversions"))

    def stop(self, *by):
        super().stop(*by)
        if self.sockets:
            shutil.rmtree(self.sockets, ignore_errors=True)
