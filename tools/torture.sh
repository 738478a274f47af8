#!/usr/bin/env bash
# torture.sh [SUITE...] [--long] [--seed S] [pytest options]: runs torture suites against the release
# build and prints what they did. Without a suite: all of them.
set -euo pipefail
cd "$(dirname "$0")/.."

readonly SUITES='crash points power faults sim fuzz corruption hostile postgres'

names=() options=()
while [[ $# -gt 0 ]]; do
    case $1 in
    --long) export ADTALLY_LONG=1 ;;
    --seed) export ADTALLY_SEED=$2 && shift ;;
    -*) options+=("$1") ;;
    *)
        [[ " $SUITES " == *" $1 "* ]] || { echo "torture: no suite is called $1: $SUITES" >&2 && exit 2; }
        names+=("tests/$1")
        ;;
    esac
    shift
done
if [[ ${#names[@]} -eq 0 ]]; then
    for name in $SUITES; do names+=("tests/$name"); done
fi

ADTALLY_REPORT=$(mktemp)
export ADTALLY_REPORT ADTALLY_BIN=$PWD/build/adtally ADTALLY_BUILD=$PWD/build
trap 'rm -f "$ADTALLY_REPORT"' EXIT
status=0
/usr/bin/python3 -m pytest -v -p no:cacheprovider "${options[@]}" "${names[@]}" || status=$?
echo "== what was done"
cat "$ADTALLY_REPORT"
exit "$status"
