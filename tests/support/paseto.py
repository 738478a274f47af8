"""PASETO v4.local in plain Python, independent of the server, to read and to forge tokens."""

import base64
import hashlib
import hmac
import json
import os
import struct

HEADER = b"v4.local."


def b64(data):
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()


def unb64(text):
    """Strict: no padding, no other alphabet, no trailing bits."""
    data = base64.b64decode(text + "=" * (-len(text) % 4), altchars=b"-_", validate=True)
    if b64(data) != text:
        raise ValueError("not canonical base64url")
    return data


def _rotl(x, n):
    return ((x << n) | (x >> (32 - n))) & 0xFFFFFFFF


def _quarter(s, a, b, c, d):
    for x, y, z, n in ((a, b, d, 16), (c, d, b, 12), (a, b, d, 8), (c, d, b, 7)):
        s[x] = (s[x] + s[y]) & 0xFFFFFFFF
        s[z] = _rotl(s[z] ^ s[x], n)


def _rounds(state):
    s = list(state)
    for _ in range(10):
        for a, b, c, d in ((0, 4, 8, 12), (1, 5, 9, 13), (2, 6, 10, 14), (3, 7, 11, 15),
                           (0, 5, 10, 15), (1, 6, 11, 12), (2, 7, 8, 13), (3, 4, 9, 14)):
            _quarter(s, a, b, c, d)
    return s


SIGMA = struct.unpack("<4I", b"expand 32-byte k")


def xchacha20(key, nonce, data):
    """XChaCha20 with a block counter that starts at 0: encrypts and decrypts."""
    s = _rounds(SIGMA + struct.unpack("<8I", key) + struct.unpack("<4I", nonce[:16]))
    subkey = struct.pack("<8I", *(s[0:4] + s[12:16]))
    out = bytearray()
    for block in range((len(data) + 63) // 64):
        state = SIGMA + struct.unpack("<8I", subkey) + (block, 0) + struct.unpack("<2I", nonce[16:])
        mixed = _rounds(state)
        stream = struct.pack("<16I", *((a + b) & 0xFFFFFFFF for a, b in zip(mixed, state)))
        out += bytes(a ^ b for a, b in zip(data[block * 64 : block * 64 + 64], stream))
    return bytes(out)


def _blake2b(key, data, size):
    return hashlib.blake2b(data, key=key, digest_size=size).digest()


def _pae(*pieces):
    out = struct.pack("<Q", len(pieces))
    return out + b"".join(struct.pack("<Q", len(p)) + p for p in pieces)


def _keys(key, nonce):
    both = _blake2b(key, b"paseto-encryption-key" + nonce, 56)
    return both[:32], both[32:], _blake2b(key, b"paseto-auth-key-for-aead" + nonce, 32)


def seal(key, claims, footer, implicit, nonce=None):
    """A token. `claims` may be a dict or raw bytes, `footer` and `implicit` are bytes."""
    text = claims if isinstance(claims, bytes) else json.dumps(claims).encode()
    nonce = nonce or os.urandom(32)
    stream_key, stream_nonce, mac_key = _keys(key, nonce)
    sealed = xchacha20(stream_key, stream_nonce, text)
    mac = _blake2b(mac_key, _pae(HEADER, nonce, sealed, footer, implicit), 32)
    token = HEADER.decode() + b64(nonce + sealed + mac)
    return token + "." + b64(footer) if footer else token


def footer_of(token):
    return unb64(token.split(".")[3])


def unseal(key, token, implicit):
    """The claims as a dict; ValueError when the token is not authentic for `implicit`."""
    parts = token.split(".")
    if len(parts) not in (3, 4) or parts[0:2] != ["v4", "local"]:
        raise ValueError("not a v4.local token")
    body, footer = unb64(parts[2]), unb64(parts[3]) if len(parts) == 4 else b""
    nonce, sealed, mac = body[:32], body[32:-32], body[-32:]
    stream_key, stream_nonce, mac_key = _keys(key, nonce)
    good = _blake2b(mac_key, _pae(HEADER, nonce, sealed, footer, implicit), 32)
    if not hmac.compare_digest(good, mac):
        raise ValueError("bad MAC")
    return json.loads(xchacha20(stream_key, stream_nonce, sealed))


def key_of_paserk(text):
    assert text.startswith("k4.local."), "not a k4.local PASERK"
    key = unb64(text[len("k4.local.") :])
    assert len(key) == 32
    return key
