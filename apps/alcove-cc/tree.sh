#!/bin/sh
# SPDX-License-Identifier: MIT
# Lays alcove-cc's files out in the build directory, so that it runs from there: the script, its linker script (kernel.lds
# with program.lds put into it), the headers. usage: tree.sh SCRIPT SOURCE_ROOT SCRIPT_OUTPUT LINKER_SCRIPT_OUTPUT
set -eu
dir=$(dirname "$3")
cp "$1" "$3"
chmod +x "$3"
awk -v add="$2/apps/alcove-cc/program.lds" '
    /^    \.rela\.dyn / { while ((getline line < add) > 0) print line; found = 1 }
    { print }
    END { exit !found }' "$2/platform/boot/kernel.lds" >"$4"
mkdir -p "$dir/include"
ln -sfn "$2/libos/include/alcove" "$dir/include/alcove"
