#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Disks that fail: errors of reading and writing a file's block and the journal (QEMU's blkdebug), a disk that becomes smaller, one
that cannot be written, one that is full. What fails has the errno of Linux, once; what does not fail is all there afterwards, and
e2fsck calls it clean.

usage: faults.py ALCOVE
"""
import json, os, re, socket, subprocess, sys, tempfile, threading

SBIN = {**os.environ, 'PATH': os.environ['PATH'] + ':/usr/sbin:/sbin'}
PAGE = 4096

# In the guest: one line for each step, NAME RESULT, where a result is ok, an errno or what was read.
GUEST = r'''
import errno, os, sys
def step(name, f):
    try:
        r = f()
        print(name, 'ok' if r is None or r is True else r, flush=True)
    except OSError as e:
        print(name, errno.errorcode[e.errno], flush=True)
def read(path, at, n=4096):
    fd = os.open(path, os.O_RDONLY)
    try:
        return os.pread(fd, n, at)[:6].decode()
    finally:
        os.close(fd)
def write(fd, at, text):
    os.pwrite(fd, text, at)
'''

CASES = {
    # Block 2 of a cannot be read; everything else can.
    'read': (r'''
step('bad', lambda: read('/data/a', 2 * 4096))
step('again', lambda: read('/data/a', 2 * 4096))
step('before', lambda: read('/data/a', 0))
step('after', lambda: read('/data/a', 3 * 4096))
step('b', lambda: read('/data/b', 0))
def crossing():
    fd = os.open('/data/a', os.O_RDONLY)
    n = len(os.read(fd, 16384))       # as far as it goes
    os.close(fd)
    return n
step('short', crossing)
fd = os.open('/data/new', os.O_RDWR | os.O_CREAT)
step('write', lambda: write(fd, 0, b'fresh!' * 1000))
step('sync', lambda: os.fsync(fd))
''', 'bad EIO\nagain EIO\nbefore aaaaaa\nafter aaaaaa\nb bbbbbb\nshort 8192\nwrite ok\nsync ok'),
    # Block 2 of a cannot be written: fsync says so once, to each descriptor; b is not harmed.
    'write': (r'''
fd, fd2 = os.open('/data/a', os.O_RDWR), os.open('/data/a', os.O_RDWR)
other = os.open('/data/b', os.O_RDWR)
step('write', lambda: write(fd, 2 * 4096, b'lost' * 1024))
step('b', lambda: write(other, 0, b'kept' * 1024))
step('sync-b', lambda: os.fsync(other))
step('sync', lambda: os.fsync(fd))
step('sync-again', lambda: os.fsync(fd))
step('sync-other', lambda: os.fsync(fd2))
step('sync-b-again', lambda: os.fsync(other))
step('dsync', lambda: write(os.open('/data/a', os.O_RDWR | os.O_DSYNC), 2 * 4096, b'lost' * 1024))
step('elsewhere', lambda: write(os.open('/data/a', os.O_RDWR | os.O_DSYNC), 0, b'kept' * 1024))
''', 'write ok\nb ok\nsync-b ok\nsync EIO\nsync-again ok\nsync-other EIO\nsync-b-again ok\ndsync EIO\nelsewhere ok'),
    # The journal cannot be written: no change of metadata is done any more, reading goes on.
    'journal': (r'''
fd = os.open('/data/new', os.O_RDWR | os.O_CREAT)
write(fd, 0, b'x' * 100)
step('sync', lambda: os.fsync(fd))
step('create', lambda: os.close(os.open('/data/more', os.O_RDWR | os.O_CREAT)))
step('a', lambda: read('/data/a', 2 * 4096))
step('b', lambda: read('/data/b', 0))
''', 'sync EIO\ncreate EROFS\na aaaaaa\nb bbbbbb'),
    # A disk that the host opened read-only, mounted as such.
    'read-only': (r'''
step('a', lambda: read('/data/a', 2 * 4096))
step('open', lambda: os.open('/data/a', os.O_RDWR))
step('create', lambda: os.open('/data/new', os.O_RDWR | os.O_CREAT))
step('unlink', lambda: os.unlink('/data/b'))
''', 'a aaaaaa\nopen EROFS\ncreate EROFS\nunlink EROFS'),
    # A file system without room: ENOSPC, and what was there stays.
    'full': (r'''
def fill():
    fd = os.open('/data/big', os.O_RDWR | os.O_CREAT)
    n = 0
    try:
        while True:
            n += os.write(fd, b'f' * 65536)
    finally:
        os.fsync(fd)
        assert os.fstat(fd).st_size == n
        os.close(fd)
step('fill', fill)
step('append', lambda: os.pwrite(os.open('/data/b', os.O_RDWR), b'kept' * 1024, 0) and None)
step('sync', lambda: os.fsync(os.open('/data/b', os.O_RDWR)))
step('more', lambda: os.pwrite(os.open('/data/b', os.O_RDWR), b'x' * 4096, 1 << 20) and None)
step('a', lambda: read('/data/a', 2 * 4096))
step('unlink', lambda: os.unlink('/data/big'))
os.sync()
step('room', lambda: os.pwrite(os.open('/data/b', os.O_RDWR), b'x' * 4096, 1 << 20) and None)
os.sync()
''', 'fill ENOSPC\nappend ok\nsync ok\nmore ENOSPC\na aaaaaa\nunlink ok\nroom ok'),
    # The disk loses its end while it is in use.
    'shrinks': (r'''
os.close(os.open('/data/x', os.O_RDWR | os.O_CREAT))
step('far', lambda: read('/data/far', 0))
print('shrink', flush=True)
sys.stdin.readline()
step('far-end', lambda: read('/data/far', 40 * 4096))
step('a', lambda: read('/data/a', 2 * 4096))
step('b', lambda: read('/data/b', 0))
''', 'far ffffff\nshrink\nfar-end EIO\na aaaaaa\nb bbbbbb'),
}


def die(text):
    sys.exit(f'faults: {text}')


def run(*command, ok=(0,)):
    r = subprocess.run(command, capture_output=True, text=True, errors='replace', env=SBIN)
    if r.returncode not in ok:
        die(f'{" ".join(command)}: status {r.returncode}\n{r.stdout[-2000:]}{r.stderr[-2000:]}')
    return r.stdout


def put(name, text):
    with open('file', 'w') as f:
        f.write(text)
    run('debugfs', '-w', '-R', f'write file {name}', 'data.img')


def block(name, n):
    """The sector of a file's block."""
    return int(run('debugfs', '-R', f'bmap {name} {n}', 'data.img').split()[-1]) * SECTORS


