"""./dev package: both packages installed, started, upgraded under load, removed and purged, in a
copy of this machine's root file system that forgets everything."""

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
from support.chroot import ENVIRONMENT, Root, sh
from support.held import HAND_OVER, HeldServer, Load
from support.receiver import Receiver
from support.world import World

NAMES = ("adtally", "adtally-sinks")
PROXIES = ("Caddyfile", "haproxy.cfg", "nginx.conf")
DOC, CONF, DATA = "usr/share/doc/adtally", "etc/adtally/adtally.conf", "var/lib/adtally"
SINKS_CONF = "etc/adtally/sinks.conf"
PAGES = {page.name for page in (program.REPO / "man").iterdir()}
BASH, FISH = "usr/share/bash-completion/completions", "usr/share/fish/vendor_completions.d"


def of_both(name):
    """Where the files are that each of the packages has, by its name."""
    return {f"usr/bin/{name}", f"lib/systemd/system/{name}.service", f"{BASH}/{name}",
            f"{FISH}/{name}.fish", f"usr/share/doc/{name}/changelog.gz",
            f"usr/share/doc/{name}/copyright"}


FILES = {
    "adtally": of_both("adtally") | {
        CONF, "lib/systemd/system/adtally.socket", "usr/share/zsh/vendor-completions/_adtally",
        f"{DOC}/README.md", f"{DOC}/docs/README.md", f"{DOC}/docs/operations.md",
        f"{DOC}/docs/openapi.json", f"{DOC}/docs/openapi-admin.json",
        *(f"{DOC}/examples/{name}" for name in (*PROXIES, "alerts.yml", "grafana-dashboard.json",
                                                "citus.sql")),
        *(f"usr/share/man/man{page[-1]}/{page}.gz" for page in PAGES - {"adtally-sinks.1"})},
    "adtally-sinks": of_both("adtally-sinks") | {
        "usr/share/man/man1/adtally-sinks.1.gz", "usr/share/doc/adtally-sinks/examples/sinks.conf"},
}
WANTED = ("multi-user.target.wants/adtally.service", "sockets.target.wants/adtally.socket",
          "multi-user.target.wants/adtally-sinks.service")

pytestmark = [
    pytest.mark.skipif(not os.environ.get("ADTALLY_LONG"), reason="runs with ./dev package --test"),
    pytest.mark.skipif(os.geteuid() != 0, reason="needs root to install a package"),
    pytest.mark.skipif(not shutil.which("dh"), reason="needs debhelper"),
    pytest.mark.skipif(not shutil.which("lintian"), reason="needs lintian"),
]


@pytest.fixture(scope="module")
def packages():
    """The whole of ./dev package, lintian's opinion included: the files, in the order of NAMES."""
    lines = sh(program.REPO / "dev", "package").splitlines()
    return [program.REPO / line for line in lines[-len(NAMES):]]


def repacked(package, folder, change):
    """Another package, of the same files but for what change(folder) does."""
    tree, path = folder / f"tree-{package.name}", folder / f"next-{package.name}"
    sh("dpkg-deb", "-R", package, tree)
    change(tree)
    sh("dpkg-deb", "--root-owner-group", "-b", tree, path)
    return path


def next_version(tree):
    control = tree / "DEBIAN" / "control"
    text = re.sub(r"(?m)^Version: (.*)$", r"Version: \1+next", control.read_text())
    control.write_text(re.sub(r"adtally \(= (.*?)\)", r"adtally (= \1+next)", text))


@pytest.fixture(scope="module")
def root(packages):
    try:
        made = Root()
    except AssertionError as error:
        pytest.skip(f"no overlay here: {error}")
    made.install(*packages)
    yield made
    made.close()


def unit_command(root, name="adtally"):
    """ExecStart of an installed unit, as systemd would run it."""
    unit = (root.path / f"lib/systemd/system/{name}.service").read_text()
    line = re.search(r"(?m)^ExecStart=(.*)$", unit)[1].replace("${STATE_DIRECTORY}", f"/{DATA}")
    assert "User=adtally" in unit
    return line.split()


