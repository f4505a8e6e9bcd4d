# SPDX-License-Identifier: MIT
"""A server in a guest on QEMU's user network, and clients on the host: what the tests of servers share."""
import http.client
import os
import re
import shlex
import socket
import subprocess
import sys
import tempfile
import time

TOP = os.path.dirname(os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__)))))
sys.path.insert(0, TOP + '/test/guest/programs')
from results import note  # noqa: E402

HOST = '127.0.0.1'
DEADLINE = 200  # seconds until the server answers


def of_readme():
    """The servers that README shows: {name: (its port, options, program and arguments)}."""
    out = {}
    with open(TOP + '/README.md', encoding='utf-8') as f:
        for words, name in re.findall(r'(?m)^\./dev run -p (.*?) +# (\w+)(?::.*)?$', f.read()):
            port, *words = shlex.split(words)
            first = next(i for i, w in enumerate(words) if w.startswith('/') and words[i - 1] != '--with')
            out[name] = (port.partition(':')[2], words[:first], words[first:])
    return out


def write(path, text):
    os.makedirs(os.path.dirname(path), exist_ok=True)
    with open(path, 'w', encoding='utf-8') as f:
        f.write(text)


def free_port():
    with socket.socket() as s:
        s.bind((HOST, 0))
        return s.getsockname()[1]


def until(attempt, *more):
    """What attempt() gives, once it gives something without an error of the network's, or its last error."""
    end = time.time() + DEADLINE
    while True:
        try:
            return attempt()
        except (OSError, http.client.HTTPException, *more):
            if time.time() > end:
                raise
            time.sleep(0.3)


def get(port, path='/', make=http.client.HTTPConnection, **options):
    """Fetch a page; while the server is not there yet, QEMU takes the connection and closes it."""
    def attempt():
        c = make(HOST, port, timeout=60, **options)
        c.request('GET', path)
        r = c.getresponse()
        return r.status, r.read()
    return until(attempt)


def dial(port, greeting=b'', answer=b''):
    """A connection on which the server has answered the greeting."""
    def attempt():
        s = socket.create_connection((HOST, port), timeout=60)
        s.sendall(greeting)
        got = b''
        while len(got) < len(answer):
            part = s.recv(len(answer) - len(got))
            if not part:
                raise OSError('closed')
            got += part
        assert got == answer, got
        return s
    return until(attempt)


def page(expected, times=20):
    """A client that wants this in a page, so many times."""
    def client(port, _work):
        for _ in range(times):
            status, body = get(port)
            assert status == 200 and expected in body, (status, body)
    return client


def serve(alcove, name, table, results):
    """Start one of a table {name: (guest's port, options, program, client, files or None)}, and let its client at it."""
    alcove = os.path.abspath(alcove)
    guest, options, program, client, files = table[name]
    with tempfile.TemporaryDirectory() as work:
        os.chmod(work, 0o755)
        os.mkdir(work + '/root')
        if files:
            files(work + '/root')
        port = free_port()
        good = False
        with open(work + '/out', 'wb') as out:
            vm = subprocess.Popen([alcove, 'run', '-p', f'{port}:{guest}', '--root', work + '/root', *options, *program], cwd=TOP,
                                  stdin=subprocess.DEVNULL, stdout=out, stderr=subprocess.STDOUT)
            try:
                client(port, work)
                good = vm.poll() is None
            finally:
                vm.terminate()
                vm.wait(60)
                with open(work + '/out', encoding='utf-8', errors='replace') as said:
                    text = said.read()
                print(text[-4000:])
                good = good and not re.search(r'(?m)panic:|\bBUG\b|^warning:', text)
                note(results, alcove, 'net-' + name, ' '.join(program), [] if good else ['clients'])
    return good
