# SPDX-License-Identifier: MIT
"""TCP over a bad link: frames are lost, doubled, put out of order and damaged on their way, and every byte arrives all the same.

usage: faults.py ALCOVE|linux PERCENT SIZE [SEED]

With "linux" this machine's kernel, in a third network namespace, takes the guest's place, for comparison.

The guest is on a tap interface in a network namespace of this test; the peer is in a second one. The namespaces are joined by two more
tap interfaces, between whose ends this program carries the frames, badly: of each direction's frames, PERCENT are lost, and a
third of that each doubled, held back behind others, and damaged in one bit. SIZE bytes go each way, compared by hash. The
first namespace's kernel cuts what the guest's device left whole, so the guest sends long segments as on any tap.
"""
import ctypes
import fcntl
import hashlib
import os
import random
import re
import select
import signal
import socket
import struct
import subprocess
import sys
import tempfile
import threading
import time

DEADLINE = 500
CLONE_NEWNET = 0x40000000
TUNSETIFF, IFF_TAP, IFF_NO_PI = 0x400454ca, 2, 0x1000
GUEST, GATE, PEER = '10.77.0.2', '10.77.0.1', '10.88.0.2'

SERVER = r'''
import hashlib, socket, struct, threading
def stream(n):
    block = b"".join(hashlib.sha256(struct.pack("<I", i)).digest() for i in range(2048))
    while n > 0:
        yield block[:n]
        n -= len(block)
def serve(port, what):
    l = socket.socket()
    l.bind(("0.0.0.0", port))
    l.listen(5)
    def one(s):
        with s:
            what(s)
    while True:
        threading.Thread(target=one, args=(l.accept()[0],)).start()
def take(s):
    h = hashlib.sha256()
    while part := s.recv(1 << 18):
        h.update(part)
    s.sendall(h.digest())
def give(s):
    n, = struct.unpack("<Q", s.recv(8, socket.MSG_WAITALL))
    for part in stream(n):
        s.sendall(part)
threading.Thread(target=serve, args=(7001, take)).start()
threading.Thread(target=serve, args=(7002, give)).start()
print("serving", flush=True)
'''
exec(SERVER.split('def serve')[0])  # stream(), which both ends know


def run(*words):
    subprocess.run(words, check=True)


def tap(name):
    fd = os.open('/dev/net/tun', os.O_RDWR | os.O_NONBLOCK)
    fcntl.ioctl(fd, TUNSETIFF, struct.pack('16sH', name.encode(), IFF_TAP | IFF_NO_PI))
    return fd


class Link:
    """Carries frames between two tap interfaces; percent of them badly."""

    def __init__(self, a, b, percent, seed):
        self.ends, self.random = {a: b, b: a}, random.Random(seed)
        self.loss, self.other = percent / 100, percent / 300
        self.held = {a: [], b: []}
        self.seen = self.lost = self.doubled = self.reordered = self.damaged = 0
        self.bad = False
        threading.Thread(target=self.carry, daemon=True).start()

    def write(self, to, frame):
        try:
            os.write(to, frame)
        except OSError:
            pass  # its queue is full: lost

    def take(self, fd, frame):
        to, r = self.ends[fd], self.random.random
        self.seen += 1
        if not self.bad or frame[12:14] == b'\x08\x06':  # a neighbour that is not found is not this test's matter
            return self.write(to, frame)
        if r() < self.loss:
            self.lost += 1
            return None
        if r() < self.other:
            self.damaged += 1
            i = self.random.randrange(14, len(frame))
            frame = frame[:i] + bytes([frame[i] ^ 1 << self.random.randrange(8)]) + frame[i + 1:]
        if r() < self.other:
            self.reordered += 1
            self.held[to].append([self.random.randrange(1, 6), frame])
            return None
        self.write(to, frame)
        if r() < self.other:
            self.doubled += 1
            self.write(to, frame)
        for h in self.held[to]:
            h[0] -= 1
        for h in [h for h in self.held[to] if h[0] <= 0]:
            self.held[to].remove(h)
            self.write(to, h[1])
        return None

    def carry(self):
        while True:
            ready = select.select(list(self.ends), [], [], 0.05)[0]
            for fd in ready:
                for _ in range(64):
                    try:
                        self.take(fd, os.read(fd, 65536))
                    except BlockingIOError:
                        break
            if not ready:  # nothing follows what is held back
                for to, held in self.held.items():
                    while held:
                        self.write(to, held.pop(0)[1])


