"""./dev package: installed, started, upgraded under load, removed and purged, in a copy of this
machine's root file system that forgets everything (an overlay over a tmpfs)."""

import os
import pathlib
import pwd
import re
import shutil
import stat
import subprocess
import time

import pytest

from support import server as program
from support.held import HAND_OVER, HeldServer, Load
from support.world import World

PROXIES = ("Caddyfile", "haproxy.cfg", "nginx.conf")
DOC, CONF, DATA = "usr/share/doc/adtally", "etc/adtally/adtally.conf", "var/lib/adtally"
FILES = ("usr/bin/adtally", CONF, "lib/systemd/system/adtally.service",
         "lib/systemd/system/adtally.socket", *(f"usr/share/man/man{page.name[-1]}/{page.name}.gz"
           for page in (program.REPO / "man").iterdir()),
         "usr/share/bash-completion/completions/adtally",
         "usr/share/zsh/vendor-completions/_adtally",
         "usr/share/fish/vendor_completions.d/adtally.fish",
         *(f"{DOC}/examples/{name}" for name in PROXIES), f"{DOC}/changelog.gz")
WANTED = ("multi-user.target.wants/adtally.service", "sockets.target.wants/adtally.socket")

pytestmark = [
    pytest.mark.skipif(not os.environ.get("ADTALLY_LONG"), reason="runs with ./dev package --test"),
    pytest.mark.skipif(os.geteuid() != 0, reason="needs root to install a package"),
    pytest.mark.skipif(not shutil.which("dh"), reason="needs debhelper"),
    pytest.mark.skipif(not shutil.which("lintian"), reason="needs lintian"),
]


def sh(*command, expect=0, **options):
    done = subprocess.run(list(map(str, command)), capture_output=True, text=True, timeout=900,
                          check=False, **options)
    assert expect is None or done.returncode == expect, f"{command}: {done.stdout}{done.stderr}"
    return done.stdout


@pytest.fixture(scope="module")
def package():
    """The whole of ./dev package, lintian's opinion included."""
    built = sh(program.REPO / "dev", "package")
    return program.REPO / built.splitlines()[-1]


def repacked(package, folder, change):
    """Another package, of the same files but for what change(folder) does."""
    tree, path = folder / "tree", folder / "adtally_next.deb"
    sh("dpkg-deb", "-R", package, tree)
    change(tree)
    sh("dpkg-deb", "--root-owner-group", "-b", tree, path)
    return path


def next_version(tree):
    control = tree / "DEBIAN" / "control"
    control.write_text(re.sub(r"(?m)^Version: (.*)$", r"Version: \1+next", control.read_text()))


class Root:
    """A root file system to spoil."""

    def __init__(self):
        self.base = program.temp_dir()
        sh("mount", "-t", "tmpfs", "none", self.base)
        for name in ("upper", "work", "root"):
            (self.base / name).mkdir()
        self.path = self.base / "root"
        layers = f"lowerdir=/,upperdir={self.base}/upper,workdir={self.base}/work"
        sh("mount", "-t", "overlay", "overlay", "-o", layers, self.path)
        for name in ("dev", "proc"):
            sh("mount", "--rbind", f"/{name}", self.path / name)
            sh("mount", "--make-rslave", self.path / name)
        (self.path / "tmp").mkdir(exist_ok=True)

    def run(self, *command, expect=0):
        environment = {"PATH": "/usr/sbin:/usr/bin:/sbin:/bin", "DEBIAN_FRONTEND": "noninteractive",
                       "LC_ALL": "C"}
        return sh("chroot", self.path, *command, expect=expect, env=environment)

    def install(self, package):
        shutil.copy(package, self.path / "tmp" / "adtally.deb")
        self.run("dpkg", "--force-unsafe-io", "-i", "/tmp/adtally.deb")

    def version(self):
        return self.run("dpkg-query", "-W", "-f", "${Version} ${db:Status-Status}", "adtally")

    def close(self):
        subprocess.run(["umount", "-R", "-l", self.path], check=False)
        subprocess.run(["umount", "-l", self.base], check=False)
        shutil.rmtree(self.base, ignore_errors=True)


@pytest.fixture(scope="module")
def root(package):
    try:
        made = Root()
    except AssertionError as error:
        pytest.skip(f"no overlay here: {error}")
    made.install(package)
    yield made
    made.close()


def unit_command(root):
    """ExecStart of the installed unit, as systemd would run it."""
    unit = (root.path / "lib/systemd/system/adtally.service").read_text()
    line = re.search(r"(?m)^ExecStart=(.*)$", unit)[1].replace("${STATE_DIRECTORY}", f"/{DATA}")
    assert "User=adtally" in unit
    return line.split()


def serving(root):
    """make_server for a World: the package's program as its user, behind a held socket."""
    class Installed(HeldServer):
        def command(self):
            return ["bash", "-c", HAND_OVER, str(self.socket.fileno()), "chroot",
                    "--userspec=adtally:adtally", str(root.path), *unit_command(root)]
    return Installed