def make_volume(alcove):
    global SECTORS
    if os.path.exists('data.img'):
        os.unlink('data.img')
    run(alcove, 'volume', 'create', 'data.img', '16M')
    SECTORS = int(re.search(r'Block size: +(\d+)', run('dumpe2fs', '-h', 'data.img'))[1]) // 512
    put('a', 'a' * PAGE * 4)
    put('b', 'b' * PAGE)


def start(case):
    def inject(event, sector):
        with open('debug', 'w') as f:
            f.write(f'[inject-error]\nevent = "{event}"\nerrno = "5"\nsector = "{sector}"\n')
    open('debug', 'w').close()
    per_page = PAGE // 512 // SECTORS
    if case == 'read':
        inject('read_aio', block('a', 2 * per_page))
    elif case == 'write':
        inject('write_aio', block('a', 2 * per_page))
    elif case == 'journal':
        inject('write_aio', block('<8>', 1))
    readonly = ',read-only=on' if case == 'read-only' else ''
    return subprocess.Popen(['qemu-system-x86_64', '-machine', 'microvm,acpi=on,rtc=on', '-accel', 'tcg', '-cpu', 'max', '-m', '256M',
                             '-nodefaults', '-no-user-config', '-no-reboot', '-display', 'none', '-serial', 'stdio', '-kernel', 'app.elf',
                             '-append', 'console=raw', '-qmp', 'unix:qmp,server=on,wait=off',
                             '-blockdev', f'driver=file,filename=data.img,node-name=f{readonly}',
                             '-blockdev', f'driver=blkdebug,image=f,config=debug,node-name=g{readonly}',
                             '-blockdev', f'driver=raw,file=g,node-name=d{readonly}',
                             '-device', 'virtio-blk-device,drive=d,serial=alcove-vol0,werror=report,rerror=report'],
                            stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.STDOUT)


