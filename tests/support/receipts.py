"""`adtally-receipt`, computed outside the server: a keyed permutation of the event's sequence, six
Feistel rounds of SipHash-2-4. Reading one tells which row it is of."""

import base64
import ctypes
import ctypes.util
import json
import struct

from support import store

ROUNDS = 6

_sodium = ctypes.CDLL(ctypes.util.find_library("sodium") or "libsodium.so.23")


def key_of(data):
    """The key in `DIR/secrets.json`, or in the database."""
    if store.IS_POSTGRES:
        return store.secret(data, "receipt")
    text = json.loads((data / "secrets.json").read_text())["receipt_key"]
    return base64.urlsafe_b64decode(text + "=" * (-len(text) % 4))


def _round(key, number, half):
    digest = ctypes.create_string_buffer(8)
    _sodium.crypto_shorthash(digest, struct.pack("<BI", number, half), ctypes.c_ulonglong(5), key)
    return struct.unpack("<I", digest.raw[:4])[0]


def write(key, sequence):
    """The receipt of the event with this sequence."""
    left, right = sequence >> 32, sequence & 0xFFFFFFFF
    for number in range(ROUNDS):
        left, right = right, left ^ _round(key, number, right)
    return f"{left:08x}{right:08x}"


def read(key, receipt):
    """The sequence behind a receipt."""
    left, right = int(receipt[:8], 16), int(receipt[8:], 16)
    for number in reversed(range(ROUNDS)):
        left, right = right ^ _round(key, number, left), left
    return left << 32 | right
