"""./dev run on an empty data directory: the lines it prints are pasted and do what it says."""

import json
import os
import pathlib
import re
import signal
import socket
import stat
import subprocess
import time

import pytest

ROOT = pathlib.Path(__file__).resolve().parents[2]
START_SECONDS_MAX = 120
LINES = re.compile(r"^(?:curl|LOCATION=).*$", re.M)
LAST_LINE = "Ctrl-C stops the server."


def free_port():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


class Demo:
    """One ./dev run; its output goes to a file, so that no pipe can fill."""

    def __init__(self, data, log):
        self.data, self.log, self.port = data, log, free_port()
        self.process = None

    def start(self):
        environment = {**os.environ, "ADTALLY_DATA": str(self.data),
                       "ADTALLY_LISTEN": f"127.0.0.1:{self.port}"}
        with open(self.log, "wb") as out:
            self.process = subprocess.Popen([ROOT / "dev", "run"], stdout=out, stderr=out,
                                            stdin=subprocess.DEVNULL, env=environment)
        deadline = time.monotonic() + START_SECONDS_MAX
        while LAST_LINE not in self.text():
            assert self.process.poll() is None and time.monotonic() < deadline, self.text()
            time.sleep(0.05)
        return self

    def text(self):
        return self.log.read_text(errors="replace")

    def paste(self):
        """Runs the printed lines in one shell, as pasted; what each of them printed."""
        lines = LINES.findall(self.text())
        script = "".join(f"{line}\necho --\n" for line in lines)
        run = subprocess.run(["bash"], input=script, capture_output=True, text=True, timeout=60,
                             check=True)
        return [part.strip() for part in run.stdout.split("--\n")[:-1]]

    def stop(self):
        self.process.send_signal(signal.SIGTERM)
        return self.process.wait(timeout=30)


@pytest.fixture
def demo(tmp_path):
    started = Demo(tmp_path / "data", tmp_path / "log")
    yield started
    if started.process and started.process.poll() is None:
        started.process.kill()
        started.process.wait()


def check_pasted(outputs):
    minted, location, first, second, collected, *publisher = outputs
    assert json.loads(minted)["ads"][0]["url"].startswith("http://127.0.0.1:")
    assert location.startswith("https://shop.example/shoes?")
    assert "thrad_click_id=" in location
    assert json.loads(first) == {"status": "ok"}
    assert json.loads(second) == {"status": "duplicate"}
    assert collected == "204"
    check_publisher(*publisher)


def check_publisher(viewed, liked, feedback, voted, results):
    assert viewed == "200 image/gif"
    assert liked == "204"
    assert json.loads(feedback)["status"] == "ok"
    assert json.loads(voted)["selected_option_id"] == "0"
    assert json.loads(results)["total_votes"] == json.loads(voted)["total_votes"] >= 1


def test_the_printed_lines_work_as_pasted(demo):
    check_pasted(demo.start().paste())
    assert demo.stop() == 0


def test_a_second_run_keeps_the_keys_and_works(demo):
    demo.start()
    keys = {path.name: path.read_text() for path in (demo.data / "demo").iterdir()}
    assert sorted(keys) == ["adserver.key", "partner.key", "publisher.key"]
    assert demo.stop() == 0
    check_pasted(demo.start().paste())
    assert {path.name: path.read_text() for path in (demo.data / "demo").iterdir()} == keys
    assert demo.stop() == 0


def test_the_key_files_are_for_their_owner_only(demo):
    demo.start()
    for path in (demo.data / "demo").iterdir():
        assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert demo.stop() == 0
