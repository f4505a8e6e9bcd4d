# SPDX-License-Identifier: MIT
"""The echo server of echo.c in the guest, many clients on the host: every byte comes back, in order.

usage: echo.py ALCOVE PROGRAM [defer | sqpoll]
"""
import hashlib
import os
import random
import select
import signal
import socket
import subprocess
import sys
import time

DEADLINE = 300  # seconds until the server answers, and for one exchange
CLIENTS, BYTES, BULK = 60, 20000, 3 << 20


def free_port():
    with socket.socket() as s:
        s.bind(('127.0.0.1', 0))
        return s.getsockname()[1]


def connect(port):
    """A connection that answers; before the server is there, QEMU takes it and closes it."""
    end = time.time() + DEADLINE
    while True:
        try:
            s = socket.create_connection(('127.0.0.1', port), timeout=20)
            s.sendall(b'?')
            if s.recv(1) == b'?':
                return s
        except OSError:
            pass
        if time.time() > end:
            sys.exit('the server does not answer')
        time.sleep(0.3)


def exchange(clients):
    """Send each client's data in pieces and compare what comes back. clients: {socket: bytes}."""
    left = {s: memoryview(data) for s, data in clients.items()}
    back = {s: bytearray() for s in clients}
    rng = random.Random(1)
    end = time.time() + DEADLINE
    for s in clients:
        s.setblocking(False)
    while any(len(back[s]) < len(clients[s]) for s in clients):
        if time.time() > end:
            sys.exit(f'stuck: {[(len(back[s]), len(clients[s])) for s in clients if len(back[s]) < len(clients[s])][:10]}')
        can_read, can_write, _ = select.select([s for s in clients if len(back[s]) < len(clients[s])],
                                               [s for s in clients if left[s]], [], 1)
        for s in can_write:
            try:
                left[s] = left[s][s.send(left[s][:rng.choice((1, 100, 1500, 5000, 60000))]):]
            except BlockingIOError:
                pass
        for s in can_read:
            part = s.recv(65536)
            if not part:
                sys.exit('a connection was closed')
            back[s] += part
    for s, data in clients.items():
        assert hashlib.sha256(back[s]).digest() == hashlib.sha256(data).digest(), 'wrong bytes'
        s.close()


def main():
    alcove, program, how = sys.argv[1], sys.argv[2], sys.argv[3:]
    port = free_port()
    guest = subprocess.Popen([alcove, 'run', '--cpus', '2', '-p', f'{port}:7', program, '7', *how], stdin=subprocess.DEVNULL,
                             stdout=subprocess.PIPE, stderr=subprocess.STDOUT, start_new_session=True)
    try:
        first = connect(port)
        exchange({connect(port): os.urandom(BYTES) for _ in range(CLIENTS)})
        exchange({first: os.urandom(BULK)})
        for _ in range(3):
            exchange({connect(port): os.urandom(3000) for _ in range(CLIENTS)})
        assert guest.poll() is None, 'the guest has ended'
    finally:
        os.killpg(guest.pid, signal.SIGTERM)
        try:
            out, _ = guest.communicate(timeout=60)
        except subprocess.TimeoutExpired:
            os.killpg(guest.pid, signal.SIGKILL)
            out, _ = guest.communicate()
        text = out.decode(errors='replace')
        print(text)
    if 'panic' in text or 'echo:' in text:
        sys.exit(1)
    print('every byte came back')


if __name__ == '__main__':
    main()
