"""fresh.py [--anew]: from a fresh Debian 12 to the first counted conversion, by the two commands of
the README.

The Debian is one of debootstrap's below build-fresh/, with git and nothing else. The first time,
and with --anew, the two commands run twice: what they download is what the second time finds in the
caches of apt and npm ("warm packages"). Everything else is forgotten between two runs. Exit status
1: it took longer than three minutes, or counted nothing. What is measured is the last commit.
"""

import os
import pathlib
import re
import shutil
import subprocess
import sys
import time

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1]))

from support import server as program  # noqa: E402  (the path comes first)
from support.chroot import ENVIRONMENT, Root, forget, sh  # noqa: E402

PLACE = program.REPO / "build-fresh"
DEBIAN, BUNDLE = PLACE / "debian", PLACE / "adtally.bundle"
SECONDS_MAX = 180
CACHES = ("var/cache/apt/archives", "root/.npm")
OF_THIS_MACHINE = ("etc/resolv.conf", "usr/local/share/ca-certificates")
LINES = re.compile(r"^(?:curl|LOCATION=).*$", re.M)
# The last line of each kind ends a step.
STEPS = (("packages", r"(Setting up|Processing triggers)"), ("uPlot", r"added \d+ package"),
         ("configured", r"Found ninja"), ("compiled", r"\[(\d+)/\1\]"),
         ("ready", r"Ctrl-C stops the server"))


def make_debian():
    forget(PLACE / "run")
    forget(PLACE)
    PLACE.mkdir()
    sh("debootstrap", "--variant=minbase", "--include=git", "bookworm", DEBIAN)
    for name in OF_THIS_MACHINE:  # how it reaches the network
        source = pathlib.Path("/") / name
        if source.is_dir():
            shutil.copytree(source, DEBIAN / name, dirs_exist_ok=True)
        elif source.exists():
            shutil.copy(source, DEBIAN / name)


class Run:
    """The two commands in a copy of the Debian: when each step was done, in seconds."""

    def __init__(self):
        self.root = Root(DEBIAN, PLACE / "run")
        shutil.copy(BUNDLE, self.root.path / "srv")
        self.listen = f"127.0.0.1:{program.free_port()}"
        self.began = time.monotonic()
        self.steps, self.text = {}, ""

    def command(self, *command):
        environment = {**ENVIRONMENT, "ADTALLY_LISTEN": self.listen}
        return subprocess.Popen(["chroot", self.root.path, *command], env=environment, text=True,
                                stdin=subprocess.PIPE, stdout=subprocess.PIPE,
                                stderr=subprocess.STDOUT)

    def step(self, name):
        self.steps[name] = time.monotonic() - self.began

    def clone(self):
        done = self.command("git", "clone", "-q", "/srv/adtally.bundle", "/srv/adtally")
        said, _ = done.communicate(timeout=60)
        assert done.returncode == 0, said
        self.step("cloned")

    def run(self):
        server = self.command("/srv/adtally/dev", "run")
        for line in server.stdout:
            self.text += line
            for name, pattern in STEPS:
                if re.match(pattern, line):
                    self.step(name)
            if "ready" in self.steps:
                return server
        raise AssertionError(self.text[-3000:])

    def paste(self):
        """The lines that were printed, up to the first conversion, which has to be counted."""
        lines = "".join(f"{line}\n" for line in LINES.findall(self.text)[:3])
        said, _ = self.command("bash").communicate(lines, timeout=60)
        assert said.splitlines()[-1].replace(" ", "") == '{"status":"ok"}', said
        self.step("counted")

    def whole(self):
        try:
            self.clone()
            server = self.run()
            try:
                self.paste()
            finally:
                server.terminate()
                server.wait(timeout=60)
            return self.steps
        finally:
            self.installed = self.root.run("dpkg-query", "-W").count("\n")
            self.keep_caches()
            self.root.close()

    def keep_caches(self):
        for name in CACHES:
            if (self.root.path / name).exists():
                shutil.copytree(self.root.path / name, DEBIAN / name, dirs_exist_ok=True,
                                symlinks=True)


def main(*arguments):
    if os.geteuid() != 0 or not shutil.which("debootstrap"):
        print("fresh.py: needs root and debootstrap", file=sys.stderr)
        return 2
    warms = "--anew" in arguments or not DEBIAN.exists()
    if warms:
        make_debian()
    sh("git", "-C", program.REPO, "bundle", "create", BUNDLE, "HEAD")
    if warms:
        Run().whole()
    run = Run()
    before = 0.0
    for name, seconds in run.whole().items():
        print(f"{name:12} {seconds - before:6.1f} s {seconds:6.1f} s")
        before = seconds
    print(f"{run.installed} packages are installed; load {os.getloadavg()[1]:.1f} on "
          f"{os.cpu_count()} cores")
    return 0 if before <= SECONDS_MAX else 1


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
