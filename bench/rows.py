"""What a conversion costs the database when it has many rows: the same load over two sizes of the
same database, which is filled by the server itself with what the engine would have written."""

import concurrent.futures
import contextlib
import dataclasses
import os
import subprocess
import time

from postgres import NODES, Node, Shared, SharedSet, measured
from table import scale

FEW, SAMPLE, WARM_SECONDS = 1_000_000, 1000, 3
WORK_MAX = 1.5
# Of all clicks that there are, and of as many as there are in the small size, one after the other
# in time: conversions follow their clicks, so most of them are of the latest.
OF_ALL, OF_SOME = "conversion of any click", f"conversion of {FEW // 2:,} clicks"

# Rows of the n-th click and of its conversion, made after a row `t` that the engine has written:
# what is another in each, and which rows to take. bench/fill.c says the keys. Checksums stay t's.
BID = "md5('bid' || g.n)::uuid::text"
NUMBER = "lpad(g.n::text, 12, '0')"
TABLES = {
    "click": ({"seq": "{seq}", "click_id": "g.id", "bid_id": BID}, ""),
    "click_key": ({"seq": "{seq}", "click_id": "g.id", "bid_id": BID}, ""),
    "bid_key": ({"seq": "{seq}", "bid_id": BID}, ""),
    "conversion": ({"seq": "{seq} + {count}", "click_id": "g.id", "click_seq": "{seq}",
                    "idempotency_key": f"'fill-' || {NUMBER}",
                    "order_id": f"'order-' || {NUMBER}"}, ""),
    "conversion_key": ({"seq": "{seq} + {count}", "click_id": "g.id",
                        "key": f"split_part(t.key, '-', 1) || '-' || {NUMBER}"},
                       "WHERE seq = (SELECT min(seq) FROM conversion_key)"),
}
# Keys come in no order, so their indexes are as full as those that grew.
FILL_FACTOR = {"conversion_key": 70, "bid_key": 70}


class Growing(Shared):
    """With the memory that its manual wants, and without vacuums in between."""

    def __init__(self):
        memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
        super().__init__(shared_buffers=f"{memory // 4 >> 20}MB", autovacuum="off",
                         maintenance_work_mem="1GB", max_wal_size="4GB",
                         checkpoint_timeout="30min")


class Filler:
    """Rows of a database, up to any number."""

    def __init__(self, cluster, database, data, programs):
        self.cluster, self.database, self.data, self.programs = cluster, database, data, programs
        self.clicks = 0

    def sql(self, statement):
        return self.cluster.sql(statement, self.database)

    def names(self, clicks):
        """The ids of clicks, numbered from 0."""
        self.sql("DROP TABLE IF EXISTS given; CREATE UNLOGGED TABLE given (n bigint GENERATED"
                 " ALWAYS AS IDENTITY (MINVALUE 0 START 0), id text)")
        with subprocess.Popen([self.programs / "fill", str(self.data.epoch_ms), str(clicks)],
                              stdout=subprocess.PIPE) as ids:
            subprocess.run(["psql", "-qX", self.cluster.url(self.database), "-c",
                            "COPY given (id) FROM STDIN"], stdin=ids.stdout, check=True)

    def grow(self, clicks):
        """So many clicks, each with a conversion: seconds that it took."""
        started = time.monotonic()
        if not self.clicks:
            self.sample()
        self.names(clicks)
        with self.without_indexes():
            self.each(lambda table: self.insert(table, clicks - self.clicks), TABLES)
        self.sql(f"UPDATE counter SET next_seq = next_seq + {2 * (clicks - self.clicks)};"
                 f"DROP TABLE given; VACUUM ANALYZE; CHECKPOINT")
        self.clicks = clicks
        return time.monotonic() - started

    def sample(self):
        """By the engine."""
        subprocess.run([self.programs / "fill", self.cluster.url(self.database),
                        str(self.data.epoch_ms), str(SAMPLE), str(SAMPLE), "0"],
                       stdout=subprocess.DEVNULL, check=True)
        self.clicks = SAMPLE

    def insert(self, table, count):
        others, which = TABLES[table]
        columns = [row[0] for row in self.sql(
            "SELECT quote_ident(column_name) FROM information_schema.columns WHERE table_name ="
            f" '{table}' AND table_schema = 'public' ORDER BY ordinal_position")]
        first = self.sql("SELECT next_seq FROM counter")[0][0]
        seq = f"({first} + g.n - {self.clicks})"
        values = [others.get(name, f"t.{name}").format(seq=seq, count=count) for name in columns]
        which = which or f"WHERE seq = (SELECT min(seq) FROM {table})"
        self.sql(f"INSERT INTO {table} SELECT {', '.join(values)} FROM given g, (SELECT * FROM"
                 f" {table} {which}) t WHERE g.n >= {self.clicks}")

    @contextlib.contextmanager
    def without_indexes(self):
        """They are made at once, behind the rows."""
        again = []
        for table in TABLES:
            for name, text in self.sql(
                    "SELECT conname, pg_get_constraintdef(oid) FROM pg_constraint WHERE contype ="
                    f" 'p' AND conrelid = '{table}'::regclass"):
                self.sql(f"ALTER TABLE {table} DROP CONSTRAINT {name}")
                factor = FILL_FACTOR.get(table, 90)
                text = text.split(" WITH (")[0]
                again.append(f"ALTER TABLE {table} ADD CONSTRAINT {name} {text}"
                             f" WITH (fillfactor = {factor})")
            for name, text in self.sql("SELECT indexrelid::regclass, pg_get_indexdef(indexrelid)"
                                       f" FROM pg_index WHERE indrelid = '{table}'::regclass"):
                self.sql(f"DROP INDEX {name}")
                again.append(text.replace(" ON ONLY ", " ON "))
        yield
        self.each(self.sql, again)

    @staticmethod
    def each(action, items):
        """Two at a time, which is as many as there are processors where this is run."""
        with concurrent.futures.ThreadPoolExecutor(2) as pool:
            list(pool.map(action, items))


