"""What the suites run over: ADTALLY_TEST_STORE is sqlite, the default, or postgres. Then each data
directory has a database of its own, in a cluster that lives as long as the run."""

import atexit
import contextlib
import ctypes
import ctypes.util
import functools
import json
import os
import pathlib
import sqlite3

from support.postgres import Cluster

IS_POSTGRES = os.environ.get("ADTALLY_TEST_STORE", "sqlite") == "postgres"
# These open the store, or take its options; the others speak to a running server or read the file.
COMMANDS = ("serve", "key", "token-key", "poll", "mint", "import", "reload", "export", "erase",
            "report", "verify")

_databases = {}


@functools.cache
def cluster():
    made = Cluster({"max_connections": "500"})
    atexit.register(made.destroy)
    made.create()
    return made


def database_of(data):
    path = str(pathlib.Path(data).resolve())
    if path not in _databases:
        _databases[path] = cluster().new_database()
    return _databases[path]


def share(data, other):
    """Makes `data` a directory over the database of `other`."""
    _databases[str(pathlib.Path(data).resolve())] = database_of(other)


def url_of(data):
    return cluster().url(database_of(data))


def forget(data):
    """The directory is gone: another one of its name is to be empty."""
    _databases.pop(str(pathlib.Path(data).resolve()), None)


def with_store(args):
    """The arguments of a command; those of `--data DIR` and no store get that of DIR."""
    args = [str(arg) for arg in args]
    if not IS_POSTGRES or not args or args[0] not in COMMANDS:
        return args
    if "--data" not in args[:-1] or "--store" in args:
        return args
    return [*args, "--store", url_of(args[args.index("--data") + 1])]


@functools.cache
def libpq():
    """A psql for each question would take longer than the tests."""
    library = ctypes.CDLL(ctypes.util.find_library("pq"))
    for name, result in (("PQconnectdb", ctypes.c_void_p), ("PQexec", ctypes.c_void_p),
                         ("PQgetvalue", ctypes.c_char_p), ("PQerrorMessage", ctypes.c_char_p)):
        getattr(library, name).restype = result
    return library


@functools.cache
def connection(url):
    return ctypes.c_void_p(libpq().PQconnectdb(url.encode()))


def value_of(url, sql):
    """The one value that the statement asks for; over a new connection when the old one broke."""
    conn = connection(url)
    result = ctypes.c_void_p(libpq().PQexec(conn, sql.encode()))
    try:
        tuples = libpq().PQresultStatus(result) == 2
        if not tuples and libpq().PQstatus(conn) != 0:
            libpq().PQreset(conn)
        assert tuples, libpq().PQerrorMessage(conn).decode()
        return libpq().PQgetvalue(result, 0, 0).decode()
    finally:
        libpq().PQclear(result)


@contextlib.contextmanager
def undone(data, sql):
    """What the statement does is there for questions of the block alone."""
    conn = connection(url_of(data))

    def run(statement):
        result = ctypes.c_void_p(libpq().PQexec(conn, statement.encode()))
        assert libpq().PQresultStatus(result) == 1, libpq().PQerrorMessage(conn).decode()
        libpq().PQclear(result)

    run("BEGIN")
    try:
        run(sql)
        yield
    finally:
        run("ROLLBACK")


def literal(value):
    if value is None:
        return "NULL"
    if isinstance(value, int):
        return str(value)
    return "'" + str(value).replace("'", "''") + "'"


def query_postgres(data, sql, args):
    parts = sql.split("?")
    assert len(parts) == len(args) + 1, sql
    filled = parts[0] + "".join(literal(a) + p for a, p in zip(args, parts[1:]))
    return json.loads(value_of(url_of(data),
                               f"SELECT coalesce(json_agg(one_row), '[]') FROM ({filled}) one_row"))


def query_sqlite(data, sql, args):
    conn = sqlite3.connect(f"file:{data}/adtally.db?mode=ro", uri=True, timeout=10)
    try:
        conn.row_factory = sqlite3.Row
        return [dict(row) for row in conn.execute(sql, args)]
    finally:
        conn.close()


def query(data, sql, *args):
    """Rows as dicts, over a connection that does not write."""
    return (query_postgres if IS_POSTGRES else query_sqlite)(data, sql, args)


def secret(data, name):
    (row,) = query(data, "SELECT encode(value, 'hex') AS value FROM secret WHERE name = ?", name)
    return bytes.fromhex(row["value"])


EVENTS = ("click", "conversion", "server_event", "impression", "feedback", "ad_feedback", "vote")
# What `adtally verify` looks at in a data file: rows that contradict each other. None may be there.
CONTRADICTIONS = {
    "a sequence of two events": "SELECT seq FROM ({}) e GROUP BY seq HAVING count(*) > 1".format(
        " UNION ALL ".join(f"SELECT seq FROM {table}" for table in EVENTS)),
    "a click's key without its click":
        "SELECT k.seq FROM click_key k LEFT JOIN click e ON e.seq = k.seq WHERE e.seq IS NULL",
    "a conversion's key without its conversion":
        "SELECT k.seq FROM conversion_key k LEFT JOIN conversion e ON e.seq = k.seq "
        "WHERE e.seq IS NULL",
    "an event's key without its event":
        "SELECT k.seq FROM event_key k LEFT JOIN server_event e ON e.seq = k.seq "
        "WHERE e.seq IS NULL",
    "a conversion without its click":
        "SELECT e.seq FROM conversion e LEFT JOIN click c ON c.seq = e.click_seq "
        "WHERE c.seq IS NULL",
    "votes that were counted otherwise":
        "SELECT 1 AS seq FROM (SELECT poll_id, option_id, sum(votes) n FROM vote_count "
        "GROUP BY 1, 2) c FULL JOIN (SELECT poll_id, option_id, count(*) n FROM vote "
        "GROUP BY 1, 2) v ON v.poll_id = c.poll_id AND v.option_id = c.option_id "
        "WHERE v.n IS DISTINCT FROM c.n",
}


def contradictions(data):
    """Of a database; {} when all is well."""
    found = {what: query(data, sql) for what, sql in CONTRADICTIONS.items()}
    return {what: rows[:5] for what, rows in found.items() if rows}


def latest_first():
    """Lanes take their sequences from leases: between them these say nothing of the order."""
    return "recorded_at_ms DESC, seq DESC" if IS_POSTGRES else "seq DESC"
