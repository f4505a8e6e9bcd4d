#!/bin/bash
# SPDX-License-Identifier: MIT
# Programs that keep their data on a disk, as Debian ships them: each does its work on an ext4 volume, is looked at again after a
# restart, and leaves a file system that e2fsck calls clean. Usage: disk.sh ALCOVE CASE [SIZE...]
# RESULTS in the environment gets CASE's row of docs/PROGRAMS.md.
set -u
alcove=$(realpath "$1")
name=$2
shift 2
here=$(cd "$(dirname "$0")" && pwd)
PATH=$PATH:/usr/sbin:/sbin
dir=$(mktemp -d) || exit 1
trap 'rm -rf "$dir"' EXIT
cd "$dir" || exit 1
mkdir root
failed=0

fail()
{
    echo "$name: $*"
    failed=1
}

# The guest: its output must be that of $1 (a pattern of grep -x for each line, in order). The rest are arguments of alcove run.
run()
{
    local want=$1
    shift
    timeout 3000 "$alcove" run -v data.img:/data --root root "$@" >out 2>err || { fail "exit status $?"; tail -n 20 out err; }
    ! grep -E 'panic|warning: ext4|data of inode' err || fail "messages of the libOS"
    local n=0
    while read -r line; do
        n=$((n + 1))
        sed -n "${n}p" out | grep -qxE "$line" || { fail "line $n of the output is not '$line'"; tail -n 20 out err; return; }
    done <<<"$want"
}

volume()
{
    "$alcove" volume create data.img "$1" >/dev/null || fail "no volume"
}

check()
{
    e2fsck -fn data.img >fsck 2>&1 || { fail "e2fsck"; cat fsck; }
}

with() # options that pack the programs $@
{
    printf -- '--with %s ' "$@"
}

fio()
{
    fio_jobs fio.job 5 "$@"
}

uring()
{
    fio_jobs fio-uring.job 7 "$@"
}

fio_jobs() # the file, how many jobs it has, how much each writes
{
    local count=$2
    volume 128M
    mkdir -p root/tmp
    cp "$here/$1" root/job
    shift 2
    sed -i "s/^size=.*/size=${1:-2m}/" root/job
    run "3;fio.*" --cpus 2 -m 512M /usr/bin/fio --output-format=terse --terse-version=3 /job
    # The fifth field of each line is the job's error.
    [ "$(grep -c '^3;fio' out)" = "$count" ] || { fail "not all jobs ended"; cat out err; }
    [ -z "$(grep '^3;fio' out | cut -d';' -f5 | grep -v '^0$')" ] || { fail "a job failed"; cut -c1-200 out; }
    check
}

postgres()
{
    local scale=${1:-1} count=${2:-10} bin=/usr/lib/postgresql/15/bin programs
    volume "$((384 + scale * 40))M"
    mkdir -p root/usr/lib/postgresql root/usr/share/postgresql root/etc
    cp -a /usr/lib/postgresql/15 root/usr/lib/postgresql/
    rm -rf root/usr/lib/postgresql/15/lib/bitcode
    cp -a /usr/share/postgresql/15 root/usr/share/postgresql/
    cp -a /usr/share/zoneinfo root/usr/share/
    find root/usr/share/zoneinfo -type l -delete
    printf 'root:x:0:0::/root:/bin/sh\npostgres:x:1000:1000::/tmp:/bin/sh\n' >root/etc/passwd
    printf 'root:x:0:\npostgres:x:1000:\n' >root/etc/group
    cp "$here/postgres.sh" root/
    programs=$(with $bin/initdb $bin/postgres $bin/pg_ctl $bin/pgbench $bin/psql setpriv mkdir chown chmod cat tail grep)
    # shellcheck disable=SC2086 # a list
    run "initdb
filled
number of transactions actually processed: $((count * 8))/$((count * 8))
number of failed transactions: 0 .*
$((count * 8))\|t\|t
stopped" -m 768M --cpus 2 $programs /bin/bash /postgres.sh first "$scale" "$count"
    check
    # shellcheck disable=SC2086
    run "$((count * 8))\|t\|t
number of transactions actually processed: $((count * 8))/$((count * 8))
number of failed transactions: 0 .*
$((count * 16))\|t\|t
stopped" -m 768M $programs /bin/bash /postgres.sh again "$scale" "$count"
    check
}

