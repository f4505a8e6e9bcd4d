#!/bin/sh
# SPDX-License-Identifier: MIT
# Exit 1 when clang-format would change a C file. `./dev fmt` changes them.
cd "$(dirname "$0")/.." || exit 1
find apps drivers examples libos platform syscalls test subprojects/packagefiles -name '*.[ch]' \
    ! -path 'test/gen/*' -print0 2>/dev/null | xargs -0 clang-format --dry-run -Werror
