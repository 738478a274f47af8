#!/usr/bin/env bash
# install.sh SET...: installs the Debian packages of these sets (packages.txt) that are missing, and for the set
# build what the dashboard takes from npm. Silent and quick when nothing is missing. Needs nothing but a shell
# and apt.
set -euo pipefail

readonly LIST=${0%/*}/packages.txt
readonly DASHBOARD=${0%/*}/../src/admin/dashboard
readonly POLICY=/usr/sbin/policy-rc.d

# It is the one that the lock file names: then npm has nothing to do.
has_uplot() {
    [[ $DASHBOARD/node_modules/.package-lock.json -nt $DASHBOARD/package-lock.json ]]
}

# The lines of the wanted sets whose command is not on PATH: package names, alternatives with "|".
wanted() {
    local set package command _
    while read -r set package command _; do
        [[ -n $set && $set != '#'* && " $* " == *" $set "* ]] || continue
        [[ $set == build && $package == npm ]] && has_uplot && continue
        [[ $command != - ]] && command -v "$command" >/dev/null && continue
        echo "$package"
    done <"$LIST"
}

is_installed() {
    [[ $(dpkg-query -W -f '${db:Status-Status}' "$1" 2>/dev/null) == installed ]]
}

any_installed() {
    local name
    for name in ${1//|/ }; do
        is_installed "$name" && return 0
    done
    return 1
}

missing() {
    local package
    for package in $(wanted "$@" | sort -u); do
        any_installed "$package" || echo "$package"
    done
}

# Of alternatives the first that apt could install, else the last.
choose() {
    local package name
    for package in "$@"; do
        for name in ${package//|/ }; do
            [[ -n $(apt-cache show "$name" 2>/dev/null) ]] && break
        done
        echo "$name"
    done
}

as_root() {
    if [[ $EUID -eq 0 ]]; then "$@"; else sudo -n "$@"; fi
}

# A package that brings a service (nginx) must not start it: the benchmark starts its own.
forbid_services() {
    [[ -e $POLICY ]] && return
    trap 'as_root rm -f "$POLICY"' EXIT
    printf '#!/bin/sh\nexit 101\n' | as_root tee "$POLICY" >/dev/null
    as_root chmod 755 "$POLICY"
}

install_debian() {
    if ! command -v dpkg-query >/dev/null || ! command -v apt-get >/dev/null; then
        echo "install.sh: no apt here; install what $LIST lists by hand" >&2
        return 0
    fi
    local packages
    mapfile -t packages < <(missing "$@")
    [[ ${#packages[@]} -gt 0 ]] || return 0

    if [[ $EUID -ne 0 ]] && ! sudo -n true 2>/dev/null; then
        mapfile -t packages < <(choose "${packages[@]}")
        echo "Packages are missing. Run this as root, then try again:" >&2
        echo "  apt-get update && apt-get install -y --no-install-recommends ${packages[*]}" >&2
        return 1
    fi
    as_root apt-get update -q
    mapfile -t packages < <(choose "${packages[@]}")
    forbid_services
    as_root env DEBIAN_FRONTEND=noninteractive apt-get install -y -q --no-install-recommends \
        "${packages[@]}"
}

# What the lock file names, and nothing that it does not name by its hash.
install_npm() {
    ! has_uplot || return 0
    if ! npm ci --prefix "$DASHBOARD" --ignore-scripts --no-audit --no-fund --loglevel=error; then
        echo "install.sh: uPlot did not come from npm; the dashboard needs it. Try again with a network:" >&2
        echo "  npm ci --prefix src/admin/dashboard" >&2
        return 1
    fi
    touch "$DASHBOARD/node_modules/.package-lock.json"
}

main() {
    install_debian "$@"
    [[ " $* " != *" build "* ]] || install_npm
}

main "$@"