def as_service(root, name="adtally"):
    return ["chroot", "--userspec=adtally:adtally", str(root.path), *unit_command(root, name)]


def serving(root):
    """make_server for a World: the package's program as its user, behind a held socket."""
    class Installed(HeldServer):
        def command(self):
            return ["bash", "-c", HAND_OVER, str(self.socket.fileno()), *as_service(root)]
    return Installed


@pytest.fixture(scope="module")
def world(root):
    """The first key is made by root, before the first start, as the documentation has it."""
    root.run("adtally", "key", "create", "--class", "admin", "--label", "first", "--data",
             f"/{DATA}")
    made = World(data=root.path / DATA, make_server=serving(root))
    yield made
    made.server.close()


@pytest.fixture(scope="module")
def receiver():
    made = Receiver()
    yield made
    made.close()


def wait_for_rows(receiver, what, seconds=30):
    end = time.monotonic() + seconds
    while not what(receiver.rows):
        assert time.monotonic() < end, f"not in {seconds} s: {receiver.rows[-3:]}"
        time.sleep(0.02)


def owner_of(root, path):
    user = re.search(r"(?m)^adtally:x:(\d+):", (root.path / "etc/passwd").read_text())
    return (root.path / path).lstat().st_uid == int(user[1])


@pytest.mark.parametrize("name", NAMES)
def test_everything_is_where_it_belongs(root, name):
    listed = set(root.run("dpkg", "-L", name).splitlines())
    assert {f"/{path}" for path in FILES[name]} <= listed
    assert root.run("dpkg", "--verify", name) == ""


def test_the_documents_are_those_of_the_tree(root):
    """The README of the whole is not that of docs/, and what they refer to is there."""
    for path in ("README.md", "docs/README.md", "docs/openapi.json", "docs/openapi-admin.json"):
        assert (root.path / DOC / path).read_bytes() == (program.REPO / path).read_bytes()
    for link in re.findall(r"\]\((docs/[^)#]+)", (root.path / DOC / "README.md").read_text()):
        assert (root.path / DOC / link).exists(), link


def test_the_units_are_wanted(root):
    for link in WANTED:
        assert (root.path / "etc/systemd/system" / link).is_symlink()


def test_its_user_owns_the_data_and_cannot_log_in(root):
    assert owner_of(root, DATA) and stat.S_IMODE((root.path / DATA).stat().st_mode) == 0o700
    line = re.search(r"(?m)^adtally:.*$", (root.path / "etc/passwd").read_text())[0]
    assert line.endswith("/nologin")
    with pytest.raises(KeyError):
        pwd.getpwnam("adtally")


def test_commands_know_what_the_server_is_told(root):
    link = root.path / DATA / "adtally.conf"
    assert link.is_symlink() and str(link.readlink()) == f"/{CONF}"


def test_the_version_is_the_programs(root, packages):
    version = packages[0].name.split("_")[1]
    for name in NAMES:
        assert root.run(name, "--version") == f"{name} {version}\n"
    assert version in (program.REPO / "CHANGELOG.md").read_text()
    assert f"version: '{version}'" in (program.REPO / "meson.build").read_text()


@pytest.mark.parametrize("name", NAMES)
def test_nobody_is_granted_what_the_owner_has_not_granted(root, name):
    assert "All rights are reserved until the owner" in \
        (root.path / f"usr/share/doc/{name}/copyright").read_text()


def test_systemd_understands_the_installed_units(root):
    said = root.run("systemd-analyze", "verify", "adtally.service", "adtally.socket",
                    "adtally-sinks.service", expect=None)
    assert "adtally" not in said


def test_the_shells_complete_both_programs(root):
    ask = ". /usr/share/bash-completion/completions/adtally-sinks; " \
          "COMP_WORDS=(adtally-sinks en) COMP_CWORD=1; _adtally adtally-sinks en; echo $COMPREPLY"
    assert root.run("bash", "-c", ask) == "enable\n"
    assert root.run("fish", "-c", "complete -C 'adtally-sinks en'").startswith("enable")
    assert "#compdef adtally adtally-sinks\n" in \
        (root.path / "usr/share/zsh/vendor-completions/_adtally").read_text()


