#!/bin/sh
# SPDX-License-Identifier: MIT
# Run by `meson install`: newlib's headers and archives, beside libalcove.a. usage: install-newlib.sh NEWLIB
set -eu
to=$MESON_INSTALL_DESTDIR_PREFIX/lib/alcove/newlib
mkdir -p "$to"
cp -r "$1/include" "$1/lib" "$to/"
