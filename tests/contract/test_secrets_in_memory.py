"""Key material of a running server: in locked memory that no core dump holds, and nowhere else.

All memory of the process is searched for the secrets of DIR/secrets.json, after requests that use
each of them."""

import contextlib
import json
import os
import re
import resource
import subprocess

import pytest

from support import paseto
from support import server as program
from support.world import World, unique

PAGE = os.sysconf("SC_PAGESIZE")
PRESENT = 1 << 63

pytestmark = [
    pytest.mark.data_file,
    pytest.mark.skipif(os.geteuid() != 0, reason="needs root to read the server's memory"),
    pytest.mark.skipif("asan" in program.BINARY or "tsan" in program.BINARY,
                       reason="sanitizers keep copies of stacks")]


def regions(pid):
    """(first byte, end, flags) of each mapping that has something in memory."""
    with open(f"/proc/{pid}/smaps", encoding="ascii", errors="replace") as smaps:
        text = smaps.read()
    for found in re.finditer(r"^([0-9a-f]+)-([0-9a-f]+) r.*?^VmFlags: (.*?) *$", text, re.M | re.S):
        yield int(found[1], 16), int(found[2], 16), set(found[3].split())


def present(pagemap, start, end):
    """Runs of pages that are in memory: an untouched reservation is not read."""
    pagemap.seek(start // PAGE * 8)
    entries = memoryview(pagemap.read((end - start) // PAGE * 8)).cast("Q")
    first = None
    for number, entry in enumerate([*entries, 0]):
        if entry & PRESENT and first is None:
            first = number
        elif not entry & PRESENT and first is not None:
            yield start + first * PAGE, (number - first) * PAGE
            first = None


def places_of(pid, secrets):
    """secret -> flags of every mapping that holds a copy of it."""
    found = {name: [] for name in secrets}
    with open(f"/proc/{pid}/mem", "rb", buffering=0) as memory, \
            open(f"/proc/{pid}/pagemap", "rb", buffering=0) as pagemap:
        for start, end, flags in regions(pid):
            for at, size in present(pagemap, start, end):
                memory.seek(at)
                with contextlib.suppress(OSError):  # [vvar]
                    data = memory.read(size)
                    for name, secret in secrets.items():
                        found[name] += [flags] * data.count(secret)
    return found


def secrets_of(data):
    """The raw bytes of each, and the text of it as the file has it."""
    file = json.loads((data / "secrets.json").read_text())
    texts = {name: file[name] for name in ("pepper", "receipt_key", "click_signing_key")}
    texts |= {f"token key {key['kid']}": key["key"] for key in file["token_keys"]}
    return {name: paseto.unb64(text) for name, text in texts.items()} | {
        f"{name} as text": text.encode() for name, text in texts.items()}


@pytest.fixture(scope="module")
def used():
    """A small server after all that its secrets are for: keys, tokens, signatures, receipts."""
    world = World(["--max-connections", "32"])
    program.cli("token-key", "rotate", "--data", world.data)
    click = world.click()
    assert world.convert(click, idem=unique("key")).status == 200
    assert world.post("/v1/api/collect", {"event_name": "x"}, key="wrong").status == 401
    program.cli("token-key", "export", "click-signing", "--data", world.data)
    program.cli("token-key", "list", "--data", world.data)
    yield world
    world.close()


def test_every_copy_is_locked_and_left_out_of_dumps(used):
    secrets = secrets_of(used.data)
    found = places_of(used.server.proc.pid, secrets)
    for name, places in found.items():
        assert len(places) == (0 if name.endswith("as text") else 2), (name, places)
        assert all({"lo", "dd"} <= flags for flags in places), (name, places)


def test_the_search_finds_what_is_no_secret(used):
    """Another text of the process is found, in ordinary memory: the search works."""
    found = places_of(used.server.proc.pid, {"path": str(used.data).encode()})
    assert any("lo" not in flags for flags in found["path"])


def test_no_core_dump_and_no_reader(used):
    with open(f"/proc/{used.server.proc.pid}/limits", encoding="ascii") as limits:
        assert re.search(r"^Max core file size +0 +0 ", limits.read(), re.M)
    reader = ["setpriv", "--reuid=65534", "--clear-groups", "--bounding-set=-all", "cat"]
    status = subprocess.run([*reader, f"/proc/{used.server.proc.pid}/environ"], check=False,
                            capture_output=True)
    assert status.returncode != 0


def without_locked_memory():
    resource.setrlimit(resource.RLIMIT_MEMLOCK, (0, 0))


def test_a_limit_that_refuses_is_told_once():
    data = program.temp_dir()
    os.chown(data, 65534, 65534)
    server = program.Server(data)
    server.proc = subprocess.Popen(
        ["setpriv", "--reuid=65534", "--regid=65534", "--clear-groups", "--bounding-set=-all",
         "--inh-caps=-all", program.BINARY, "serve", "--data", data, "--listen", server.host],
        stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=server.stderr_file,
        preexec_fn=without_locked_memory)
    try:
        server.await_ready()
        assert server.health().status == 200
        assert os.stat(f"/proc/{server.proc.pid}/environ").st_uid == 0, "it is dumpable"
        server.stop()
        assert server.stderr.count('"event":"keys_not_locked"') == 1
    finally:
        server.kill()
        subprocess.run(["rm", "-r", data], check=True)
