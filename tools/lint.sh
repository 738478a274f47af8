#!/usr/bin/env bash
# lint.sh: every static check, all of them even when one fails. Wants build, build-clang and build-fuzz,
# which ./dev lint makes without a warning first.
set -euo pipefail
cd "$(dirname "$0")/.."

failed=()

# step NAME COMMAND...
step() {
    local name=$1
    shift
    echo "== $name"
    "$@" || failed+=("$name")
}

# files FOLDER... -- NAME: null-terminated, without what npm installed.
files() {
    local folders=()
    while [[ $1 != -- ]]; do
        folders+=("$1")
        shift
    done
    find "${folders[@]}" -name node_modules -prune -o -type f -name "$2" -print0
}

check_layout() {
    files src tests bench -- '*.[ch]' | xargs -0 clang-format --dry-run -Werror
}

# tidy BUILD: the files on standard input, with that build's flags. Each by itself: of several in one run the
# analyzer takes functions of one file for those of another now and then.
tidy() {
    xargs -0 -P "$(nproc)" -n 1 clang-tidy -p "$1" --quiet 2>&1 | sed '/warnings\? generated\.$/d'
}

check_tidy() {
    files src tests bench -- '*.c' | grep -zv '^tests/fuzz/' | tidy build-clang
}

check_tidy_fuzz() {
    files tests/fuzz -- '*.c' | tidy build-fuzz
}

check_cppcheck() {
    cppcheck --quiet --std=c11 --enable=warning,performance,portability --inline-suppr \
        --library=posix --suppress=missingIncludeSystem --suppress=readdirCalled \
        --suppress=invalidFunctionArg:src/http/slab.c \
        --suppress=invalidFunctionArg:src/base/secret.c \
        -D_GNU_SOURCE -DADTALLY_VERSION='"0"' -DADTALLY_SANDBOX=1 -j "$(nproc)" --error-exitcode=1 -I src src bench
}

check_shell() {
    files tools tests bench -- '*.sh' | xargs -0 shellcheck dev .ci/run \
        etc/completion/adtally.bash debian/adtally.{postinst,prerm,postrm}
}

main() {
    step layers /usr/bin/python3 tests/lint/layers.py --build build
    step clang-format check_layout
    step clang-tidy check_tidy
    step 'clang-tidy of the fuzzers' check_tidy_fuzz
    step cppcheck check_cppcheck
    step shellcheck check_shell
    if [[ ${#failed[@]} -gt 0 ]]; then
        echo "lint: failed: ${failed[*]}"
        return 1
    fi
    echo "lint: clean"
}

main "$@"
