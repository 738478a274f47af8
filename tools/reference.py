"""reference.py BIN [--check]: writes what the documents say of options and metrics.

    docs/configuration.md   the table of options
    docs/metrics.md         the table of metrics
    man/adtally-serve.1     OPTIONS
    man/adtally.conf.5      OPTIONS

With --check nothing is written: it names the documents that differ, and exits with 1.
"""

import pathlib
import re
import subprocess
import sys

ROOT = pathlib.Path(__file__).resolve().parents[1]
# What a value is called in a manual page, by how the table's "takes" begins.
METAVARIABLES = (("a duration", "DURATION"), ("a size", "SIZE"), ("a number", "N"),
                 ("a directory", "DIR"), ("a file", "FILE"), ("an http", "URL"),
                 ("HOST:PORT", "HOST:PORT"), ("at most", "LIST"))


def table(program, what):
    """The lines of one of the program's tables."""
    done = subprocess.run([program, "help", what, "--markdown"], capture_output=True, text=True,
                          check=True)
    return done.stdout.splitlines()


def rows(lines):
    """The table's rows as dicts of plain texts."""
    names = ("option", "flag", "takes", "default", "changes", "help")
    cells = [[cell.strip() for cell in line.strip("|").split(" | ")] for line in lines[2:]]
    return [dict(zip(names, row)) for row in cells]


def mdoc(text):
    """A sentence, safe at the begin of a line and within one."""
    return re.sub(r"^([.'])", r"\\&\1", text.replace("\\", "\\e").replace("-", "\\-"))


def plain(text):
    return mdoc(text.replace("`", ""))


def value_of(row):
    """What follows the name: `Ar DURATION`, or the words themselves."""
    takes = row["takes"]
    for begin, name in METAVARIABLES:
        if takes.startswith(begin):
            return f"Ar {name}"
    words = takes.split(":")[0].replace(" or ", " | ")
    return f"Cm {mdoc(words)}"


def sentence(text):
    return plain(text[:1].upper() + text[1:]) + "."


def flag_item(row):
    flag = mdoc(row["flag"].strip("`")[1:])
    return [f".It Fl {flag} {value_of(row)}", sentence(row["help"]),
            sentence("default: " + row["default"])]


def file_item(row):
    name = row["option"].strip("`")
    return [f".It Ic {name} No = {value_of(row)}", sentence(row["help"]),
            sentence("takes " + row["takes"]), sentence("default: " + row["default"]),
            sentence("changes " + row["changes"])]


def in_list(items):
    return [".Bl -tag -width Ds", *(line for item in items for line in item), ".El"]


def replace_table(text, lines):
    """The one table that begins with the same heading."""
    written = text.splitlines()
    start = written.index(lines[0])
    end = start
    while written[end].startswith("|"):
        end += 1
    return "\n".join(written[:start] + lines + written[end:]) + "\n"


def replace_list(text, section, lines):
    """The first list of a manual page's section."""
    head, rest = text.split(f".Sh {section}\n", 1)
    before, after = rest.split(".Bl ", 1)
    after = after.split(".El\n", 1)[1]
    return head + f".Sh {section}\n" + before + "\n".join(lines) + "\n" + after


def documents(program):
    """path -> (text as it is, text as it should be)"""
    lines, metrics = table(program, "serve"), table(program, "metrics")
    options = rows(lines)
    made = {
        "docs/configuration.md": lambda text: replace_table(text, lines),
        "docs/metrics.md": lambda text: replace_table(text, metrics),
        "man/adtally-serve.1": lambda text: replace_list(
            text, "OPTIONS", in_list(map(flag_item, options))),
        "man/adtally.conf.5": lambda text: replace_list(
            text, "OPTIONS",
            in_list(file_item(row) for row in options if row["option"].startswith("`"))),
    }
    for path, make in made.items():
        text = (ROOT / path).read_text(encoding="utf-8")
        yield ROOT / path, text, make(text)


def main(program, mode="--write"):
    differ = [(path, wanted) for path, text, wanted in documents(program) if text != wanted]
    for path, wanted in differ:
        if mode == "--check":
            print(f"{path.relative_to(ROOT)} differs from the program: run ./dev docs")
        else:
            path.write_text(wanted, encoding="utf-8")
    return 1 if differ and mode == "--check" else 0


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
