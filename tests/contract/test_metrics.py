"""GET /metrics: what it counts is what was sent, and its readers can read it."""

import re
import shutil
import subprocess
import time

import pytest

from support import admin
from support import server as program
from support import store
from support.world import REDIRECT, V1, conversion

OPENMETRICS = "application/openmetrics-text; version=1.0.0; charset=utf-8"
SAMPLE = re.compile(r"([a-z_]+)(?:\{(.*)\})? (\S+)")


class Metered(admin.Listener):
    """And its metrics as a dictionary."""

    def page(self, accept=None):
        headers = [("Accept", accept)] if accept else []
        answer = self.ask("GET", "/metrics", *headers, key=self.key)
        assert answer.status == 200, answer
        return answer

    def read(self):
        """(name, labels) -> value; labels as a sorted tuple."""
        found = {}
        for line in self.page().body.decode().splitlines():
            if line.startswith("#"):
                continue
            name, labels, value = SAMPLE.fullmatch(line).groups()
            pairs = tuple(sorted(re.findall(r'([a-z]+)="([^"]*)"', labels or "")))
            assert (name, pairs) not in found, f"twice: {line}"
            found[name, pairs] = float(value)
        return found


def requests(metrics, route, outcome):
    key = (("outcome", outcome), ("route", route))
    return metrics.get(("adtally_requests_total", key), 0)


@pytest.fixture(scope="module")
def metered():
    made = Metered()
    yield made
    made.world.close()


def grown(metered, work):
    """What `work` added to every metric."""
    before = metered.read()
    work()
    after = metered.read()
    return {key: value - before.get(key, 0) for key, value in after.items()}


def test_counts_equal_what_was_sent(metered):
    world = metered.world

    def work():
        click = world.click()
        for _ in range(3):
            world.convert(click, idem="one")
        world.convert(click, idem="two")
        world.post(V1, conversion("no-such-click"))
        world.post(V1, b"{")
        world.post(V1, conversion(click), key="atk_wrong_wrong_wrong_wrong")
        world.get("/nowhere")
        world.get(V1)

    more = grown(metered, work)
    counted = {(dict(labels)["route"], dict(labels)["outcome"]): int(value)
               for (name, labels), value in more.items()
               if name == "adtally_requests_total" and value}
    assert counted == {
        ("/v1/mint", "answered"): 1, (REDIRECT, "recorded"): 1, (V1, "recorded"): 2,
        (V1, "duplicate"): 2, (V1, "click_not_found"): 1, (V1, "validation"): 1,
        (V1, "key_invalid"): 1, ("other", "not_found"): 1, (V1, "method"): 1}


def test_each_request_has_its_latency(metered):
    more = grown(metered, lambda: [metered.world.click() for _ in range(5)])
    route = ("route", REDIRECT)
    assert more["adtally_request_duration_seconds_count", (route,)] == 5
    buckets = [v for (name, labels), v in more.items()
               if name == "adtally_request_duration_seconds_bucket" and route in labels]
    assert buckets == sorted(buckets) and buckets[-1] == 5
    assert 0 < more["adtally_request_duration_seconds_sum", (route,)] < 5


def test_batches_are_made_of_what_was_recorded(metered):
    more = grown(metered, metered.world.click)
    assert more["adtally_operations_total", ()] == 1
    assert more["adtally_batch_size_sum", ()] == 1
    assert more["adtally_batch_size_count", ()] == 1
    for name in ("adtally_batch_duration_seconds", "adtally_commit_duration_seconds"):
        assert more[f"{name}_count", ()] == 1 and more[f"{name}_sum", ()] > 0
    assert store.IS_POSTGRES or more["adtally_index_entries", (("index", "clicks"),)] == 1


def test_a_malformed_request_is_counted(metered):
    def work():
        with metered.world.connect() as conn:
            conn.send(b"GET / HTTP/1.1\r\n\r\n")
            conn.read()
        for _ in range(50):  # the loops tell ten times a second
            if metered.read()["adtally_http_refused_total", (("reason", "framing"),)] > seen:
                return
            time.sleep(0.05)

    seen = metered.read()["adtally_http_refused_total", (("reason", "framing"),)]
    more = grown(metered, work)
    assert more["adtally_http_refused_total", (("reason", "framing"),)] == 1


def test_the_process_is_seen_from_inside_its_sandbox(metered):
    metrics = metered.read()
    assert metrics["process_resident_memory_bytes", ()] > 1 << 20
    assert 10 < metrics["process_open_fds", ()] < metrics["process_max_fds", ()]
    assert metrics["process_cpu_seconds_total", ()] > 0
    assert metrics["adtally_healthy", ()] == 1
    opened = [metered.world.connect() for _ in range(20)]
    for conn in opened:  # an answer tells that it was accepted
        conn.send(metered.world.get_bytes("/health"))
        conn.read()
    assert metered.read()["process_open_fds", ()] >= metrics["process_open_fds", ()] + 20
    for conn in opened:
        conn.close()


def test_the_formats_are_chosen_by_accept(metered):
    assert metered.page().header("content-type") == OPENMETRICS
    prometheus = "application/openmetrics-text;version=1.0.0,text/plain;version=0.0.4;q=0.5,*/*"
    assert metered.page(prometheus).header("content-type") == OPENMETRICS
    older = metered.page("text/plain")
    assert older.header("content-type") == "text/plain; version=0.0.4; charset=utf-8"
    assert b"# EOF" not in older.body
    assert metered.page().body.endswith(b"# EOF\n")


def promtool(page):
    if not shutil.which("promtool"):
        pytest.skip("no promtool here")
    return subprocess.run(["promtool", "check", "metrics"], input=page, capture_output=True,
                          check=False)


def test_promtool_finds_nothing(metered):
    metered.world.convert(metered.world.click())
    done = promtool(metered.page("text/plain").body)
    assert (done.returncode, done.stdout, done.stderr) == (0, b"", b"")


def test_promtool_would_find_something(metered):
    page = metered.page("text/plain").body.replace(b"adtally_operations_total", b"adtally_ops")
    assert promtool(page).returncode != 0


def families(page):
    parser = pytest.importorskip("prometheus_client.openmetrics.parser")
    return {f.name: f for f in parser.text_string_to_metric_families(page)}


def test_openmetrics_as_its_own_reader_has_it(metered):
    metered.world.convert(metered.world.click())
    found = families(metered.page().body.decode())
    assert found["adtally_requests"].type == "counter"
    assert found["adtally_commit_duration_seconds"].unit == "seconds"
    assert found["adtally_build"].type == "info"


def test_openmetrics_reader_refuses_a_page_without_its_end(metered):
    with pytest.raises(ValueError):
        families(metered.page().body.decode().replace("# EOF\n", ""))


def rows():
    return program.cli("help", "metrics", "--markdown").splitlines()


def test_the_documentation_is_the_programs_table():
    text = (program.REPO / "docs" / "metrics.md").read_text()
    assert "\n".join(rows()) in text


def test_the_page_has_every_metric_of_the_table(metered):
    text = metered.page("text/plain").body.decode()
    about = re.findall(r"^# TYPE (\S+)", text, re.M)
    assert about == [re.match(r"\| `(\w+)`", row)[1] for row in rows()[2:]]
