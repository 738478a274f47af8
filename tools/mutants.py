"""mutants.py [NAME-PART...] [--list FILE] [--report FILE]: puts the faults of tests/mutants/mutants.toml
into a copy of the tree, one at a time, and runs the tests that must turn red. Writes docs/mutants.md
when all of them ran. Fails when a fault survives, or no longer fits the code.

A fault's tests: "unit:NAME" is a unit test program, anything else a path under tests/ for pytest.
"""

import argparse
import os
import pathlib
import re
import shutil
import subprocess
import sys
import tomllib

REPO = pathlib.Path(__file__).resolve().parents[1]
COPIED = ("src", "tests", "bench", "man", "etc", "docs", "sql", "tools", "meson.build",
          "meson_options.txt", "dev", "README.md", "CONTRIBUTING.md")
TREE = REPO / "build-mutants" / "tree"
BUILD = TREE / "build"
DASHBOARD_NPM = pathlib.Path("src/admin/dashboard/node_modules")
BUILD_S, TEST_S = 300, 240


def run(*command, timeout=BUILD_S, **env):
    """A command's exit status and output; a hang is a red test as well."""
    try:
        done = subprocess.run(command, cwd=TREE, env={**os.environ, **env}, text=True,
                              errors="replace", stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
                              timeout=timeout, check=False)
        return done.returncode, done.stdout
    except subprocess.TimeoutExpired:
        return -1, "timed out"


def files_of(root):
    """Paths below the copied names, relative to `root`."""
    for name in COPIED:
        path = root / name
        for file in sorted(path.rglob("*")) if path.is_dir() else [path]:
            if file.is_file() and not {"node_modules", "__pycache__"} & set(file.parts):
                yield file.relative_to(root)


def copy_tree():
    """The tree as it is, beside a build that survives from run to run; what is the same keeps its
    time, so that little is built again."""
    TREE.mkdir(parents=True, exist_ok=True)
    wanted = set(files_of(REPO))
    for path in set(files_of(TREE)) - wanted:
        (TREE / path).unlink()
    for path in wanted:
        target = TREE / path
        if target.exists() and target.read_bytes() == (REPO / path).read_bytes():
            continue
        target.parent.mkdir(parents=True, exist_ok=True)
        shutil.copy2(REPO / path, target)
    if not (TREE / DASHBOARD_NPM).exists():
        (TREE / DASHBOARD_NPM).symlink_to(REPO / DASHBOARD_NPM)


def build():
    if not (BUILD / "build.ninja").exists():
        status, output = run("meson", "setup", str(BUILD), "--buildtype=release", "-Dtests=true",
                             "-Dwerror=false")
        if status:
            return output
    status, output = run("ninja", "-C", str(BUILD))
    return output if status else None


def unit_test(name):
    status, output = run(str(BUILD / "tests" / "unit" / f"{name}_test"), timeout=TEST_S,
                         CMOCKA_MESSAGE_OUTPUT="TAP",
                         ADTALLY_VECTORS=str(REPO.parent / "shared" / "vectors"))
    failed = re.search(r"^not ok \d+ - (.*)", output, re.M)
    if failed:
        return f"{name}_test: {failed[1]}"
    return f"{name}_test: ended with status {status}" if status else None


def python_test(path):
    status, output = run("/usr/bin/python3", "-m", "pytest", "-x", "-q", "-p", "no:cacheprovider",
                         f"tests/{path}", timeout=TEST_S, ADTALLY_BIN=str(BUILD / "adtally"),
                         ADTALLY_BUILD=str(BUILD))
    if status == 0:
        return None
    failed = re.search(r"^(?:FAILED|ERROR) (\S+)", output, re.M)
    if not failed and status != -1:
        raise SystemExit(f"mutants: {path} did not run:\n{output[-3000:]}")
    return failed[1] if failed else f"{path}: timed out"


def first_red(tests):
    for test in tests:
        kind, _, name = test.partition("unit:")
        red = python_test(test) if kind else unit_test(name)
        if red:
            return red
    return None


def judge(fault):
    """What turned red, or what went wrong instead as (None, sentence)."""
    path = TREE / fault["file"]
    text = (REPO / fault["file"]).read_text()
    if text.count(fault["from"]) != 1:
        return None, f"its line stands {text.count(fault['from'])} times in {fault['file']}"
    path.write_text(text.replace(fault["from"], fault["to"]))
    try:
        error = build()
        if error:
            return None, f"does not build: {error[-1500:]}"
        red = first_red(fault["tests"])
        return (red, None) if red else (None, "survived")
    finally:
        path.write_text(text)


def cell(text):
    return " ".join(text.split()).replace("|", "\\|")


def write_report(path, rows):
    lines = ["# Seeded mistakes", "",
             "One-line faults, put into the code one at a time; each must turn a test red. Written by",
             "`./dev mutants` from `tests/mutants/mutants.toml`; not edited by hand.", "",
             f"{len(rows)} faults, {sum(1 for _, red in rows if red)} found.", "",
             "| fault | where | the first test that turned red |", "| --- | --- | --- |"]
    lines += [f"| {cell(fault['name'])} | `{fault['file']}` | {'`' + cell(red) + '`' if red else '**none**'} |"
              for fault, red in rows]
    path.write_text("\n".join(lines) + "\n")


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("names", nargs="*", help="only faults whose name contains one of these")
    parser.add_argument("--list", type=pathlib.Path, default=REPO / "tests/mutants/mutants.toml")
    parser.add_argument("--report", type=pathlib.Path, default=REPO / "docs/mutants.md")
    options = parser.parse_args()
    faults = tomllib.loads(options.list.read_text())["fault"]
    chosen = [f for f in faults
              if not options.names or any(part in f["name"] for part in options.names)]
    copy_tree()
    error = build()
    if error:
        raise SystemExit(f"mutants: the tree itself does not build:\n{error[-3000:]}")
    rows, bad = [], 0
    for number, fault in enumerate(chosen, 1):
        red, problem = judge(fault)
        print(f"{number}/{len(chosen)} {fault['name']}: {red or problem}", flush=True)
        rows.append((fault, red))
        bad += red is None
    if len(chosen) == len(faults):
        write_report(options.report, rows)
    print(f"{len(rows) - bad} faults found, {bad} not")
    return 1 if bad else 0


if __name__ == "__main__":
    sys.exit(main())
