# SPDX-License-Identifier: MIT
"""What the guest does while its power is cut: transactions on an SQLite database, each told to the host when it is committed.
usage: sqlite.py FILE wal|delete N"""
import random, sqlite3, sys

path, mode, count = sys.argv[1], sys.argv[2], int(sys.argv[3])
r = random.Random(count)
c = sqlite3.connect(path, isolation_level=None)
c.execute('pragma journal_mode=' + mode)
# With full, the journal's removal, which is what commits in mode delete, may be lost with the power (SQLite's documentation).
c.execute('pragma synchronous=extra')
c.execute('begin')
c.execute('create table account(id integer primary key, balance integer)')
c.execute('create table log(id integer primary key, number integer, text text)')
c.executemany('insert into account values(?, 1000)', [(i,) for i in range(20)])
c.execute('commit')
print('ack', 0, flush=True)
for n in range(1, count + 1):
    c.execute('begin immediate')
    a, b, x = r.randrange(20), r.randrange(20), r.randrange(100)
    c.execute('update account set balance = balance - ? where id = ?', (x, a))
    c.execute('update account set balance = balance + ? where id = ?', (x, b))
    c.execute('insert into log(number, text) values(?, ?)', (n, 'x' * r.randrange(4000)))
    if n % 10 == 0:
        c.execute('delete from log where number < ?', (n - 5,))
    c.execute('commit')
    if n % 16 == 0 and mode == 'wal':
        c.execute('pragma wal_checkpoint(truncate)').fetchall()
    print('ack', n, flush=True)
print('done', flush=True)
