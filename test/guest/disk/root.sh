#!/bin/bash
# SPDX-License-Identifier: MIT
# A root on a disk: a program finds all of a tree there, uncompressed and with LZ4, with less memory than the root is large; it can
# write to its files; a damaged block is EIO with its place in the log, and the end of the VM where that was asked for; a foreign
# disk is refused.
# usage: root.sh ALCOVE CASE
set -euo pipefail

alcove=$1
case=$2
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
export TMPDIR="$work"

die()
{
    echo "$case: $*" >&2
    [ ! -s "$work/out" ] || tail -n 30 "$work/out" >&2
    exit 1
}

memory=48M      # two CPUs run short of it at a time

# boot [OPTION...] IMAGE: its output to $work/out, its status is ours.
boot()
{
    "$alcove" run --accel tcg --cpus 2 -m "$memory" "$@" </dev/null >"$work/out" 2>&1
}

# 14 files of 4 MB each that compress to about a half, and their sums.
tree()
{
    mkdir -p "$work/tree/data"
    python3 - "$work/tree" <<'PY'
import hashlib, random, sys
random.seed(7)
words = [bytes(random.choices(b"abcdefghijklmnop", k=random.randint(2, 9))) + b" " for _ in range(900)]
with open(sys.argv[1] + "/data/sums", "w") as sums:
    for n in range(14):
        text = b"".join(random.choices(words, k=700000))[:4000000 + n * 517]
        if n % 5 == 4:                  # nothing to compress, and much
            text = random.randbytes(1500000) + bytes(2000000) + random.randbytes(700)
        open(f"{sys.argv[1]}/data/f{n:02}", "wb").write(text)
        sums.write(f"{hashlib.md5(text).hexdigest()}  /data/f{n:02}\n")
PY
}

# All files, which are more than the machine has memory for, twice; then some are changed, cut, grown, removed and renamed.
script='
set -e
md5sum --quiet -c /data/sums
md5sum --quiet -c /data/sums
printf changed | dd of=/data/f01 bs=1 seek=4097 conv=notrunc 2>/dev/null
[ "$(dd if=/data/f01 bs=1 skip=4095 count=11 2>/dev/null | tail -c 9 | head -c 7)" = changed ]
truncate -s 10000 /data/f02; truncate -s 20000 /data/f02
[ "$(tail -c 10000 /data/f02 | tr -d "\000" | wc -c)" = 0 ]
head -c 10000 /data/f02 | md5sum >/data/new
rm /data/f03; mv /data/f04 /data/f03; cp /data/f05 /data/f04
grep -v "f0[1234]" /data/sums >/data/rest
md5sum --quiet -c /data/rest
head -c 10000 /data/f02 | md5sum | cmp - /data/new
sed -n "s/f05/f04/p" /data/sums | md5sum --quiet -c -
echo whole $(ls /data | wc -l)
'

build()
{
    "$alcove" build --root-disk "$work/root.img" --root "$work/tree" --with ls --with md5sum --with dd --with tail --with head \
        --with truncate --with tr --with wc --with rm --with mv --with cp --with grep --with cmp --with sed --with cat \
        --with sync "$@" -o "$work/app.elf" >"$work/built" || die "cannot be built"
}

# The byte at which file f06 of the image has its megabyte.
place()
{
    python3 - "$work" <<'PY'
import sys
want = open(sys.argv[1] + "/tree/data/f06", "rb").read()[1 << 20:][:4096]
print(open(sys.argv[1] + "/root.img", "rb").read().index(want))
PY
}

# damage OFFSET: another byte there.
damage()
{
    printf '\377\376' | dd of="$work/root.img" bs=1 seek="$1" conv=notrunc 2>/dev/null
}

