# SPDX-License-Identifier: MIT
"""The databases of powercut.py: how the guest is built that works on one, and what is looked at in the files that a cut leaves in out/.
Each check gets what had been told before the cut, {client: last number}, and returns what is wrong."""
import os
import shutil
import sqlite3
import subprocess
import time

HERE = os.path.dirname(os.path.abspath(__file__))
PG = '/usr/lib/postgresql/15/bin'


def options(programs):
    return [w for p in programs for w in ('--with', p)]


def script(name, programs):
    """The arguments of alcove build for a script of this directory."""
    os.makedirs('root', exist_ok=True)
    shutil.copy(f'{HERE}/{name}', 'root')
    return ['--root', 'root', *options(programs), '/bin/bash', '/' + name]


def build_redis(count):
    return [*script('redis.sh', ['redis-server', 'redis-cli', 'tail', 'sync']), str(count)]


def build_sqlite(mode):
    def build(count):
        with open(f'{HERE}/sqlite.py', encoding='utf-8') as f:
            return ['/usr/bin/python3', '-c', f.read(), '/data/t.db', mode, str(count)]
    return build


def build_postgres(count):
    os.makedirs('root/etc')
    for name, text in (('passwd', 'root:x:0:0::/root:/bin/sh\npostgres:x:1000:1000::/tmp:/bin/sh\n'), ('group', 'root:x:0:\npostgres:x:1000:\n')):
        with open('root/etc/' + name, 'w', encoding='utf-8') as f:
            f.write(text)
    programs = [f'{PG}/{p}' for p in ('initdb', 'postgres', 'pg_ctl', 'pgbench', 'psql')]
    return [*script('postgres.sh', [*programs, 'setpriv', 'mkdir', 'chown', 'chmod', 'cat', 'grep']), str(count)]


def check_sqlite(told):
    wanted = told.get('', -1)
    if not os.path.exists('out/t.db'):
        return [] if wanted < 0 else ['the database is gone']
    c = sqlite3.connect('out/t.db')
    found = []
    if c.execute('pragma integrity_check').fetchone()[0] != 'ok':
        found.append('integrity')
    if not c.execute("select count(*) from sqlite_master where name = 'log'").fetchone()[0]:
        return found if wanted < 0 else found + ['the tables are gone']
    if c.execute('select sum(balance) from account').fetchone()[0] != 20000:
        found.append('sum')
    last = c.execute('select max(number) from log').fetchone()[0] or 0
    if last < wanted:
        found.append(f'transaction {wanted} was told, {last} is the last one')
    c.close()
    return found


def check_redis(told):
    wanted = told.get('', -1)
    if wanted < 0:
        return []
    if not os.path.isdir('out/appendonlydir'):
        return ['the log is gone']
    sock = os.path.abspath('s')
    server = subprocess.Popen(['redis-server', '--dir', os.path.abspath('out'), '--appendonly', 'yes', '--save', '', '--port', '0',
                               '--unixsocket', sock, '--daemonize', 'no'], stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
    for _ in range(3000):
        r = subprocess.run(['redis-cli', '-s', sock, 'dbsize'], capture_output=True, text=True, check=False)
        if r.stdout.strip().isdigit() or server.poll() is not None:
            break
        time.sleep(0.02)
    n = int(r.stdout) if r.stdout.strip().isdigit() else -1
    last = subprocess.run(['redis-cli', '-s', sock, 'get', f'key{n}'], capture_output=True, text=True, check=False).stdout.strip()
    server.kill()
    text = server.stdout.read().decode(errors='replace')
    if n < wanted:
        return [f'key {wanted} was told, {n} is the last one\n{text[-1000:]}']
    return [] if n == 0 or last == f'value{n}' else [f'key{n} is {last!r}']


POSTGRES_SUMS = '''select (select count(*) from pgbench_accounts) = 100000,
  (select sum(abalance) from pgbench_accounts) = coalesce(sum(delta), 0), (select sum(tbalance) from pgbench_tellers) = coalesce(sum(delta), 0),
  (select sum(bbalance) from pgbench_branches) = coalesce(sum(delta), 0) from pgbench_history'''
POSTGRES_TOLD = 'select client, max(number), count(*) from told group by client'


def check_postgres(told):
    """Before the cluster was told nothing is promised; then it starts, and its checksums hold for each page that is read."""
    if 'cluster' not in told:
        return []
    if not os.path.exists('out/pg/PG_VERSION'):
        return ['the cluster is gone']
    user = {}
    if os.geteuid() == 0:  # which the server refuses to be
        subprocess.run(['chown', '-R', '65534:65534', 'out'], check=True)
        user = {'user': 65534, 'group': 65534, 'extra_groups': []}
    work = os.path.abspath('out')

    def call(program, *more):
        # Not pipes: the server keeps them.
        with open('said', 'w+b') as f:
            status = subprocess.run([f'{PG}/{program}', *more], stdin=subprocess.DEVNULL, stdout=f, stderr=subprocess.STDOUT, check=False, **user).returncode
            f.seek(0)
            return status, f.read().decode(errors='replace').strip()
    control = ['-D', work + '/pg', '-w', '-t', '600']
    status, text = call('pg_ctl', *control, '-o', f'-k {work} -c listen_addresses= -c fsync=off -c shared_buffers=16MB', 'start')
    if status:
        return [f'the cluster does not start: {text[-3000:]}']
    try:
        return postgres_found(call, work, told)
    finally:
        call('pg_ctl', *control, '-m', 'immediate', 'stop')


def postgres_found(call, work, told):
    psql = ('psql', '-h', work, '-XAt', '-U', 'postgres')
    numbers = {c: n for c, n in told.items() if c not in ('cluster', '0')}
    if '0' not in told:
        status, text = call(*psql, '-c', 'select 1')
        return [] if (status, text) == (0, '1') else [f'no query: {text}']
    status, text = call(*psql, '-c', POSTGRES_SUMS, '-c', POSTGRES_TOLD)
    rows = text.split('\n')
    if status or rows[0] != 't|t|t|t':
        return [f'the sums: {text[-1000:]}']
    found = []
    have = {c: (int(last), int(n)) for c, last, n in (r.split('|') for r in rows[1:])}
    for client, (last, n) in have.items():
        if last != n:
            found.append(f'client {client} has {n} transactions, the last is {last}')
    for client, n in numbers.items():
        if have.get(client, (0, 0))[0] < n:
            found.append(f'client {client}: {n} was told, {have.get(client)} is there')
    return found


# name: (size of the disk, arguments of alcove build, check, memory of the guest)
CASES = {
    'sqlite-wal': ('24M', build_sqlite('wal'), check_sqlite, '256M'),
    'sqlite-delete': ('24M', build_sqlite('delete'), check_sqlite, '256M'),
    'redis': ('24M', build_redis, check_redis, '256M'),
    'postgres': ('160M', build_postgres, check_postgres, '768M'),
}
