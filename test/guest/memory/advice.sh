#!/bin/bash
# SPDX-License-Identifier: MIT
# Advice about memory in a small guest. Usage: advice.sh ALCOVE PROGRAM
set -u
alcove=$(realpath "$1") program=$(realpath "$2")
PATH=$PATH:/usr/sbin:/sbin
dir=$(mktemp -d) || exit 1
trap 'rm -rf "$dir"' EXIT
cd "$dir" || exit 1
"$alcove" volume create data.img 16M >/dev/null || exit 1
for cpus in 1 2; do
    timeout 400 "$alcove" run --memory 32M --cpus $cpus -v data.img:/data "$program" /data >out 2>&1
    status=$?
    if [ $status != 0 ] || ! grep -q '^advice: ok' out || sed '/^advice: ok/d' out | grep -q .; then
        echo "with $cpus CPUs: exit status $status"
        cat out
        exit 1
    fi
    e2fsck -fn data.img >out 2>&1 || { cat out; exit 1; }
done
