#!/bin/bash
# SPDX-License-Identifier: MIT
# A data disk from its making to its check: rows that one run writes are there in the next, on the disk's own terms (e2fsck), and
# what is not a volume is refused with one line. Usage: volume.sh ALCOVE DIRECT ACL
set -u
alcove=$(realpath "$1")
direct=$(realpath "$2")
acl=$(realpath "$3")
PATH=$PATH:/usr/sbin:/sbin
dir=$(mktemp -d) || exit 1
trap 'rm -rf "$dir"' EXIT
cd "$dir" || exit 1
failed=0

is() # what, wanted, got
{
    if [ "$2" != "$3" ]; then
        echo "$1: want '$2', got '$3'"
        failed=1
    fi
}

run() # the guest, with a deadline
{
    timeout 240 "$alcove" run "$@" 2>"$dir/err"
}

"$alcove" volume create --label=data data.img 64M || failed=1
is "clean at first" 0 "$(e2fsck -fn data.img >out 2>&1; echo $?)"
run -v data.img:/data /usr/bin/sqlite3 /data/t.db "create table t(a); insert into t values(1),(2),(40);"
is "first run" 0 $?
is "clean after it" 0 "$(e2fsck -fn data.img >out 2>&1; echo $?)"
is "rows" 43 "$(run -v data.img:/data /usr/bin/sqlite3 /data/t.db "select sum(a) from t;")"
is "read-only" 43 "$(run -v data.img:/data:ro /usr/bin/sqlite3 'file:/data/t.db?immutable=1' "select sum(a) from t;")"
run -v data.img:/data:ro /usr/bin/touch /data/new
is "a write to a read-only volume" 1 $?
# Every way to read and write; and a file that is open and has no name when the program ends.
is "direct transfers" "direct: ok" "$(run --cpus 2 -v data.img:/data "$direct" /data)"
# Access control lists: the same test that runs on tmpfs; and what is left on the disk is read again by another run, and by debugfs.
is "access control lists" 0 "$(run -v data.img:/data "$acl" /data >out; echo $?)"
run --with setfacl -v data.img:/data /bin/bash -c 'echo x >/data/acl; setfacl -m u:1000:rw,g:7:r /data/acl'
is "a list of before" "user:1000:rw-" "$(run --with getfacl --with grep -v data.img:/data /bin/bash -c 'getfacl -pn /data/acl | grep user:1')"
is "the disk's own form" 1 "$(debugfs -R 'ea_list acl' data.img 2>err | grep -c 'user:1000:rw-\|posix_acl_access')"
run --with rm -v data.img:/data /bin/bash -c 'exec 3>/data/x; echo hi >&3; rm /data/x; exit 3'
is "exit with a file without a name" 3 $?
is "clean after it" 0 "$(e2fsck -fn data.img >out 2>&1; echo $?)"
# Not synced, and a machine of another kind.
run --machine q35 --cpus 2 -v data.img:/data /bin/cp /bin/cp /data/copy
is "cp" 0 $?
debugfs -R 'dump /copy copy' data.img 2>/dev/null
is "copy" 0 "$(cmp copy /bin/cp; echo $?)"
is "check" 0 "$("$alcove" volume check data.img >out 2>&1; echo $?)"
is "inspect" 1 "$("$alcove" volume inspect data.img | grep -c 'ext4.*clean  data')"
is "ls" 1 "$("$alcove" volume ls | grep -c data.img)"
truncate -s 8M zero.img
run -v zero.img:/data /bin/true
is "not a volume" 125 $?
grep -q 'zero.img: is not an ext4 file system' err || { cat err; failed=1; }
"$alcove" volume create data.img 64M 2>err
is "an existing file" 1 $?
[ $failed = 0 ] && echo "volume: ok"
exit $failed