tree
case $case in
plain | lz4)
    [ "$case" = plain ] && build /bin/bash -c "$script" || build --compress lz4 /bin/bash -c "$script"
    "$alcove" inspect "$work/app.elf" | grep -q "^root .*matches its hash tree.*root.img" || die "not inspected"
    boot "$work/app.elf" || die "status $?"
    grep -qx 'whole 17' "$work/out" || die "not all was found"
    [ "$case" = plain ] || [ "$(stat -c %s "$work/root.img")" -lt 48000000 ] || die "nothing was compressed"
    ;;
memory)     # compressed files in an image in memory
    rm "$work"/tree/data/f1*
    sed -i '/f1/d' "$work/tree/data/sums"
    "$alcove" build --compress lz4 --root "$work/tree" --with md5sum /bin/bash -c 'md5sum --quiet -c /data/sums && echo whole' \
        -o "$work/app.elf" >/dev/null
    "$alcove" run --accel tcg "$work/app.elf" </dev/null >"$work/out" 2>&1 || die "status $?"
    grep -qx whole "$work/out" || die "not all was found"
    ;;
damage)     # a file's block; the rest can be read all the same
    build /bin/bash -c 'cat /data/f06 >/dev/null; echo "f06 $?"; md5sum --quiet -c <(grep -v f06 /data/sums) && echo rest'
    at=$(place)
    damage "$at"
    boot "$work/app.elf" || die "status $?"
    grep -q "f06 1" "$work/out" && grep -q "Input/output error" "$work/out" || die "no EIO"
    grep -qx rest "$work/out" || die "other files were lost"
    grep -q "block $((at / 4096)) is not what the root hash says" "$work/out" || die "the place was not logged"
    # The same with the VM's end; then a block of the tree, and none of the root's disk at all.
    build --verity panic /bin/bash -c 'cat /data/f06 >/dev/null; echo lived on'
    damage "$at"
    ! boot "$work/app.elf" || die "the VM did not end"
    ! grep -q "lived on" "$work/out" && grep -q "block $((at / 4096)) is not" "$work/out" || die "not ended by it"
    ;;
tree)       # the hashes of f06's megabyte, then the tree's top, then another root
    build /bin/bash -c 'cat /data/f06 >/dev/null; echo "f06 $?"'
    at=$(place)
    size=$(python3 -c 'import re, sys; print(re.search(rb" rootdisk=(\d+) ", open(sys.argv[1], "rb").read())[1].decode())' "$work/app.elf")
    cp "$work/root.img" "$work/good.img"
    python3 - "$work" "$size" "$at" <<'PY'
import sys
work, size, at = sys.argv[1], int(sys.argv[2]), int(sys.argv[3])
blocks, tops = size // 4096, []
while blocks > 1:
    blocks = (blocks + 127) // 128
    tops.append(blocks)
# The lowest level is the last one; its block for the file's block.
block = 1 + sum(tops[1:]) + at // 4096 // 128
with open(work + "/root.img", "r+b") as f:
    f.seek(size + block * 4096 + at // 4096 % 128 * 32)
    f.write(b"\377\376\375")
open(work + "/block", "w").write(str(block))
PY
    boot "$work/app.elf" || die "status $?"
    grep -q "f06 1" "$work/out" || die "no EIO"
    grep -q "hash block $(cat "$work/block") of the hash tree" "$work/out" || die "the place was not logged"
    cp "$work/good.img" "$work/root.img"
    damage $((size + 4096 + 5))
    ! boot "$work/app.elf" || die "a wrong top was taken"
    grep -q "no disk has it" "$work/out" || die "the wrong top was not told"
    truncate -s $((size / 2)) "$work/good.img"
    ! boot --root-disk "$work/good.img" "$work/app.elf" || die "half a disk was taken"
    grep -q "no disk has it" "$work/out" || die "half a disk was not told"
    rm "$work/root.img"
    ! boot "$work/app.elf" || die "ran without its disk"
    grep -q "root.img: cannot be read" "$work/out" || die "no clear line: "
    ;;
esac
! grep -E 'panic: |BUG|sanitizer' "$work/out" >&2 || die "libOS complained"
echo "root $case: ok"