@pytest.fixture(scope="module")
def world(root):
    """The first key is made by root, before the first start, as the documentation has it."""
    root.run("adtally", "key", "create", "--class", "admin", "--label", "first", "--data",
             f"/{DATA}")
    made = World(data=root.path / DATA, make_server=serving(root))
    yield made
    made.server.close()


def owner_of(root, path):
    user = re.search(r"(?m)^adtally:x:(\d+):", (root.path / "etc/passwd").read_text())
    return (root.path / path).stat().st_uid == int(user[1])


def test_everything_is_where_it_belongs(root):
    listed = set(root.run("dpkg", "-L", "adtally").splitlines())
    assert {f"/{name}" for name in FILES} <= listed
    assert root.run("dpkg", "--verify", "adtally") == ""
    for link in WANTED:
        assert (root.path / "etc/systemd/system" / link).is_symlink()


def test_its_user_owns_the_data_and_cannot_log_in(root):
    assert owner_of(root, DATA) and stat.S_IMODE((root.path / DATA).stat().st_mode) == 0o700
    line = re.search(r"(?m)^adtally:.*$", (root.path / "etc/passwd").read_text())[0]
    assert line.endswith("/nologin")
    with pytest.raises(KeyError):
        pwd.getpwnam("adtally")


def test_the_manual_page_and_the_version_are_the_programs(root, package):
    version = package.name.split("_")[1]
    assert root.run("adtally", "--version") == f"adtally {version}\n"
    assert version in (program.REPO / "CHANGELOG.md").read_text()
    assert f"version: '{version}'" in (program.REPO / "meson.build").read_text()


def test_systemd_understands_the_installed_units(root):
    said = root.run("systemd-analyze", "verify", "adtally.service", "adtally.socket", expect=None)
    assert "adtally" not in said


def test_lintian_finds_what_is_wrong(package, tmp_path):
    """./dev package fails on a finding; this is one."""
    def spoil(tree):
        (tree / "usr/share/man/man1/adtally.1.gz").unlink()
    spoiled = repacked(package, tmp_path, spoil)
    found = sh("lintian", "--fail-on", "error,warning,info", spoiled, expect=None)
    assert "no-manual-page" in found


def test_what_root_made_is_the_servers(root, world):
    assert all(owner_of(root, path.relative_to(root.path))
               for path in (root.path / DATA).iterdir())
    assert len(program.cli_json("key", "list", "--json", "--data", world.data)) == 3


def test_an_upgrade_under_load_fails_no_request(root, world, package, tmp_path):
    """dpkg unpacks the new version, and then the service is restarted; the socket is held."""
    conf = root.path / CONF
    conf.write_text(conf.read_text() + "rate_limit = 50000\n")
    following = repacked(package, tmp_path, next_version)
    with Load(world) as load:
        time.sleep(0.3)
        root.install(following)
        world.server.stop()
        world.server.start()
        time.sleep(0.3)
    assert root.version().endswith("+next installed")
    assert load.failed == [] and load.stored() == set(load.acked) and len(load.acked) > 20
    assert conf.read_text().endswith("rate_limit = 50000\n")
    assert "rate_limit" not in program.cli("reload", "--data", world.data)


def invoked(root, script):
    """What systemd is asked for, in order: [("start", "'adtally.socket'"), ...]."""
    text = (root.path / "var/lib/dpkg/info" / f"adtally.{script}").read_text()
    asked = re.findall(r"deb-systemd-invoke (\S+) (.*?) >/dev/null", text)
    return [(action, units.replace("'", "")) for action, units in asked]


def test_the_scripts_restart_the_service_and_never_the_socket(root):
    """`$_dh_action` is restart in an upgrade. The socket listens first, and goes first."""
    assert invoked(root, "postinst") == [("start", "adtally.socket"),
                                         ("$_dh_action", "adtally.service")]
    stops = invoked(root, "prerm")
    assert stops[0] == ("stop", "adtally.socket") and ("stop", "adtally.service") in stops
    scripts = root.path / "var/lib/dpkg/info"
    assert "upgrade" not in (scripts / "adtally.prerm").read_text()
    assert not (scripts / "adtally.preinst").exists()


def test_removal_keeps_the_data_and_a_purge_takes_it(root, world):
    world.server.stop()
    root.run("dpkg", "-r", "adtally")
    assert not (root.path / "usr/bin/adtally").exists()
    assert (root.path / CONF).exists() and (root.path / DATA / "adtally.db").exists()
    root.run("dpkg", "-P", "adtally")
    assert not (root.path / CONF).exists() and not (root.path / DATA).exists()
    for link in WANTED:
        assert not (root.path / "etc/systemd/system" / link).is_symlink()


def test_this_machine_is_what_it_was():
    assert not pathlib.Path("/usr/bin/adtally").exists()
