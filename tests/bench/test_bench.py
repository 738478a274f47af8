"""The benchmark judges others, so it is judged here: what it sends, what it counts, what it refuses
to call a measurement, and the model's sums. No figure of speed is looked at."""

import contextlib
import json
import os
import pathlib
import re
import socket
import subprocess
import sys
import threading
import time
import types

import pytest

ROOT = pathlib.Path(__file__).resolve().parents[2]
PROGRAMS = pathlib.Path(os.environ.get("ADTALLY_BUILD", ROOT / "build")) / "bench"
BINARY = pathlib.Path(os.environ.get("ADTALLY_BIN", ROOT / "build" / "adtally"))
sys.path.insert(0, str(ROOT / "bench"))

import measure  # noqa: E402  (the path comes first)
import parts  # noqa: E402
import reports  # noqa: E402
import scaling  # noqa: E402
import servers  # noqa: E402
import table  # noqa: E402
import workloads  # noqa: E402
from peers.plain import Floor  # noqa: E402

NO_CONTENT = b"HTTP/1.1 204 No Content\r\n\r\n"


class Toy:
    """A server of a thread a connection, which answers as it is told to and keeps what it got."""

    def __init__(self, answer):
        self.answer, self.requests = answer, []
        self.listener = socket.create_server(("127.0.0.1", 0))
        self.port = self.listener.getsockname()[1]
        threading.Thread(target=self.accept, daemon=True).start()

    def accept(self):
        while True:
            try:
                connection, _ = self.listener.accept()
            except OSError:
                return
            threading.Thread(target=self.serve, args=(connection,), daemon=True).start()

    def serve(self, connection):
        buffered = b""
        with connection:
            while (got := connection.recv(65536)):
                buffered += got
                head, end, body = buffered.partition(b"\r\n\r\n")
                length = re.search(rb"Content-Length: (\d+)", head)
                if not end or len(body) < int(length[1] if length else 0):
                    continue
                self.requests.append(buffered.decode())
                buffered = b""
                answer = self.answer(len(self.requests))
                if not answer:
                    return
                connection.sendall(answer)


@pytest.fixture
def toy():
    made = []

    def make(answer):
        made.append(Toy(answer))
        return made[-1]

    yield make
    for each in made:
        each.listener.close()


def load(port, *requests, connections=1, seconds=0.3, rate=0, keys=1000):
    arguments = [argument for request in requests for argument in ("--request", request)]
    run = subprocess.run(
        list(map(str, (PROGRAMS / "load", "--port", port, "--connections", connections, "--seconds",
                       seconds, "--rate", rate, "--keys", keys, "--epoch-ms", 1_700_000_000_000,
                       *arguments))), capture_output=True, text=True, check=True, timeout=60)
    return json.loads(run.stdout)


@pytest.fixture
def template(tmp_path):
    path = tmp_path / "template"
    body = '{"k":"{k}","n":"{n}","c":"{click}","b":"{bid}"}'
    path.write_bytes(workloads.post("/x", body).encode())
    return path


# -- what is sent ------------------------------------------------------------------------------


def test_each_number_is_taken_once_and_no_two_requests_are_alike(toy, template):
    server = toy(lambda _: NO_CONTENT)
    result = load(server.port, f"1:each:0:700:{template}", seconds=20, keys=700)
    bodies = [json.loads(request.split("\r\n\r\n")[1]) for request in server.requests]
    assert result["requests"] == len(bodies) == 700
    assert sorted(int(body["k"]) for body in bodies) == list(range(700))
    for name in "ncb":
        assert len({body[name] for body in bodies}) == 700, name


def test_two_parts_of_the_numbers_share_none(toy, template):
    server = toy(lambda _: NO_CONTENT)
    for part in ("0:300", "300:700"):
        load(server.port, f"1:each:{part}:{template}", seconds=20, keys=700)
    assert len({re.search(r'"k":"(\d+)"', request)[1] for request in server.requests}) == 700


def test_a_click_is_named_as_fill_records_it(toy, template):
    server = toy(lambda _: NO_CONTENT)
    load(server.port, f"1:random:0:0:{template}", keys=50)
    printed = subprocess.run([PROGRAMS / "fill", "1700000000000", "50"], capture_output=True,
                             text=True, check=True).stdout.split()
    bodies = [json.loads(request.split("\r\n\r\n")[1]) for request in server.requests]
    assert bodies and all(printed[int(body["k"])] == body["c"] for body in bodies)


