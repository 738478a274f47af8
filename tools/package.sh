#!/usr/bin/env bash
# package.sh: builds the Debian packages from what git knows of the tree, lets lintian look at them, and
# ends with a line for each that says where it is. What was compiled last time is not compiled again.
set -euo pipefail
cd "$(dirname "$0")/.."

readonly TREE=build-package/adtally NPM=src/admin/dashboard/node_modules

# Files keep their times, so that ninja sees what has changed.
copy_tree() {
    mkdir -p "$TREE"
    find "$TREE" -mindepth 1 -maxdepth 1 ! -name 'obj-*' -exec rm -rf {} +
    git ls-files -z --cached --others --exclude-standard |
        tar --create --null --files-from=- | tar --extract --directory="$TREE"
    cp --archive "$NPM" "$TREE/$NPM" # what git does not know: tools/install.sh made it
}

main() {
    copy_tree
    (cd "$TREE" && DEB_BUILD_OPTIONS=${DEB_BUILD_OPTIONS-noautodbgsym} dpkg-buildpackage -b -us -uc -nc)
    local version packages
    version=$(dpkg-parsechangelog -l debian/changelog -S Version)
    packages=(build-package/adtally{,-sinks}_"$version"_*.deb)
    lintian --fail-on error,warning,info "${packages[@]}"
    printf '%s\n' "${packages[@]}"
}

main
