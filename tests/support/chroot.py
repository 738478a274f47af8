"""A root file system that is spoiled and forgotten: an overlay over another, entered by chroot."""

import os
import pathlib
import shutil
import subprocess

from support import server as program

ENVIRONMENT = {"PATH": "/usr/sbin:/usr/bin:/sbin:/bin", "DEBIAN_FRONTEND": "noninteractive",
               "LC_ALL": "C", "HOME": "/root"}


def sh(*command, expect=0, **options):
    done = subprocess.run(list(map(str, command)), capture_output=True, text=True, timeout=900,
                          check=False, **options)
    assert expect is None or done.returncode == expect, f"{command}: {done.stdout}{done.stderr}"
    return done.stdout


def forget(base):
    """Nothing outside of it goes, even if something of this machine is still mounted below."""
    subprocess.run(["umount", "-R", "-l", base / "root"], capture_output=True, check=False)
    subprocess.run(["rm", "-rf", "--one-file-system", base], check=False)


class Root:
    """`lower` as it is, and changes in memory, or below `upper` on its disk."""

    def __init__(self, lower="/", upper=None):
        self.base = pathlib.Path(upper) if upper else program.temp_dir()
        self.in_memory = not upper
        if upper:
            forget(self.base)
        else:
            sh("mount", "-t", "tmpfs", "none", self.base)
        for name in ("upper", "work", "root"):
            (self.base / name).mkdir(parents=True)
        self.path = self.base / "root"
        layers = f"lowerdir={lower},upperdir={self.base}/upper,workdir={self.base}/work"
        sh("mount", "-t", "overlay", "overlay", "-o", layers, self.path)
        for name in ("dev", "proc"):
            sh("mount", "--rbind", f"/{name}", self.path / name)
            sh("mount", "--make-rslave", self.path / name)
        (self.path / "tmp").mkdir(exist_ok=True)

    def run(self, *command, expect=0):
        return sh("chroot", self.path, *command, expect=expect, env=ENVIRONMENT)

    def install(self, *packages):
        """Files of packages, in one go, as who upgrades does."""
        for package in packages:
            shutil.copy(package, self.path / "tmp")
        self.run("dpkg", "--force-unsafe-io", "-i",
                 *(f"/tmp/{os.path.basename(package)}" for package in packages))

    def version(self, package):
        return self.run("dpkg-query", "-W", "-f", "${Version} ${db:Status-Status}", package)

    def close(self):
        if self.in_memory:
            subprocess.run(["umount", "-R", "-l", self.path], check=False)
            subprocess.run(["umount", "-l", self.base], check=False)
            self.base.rmdir()
        else:
            forget(self.base)
