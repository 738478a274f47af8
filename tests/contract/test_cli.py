"""Contract section 8: the commands, their exit status and their one sentence of complaint."""

import json
import os
import re
import shutil
import socket
import sqlite3
import subprocess

import pytest

from support import server as program
from support import tokens
from support.http import exchange
from support.world import COLLECT, event, is_collected, is_refused, table, unique

DONE, FAILED, USAGE = 0, 1, 2


def complains(done, *codes, about=()):
    """One sentence on standard error, nothing on standard output."""
    assert done.returncode in codes, (done.returncode, done.stderr)
    lines = done.stderr.decode().strip().splitlines()
    assert len(lines) == 1 and done.stdout == b"", (done.stdout, done.stderr)
    for word in about:
        assert str(word) in lines[0], f"{word} is not in {lines[0]!r}"


def serve(data, *flags, listen=None, **options):
    listen = listen or f"127.0.0.1:{program.free_port()}"
    return program.run("serve", "--data", data, "--listen", listen, *flags, timeout_s=15, **options)


# -- usage ----------------------------------------------------------------------------------


@table("args", {
    "no command": [],
    "an unknown command": ["frobnicate"],
    "serve without --data": ["serve", "--listen", "127.0.0.1:0"],
    "an unknown flag": ["serve", "--data", "DIR", "--frobnicate", "1"],
    "a flag without its value": ["serve", "--data"],
    "key without a verb": ["key", "--data", "DIR"],
    "an unknown verb": ["key", "frobnicate", "--data", "DIR"],
    "key create without class": ["key", "create", "--label", "l", "--data", "DIR"],
    "key create with an unknown class": ["key", "create", "--class", "god", "--label", "l",
                                         "--data", "DIR"],
    "key create without label": ["key", "create", "--class", "adserver", "--data", "DIR"],
    "a partner key without partner": ["key", "create", "--class", "partner", "--label", "l",
                                      "--data", "DIR"],
    "a publisher key without publisher": ["key", "create", "--class", "publisher", "--label", "l",
                                          "--data", "DIR"],
    "an expiry that is no time": ["key", "create", "--class", "adserver", "--label", "l",
                                  "--expires", "soon", "--data", "DIR"],
    "key revoke without id": ["key", "revoke", "--data", "DIR"],
    "token-key without a verb": ["token-key", "--data", "DIR"],
    "token-key retire without kid": ["token-key", "retire", "--data", "DIR"],
    "verify with an operand too many": ["verify", "x", "--data", "DIR"],
})
@pytest.mark.data_file
def test_wrong_usage_is_exit_2_and_changes_nothing(data_dir, args):
    done = program.run(*[str(data_dir) if a == "DIR" else a for a in args])
    assert done.returncode == USAGE and done.stderr and done.stdout == b"", done
    assert not (data_dir / "adtally.db").exists()


@table("args, next_step", {
    "a flag without its value": (["verify", "--data"], "adtally help verify"),
    "a value too many": (["verify", "--json=1", "--data", "DIR"], "adtally help verify"),
    "an unknown verb": (["key", "frob", "--data", "DIR"], 'no "frob": it has create, list or revoke'),
    "no verb": (["token-key", "--data", "DIR"], "list, rotate, retire or export"),
    "a report too many": (["report", "money", "polls", "--data", "DIR"],
                          "traffic, money, reasons, comments or polls"),
    "a column that is none": (["report", "--by", "x", "--data", "DIR"], "--by takes campaign,"),
    "a day that is none": (["report", "--from", "x", "--data", "DIR"], "--from is a day like"),
    "no format": (["export", "--data", "DIR"], "--format is ndjson or csv"),
    "CSV of everything": (["export", "--format", "csv", "--data", "DIR"], "--table"),
    "an import of standard input": (["import", "-", "--data", "DIR"], "cannot be a pipe"),
    "a backup of nothing": (["backup", "DIR/x", "--data", "/nowhere"], "whether the path is right"),
    "a backup to nowhere": (["backup", "/nowhere/x", "--data", "DIR"], "whether the path is right"),
    "no backup": (["restore", "/nowhere", "--data", "DIR/new"], "whether the path is right"),
    "what is no backup": (["restore", "/etc/passwd", "--data", "DIR/new"], "name another"),
    "an export of nothing": (["export", "--format", "ndjson", "--data", "/nowhere"],
                             "whether the path is right"),
    "a report of nothing": (["report", "--data", "/nowhere"], "no adtally data directory"),
    "no file": (["mint", "/nowhere", "--data", "DIR"], "whether the path is right"),
    "no import": (["import", "/nowhere", "--data", "DIR"], "whether the path is right"),
    "no JSON": (["poll", "put", "/dev/null", "--data", "DIR"], "adtally help poll"),
    "nobody": (["erase", "--data", "DIR"], "adtally erase --user-id U"),
})
def test_a_complaint_says_what_to_do(data_dir, args, next_step):
    program.partner_key(data_dir)
    done = program.run(*[a.replace("DIR", str(data_dir)) for a in args])
    complains(done, FAILED, USAGE, about=[next_step])


