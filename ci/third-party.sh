#!/bin/sh
# SPDX-License-Identifier: MIT
# Puts the third-party sources named by the wrap files where meson looks for them, after checking their SHA-256.
# usage: ci/third-party.sh NAME...   (NAME.wrap in subprojects/)
# Debian's source packages are fetched with apt, through the sources that the machine itself is configured for; they are
# kept in ${XDG_CACHE_HOME:-$HOME/.cache}/alcove by their hash, so that every checkout shares them.
set -eu

root=$(cd "$(dirname "$0")/.." && pwd)
cache=${XDG_CACHE_HOME:-$HOME/.cache}/alcove/sources

die()
{
    echo "third-party: $*" >&2
    exit 1
}

field()
{
    sed -n "s/^$2 *= *//p" "$root/subprojects/$1.wrap"
}

# The file $1 has the hash $2 that the wrap file $3 asks for, or nothing goes on.
check()
{
    is=$(sha256sum "$1" | cut -d ' ' -f 1)
    [ "$is" = "$2" ] || die "$1: wrong SHA-256: it has $is, subprojects/$3.wrap wants $2"
}

# Fetches the source package $1 into the directory $2, with apt's state in a private directory: the machine's own
# list of sources is read, with deb replaced by deb-src, and not changed.
fetch()
{
    tmp=$(mktemp -d)
    trap 'rm -rf "$tmp"' EXIT
    mkdir -p "$tmp/etc" "$tmp/lists/partial" "$tmp/archives/partial"
    for f in /etc/apt/sources.list /etc/apt/sources.list.d/*.list; do
        [ ! -f "$f" ] || sed -n 's/^deb[[:space:]]/deb-src /p' "$f"
    done >"$tmp/etc/all.list"
    for f in /etc/apt/sources.list.d/*.sources; do
        [ ! -f "$f" ] || sed 's/^Types:.*/Types: deb-src/' "$f" >"$tmp/etc/$(basename "$f")"
    done
    apt="apt-get -q -o Dir::Etc::SourceList=/dev/null -o Dir::Etc::SourceParts=$tmp/etc -o Dir::State::Lists=$tmp/lists
        -o Dir::Cache=$tmp -o APT::Sandbox::User=$(id -un)"
    (cd "$2" && $apt update && $apt source --download-only "$1") >&2 || die "could not fetch the source package $1"
    rm -rf "$tmp"
    trap - EXIT
}

mkdir -p "$cache"
for name in "$@"; do
    [ -f "$root/subprojects/$name.wrap" ] || die "there is no subprojects/$name.wrap"
    file=$(field "$name" source_filename)
    hash=$(field "$name" source_hash)
    url=$(field "$name" source_url)
    if [ -n "$url" ]; then              # a -source package: the file is on this machine
        file=${url#file://}
        [ -f "$file" ] || die "$file: not found; the Debian package that has it is missing"
        check "$file" "$hash" "$name"
        continue
    fi
    place=$root/subprojects/packagefiles/$file
    if [ ! -f "$cache/$hash/$file" ]; then
        mkdir -p "$cache/$hash"
        fetch "$name" "$cache/$hash"
        [ -f "$cache/$hash/$file" ] || die "$file: the source package $name does not contain it"
    fi
    check "$cache/$hash/$file" "$hash" "$name"
    [ -f "$place" ] || cp "$cache/$hash/$file" "$place"
    check "$place" "$hash" "$name"
done
