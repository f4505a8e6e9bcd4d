# SPDX-License-Identifier: MIT
"""Servers from Debian in the guest, clients on the host: the network works end to end.

usage: servers.py ALCOVE NAME      one of the names in SERVERS
"""
import http.client
import os
import re
import socket
import subprocess
import sys
import tempfile
import time

DEADLINE = 100  # seconds until the server answers


def free_port():
    with socket.socket() as s:
        s.bind(('127.0.0.1', 0))
        return s.getsockname()[1]


def get(port, path='/', tries=1):
    """Fetch a page; while the server is not there yet, QEMU takes the connection and closes it."""
    end = time.time() + DEADLINE
    while True:
        try:
            c = http.client.HTTPConnection('127.0.0.1', port, timeout=20)
            c.request('GET', path)
            r = c.getresponse()
            return r.status, r.read()
        except (OSError, http.client.HTTPException):
            if time.time() > end:
                raise
            time.sleep(0.3)


def python_http(port, work):
    status, body = get(port, '/data.bin')
    with open(work + '/root/srv/data.bin', 'rb') as f:
        assert status == 200 and body == f.read(), (status, len(body))
    for _ in range(20):
        status, body = get(port)
        assert status == 200 and b'data.bin' in body, (status, body)


def nginx(port, work):
    status, body = get(port)
    assert status == 200 and b'Welcome to nginx' in body, (status, body)
    c = http.client.HTTPConnection('127.0.0.1', port, timeout=20)
    for _ in range(50):  # one connection
        c.request('GET', '/')
        r = c.getresponse()
        assert r.status == 200 and b'Welcome to nginx' in r.read()
    c.request('GET', '/nosuch')
    assert c.getresponse().status == 404


def command(s, *words):
    s.sendall(b'*%d\r\n' % len(words) + b''.join(b'$%d\r\n%s\r\n' % (len(w), w) for w in words))
    out = b''
    while not out.endswith(b'\r\n'):
        part = s.recv(65536)
        if not part:
            raise OSError('closed')
        out += part
    return out


def redis(port, work):
    end = time.time() + DEADLINE
    while True:
        try:
            s = socket.create_connection(('127.0.0.1', port), timeout=20)
            assert command(s, b'PING') == b'+PONG\r\n'
            break
        except OSError:
            if time.time() > end:
                raise
            time.sleep(0.3)
    for i in range(200):
        assert command(s, b'SET', b'k%d' % i, b'v' * i) == b'+OK\r\n'
    assert command(s, b'GET', b'k100') == b'$100\r\n' + b'v' * 100 + b'\r\n'
    run = subprocess.run(['redis-benchmark', '-p', str(port), '-n', '500', '-c', '10', '-t', 'get,set', '-q'],
                         capture_output=True, text=True, timeout=120)
    assert run.returncode == 0 and run.stdout.count('requests per second') == 2, run


def udp_echo(port, work):
    s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    s.settimeout(1)
    end = time.time() + DEADLINE
    while True:
        s.sendto(b'hello', ('127.0.0.1', port))
        try:
            assert s.recv(100) == b'HELLO'
            return
        except socket.timeout:
            if time.time() > end:
                raise


UDP_ECHO = '''
import socket
s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
s.bind(("0.0.0.0", 53))
while True:
    data, peer = s.recvfrom(1000)
    s.sendto(data.upper(), peer)
'''

# name: (guest port, options, command, client)
SERVERS = {
    'python-http': ('80', ['--root', 'ROOT'], ['/usr/bin/python3', '-m', 'http.server', '-d', '/srv', '80'], python_http),
    'nginx': ('80', [], ['/usr/sbin/nginx', '-g', 'daemon off;'], nginx),
    'redis': ('6379', [], ['/usr/bin/redis-server', '--bind', '0.0.0.0', '--protected-mode', 'no', '--save', ''], redis),
    'udp': ('53/udp', [], ['/usr/bin/python3', '-c', UDP_ECHO], udp_echo),
}


def main():
    alcove, name = sys.argv[1:]
    guest, options, program, client = SERVERS[name]
    with tempfile.TemporaryDirectory() as work:
        os.makedirs(work + '/root/srv')
        with open(work + '/root/srv/data.bin', 'wb') as f:
            f.write(bytes(i * 7 % 251 for i in range(1 << 20)))
        port = free_port()
        options = [work + '/root' if o == 'ROOT' else o for o in options]
        with open(work + '/out', 'wb') as out:
            vm = subprocess.Popen([alcove, 'run', '-p', f'{port}:{guest}', *options, *program], stdin=subprocess.DEVNULL,
                                  stdout=out, stderr=subprocess.STDOUT)
            try:
                client(port, work)
                good = vm.poll() is None
            finally:
                vm.terminate()
                vm.wait(60)
        with open(work + '/out', encoding='utf-8', errors='replace') as out:
            text = out.read()
        print(text[-4000:])
        sys.exit(0 if good and not re.search(r'panic:|BUG|no answer', text) else 1)


if __name__ == '__main__':
    main()
