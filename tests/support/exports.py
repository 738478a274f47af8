"""`adtally export`, and what it has to say, read by SQL."""

import json

from support import receipts
from support import server as program
from support.world import TABLES

JSON_COLUMNS = ("params", "consent", "reasons", "device")


def export(data, *options, expect=0):
    return program.cli("export", "--format", "ndjson", *options, "--data", data, expect=expect)


def stored(data):
    key, rows = receipts.key_of(data), []
    for table in TABLES:
        for row in program.query(data, f"SELECT * FROM {table}"):
            del row["checksum"]
            row = {n: json.loads(v) if n in JSON_COLUMNS else v
                   for n, v in row.items() if v is not None}
            rows.append({"table": table, "receipt": receipts.write(key, row["seq"]), **row})
    return sorted(rows, key=lambda row: row["seq"])


def is_complete(lines, data):
    assert lines == stored(data)
