"""What a team would write: an application in one of the usual frameworks, with a worker per core,
in front of PostgreSQL."""

import os
import pathlib
import shutil
import subprocess

from peers.postgres import Behind
from servers import wait_for_answer

HERE = pathlib.Path(__file__).parent
NPM_HOME = HERE / "fastify"


class FastApi(Behind):
    """On uvicorn, with asyncpg. `statements`: "two" in a transaction, or "one"."""

    def __init__(self, data, load, statements):
        super().__init__(data, load)
        self.statements = statements
        self.name = f"FastAPI + asyncpg, {statements} st."

    def start_application(self):
        process = self.launch(
            "/usr/bin/python3", "-m", "uvicorn", "app:app", "--app-dir", HERE / "fastapi",
            "--host", "127.0.0.1", "--port", self.port, "--workers", os.cpu_count(),
            "--loop", "uvloop", "--http", "httptools", "--no-access-log", "--log-level", "warning",
            env={**self.environment(), "BENCH_STATEMENTS": self.statements})
        wait_for_answer(self.port, process)


class Fastify(Behind):
    """With pg, one statement. Its packages come from npm, pinned by its lock file."""

    name = "Fastify + pg"

    def start_application(self):
        process = self.launch(shutil.which("node"), NPM_HOME / "server.js", self.port,
                              os.cpu_count(), env=self.environment())
        wait_for_answer(self.port, process)


def install_fastify():
    """Whether it can run here."""
    installed = NPM_HOME / "node_modules" / "fastify"
    if not installed.is_dir() and shutil.which("npm"):
        subprocess.run(["npm", "ci", "--prefix", NPM_HOME, "--no-audit", "--no-fund"],
                       stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, check=False)
    return installed.is_dir() and shutil.which("node") is not None