def test_lines_are_sent_as_they_stand(toy, tmp_path):
    lines = tmp_path / "lines"
    lines.write_text('/a?p=1\n/b\t{"x":1}\n/c\n')
    server = toy(lambda _: NO_CONTENT)
    assert load(server.port, f"1:lines:0:2:{lines}", seconds=20)["requests"] == 2
    assert server.requests[0].startswith("GET /a?p=1 HTTP/1.1\r\n")
    assert server.requests[1].startswith("POST /b HTTP/1.1\r\n")
    assert server.requests[1].endswith('Content-Length: 7\r\n\r\n{"x":1}')


def test_a_mix_keeps_to_its_weights(toy, tmp_path):
    for name in "ab":
        (tmp_path / name).write_bytes(workloads.post(f"/{name}", "{}").encode())
    server = toy(lambda _: NO_CONTENT)
    load(server.port, f"3:random:0:0:{tmp_path / 'a'}", f"1:random:0:0:{tmp_path / 'b'}")
    share = sum(request.startswith("POST /a") for request in server.requests) / len(server.requests)
    assert len(server.requests) > 200 and 0.6 < share < 0.9


# -- what is counted ---------------------------------------------------------------------------

BODY = b"HTTP/1.1 200 OK\r\ncontent-length: 5\r\n\r\nhello"
CHUNKS = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\n\r\n"


@pytest.mark.parametrize("answer", [NO_CONTENT, BODY, CHUNKS], ids=["none", "length", "chunks"])
def test_every_answer_is_found_whole(toy, template, answer):
    server = toy(lambda _: answer)
    result = load(server.port, f"1:random:0:0:{template}", connections=3)
    assert result["requests"] == len(server.requests) > 10
    assert result["broken"] == result["unanswered"] == 0
    assert result["status"] == {answer[9:12].decode(): result["requests"]}


def test_with_a_rate_a_stall_is_felt_by_all_that_it_delayed(toy, template):
    """Of a second at 200/s a stall of 0.3 s delays a third; without one a client waits once."""

    def answer(number):
        time.sleep(0.3 if number == 50 else 0)
        return NO_CONTENT

    spec = f"1:random:0:0:{template}"
    opened = load(toy(answer).port, spec, seconds=1, rate=200)
    closed = load(toy(answer).port, spec, seconds=1)
    assert opened["requests"] == 200
    assert opened["p99_us"] > 200_000
    assert closed["p99_us"] < 200_000 and closed["max_us"] > 250_000


def checked(toy_server, template):
    result = load(toy_server.port, f"1:random:0:0:{template}", connections=2)
    toy_server.name = "toy"
    measure.check(toy_server, workloads.WORKLOADS["conversion"], result)


def test_a_good_run_is_valid(toy, template):
    checked(toy(lambda _: BODY), template)


@pytest.mark.parametrize("answer", [
    lambda number: BODY if number != 7 else BODY.replace(b"200", b"503"),
    lambda number: BODY if number != 7 else b"",
], ids=["refusal", "cut"])
def test_a_bad_answer_is_no_measurement(toy, template, answer):
    with pytest.raises(measure.Invalid):
        checked(toy(answer), template)


def test_rows_that_do_not_add_up_are_no_measurement():
    server = Floor(None)
    conversion, duplicate = (workloads.WORKLOADS[name] for name in ("conversion", "duplicate"))
    measure.check_rows(server, conversion, 5, 15, {"requests": 10})
    measure.check_rows(server, duplicate, 5, 5, {"requests": 10})
    for workload, after in ((conversion, 14), (conversion, 16), (duplicate, 6)):
        with pytest.raises(measure.Invalid):
            measure.check_rows(server, workload, 5, after, {"requests": 10})


# -- a small run, with the real parts ----------------------------------------------------------