@pytest.mark.parametrize("command", re.findall(r"^  ([a-z-]+) ", program.cli("help"), re.M)[:-1])
def test_the_help_of_a_command_has_its_usage_and_an_example(command):
    text = program.cli(command, "--help")
    first, usage, *rest = text.split("\n\n")
    assert first.startswith(f"adtally {command}: ") and usage.startswith(f"  adtally {command}")
    assert any(re.search(rf"^  .*adtally {command} .*data$|^  .*adtally {command} .*data ", part,
                         re.M) for part in rest), text
    assert all(len(line) <= 110 for part in (first, usage, rest[0]) for line in part.splitlines())


@pytest.mark.parametrize("flag", ["--help", "--version"])
def test_a_question_is_no_error(flag):
    done = program.run(flag)
    assert done.returncode == DONE and b"adtally" in done.stdout


def test_help_names_every_command():
    text = program.cli("--help")
    assert all(word in text for word in ("serve", "key", "token-key", "mint", "verify"))


# -- keys -----------------------------------------------------------------------------------

CLASSES = {"partner": ["--partner-id", "acme"], "publisher": ["--publisher-id", "pub"],
           "adserver": [], "admin": []}


@pytest.mark.parametrize("klass", CLASSES)
@pytest.mark.parametrize("running", [False, True], ids=["no server", "a running server"])
def test_a_key_is_shown_once_and_listed_without_its_secret(data_dir, own_server, klass, running):
    if running:
        own_server()
    label = unique("label")
    secret = program.key_create(data_dir, klass, label, *CLASSES[klass])
    (key,) = [k for k in program.cli_json("key", "list", "--json", "--data", data_dir)
              if k["label"] == label]
    assert key["class"] == klass and str(key["id"])
    listed = program.run("key", "list", "--data", data_dir)
    for text in (listed.stdout, listed.stderr, json.dumps(key).encode()):
        assert secret.encode() not in text and secret[-16:].encode() not in text
    assert label.encode() in listed.stdout


def test_secrets_are_stored_only_as_hashes(data_dir, own_server):
    server = own_server()
    file = data_dir.parent / f"{data_dir.name}.secret"
    file.write_text("vendor_key_0123456789abcdefghijklmnopqrstuv\n")
    secrets = [program.key_create(data_dir, c, c, *o) for c, o in CLASSES.items()]
    program.cli("key", "create", "--class", "adserver", "--label", "i", "--import", file, "--data",
                data_dir)
    file.unlink()
    server.stop()
    for path in [p for p in data_dir.rglob("*") if p.is_file()]:
        content = path.read_bytes()
        for secret in [*secrets, "vendor_key_0123456789abcdefghijklmnopqrstuv"]:
            assert secret.encode() not in content, path


def test_secrets_are_long_and_differ(world):
    keys = {program.partner_key(world.data, "acme", unique("k")) for _ in range(5)}
    assert len(keys) == 5 and all(len(k) >= 43 for k in keys), "256 random bits are 43 characters"


def test_a_key_made_without_a_server_works_when_one_starts(data_dir, own_server, world):
    key = program.partner_key(data_dir)
    server = own_server()
    data = world.post_bytes(COLLECT, event(), key)
    is_collected(exchange(server.port, data))


def test_data_comes_before_or_after_the_operands(world):
    for place in (lambda i: ["key", "revoke", i, "--data", world.data],
                  lambda i: ["key", "revoke", "--data", world.data, i]):
        label = unique("place")
        secret = program.partner_key(world.data, "acme", label)
        program.cli(*place(program.key_id(world.data, label)))
        is_refused(world.post(COLLECT, event(), secret), 401, "Invalid API key")


@table("args", {
    "a key that is not there": ["key", "revoke", "nobody"],
    "a token key that is not there": ["token-key", "retire", "nobody"],
    "the export of a token key that is not there": ["token-key", "export", "nobody"],
    "an import of a file that is not there":
        ["key", "create", "--class", "adserver", "--label", "x", "--import", "/nowhere/secret"],
    "a mint of a file that is not there": ["mint", "/nowhere/ads.json"],
})
def test_what_cannot_be_done_is_exit_1(world, args):
    complains(program.run(*args, "--data", world.data), FAILED)


