#!/bin/bash
# SPDX-License-Identifier: MIT
# MariaDB with its data below $1, as Debian ships it: installed, filled, killed in the middle of a transaction, started again: what was
# committed is there, what was not is gone. The same output on any Linux. usage: mariadb.sh DIRECTORY ROWS
dir=$1
rows=$2
sock=$dir/s
server()
{
    mariadbd --no-defaults --user=root --datadir="$dir/db" --socket="$sock" --skip-networking --skip-grant-tables \
        --innodb-flush-log-at-trx-commit=1 --pid-file="$dir/pid" >>"$dir/log" 2>&1 &
    pid=$!
    for ((i = 0; i < 3000; i++)); do
        mariadb-admin --no-defaults --socket="$sock" ping >/dev/null 2>&1 && return
        kill -0 $pid 2>/dev/null || break
        sleep 0.1
    done
    tail -n 30 "$dir/log"
    exit 1
}
sql()
{
    mariadb --no-defaults --socket="$sock" -N -B "$@"
}
mkdir -p "$dir/db"
mariadb-install-db --no-defaults --user=root --datadir="$dir/db" --skip-test-db --auth-root-authentication-method=normal >"$dir/log" 2>&1 ||
    { cat "$dir/log"; exit 1; }
echo installed
server
sql -e "set max_recursive_iterations = 1000000; create database d; create table d.t(id int auto_increment primary key, n bigint not null, s varchar(200), key(n)) engine=innodb;
create table d.a(id int primary key, text mediumtext) engine=aria transactional=1;
insert into d.a select seq, repeat('abc', seq) from d.a right join (select 1 as seq union select 2 union select 3) q on 1;
insert into d.t(n, s) with recursive c(x) as (select 1 union all select x + 1 from c where x < $rows) select x * 7919 % 10007, repeat('x', x % 150) from c;
update d.t set n = n + 1 where id % 3 = 0; delete from d.t where id % 17 = 0;
select count(*), sum(n), max(length(s)) from d.t; select * from d.a;" || exit 1
for ((i = 0; i < 20; i++)); do echo "insert into d.t(n, s) values($i, 'one');"; done | sql || exit 1
# A transaction that is not committed when the server dies: its client keeps waiting for more to do.
mkfifo "$dir/more"
sql --unbuffered <"$dir/more" >"$dir/open" 2>/dev/null &
exec 5>"$dir/more"
echo "begin; delete from d.t; select 'deleted';" >&5
until grep -q deleted "$dir/open" 2>/dev/null; do sleep 0.1; done
kill -9 $pid
wait $pid 2>/dev/null
exec 5>&-
echo killed
server
sql -e "select count(*), sum(n), max(length(s)), sum(s = 'one') from d.t; select * from d.a; check table d.t, d.a extended;
select count(*) from d.t where n between 100 and 200" || exit 1
mariadb-admin --no-defaults --socket="$sock" shutdown || exit 1
wait $pid
echo "stopped, $?"
