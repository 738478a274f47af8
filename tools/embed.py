"""embed.py OUT TABLE ADDRESS=FILE...: files as the C array `const struct embedded TABLE[]`, with TABLE_count.

src/base/embedded.h says what a row has. ADDRESS=LICENSE+FILE puts the licence of somebody else's file
before it, as a comment.
"""

import hashlib
import pathlib
import sys

TYPES = {
    ".css": "text/css; charset=utf-8",
    ".html": "text/html; charset=utf-8",
    ".js": "text/javascript; charset=utf-8",
    ".json": "application/json",
    ".sql": "application/sql",
    ".svg": "image/svg+xml",
    ".txt": "text/plain; charset=utf-8",
}
BYTES_PER_LINE = 32


def read(files):
    *licences, file = files.split("+")
    texts = [b"/*\n" + pathlib.Path(name).read_bytes().strip() + b"\n*/\n" for name in licences]
    assert not any(b"*/" in text[2:-4] for text in texts), "this licence would end its comment"
    return b"".join(texts) + pathlib.Path(file).read_bytes()


def array(number, body):
    lines = [",".join(map(str, body[i:i + BYTES_PER_LINE]))
             for i in range(0, len(body), BYTES_PER_LINE)]
    return f"static const unsigned char body_{number}[] = {{\n" + ",\n".join(lines) + "};\n"


def row(number, address, body):
    etag = hashlib.sha256(body).hexdigest()[:16]
    kind = TYPES[pathlib.PurePath(address).suffix]
    return (f'    {{SPAN_INIT("{address}"), SPAN_INIT("\\"{etag}\\""), "{kind}",\n'
            f"     {{(const char *)body_{number}, sizeof body_{number}}}}},\n")


def main(out, table, *pairs):
    files = [(address, read(names)) for address, names in (pair.split("=", 1) for pair in pairs)]
    arrays = "".join(array(number, body) for number, (_, body) in enumerate(files))
    rows = "".join(row(number, address, body) for number, (address, body) in enumerate(files))
    pathlib.Path(out).write_text(
        f'#include "base/embedded.h"\n\n{arrays}\n'
        f"extern const struct embedded {table}[];\nextern const size_t {table}_count;\n"
        f"const struct embedded {table}[] = {{\n{rows}}};\n"
        f"const size_t {table}_count = sizeof {table} / sizeof {table}[0];\n", encoding="ascii")


if __name__ == "__main__":
    main(*sys.argv[1:])
