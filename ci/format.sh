#!/bin/sh
# SPDX-License-Identifier: MIT
# Name the C files that clang-format would change, and exit 1 when there are any. `./dev fmt` changes them.
cd "$(dirname "$0")/.." || exit 1
find apps drivers examples libos platform syscalls test subprojects/packagefiles -name '*.[ch]' \
    ! -path 'test/gen/*' ! -path 'test/bench/ul*' -print0 |
    xargs -0 -n 1 -P "$(nproc)" sh -c 'clang-format --dry-run -Werror "$0" 2>/dev/null || { echo "$0: run ./dev fmt"; exit 1; }'
