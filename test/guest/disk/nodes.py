#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""nodes.py ALCOVE: a mounted disk's node in /dev as a file, its ioctls, its names, and what blkid says of it."""
import os
import subprocess
import sys
import tempfile

os.environ['PATH'] += ':/usr/sbin:/sbin'

GUEST = r'''
import errno, fcntl, mmap, os, struct, subprocess, sys
uuid, size = sys.argv[1], 16 << 20
def refused(code, f, *a):
    try:
        f(*a)
    except OSError as e:
        assert e.errno == code, (f, a, e)
    else:
        raise AssertionError((f, a, 'was not refused'))
def ask(fd, request, form):
    return struct.unpack(form, fcntl.ioctl(fd, request, bytes(struct.calcsize(form))))[0]

st = os.stat('/dev/vda')
assert st.st_mode == 0o060660 and os.major(st.st_rdev) == 254, st
fd = os.open('/dev/vda', os.O_RDWR)
assert ask(fd, 0x80081272, 'Q') == size and ask(fd, 0x1260, 'L') == size // 512
assert ask(fd, 0x1268, 'i') == 512 and ask(fd, 0x127b, 'I') >= 512 and ask(fd, 0x125e, 'i') == 0
assert ask(fd, 0x80081270, 'i') == 4096 and ask(fd, 0x127a, 'i') == 0
fcntl.ioctl(fd, 0x1261)
refused(errno.ENOTTY, fcntl.ioctl, fd, 0x5401)
assert os.pread(fd, 2, 1024 + 56) == b'\x53\xef'
assert os.lseek(fd, 0, os.SEEK_END) == size and os.read(fd, 10) == b''
assert len(os.pread(fd, 8192, size - 100)) == 100
refused(errno.ENOSPC, os.pwrite, fd, b'x', size)
refused(errno.EINVAL, os.lseek, fd, size + 1, os.SEEK_SET)
# What lies before the file system, in pieces that are no blocks.
assert os.pwrite(fd, b'one' * 200, 100) == 600 and os.pwrite(fd, b'two', 509) == 3
want = bytearray(1024)
want[100:700] = b'one' * 200
want[509:512] = b'two'
assert os.pread(fd, 1024, 0) == want
os.fsync(fd)
direct = os.open('/dev/vda', os.O_RDWR | os.O_DIRECT)
page = mmap.mmap(-1, 8192)
assert os.preadv(direct, [memoryview(page)[:4096]], 0) == 4096 and page[1080:1082] == b'\x53\xef'
refused(errno.EINVAL, os.preadv, direct, [memoryview(page)[:4096]], 100)
refused(errno.EINVAL, os.preadv, direct, [memoryview(page)[:100]], 0)
# A file system is mounted from it: its metadata is seen as it is now, and what it uses is not written.
def inode_mode(number):
    s = os.pread(fd, 1024, 1024)
    block = 1024 << struct.unpack_from('<I', s, 24)[0]
    per_group, size = struct.unpack_from('<I', s, 40)[0], struct.unpack_from('<H', s, 88)[0]
    wide = struct.unpack_from('<H', s, 254)[0] or 32
    group, index = divmod(number - 1, per_group)
    table = struct.unpack_from('<I', os.pread(fd, wide, (1024 // block + 1) * block + group * wide), 8)[0]
    at = table * block + index * size
    return struct.unpack_from('<H', os.pread(fd, 2, at))[0]
open('/data/seen', 'w').close()
os.chmod('/data/seen', 0o751)
mode = inode_mode(os.stat('/data/seen').st_ino)
assert mode == 0o100751, oct(mode)
os.chmod('/data/seen', 0o640)
assert inode_mode(os.stat('/data/seen').st_ino) == 0o100640
refused(errno.EBUSY, os.pwrite, fd, b'x', 1024)
assert inode_mode(os.stat('/data/seen').st_ino) == 0o100640
held = open('/data/held', 'w')
held.write('x' * 100)
held.flush()
fcntl.ioctl(fd, 0x1261)  # the file system is synced
assert os.preadv(direct, [memoryview(page)[:4096]], 4096) == 4096
refused(errno.EBUSY, os.open, '/dev/vda', os.O_RDONLY | os.O_EXCL)
refused(errno.EBADF, fcntl.ioctl, os.open('/dev/vda', os.O_RDONLY), 0x127f, struct.pack('QQ', 0, 512))
refused(errno.EINVAL, fcntl.ioctl, fd, 0x127f, struct.pack('QQ', 0, 100))
assert fcntl.ioctl(fd, 0x127f, struct.pack('QQ', 0, 512)) and os.pread(fd, 512, 0) == bytes(512)
os.pwrite(fd, b'from the guest', size - 1000)  # where the file system has nothing
assert os.path.realpath('/dev/disk/by-uuid/' + uuid) == '/dev/vda'
assert os.path.realpath('/dev/disk/by-id/virtio-alcove-vol0') == '/dev/vda'
rows = [l.split() for l in open('/proc/partitions')][2:]
assert rows == [['254', '0', str(size // 1024), 'vda']], rows
stats = open('/proc/diskstats').read().split()
assert stats[2] == 'vda' and len(stats) == 20 and int(stats[3]) > 0 and int(stats[7]) > 0, stats
said = subprocess.run(['/sbin/blkid', '-p', '/dev/vda'], capture_output=True, text=True).stdout
assert 'UUID="%s"' % uuid in said and 'TYPE="ext4"' in said, said
os.setgroups([])
os.setgid(1000)
os.setuid(1000)
refused(errno.EACCES, os.open, '/dev/vda', os.O_RDONLY)
print('nodes: ok')
'''


def main():
    alcove = os.path.abspath(sys.argv[1])
    with tempfile.TemporaryDirectory() as folder:
        disk = f'{folder}/data.img'
        subprocess.run([alcove, 'volume', 'create', disk, '16M'], check=True, stdout=subprocess.DEVNULL)
        uuid = subprocess.run(['blkid', '-p', '-s', 'UUID', '-o', 'value', disk], check=True, capture_output=True, text=True).stdout.strip()
        r = subprocess.run([alcove, 'run', '-v', f'{disk}:/data', '--with', '/sbin/blkid', '/usr/bin/python3', '-c', GUEST, uuid],
                           stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, timeout=240)
        if r.returncode or 'nodes: ok' not in r.stdout:
            sys.exit(f'exit status {r.returncode}\n{r.stdout[-3000:]}')
        with open(disk, 'rb') as f:
            f.seek(-1000, os.SEEK_END)
            if f.read(14) != b'from the guest':
                sys.exit('what was written to the node is not on the disk')
        check = subprocess.run(['e2fsck', '-fn', disk], capture_output=True, text=True)
        if check.returncode:
            sys.exit(check.stdout)
    print('a disk is a file, with its names')


if __name__ == '__main__':
    main()
