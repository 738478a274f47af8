"""What is said twice is said alike: packages, and the verbs of ./dev in the README."""

import pathlib
import re
import subprocess

ROOT = pathlib.Path(__file__).resolve().parents[2]


def listed_packages():
    lines = (ROOT / "tools" / "packages.txt").read_text().splitlines()
    rows = [line.split(None, 3) for line in lines if line and not line.startswith("#")]
    assert all(len(row) == 4 for row in rows), "set, package, command, why"
    return {name for row in rows for name in row[1].split("|")}


def documented_packages():
    text = (ROOT / "docs" / "dependencies.md").read_text()
    debian = text.split("## Packages of Debian", 1)[1].split("\n## ", 1)[0]
    cells = [line.split("|")[1] for line in debian.splitlines() if line.startswith("| `")]
    return {name for cell in cells for name in re.findall(r"`([^`]+)`", cell)}


def test_every_package_is_documented_and_no_other():
    assert documented_packages() == listed_packages()


def test_the_readme_names_verbs_that_exist():
    text = subprocess.run([ROOT / "dev", "help"], capture_output=True, text=True, check=True).stdout
    verbs = set(re.findall(r"^  (\w+)", text, re.M))
    for document in ("README.md", "CONTRIBUTING.md", "bench/README.md", "docs/dependencies.md"):
        named = set(re.findall(r"\./dev (\w+)", (ROOT / document).read_text()))
        assert named <= verbs, document


def test_an_unknown_verb_is_refused_with_the_help():
    run = subprocess.run([ROOT / "dev", "no-such-verb"], capture_output=True, text=True, check=False)
    assert run.returncode == 2
    assert "usage: ./dev VERB" in run.stderr


# -- links and log events --------------------------------------------------------------------

LINK = re.compile(r"\]\(([^)\s]+)\)")
LOGGED = re.compile(r'log_(?:event|write)(?:_bounded)?\([^";]*LOG_[A-Z]+,\s*"(\w+)"')
NAMED_ELSEWHERE = re.compile(r'note_failure\(\w+, "(\w+)"')
WARNING = re.compile(r'log_event(?:_bounded)?\(\s*LOG_(?:WARN|ERROR),\s*"(\w+)"(.*?);', re.S)
ALREADY_COUNTED = {"lines_left_out"}  # says how many; each had its advice


def markdown_files():
    return [*ROOT.glob("*.md"), *ROOT.glob("docs/**/*.md"), *ROOT.glob("bench/*.md")]


def anchors(text):
    """Of headings, as the web pages of repositories make them."""
    heads = re.findall(r"^#+ (.+)$", text, re.M)
    return {re.sub(r"[^\w\- ]", "", head.lower()).replace(" ", "-") for head in heads}


def broken_links(path, text):
    out = []
    for link in LINK.findall(re.sub(r"^```.*?^```$", "", text, flags=re.M | re.S)):
        if re.match(r"[a-z]+:", link):
            continue
        name, _, anchor = link.partition("#")
        target = (path.parent / name) if name else path
        if not target.exists():
            out.append(link)
        elif anchor and anchor not in anchors(text if not name else target.read_text()):
            out.append(link)
    return out


def test_no_link_is_broken():
    broken = {path: broken_links(path, path.read_text()) for path in markdown_files()}
    assert not {str(path): links for path, links in broken.items() if links}


def test_a_broken_link_is_found():
    here = ROOT / "docs" / "README.md"
    text = "# A head\n[a](#a-head) [b](nowhere.md) [c](#no-head) [d](https://x.example)"
    text += " [e](schema.md#no)"
    assert broken_links(here, text) == ["nowhere.md", "#no-head", "schema.md#no"]


def test_the_index_names_every_document():
    text = (ROOT / "docs" / "README.md").read_text()
    for path in (ROOT / "docs").glob("*.*"):
        assert f"({path.name})" in text or path.name == "README.md", path.name


def logged():
    """Every line of the log that the program may write."""
    names = {"lines_left_out", "lines_lost"}
    for path in (ROOT / "src").rglob("*.c"):
        text = path.read_text()
        names.update(LOGGED.findall(text) + NAMED_ELSEWHERE.findall(text))
    return names


def test_every_event_of_the_log_is_documented():
    text = (ROOT / "docs" / "operations.md").read_text()
    table = "\n".join(line.split("|")[1] for line in text.splitlines() if line.startswith("| `"))
    documented = set(re.findall(r"`(\w+)`", table))
    names = logged()
    assert len(names) > 20 and names <= documented, names - documented


def without_advice(lines):
    return [name for name, rest in lines if not re.search(r"advice|consequence", rest)]


def test_a_warning_says_what_to_do_or_what_follows():
    warnings = []
    for path in (ROOT / "src").rglob("*.c"):
        warnings += WARNING.findall(path.read_text())
    assert len(warnings) > 10
    assert set(without_advice(warnings)) <= ALREADY_COUNTED
    assert without_advice([("bare", 'LOG_TEXT("reason", x)')]) == ["bare"]
