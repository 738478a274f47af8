"""Two servers over one PostgreSQL, beside what the store alone takes from loops in C and beside an
application of the usual kind: one run, one cluster, a database for each."""

import dataclasses
import json
import pathlib
import re
import resource
import subprocess
import sys

from measure import check, run_load
from peers.postgres import HERE
from peers.team import FastApi
from servers import Adtally, cpu_seconds, tree_of
from workloads import WORKLOADS, DataSet

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1] / "tests"))
from support.postgres import Cluster  # noqa: E402

NODES, BATCH, CLICKS, ALONE_OPS = 2, 256, 200_000, 240_000
LOOPS_MAX = 4  # more take no more conversions
WARM_SECONDS = 1
ALONE_MIN, FASTAPI_MIN = 0.8, 10


class Shared(Cluster):
    """The cluster of all that is compared, asked over its socket."""

    SETTINGS = {"shared_buffers": "512MB", "max_wal_size": "4GB"}

    def __init__(self, **settings):
        super().__init__(self.SETTINGS | settings)

    def url(self, database="postgres", user="tester", password=None, query=""):
        return f"postgresql://{user}@/{database}?host={self.dir}&port={self.port}"

    def cpu_seconds(self):
        """Of all its processes, and of those that have ended."""
        while True:
            try:
                return sum(cpu_seconds(f"/proc/{pid}") for pid in tree_of(self.postmaster()))
            except (FileNotFoundError, ProcessLookupError):
                pass  # one ended meanwhile: what it used is the postmaster's from now on

    def number(self, database, sql):
        return int(self.sql(sql, database)[0][0])


class Node(Adtally):
    """One of several; DIR has only the configuration."""

    def __init__(self, binary, data, url, lanes):
        super().__init__(binary, data)
        data.mkdir(parents=True)
        lines = [f"store = {url}", "log_failures = off", f"store_connections = {lanes}"]
        (data / "adtally.conf").write_text("\n".join(lines) + "\n")


class SharedSet(DataSet):
    """Clicks in the database, and how to name them."""

    def fill_database(self, url):
        self.prepare()
        subprocess.run([self.programs / "fill", url, str(self.epoch_ms), str(self.keys), "0", "0"],
                       stdout=subprocess.DEVNULL, check=True)

    def prepare(self):
        self.folder.mkdir(parents=True)
        self.partner_key = self.adtally.create_key("--class", "partner", "--partner-id", "bench")
        self.write_templates()


class SameCluster(FastApi):
    """FastAPI, in a database of the cluster that the others use."""

    def __init__(self, data, load, cluster):
        super().__init__(data, load, "one")
        self.cluster, self.database = cluster, cluster.new_database()

    def start_database(self):
        self.psql(file=HERE / "schema.sql")

    def psql(self, sql=None, file=None, stdin=None):
        what = ["-c", sql] if sql else ["-f", str(file)]
        run = subprocess.run(["psql", self.cluster.url(self.database), "-qAtX", "-v",
                              "ON_ERROR_STOP=1", *what], stdin=stdin, stdout=subprocess.PIPE,
                             text=True, check=True)
        return run.stdout.strip()

    def environment(self):
        return super().environment() | {
            "PGHOST": str(self.cluster.dir), "PGPORT": str(self.cluster.port),
            "PGUSER": "tester", "PGDATABASE": self.database}


@dataclasses.dataclass
class Cost:
    """Of one conversion, in microseconds of processor time."""

    rate: float
    client_us: float  # adtally, the application, or the loop in C
    database_us: float
    load_us: float = 0
    batch: float = 1
    requests: int = 0

    def system_us(self):
        return self.client_us + self.database_us


def children_seconds():
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime


def alone(bench, cluster, count):
    """So many loops at once in one database, each with conversions of its own."""
    url = cluster.url(cluster.new_database())
    program = str(bench.programs / "store_bench")
    subprocess.run([program, url, str(CLICKS), "512", "click", "0", str(CLICKS)],
                   stdout=subprocess.DEVNULL, check=True)
    settle(cluster)
    database, client = cluster.cpu_seconds(), children_seconds()
    each = ALONE_OPS // count
    loops = [subprocess.Popen([program, url, str(CLICKS), str(BATCH), "conversion",
                               str(number * each), str(each)],
                              stdout=subprocess.PIPE, text=True) for number in range(count)]
    outs = [loop.communicate()[0] for loop in loops]
    database, client = cluster.cpu_seconds() - database, children_seconds() - client
    rate = sum(float(re.search(r"([0-9]+) a second", out)[1]) for out in outs)
    ops = count * each
    return Cost(rate, client * 1e6 / ops, database * 1e6 / ops, batch=BATCH)


def settle(cluster):
    """What is left to do of one part is not done in the next."""
    cluster.sql("CHECKPOINT")


