"""libFuzzer on everything that reads what strangers send, each target with a second opinion: the
corpora are replayed, then every target looks for something new. ./dev torture fuzz [--long]."""

import concurrent.futures
import hashlib
import os
import pathlib
import re
import shlex
import subprocess
import time

import pytest

from support import torture

ROOT = pathlib.Path(__file__).resolve().parents[2]
HERE = ROOT / "tests" / "fuzz"
BUILD = ROOT / "build-fuzz"
FINDINGS = BUILD / "findings"
SECONDS = 4
LONG_EXECUTIONS = 100_000_000
INPUT_SECONDS_MAX = 10  # one that takes longer hangs
SEED = torture.seed("adtally")

# Of every target, its largest input and its part of a long run, by what an execution costs.
TARGETS = {
    "address": (512, 30),
    "amount": (64, 200),
    "api": (2048, 20),
    "config": (1024, 60),
    "conn": (3000, 3),
    "datetime": (80, 240),
    "extra": (4096, 30),
    "http": (2048, 140),
    "json": (1024, 120),
    "query": (600, 120),
    "token": (1024, 40),
    "verify": (400, 0.4),
}


def number_of(seed):
    """libFuzzer takes 32 bits, and makes its own of 0."""
    return int(hashlib.sha256(seed.encode()).hexdigest()[:7], 16) + 1


def program(target):
    path = BUILD / "tests" / "fuzz" / f"{target}_fuzz"
    assert path.exists(), f"{path} is not built: ./dev torture fuzz builds it"
    return path


def corpus(target):
    return HERE / "corpus" / target


def dictionary(target):
    path = HERE / f"{target}.dict"
    return [f"-dict={path}"] if path.exists() else []


def environment(folder, lie=None):
    """Nothing of the suite's sanitizer options: a finding here is read from libFuzzer's output.
    What a target has on disk when it dies stays in `folder`."""
    return {"PATH": os.environ["PATH"], "TMPDIR": str(folder),
            "ASAN_OPTIONS": "detect_stack_use_after_return=1:quarantine_size_mb=16",
            "UBSAN_OPTIONS": "print_stacktrace=1:halt_on_error=1",
            **({"ADTALLY_FUZZ_LIE": lie} if lie else {})}


def run(target, *arguments, lie=None, findings=FINDINGS):
    """One run of a target's program: its exit status and what it said."""
    findings.mkdir(parents=True, exist_ok=True)
    command = [program(target), f"-artifact_prefix={findings}/{target}-",
               f"-timeout={INPUT_SECONDS_MAX}", *arguments]
    done = subprocess.run(command, env=environment(findings, lie), cwd=ROOT, check=False, text=True,
                          errors="replace", stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
    return done.returncode, done.stdout


def replay(target, **options):
    return run(target, *sorted(corpus(target).iterdir()), **options)


def how_to_repeat(target, output):
    """The command that runs a finding's input once more."""
    written = re.findall(r"Test unit written to (\S+)", output)
    running = re.findall(r"^Running: (\S+)", output, re.M)
    inputs = written[-1:] or running[-1:]
    return shlex.join(["./dev", "torture", "fuzz", "--seed", SEED]) + "\nor " + shlex.join(
        [str(program(target).relative_to(ROOT)), *inputs])


def failure(target, output):
    return f"{target}: a finding (seed {SEED}). To repeat:\n{how_to_repeat(target, output)}\n" \
        + output[-6000:]


def fuzz(target, folder, **options):
    """Fuzzes with the committed corpus as a start; what is new stays in `folder`."""
    len_max, part = TARGETS[target]
    parts = sum(part for _, part in TARGETS.values())
    limit = torture.size(f"-max_total_time={SECONDS}", f"-runs={int(LONG_EXECUTIONS * part / parts)}")
    start = time.monotonic()
    status, output = run(target, limit, f"-seed={number_of(SEED)}", f"-max_len={len_max}",
                         "-print_final_stats=1", "-reload=0", *dictionary(target), folder,
                         corpus(target), **options)
    return status, output, time.monotonic() - start


def executions(output):
    return int(re.search(r"stat::number_of_executed_units:\s+(\d+)", output)[1])


@pytest.fixture(scope="module", name="runs")
def _runs(tmp_path_factory):
    """All targets, as many at a time as there are cores."""
    with concurrent.futures.ThreadPoolExecutor(os.cpu_count()) as pool:
        yield {target: pool.submit(fuzz, target, tmp_path_factory.mktemp(target))
               for target in sorted(TARGETS, key=lambda name: -TARGETS[name][1])}


@pytest.mark.parametrize("target", TARGETS)
def test_the_corpus_finds_nothing(target):
    status, output = replay(target)
    assert status == 0, failure(target, output)
    count = len(list(corpus(target).iterdir()))
    assert count > 0 and len(re.findall(r"^Executed ", output, re.M)) == count


@pytest.mark.parametrize("target", TARGETS)
def test_fuzzing_finds_nothing(target, runs):
    status, output, seconds = runs[target].result()
    assert status == 0, failure(target, output)
    torture.say(f"fuzz {target}: {executions(output):,} executions in {seconds:.0f} s, no finding,"
                f" seed {SEED}")


LIES = [(target, lie) for target in TARGETS
        for lie in re.findall(r'\blies\("([^"]+)"\)', (HERE / f"{target}_fuzz.c").read_text())]


@pytest.mark.parametrize("target, lie", sorted(set(LIES)))
def test_a_wrong_result_is_noticed(target, lie, tmp_path):
    """Each oracle, with the lie that the code under test tells it."""
    status, output = replay(target, lie=lie, findings=tmp_path)
    assert status != 0 and "finding: " in output, f"nobody notices that {target} lies about {lie}"


def test_every_target_has_an_oracle_that_can_fail():
    assert {target for target, _ in LIES} == set(TARGETS)


def test_a_finding_is_kept_with_what_repeats_it(tmp_path):
    target, (folder, findings) = "amount", (tmp_path / "new", tmp_path / "findings")
    folder.mkdir()
    status, output, _ = fuzz(target, folder, lie="value", findings=findings)
    assert status != 0
    command = shlex.split(how_to_repeat(target, output).splitlines()[-1].removeprefix("or "))
    assert list(findings.iterdir()) == [pathlib.Path(command[-1])]
    again = subprocess.run(command, cwd=ROOT, env=environment(tmp_path, "value"), capture_output=True,
                           check=False)
    assert again.returncode != 0


def test_the_corpora_are_small():
    for target in TARGETS:
        sizes = [path.stat().st_size for path in corpus(target).iterdir()]
        assert len(sizes) <= 150 and sum(sizes) <= 100_000, target
    assert {path.name for path in (HERE / "corpus").iterdir()} == set(TARGETS)