@pytest.mark.parametrize("content", ["", "\n", "two\nlines\n"], ids=repr)
def test_a_secret_that_is_none_is_not_imported(world, data_dir, content):
    (data_dir / "secret").write_text(content)
    complains(program.run("key", "create", "--class", "adserver", "--label", unique("bad"),
                          "--import", data_dir / "secret", "--data", world.data), FAILED)


def test_a_command_on_a_directory_that_is_not_there_makes_none(data_dir):
    for args in (["key", "list"], ["verify"], ["token-key", "list"]):
        complains(program.run(*args, "--data", data_dir / "nowhere"), FAILED)
    assert not (data_dir / "nowhere").exists()


# -- token keys -----------------------------------------------------------------------------


def test_token_keys_are_listed_rotated_exported_and_retired(data_dir, own_server):
    own_server()
    (first,) = tokens.kids(data_dir)
    assert len(tokens.key_of(data_dir, first)) == 32
    program.cli("token-key", "rotate", "--data", data_dir)
    (second,) = set(tokens.kids(data_dir)) - {first}
    assert tokens.key_of(data_dir, first) != tokens.key_of(data_dir, second)
    program.cli("token-key", "retire", first, "--data", data_dir)
    text = program.cli("token-key", "list", "--data", data_dir)
    assert second in text and "k4.local." not in text


# -- one process per data directory ---------------------------------------------------------


def test_a_second_server_is_told_who_holds_the_directory(world):
    done = serve(world.data)
    complains(done, FAILED, about=[world.server.proc.pid])
    assert world.get("/health").status == 200


def test_a_directory_is_free_again_after_kill_9(data_dir, own_server):
    own_server().kill()
    assert own_server().health().status == 200


# -- refusing to start ----------------------------------------------------------------------


def test_a_busy_port_is_one_sentence(data_dir):
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        complains(serve(data_dir, listen=f"127.0.0.1:{port}"), FAILED, about=[port])


def test_a_port_that_another_adtally_holds_is_busy(world, data_dir):
    complains(serve(data_dir, listen=world.host), FAILED, about=[world.port])


@pytest.mark.parametrize("listen", ["127.0.0.1", "127.0.0.1:x", "127.0.0.1:70000", ":::", "",
                                    "no such host:80"])
def test_a_listen_address_that_is_none(data_dir, listen):
    done = program.run("serve", "--data", data_dir, "--listen", listen, timeout_s=15)
    complains(done, FAILED, USAGE)


def other_application(path):
    conn = sqlite3.connect(path)
    conn.execute("CREATE TABLE click (mine TEXT)")
    conn.execute("INSERT INTO click VALUES ('keep')")
    conn.commit()
    conn.close()


@table("spoil", {
    "a file that is no database": lambda path: path.write_bytes(b"hello, I am not yours\n" * 400),
    "the database of another application": other_application,
    "a directory in its place": lambda path: path.mkdir(),
})
@pytest.mark.data_file
def test_a_foreign_directory_is_refused_and_left_alone(data_dir, spoil):
    path = data_dir / "adtally.db"
    spoil(path)
    before = path.read_bytes() if path.is_file() else None
    complains(serve(data_dir), FAILED, USAGE)
    complains(program.run("key", "list", "--data", data_dir), FAILED, USAGE)
    assert (path.read_bytes() if path.is_file() else None) == before


def test_a_data_directory_that_is_a_file(data_dir):
    (data_dir / "file").write_text("x")
    complains(serve(data_dir / "file"), FAILED, USAGE, about=[data_dir / "file"])


def test_a_data_directory_under_nothing(data_dir):
    complains(serve(data_dir / "no" / "such" / "place"), FAILED, USAGE)


def as_nobody():
    """Options that run a command without the rights of root."""
    if os.geteuid() != 0:
        return {}
    probe = ["sh", "-c", f"test -x '{program.BINARY}'"]
    if subprocess.run(probe, user=65534, group=65534, extra_groups=[]).returncode != 0:
        pytest.skip("the program is out of nobody's reach")
    return {"user": 65534, "group": 65534, "extra_groups": []}