def test_workloads_on_the_real_server(tmp_path):
    adtally = servers.Adtally(BINARY, tmp_path / "data")
    data = workloads.DataSet(adtally, PROGRAMS, 3000, ads=500, shares=2)
    data.fill()
    adtally.start()
    try:
        data.mint()
        for workload in workloads.WORKLOADS.values():
            result = measure.measure(PROGRAMS, adtally, data, workload, 8, 0.2)
            assert result["requests"] > 0 and result["memory"] > 0, workload.name
        assert result["bytes_each"] > 0
    finally:
        adtally.stop()
    verify = subprocess.run([BINARY, "verify", "--data", adtally.data], capture_output=True,
                            text=True, check=False)
    assert verify.returncode == 0, verify.stdout


def test_reports_and_the_writer_beside_them(tmp_path, capsys):
    options = types.SimpleNamespace(report_events=20_000, rounds=1, tail_seconds=0.3)
    with contextlib.ExitStack() as stack:
        bench = parts.Bench(BINARY.parent.parent, tmp_path, options, table.Table(), stack)
        bench.binary, bench.programs = BINARY, PROGRAMS
        reports.part(bench)
    out = capsys.readouterr().out
    assert out.count("\n| ") == 2 + len(reports.USUAL) * len(reports.ZONES)
    assert [name for name, *_ in bench.table.targets] == [
        "sums: CPU an event", "reports over 20,000 events: the slowest",
        "the writer's p99 beside reports"]
    assert all(figure > 0 for _, figure, *_ in bench.table.targets)


def test_a_report_that_fails_ends_the_run(tmp_path):
    adtally = reports.Reported(BINARY, tmp_path / "none")
    with pytest.raises(SystemExit):
        reports.run_cold(adtally, "by=week")


def test_the_floor_answers_and_its_time_is_counted(tmp_path, template):
    floor = Floor(PROGRAMS / "floor")
    floor.start()
    try:
        before = floor.usage().cpu_seconds
        result = load(floor.port, f"1:random:0:0:{template}", connections=16)
        assert result["status"] == {"204": result["requests"]}
        assert floor.usage().cpu_seconds > before
    finally:
        floor.stop()


# -- sums --------------------------------------------------------------------------------------


def test_numbers_as_people_write_them():
    assert [table.count_of(text) for text in ("1000", "250k", "50M")] == [1000, 250_000, 50_000_000]
    assert workloads.width("{click}-{k}{n}") == 36 + 1 + 12 + 12


@pytest.mark.parametrize("loops, loops_us, rest_us, rate", [
    (1, 8, 2, 125_000),  # the loop's thread
    (2, 8, 2, 200_000),  # two cores
    (2, 2, 10, 100_000),  # the ledger's thread
])
def test_capacity_is_of_what_runs_out_first(loops, loops_us, rest_us, rate):
    assert parts.Split(loops, loops_us, rest_us).capacity() == pytest.approx(rate)


def test_a_split_gives_each_thread_its_part():
    split = parts.split_of({"1": 0.3, "2": 0.1, "3": 0.2}, 100_000, ["1", "3"])
    assert (split.loops, split.loops_us, split.rest_us) == (2, pytest.approx(5), pytest.approx(1))


COSTS = {"loop_us": 8, "op_us": 2, "batch_us": 50, "sync_us": 100}


def model(cores, clients, requests=20_000):
    return scaling.Model(cores, clients, **COSTS).run(requests)


def test_a_client_alone_waits_for_all_parts():
    assert scaling.at(model(4, 1)["latencies"], 0.5) == pytest.approx(8 + 2 + 50 + 100, rel=0.05)


def test_more_cores_help_until_the_ledger_is_the_limit():
    rates = [model(cores, 2048)["rate"] for cores in (1, 2, 4, 16, 64)]
    limits = [scaling.bound(cores, **COSTS) for cores in (1, 2, 4, 16, 64)]
    assert all(0.5 * limit < rate < 1.05 * limit for rate, limit in zip(rates, limits))
    assert rates[1] > 1.6 * rates[0] and rates[4] < 1.05 * rates[3]
    full_batches = (8 + 2 + 50 / 1024) / (2 + 150 / 1024)
    assert scaling.saturation(**COSTS) == pytest.approx(full_batches)


def test_a_targets_verdict(capsys):
    printed = table.Table()
    printed.target("low", 1.0, 1.5)
    printed.target("high", 1.0, 1.5, at_least=True)
    printed.print_targets()
    lines = capsys.readouterr().out.splitlines()
    assert lines[-2].endswith("| met |") and lines[-1].endswith("| MISSED |")
