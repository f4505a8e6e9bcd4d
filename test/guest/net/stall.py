# SPDX-License-Identifier: MIT
"""Peers that stop: one that does not read for SECONDS, and two that vanish. usage: stall.py ALCOVE SECONDS

The guest is on a tap interface in a network namespace of this test. A client asks for more than all buffers hold and does not read: its
window is zero for SECONDS, then it reads everything, and the bytes are right. Then all that is under way to another is lost. Then the interface goes down under two connections:
one on which the guest sends, with TCP_USER_TIMEOUT, and one on which it waits, with keepalive. Both end with ETIMEDOUT, and the
guest serves on when the interface is back.
"""
import errno
import hashlib
import os
import re
import signal
import socket
import subprocess
import sys
import tempfile
import time

GUEST, HOST = '10.78.0.2', '10.78.0.1'
SIZE = 8 << 20
DEADLINE = 240

SERVER = r'''
import hashlib, socket, threading
block = b"".join(hashlib.sha256(bytes([i])).digest() for i in range(256)) * 8
ends = []
def listen(port, what):
    l = socket.socket()
    l.bind(("0.0.0.0", port))
    l.listen(5)
    def serve():
        while True:
            s, _ = l.accept()
            threading.Thread(target=what, args=(s,)).start()
    threading.Thread(target=serve).start()
def give(s):
    for _ in range(SIZE // len(block)):
        s.sendall(block)
    s.close()
def keep_sending(s):
    s.setsockopt(socket.IPPROTO_TCP, socket.TCP_USER_TIMEOUT, 6000)
    try:
        while True:
            s.sendall(block)
    except OSError as e:
        ends.append(("sender", e.errno))
def keep_waiting(s):
    s.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
    for name, v in ((socket.TCP_KEEPIDLE, 3), (socket.TCP_KEEPINTVL, 2), (socket.TCP_KEEPCNT, 3)):
        s.setsockopt(socket.IPPROTO_TCP, name, v)
    s.sendall(b"here")
    try:
        s.recv(1)
        ends.append(("waiter", 0))
    except OSError as e:
        ends.append(("waiter", e.errno))
def tell(s):
    s.sendall(repr(sorted(ends)).encode())
    s.close()
for port, what in ((7001, give), (7002, keep_sending), (7003, keep_waiting), (7004, tell)):
    listen(port, what)
print("serving", flush=True)
'''


def run(*words):
    subprocess.run(words, check=True)


def connect(port):
    end = time.time() + DEADLINE
    while True:
        try:
            return socket.create_connection((GUEST, port), timeout=DEADLINE)
        except OSError:
            assert time.time() < end, f'port {port} does not answer'
            time.sleep(0.3)


def told():
    with connect(7004) as s:
        text = b''
        while part := s.recv(4096):
            text += part
    return eval(text)


def zero_window(seconds):
    block = b''.join(hashlib.sha256(bytes([i])).digest() for i in range(256)) * 8
    with connect(7001) as s:
        time.sleep(seconds)
        got = bytearray()
        while part := s.recv(1 << 18):
            got += part
    assert bytes(got) == block * (SIZE // len(block)), f'{len(got)} bytes came'
    print(f'a window of zero for {seconds} s, then {len(got)} bytes')


def blackout():
    """All that is under way is lost, and nobody says anything afterwards: the guest has to begin again by itself."""
    block = b''.join(hashlib.sha256(bytes([i])).digest() for i in range(256)) * 8
    with connect(7001) as s:
        got = bytearray(s.recv(1 << 18))
        run('ip', 'link', 'set', 'tap78', 'down')
        time.sleep(2)
        run('ip', 'link', 'set', 'tap78', 'up')
        start = time.time()
        while part := s.recv(1 << 18):
            got += part
    assert bytes(got) == block * (SIZE // len(block)), f'{len(got)} bytes came'
    print(f'the rest of {len(got)} bytes came {time.time() - start:.1f} s after the link')


def vanish():
    sender, waiter = connect(7002), connect(7003)
    assert waiter.recv(4, socket.MSG_WAITALL) == b'here' and len(sender.recv(100000)) > 0
    run('ip', 'link', 'set', 'tap78', 'down')
    # The client's ends are gone for good: nothing of them may answer later.
    for s in (sender, waiter):
        s.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b'\1\0\0\0\0\0\0\0')
        s.close()
    start = time.time()
    time.sleep(25)
    run('ip', 'link', 'set', 'tap78', 'up')
    while len(ends := told()) < 2:
        assert time.time() - start < DEADLINE, ends
        time.sleep(0.5)
    print(ends)
    assert ends == [('sender', errno.ETIMEDOUT), ('waiter', errno.ETIMEDOUT)], ends


def main():
    alcove, seconds = sys.argv[1], int(sys.argv[2])
    if not os.environ.get('ALCOVE_STALL_INSIDE'):
        user = ['--user', '--map-root-user'] if os.geteuid() else []
        os.execvpe('unshare', ['unshare', *user, '--net', sys.executable, *sys.argv], os.environ | {'ALCOVE_STALL_INSIDE': '1'})
    run('ip', 'link', 'set', 'lo', 'up')
    run('ip', 'tuntap', 'add', 'dev', 'tap78', 'mode', 'tap')
    run('ip', 'addr', 'add', HOST + '/24', 'dev', 'tap78')
    with open('/proc/sys/net/ipv6/conf/tap78/disable_ipv6', 'w', encoding='ascii') as f:
        f.write('1')  # nothing but what a test sends
    run('ip', 'link', 'set', 'tap78', 'up')
    with tempfile.TemporaryDirectory() as work:
        with open(work + '/out', 'wb') as out:
            vm = subprocess.Popen([alcove, 'run', '--net', 'tap=tap78', '--ip', f'{GUEST}/24,{HOST}', '/usr/bin/python3', '-c',
                                   f'SIZE = {SIZE}\n' + SERVER], stdin=subprocess.DEVNULL, stdout=out, stderr=subprocess.STDOUT)
        try:
            connect(7004).close()
            zero_window(seconds)
            blackout()
            vanish()
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
