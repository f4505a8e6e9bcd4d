#!/bin/bash
# SPDX-License-Identifier: MIT
# Who is killed when memory ends, with a report for each. Usage: oom.sh ALCOVE PROGRAM
set -u
for cpus in 1 2; do
    out=$(timeout 400 "$1" run --memory 48M --cpus $cpus "$2" 2>&1)
    status=$?
    reports=$(grep -c 'out of memory: killed process' <<<"$out")
    if [ $status != 0 ] || [ "$reports" != 8 ] || ! grep -q '^oom: ok' <<<"$out" ||
        grep -v 'out of memory: killed process\|^oom: ok' <<<"$out" | grep -q .; then
        echo "with $cpus CPUs: exit status $status, $reports reports"
        echo "$out"
        exit 1
    fi
done