redis()
{
    local n=${1:-300}
    volume 64M
    cp "$here/redis.sh" root/
    # shellcheck disable=SC2046
    run "PONG
$n
OK" --cpus 2 $(with redis-server redis-cli seq sed tail) /bin/bash /redis.sh "$n" first
    check
    # shellcheck disable=SC2046
    run "PONG
$n
value $n" $(with redis-server redis-cli seq sed tail) /bin/bash /redis.sh "$n" again
    check
}

git()
{
    volume 256M
    command git init -q root/src
    cp -a "$here/../../../libos" root/src/
    (cd root/src && command git -c user.name=a -c user.email=a@b add -A && command git -c user.name=a -c user.email=a@b commit -qm all && find . -name .git -prune -o -type f -print0 |
        sort -z | xargs -0 sha256sum >../sums)
    # shellcheck disable=SC2046
    run "all good" $(with git sha256sum sync) -m 512M /bin/bash -c \
        'export HOME=/tmp; git config --global safe.directory "*"; git clone -q --no-local file:///src /data/clone && cd /data/clone && git fsck --strict && sha256sum --quiet -c /sums && sync && echo all good'
}

tree() # tar there and back, and rsync
{
    local n=${1:-300}
    volume "$((512 + n / 16))M" # three trees: mke2fs makes an inode for each 16 KiB
    mkdir root/src
    for i in $(seq "$n"); do
        mkdir -p "root/src/d$((i % 61))/e$((i % 7))"
        printf '%s\n' "file $i" >"root/src/d$((i % 61))/e$((i % 7))/f$i"
    done
    ln -s d1/e1 root/src/link
    tar -C root -cf all.tar src
    mv all.tar root/
    (cd root/src && find . -type f -print0 | sort -z | xargs -0 sha256sum) >sums
    rm -rf root/src
    mv sums root/
    run "packed
the same
again" -m 512M $(with tar rsync sha256sum rm mkdir diff) /bin/bash -c \
        'cd /data && tar xf /all.tar && cd src && sha256sum --quiet -c /sums && cd .. && tar cf back.tar src && echo packed && mkdir two && tar -C two -xf back.tar && diff -r src two/src && echo the same && rsync -a --delete src/ three/ && rsync -a --delete src/ three/ && diff -r src three && echo again'
    check
}

# Encrypted volumes: of alcove and of cryptsetup, the key from a file, from a pipe and from a terminal, and wrong ones.
luks()
{
    local key=(--key /data=file:key) say="cat /data/f; echo"
    head -c 60 /dev/urandom >key
    "$alcove" volume create --luks --key-file key --iter-time 10 data.img 40M || fail "no encrypted volume"
    run "1" "${key[@]}" --with cat --cpus 2 /bin/sh -c 'echo 1 >/data/f && cat /data/f'
    "$alcove" volume check --key-file key data.img >fsck 2>&1 || { fail "volume check"; cat fsck; }
    grep -aq 'lost+found' data.img && fail "the volume can be read"
    "$alcove" volume inspect data.img | grep -q 'luks2' || fail "volume inspect"

    # Another key slot, which is a typed one; what is typed wrongly is asked for again, and is not seen.
    printf 'open sesame' >word
    cryptsetup luksAddKey -q --pbkdf pbkdf2 --pbkdf-force-iterations 1000 --key-file key data.img word
    cryptsetup config --priority prefer --key-slot 1 data.img
    printf 'wrong\nopen sesame\nrest\n' >typed
    run "1
rest" --with cat /bin/sh -c 'cat /data/f; cat' <typed
    grep -q 'no key fits this passphrase' err || fail "a wrong passphrase is not told"
    python3 "$here/../../cmd/typed.py" "Passphrase for /data: " "open sesame" timeout 3000 "$alcove" run -v data.img:/data --root root --with cat /bin/sh -c "$say" >out 2>&1 ||
        { fail "no passphrase at a terminal"; cat out; }
    grep -q sesame out && fail "the passphrase was shown"
    grep -q '^1' out || { fail "the volume was not opened at a terminal"; cat out; }

    # Wrong: nothing runs.
    timeout 3000 "$alcove" run -v data.img:/data --key /data=file:typed /bin/true >out 2>err && fail "opened with a wrong key"
    grep -q 'volume /data: no key fits what --key names' err || { fail "a wrong key is not told"; cat err; }
    "$alcove" run -v data.img:/data --key /other=file:key /bin/true >out 2>err && fail "a --key for nothing was taken"
    cryptsetup luksAddKey -q --pbkdf argon2id --pbkdf-memory 1000000 --pbkdf-parallel 1 --pbkdf-force-iterations 4 --key-file key data.img typed
    cryptsetup luksRemoveKey -q data.img key
    cryptsetup luksRemoveKey -q data.img word
    timeout 3000 "$alcove" run -m 256M -v data.img:/data --key /data=file:typed /bin/true >out 2>err && fail "argon2 had memory that is not there"
    grep -q 'key slot 2 wants 976 MiB of memory for argon2' err || { fail "missing memory is not told"; cat err; }
}

