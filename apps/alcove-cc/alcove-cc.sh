#!/bin/sh
# SPDX-License-Identifier: MIT
# alcove-cc: compile and link a C program with newlib and libOS into one bootable image that runs in ring 0, where a
# system call is a function call. Takes the compiler's options: alcove-cc hello.c -o hello.elf
# CC chooses the compiler (gcc).
set -eu

self=$(readlink -f "$0")
here=$(dirname "$self")
if [ -d "$here/../lib/alcove" ]; then
    lib=$(cd "$here/../lib/alcove" && pwd)      # installed
    include=$(cd "$here/../include" && pwd)
else
    lib=$here                                   # in the build directory
    include=$here/include
fi
cc=${CC:-gcc}
newlib=$lib/newlib

case ${1:-} in
'' | -h | --help)
    cat <<'EOF'
usage: alcove-cc [COMPILER OPTION...] FILE... [-o IMAGE]
Makes a bootable ring-0 image from C files, objects and archives. With -c, -S or -E it only compiles.
Boot it:  alcove run IMAGE
EOF
    [ $# -gt 0 ] && exit 0
    exit 2
    ;;
esac

compile="-ffreestanding -fpie -mno-red-zone -fno-stack-protector -fcf-protection=none -fno-asynchronous-unwind-tables
    -ffunction-sections -fdata-sections -D__DYNAMIC_REENT__ -D__ALCOVE__=1 -nostdinc
    -isystem $include -isystem $newlib/include -idirafter $($cc -print-file-name=include)"

for arg in "$@"; do
    case $arg in
    -c | -S | -E | -M | -MM)
        # shellcheck disable=SC2086 # a list of options
        exec $cc $compile "$@"
        ;;
    -shared | -static | -pie | -no-pie)
        echo "alcove-cc: $arg: an image is always linked as one static program" >&2
        exit 2
        ;;
    esac
done

# shellcheck disable=SC2086
exec $cc $compile -nostdlib -static-pie -Wl,--no-dynamic-linker -Wl,-z,text -Wl,-z,noexecstack -Wl,--gc-sections \
    -Wl,--build-id=none -Wl,-z,max-page-size=4096 -Wl,--orphan-handling=error -Wl,-T,"$lib/alcove.lds" "$@" \
    -Wl,--start-group "$lib/libalcove.a" "$newlib/lib/libc.a" "$newlib/lib/libm.a" -Wl,--end-group
