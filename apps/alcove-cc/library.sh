#!/bin/sh
# SPDX-License-Identifier: MIT
# Makes libalcove.a: libOS as one object whose symbols are local but for those of api.txt, and the hooks under newlib.
# usage: library.sh OUTPUT API HOOKS PLATFORM ARCHIVE...
set -eu

output=$1
api=$2
hooks=$3
platform=$4
shift 4
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT

# All of the platform is wanted (entries, interrupt stubs); the rest is what it refers to.
ld -r -o "$work/alcove.o" --whole-archive "$platform" --no-whole-archive --start-group "$@" --end-group
objcopy --keep-global-symbols="$api" "$work/alcove.o"
# meson's archives are thin: members are paths from where it is.
# shellcheck disable=SC2046
cp $(ar t "$hooks") "$work/"
rm -f "$output"
(cd "$work" && ar rcsD out.a ./*.o)
mv "$work/out.a" "$output"
