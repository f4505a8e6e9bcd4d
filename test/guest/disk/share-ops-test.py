#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""share-ops-test.py ALCOVE: a directory of this machine in the guest, against the same directory here: errnos, extended attributes and
locks are those of this machine. And a server that takes hours over a read: who waits for it can be killed."""
import os
import subprocess
import sys
import tempfile

DEADLINE = 400
HERE = os.path.dirname(os.path.abspath(__file__))

STUCK = r'''
import os, signal, time
os.mkdir('/src')
os.mkdir('/end')
import ctypes
libc = ctypes.CDLL(None, use_errno=True)
assert libc.mount(b'alcove-vol0', b'/src', b'9p', 0, b'trans=virtio,version=9p2000.L') == 0, ctypes.get_errno()
def state(pid):
    with open('/proc/%d/stat' % pid) as f:
        return f.read().rpartition(')')[2].split()[0]
def blocked(what):
    """A process that hangs in what()."""
    pid = os.fork()
    if not pid:
        while True:
            what()
    end = time.monotonic() + 200
    seen = 0
    while seen < 20: # in the same state for a while
        seen = seen + 1 if state(pid) == 'D' else 0
        assert time.monotonic() < end, 'it never hung'
        time.sleep(0.05)
    return pid
def read():
    fd = os.open('/src/big', os.O_RDONLY)
    while os.read(fd, 65536):
        pass
for sig in (signal.SIGKILL, signal.SIGTERM, signal.SIGHUP):
    pid = blocked(read)
    os.kill(pid, sig)
    assert os.waitpid(pid, 0)[1] == sig
    # What does not read goes on.
    with open('/src/new%d' % sig, 'w') as f:
        f.write('written')
    assert sorted(os.listdir('/src'))[0] == 'big' and os.stat('/src/big').st_size == 1 << 20
assert libc.umount2(b'/src', 0) == 0, ctypes.get_errno()
print('done', flush=True)
'''


def compare(alcove, folder, machine):
    here, there = f'{folder}/here-{machine}', f'{folder}/there-{machine}'
    os.mkdir(here)
    os.mkdir(there)
    want = subprocess.run([sys.executable, f'{HERE}/share-ops.py', here], stdout=subprocess.PIPE, text=True, timeout=DEADLINE)
    got = subprocess.run([alcove, 'run', '--machine', machine, '-v', f'{there}:/src', '-v', f'{HERE}:/test:ro', '/usr/bin/python3',
                          '/test/share-ops.py', '/src'], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, timeout=DEADLINE)
    if want.returncode or got.returncode or want.stdout.count('\n') < 80:
        sys.exit(f'{machine}: exit status {want.returncode} here, {got.returncode} there\n{want.stdout[-500:]}\n{got.stdout[-500:]}\n{got.stderr[-2000:]}')
    differ = [f'{a!r} here, {b!r} there' for a, b in zip(want.stdout.splitlines(), got.stdout.splitlines()) if a != b]
    if differ or len(want.stdout.splitlines()) != len(got.stdout.splitlines()):
        sys.exit(f'{machine}:\n' + '\n'.join(differ))
    print(f'{machine}: {want.stdout.count(chr(10))} answers are those of this machine')


def stuck(alcove, folder):
    os.mkdir(f'{folder}/slow')
    with open(f'{folder}/slow/big', 'wb') as f:
        f.truncate(1 << 20)
    subprocess.run([alcove, 'build', '/usr/bin/python3', '-c', STUCK, '-o', f'{folder}/app.elf'], check=True, stdout=subprocess.DEVNULL)
    r = subprocess.run(['qemu-system-x86_64', '-machine', 'q35', '-accel', 'tcg', '-cpu', 'max', '-m', '256M', '-nodefaults', '-no-user-config',
                        '-no-reboot', '-display', 'none', '-serial', 'stdio', '-kernel', f'{folder}/app.elf', '-append', 'console=raw', '-fsdev',
                        f'local,id=v,path={folder}/slow,security_model=none,throttling.bps-read=1', '-device',
                        'virtio-9p-pci,fsdev=v,mount_tag=alcove-vol0'], stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                       stderr=subprocess.STDOUT, text=True, timeout=DEADLINE)
    if 'done' not in r.stdout or 'panic' in r.stdout or 'WARNING' in r.stdout:
        sys.exit(f'a stuck server: {r.stdout[-3000:]}')
    print('who waits for a stuck server can be killed')


def main():
    alcove = os.path.abspath(sys.argv[1])
    with tempfile.TemporaryDirectory() as folder:
        for machine in ('microvm', 'q35'):
            compare(alcove, folder, machine)
        stuck(alcove, folder)


if __name__ == '__main__':
    main()
