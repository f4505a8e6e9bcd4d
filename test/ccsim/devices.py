#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""A confidential guest with virtio devices on PCI, through the pool of shared pages: an ext4 volume that this machine's tools
read afterwards, and a TCP connection. usage: devices.py ALCOVE CCSIM MODE PROGRAM keep|leak"""
import os
import re
import socket
import subprocess
import sys
import tempfile

SIZE = 300000
HERE = os.path.dirname(os.path.abspath(__file__))


def pattern():
    return bytes((i * 31 + i // 251) & 255 for i in range(SIZE))


def free_port():
    with socket.socket() as s:
        s.bind(('127.0.0.1', 0))
        return s.getsockname()[1]


def echo(port):
    """Send some, shut down, and give what came back."""
    with socket.create_connection(('127.0.0.1', port), 60) as s:
        s.settimeout(120)
        s.sendall(pattern()[:100000])
        s.shutdown(socket.SHUT_WR)
        back = b''
        while piece := s.recv(65536):
            back += piece
    return back


def main():
    alcove, sim, mode, program, what = sys.argv[1:6]
    mode, cpus = (mode.split(':') + ['1'])[:2]
    with tempfile.TemporaryDirectory() as d:
        image, given, port = os.path.join(d, 'data.img'), os.path.join(d, 'given'), free_port()
        subprocess.run([alcove, 'volume', 'create', image, '32M'], check=True, stdout=subprocess.DEVNULL)
        with open(given, 'wb') as f:
            f.write(pattern())
        subprocess.run(['debugfs', '-w', '-R', f'write {given} given', image], check=True, capture_output=True)
        env = dict(os.environ, CCSIM=sim, CCSIM_OPTIONS=f'ccsim.mode={mode} ccsim.scan', PATH=f'{HERE}/bin:' + os.environ['PATH'])
        p = subprocess.Popen([alcove, 'run', '--machine', 'q35', '--cpus', cpus, '-v', image + ':/data', '-p', f'127.0.0.1:{port}:7', program, what],
                             stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, env=env)
        said = ''
        for line in p.stdout:
            said += line
            if line.startswith('listening'):
                break
        back = echo(port) if 'listening' in said else b''
        said += p.stdout.read()
        p.wait()
        print(said)
        wrong = []
        if what == 'leak':
            if 'a secret of the guest lies in shared page' not in said:
                wrong.append('the secret was sent, and not found in shared memory')
        else:
            if p.returncode or not re.search(r'^\d+ checks, 0 failed$', said, re.M) or re.search('panic|WARNING|BUG|FAILED', said):
                wrong.append(f'exit status {p.returncode}')
            if 'shared pages hold no secret' not in said:
                wrong.append('shared memory was not looked at')
        if back[:100000] != pattern()[:100000]:
            wrong.append(f'{len(back)} bytes came back')
        if what == 'keep':
            fsck = subprocess.run(['e2fsck', '-fn', image], capture_output=True, text=True)
            if fsck.returncode:
                wrong.append(fsck.stdout)
            if subprocess.run(['debugfs', '-R', 'cat file', image], capture_output=True).stdout != pattern():
                wrong.append('the file on the disk is not what was written')
    print(*wrong)
    sys.exit(1 if wrong else 0)


main()