def drive(bench, nodes, data, workload, connections, seconds):
    """The load of all nodes at once: what each generator counted."""
    arguments = [data.requests(WORKLOADS[workload], node.name) for node in nodes]
    loads = [subprocess.Popen(
        [bench.programs / "load", "--port", str(node.port), "--connections", str(connections),
         "--seconds", str(seconds), "--rate", "0", *more],
        stdout=subprocess.PIPE, text=True) for node, more in zip(nodes, arguments)]
    results = [json.loads(load.communicate()[0]) for load in loads]
    for node, result in zip(nodes, results):
        check(node, WORKLOADS[workload], result)
    return results


def batches(cluster, database):
    """Each lane counts its own."""
    return cluster.number(database, "SELECT coalesce(sum(batch), 0) FROM lane")


def measured(bench, cluster, database, nodes, data, workload, seconds):
    """What a conversion costs everybody, and that each answer has its row."""
    rows_sql, connections = "SELECT count(*) FROM conversion", bench.options.clients // len(nodes)
    rows, count = cluster.number(database, rows_sql), batches(cluster, database)
    before, spent = [node.usage().cpu_seconds for node in nodes], cluster.cpu_seconds()
    results = drive(bench, nodes, data, workload, connections, seconds)
    spent = cluster.cpu_seconds() - spent
    servers = sum(node.usage().cpu_seconds for node in nodes) - sum(before)
    requests = sum(result["requests"] for result in results)
    wanted = requests * WORKLOADS[workload].rows_each
    found = cluster.number(database, rows_sql) - rows
    if found != wanted:
        raise SystemExit(f"bench: {found} rows for {requests} answers, not {wanted}")
    return Cost(sum(result["requests"] / (result["duration_us"] / 1e6) for result in results),
                servers * 1e6 / requests, spent * 1e6 / requests,
                sum(result["load_cpu_us"] for result in results) / requests,
                requests / max(1, batches(cluster, database) - count), requests)


def together(bench, cluster):
    """Two servers, over HTTP."""
    url = cluster.url(database := cluster.new_database())
    nodes = [Node(bench.binary, bench.data / f"node-{number}", url, bench.options.lanes)
             for number in range(NODES)]
    data = SharedSet(nodes[0], bench.programs, CLICKS)
    data.fill_database(url)
    try:
        for node in nodes:
            node.start()
        drive(bench, nodes, data, "conversion", bench.options.clients // NODES, WARM_SECONDS)
        settle(cluster)
        cost = measured(bench, cluster, database, nodes, data, "conversion",
                        bench.options.seconds * 3)
    finally:
        for node in nodes:
            node.stop()  # before the database
    return cost, data


def fastapi(bench, cluster, data):
    """The usual application, with as many clients."""
    app = SameCluster(bench.data / "fastapi", data, cluster)
    workload, clients = WORKLOADS["conversion"], bench.options.clients
    try:
        app.start()
        run_load(bench.programs, app, data, workload, clients, WARM_SECONDS)
        settle(cluster)
        before, spent = app.usage().cpu_seconds, cluster.cpu_seconds()
        result = run_load(bench.programs, app, data, workload, clients, bench.options.seconds * 3)
        check(app, workload, result)
        requests = result["requests"]
        return Cost(requests / (result["duration_us"] / 1e6),
                    (app.usage().cpu_seconds - before) * 1e6 / requests,
                    (cluster.cpu_seconds() - spent) * 1e6 / requests,
                    result["load_cpu_us"] / requests)
    finally:
        app.stop()


def print_costs(bench, loops, servers, app):
    print(f"\nconversions, {CLICKS:,} clicks, PostgreSQL with synchronous_commit and fsync; CPU us "
          "of each\n\n"
          "| over PostgreSQL | conversions/s | a batch | program | database | load generators |\n"
          "| --- | --: | --: | --: | --: | --: |")
    rows = [(f"the store alone, loops in C: {count}", cost) for count, cost in loops.items()]
    rows += [(f"{NODES} servers, {bench.options.clients} clients", servers),
             (f"FastAPI + asyncpg, {bench.options.clients} clients", app)]
    for name, cost in rows:
        print(f"| {name} | {cost.rate:,.0f} | {cost.batch:.0f} | {cost.client_us:.1f} "
              f"| {cost.database_us:.1f} | {cost.load_us:.1f} |")


def part(bench):
    counts = sorted({1, NODES * bench.options.lanes, LOOPS_MAX})
    with Shared().running() as cluster:
        loops = {count: alone(bench, cluster, count) for count in counts}
        servers, data = together(bench, cluster)
        app = fastapi(bench, cluster, data)
    print_costs(bench, loops, servers, app)
    target = bench.table.target
    for count, cost in loops.items():
        target(f"PostgreSQL: requests/s of two servers, of the store's alone in C, loops: {count}",
               servers.rate / cost.rate, ALONE_MIN, at_least=True)
    target("the same by CPU, the load generators' left out",
           loops[LOOPS_MAX].system_us() / servers.system_us(), ALONE_MIN, at_least=True)
    target("PostgreSQL: requests/s of two servers, of FastAPI + asyncpg's",
           servers.rate / app.rate, FASTAPI_MIN, at_least=True)
