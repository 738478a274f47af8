#!/usr/bin/env bash
# suite.sh BUILD...: runs every test in each build directory, then prints the tally: one closing
# line, "N passed, N failed". Results are kept in BUILD/results.
set -euo pipefail
cd "$(dirname "$0")/.."

# Against any build; what looks at the tree itself or breaks things on purpose runs once, in the
# release build.
readonly CONTRACT=(tests/contract) OTHERS=(tests/crash tests/interop)
# The whole contract takes AddressSanitizer the longest: in two halves of about the same time.
readonly FIRST_HALF=(tests/contract/test_[a-g]*.py) OTHER_HALF=(tests/contract/test_[h-z]*.py)
# Under ThreadSanitizer only what has threads meet: the rest of the contract is one loop's parsing.
readonly MEETING=(tests/contract/test_{admin_listener,admin_socket,auth,collect,conversion_dedup}.py
    tests/contract/test_{full_disk,full_disk_publisher,lifecycle,metrics,mint,poll_results,polls}.py
    tests/contract/test_{rate_limit,reload,restart,tail,window}.py)
readonly RELEASE_ONLY=(tests/reports tests/data tests/lint tests/dev tests/browser)
readonly FAULTS=(tests/points tests/faults) DAMAGE=(tests/power tests/sim tests/corruption)
# Of tests/postgres, what needs no cluster of its own.
readonly SHARED=(tests/postgres/test_{contract,copy,copy_back,erase,feed,programs,store_suite,values}.py)
readonly STREAMS=(tests/sinks) ALONE=(tests/hostile tests/bench) LAST=(tests/fuzz)
readonly COMPUTES='damage fuzz' # these let others go first, which look at the time
readonly PYTEST_SECONDS_MAX=1200

existing() {
    local path
    for path in "$@"; do
        [[ -e $path ]] && echo "$path"
    done
    return 0
}

# The rest of tests/postgres.
unshared() {
    local path
    for path in tests/postgres/test_*.py; do
        [[ " ${SHARED[*]} " == *" $path "* ]] || echo "$path"
    done
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

# run_as RESULTS NAME COMMAND...: keeps the exit status for the tally, and says what it took.
run_as() {
    local results=$1 name=$2 status=0
    local TIMEFORMAT="== $name: %0R s, and %0U + %0S s of a processor"
    shift 2
    echo "== $name"
    time "$@" || status=$?
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
    [[ " $COMPUTES " != *" $name "* ]] || wrap+=(nice -n 5)
    ADTALLY_BIN=$PWD/$dir/adtally ADTALLY_BUILD=$PWD/$dir run_as "$results" "$name" \
        timeout --foreground --signal=INT --kill-after=60 "$PYTEST_SECONDS_MAX" "${wrap[@]}" \
        /usr/bin/python3 -m pytest -q -p no:cacheprovider --junitxml="$results/$name.xml" \
        "${paths[@]}"
}

# beside DIR RESULTS NAME FOLDER...: a group that others run beside; its output is kept for the end.
beside() {
    run_pytest "$@" >"$2/$3.log" 2>&1 &
}

# Groups wait more than they compute, but for one: together they keep two processors busy.
start_release() {
    local rest
    mapfile -t rest < <(unshared)
    beside "$@" contract "${CONTRACT[@]}"
    beside "$@" pytest "${OTHERS[@]}" "${RELEASE_ONLY[@]}"
    beside "$@" faults "${FAULTS[@]}"
    beside "$@" damage "${DAMAGE[@]}"
    beside "$@" sinks "${STREAMS[@]}"
    beside "$@" database "${SHARED[@]}"
    beside "$@" postgres "${rest[@]}"
}

start_tsan() {
    beside "$@" contract "${MEETING[@]}"
    beside "$@" pytest tests/crash
}

start_asan() {
    beside "$@" contract "${FIRST_HALF[@]}"
    beside "$@" contract-rest "${OTHER_HALF[@]}"
    beside "$@" pytest "${OTHERS[@]}"
}

run_in() {
    local dir=$1 results=$1/results
    echo "==== $dir"
    rm -rf "$results"
    mkdir -p "$results"
    export ADTALLY_REPORT=$PWD/$results/report
    sanitizers_report_to "$PWD/$results/sanitizer"
    case $dir in
    build) start_release "$dir" "$results" ;;
    *tsan) start_tsan "$dir" "$results" ;;
    *) start_asan "$dir" "$results" ;;
    esac
    run_unit "$dir" "$results"
    wait
    cat "$results"/*.log
    # Hostile clients and the benchmark's tests are timed: they have the machine for themselves.
    [[ $dir != build ]] || run_pytest "$dir" "$results" alone "${ALONE[@]}"
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
