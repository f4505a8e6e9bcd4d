#!/bin/sh
# SPDX-License-Identifier: MIT
# What alcove build makes: reproducible images, the right files in them, links, users, environment, output and JSON.
# usage: build.sh ALCOVE MINI
. "$(dirname "$0")/lib.sh"

# The root of image $1, unpacked into directory $2 by the standard tool.
unpack()
{
    rm -rf "$2"
    python3 - "$1" "$2.erofs" "$2.hash" <<'END'
import struct, sys
d = open(sys.argv[1], 'rb').read()
phoff, = struct.unpack_from('<Q', d, 32)
phnum, = struct.unpack_from('<H', d, 56)
segs = [struct.unpack_from('<IIQQQQQQ', d, phoff + 56 * i) for i in range(phnum)]
off = [s for s in segs if s[0] == 1][-1][2]
assert d[off:off + 8] == b'ALCOVEIM'
part = [struct.unpack_from('<QQ', d, off + 24 + 16 * i) for i in range(4)]
for name, (o, n) in zip(sys.argv[2:], part[1:3]):
    open(name, 'wb').write(d[off + o:off + o + n])
END
    (umask 0 && fsck.erofs --extract="$2" "$2.erofs" >/dev/null)
}

sum()
{
    sha256sum "$1" | cut -d' ' -f1
}

# Same inputs, same bytes: another time, directory, umask, locale, TMPDIR and order of creation.
cat >hello.c <<'END'
#include <stdio.h>
int main(void) { puts("hello"); return 0; }
END
gcc -o hello hello.c || exit 1
mkdir -p root/etc root/data/deep
echo one >root/data/b
echo two >root/data/a
ln -s ../b root/data/deep/link
ln -s /data/a root/data/abs
touch -d @1111111111 root/data/a root/data/b root root/data root/data/deep root/etc
check 'build' "$ALCOVE" build --root root -e B=2 -e A=1 -o one ./hello x 'y z' ''
mkdir -p elsewhere tmp2
cp hello elsewhere/hello
touch -d @1 elsewhere/hello
mkdir -p root2/data/deep root2/etc
cp root/data/a root2/data/a
ln -s /data/a root2/data/abs
cp root/data/b root2/data/b
ln -s ../b root2/data/deep/link
touch -d @1111111111 root2/data/a root2/data/b root2 root2/data root2/data/deep root2/etc
touch -h -d @5 root2/data/abs root2/data/deep/link
touch -h -d @5 root/data/abs root/data/deep/link
check 'build' "$ALCOVE" build --root root -e B=2 -e A=1 -o one ./hello x 'y z' ''
(umask 077 && cd elsewhere && LC_ALL=C.UTF-8 TMPDIR=$work/tmp2 "$ALCOVE" build --root ../root2 -e B=2 -e A=1 -o ../two ./hello x 'y z' '') >out.txt
same 'same inputs, same bytes' "$(sum one.elf)" "$(sum two.elf)"
same 'the printed sum is the file' "two.elf  $(stat -c %s two.elf) bytes  sha256:$(sum two.elf)" "$(sed 's,^../,,' out.txt)"
check 'other arguments' "$ALCOVE" build --root root -e B=2 -e A=1 -o three ./hello x
check 'other arguments, other bytes' test "$(sum three.elf)" != "$(sum one.elf)"
same 'nothing stays behind' '' "$(ls -A tmp tmp2 | grep -v :)"
same 'the output has the usual mode' 644 "$(stat -c %a one.elf)"

# JSON; the form with -o at the end makes the same image.
same 'json of build agrees' "$(sum one.elf) $(stat -c %s one.elf)" \
    "$("$ALCOVE" build --json --root root -e B=2 -e A=1 ./hello x 'y z' '' -o one | python3 -c '
import json, sys
j = json.load(sys.stdin)
print(j["sha256"], j["size"])')"

# Clamped time stamps.
touch root/data/a
SOURCE_DATE_EPOCH=1600000000 "$ALCOVE" build --root root -o clamped1 /bin/true >/dev/null
sleep 1.1
touch root/data/a
SOURCE_DATE_EPOCH=1600000000 "$ALCOVE" build --root root -o clamped2 /bin/true >/dev/null
same 'SOURCE_DATE_EPOCH clamps' "$(sum clamped1.elf)" "$(sum clamped2.elf)"
unpack clamped1.elf u
same 'clamped' 1600000000 "$(stat -c %Y u/data/a)"
same 'kept' 1111111111 "$(stat -c %Y u/data/b)"

