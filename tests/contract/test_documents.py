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
               "docs/metrics.md": ("`adtally_healthy`", "`adtally_ill`"), "man/adtally-serve.1": ("Default: 90d.", ""),
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


def manual(name):
    """A page as text, with plain hyphens."""
    return (REPO / "man" / name).read_text().replace("\\-", "-")


def flags_in(page):
    """What the section OPTIONS lists."""
    section = page.split(".Sh OPTIONS", 1)[1].split(".Sh ", 1)[0]
    lines = [line for line in section.splitlines() if line.startswith((".It Fl", ".Fl"))]
    return ["-" + flag for line in lines for flag in re.findall(r"(?<= )(-[a-z][a-z-]+)", line)]


def flags_of_usage(command):
    usage = program.cli("help", command).split("\n\n")[1]
    return set(re.findall(r"--[a-z][a-z-]+", usage))


def page_differences(command, page):
    """What a manual page and the help of its command say differently of flags and verbs."""
    usage = program.cli("help", command).split("\n\n")[1]
    synopsis = page.split(".Sh SYNOPSIS", 1)[1].split(".Sh ", 1)[0]
    verbs = set(re.findall(rf"^  adtally {command} ([a-z]+)", usage, re.M))
    out = [f"{flag} is not listed" for flag in flags_of_usage(command) - set(flags_in(page))]
    out += [f"{flag} is not in the synopsis" for flag in flags_of_usage(command)
            if f"-{flag.lstrip('-')}" not in synopsis]
    out += [f"{flag} is no flag" for flag in set(flags_in(page)) - flags_of_usage(command)
            - {"--store", "--config", "--format"}]
    return out + [f"{verb} is missing" for verb in verbs if not re.search(rf"\b{verb}\b", synopsis)]


def test_the_manual_page_of_serve_names_every_option():
    assert flags_in(manual("adtally-serve.1")) == [flag for flag, _ in rows().values()]


def test_the_manual_page_names_every_command():
    text = manual("adtally.1")
    assert set(re.findall(r"^\.It Cm ([a-z-]+)$", text, re.M)) == commands()
    assert set(re.findall(r"^\.Xr adtally-([a-z-]+) 1 \.$", text, re.M)) == commands()


@pytest.mark.parametrize("command", sorted(commands() - {"serve"}))
def test_the_manual_page_of_a_command_says_what_its_help_says(command):
    assert page_differences(command, manual(f"adtally-{command}.1")) == []


def test_a_manual_page_that_says_something_else_is_seen():
    page = manual("adtally-export.1")
    assert page_differences("export", page.replace("-since", "-until"))
    assert page_differences("key", manual("adtally-key.1").replace(".Cm revoke\n", "", 1))


PARTS = ["NAME", "SYNOPSIS", "DESCRIPTION", "OPTIONS", "EXIT STATUS", "EXAMPLES", "SEE ALSO"]


@pytest.mark.parametrize("name", sorted(p.name for p in (REPO / "man").glob("*.1")))
def test_a_manual_page_has_its_parts_and_is_installed(name):
    found = re.findall(r"^\.Sh (.+)$", manual(name), re.M)
    assert [part for part in found if part in PARTS] == PARTS
    assert set(found) <= {*PARTS, "FILES"}
    assert f"'man/{name}'" in (REPO / "meson.build").read_text()


@pytest.mark.parametrize("name", sorted(p.name for p in (REPO / "man").iterdir()))
def test_a_manual_page_refers_to_pages_that_exist(name):
    for other, section in re.findall(r"^\.Xr (adtally[a-z.-]*) (\d)", manual(name), re.M):
        assert (REPO / "man" / f"{other}.{section}").exists(), other


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