@pytest.mark.parametrize("mode", [0o000, 0o500], ids=["unreadable", "not writable"])
def test_a_directory_without_permission(data_dir, mode):
    options = as_nobody()
    if options:
        os.chown(data_dir, 65534, 65534)
    data_dir.chmod(mode)
    try:
        complains(serve(data_dir, **options), FAILED, USAGE, about=[data_dir])
    finally:
        data_dir.chmod(0o700)


# -- the configuration ----------------------------------------------------------------------


@table("text, line", {
    "an unknown name": ("click_ttl = 90d\nfrobnicate = 1\n", 2),
    "a line that is no setting": ("# fine\n\nhello world\n", 3),
    "a value that is no duration": ("click_ttl = soon\n", 1),
    "a duration without unit": ("\nclick_ttl = 90\n", 2),
    "a negative duration": ("click_ttl = -1d\n", 1),
    "a value that is no number": ("rate_limit = many\n", 1),
    "no value": ("rate_limit =\n", 1),
    "proxies that are none": ("trusted_proxies = somewhere\n", 1),
    "bytes that are no text": ("rate_limit = 1\n\x00\x01\x02\n", 2),
})
@pytest.mark.data_file
def test_garbage_in_the_configuration_names_file_and_line(data_dir, text, line):
    file = data_dir / "adtally.conf"
    file.write_text(text)
    data = data_dir / "data"
    data.mkdir()
    done = serve(data, "--config", file)
    complains(done, FAILED, USAGE, about=[file])
    said = done.stderr.decode().replace(str(file), "")
    assert re.search(rf"\b{line}\b", said), said
    assert not (data / "adtally.db").exists()


def test_a_configuration_file_that_is_not_there(data_dir):
    complains(serve(data_dir, "--config", data_dir / "nowhere.conf"), FAILED, USAGE)


@table("flags", {
    "an unknown unit": ["--click-ttl", "90x"],
    "no unit": ["--click-ttl", "90"],
    "no number": ["--rate-limit", "fast"],
    "a negative number": ["--client-rate-limit", "-1"],
    "a proxy that is none": ["--trusted-proxies", "10.0.0.0/99"],
    "a public URL that is none": ["--public-url", "ads example"],
    "a client address that is neither": ["--client-address", "some"],
})
@pytest.mark.data_file
def test_a_bad_flag_is_refused(data_dir, flags):
    done = serve(data_dir, *flags)
    assert done.returncode in (FAILED, USAGE) and done.stderr and done.stdout == b""
    assert not (data_dir / "adtally.db").exists()


def test_the_file_sets_what_the_flags_set(data_dir, own_server):
    file = data_dir.parent / f"{data_dir.name}.conf"
    file.write_text("# a comment\n\nhead_timeout = 5s\nimpression_ttl = 1h\nrate_limit = 0\n"
                    "public_url = https://ads.example\n")
    try:
        server = own_server("--config", file)
        assert server.health().status == 200
        out = program.run("mint", "--data", data_dir,
                          stdin=b'{"ads":[{"publisher_id":"p","ttl":3601}]}')
        assert out.returncode == FAILED, "impression_ttl of the file is not in force"
    finally:
        file.unlink()


# -- verify ---------------------------------------------------------------------------------


def test_verify_finds_nothing_wrong_beside_a_running_server(world):
    world.convert(world.click())
    program.cli("verify", "--data", world.data)


@pytest.mark.parametrize("running", [False, True], ids=["stopped", "running"])
def test_verify_has_json(data_dir, own_server, running):
    server = own_server()
    if not running:
        server.stop()
    assert isinstance(program.cli_json("verify", "--json", "--data", data_dir), dict)


@pytest.mark.data_file
def test_verify_finds_a_damaged_database(data_dir, own_server, world):
    key = program.partner_key(data_dir)
    server = own_server()
    for _ in range(60):
        body = event(params={"text": "x" * 900})
        is_collected(exchange(server.port, world.post_bytes(COLLECT, body, key)))
    server.stop()
    program.cli("verify", "--data", data_dir)
    path = data_dir / "adtally.db"
    content = bytearray(path.read_bytes())
    assert len(content) > 60000
    for at in range(8192, len(content), 4096):
        content[at : at + 100] = b"\xa5" * 100
    path.write_bytes(bytes(content))
    done = program.run("verify", "--data", data_dir)
    assert done.returncode == FAILED and done.stderr + done.stdout
    complains(serve(data_dir), FAILED, about=[data_dir])


def test_json_output_is_json_and_nothing_else(world):
    assert shutil.which(program.BINARY)
    for args in (["key", "list"], ["token-key", "list"]):
        assert isinstance(program.cli_json(*args, "--json", "--data", world.data), list)