# What is in it.
unpack one.elf u
same 'files of --root' 'one two' "$(cat u/data/deep/../b) $(cat u/data/a)"
same 'links of --root' '../b /data/a' "$(readlink u/data/deep/link) $(readlink u/data/abs)"
same 'the program moved to /app' "$(sum hello)" "$(sum u/app/hello)"
check 'the C library' test -f u/lib/x86_64-linux-gnu/libc.so.6
check 'the interpreter' test -e u/lib64
same 'links on the way are kept' "$(readlink /lib64)" "$(readlink u/lib64)"
same 'mount points' '555 555 755 1777 755 1777 700' "$(stat -c %a u/proc u/sys u/dev u/tmp u/run u/var/tmp u/root | tr '\n' ' ' | sed 's/ $//')"
same 'files of /etc' 'group hostname hosts mtab nsswitch.conf passwd' "$(ls u/etc | tr '\n' ' ' | sed 's/ $//')"
check 'veritysetup agrees' sh -c 'veritysetup verify u.erofs u.hash "$1" >/dev/null' sh \
    "$("$ALCOVE" inspect --json one.elf | python3 -c 'import json, sys; print(json.load(sys.stdin)["roothash"])')"
"$ALCOVE" inspect --json one.elf >one.json
same 'inspect' '/app/hello|./hello,x,y z,|B=2,A=1|/|0:0|True' "$(python3 -c '
import json
j = json.load(open("one.json"))
env = [e for e in j["env"] if not e.startswith(("PATH=", "HOME="))]
print(j["exe"], ",".join(j["argv"]), ",".join(env), j["cwd"], j["user"], j["intact"], sep="|")')"

# A system program keeps its path and every link on the way.
ln -s /usr/bin/true true-link
check 'system program' "$ALCOVE" build -o sys ./true-link
unpack sys.elf u
check 'system program keeps its path' cmp u/usr/bin/true /usr/bin/true
check 'nothing in /app' test ! -e u/app

# --with: more programs, each with its libraries, links and recipes; a script's interpreter too.
printf '#!/bin/sh\ncat "$1" | gzip -c\n' >script
chmod +x script
check 'more programs' "$ALCOVE" build -o with --with cat --with=/bin/gzip --with ./hello --with stdbuf ./script /etc/passwd
unpack with.elf u
check 'the first' cmp u/usr/bin/cat /usr/bin/cat
check 'the second' cmp u/usr/bin/gzip /usr/bin/gzip
check 'one from here' cmp u/app/hello hello
check 'the script' cmp u/app/script script
same '/bin is a link there too' "$(readlink /bin)" "$(readlink u/bin)"
check 'a recipe' test -f u/usr/libexec/coreutils/libstdbuf.so
same 'all are named' '/app/hello /app/script /usr/bin/cat /usr/bin/dash /usr/bin/gzip /usr/bin/stdbuf' \
    "$("$ALCOVE" inspect --json with.elf | python3 -c 'import json, sys; print(*sorted(json.load(sys.stdin)["programs"]))')"
refused 1 "nosuchprogram.*is not a program" "$ALCOVE" build -o bad --with nosuchprogram /bin/true
refused 1 "--with.*needs a value" "$ALCOVE" build -o bad --with

# Libraries: RPATH and RUNPATH with $ORIGIN, inherited and not, transitive; LD_LIBRARY_PATH of the image only.
mkdir -p prog/bin prog/lib prog/sub
echo 'int deep(void) { return 40; }' >deep.c
echo 'int deep(void); int mid(void) { return deep() + 1; }' >mid.c
echo 'int mid(void); int main(void) { return mid() + 1; }' >top.c
gcc -shared -fPIC -o prog/sub/libdeep.so deep.c
gcc -shared -fPIC -o prog/lib/libmid.so mid.c -Lprog/sub -ldeep '-Wl,--enable-new-dtags,-rpath,$ORIGIN/../sub'
gcc -o prog/bin/runpath top.c -Lprog/lib -lmid -Wl,-rpath-link,prog/sub '-Wl,--enable-new-dtags,-rpath,${ORIGIN}/../lib'
prog/bin/runpath
same 'the host runs it' 42 $?
check 'RUNPATH with $ORIGIN' "$ALCOVE" build -o rp prog/bin/runpath
unpack rp.elf u
check 'found' cmp "u$work/prog/sub/libdeep.so" prog/sub/libdeep.so
check 'found' cmp "u$work/prog/lib/libmid.so" prog/lib/libmid.so
gcc -shared -fPIC -o prog/lib/libmid.so mid.c -Lprog/sub -ldeep
refused 1 "libmid.so.*needs the library 'libdeep.so'" "$ALCOVE" build -o bad prog/bin/runpath
gcc -o prog/bin/rpath top.c -Lprog/lib -lmid -Wl,-rpath-link,prog/sub '-Wl,--disable-new-dtags,-rpath,$ORIGIN/../lib:$ORIGIN/../sub'
prog/bin/rpath
same 'the host runs it' 42 $?
check 'RPATH is inherited' "$ALCOVE" build -o rp prog/bin/rpath
gcc -o prog/bin/plain top.c -Lprog/lib -lmid -Wl,-rpath-link,prog/sub
LD_LIBRARY_PATH=$work/prog/lib:$work/prog/sub
export LD_LIBRARY_PATH
refused 1 "plain.*needs the library 'libmid.so'" "$ALCOVE" build -o bad prog/bin/plain
unset LD_LIBRARY_PATH
check 'LD_LIBRARY_PATH of the image' "$ALCOVE" build -e "LD_LIBRARY_PATH=$work/prog/lib:$work/prog/sub" -o rp prog/bin/plain

