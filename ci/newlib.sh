#!/bin/sh
# SPDX-License-Identifier: MIT
# Builds newlib's complete libc.a and libm.a for programs that alcove-cc relinks, and makes OUTDIR/newlib a link to the
# directory with lib/ and include/. OUTDIR/newlib-ready.h says that it is there. The result is kept in ${XDG_CACHE_HOME:-$HOME/.cache}/alcove by the hash of everything that it depends on:
# newlib's source, this script and the compiler; every checkout shares it.
# usage: ci/newlib.sh SOURCE_TAR OUTDIR    (the archive has been checked by ci/third-party.sh)
set -eu

tar=$1
out=$(cd "$2" && pwd)
cc=gcc
# No red zone: interrupts arrive on the program's own stack in ring 0. -fpie: the image is relocated at boot.
# A struct _reent for each thread, found by __getreent() in libalcove.a; locks by its __retarget_lock_*().
flags="-O2 -fpie -mno-red-zone -fcf-protection=none -fno-stack-protector -ffunction-sections -fdata-sections
    -fno-asynchronous-unwind-tables -D__DYNAMIC_REENT__ -DGETREENT_PROVIDED -DMALLOC_ALIGNMENT=16 -w"

cache=${XDG_CACHE_HOME:-$HOME/.cache}/alcove
key=$({ sha256sum <"$tar"; cat "$0"; $cc --version | head -n 1; } | sha256sum | cut -c 1-32)
prefix=$cache/newlib-$key
if [ ! -f "$prefix/lib/libc.a" ]; then
    mkdir -p "$cache"
    work=$(mktemp -d)
    trap 'rm -rf "$work"' EXIT
    {
        tar -xJf "$tar" -C "$work" --strip-components=1
        mkdir "$work/build"
        cd "$work/build"
        flags=$(echo $flags -ffile-prefix-map="$work"=newlib)
        export CC_FOR_TARGET=$cc AR_FOR_TARGET=ar RANLIB_FOR_TARGET=ranlib AS_FOR_TARGET=as LD_FOR_TARGET=ld \
            NM_FOR_TARGET=nm STRIP_FOR_TARGET=strip OBJDUMP_FOR_TARGET=objdump READELF_FOR_TARGET=readelf
        ../configure --target=x86_64-elf --prefix=/p --disable-multilib --disable-libgloss --disable-nls \
            --enable-newlib-retargetable-locking --enable-newlib-io-c99-formats --enable-newlib-io-long-long \
            --disable-newlib-supplied-syscalls --enable-newlib-reent-check-verify \
            --enable-newlib-global-stdio-streams --enable-newlib-global-atexit
        make -j"$(nproc)" CFLAGS_FOR_TARGET="$flags" MAKEINFO=true all-target-newlib
        make DESTDIR="$work/out" MAKEINFO=true install-target-newlib
        mv "$work/out/p/x86_64-elf" "$work/out/newlib"
        strip -g "$work"/out/newlib/lib/*.a
        cp -r "$work/out/newlib" "$prefix.$$"
        mv -T "$prefix.$$" "$prefix" || rm -rf "$prefix.$$" # another checkout was faster
    } >"$work/log" 2>&1 </dev/null || {
        tail -n 40 "$work/log" >&2
        exit 1
    }
fi
ln -sfn "$prefix" "$out/newlib"
echo '/* newlib is built. */' >"$out/newlib-ready.h"
