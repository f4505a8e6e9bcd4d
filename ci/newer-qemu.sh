#!/bin/sh
# SPDX-License-Identifier: MIT
# Prints the command of a QEMU newer than Debian 12's, unpacked beside the installed one and not in its place.
# Debian 12's emulator has no SHA instructions, and a nested guest of its emulated SVM reads registers as zero (HACKING.md); that of
# Debian's backports for the same release has the instructions and has not shown the fault. Only measurements and the nested test use it.
# The packages come through apt with the mirror that the machine itself is configured for, checked by apt's signatures,
# and are kept in ${XDG_CACHE_HOME:-$HOME/.cache}/alcove/qemu.
set -eu

cache=${XDG_CACHE_HOME:-$HOME/.cache}/alcove/qemu
packages="qemu-system-x86 qemu-system-common qemu-system-data seabios"
keyring=/usr/share/keyrings/debian-archive-keyring.gpg

die()
{
    echo "newer-qemu: $*" >&2
    exit 1
}

# The mirror of the release itself, from either format of apt's lists.
mirror()
{
    for f in /etc/apt/sources.list /etc/apt/sources.list.d/*.list; do
        [ ! -f "$f" ] || sed -n 's/^deb[[:space:]]\+\(\[[^]]*\][[:space:]]*\)\?\([^[:space:]]\+\)[[:space:]]\+bookworm[[:space:]].*/\2/p' "$f"
    done
    for f in /etc/apt/sources.list.d/*.sources; do
        [ ! -f "$f" ] || awk '/^URIs:/ { u = $2 } /^Suites:.*[ ]bookworm( |$)/ { print u }' "$f"
    done
}

# Downloads and unpacks into the directory $1, with apt's state in a private directory inside it.
fetch()
{
    uri=$(mirror | head -n 1)
    [ -n "$uri" ] || die "no mirror of Debian bookworm in /etc/apt: the newer emulator cannot be had"
    mkdir -p "$1/apt/lists/partial" "$1/apt/archives/partial" "$1/debs"
    echo "deb [signed-by=$keyring] $uri bookworm-backports main" >"$1/apt/backports.list"
    set -- "$1" -o Dir::Etc::SourceList="$1/apt/backports.list" -o Dir::Etc::SourceParts=/dev/null \
        -o Dir::State::Lists="$1/apt/lists" -o Dir::Cache="$1/apt" -o APT::Sandbox::User="$(id -un)"
    dir=$1
    shift
    apt-get update -qq "$@" >&2 || die "$uri has no bookworm-backports that apt can read"
    # shellcheck disable=SC2086 # packages is a list
    (cd "$dir/debs" && apt-get download -qq "$@" $packages >&2) || die "could not download: $packages"
    for deb in "$dir"/debs/*.deb; do
        dpkg-deb -x "$deb" "$dir/root"
    done
    rm -rf "$dir/apt" "$dir/debs"
}

if [ ! -d "$cache/root" ]; then
    mkdir -p "$(dirname "$cache")"
    tmp=$(mktemp -d "$cache.XXXXXX")
    trap 'rm -rf "$tmp"' EXIT
    fetch "$tmp"
    mv -T "$tmp" "$cache" 2>/dev/null || [ -d "$cache/root" ] || die "cannot write $cache"
    trap - EXIT
    rm -rf "$tmp"
fi
qemu=$cache/root/usr/bin/qemu-system-x86_64
lacking=$(ldd "$qemu" | awk '/not found/ { print $1 }')
[ -z "$lacking" ] || die "$qemu: these libraries are missing: $(echo "$lacking" | tr "\n" " ")"
share=$cache/root/usr/share
echo "$qemu -L $share/qemu -L $share/seabios"
