#!/usr/bin/env python3
"""embed.py OUT ADDRESS=FILE...: the dashboard's files as C arrays, each with its type and ETag.

ADDRESS=LICENSE+FILE puts the licence of somebody else's file before it, as a comment.
"""

import hashlib
import pathlib
import sys

TYPES = {
    ".html": "text/html; charset=utf-8",
    ".css": "text/css; charset=utf-8",
    ".js": "text/javascript; charset=utf-8",
    ".svg": "image/svg+xml",
}


def read(files):
    *licences, file = files.split("+")
    texts = [b"/*\n" + pathlib.Path(name).read_bytes().strip() + b"\n*/\n" for name in licences]
    assert not any(b"*/" in text[2:-4] for text in texts), "this licence would end its comment"
    return b"".join(texts) + pathlib.Path(file).read_bytes()


def array(number, body):
    lines = [",".join(map(str, body[i:i + 32])) for i in range(0, len(body), 32)]
    return f"static const unsigned char body_{number}[] = {{\n" + ",\n".join(lines) + "};\n"


def row(number, address, body):
    etag = hashlib.sha256(body).hexdigest()[:16]
    kind = TYPES[pathlib.PurePath(address).suffix]
    return (f'    {{SPAN_INIT("{address}"), SPAN_INIT("\\"{etag}\\""), "{kind}",\n'
            f"     {{(const char *)body_{number}, sizeof body_{number}}}}},\n")


def main(out, *pairs):
    assets = [(address, read(files)) for address, files in (pair.split("=", 1) for pair in pairs)]
    arrays = "".join(array(number, body) for number, (_, body) in enumerate(assets))
    rows = "".join(row(number, address, body) for number, (address, body) in enumerate(assets))
    pathlib.Path(out).write_text(
        '#include "admin/dashboard.h"\n\n' + arrays
        + "\nconst struct dashboard_asset dashboard_assets[] = {\n" + rows + "};\n"
        + "const size_t dashboard_assets_count =\n"
        + "    sizeof dashboard_assets / sizeof dashboard_assets[0];\n")


if __name__ == "__main__":
    main(*sys.argv[1:])
