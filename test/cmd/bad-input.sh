#!/bin/sh
# SPDX-License-Identifier: MIT
# Bad input of alcove build: one clear line that names the file, exit status not 0, nothing half-written.
# usage: bad-input.sh ALCOVE MINI DAMAGE
DAMAGE=$(realpath "$3")
. "$(dirname "$0")/lib.sh"
b()
{
    want=$1
    shift
    refused 1 "$want" "$ALCOVE" build -o bad "$@"
}

# Not a program.
b 'nothere.*No such file' ./nothere
b 'nothere.*not a program in' nothere
b '/usr.*not a regular file' /usr
mkfifo fifo
chmod +x fifo
b 'fifo.*not a regular file' ./fifo
: >empty
chmod +x empty
b 'empty.*is empty' ./empty
echo 'just text' >text
b 'text.*not executable' ./text
chmod +x text
b 'text.*not an ELF program' ./text
printf '#!relative/interpreter\n' >script
chmod +x script
b 'script.*without an absolute path' ./script
printf '#!/no/such/interpreter -x\n' >script
b "script.*interpreter '/no/such/interpreter'.*not found" ./script
printf '#!/usr/bin/env no-such-interpreter\n' >script
b "script.*'no-such-interpreter'.*not found" ./script
printf '#!%s/script\n' "$work" >script
b 'script.*interpreters that are scripts' ./script

# ELF, but not one that runs here.
cp /bin/true true
"$DAMAGE" class32 true bad32
b 'bad32.*32-bit' ./bad32
"$DAMAGE" machine true badarm
b 'badarm.*another machine' ./badarm
"$DAMAGE" relocatable true badobj
b 'badobj.*object file' ./badobj
for kind in overlap overflow-file overflow-memory overflow-phoff misaligned filesz no-load; do
    "$DAMAGE" $kind true "bad-$kind"
    b "bad-$kind.*damaged|bad-$kind.*truncated" "./bad-$kind"
done

# Truncated at every offset. A tiny static program, so that every offset is affordable; each run is the real command.
cat >tiny.c <<'END'
void _start(void) { __asm__ volatile("mov $60, %eax; xor %edi, %edi; syscall"); }
END
gcc -static -nostdlib -s -Wl,-z,noseparate-code,--build-id=none -o tiny tiny.c || exit 1
check 'the whole one is packed' "$ALCOVE" build -o whole ./tiny
size=$(stat -c %s tiny)
n=0
while [ $n -lt "$size" ]; do
    head -c $n tiny >cut
    chmod +x cut
    b 'cut: (is truncated|is empty)' ./cut
    n=$((n + 1))
done

# Lacks its interpreter or a library.
"$DAMAGE" interp true badinterp
b "badinterp.*interpreter '/lib65/.*not found" ./badinterp
echo 'int missing(void) { return 0; }' >lib.c
echo 'int missing(void); int main(void) { return missing(); }' >main.c
gcc -shared -fPIC -Wl,-soname,libmissing.so.3 -o libmissing.so lib.c && gcc -o needs main.c -L. -lmissing || exit 1
b "needs.*library 'libmissing.so.3'.*not found" ./needs
mkdir lib
head -c 100 libmissing.so >lib/libmissing.so.3
gcc -o needs main.c -L. -lmissing "-Wl,-rpath,$work/lib" || exit 1
b 'libmissing.so.3.*truncated' ./needs

# Root directories.
mkdir root
b 'noroot.*No such file' --root noroot /bin/true
b 'true: is not a directory' --root true /bin/true
mkfifo root/pipe
b 'root/pipe.*is a FIFO' --root root /bin/true
rm root/pipe
python3 -c 'import socket; socket.socket(socket.AF_UNIX).bind("root/sock")'
b 'root/sock.*is a socket' --root root /bin/true
rm root/sock
if [ "$(id -u)" = 0 ] && mknod root/null c 1 3 2>mknod.err; then
    b 'root/null.*is a device' --root root /bin/true
    rm root/null
fi
b '/dev/.*is a (device|socket|FIFO)|/dev/.*is a link to' --root /dev /bin/true
mkdir root/d
ln -s nowhere root/d/broken
b "root/d/broken.*link to 'nowhere'.*not in the image" --root root /bin/true
ln -sf /nowhere root/d/broken
b "root/d/broken.*link to '/nowhere'" --root root /bin/true
rm root/d/broken
ln -s ../../true root/d/out
b "root/d/out.*outside of the root" --root root /bin/true
ln -sfn ../../../../../../../../../etc/passwd root/d/out
b "root/d/out.*outside of the root" --root root /bin/true
rm root/d/out
ln -s loop root/d/loop
b 'root/d/loop.*link' --root root /bin/true
rm root/d/loop
mkdir -p other/d other/f
echo file >root/f
b 'other/f.*directory.*earlier --root' --root root --root other /bin/true

