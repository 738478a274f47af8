"""layers.py [--build DIR] [ROOT]: checks the layers of src/ and the borders of its modules.

Prints "path:line: what is wrong" and exits 1, or lists what has grown ("look again") and exits 0.
With --build the objects of the pure modules are checked too: they may call no I/O, clock, allocator
or log. A <name>_table.h is rows for a macro of whoever includes it, so it need not compile alone.
"""

import argparse
import pathlib
import re
import subprocess
import sys

# folder: the modules it may include, beside itself. "*lower" stands for every row above.
LAYERS = {
    "base": (),
    "json": ("base",),
    "event": ("base", "json"),
    "token": ("base", "json", "event"),
    "ev": ("base", "json", "event", "token"),
    "http": ("base", "json", "event", "token", "ev"),
    "store": ("base", "json", "event", "token"),
    "ledger": ("*lower",),
    "api": ("*lower",),
    "admin": ("*lower",),
    "cli": ("*lower",),
    "sink": ("*lower",),
}
PURE = ("json", "token", "event")

# Engines: what stands above them knows them by store/engine.h and store/copy.h, and none another.
ENGINES = ("store/sqlite/", "store/postgres/")

# outside header: what the path of a file that includes it begins with (below src/)
BORDERS = {
    "sqlite3.h": r"store/sqlite",
    "libpq-fe.h": r"store/postgres",
    "curl/curl.h": r"sink/(post|main)",
    "librdkafka/rdkafka.h": r"sink/kafka",
    "nats/nats.h": r"sink/nats",
    "llhttp.h": r"http/",
    "sodium.h": r"token/",
    "sys/epoll.h": r"ev/",
    "linux/seccomp.h": r"cli/sandbox",
    "linux/landlock.h": r"cli/sandbox",
    "stdatomic.h": r".*/(queue\.[ch]$|metrics)",
}

# What a pure module may not call. Fortified spellings (__printf_chk) count as the plain ones.
IMPURE = re.compile(
    r"^(malloc|calloc|realloc|reallocarray|free|aligned_alloc|posix_memalign|strn?dup|v?asprintf"
    r"|sodium_malloc|sodium_allocarray|sodium_free|v?f?printf|v?dprintf|f?puts|f?putc|putchar|perror"
    r"|f(open|close|read|write|flush|gets)|open|openat|close|p?readv?|p?writev?|f?stat|socket|connect"
    r"|send|sendto|sendmsg|recv|recvfrom|recvmsg|poll|select|epoll_.*|ioctl|fcntl|mmap|munmap"
    r"|time|clock|gettimeofday|clock_gettime|nanosleep|usleep|sleep|localtime(_r)?|mktime|strftime"
    r"|getrandom|getentropy|randombytes.*|rand|srand|random|getenv|system|exit|abort|pthread_.*"
    r"|log_.*|clock_(wall|mono)_.*|rng_.*)$")

FUNCTION_LINES = 60
FILE_LINES = 400
INCLUDE = re.compile(r'^\s*#\s*include\s*([<"])([^">]+)[">]')


def allowed(module):
    modules = list(LAYERS)
    listed = LAYERS[module]
    lower = modules[: modules.index(module)] if listed == ("*lower",) else listed
    return {module, *lower}


def module_of(path, src):
    return path.relative_to(src).parts[0]


def check_include(name, is_quoted, path, src):
    """What is wrong with one #include, or None."""
    module, below = module_of(path, src), path.relative_to(src).as_posix()
    target = name.split("/")[0]
    if target in LAYERS and "/" in name and (src / target).is_dir():
        if not is_quoted:
            return f"<{name}> is ours: quote it"
        if target not in allowed(module):
            return f"{module} may not include {target} ({name})"
        engine = next((folder for folder in ENGINES if name.startswith(folder)), "")
        return None if below.startswith(engine) else f"{name} is only for src/{engine}"
    if is_quoted:
        return f'"{name}" does not begin with a module'
    border = BORDERS.get(name) or ("token/" if name.startswith("sodium/") else None)
    if border and not re.match(border, below):
        return f"<{name}> is only for src/{border}"
    return None


