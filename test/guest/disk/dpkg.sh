#!/bin/bash
# SPDX-License-Identifier: MIT
# dpkg puts Debian's packages into a root of its own, with their scripts, and takes some out again. The same output on any Linux.
# usage: dpkg.sh DIRECTORY-OF-PACKAGES ROOT
# The packages of base are only unpacked: what the scripts of the others call.
debs=$1
root=$2
export PATH=/usr/sbin:/usr/bin:/sbin:/bin LC_ALL=C DEBIAN_FRONTEND=noninteractive
as()
{
    echo "== $*"
    dpkg --root="$root" --force-depends --force-not-root --log=/dev/null "$@" 2>&1 | sed "s#$root#ROOT#g; s/([0-9.]* seconds)//"
    echo "status ${PIPESTATUS[0]}"
}
mkdir -p "$root/var/lib/dpkg/updates" "$root/var/lib/dpkg/info" "$root/dev" "$root/tmp"
: >"$root/var/lib/dpkg/status"
for p in "$debs"/base/*.deb; do dpkg-deb -x "$p" "$root" || echo "no $p"; done
mkdir -p "$root/etc/alternatives"
cd "$debs/more" || exit 1
as -i *.deb
as --verify
as -l
as -r hello
as -P ed
as --audit
as -S /usr/bin/bc
[ ! -e "$root/usr/bin/hello" ] && [ ! -e "$root/bin/ed" ] && echo removed
cd "$root" || exit 1
find . ! -name '*-old' ! -path './var/lib/dpkg/triggers/*' ! -type d ! -type l -printf '%m %n %p\n' | sort
find . -type d -printf '%m %p\n' | sort
find . -type l -printf '%p %l\n' | sort
find . -type f ! -name '*-old' ! -path './var/*' ! -path './etc/ld.so.cache' -print0 | sort -z | xargs -0 sha256sum
chroot . /bin/sh -c 'echo 2^70 | bc; awk "BEGIN { print 6 * 7 }"; ls -l /etc/alternatives/awk >/dev/null && echo alternatives'
sync
echo "done"
