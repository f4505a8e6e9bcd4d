#!/bin/sh
# SPDX-License-Identifier: MIT
# A third-party file with a wrong hash must stop the set-up with a message that names the file. Uses a made-up source in
# a temporary tree; nothing is fetched.
set -eu

tmp=$(mktemp -d)
trap 'rm -rf "$tmp"' EXIT
mkdir -p "$tmp/tree/ci" "$tmp/tree/subprojects/packagefiles" "$tmp/cache/alcove/sources"
cp "$(dirname "$0")/third-party.sh" "$tmp/tree/ci/"
export XDG_CACHE_HOME="$tmp/cache"

fail()
{
    echo "third-party-test: $*" >&2
    exit 1
}

echo 'some source' >"$tmp/some.tar.xz"
good=$(sha256sum "$tmp/some.tar.xz" | cut -d ' ' -f 1)
bad=$(echo other | sha256sum | cut -d ' ' -f 1)

# A file of the machine (newlib's way).
wrap=$tmp/tree/subprojects/local.wrap
printf '[wrap-file]\nsource_url = file://%s\nsource_filename = some.tar.xz\nsource_hash = %s\n' "$tmp/some.tar.xz" "$good" >"$wrap"
"$tmp/tree/ci/third-party.sh" local || fail "the right hash of a local file was refused"
sed -i "s/^source_hash.*/source_hash = $bad/" "$wrap"
! "$tmp/tree/ci/third-party.sh" local 2>"$tmp/err" || fail "a wrong hash of a local file was accepted"
grep -q "$tmp/some.tar.xz: wrong SHA-256" "$tmp/err" || fail "the message does not name the file: $(cat "$tmp/err")"

# A file in the cache (lwIP's way), spoiled there, and then spoiled in the tree.
printf '[wrap-file]\nsource_filename = some.tar.xz\nsource_hash = %s\n' "$good" >"$tmp/tree/subprojects/cached.wrap"
mkdir "$tmp/cache/alcove/sources/$good"
cached=$tmp/cache/alcove/sources/$good/some.tar.xz
place=$tmp/tree/subprojects/packagefiles/some.tar.xz
for spoil in "$cached" "$place"; do
    cp "$tmp/some.tar.xz" "$cached"
    "$tmp/tree/ci/third-party.sh" cached || fail "the right hash of a cached file was refused"
    cmp "$place" "$cached" || fail "the file did not arrive in subprojects/packagefiles"
    echo x >>"$spoil"
    ! "$tmp/tree/ci/third-party.sh" cached 2>"$tmp/err" || fail "a spoiled $spoil was accepted"
    grep -q "$spoil: wrong SHA-256" "$tmp/err" || fail "the message does not name the file: $(cat "$tmp/err")"
    rm -f "$place"
done
