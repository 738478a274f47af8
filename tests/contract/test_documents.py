"""Contract section 8: what is written of options and commands is what the program has."""

import re
import shutil
import subprocess

import pytest

from support import server as program

REPO = program.REPO


def table():
    return program.cli("help", "serve", "--markdown").splitlines()


def rows():
    """name of the file -> (flag, default as it is written in the file, or None)."""
    cells = [[c.strip() for c in line.strip("|").split(" | ")] for line in table()[2:]]
    return {c[1].strip("`").removeprefix("--").replace("-", "_"):
            (c[1].strip("`"), c[3].strip("`") if c[3].startswith("`") else None) for c in cells}


def commands():
    return set(re.findall(r"^  ([a-z-]+) ", program.cli("help"), re.M)) - {"help"}


def test_the_help_of_serve_names_every_option():
    text = program.cli("help", "serve")
    assert set(re.findall(r"^  (--[a-z-]+) ", text, re.M)) == {flag for flag, _ in rows().values()}
    assert program.cli("serve", "--help") == text


def test_the_table_in_the_documentation_is_the_programs():
    text = (REPO / "docs" / "configuration.md").read_text()
    written = [line for line in text.splitlines() if line.startswith("|")]
    start = written.index(table()[0])
    assert written[start:start + len(table())] == table()


def test_the_sample_has_every_option_with_its_default():
    text = (REPO / "etc" / "adtally.conf").read_text()
    sample = dict(re.findall(r"^#([a-z_]+) = (.+)$", text, re.M))
    assert set(sample) == set(rows()) - {"config"}
    assert {n: v for n, (_, v) in rows().items() if v} == {
        n: v for n, v in sample.items() if rows()[n][1]}


def test_the_sample_is_accepted_as_it_stands_and_with_every_line(data_dir, own_server):
    text = (REPO / "etc" / "adtally.conf").read_text()
    for sample in (text, re.sub(r"^#([a-z_]+ = )", r"\1", text, flags=re.M)):
        (data_dir / "adtally.conf").write_text(sample)
        server = own_server("--admin-listen", "127.0.0.1:0")
        assert server.health().status == 200
        server.stop()


def test_the_manual_page_names_every_option_and_command():
    text = (REPO / "man" / "adtally.1").read_text()
    text = text.replace("\\-", "-")
    options = text.split(".Sh OPTIONS OF SERVE", 1)[1].split(".Sh ", 1)[0]
    flags = ["-" + flag for flag in re.findall(r"^\.It Fl (-[a-z-]+) ", options, re.M)]
    assert flags == [flag for flag, _ in rows().values()]
    named = set(re.findall(r"^\.It Cm ([a-z-]+)$", text, re.M))
    assert named == commands()


def test_the_manual_page_is_well_formed():
    if not shutil.which("groff"):
        pytest.skip("no groff here")
    done = subprocess.run(["groff", "-mdoc", "-Tutf8", "-ww", "-z", REPO / "man" / "adtally.1"],
                          capture_output=True, text=True, check=False)
    assert done.returncode == 0 and done.stderr == ""


def test_every_command_is_documented():
    text = (REPO / "docs" / "configuration.md").read_text()
    for name in commands() - {"serve"}:
        assert re.search(rf"^\| `{name}\b", text, re.M), name
