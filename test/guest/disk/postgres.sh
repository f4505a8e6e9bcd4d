#!/bin/bash
# SPDX-License-Identifier: MIT
# PostgreSQL on /data with fsync on. The sums of what pgbench wrote agree, also with those of before the restart.
# Usage: postgres.sh first|again SCALE COUNT
bin=/usr/lib/postgresql/15/bin
as()
{
    setpriv --reuid 1000 --regid 1000 --clear-groups "$@"
}
sums()
{
    as $bin/psql -h /tmp -At postgres -c 'select count(*), (select sum(abalance) from pgbench_accounts) = sum(delta),
        (select sum(bbalance) from pgbench_branches) = sum(delta) from pgbench_history'
}
if [ "$1" = first ]; then
    mkdir /data/pg && chown 1000:1000 /data/pg && chmod 700 /data/pg
    as $bin/initdb -D /data/pg -A trust --locale=C -E UTF8 >/tmp/initdb 2>&1 || { cat /tmp/initdb; exit 1; }
    echo initdb
fi
as $bin/pg_ctl -D /data/pg -w -t 1000 -l /data/pg/log -o '-k /tmp -c listen_addresses=' start >/dev/null ||
    { cat /data/pg/log; exit 1; }
if [ "$1" = first ]; then
    as $bin/pgbench -h /tmp -i -s "$2" -q postgres >/tmp/fill 2>&1 || { cat /tmp/fill; exit 1; }
    echo filled
else
    sums
fi
as $bin/pgbench -n -h /tmp -c 8 -t "$3" postgres 2>&1 | grep -E 'actually|failed|aborted'
sums
as $bin/pg_ctl -D /data/pg -w -t 1000 -m fast stop >/dev/null || { cat /data/pg/log; exit 1; }
echo stopped
