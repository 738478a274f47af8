#!/usr/bin/env bash
# suite.sh BUILD...: runs every test in each build directory, then prints the tally: one closing
# line, "N passed, N failed". Results are kept in BUILD/results.
set -euo pipefail
cd "$(dirname "$0")/.."

# Against any build; what looks at the tree itself or breaks things on purpose runs once, in the
# release build.
readonly EVERY_BUILD=(tests/contract tests/crash tests/interop)
# Under ThreadSanitizer only what has threads meet: the rest of the contract is one loop's parsing.
readonly MEETING=(tests/crash tests/contract/test_{admin_listener,admin_socket,auth,collect,conversion_dedup}.py
    tests/contract/test_{full_disk,full_disk_publisher,lifecycle,metrics,mint,poll_results,polls}.py
    tests/contract/test_{rate_limit,reload,restart,tail,window}.py)
readonly RELEASE_ONLY=(tests/reports tests/data tests/lint tests/dev tests/bench tests/browser)
readonly FAULTS=(tests/points tests/power tests/faults) DAMAGE=(tests/sim tests/corruption)
readonly STREAMS=(tests/sinks) DATABASE=(tests/postgres) ALONE=(tests/hostile) LAST=(tests/fuzz)
readonly PYTEST_SECONDS_MAX=1200

existing() {
    local path
    for path in "$@"; do
        [[ -e $path ]] && echo "$path"
    done
    return 0
}

# A second SIGTERM ends the process without joining its threads: no leak.
# A finding ends the process, and its report is a file here: the tally counts it as a failure even
# when no test noticed.
sanitizers_report_to() {
    export ASAN_OPTIONS=log_path=$1:strict_string_checks=1:detect_stack_use_after_return=1
    export UBSAN_OPTIONS=print_stacktrace=1:halt_on_error=1
    export TSAN_OPTIONS=log_path=$1:halt_on_error=1:second_deadlock_stack=1:report_thread_leaks=0
}

# Older ThreadSanitizers do not know how to run with much address randomization.
plain_addresses() {
    if [[ $1 == *tsan ]] && setarch -R true 2>/dev/null; then echo setarch -R; fi
}

# run_as RESULTS NAME COMMAND...: keeps the exit status for the tally.
run_as() {
    local results=$1 name=$2 status=0
    shift 2
    echo "== $name"
    "$@" || status=$?
    echo "$status" >"$results/$name.status"
}

run_unit() {
    local dir=$1 results=$2
    rm -f "$dir"/meson-logs/testlog*
    run_as "$results" unit meson test -C "$dir" --no-rebuild --print-errorlogs \
        --timeout-multiplier 4
    cp "$dir/meson-logs/testlog.junit.xml" "$results/unit.xml" || true
    cp "$dir/meson-logs/testlog.json" "$results/unit.json" || true
}

# run_pytest DIR RESULTS NAME FOLDER...
run_pytest() {
    local dir=$1 results=$2 name=$3 paths wrap
    mapfile -t paths < <(existing "${@:4}")
    [[ ${#paths[@]} -gt 0 ]] || return 0
    read -ra wrap < <(plain_addresses "$dir") || true
    ADTALLY_BIN=$PWD/$dir/adtally ADTALLY_BUILD=$PWD/$dir run_as "$results" "$name" \
        timeout --foreground --signal=INT --kill-after=60 "$PYTEST_SECONDS_MAX" "${wrap[@]}" \
        /usr/bin/python3 -m pytest -q -p no:cacheprovider --junitxml="$results/$name.xml" \
        "${paths[@]}"
}

# The contract's tests mostly wait, so others run beside them. Hostile clients are timed: they have
# the machine for themselves.
run_release() {
    local dir=$1 results=$2
    run_pytest "$dir" "$results" faults "${FAULTS[@]}" >"$results/faults.log" 2>&1 &
    run_pytest "$dir" "$results" damage "${DAMAGE[@]}" >"$results/damage.log" 2>&1 &
    run_pytest "$dir" "$results" sinks "${STREAMS[@]}" >"$results/sinks.log" 2>&1 &
    run_pytest "$dir" "$results" postgres "${DATABASE[@]}" >"$results/postgres.log" 2>&1 &
    run_pytest "$dir" "$results" pytest "${EVERY_BUILD[@]}" "${RELEASE_ONLY[@]}"
    wait
    cat "$results/faults.log" "$results/damage.log" "$results/sinks.log" "$results/postgres.log"
    run_pytest "$dir" "$results" hostile "${ALONE[@]}"
}

run_in() {
    local dir=$1 results=$1/results
    echo "==== $dir"
    rm -rf "$results"
    mkdir -p "$results"
    export ADTALLY_REPORT=$PWD/$results/report
    sanitizers_report_to "$PWD/$results/sanitizer"
    run_unit "$dir" "$results"
    if [[ $dir == build ]]; then
        run_release "$dir" "$results"
    elif [[ $dir == *tsan ]]; then
        run_pytest "$dir" "$results" pytest "${MEETING[@]}"
    else
        run_pytest "$dir" "$results" pytest "${EVERY_BUILD[@]}"
    fi
    [[ ! -f $ADTALLY_REPORT ]] || cat "$ADTALLY_REPORT"
    echo "==== $dir: $SECONDS s so far"
}

run_last() {
    local results=$1/results
    ADTALLY_REPORT=$PWD/$results/fuzz.report run_pytest "$1" "$results" fuzz "${LAST[@]}"
    cat "$results/fuzz.report" || true
}

# The first build has the machine for itself, since its tests look at times; the others mostly wait,
# and the fuzzers take what they leave.
run_together() {
    local first=$1 dir
    shift
    for dir in "$@"; do
        run_in "$dir" >"$dir/suite.log" 2>&1 &
    done
    [[ $first != build ]] || run_last "$first"
    wait
    for dir in "$@"; do
        cat "$dir/suite.log"
    done
}

install_interop() {
    local home=tests/interop
    [[ -f $home/package.json && ! $home/node_modules -nt $home/package-lock.json ]] || return 0
    npm ci --prefix "$home" --no-audit --no-fund && touch "$home/node_modules"
}

main() {
    local dir results=("${@/%//results}")
    if ! install_interop; then
        mkdir -p "$1/install"
        echo failed >"$1/install/npm-ci.status"
        results+=("$1/install")
    fi
    run_in "$1"
    run_together "$@"
    /usr/bin/python3 tools/tally.py "${results[@]}"
}

main "$@"
