#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""timeouts.py ALCOVE: requests that a disk takes and does not answer (QEMU's throttling, at one byte a second, takes hours). A
virtio disk is given up and its users get EIO; an NVMe controller is told to abort, reset, and the requests begin again: when it
answers then, nobody notices, else they end with EIO. Each time the machine lives, and so does the other disk."""
import json
import os
import re
import socket
import subprocess
import sys
import tempfile
import threading

os.environ['PATH'] += ':/usr/sbin:/sbin'

GUEST = r'''
import errno, os, sys, threading
results = []
def put(folder, name, text):
    try:
        with open(f'{folder}/{name}', 'w') as f:
            f.write(text * 10000)
            f.flush()
            os.fsync(f.fileno())
        return 0
    except OSError as e:
        return e.errno
assert put('/data', 'before', 'b') == 0 and put('/other', 'before', 'b') == 0
print('ready', flush=True)
sys.stdin.readline()
threads = [threading.Thread(target=lambda i=i: results.append(put('/data', f'file{i}', str(i)))) for i in range(4)]
for t in threads:
    t.start()
turns = 0
while any(t.is_alive() for t in threads):
    threads[0].join(0.5)
    turns += 1
    assert put('/other', f'during{turns % 8}', 'd') == 0
assert turns > 5, turns
assert put('/other', 'after', 'a') == 0
assert open('/other/after').read() == 'a' * 10000
print('results', sorted(set(results)), put('/data', 'last', 'l'), flush=True)
'''

# The device, whether it answers again once it was reset, what becomes of the writes and of one when the file system has noticed, and
# lines that say so.
CASES = {
    'virtio': ('virtio-blk-pci', False, 'results [5] 30', ['not answered after 30 s', 'does not answer a request']),
    'nvme': ('nvme', True, 'results [0] 0', ['not answered after 30 s', 'does not answer a command; it was reset']),
    'nvme-dead': ('nvme', False, 'results [5] 30', ['not answered after 30 s', 'does not answer a command; it was reset']),
}


def run(*command):
    r = subprocess.run(command, capture_output=True, text=True)
    if r.returncode:
        sys.exit(f'{" ".join(command)}: status {r.returncode}\n{r.stdout[-2000:]}{r.stderr[-2000:]}')
    return r.stdout


class Monitor:
    def __init__(self, path):
        self.s = socket.socket(socket.AF_UNIX)
        self.s.connect(path)
        self.f = self.s.makefile('rw')
        self.f.readline()
        self.ask('qmp_capabilities')

    def ask(self, command, **arguments):
        self.f.write(json.dumps({'execute': command, 'arguments': arguments}) + '\n')
        self.f.flush()
        while True:
            answer = json.loads(self.f.readline())
            if 'error' in answer:
                raise RuntimeError(str(answer['error']))
            if 'return' in answer:
                return

    def throttle(self, bps):
        self.ask('block_set_io_throttle', device='a', bps=0, bps_rd=0, bps_wr=bps, iops=0, iops_rd=0, iops_wr=0)


def case(name, out):
    device, again, want, lines = CASES[name]
    for disk in (f'{name}.img', f'{name}-other.img'):
        run(ALCOVE, 'volume', 'create', disk, '16M')
    vm = subprocess.Popen(['qemu-system-x86_64', '-machine', 'q35', '-accel', 'tcg', '-cpu', 'max', '-m', '256M', '-nodefaults',
                           '-no-user-config', '-no-reboot', '-display', 'none', '-serial', 'stdio', '-kernel', 'app.elf', '-append', 'console=raw',
                           '-qmp', f'unix:{name}.qmp,server=on,wait=off', '-drive', f'if=none,id=a,format=raw,file={name}.img',
                           '-device', f'{device},drive=a,serial=alcove-vol0',
                           '-drive', f'if=none,id=b,format=raw,file={name}-other.img', '-device', 'virtio-blk-pci,drive=b,serial=alcove-vol1'],
                          stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
    timer = threading.Timer(500, vm.kill)
    timer.start()
    for line in vm.stdout:
        out.append(line.decode(errors='replace').strip())
        if out[-1] == 'ready':
            monitor = Monitor(f'{name}.qmp')
            monitor.throttle(1)
            vm.stdin.write(b'go\n')
            vm.stdin.flush()
        elif again and 'it was reset' in out[-1]:
            monitor.throttle(0)
    vm.wait()
    timer.cancel()
    if want not in out:
        out.append(f'FAILED: no line "{want}"')
    for line in lines:
        if not any(line in said for said in out):
            out.append(f'FAILED: no line with "{line}"')
    if vm.returncode or any(re.search(r'panic|assert|Traceback', line) for line in out):
        out.append(f'FAILED: status {vm.returncode}')


def safely(name, out):
    try:
        case(name, out)
    except (OSError, RuntimeError, SystemExit, ValueError) as e:
        out.append(f'FAILED: {e}')


def main():
    global ALCOVE
    ALCOVE = os.path.abspath(sys.argv[1])
    with tempfile.TemporaryDirectory() as folder:
        os.chdir(folder)
        run(ALCOVE, 'build', '-v', 'SERIAL=alcove-vol0:/data', '-v', 'SERIAL=alcove-vol1:/other', '/usr/bin/python3', '-c', GUEST, '-o', 'app.elf')
        outs = {name: [] for name in CASES}
        threads = [threading.Thread(target=safely, args=(name, out)) for name, out in outs.items()]
        for t in threads:
            t.start()
        for t in threads:
            t.join()
        bad = [name for name, out in outs.items() if not out or any(line.startswith('FAILED') for line in out)]
        for name in bad:
            print(f'{name}:', *outs[name][-40:], sep='\n')
        for disk in ('nvme.img', *(f'{name}-other.img' for name in CASES)):
            run('e2fsck', '-fn', disk)
        for i in range(4):
            if not bad and run('debugfs', '-R', f'cat file{i}', 'nvme.img') != str(i) * 10000:
                bad.append('content')
        os.chdir('/')
        if bad:
            sys.exit(f'failed: {" ".join(bad)}')
    print('a disk that does not answer is an error, and no more than that')


if __name__ == '__main__':
    main()
