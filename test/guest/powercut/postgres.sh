#!/bin/bash
# SPDX-License-Identifier: MIT
# PostgreSQL with fsync on: a cluster made and filled here, then transactions of three clients, each told to the host when it is
# committed, while pgbench's own run beside them. usage: postgres.sh N
bin=/usr/lib/postgresql/15/bin
as()
{
    setpriv --reuid 1000 --regid 1000 --clear-groups "$@"
}
sql()
{
    as $bin/psql -h /tmp -X -q -At -v ON_ERROR_STOP=1 postgres "$@"
}
mkdir /data/pg && chown 1000:1000 /data/pg && chmod 700 /data/pg
as $bin/initdb -D /data/pg -k --wal-segsize=1 -A trust --locale=C -E UTF8 >/tmp/initdb 2>&1 || { cat /tmp/initdb; exit 1; }
echo cluster
as $bin/pg_ctl -D /data/pg -w -t 1000 -l /data/pg/log -o '-k /tmp -c listen_addresses= -c shared_buffers=8MB -c checkpoint_timeout=30s
    -c max_wal_size=4MB -c min_wal_size=2MB' start >/dev/null || { cat /data/pg/log; exit 1; }
as $bin/pgbench -h /tmp -i -s 1 -q postgres >/tmp/fill 2>&1 || { cat /tmp/fill; exit 1; }
sql -c 'create table told(client int, number int, primary key(client, number))' || exit 1
echo ack 0 0
client()
{
    local n=0 a b d
    RANDOM=$1
    while [ $((n += 1)) -le "$2" ]; do
        a=$((RANDOM % 100000 + 1)) b=$((RANDOM % 10 + 1)) d=$((RANDOM % 10000 - 5000))
        echo "begin; update pgbench_accounts set abalance = abalance + $d where aid = $a;
update pgbench_tellers set tbalance = tbalance + $d where tid = $b;
update pgbench_branches set bbalance = bbalance + $d where bid = 1;
insert into pgbench_history(tid, bid, aid, delta, mtime) values($b, 1, $a, $d, now());
insert into told values($1, $n); commit;
select 'ack $1 $n';"
        [ $((n % 20)) != 0 ] || echo "checkpoint;"
    done | sql || echo "client $1 failed"
}
as $bin/pgbench -n -h /tmp -c 2 -t "$1" postgres >/tmp/bench 2>&1 &
for c in 1 2 3; do client $c "$1" & done
wait
grep -q "actually processed: $(($1 * 2))/$(($1 * 2))" /tmp/bench || cat /tmp/bench
echo "done"
