"""embed.py OUT.c NAME=FILE...: files as C arrays, each with its size: NAME and NAME_size."""

import pathlib
import sys

BYTES_PER_LINE = 20


def array(name, data):
    lines = [", ".join(map(str, data[at:at + BYTES_PER_LINE]))
             for at in range(0, len(data), BYTES_PER_LINE)]
    return (f"const unsigned char {name}[] = {{\n" + ",\n".join(lines) + "};\n"
            f"const unsigned long {name}_size = sizeof {name};\n")


def main(target, *files):
    named = [one.split("=", 1) for one in files]
    text = '#include "admin/documents.h"\n\n'
    text += "\n".join(array(name, pathlib.Path(path).read_bytes()) for name, path in named)
    pathlib.Path(target).write_text(text, encoding="ascii")


if __name__ == "__main__":
    main(*sys.argv[1:])