# The cache: a library that only it knows, and the image's own cache for it.
mkdir -p rootc/etc rootc/somewhere
cp prog/sub/libdeep.so prog/lib/libmid.so rootc/somewhere
ldconfig -C rootc/etc/ld.so.cache -f /dev/null -n rootc/somewhere 2>/dev/null
(cd rootc && echo /somewhere >etc/ld.so.conf && /sbin/ldconfig -r "$PWD" 2>/dev/null)
check 'ld.so.cache' "$ALCOVE" build --root rootc -o rc prog/bin/plain
unpack rc.elf u
check 'found by the cache' test -f u/somewhere/libmid.so

# Locales.
check 'locale' "$ALCOVE" build -e LC_ALL=C.UTF-8 -o loc /bin/true
unpack loc.elf u
check 'locale' test -f u/usr/lib/locale/C.utf8/LC_CTYPE

# Scripts.
cat >script <<'END'
#!/usr/bin/env gawk -f
BEGIN { print "x" }
END
chmod +x script
check 'script' "$ALCOVE" build -o s ./script
unpack s.elf u
check 'its interpreters' test -x u/usr/bin/env -a -x u/usr/bin/gawk -a -f u/app/script

# Users.
check 'numeric user' "$ALCOVE" build --user 1234:99 -o user /bin/true
same 'numeric user' '1234:99' "$("$ALCOVE" inspect --json user.elf | python3 -c 'import json, sys; print(json.load(sys.stdin)["user"])')"
unpack user.elf u
same 'has a line in passwd' 'user1234:x:1234:99:user1234:/:/bin/sh' "$(grep 1234 u/etc/passwd)"
printf 'root:x:0:0::/root:/bin/sh\nfred:x:77:78::/home/fred:/bin/sh\n' >root/etc/passwd
check 'user of the image' "$ALCOVE" build --root root --user fred -o user /bin/true
same 'user of the image' '77:78 HOME=/home/fred' "$("$ALCOVE" inspect --json user.elf | python3 -c '
import json, sys
j = json.load(sys.stdin)
print(j["user"], [e for e in j["env"] if e.startswith("HOME=")][0])')"
unpack user.elf u
check "the image's passwd stays" cmp root/etc/passwd u/etc/passwd

# static-PIE, non-PIE, musl.
for how in '-static' '-static-pie -fPIE' '-no-pie'; do
    # shellcheck disable=SC2086
    gcc $how -o how hello.c && check "gcc $how" "$ALCOVE" build -o how ./how
done
musl-gcc -o how hello.c && check 'musl' "$ALCOVE" build -o how ./how
unpack how.elf u
check "musl's interpreter" test -e u/lib/ld-musl-x86_64.so.1
check "musl's libc" test -f "u$(readlink -f /lib/ld-musl-x86_64.so.1)"

# Killed in the middle: nothing stays behind.
for sig in TERM INT KILL; do
    "$ALCOVE" build -o killed /usr/bin/perl >killed.log 2>&1 &
    pid=$!
    sleep 0.2
    kill -$sig $pid 2>killed.log
    wait $pid 2>killed.log
    for _ in 1 2 3 4 5 6 7 8 9 10; do
        [ -z "$(ls -A tmp)" ] && break
        sleep 0.5
    done
    same "nothing stays behind after SIG$sig" ' ' "$(ls -A tmp) $(ls -A . | grep '\.tmp$')"
done
finish
