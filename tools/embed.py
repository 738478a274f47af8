"""embed.py NAME FILE: prints C source in which FILE is `const char NAME[]`, `const size_t NAME_len`."""

import pathlib
import sys

BYTES_PER_LINE = 16


def main():
    name, content = sys.argv[1], pathlib.Path(sys.argv[2]).read_bytes()
    print("#include <stddef.h>\n")
    print(f"extern const char {name}[];\nextern const size_t {name}_len;")
    print(f"const size_t {name}_len = {len(content)};\nconst char {name}[] = {{")
    for start in range(0, len(content), BYTES_PER_LINE):
        values = content[start : start + BYTES_PER_LINE]
        print("    " + " ".join(f"'\\x{value:02x}'," for value in values))
    print("    '\\0',\n};")


if __name__ == "__main__":
    main()
