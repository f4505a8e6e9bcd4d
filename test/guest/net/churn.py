# SPDX-License-Identifier: MIT
"""Connections come and go in numbers, and are kept in numbers: nothing of them stays behind.

usage: churn.py ALCOVE NETSERVE COUNT KEPT

COUNT times a client connects, asks, is answered, and sees the guest close first, so that the guest has each in TIME-WAIT; the client's
ports come again long before that is over. Then KEPT slow clients stay without asking for anything, while others are served,
and then go all at once. Free memory is the same after COUNT connections as before them, but for what caches may keep.
"""
import os
import re
import resource
import signal
import socket
import subprocess
import sys
import tempfile
import time

GUEST, HOST = '10.79.0.2', '10.79.0.1'
ALLOWED_KIB = 8192


def run(*words):
    subprocess.run(words, check=True)


def ask():
    with socket.create_connection((GUEST, 7003), timeout=60) as s:
        s.sendall(b'GET / HTTP/1.0\r\n\r\n')
        got = 0
        while part := s.recv(65536):
            got += len(part)
        assert got == 800, got


def free():
    with socket.create_connection((GUEST, 7005), timeout=60) as s:
        return int(s.makefile().read())


def wait_for_guest(vm):
    end = time.time() + 200
    while True:
        try:
            return free()
        except OSError:
            assert time.time() < end and vm.poll() is None, 'the guest does not answer'
            time.sleep(0.3)


def exercise(count, kept):
    for _ in range(200):
        ask()
    before = free()
    start = time.time()
    for _ in range(count):
        ask()
    print(f'{count} connections in {time.time() - start:.0f} s; free before {before} KiB, after {free()} KiB')
    assert before - free() < ALLOWED_KIB, 'connections that are over keep memory'
    slow = [socket.create_connection((GUEST, 7004), timeout=60) for _ in range(kept)]
    for _ in range(100):
        ask()
    print(f'with {kept} that are kept: free {free()} KiB')
    for s in slow:
        s.close()
    ask()


def main():
    alcove, program, count, kept = sys.argv[1], sys.argv[2], int(sys.argv[3]), int(sys.argv[4])
    if not os.environ.get('ALCOVE_CHURN_INSIDE'):
        user = ['--user', '--map-root-user'] if os.geteuid() else []
        os.execvpe('unshare', ['unshare', *user, '--net', sys.executable, *sys.argv], os.environ | {'ALCOVE_CHURN_INSIDE': '1'})
    hard = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
    resource.setrlimit(resource.RLIMIT_NOFILE, (min(hard, kept + 100) if hard > 0 else kept + 100, hard))
    run('ip', 'link', 'set', 'lo', 'up')
    run('ip', 'tuntap', 'add', 'dev', 'tap79', 'mode', 'tap')
    run('ip', 'addr', 'add', HOST + '/24', 'dev', 'tap79')
    run('ip', 'link', 'set', 'tap79', 'up')
    with tempfile.TemporaryDirectory() as work:
        with open(work + '/out', 'wb') as out:
            vm = subprocess.Popen([alcove, 'run', '--net', 'tap=tap79', '--ip', f'{GUEST}/24,{HOST}', program],
                                  stdin=subprocess.DEVNULL, stdout=out, stderr=subprocess.STDOUT)
        try:
            wait_for_guest(vm)
            exercise(count, kept)
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
