# SPDX-License-Identifier: MIT
"""Transactions of several connections on one SQLite database, some given up: the sum over the accounts never changes.
usage: torture.py FILE wal|delete ROUNDS"""
import random, sqlite3, sys, threading

path, mode, rounds = sys.argv[1], sys.argv[2], int(sys.argv[3])
ACCOUNTS = 50


def connect():
    c = sqlite3.connect(path, timeout=300, isolation_level=None)
    c.execute('pragma journal_mode=' + mode)
    c.execute('pragma synchronous=full')
    return c


def work(seed, errors):
    r, c = random.Random(seed), connect()
    try:
        for i in range(rounds):
            c.execute('begin immediate')
            a, b, n = r.randrange(ACCOUNTS), r.randrange(ACCOUNTS), r.randrange(100)
            c.execute('update account set balance = balance - ? where id = ?', (n, a))
            c.execute('update account set balance = balance + ? where id = ?', (n, b))
            c.execute('insert into log(text) values(?)', ('x' * r.randrange(3000),))
            c.execute('rollback' if r.randrange(4) == 0 else 'commit')
            if i % 8 == 7:
                c.execute('delete from log where id % 2 = ?', (r.randrange(2),))
            if c.execute('select sum(balance) from account').fetchone()[0] != ACCOUNTS * 1000:
                errors.append('sum')
    except sqlite3.Error as e:
        errors.append(repr(e))
    c.close()


c = connect()
c.execute('create table account(id integer primary key, balance integer)')
c.execute('create table log(id integer primary key, text text)')
c.executemany('insert into account values(?, 1000)', [(i,) for i in range(ACCOUNTS)])
errors = []
threads = [threading.Thread(target=work, args=(i, errors)) for i in range(3)]
for t in threads:
    t.start()
for t in threads:
    t.join()
if c.execute('pragma integrity_check').fetchone()[0] != 'ok':
    errors.append('integrity')
c.close()
print(mode + ':', errors or 'ok')
