#!/usr/bin/env bash
# coverage.sh BUILD: runs the tests in a build made for coverage and says which lines and branches of
# src/ they reached; fails under the goals. The branches of ASSERT are left out: a bug takes them, no
# input does.
set -euo pipefail
cd "$(dirname "$0")/.."

readonly SUITES=(contract crash data reports interop power faults sim corruption hostile postgres sinks)
readonly LINE_PERCENT_MIN=95 BRANCH_PERCENT_MIN=85

dir=$1
find "$dir" -name '*.gcda' -delete
paths=()
for name in "${SUITES[@]}"; do
    [[ ! -d tests/$name ]] || paths+=("tests/$name")
done
meson test -C "$dir" --no-rebuild --timeout-multiplier 8 || echo "coverage: unit tests failed" >&2
ADTALLY_BIN=$PWD/$dir/adtally ADTALLY_BUILD=$PWD/$dir \
    /usr/bin/python3 -m pytest -q "${paths[@]}" || echo "coverage: tests failed" >&2

gcovr --root . --filter src/ --exclude-unreachable-branches \
    --exclude-branches-by-pattern '.*ASSERT\(.*' --html-details "$dir/coverage.html" \
    --txt --branches "$dir" -j 2 >"$dir/branches.txt"
gcovr --root . --filter src/ --exclude-unreachable-branches \
    --exclude-branches-by-pattern '.*ASSERT\(.*' --txt --print-summary \
    --fail-under-line "$LINE_PERCENT_MIN" --fail-under-branch "$BRANCH_PERCENT_MIN" -j 2 "$dir"
echo "by line and branch: $dir/coverage.html, $dir/branches.txt"
