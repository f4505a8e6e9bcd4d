#!/bin/bash
# SPDX-License-Identifier: MIT
# redis with every command synced to its log; the second time it is killed first, so nothing but the log can have brought the
# values back. Usage: redis.sh N first|again
redis-server --dir /data --appendonly yes --appendfsync always --save '' --port 0 --unixsocket /tmp/r --daemonize no >/data/log 2>&1 &
server=$!
cli()
{
    redis-cli -s /tmp/r "$@"
}
until cli ping 2>/dev/null | tail -n 1 | { read -r x && [ "$x" = PONG ]; }; do :; done
cli ping
if [ "$2" = first ]; then
    seq "$1" | sed 's/.*/set key& "value &"/' | cli >/dev/null
fi
cli dbsize
if [ "$2" = first ]; then
    cli set last 1 >/dev/null
    cli del last >/dev/null
    echo OK
    kill -9 $server
else
    cli get "key$1"
    kill $server
    wait $server
fi
