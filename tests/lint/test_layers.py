"""The layer check, on this tree and on small trees that break one rule each."""

import os
import pathlib
import subprocess
import sys

import pytest

sys.path.insert(0, str(pathlib.Path(__file__).parent))
import layers  # noqa: E402

ROOT = pathlib.Path(__file__).resolve().parents[2]


def write_tree(root, files):
    for name, text in files.items():
        path = root / "src" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)


def findings_of(root, files):
    base = {"base/span.h": "#pragma once\n", "ledger/queue.h": "#pragma once\n",
            "store/sqlite/a.h": "#pragma once\n"}
    write_tree(root, {**base, **files})
    return layers.check_tree(root)[0]


def test_this_tree_keeps_its_layers():
    build = os.environ.get("ADTALLY_BUILD")
    findings, _ = layers.check_tree(ROOT, pathlib.Path(build) if build else None)
    assert findings == []


ALLOWED = {
    "a lower layer": ("ledger/a.c", '#include "base/span.h"\n#include "ledger/queue.h"\n'),
    "system headers": ("json/a.c", "#include <stdint.h>\n"),
    "an engine's own": ("store/sqlite/a.c", '#include "store/sqlite/a.h"\n'),
    "sqlite3.h in its folder": ("store/sqlite/a.c", "#include <sqlite3.h>\n"),
    "libpq-fe.h in its folder": ("store/postgres/a.c", "#include <libpq-fe.h>\n"),
    "llhttp.h in http": ("http/a.c", "#include <llhttp.h>\n"),
    "sodium.h in token": ("token/a.c", "#include <sodium.h>\n"),
    "epoll in ev": ("ev/a.c", "#include <sys/epoll.h>\n"),
    "atomics in the queue": ("ledger/queue.c", "#include <stdatomic.h>\n"),
    "seccomp.h in the sandbox": ("cli/sandbox_a.c", "#include <linux/seccomp.h>\n"),
    "rows for a macro": ("base/currency_table.h", 'CURRENCY("EUR")\n'),
    "atomics in metrics": ("admin/metrics_count.c", "#include <stdatomic.h>\n"),
}

REFUSED = {
    "a higher layer": ("base/a.c", '#include "ledger/queue.h"\n'),
    "a higher layer, in angles": ("base/a.c", "#include <ledger/queue.h>\n"),
    "a higher layer, spaced out": ("json/a.c", ' #  include "ledger/queue.h"\n'),
    "a sibling": ("json/a.c", '#include "ledger/queue.h"\n'),
    "an engine, from above": ("store/a.c", '#include "store/sqlite/a.h"\n'),
    "an engine, from another": ("store/postgres/a.c", '#include "store/sqlite/a.h"\n'),
    "no module": ("ledger/a.c", '#include "queue.h"\n'),
    "up and down": ("json/a.c", '#include "../ledger/queue.h"\n'),
    "a folder of no layer": ("util/a.c", "\n"),
    "sqlite3.h elsewhere": ("ledger/a.c", "#include <sqlite3.h>\n"),
    "sqlite3.h in the postgres store": ("store/postgres/a.c", "#include <sqlite3.h>\n"),
    "libpq-fe.h elsewhere": ("store/sqlite/a.c", "#include <libpq-fe.h>\n"),
    "llhttp.h elsewhere": ("api/a.c", "#include <llhttp.h>\n"),
    "sodium.h elsewhere": ("cli/a.c", "#include <sodium.h>\n"),
    "one header of sodium": ("base/a.c", "#include <sodium/utils.h>\n"),
    "epoll elsewhere": ("http/a.c", "#include <sys/epoll.h>\n"),
    "seccomp.h elsewhere": ("http/a.c", "#include <linux/seccomp.h>\n"),
    "atomics elsewhere": ("ledger/batch.c", "#include <stdatomic.h>\n"),
    "a header that needs another": ("base/a.h", "#pragma once\nint f(size_t n);\n"),
}


@pytest.mark.parametrize("case", ALLOWED)
def test_allows(case, tmp_path):
    path, text = ALLOWED[case]
    assert findings_of(tmp_path, {path: text}) == []


@pytest.mark.parametrize("case", REFUSED)
def test_refuses(case, tmp_path):
    path, text = REFUSED[case]
    findings = findings_of(tmp_path, {path: text})
    assert len(findings) == 1
    assert findings[0].startswith(f"src/{path}:1: ")


SIBLINGS = {
    "store may not include http": ("store/a.c", "http/http.h"),
    "store may not include ev": ("store/a.c", "ev/loop.h"),
    "ev may not include http": ("ev/a.c", "http/http.h"),
    "event may not include token": ("event/a.c", "token/paseto.h"),
    "json may not include event": ("json/a.c", "event/text.h"),
}


@pytest.mark.parametrize("case", SIBLINGS)
def test_siblings(case, tmp_path):
    path, header = SIBLINGS[case]
    findings = findings_of(tmp_path, {path: f'#include "{header}"\n', header: "#pragma once\n"})
    assert len(findings) == 1


IMPURE_BODIES = {
    "malloc": "#include <stdlib.h>\nvoid *f(void) { return malloc(1); }\n",
    "printf": '#include <stdio.h>\nvoid f(int i) { printf("%d", i); }\n',
    "fopen": '#include <stdio.h>\nFILE *f(void) { return fopen("x", "r"); }\n',
    "clock_gettime": "#include <time.h>\nint f(struct timespec *t) { return clock_gettime(0, t); }\n",
    "log_write": "void log_write(void);\nvoid f(void) { log_write(); }\n",
    "rng_fill": "void rng_fill(void);\nvoid f(void) { rng_fill(); }\n",
}


def compile_object(tmp_path, name, text):
    folder = tmp_path / "build" / "src" / "libadtally.a.p"
    folder.mkdir(parents=True)
    subprocess.run(["cc", "-O2", "-D_FORTIFY_SOURCE=2", "-D_GNU_SOURCE", "-x", "c", "-c", "-",
                    "-o", str(folder / name)], input=text, text=True, check=True)


@pytest.mark.parametrize("case", IMPURE_BODIES)
def test_a_pure_module_calls_nothing_impure(case, tmp_path):
    compile_object(tmp_path, "json_a.c.o", IMPURE_BODIES[case])
    write_tree(tmp_path, {"base/span.h": "#pragma once\n"})
    findings = layers.check_tree(tmp_path, tmp_path / "build")[0]
    assert len(findings) == 1
    assert findings[0].startswith("json_a.c.o: a pure module calls ")


def test_other_modules_may(tmp_path):
    compile_object(tmp_path, "ledger_a.c.o", IMPURE_BODIES["malloc"])
    write_tree(tmp_path, {"base/span.h": "#pragma once\n"})
    assert layers.check_tree(tmp_path, tmp_path / "build")[0] == []


def test_objects_that_are_missing_are_no_pass(tmp_path):
    write_tree(tmp_path, {"json/a.c": "\n"})
    assert len(layers.check_tree(tmp_path, tmp_path / "build")[0]) == 1


def test_long_functions_are_listed(tmp_path):
    write_tree(tmp_path, {"base/a.c": "int f(void)\n{\n" + "    ;\n" * 61 + "}\n"})
    findings, long = layers.check_tree(tmp_path)
    assert findings == []
    assert long == ["src/base/a.c:2: a function of 61 lines"]