torture()
{
    volume 64M
    cp "$here/torture.py" root/
    for mode in wal delete; do
        run "$mode: ok" --cpus 2 /usr/bin/python3 /torture.py "/data/$mode.db" "$mode" "${1:-40}"
        run "ok" "$(command -v sqlite3)" "/data/$mode.db" 'pragma integrity_check'
        check
    done
}

# The guest's output is that of $1, which ran on this host. The rest are arguments of alcove run.
same()
{
    local want=$1
    shift
    timeout 3000 "$alcove" run -v data.img:/data --root root "$@" >out 2>err || { fail "exit status $?"; tail -n 20 out err; }
    ! grep -E 'panic|warning: ext4|data of inode' err || fail "messages of the libOS"
    diff "$want" out >differ || { fail "not as on the host"; head -n 30 differ; tail -n 20 err; }
    check
}

mariadb()
{
    volume 512M
    mkdir -p root/usr/share root/etc
    cp -a /usr/share/mysql root/usr/share/
    printf 'root:x:0:0::/root:/bin/sh\n' >root/etc/passwd
    printf 'root:x:0:\n' >root/etc/group
    cp "$here/mariadb.sh" root/
    bash "$here/mariadb.sh" "$dir/host" "$1" >want 2>&1 || { fail "on the host"; cat want; }
    # shellcheck disable=SC2046
    same want -m 1G --cpus 2 $(with mariadbd mariadb mariadb-admin mariadb-install-db my_print_defaults resolveip hostname sed grep sleep mkdir \
        mkfifo tail cat chown chmod ls rm dirname basename uname tr touch sh) /bin/bash /mariadb.sh /data/x "$1"
}

# Packages $2... as their archive has them, in the directory $1.
packages()
{
    local at=$1 from=${XDG_CACHE_HOME:-$HOME/.cache}/alcove/debs p
    shift
    mkdir -p "$at" "$from"
    for p in "$@"; do
        if [ ! -e "$from/$p.deb" ]; then
            mkdir one && (cd one && apt-get download -qq "$p" 2>download) || { fail "no package $p"; cat one/download; }
            mv one/*.deb "$from/$p.deb"
            rm -rf one
        fi
        cp "$from/$p.deb" "$at/"
    done
}

dpkg()
{
    volume 256M
    packages root/debs/base libc6 libgcc-s1 gcc-12-base libcrypt1 libpcre2-8-0 libselinux1 libmd0 zlib1g libacl1 libattr1 libgmp10 libbz2-1.0 \
        liblzma5 libzstd1 dash coreutils sed grep dpkg debianutils tar libtinfo6 libreadline8 readline-common
    packages root/debs/more mawk hello gzip bc ed less libgcc-s1 sed
    mkdir -p root/etc
    cp /etc/passwd /etc/group root/etc/
    cp "$here/dpkg.sh" root/
    bash "$here/dpkg.sh" "$dir/root/debs" "$dir/host" >want 2>&1 || { fail "on the host"; tail want; }
    grep -qx "done" want || fail "not done on the host"
    # shellcheck disable=SC2046
    same want -m 512M --cpus 2 $(with dpkg dpkg-deb dpkg-query dpkg-split tar rm sed diff find sort xargs sha256sum chroot sync mkdir sh bash gzip xz \
        ldconfig start-stop-daemon update-alternatives) /bin/bash /dpkg.sh /debs /data/root
}

"$name" "$@"
what="disk.sh $name $*"
[ -z "${RESULTS:-}" ] || python3 "$here/../programs/results.py" "$RESULTS" "$alcove" "disk-$name${1:+-$1}" "$what" "$failed"
[ $failed = 0 ] && echo "$name: ok"
exit $failed
