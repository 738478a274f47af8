"""Contract section 8, read by somebody who sees it for the first time: what is said when something
is wrong is one sentence, and says what to do next."""

import contextlib
import json
import os
import re
import shutil
import socket
import sqlite3
import subprocess

import pytest

from support import server as program
from support.world import table

DONE, FAILED, USAGE = 0, 1, 2
PARTNER = ("key", "create", "--class", "partner")
NOBODY = "postgresql://u@127.0.0.1:1/d"  # nobody listens there
SERVE = ("serve", "--listen", "127.0.0.1:0", "--data")


def said(*args, status, **options):
    """The sentence on standard error; nothing is on standard output."""
    return sentence(program.run(*args, **options), status, "adtally")


def sentence(done, status, name):
    assert (done.returncode, done.stdout) == (status, b""), done
    text = done.stderr.decode()
    assert text.startswith(f"{name}: ") and text.count("\n") == 1 and text.endswith("\n"), text
    return text


# what was typed (DATA is a directory with a store, NEW is a path that is free): status, the advice
MISTAKES = {
    "no command": ((), USAGE, "see adtally help"),
    "a command that is none": (("serv",), USAGE, "see adtally help"),
    "help of a command that is none": (("help", "serv"), USAGE, "see adtally help"),
    "no data directory": (("serve",), USAGE, "--data DIR"),
    "an option that is none": (("serve", "--datadir", "x"), USAGE, "see adtally help serve"),
    "an option without its value": (("serve", "--data"), USAGE, "--data needs a value"),
    "a value of another kind": ((*SERVE, "NEW", "--click-ttl", "90"), USAGE,
                                "a duration of 1s to 3650d"),
    "an address without a port": ((*SERVE, "NEW", "--listen", "localhost"), USAGE,
                                  "127.0.0.1:8080"),
    "an address of another machine": ((*SERVE, "NEW", "--listen", "192.0.2.1:80"), FAILED,
                                      "choose another with --listen"),
    "a configuration file that is not there": ((*SERVE, "NEW", "--config", "/none"), FAILED,
                                               "cannot open the configuration file /none"),
    "a directory in one that is not there": ((*SERVE, "NEW/in/it"), FAILED,
                                             "make the directory it is in"),
    "a command for a directory that is not there": (("key", "list", "--data", "NEW"), FAILED,
                                                    "see whether the path is right"),
    "a command for a directory of others": (("key", "list", "--data", "OTHER"), FAILED,
                                            "see whether the path is right; adtally serve or key"),
    "a server in a directory of others": ((*SERVE, "OTHER"), FAILED,
                                          "name an empty or new directory"),
    "verify of a directory of others": (("verify", "--data", "OTHER"), FAILED,
                                        "see whether the path is right"),
    "a report of a directory of others": (("report", "--data", "OTHER"), FAILED,
                                          "see whether the path is right"),
    "a report that is none": (("report", "clicks", "--data", "DATA"), USAGE, "traffic"),
    "a column that is none": (("report", "--by", "colour", "--data", "DATA"), USAGE, "campaign"),
    "a tail without a server": (("tail", "--data", "DATA"), FAILED, "see adtally help serve"),
    "key, and nothing after it": (("key",), USAGE, "see adtally help key"),
    "a key of no class": (("key", "create", "--label", "l", "--data", "DATA"), USAGE,
                          "one of partner, publisher, adserver, admin"),
    "a partner's key without partner": ((*PARTNER, "--label", "l", "--data", "DATA"), USAGE,
                                        "--partner-id is missing: keys of this class need it"),
    "a partner's key with a publisher": ((*PARTNER, "--label", "l", "--partner-id", "p",
                                          "--publisher-id", "x", "--data", "DATA"), USAGE,
                                         "leave it out"),
    "an end that is no time": ((*PARTNER, "--label", "l", "--partner-id", "p", "--expires",
                                "tomorrow", "--data", "DATA"), USAGE, "2026-11-21T06:00:00Z"),
    "an import of nothing": ((*PARTNER, "--label", "l", "--partner-id", "p", "--import", "/none",
                              "--data", "DATA"), FAILED, "cannot read /none"),
    "which key to revoke": (("key", "revoke", "--data", "DATA"), USAGE, "key list shows the ids"),
    "a key that is none": (("key", "revoke", "k-none", "--data", "DATA"), FAILED, "key list shows"),
    "token-key, and nothing after it": (("token-key",), USAGE, "see adtally help token-key"),
    "which token key": (("token-key", "retire", "--data", "DATA"), USAGE,
                        "token-key list shows them"),
    "a token key that is none": (("token-key", "export", "none", "--data", "DATA"), FAILED,
                                 "token-key list shows"),
    "poll, and nothing after it": (("poll",), USAGE, "see adtally help poll"),
    "which poll": (("poll", "put", "--data", "DATA"), USAGE,
                   "name a file, or - for standard input"),
    "a poll that is no JSON": (("poll", "put", "-", "--data", "DATA"), FAILED, "no JSON"),
    "a poll that is no number": (("poll", "withdraw", "x", "--data", "DATA"), USAGE,
                                 "poll list shows them"),
    "a poll that is none": (("poll", "withdraw", "9", "--data", "DATA"), FAILED,
                            "poll list shows them"),
    "ads that are no JSON": (("mint", "--data", "DATA"), FAILED, "no JSON"),
    "a value for a switch": (("verify", "--json=yes", "--data", "DATA"), USAGE, "takes no value"),
    "a file for a directory": ((*SERVE, "FILE"), FAILED, "name a directory"),
    "a directory without its secrets": (("key", "list", "--data", "BARE"), FAILED,
                                        "put it back, or restore a backup"),
    "a directory of a newer version": ((*SERVE, "NEWER"), FAILED, "use the adtally that made it"),
    "a backup of a newer version": (("backup", "NEW", "--data", "NEWER"), FAILED,
                                    "use the adtally that made it"),
    "a reload without a server": (("reload", "--data", "DATA"), FAILED,
                                  "it reads the file when it starts"),
    "a copy of nothing": (("copy", "--from", "NEW", "--to", NOBODY), FAILED,
                          "see whether the path is right"),
    "a copy to nowhere": (("copy", "--from", "DATA", "--to", NOBODY), FAILED,
                          "see whether the database that --store names runs"),
    "a database that does not run": ((*SERVE, "DATA", "--store", NOBODY), FAILED,
                                     "see whether the database that --store names runs"),
    "a receipt that is none": (("export", "--format", "ndjson", "--since", "x", "--data", "DATA"),
                               FAILED, "take the last one that was exported"),
    "a zone that is none": (("report", "--tz", "Mars", "--data", "DATA"), USAGE, "package tzdata"),
    "an operand too many": (("verify", "this", "--data", "DATA"), USAGE, "see adtally help verify"),
}


