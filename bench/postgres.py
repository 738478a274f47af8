"""Two servers over one PostgreSQL, beside what the store alone takes from a loop in C: one run, the
same cluster, a database for each."""

import json
import pathlib
import re
import subprocess
import sys
import time

from servers import Adtally, cpu_seconds, tree_of
from workloads import WORKLOADS, DataSet

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1] / "tests"))
from support.postgres import Cluster  # noqa: E402

LANES, CONNECTIONS, ALONE_OPS, BATCH = 4, 128, 50_000, 256
SETTINGS = {"shared_buffers": "512MB", "max_wal_size": "4GB"}


class Node(Adtally):
    """One of several; DIR has only the configuration."""

    def __init__(self, binary, data, url):
        super().__init__(binary, data)
        data.mkdir(parents=True)
        (data / "adtally.conf").write_text(f"store = {url}\nstore_connections = {LANES}\n")


class Shared(DataSet):
    """Clicks in the database, and how to name them."""

    def fill_database(self, url):
        self.folder.mkdir(parents=True)
        self.partner_key = self.adtally.create_key("--class", "partner", "--partner-id", "bench")
        subprocess.run([self.programs / "fill", url, str(self.epoch_ms), str(self.keys), "0", "0"],
                       stdout=subprocess.DEVNULL, check=True)
        self.write_templates()


def cpu_of(pid):
    return sum(cpu_seconds(f"/proc/{below}") for below in tree_of(pid))


def alone(bench, cluster):
    """Conversions a second from LANES loops at once, each on a database of its own."""
    loops = [subprocess.Popen([bench.programs / "store_bench", cluster.url(cluster.new_database()),
                               str(ALONE_OPS), str(BATCH)], stdout=subprocess.PIPE, text=True)
             for _ in range(LANES)]
    outs = [loop.communicate()[0] for loop in loops]
    return sum(float(re.search(r"^conversion .* ([0-9]+) a second", out, re.M)[1]) for out in outs)


def postmaster(cluster):
    return int((cluster.data / "postmaster.pid").read_text().split()[0])


def together(bench, cluster):
    """The same over HTTP: rate, CPU of the servers and of the database for each conversion."""
    url = cluster.url(cluster.new_database())
    nodes = [Node(bench.binary, bench.data / f"node-{number}", url) for number in range(2)]
    data = Shared(nodes[0], bench.programs, 200_000)
    data.fill_database(url)
    for node in nodes:
        bench.start(node)
    before = [node.usage() for node in nodes], cpu_of(postmaster(cluster))
    started = time.monotonic()
    arguments = [data.requests(WORKLOADS["conversion"], node.name) for node in nodes]
    loads = [subprocess.Popen(
        [bench.programs / "load", "--port", str(node.port), "--connections", str(CONNECTIONS),
         "--seconds", str(bench.options.seconds * 3), "--rate", "0", *more],
        stdout=subprocess.PIPE, text=True) for node, more in zip(nodes, arguments)]
    results = [json.loads(load.communicate()[0]) for load in loads]
    seconds = time.monotonic() - started
    requests = sum(result["requests"] for result in results)
    spent = sum((node.usage().cpu_seconds - was.cpu_seconds)
                for node, was in zip(nodes, before[0]))
    database = cpu_of(postmaster(cluster)) - before[1]
    for node in nodes:
        node.stop()  # before the database
    rows = int(cluster.sql("SELECT count(*) FROM conversion", url.rsplit("/", 1)[1])[0][0])
    return {"rate": requests / seconds, "node_us": spent * 1e6 / requests,
            "database_us": database * 1e6 / requests, "rows": rows, "requests": requests,
            "statuses": [result["status"] for result in results]}


def part(bench):
    with Cluster(SETTINGS).running() as cluster:
        loops = alone(bench, cluster)
        nodes = together(bench, cluster)
    print(f"\nPostgreSQL, the store alone, {LANES} connections, batches of {BATCH}: "
          f"{loops:,.0f} conversions/s")
    print(f"two servers, {CONNECTIONS} clients each: {nodes['rate']:,.0f} conversions/s, "
          f"{nodes['rate'] / loops:.2f} of that; CPU each: servers {nodes['node_us']:.1f} us, "
          f"database {nodes['database_us']:.1f} us; {nodes['rows']:,} rows of "
          f"{nodes['requests']:,} answers {nodes['statuses']}")