@pytest.mark.parametrize("place", range(len(NAMES)), ids=NAMES)
def test_lintian_finds_what_is_wrong(packages, tmp_path, place):
    """./dev package fails on a finding; this is one."""
    def spoil(tree):
        (tree / f"usr/share/man/man1/{NAMES[place]}.1.gz").unlink()
    spoiled = repacked(packages[place], tmp_path, spoil)
    found = sh("lintian", "--fail-on", "error,warning,info", spoiled, expect=None)
    assert "no-manual-page" in found


def test_what_root_made_is_the_servers(root, world):
    assert all(owner_of(root, path.relative_to(root.path))
               for path in (root.path / DATA).iterdir())
    assert len(program.cli_json("key", "list", "--json", "--data", world.data)) == 3


class Service:
    """The installed unit of the sinks: its process, as a context that it does not outlive."""

    def __init__(self, root):
        self.process = subprocess.Popen(as_service(root, "adtally-sinks"), env=ENVIRONMENT)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.process.kill()
        self.process.wait()

    def stop(self):
        self.process.terminate()
        assert self.process.wait(timeout=60) == 0


def send_to(root, receiver):
    """The sample, with what is ours in it."""
    sample = (root.path / "usr/share/doc/adtally-sinks/examples/sinks.conf").read_text()
    first = sample.split("[partner-acme]")[0]
    ours = re.sub(r"(?m)^url = .*$", f"url = {receiver.url}", first)
    (root.path / SINKS_CONF).write_text(re.sub(r"(?m)^headers_file.*$", "", ours))


def test_the_sinks_send_as_their_unit_says(root, world, receiver):
    send_to(root, receiver)
    with Service(root) as service:
        click = world.click()
        wait_for_rows(receiver, lambda rows: click in {row.get("click_id") for row in rows})
        assert owner_of(root, f"{DATA}/sinks/lake.cursor")
        service.stop()


def test_an_upgrade_under_load_fails_no_request(root, world, packages, receiver, tmp_path):
    """dpkg unpacks the new versions, and then the services are restarted; the socket is held."""
    conf = root.path / CONF
    conf.write_text(conf.read_text() + "rate_limit = 50000\n")
    following = [repacked(package, tmp_path, next_version) for package in packages]
    with Service(root) as service, Load(world) as load:
        time.sleep(0.3)
        root.install(*following)
        world.server.stop()
        world.server.start()
        service.stop()
        time.sleep(0.3)
    for name in NAMES:
        assert root.version(name).endswith("+next installed")
    assert load.failed == [] and load.stored() == set(load.acked) and len(load.acked) > 20
    with Service(root) as service:
        wait_for_rows(receiver,
                      lambda rows: {row.get("event_id") for row in rows} >= set(load.acked))
        service.stop()
    assert conf.read_text().endswith("rate_limit = 50000\n")
    assert "rate_limit" not in program.cli("reload", "--data", world.data)


def invoked(root, script, name="adtally"):
    """What systemd is asked for, in order: [("start", "'adtally.socket'"), ...]."""
    text = (root.path / "var/lib/dpkg/info" / f"{name}.{script}").read_text()
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


def test_the_scripts_restart_the_sinks(root):
    name = "adtally-sinks"
    assert invoked(root, "postinst", name) == [("$_dh_action", "adtally-sinks.service")]
    assert ("stop", "adtally-sinks.service") in invoked(root, "prerm", name)


def test_the_sinks_go_alone(root):
    """What they know goes with a purge of theirs; the events stay."""
    root.run("dpkg", "-r", "adtally-sinks")
    assert not (root.path / "usr/bin/adtally-sinks").exists()
    assert (root.path / DATA / "sinks/lake.cursor").exists()
    root.run("dpkg", "-P", "adtally-sinks")
    assert not (root.path / DATA / "sinks").exists()
    assert (root.path / DATA / "adtally.db").exists()
    assert not (root.path / "etc/systemd/system" / WANTED[-1]).is_symlink()


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
    for name in NAMES:
        assert not pathlib.Path(f"/usr/bin/{name}").exists()
