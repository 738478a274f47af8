"""HAProxy in front of several nodes: what never reached a node goes to another one, what may have
been recorded is for the client to repeat."""

import pathlib
import shutil
import signal
import subprocess

import pytest

from support import server as program

BINARY = pathlib.Path("/usr/sbin/haproxy")
CONFIG = """global
    tune.bufsize 32768
defaults
    mode http
    timeout connect 2s
    timeout client 30s
    timeout server 30s
    option redispatch 1
    retries 3
    retry-on conn-failure
frontend ads
    bind 127.0.0.1:{port}
    default_backend nodes
backend nodes
    balance roundrobin
    option httpchk
    http-check send meth GET uri /health ver HTTP/1.1 hdr Host adtally
    http-check expect status 200
    default-server check inter 200ms fall 2 rise 1
{servers}
"""


class Haproxy:
    def __init__(self, hosts):
        if not BINARY.exists():
            pytest.skip("needs haproxy")
        self.port, self.folder = program.free_port(), program.temp_dir()
        servers = "\n".join(f"    server node{n} {host}" for n, host in enumerate(hosts))
        path = self.folder / "conf"
        path.write_text(CONFIG.format(port=self.port, servers=servers))
        with open(self.folder / "log", "wb") as log:
            self.process = subprocess.Popen([BINARY, "-db", "-f", path], stdout=log, stderr=log)
        if not program.await_listening(self.process, self.port):
            raise AssertionError((self.folder / "log").read_text())

    def close(self):
        self.process.send_signal(signal.SIGKILL)
        self.process.wait()
        shutil.rmtree(self.folder, ignore_errors=True)