@dataclasses.dataclass
class Work:
    """Of one request, in the database."""

    cost: object
    wal_bytes: float
    full_pages: float
    hits: float
    reads: float


def counters(cluster, database):
    """As sessions that ended have left them."""
    while cluster.number(database, "SELECT count(*) FROM pg_stat_activity WHERE application_name"
                                   " = 'adtally'"):
        time.sleep(0.05)
    rows = cluster.sql("SELECT wal_bytes, wal_fpi, blks_hit, blks_read FROM pg_stat_wal,"
                       f" pg_stat_database WHERE datname = '{database}'", database)
    return [int(value) for value in rows[0]]


def run(bench, cluster, database, nodes, data, workload, seconds):
    """One load, of servers that start and end with it."""
    before, requests = counters(cluster, database), 0
    try:
        for node in nodes:
            node.start()
        cost = measured(bench, cluster, database, nodes, data, workload, seconds)
        requests = cost.requests
    finally:
        for node in nodes:
            node.stop()
    after = counters(cluster, database)
    return Work(cost, *((new - old) / requests for new, old in zip(after, before)))


def size(bench, cluster, filler, nodes, data, clicks):
    """Works at so many clicks, new conversions and duplicates of those that the server made."""
    seconds = filler.grow(clicks)
    data.keys = clicks
    on_disk = cluster.number(filler.database, "SELECT pg_database_size(current_database())")
    print(f"{scale(2 * clicks)} events: filled in {seconds:,.0f} s, {on_disk / 1e9:.1f} GB",
          flush=True)
    arguments = (bench, cluster, filler.database, nodes, data)
    works = {}
    for name, keys in ((OF_SOME, FEW // 2), (OF_ALL, clicks)):
        data.keys = keys
        run(*arguments, "conversion", WARM_SECONDS)
        cluster.sql("CHECKPOINT")
        works[name] = run(*arguments, "conversion", bench.options.seconds * 3)
    works["duplicate of any"] = run(*arguments, "duplicate", bench.options.seconds)
    return works


def print_works(sizes):
    print("\n| events | request | requests/s | a batch | CPU us, database | WAL bytes | full pages "
          "| buffer hits | reads |\n| --- | --- | --: | --: | --: | --: | --: | --: | --: |")
    for events, works in sizes.items():
        for name, work in works.items():
            batch = f"{work.cost.batch:.0f}" if work.wal_bytes >= 100 else ""  # written
            print(f"| {scale(events)} | {name} | {work.cost.rate:,.0f} | {batch} "
                  f"| {work.cost.database_us:.1f} | {work.wal_bytes:,.0f} | {work.full_pages:.2f} "
                  f"| {work.hits:.1f} | {work.reads:.2f} |")


def grow(bench):
    with Growing().running() as cluster:
        database = cluster.new_database()
        url = cluster.url(database)
        nodes = [Node(bench.binary, bench.data / f"node-{number}", url, bench.options.lanes)
                 for number in range(NODES)]
        data = SharedSet(nodes[0], bench.programs, FEW // 2)
        data.prepare()
        filler = Filler(cluster, database, data, bench.programs)
        sizes = {events: size(bench, cluster, filler, nodes, data, events // 2)
                 for events in (FEW, bench.options.rows)}
    print_works(sizes)
    for name in (OF_SOME, OF_ALL):
        compare(bench, name, *(works[name] for works in sizes.values()))


def compare(bench, name, few, many):
    for what, ratio in (("CPU of the database", many.cost.database_us / few.cost.database_us),
                        ("buffers", (many.hits + many.reads) / (few.hits + few.reads)),
                        ("WAL", many.wal_bytes / few.wal_bytes)):
        bench.table.target(f"{name}: {what} at {scale(bench.options.rows)} events, of that at "
                           f"{scale(FEW)}", ratio, WORK_MAX)