def shrink():
    s = socket.socket(socket.AF_UNIX)
    s.connect('qmp')
    f = s.makefile('rw')
    f.readline()
    for c in ({'execute': 'qmp_capabilities'}, {'execute': 'block_resize', 'arguments': {'node-name': 'd', 'size': 8 << 20}}):
        f.write(json.dumps(c) + '\n')
        f.flush()
        while True:
            answer = json.loads(f.readline())
            if 'error' in answer:
                die(answer['error'])
            if 'return' in answer:
                break
    s.close()


def far_file():
    """A file whose blocks lie in the second half of the disk."""
    put('filler', 'x' * (7 << 20))
    put('far', 'f' * PAGE * 64)
    if block('far', 0) * 512 < 8 << 20:
        die('the file is not far')


def check(case, out):
    steps, want = CASES[case]
    got = [line for line in out if re.match(r'[a-z-]+( \S+)?$', line) and line.split()[0] in re.findall(r'^(\S+)', want, re.M)]
    if got != want.split('\n'):
        die(f'{case}: instead of\n{want}\nthere was\n' + '\n'.join(out[-40:]))
    if any('panic: ' in line for line in out):
        die(f'{case}: ' + '\n'.join(out[-40:]))
    if case in ('read', 'write', 'journal') and not any('error' in line for line in out):
        die(f'{case}: no line about it')
    if case == 'shrinks':
        os.truncate('data.img', 16 << 20)
        return
    run('e2fsck', '-p', '-E', 'journal_only', 'data.img', ok=(0, 1))
    # A journal that could not be written leaves the mark of an error, which a check clears.
    run('e2fsck', '-fp' if case == 'journal' else '-fn', 'data.img', ok=(0, 1) if case == 'journal' else (0,))
    for name, first in {'read': {'a': 'aaaa', 'b': 'bbbb', 'new': 'fres'}, 'write': {'a': 'kept', 'b': 'kept'}, 'journal': {'a': 'aaaa', 'b': 'bbbb'},
                        'read-only': {'a': 'aaaa', 'b': 'bbbb'}, 'full': {'a': 'aaaa', 'b': 'kept'}}[case].items():
        if not run('debugfs', '-R', f'cat {name}', 'data.img').startswith(first):
            die(f'{case}: {name} has not what was written')


def main():
    alcove = os.path.abspath(sys.argv[1])
    with tempfile.TemporaryDirectory() as work:
        os.chdir(work)
        for case in sys.argv[2:] or CASES:
            make_volume(alcove)
            if case == 'shrinks':
                far_file()
            run(alcove, 'build', '-v', 'SERIAL=alcove-vol0:/data' + (':ro' if case == 'read-only' else ''), '/usr/bin/python3', '-c',
                GUEST + CASES[case][0], '-o', 'app.elf')
            vm = start(case)
            timer = threading.Timer(300, vm.kill)
            timer.start()
            out = []
            for line in vm.stdout:
                out.append(line.decode(errors='replace').strip())
                if out[-1] == 'shrink':
                    shrink()
                    vm.stdin.write(b'\n')
                    vm.stdin.flush()
            vm.wait()
            timer.cancel()
            check(case, out)
        os.chdir('/')
    print('faults: ok')


main()