@pytest.fixture(scope="module")
def places(tmp_path_factory):
    """DATA, NEW, OTHER and what else stands for a path."""
    root = tmp_path_factory.mktemp("newcomer")
    program.key_create(root / "data", "adserver", "first")
    (root / "other").mkdir()
    (root / "other" / "holiday.jpg").write_text("x")
    for name in ("bare", "newer"):
        shutil.copytree(root / "data", root / name)
    (root / "bare" / "secrets.json").unlink()
    with contextlib.closing(sqlite3.connect(root / "newer" / "adtally.db")) as db:
        db.execute("PRAGMA user_version = 99")
    return {"DATA": root / "data", "NEW": root / "new", "OTHER": root / "other",
            "BARE": root / "bare", "NEWER": root / "newer",
            "FILE": root / "other" / "holiday.jpg"}


@table("typed, status, advice", MISTAKES)
def test_a_mistake_is_answered_with_what_to_do(places, typed, status, advice):
    assert advice in said(*in_places(typed, places), status=status)
    assert not places["NEW"].exists()


def in_places(typed, places):
    for name, path in places.items():
        typed = [re.sub(f"^{name}\\b", str(path), word) for word in typed]
    return typed


# The same of adtally-sinks; HOOK is a configuration with a secret that is not there.
OF_SINKS = {
    "no command": ((), USAGE, "see adtally-sinks help"),
    "a command that is none": (("send",), USAGE, "see adtally-sinks help"),
    "help of a command that is none": (("help", "send"), USAGE, "see adtally-sinks help"),
    "no data directory": (("run",), USAGE, "--data DIR"),
    "an option without its value": (("run", "--data"), USAGE, "see adtally-sinks help run"),
    "an option that is none": (("run", "--fast", "--data", "DATA"), USAGE,
                               "see adtally-sinks help run"),
    "an option of another command": (("run", "--json", "--data", "DATA"), USAGE,
                                     "see adtally-sinks help run"),
    "an operand too many": (("check", "lake", "--data", "DATA"), USAGE,
                            "see adtally-sinks help check"),
    "no configuration": (("run", "--data", "DATA"), USAGE,
                         "sinks.conf: No such file or directory; see whether the path is right"),
    "another's configuration": (("check", "--config", "FILE", "--data", "DATA"), USAGE,
                                "a line is [NAME] or `name = value`"),
    "a configuration that is no file": (("check", "--config", "OTHER", "--data", "DATA"), USAGE,
                                        "Is a directory; see whether"),
    "a configuration of nothing": (("run", "--config", "/dev/null", "--data", "DATA"), USAGE,
                                   "see adtally-sinks help check"),
    "a secret that is not there": (("check", "--config", "HOOK", "--data", "DATA"), USAGE,
                                   "make it, for the user that runs adtally-sinks"),
    "a status of nothing": (("status", "--data", "DATA"), FAILED, "or start adtally-sinks run"),
    "which sink": (("replay", "--data", "DATA"), USAGE, "adtally-sinks status shows them"),
    "dead letters of nothing": (("replay", "lake", "--data", "NEW"), FAILED,
                                "see whether the path is right"),
    "a store that is none": (("check", "--store", "mysql://x", "--data", "DATA"), USAGE,
                             "postgresql://"),
}


