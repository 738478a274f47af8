"""The checksum of a row is what docs/schema.md says: computed again here, by somebody else."""

import ctypes
import os

from support.world import COLLECT, World, event

MULTIPLIER, MASK = 0xC6A4A7935BD1E995, (1 << 64) - 1
TABLES = ("click", "conversion", "server_event", "api_key", "age_mark", "total", "meta")


def murmur64a(data, seed):
    value = seed ^ (len(data) * MULTIPLIER & MASK)
    whole = len(data) // 8 * 8
    for at in range(0, whole, 8):
        word = int.from_bytes(data[at : at + 8], "little") * MULTIPLIER & MASK
        word = (word ^ word >> 47) * MULTIPLIER & MASK
        value = (value ^ word) * MULTIPLIER & MASK
    if rest := data[whole:]:
        value = (value ^ int.from_bytes(rest, "little")) * MULTIPLIER & MASK
    value = (value ^ value >> 47) * MULTIPLIER & MASK
    return value ^ value >> 47


def encode(value):
    if value is None:
        return 0, b""
    if isinstance(value, int):
        return 1, value.to_bytes(8, "little", signed=True)
    return (2, value.encode()) if isinstance(value, str) else (3, value)


def checksum(table, values):
    value = 0
    for part in (table, *values):
        kind, data = encode(part)
        value = murmur64a(data, value + kind & MASK)
    return value - (1 << 64) if value >> 63 else value


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
