# SPDX-License-Identifier: MIT
"""What redis-server does beyond single commands, asked of a running one: data types, scripts, transactions, subscriptions,
blocking calls, expiry, its files (a child that saves while the parent writes), many clients.

The comparison of a data set before and after is Redis's own DEBUG DIGEST.
"""
import random
import socket
import time

from serve import HOST


class Client:
    """A connection that speaks RESP. call() gives what the server answers: int, bytes, None, list or Refused."""
    def __init__(self, port):
        self.s = socket.create_connection((HOST, port), timeout=200)
        self.f = self.s.makefile('rb')

    def send(self, *words):
        words = [w if isinstance(w, bytes) else str(w).encode() for w in words]
        self.s.sendall(b'*%d\r\n' % len(words) + b''.join(b'$%d\r\n%s\r\n' % (len(w), w) for w in words))

    def answer(self):
        line = self.f.readline()
        assert line.endswith(b'\r\n'), line
        kind, rest = line[:1], line[1:-2]
        if kind == b'+':
            return rest
        if kind == b'-':
            return Refused(rest)
        if kind == b':':
            return int(rest)
        if kind == b'$':
            return None if int(rest) < 0 else self.f.read(int(rest) + 2)[:-2]
        assert kind == b'*', line
        return None if int(rest) < 0 else [self.answer() for _ in range(int(rest))]

    def call(self, *words):
        self.send(*words)
        return self.answer()


class Refused(bytes):
    """An error answer."""


def same(got, want):
    assert got == want, f'{got!r}, not {want!r}'


def types(c):
    same(c.call('rpush', 'list', *range(500)), 500)
    same(c.call('lrange', 'list', 10, 12), [b'10', b'11', b'12'])
    same(c.call('ltrim', 'list', 100, -1), b'OK')
    same(c.call('hset', 'hash', *(w for i in range(300) for w in (f'f{i}', i))), 300)
    same(c.call('hincrby', 'hash', 'f7', 100), 107)
    same(c.call('sadd', 'set', *range(100)), 100)
    same(sorted(c.call('sinter', 'set', 'set')), sorted(b'%d' % i for i in range(100)))
    same(c.call('zadd', 'zset', *(w for i in range(300) for w in (random.random(), i))), 300)
    same(len(c.call('zrangebyscore', 'zset', '-inf', '+inf')), 300)
    same(c.call('xadd', 'stream', '1-1', 'a', 'b'), b'1-1')
    same(c.call('xrange', 'stream', '-', '+'), [[b'1-1', [b'a', b'b']]])
    same(c.call('pfadd', 'hll', *range(1000)), 1)
    assert 950 < c.call('pfcount', 'hll') < 1050
    same(c.call('setbit', 'bits', 70000, 1), 0)
    same(c.call('bitcount', 'bits'), 1)
    same(c.call('geoadd', 'geo', 13.36, 38.11, 'Palermo'), 1)
    assert isinstance(c.call('lpush', 'hash', 'x'), Refused)


def scripts(c, port):
    same(c.call('eval', 'local s = 0 for i = 1, #ARGV do s = s + ARGV[i] end redis.call("set", KEYS[1], s) return s', 1, 'sum', 1, 2, 3), 6)
    same(c.call('get', 'sum'), b'6')
    assert isinstance(c.call('eval', 'return redis.call("nosuch")', 0), Refused)
    same(c.call('multi'), b'OK')
    same(c.call('incr', 'sum'), b'QUEUED')
    same(c.call('incr', 'sum'), b'QUEUED')
    same(c.call('exec'), [7, 8])
    same(c.call('watch', 'sum'), b'OK')
    same(Client(port).call('incr', 'sum'), 9)
    same(c.call('multi'), b'OK')
    same(c.call('set', 'sum', 0), b'QUEUED')
    same(c.call('exec'), None)


def waiting(c, port):
    others = [Client(port) for _ in range(10)]
    for i, o in enumerate(others):
        o.send('blpop', f'queue{i}', 0)
    for i, o in enumerate(others):
        same(c.call('rpush', f'queue{i}', i), 1)
        same(o.answer(), [b'queue%d' % i, b'%d' % i])
        same(o.call('subscribe', 'news'), [b'subscribe', b'news', 1])
    same(c.call('publish', 'news', 'x' * 20000), 10)
    for o in others:
        same(o.answer(), [b'message', b'news', b'x' * 20000])
    same(c.call('blpop', 'nothing', 0.05), None)
    same(c.call('set', 'short', 1, 'px', 50), b'OK')
    end = time.time() + 100
    while c.call('exists', 'short'):
        assert time.time() < end


def info(c, what):
    return dict(line.split(':', 1) for line in c.call('info', what).decode().split('\r\n') if ':' in line)


def wait_for(c, field, value):
    end = time.time() + 200
    while info(c, 'persistence')[field] != value:
        assert time.time() < end, info(c, 'persistence')
        time.sleep(0.2)


def files(c):
    """A child saves or rewrites what the parent changes meanwhile; what was saved is read again."""
    for i in range(2000):
        c.send('set', f'key{i}', b'%d' % i * 50)
    for i in range(2000):
        same(c.answer(), b'OK')
    before = int(info(c, 'persistence')['rdb_last_save_time'])
    assert c.call('bgsave').startswith(b'Background')
    for i in range(200):
        same(c.call('set', f'key{i}', 'changed'), b'OK')
    wait_for(c, 'rdb_bgsave_in_progress', '0')
    same(info(c, 'persistence')['rdb_last_bgsave_status'], 'ok')
    assert int(info(c, 'persistence')['rdb_last_save_time']) >= before
    same(c.call('config', 'set', 'appendonly', 'yes'), b'OK')
    wait_for(c, 'aof_rewrite_in_progress', '0')
    wait_for(c, 'aof_rewrite_scheduled', '0')
    same(info(c, 'persistence')['aof_last_bgrewrite_status'], 'ok')
    same(c.call('config', 'set', 'appendfsync', 'always'), b'OK')
    for i in range(100):
        same(c.call('append', f'key{i}', i), 7 + len(str(i)))
    digest = c.call('debug', 'digest')
    same(c.call('debug', 'loadaof'), b'OK')
    same(c.call('debug', 'digest'), digest)
    same(c.call('debug', 'reload'), b'OK')
    same(c.call('debug', 'digest'), digest)
    same(c.call('config', 'set', 'appendonly', 'no'), b'OK')


def run(port):
    c = Client(port)
    types(c)
    scripts(c, port)
    waiting(c, port)
    files(c)
    same(c.call('flushall'), b'OK')
    same(c.call('dbsize'), 0)