# A full disk, a limit, a directory that cannot be written.
if [ "$(id -u)" = 0 ]; then as_root=; else as_root=-r; fi
# In a chroot whose root is no mount point, unshare cannot make the mounts private; what is mounted is unmounted there.
unshare -m $as_root true 2>/dev/null || as_root="$as_root --propagation unchanged"
in_small()
{
    unshare -m $as_root sh -c 'mount -t tmpfs -o "size=$1" none small && shift && { "$@"; s=$?; umount small; exit $s; }' sh "$@"
}
mkdir small
check 'a mount namespace, for the full disk' in_small 64k true
refused 1 'full' in_small 64k "$ALCOVE" build -o small/bad /bin/true
refused 1 'full' in_small 64k env "TMPDIR=$work/small" "$ALCOVE" build -o bad /bin/true
refused 1 'full' in_small 1900k env "TMPDIR=$work/small" "$ALCOVE" build -o bad /bin/true
refused 1 'limit' sh -c 'ulimit -f 16; exec "$@"' sh "$ALCOVE" build -o bad /bin/true
refused 1 'limit' sh -c 'ulimit -f 2000; exec "$@"' sh "$ALCOVE" build -o bad /bin/true
b 'nodir' -o nodir/bad /bin/true
mkdir taken.elf
refused 1 'taken.elf' "$ALCOVE" build -o taken /bin/true

# Missing tools.
mkdir bin
refused 1 'mkfs.erofs: is not installed; install it' env "PATH=$work/bin" "$ALCOVE" build -o bad /bin/true
ln -s "$(command -v mkfs.erofs)" bin
without_veritysetup()
{
    unshare -m $as_root sh -c 'for f in /usr/sbin/veritysetup /sbin/veritysetup; do
        [ ! -x $f ] || mount --bind /dev/null $f; done; "$@"; s=$?; umount /usr/sbin/veritysetup; exit $s' sh "$@"
}
refused 1 'veritysetup: is not installed; install it' without_veritysetup env "PATH=$work/bin" "$ALCOVE" build -o bad /bin/true
refused 125 'qemu-system-x86_64: is not installed; install it' env "PATH=$work/bin" "$ALCOVE" run /bin/true

# The libOS is missing or not one.
refused 1 'libOS is missing' env ALCOVE_KERNEL=/nowhere "$ALCOVE" build -o bad /bin/true
refused 1 'true.*not a usable libOS.*rule' env ALCOVE_KERNEL=/bin/true "$ALCOVE" build -o bad /bin/true

# Options.
b 'does not know .--frobnicate' --frobnicate /bin/true
b 'no program'
refused 1 'no output file' "$ALCOVE" build /bin/true
refused 125 "does not take '--name'" "$ALCOVE" run --name x /bin/true
b 'not a size|does not know' --memory 5 /bin/true
refused 125 "'5X' is not a size" "$ALCOVE" run -m 5X /bin/true
refused 125 'needs at least' "$ALCOVE" run -m 1M /bin/true
b 'absolute' --cwd relative /bin/true
b 'no name' -e =x /bin/true
b 'not a user' --user no-such-user-here /bin/true
b 'not a group' --user 0:no-such-group-here /bin/true
b 'host name' --hostname 'a b' /bin/true
b "'raw' is not known" --format raw /bin/true
refused 1 'SOURCE_DATE_EPOCH' env SOURCE_DATE_EPOCH=yesterday "$ALCOVE" build -o bad /bin/true
head -c 70000 /dev/zero | tr '\0' x >long
b 'arguments and environment need' -e "A=$(cat long)" /bin/true
refused 1 'not a command' "$ALCOVE" frobnicate

# Images.
check 'build' "$ALCOVE" build -o good /bin/true
refused 1 'not an Alcove image' "$ALCOVE" inspect /bin/true
refused 125 'arguments are fixed' "$ALCOVE" run good.elf x
refused 125 'is an image' "$ALCOVE" run -e A=B good.elf
# What an image mounts, and who gives its keys.
fingerprint=$(printf '%064d' 0)
refused 1 'DISK:/DIRECTORY' "$ALCOVE" build -v vda -o bad /bin/true
refused 1 'names no disk' "$ALCOVE" build -v data.img:/data -o bad /bin/true
refused 1 'names no volume' "$ALCOVE" build -v vda:/data --key "/other=attest:http://10.0.2.2#$fingerprint" -o bad /bin/true
for key in file:key attest:http://10.0.2.2 "attest:http://10.0.2.2#${fingerprint}0" "attest:http://name#$fingerprint" "attest:https://10.0.2.2#$fingerprint"; do
    refused 1 'FINGERPRINT' "$ALCOVE" build -v vda:/data --key "/data=$key" -o bad /bin/true
done
refused 1 'for --sealed' "$ALCOVE" build --console -o bad /bin/true
refused 1 'verified' "$ALCOVE" build --sealed --verity off -o bad /bin/true
refused 125 'does not mount disk 0' "$ALCOVE" run -v "$PWD/good.elf:/data" good.elf
refused 125 'where keys come from' "$ALCOVE" run --key /data=file:good.elf good.elf
size=$(stat -c %s good.elf)
for n in 0 1 63 64 200 5000 9000 $((size / 2)) $((size - 1)); do
    head -c $n good.elf >cut.elf
    refused 1 'cut.elf' "$ALCOVE" inspect cut.elf
done
# One changed bit anywhere in the payload's root or hash tree is noticed.
for at in $((size / 4)) $((size / 2)) $((size - 12000)); do
    cp good.elf flipped.elf
    "$DAMAGE" flip $at flipped.elf
    refused 1 'flipped.elf.*damaged' "$ALCOVE" inspect flipped.elf
done
finish
