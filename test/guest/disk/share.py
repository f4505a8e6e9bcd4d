#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""share.py ALCOVE: a directory of this machine in the guest (-v DIR:/src), on both kinds of virtio transport.

The guest does with files what programs do, and both sides look at each other's changes while it runs."""
import os
import stat
import subprocess
import sys
import tempfile
import threading
import time

DEADLINE = 240

GUEST = r'''
import errno, mmap, os, sys, time
os.chdir('/src')
def refused(code, f, *a, **k):
    try:
        f(*a, **k)
    except OSError as e:
        assert e.errno == code, (f, a, e)
    else:
        raise AssertionError((f, a, 'was not refused'))

assert open('from-host').read() == 'hello'
# Names.
os.mkdir('dir', 0o750)
assert os.stat('dir').st_mode & 0o777 == 0o750
refused(errno.EEXIST, os.mkdir, 'dir')
refused(errno.ENOENT, open, 'nothing')
refused(errno.ENOTDIR, open, 'from-host/x')
with open('dir/a', 'x') as f:
    f.write('one')
os.link('dir/a', 'dir/b')
assert os.stat('dir/a').st_nlink == 2 and os.path.samefile('dir/a', 'dir/b')
os.rename('dir/b', 'c')
refused(errno.ENOTEMPTY, os.rmdir, 'dir')
os.symlink('dir/a', 'link')
assert os.readlink('link') == 'dir/a' and open('link').read() == 'one'
refused(errno.ELOOP, os.open, 'link', os.O_NOFOLLOW)
os.chmod('c', 0o600)
assert os.stat('dir/a').st_mode & 0o777 == 0o600
os.utime('c', (1000000000, 1000000001))
assert os.stat('c').st_mtime == 1000000001
for i in range(300):
    open('dir/%d' % i, 'w').close()
assert sorted(os.listdir('dir')) == sorted(['a'] + [str(i) for i in range(300)])
for i in range(300):
    os.unlink('dir/%d' % i)
# Content: read and write, past the end, appended, cut, through a mapping.
data = bytes(i * 7 % 251 for i in range(300000))
with open('big', 'wb+') as f:
    f.write(data)
    f.flush()
    os.fsync(f.fileno())
    f.seek(0)
    assert f.read() == data
    assert os.pread(f.fileno(), 10, 299995) == data[-5:] and os.pread(f.fileno(), 10, 400000) == b''
    m = mmap.mmap(f.fileno(), 300000)
    assert m[:] == data
    m[70000:70004] = b'MMAP'
    assert os.pread(f.fileno(), 4, 70000) == b'MMAP'
    os.pwrite(f.fileno(), b'WRITE', 5)
    assert m[5:10] == b'WRITE'
    m[100:103] = b'end'
    m.flush()
    m.close()
    os.truncate('big', 200001)
    assert os.fstat(f.fileno()).st_size == 200001 and f.seek(0, 2) == 200001
fd = os.open('log', os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o644)
os.write(fd, b'first ')
os.write(fd, b'second')
os.close(fd)
fd = os.open('mode', os.O_RDWR | os.O_CREAT | os.O_EXCL, 0o400)
os.write(fd, b'x')
os.close(fd)
refused(errno.EEXIST, os.open, 'log', os.O_CREAT | os.O_EXCL)
# A file without a name stays as long as it is open.
f = open('gone', 'w+')
os.unlink('gone')
f.write('still')
f.flush()
f.seek(0)
assert f.read() == 'still'
f.close()
assert os.statvfs('.').f_blocks > 0
assert any(l.split()[1:3] == ['/src', '9p'] for l in open('/proc/mounts'))
# The host changes what is open here: the name is another file then.
held = open('from-host')
open('ready', 'w').close()
while not os.path.exists('answer'):
    time.sleep(0.05)
assert open('from-host').read() == 'replaced by the host' and held.read() == 'hello'
assert open('grown').read() == 'short and now longer'
os.execv('/src/program', ['program', 'argument'])
'''


def host(folder, errors):
    """The other side of the conversation."""
    try:
        end = time.monotonic() + DEADLINE
        while not os.path.exists(f'{folder}/ready'):
            if time.monotonic() > end:
                raise AssertionError('the guest never came to its middle')
            time.sleep(0.05)
        with open(f'{folder}/new', 'w') as f:
            f.write('replaced by the host')
        os.rename(f'{folder}/new', f'{folder}/from-host')
        with open(f'{folder}/grown', 'a') as f:
            f.write(' and now longer')
        open(f'{folder}/answer', 'w').close()
    except Exception as e:
        errors.append(e)


def run(alcove, folder, *arguments):
    return subprocess.run([alcove, 'run', '-v', *arguments], stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
                          timeout=DEADLINE)


def look(folder):
    """What the guest left, as this machine sees it."""
    data = bytearray(i * 7 % 251 for i in range(300000))
    data[70000:70004], data[5:10], data[100:103] = b'MMAP', b'WRITE', b'end'
    with open(f'{folder}/big', 'rb') as f:
        assert f.read() == data[:200001], 'big'
    assert open(f'{folder}/log').read() == 'first second', 'log'
    assert stat.S_IMODE(os.stat(f'{folder}/mode').st_mode) == 0o400, 'mode'
    assert os.path.samefile(f'{folder}/dir/a', f'{folder}/c'), 'link'
    assert os.readlink(f'{folder}/link') == 'dir/a', 'symbolic link'
    assert os.listdir(f'{folder}/dir') == ['a'], 'removed'


def main():
    alcove = os.path.abspath(sys.argv[1])
    for machine in ('microvm', 'q35'):
        with tempfile.TemporaryDirectory() as folder:
            for name, text in (('from-host', 'hello'), ('grown', 'short'), ('script.py', GUEST)):
                with open(f'{folder}/{name}', 'w') as f:
                    f.write(text)
            subprocess.run(['cp', '/bin/echo', f'{folder}/program'], check=True)
            errors = []
            other = threading.Thread(target=host, args=(folder, errors))
            other.start()
            r = run(alcove, folder, f'{folder}:/src', '--machine', machine, '/usr/bin/python3', '/src/script.py')
            other.join()
            if r.returncode or r.stdout.splitlines()[-1:] != ['argument'] or errors:
                sys.exit(f'{machine}: exit status {r.returncode}, {errors}\n{r.stdout[-3000:]}')
            look(folder)
            r = run(alcove, folder, f'{folder}:/src:ro', '--machine', machine, '--with', 'cat', '/bin/sh', '-c',
                    'echo $(cat /src/log); echo x > /src/log && echo written')
            if 'first second' not in r.stdout or 'Read-only file system' not in r.stdout or 'written' in r.stdout:
                sys.exit(f'{machine}, read-only: {r.stdout[-2000:]}')
            print(f'{machine}: a directory of the host was read and written from both sides')


if __name__ == '__main__':
    main()
