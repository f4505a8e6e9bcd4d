#!/bin/bash
# SPDX-License-Identifier: MIT
# redis with every command synced to its log; what it has answered is told to the host. usage: redis.sh N
redis-server --dir /data --appendonly yes --appendfsync always --save '' --port 0 --unixsocket /tmp/r --daemonize no >/data/log 2>&1 &
until redis-cli -s /tmp/r ping 2>/dev/null | tail -n 1 | { read -r x && [ "$x" = PONG ]; }; do :; done
echo ack 0
n=0
while [ $((n += 1)) -le "$1" ]; do echo "set key$n value$n"; done | redis-cli -s /tmp/r | {
    n=0
    while read -r answer; do
        [ "$answer" = OK ] && echo ack $((n += 1))
    done
}
echo "done"
sync
kill -9 %1
