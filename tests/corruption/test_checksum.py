"""The checksum of a row is what docs/schema.md says: computed again here, by somebody else."""

import ctypes
import os

from support.checksum import MASK, checksum, murmur64a
from support.world import COLLECT, World, event

TABLES = ("click", "conversion", "server_event", "api_key", "age_mark", "total", "meta")


def test_the_hash_is_murmur64a():
    """What libstdc++ on 64 bits hashes with, whatever the seed: an implementation of others."""
    hash_bytes = ctypes.CDLL("libstdc++.so.6")._ZSt11_Hash_bytesPKvmm  # std::_Hash_bytes
    hash_bytes.restype = ctypes.c_uint64
    hash_bytes.argtypes = [ctypes.c_char_p, ctypes.c_uint64, ctypes.c_uint64]
    for size in range(100):
        data = os.urandom(size)
        for seed in (0, 1, MASK):
            assert hash_bytes(data, size, seed) == murmur64a(data, seed), (data, seed)


def test_every_row_has_the_documented_checksum():
    world = World()
    world.convert(world.click(), idem="k", referrer="https://shop.example/ü")
    assert world.post(COLLECT, event(event_id="e")).status == 204
    for table in TABLES:
        rows = world.rows(f"SELECT * FROM {table}")
        assert rows, table
        for row in rows:
            *values, stored = row.values()
            assert checksum(table, values) == stored, (table, row)
    world.close()