def set_up(linux):
    """Both namespaces; this process ends up in the second. The two ends of the bad link."""
    run('ip', 'link', 'set', 'lo', 'up')
    if linux:
        run('ip', 'link', 'add', 'tap77', 'type', 'veth', 'peer', 'name', 'guest77')
    else:
        run('ip', 'tuntap', 'add', 'dev', 'tap77', 'mode', 'tap')
    run('ip', 'addr', 'add', GATE + '/24', 'dev', 'tap77')
    run('ip', 'link', 'set', 'tap77', 'up')
    with open('/proc/sys/net/ipv4/ip_forward', 'w', encoding='ascii') as f:
        f.write('1')
    near = tap('near')
    run('ip', 'addr', 'add', '10.88.0.1/24', 'dev', 'near')
    run('ip', 'link', 'set', 'near', 'up')
    return near


def linux_peer(vm):
    """Give the server's namespace its end of the wire, then let it begin."""
    while os.readlink(f'/proc/{vm.pid}/ns/net') == os.readlink('/proc/self/ns/net'):
        time.sleep(0.05)
    inside = ['nsenter', '-t', str(vm.pid), '-n', 'ip']
    run('ip', 'link', 'set', 'guest77', 'netns', str(vm.pid))
    run(*inside, 'addr', 'add', GUEST + '/24', 'dev', 'guest77')
    run(*inside, 'link', 'set', 'guest77', 'up')
    run(*inside, 'route', 'add', 'default', 'via', GATE)
    vm.stdin.write(b'\n')
    vm.stdin.flush()


def second_namespace():
    if ctypes.CDLL(None, use_errno=True).unshare(CLONE_NEWNET):
        raise OSError(ctypes.get_errno(), 'unshare')
    far = tap('far')
    run('ip', 'addr', 'add', PEER + '/24', 'dev', 'far')
    run('ip', 'link', 'set', 'far', 'up')
    run('ip', 'route', 'add', 'default', 'via', '10.88.0.1')
    return far


def connect(port):
    end = time.time() + DEADLINE
    while True:
        try:
            s = socket.create_connection((GUEST, port), timeout=60)
            s.settimeout(DEADLINE)
            return s
        except OSError:
            if time.time() > end:
                raise
            time.sleep(0.3)


def send(size):
    h = hashlib.sha256()
    with connect(7001) as s:
        for part in stream(size):
            h.update(part)
            s.sendall(part)
        s.shutdown(socket.SHUT_WR)
        got = s.recv(32, socket.MSG_WAITALL)
    assert got == h.digest(), 'what the guest got is not what was sent'


def receive(size):
    n, block = 0, b''.join(stream(65536)) * 2
    with connect(7002) as s:
        s.sendall(struct.pack('<Q', size))
        while part := s.recv(65536):
            at = n % 65536
            assert part == block[at:at + len(part)], f'after {n} bytes, something else came from the guest than what it sent'
            n += len(part)
    assert n == size, f'only {n} bytes came from the guest'


def main():
    alcove, percent, size = sys.argv[1], float(sys.argv[2]), int(sys.argv[3])
    seed = int(sys.argv[4]) if len(sys.argv) > 4 else random.randrange(1 << 32)
    if not os.environ.get('ALCOVE_FAULTS_INSIDE'):
        user = ['--user', '--map-root-user'] if os.geteuid() else []
        os.execvpe('unshare', ['unshare', *user, '--net', sys.executable, *sys.argv], os.environ | {'ALCOVE_FAULTS_INSIDE': '1'})
    print(f'seed {seed}')
    near = set_up(alcove == 'linux')
    with tempfile.TemporaryDirectory() as work:
        with open(work + '/out', 'wb') as out:
            if alcove == 'linux':  # for comparison: this machine's kernel in a namespace of its own in the guest's place
                vm = subprocess.Popen(['unshare', '--net', sys.executable, '-c', 'import sys; sys.stdin.readline()\n' + SERVER],
                                      stdin=subprocess.PIPE, stdout=out, stderr=subprocess.STDOUT)
                linux_peer(vm)
            else:
                vm = subprocess.Popen([alcove, 'run', '--net', 'tap=tap77', '--ip', f'{GUEST}/24,{GATE}', '/usr/bin/python3', '-c',
                                       SERVER], stdin=subprocess.DEVNULL, stdout=out, stderr=subprocess.STDOUT)
        try:
            link = Link(near, second_namespace(), percent, seed)
            connect(7001).close()
            link.bad = True
            start = time.time()
            send(size)
            print(f'sent: {time.time() - start:.1f} s')
            start = time.time()
            receive(size)
            print(f'received: {time.time() - start:.1f} s; {link.seen} frames, {link.lost} lost, {link.doubled} doubled, '
                  f'{link.reordered} out of order, {link.damaged} damaged')
            assert link.lost and (size < 1 << 18 or link.doubled and link.reordered and link.damaged)
            assert vm.poll() is None
        finally:
            vm.send_signal(signal.SIGTERM)
            vm.wait(60)
            with open(work + '/out', encoding='utf-8', errors='replace') as f:
                text = f.read()
            print(text[-3000:])
        assert not re.search(r'panic:|BUG|no answer', text)


if __name__ == '__main__':
    main()