@table("typed, status, advice", OF_SINKS)
def test_a_mistake_with_sinks_is_answered_with_what_to_do(places, typed, status, advice):
    hook = places["OTHER"] / "hook.conf"
    hook.write_text("[h]\ntype = webhook\nurl = https://h.example/\nsecret_file = /none\n")
    command = [program.SINKS, *in_places(typed, {**places, "HOOK": hook})]
    done = subprocess.run(command, capture_output=True, timeout=30, check=False)
    assert advice in sentence(done, status, "adtally-sinks")


def test_the_help_of_the_sinks_says_how_and_what_for():
    def ask(*args):
        return subprocess.run([program.SINKS, *args], capture_output=True, text=True,
                              check=True).stdout
    text = ask("help")
    assert text == ask("--help") == ask("-h") and "DIR/sinks.conf" in text
    listed = re.findall(r"^  ([a-z]+) +(\S.*)$", text, re.M)
    assert [name for name, _ in listed] == ["run", "check", "status", "replay", "enable", "help"]
    for name, what in listed[:-1]:
        text = ask(name, "--help")
        assert text == ask("help", name) and text.startswith(f"adtally-sinks {name}: {what}\n")
        assert re.search(rf"^  adtally-sinks {name}\b.* --data data$", text, re.M)
        assert max(map(len, text.splitlines())) <= 100, name


def test_an_address_in_use_is_told(places):
    with socket.socket() as sock:
        sock.bind(("127.0.0.1", 0))
        sock.listen()
        taken = f"127.0.0.1:{sock.getsockname()[1]}"
        text = said("serve", "--data", places["DATA"], "--listen", taken, status=FAILED)
    assert "address in use; choose another with --listen" in text


def test_a_directory_in_use_names_who_has_it(data_dir, own_server):
    server = own_server()
    text = said("serve", "--data", data_dir, "--listen", "127.0.0.1:0", status=FAILED)
    assert f"in use by process {server.proc.pid}: stop it, or name another directory" in text


def test_a_wrong_line_of_the_file_is_named(places, tmp_path):
    for line, advice in {"clik_ttl = 90d": "see adtally help serve",
                         "click_ttl 90d": "`name = value`",
                         "click_ttl = soon": "a duration of 1s to 3650d"}.items():
        (tmp_path / "conf").write_text(f"# mine\n{line}\n")
        text = said("serve", "--data", places["NEW"], "--config", tmp_path / "conf", status=USAGE)
        assert f"{tmp_path}/conf:2: " in text and advice in text


def test_a_directory_of_another_user_is_told(places):
    """As nobody, when it is root who tests: root may write everywhere."""
    places["OTHER"].chmod(0o500)
    options = {"user": 65534} if os.geteuid() == 0 else {}
    try:
        text = said(*SERVE, places["OTHER"] / "x", status=FAILED, **options)
    except PermissionError:
        pytest.skip("nobody may not run the program where it is")
    assert "; run it as the user that owns it" in text


# -- the help --------------------------------------------------------------------------------


def commands():
    return re.findall(r"^  ([a-z-]+) +(\S.*)$", program.cli("help"), re.M)


def test_the_help_is_asked_for_in_every_way():
    text = program.cli("help")
    assert program.cli("--help") == text == program.cli("-h")
    assert "usage: adtally COMMAND" in text and "help COMMAND tells more" in text


def test_the_help_of_each_command_says_how_and_what_for():
    listed = commands()
    assert ("serve", "answer requests until SIGTERM") in listed
    for name, what in listed:
        if name == "help":
            continue
        text = program.cli(name, "--help")
        assert text == program.cli("help", name) and text.startswith(f"adtally {name}: {what}\n")
        assert re.search(rf"^  adtally {name}\b", text, re.M)
        assert ("--from DIR" if name == "copy" else "--data DIR") in text
        assert max(map(len, text.splitlines())) <= 120, name


EXAMPLE = re.compile(r"^  ((?:echo |adtally .* > ).*(?:\n      .*)*)", re.M)


def test_what_the_help_shows_works_as_pasted(places, tmp_path):
    shown = [example.strip() for name, _ in commands() if name != "help"
             for example in EXAMPLE.findall(program.cli("help", name).split("\n\n", 2)[-1])]
    folder = os.path.dirname(program.BINARY)
    assert len(shown) >= 3, shown
    for command in shown:
        command = command.replace("--data data", f"--data {places['DATA']}")
        done = program.subprocess.run(["sh", "-c", command], capture_output=True, text=True,
                                      cwd=tmp_path, timeout=30, check=False,
                                      env={"PATH": f"{folder}:/usr/bin:/bin"})
        assert done.returncode == 0, f"{command}: {done.stderr}"
        assert not done.stdout or json.loads(done.stdout)
