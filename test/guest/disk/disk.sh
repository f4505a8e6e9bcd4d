#!/bin/bash
# SPDX-License-Identifier: MIT
# Programs that keep their data on a disk, as Debian ships them: each does its work on an ext4 volume, is looked at again after a
# restart, and leaves a file system that e2fsck calls clean. Usage: disk.sh ALCOVE CASE [SIZE...]
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
    volume 128M
    cp "$here/fio.job" root/job
    sed -i "s/^size=.*/size=${1:-2m}/" root/job
    run "3;fio.*" --cpus 2 -m 512M /usr/bin/fio --output-format=terse --terse-version=3 /job
    # The fifth field of each line is the job's error.
    [ "$(grep -c '^3;fio' out)" = 5 ] || { fail "not all jobs ended"; cat out err; }
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
    volume 512M
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

"$name" "$@"
[ $failed = 0 ] && echo "$name: ok"
exit $failed
