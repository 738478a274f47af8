"""One run: load on one system, and what the run cost it; and medians of several."""

import json
import statistics
import subprocess
import time

SETTLE_SECONDS = 0.3


class Invalid(Exception):
    """A run that was no measurement: refusals, or rows that do not add up."""


def run_load(programs, server, data, workload, connections, seconds, rate=0):
    """What the load generator counted. The same requests, byte for byte, for every system."""
    arguments = data.requests(workload, server.name)
    if hasattr(server, "drive"):
        return server.drive(connections, seconds, data.runs)
    run = subprocess.run(
        [programs / "load", "--port", str(server.port), "--connections", str(connections),
         "--seconds", str(seconds), "--rate", str(rate), *arguments],
        stdout=subprocess.PIPE, text=True, check=True)
    return json.loads(run.stdout)


def check(server, workload, result):
    """Every request was answered, and as it should be. A ceiling's 204 to all is its answer."""
    good = set(workload.statuses) if hasattr(server, "data") else {"200", "204"}
    bad = {status: count for status, count in result["status"].items() if status not in good}
    if bad or result["broken"] or result["unanswered"] or not result["requests"]:
        raise Invalid(f"{server.name}, {workload.name}: bad answers {bad}, {result['broken']} "
                      f"broken, {result['unanswered']} unanswered")


def check_rows(server, workload, before, after, result):
    """Each 2xx is one row, in whoever keeps rows."""
    wanted = result["requests"] * workload.rows_each
    if after - before != wanted:
        raise Invalid(f"{server.name}, {workload.name}: {after - before} rows for "
                      f"{result['requests']} answers, not {wanted}")


def rows_of(server, workload):
    if not hasattr(server, "rows") or workload.table is None:
        return None
    return server.rows(workload.table) if workload.table != "conversion" else server.rows()


def measure(programs, server, data, workload, connections, seconds, rate=0):
    """A run with its cost: of all the system's processes, from before the first request until after
    the last answer."""
    rows = rows_of(server, workload)
    before = server.usage()
    result = run_load(programs, server, data, workload, connections, seconds, rate)
    after = server.usage()
    check(server, workload, result)
    if rows is not None:
        check_rows(server, workload, rows, rows_of(server, workload), result)
    requests = result["requests"]
    result["rate"] = requests / (result["duration_us"] / 1e6)
    result["cpu_us"] = (after.cpu_seconds - before.cpu_seconds) * 1e6 / requests
    result["bytes_each"] = (after.write_bytes - before.write_bytes) / requests
    result["memory"] = after.pss_bytes
    return result


def rounds(programs, servers, data, workload, connections, seconds, count):
    """Interleaved: every system once a round. The median of each figure, by system."""
    results = {server.name: [] for server in servers}
    for _ in range(count):
        for server in servers:
            results[server.name].append(
                measure(programs, server, data, workload, connections, seconds))
            time.sleep(SETTLE_SECONDS)
    return {name: medians(runs) for name, runs in results.items()}


def medians(runs):
    fields = [name for name, value in runs[0].items() if isinstance(value, (int, float))]
    return {name: statistics.median(run[name] for run in runs) for name in fields}
