#!/bin/sh
# SPDX-License-Identifier: MIT
# Lays alcove-cc's files out in the build directory, so that it runs from there: usage: tree.sh SCRIPT OUTPUT SOURCE_ROOT
set -eu
dir=$(dirname "$2")
cp "$1" "$2"
chmod +x "$2"
cp "$3/platform/boot/kernel.lds" "$3/apps/alcove-cc/program.lds" "$dir/"
mkdir -p "$dir/include"
ln -sfn "$3/libos/include/alcove" "$dir/include/alcove"
