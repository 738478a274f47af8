"""Contract section 8: what is written of options and commands is what the program has."""

import re
import shutil
import subprocess
import sys

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


def reference(*arguments, root=REPO):
    script = root / "tools" / "reference.py"
    return subprocess.run([sys.executable, script, program.BINARY, *arguments],
                          capture_output=True, text=True, check=False)


def test_what_is_made_of_the_options_is_up_to_date():
    done = reference("--check")
    assert (done.returncode, done.stdout) == (0, ""), done


def test_what_differs_from_the_options_is_named_and_mended(tmp_path):
    """On a copy: each document with one word of its generated part changed."""
    for folder in ("docs", "man", "tools"):
        shutil.copytree(REPO / folder, tmp_path / folder)
    changed = {"docs/configuration.md": ("`90d`", "`91d`"),
               "docs/metrics.md": ("`adtally_healthy`", "`adtally_ill`"), "man/adtally.1": ("Default: 90d.", ""),
               "man/adtally.conf.5": ("It Ic click_ttl", "It Ic clik_ttl")}
    for name, (old, new) in changed.items():
        text = (tmp_path / name).read_text()
        assert old in text, name
        (tmp_path / name).write_text(text.replace(old, new, 1))
    done = reference("--check", root=tmp_path)
    assert done.returncode == 1
    assert {line.split()[0] for line in done.stdout.splitlines()} == set(changed)
    assert reference(root=tmp_path).returncode == 0
    for name in changed:
        assert (tmp_path / name).read_text() == (REPO / name).read_text()


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


def mandoc(page):
    return subprocess.run(["mandoc", "-T", "lint", "-W", "warning", page], capture_output=True,
                          text=True, check=False)


@pytest.mark.parametrize("name", sorted(p.name for p in (REPO / "man").iterdir()))
def test_a_manual_page_is_well_formed(name):
    done = mandoc(REPO / "man" / name)
    assert (done.returncode, done.stdout) == (0, ""), done.stdout


def test_a_page_that_is_not_well_formed_is_seen(tmp_path):
    page = tmp_path / "x.1"
    page.write_text((REPO / "man" / "adtally.1").read_text().replace(".El\n", "", 1))
    assert mandoc(page).returncode != 0


def test_every_command_is_documented():
    text = (REPO / "docs" / "configuration.md").read_text()
    for name in commands() - {"serve"}:
        assert re.search(rf"^\| `{name}\b", text, re.M), name
