# SPDX-License-Identifier: MIT
"""The servers that README shows, started by README's own words: clients on the host use them.

usage: servers.py [--results DIR] ALCOVE NAME      one of the names in CLIENTS. DIR: see test/guest/programs/results.py
"""
import http.client
import os
import re
import subprocess
import sys

import redis_checks
from serve import HOST, TOP, dial, get, of_readme, page, serve, until


def python_files(root):
    with open(root + '/data.bin', 'wb') as f:
        f.write(bytes(i * 7 % 251 for i in range(1 << 20)))


def python_http(port, work):
    status, body = get(port, '/data.bin')
    with open(work + '/root/data.bin', 'rb') as f:
        assert status == 200 and body == f.read(), (status, len(body))
    for _ in range(20):
        status, body = get(port)
        assert status == 200 and b'data.bin' in body, (status, body)
    status, body = get(port, '/server.js')
    with open(TOP + '/examples/servers/server.js', 'rb') as f:
        assert body == f.read(), body


def nginx(port, _work):
    status, body = get(port)
    assert status == 200 and b'Welcome to nginx' in body, (status, body)
    c = http.client.HTTPConnection(HOST, port, timeout=60)
    for _ in range(50):  # one connection
        c.request('GET', '/')
        r = c.getresponse()
        assert r.status == 200 and b'Welcome to nginx' in r.read()
    c.request('GET', '/nosuch')
    assert c.getresponse().status == 404
    wrk = subprocess.run(['wrk', '-t', '1', '-c', '8', '-d', '1s', '--timeout', '60s', f'http://{HOST}:{port}/'], capture_output=True,
                         text=True, timeout=120)
    print(wrk.stdout)
    done = re.search(r'(\d+) requests in', wrk.stdout)
    assert wrk.returncode == 0 and done and int(done[1]) >= 8 and not re.search('Socket errors|Non-2xx', wrk.stdout), wrk


def redis(port, _work):
    dial(port, b'PING\r\n', b'+PONG\r\n').close()
    redis_checks.run(port)
    for more in [], ['-P', '16']:
        done = subprocess.run(['redis-benchmark', '-p', str(port), '-n', '500', '-c', '10', '-t', 'get,set,lpush,lrange_100', '-q', *more],
                              capture_output=True, text=True, timeout=200)
        assert done.returncode == 0 and done.stdout.count('requests per second') == 5 and 'rror' not in done.stdout, done


def memcached(port, _work):
    s = dial(port, b'version\r\n', b'VERSION ')
    s.recv(1000)
    value = os.urandom(100000).hex().encode()
    s.sendall(b'set key 0 0 %d\r\n' % len(value) + value + b'\r\nget key\r\n')
    want = b'STORED\r\nVALUE key 0 %d\r\n' % len(value) + value + b'\r\nEND\r\n'
    got = b''
    while len(got) < len(want):
        got += s.recv(65536)
    assert got == want
    s.sendall(b'set n 0 0 2\r\n41\r\nincr n 1\r\nadd n 0 0 1\r\n0\r\nappend n 0 0 1\r\n0\r\nget n\r\ntouch n 100\r\ndelete n\r\nget n\r\nflush_all\r\n')
    want = b'STORED\r\n42\r\nNOT_STORED\r\nSTORED\r\nVALUE n 0 3\r\n420\r\nEND\r\nTOUCHED\r\nDELETED\r\nEND\r\nOK\r\n'
    got = b''
    while len(got) < len(want):
        got += s.recv(65536)
    assert got == want, got


def node(port, _work):
    seen = set()
    for _ in range(1000):  # until both have answered
        seen.add(get(port)[1])
        if len(seen) == 2:
            break
    assert seen == {b'worker 1 of node\n', b'worker 2 of node\n'}, seen


def postgres(port, _work):
    psql = ['psql', '-h', HOST, '-p', str(port), '-U', 'postgres', '-At', '-v', 'ON_ERROR_STOP=1']

    def first():
        return subprocess.run([*psql, '-c', 'select 6 * 7'], capture_output=True, text=True, timeout=60, check=True).stdout
    assert until(first, subprocess.SubprocessError) == '42\n'
    sql = '''create table t (n int primary key, s text);
insert into t select i, md5(i::text) from generate_series(1, 2000) i;
begin; delete from t where n % 2 = 0; rollback;
create index on t (s); vacuum analyze t;
select count(*), max(length(s)) from t;'''
    done = subprocess.run(psql, input=sql, capture_output=True, text=True, timeout=200)
    assert done.returncode == 0 and done.stdout.endswith('2000|32\n'), done


# README's name: (client, files)
CLIENTS = {
    'nginx': (nginx, None),
    'redis': (redis, None),
    'memcached': (memcached, None),
    'python': (python_http, python_files),
    'node': (node, None),
    'go': (page(b'Go to 10.0.2.2:'), None),
    'java': (page(b'Java, pool-'), None),
    'postgres': (postgres, None),
}


def main(args):
    results, args = (args[1], args[2:]) if args[:1] == ['--results'] else (None, args)
    shown = of_readme()
    assert set(shown) == set(CLIENTS), f'README shows {sorted(shown)}, and clients are for {sorted(CLIENTS)}'
    shown['redis'][2].extend(['--enable-debug-command', 'yes'])  # for what checks a data set
    return 0 if serve(args[0], args[1], {n: (*shown[n], *CLIENTS[n]) for n in shown}, results) else 1


if __name__ == '__main__':
    sys.exit(main(sys.argv[1:]))
