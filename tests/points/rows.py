"""What a data directory holds, as a multiset of rows, and the difference of two of them.

What was there before must be there after, to the last byte. Of what is new, the values that differ
from run to run (sequences, times, fresh ids) are masked, so that the rest can be compared with what
the same operation leaves when nobody kills it. Checksums and totals are for `adtally verify`."""

import collections
import contextlib
import json
import sqlite3

TABLES = ("click", "conversion", "server_event", "impression", "feedback", "ad_feedback", "vote",
          "poll", "poll_option", "api_key", "age_mark", "meta", "removed", "poll_count")
FRESH = {"seq", "recorded_at_ms", "expires_at_ms", "updated_at_ms", "withdrawn_at_ms",
         "created_at_ms", "revoked_at_ms", "time_ms", "timestamp", "feedback_id", "id", "hash"}
# A click's flags say what came just before it, which a start does not know any more.
FRESH_IN = {("click", "click_id"), ("click", "flags"), ("secret", "value"),
            ("token_key", "kid"), ("token_key", "key")}

Difference = collections.namedtuple("Difference", "gone new")


def masked(row):
    """The row as any run would leave it: (table, ((column, value), ...))."""
    table, columns = row
    return table, tuple((name, "fresh" if value is not None and
                         (name in FRESH or (table, name) in FRESH_IN) else value)
                        for name, value in columns)


def rows_of_tables(data):
    """All tables as of one moment: a server that just started may be removing what is too old."""
    uri = f"file:{data}/adtally.db?mode=ro"
    with contextlib.closing(sqlite3.connect(uri, uri=True, timeout=10)) as db:
        db.row_factory = sqlite3.Row
        db.execute("BEGIN")
        return [(table, tuple((name, row[name]) for name in row.keys() if name != "checksum"))
                for table in TABLES for row in db.execute(f"SELECT * FROM {table}")]


def rows_of_secrets(data):
    secrets = json.loads((data / "secrets.json").read_text())
    keys = secrets.pop("token_keys")
    return ([("secret", (("name", name), ("value", value))) for name, value in secrets.items()] +
            [("token_key", tuple(key.items())) for key in keys])


def read(data):
    """All of it; an error when a file cannot be read."""
    return collections.Counter(rows_of_tables(data) + rows_of_secrets(data))


def difference(before, after):
    """A mark of age is the server's own: the first batch after some hours brings one."""
    new = collections.Counter(masked(row) for row in (after - before).elements()
                              if row[0] != "age_mark")
    return Difference(before - after, new)


def find_done(items, found):
    """Which of the items, name -> Difference, make up the difference that was found: their names.
    An AssertionError when something is there in half, twice, or was never asked for."""
    gone, new, done = found.gone.copy(), found.new.copy(), set()
    for name, item in items.items():
        if item.gone <= gone and item.new <= new:
            gone, new = gone - item.gone, new - item.new
            done.add(name)
    assert not gone, f"lost or changed: {list(gone.elements())[:3]}"
    assert not new, f"half of it, twice or never sent: {list(new.elements())[:3]}"
    return done