def check_file(path, root):
    src, findings = root / "src", []
    if module_of(path, src) not in LAYERS:
        return [f"{path.relative_to(root)}:1: the folder is no module of the design"]
    for number, line in enumerate(path.read_text().splitlines(), 1):
        found = INCLUDE.match(line)
        wrong = found and check_include(found[2], found[1] == '"', path, src)
        if wrong:
            findings.append(f"{path.relative_to(root)}:{number}: {wrong}")
    return findings


def check_header_alone(path, root, compiler):
    src = root / "src"
    command = [*compiler, "-std=c17", "-D_GNU_SOURCE", "-Wall", "-Wextra", "-Werror", "-fsyntax-only",
               f"-I{src}", "-isystem", "/usr/share/include/llhttp", "-isystem", "/usr/include/postgresql",
               "-x", "c", "-"]
    run = subprocess.run(command, input=f'#include "{path.relative_to(src).as_posix()}"\n', text=True,
                         capture_output=True, check=False)
    if run.returncode == 0:
        return []
    reason = next((line for line in run.stderr.splitlines() if "error" in line), run.stderr)
    return [f"{path.relative_to(root)}:1: does not compile alone: {reason.strip()}"]


def plain_name(symbol):
    """__fprintf_chk, fprintf@GLIBC_2.2.5 and fopen64 are fprintf and fopen."""
    name = symbol.split("@")[0]
    fortified = re.fullmatch(r"__(\w+?)_chk", name)
    return re.sub(r"64$", "", fortified[1] if fortified else name)


def check_pure(build, root):
    """Meson names the objects of libadtally <module>_<file>.c.o."""
    folder = build / "src" / "libadtally.a.p"
    objects = [path for module in PURE for path in sorted(folder.glob(f"{module}_*.c.o"))]
    if not objects:
        sources = [path for module in PURE for path in (root / "src" / module).glob("*.c")]
        return [f"{folder}: no objects of the pure modules"] if sources else []
    names = subprocess.run(["nm", "-u", "-A", *map(str, objects)], text=True, capture_output=True,
                           check=True).stdout
    findings = []
    for line in names.splitlines():
        path, symbol = line.split(":")[0], line.split()[-1]
        if IMPURE.match(plain_name(symbol)):
            findings.append(f"{pathlib.Path(path).name}: a pure module calls {symbol}")
    return findings


def function_lengths(lines):
    """(line, length) of each function, by the layout clang-format keeps: braces in column 0."""
    start = None
    for number, line in enumerate(lines, 1):
        if line == "{":
            start = number
        elif line == "}" and start:
            yield start, number - start - 1
            start = None


def grown(path, root):
    lines = path.read_text().splitlines()
    where = path.relative_to(root)
    if len(lines) > FILE_LINES:
        yield f"{where}: {len(lines)} lines"
    for start, length in function_lengths(lines):
        if length > FUNCTION_LINES:
            yield f"{where}:{start}: a function of {length} lines"


def check_tree(root, build=None, compiler=("cc",)):
    files = [path for path in sorted((root / "src").rglob("*")) if path.suffix in (".c", ".h")]
    findings = [finding for path in files for finding in check_file(path, root)]
    for path in files:
        if path.suffix == ".h" and not path.stem.endswith("_table"):
            findings += check_header_alone(path, root, compiler)
    if build:
        findings += check_pure(build, root)
    return findings, [line for path in files for line in grown(path, root)]


def main():
    options = argparse.ArgumentParser(description=__doc__)
    options.add_argument("--build", type=pathlib.Path)
    options.add_argument("root", nargs="?", type=pathlib.Path,
                         default=pathlib.Path(__file__).resolve().parents[2])
    given = options.parse_args()
    findings, long = check_tree(given.root, given.build)
    for line in long:
        print(f"look again: {line}")
    for finding in findings:
        print(finding)
    return 1 if findings else 0


if __name__ == "__main__":
    sys.exit(main())
