#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""parts.py ALCOVE: partitions that change while the machine runs. sfdisk and partx work in the guest on a second disk, as on Linux: the table is
read again, nodes and /sys follow, what is in use is left alone (EBUSY); and the host finds the table that sfdisk wrote."""
import json
import os
import subprocess
import sys
import tempfile

os.environ['PATH'] += ':/usr/sbin:/sbin'

GUEST = r'''
import errno, fcntl, os, struct, subprocess
BLKRRPART, BLKPG = 0x125f, 0x1269
ADD, DEL, RESIZE = 1, 2, 3
def refused(code, f, *a):
    try:
        f(*a)
    except OSError as e:
        assert e.errno == code, (f, a, e)
    else:
        raise AssertionError((f, a, 'was not refused'))
def parts():
    """What /sys, /dev and /proc say: they have to agree."""
    there = sorted(n for n in os.listdir('/sys/block/vdb') if n.startswith('vdb'))
    assert there == sorted(n for n in os.listdir('/dev') if n.startswith('vdb') and n != 'vdb'), os.listdir('/dev')
    with open('/proc/partitions') as f:
        assert there == sorted(l.split()[3] for l in f if 'vdb' in l and l.split()[3] != 'vdb')
    def number(name, what):
        with open('/sys/block/vdb/%s/%s' % (name, what)) as f:
            return int(f.read())
    return [(n, number(n, 'start'), number(n, 'size')) for n in there]
def pg(fd, op, number, start=0, length=0):
    import ctypes
    part = ctypes.create_string_buffer(struct.pack('qqi128x4x', start, length, number))
    arg = struct.pack('iii4xP', op, 0, len(part), ctypes.addressof(part))
    fcntl.ioctl(fd, BLKPG, arg)
def run(*command, text=None):
    r = subprocess.run(command, input=text, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
    assert r.returncode == 0, (command, r.stdout)
    return r.stdout

assert parts() == [('vdb1', 2048, 4096)], parts()
said = run('sfdisk', '/dev/vdb', text='label: gpt\nstart=2048,size=8192,name=one\nstart=20480,size=16384,name=two\n')
assert 'Re-reading the partition table failed' not in said, said
assert parts() == [('vdb1', 2048, 8192), ('vdb2', 20480, 16384)], parts()
assert sorted(os.listdir('/dev/disk/by-partlabel')) == ['one', 'two']
with open('/dev/vdb2', 'r+b', buffering=0) as f:
    f.write(b'in the second'.ljust(512))
with open('/dev/vdb', 'rb') as f:
    f.seek(20480 * 512)
    assert f.read(13) == b'in the second'
# In use: nothing changes.
disk = os.open('/dev/vdb', os.O_RDWR)
held = os.open('/dev/vdb1', os.O_RDONLY)
refused(errno.EBUSY, fcntl.ioctl, disk, BLKRRPART)
refused(errno.EBUSY, pg, disk, DEL, 1)
assert len(parts()) == 2
refused(errno.EINVAL, fcntl.ioctl, held, BLKRRPART)
refused(errno.EINVAL, pg, held, DEL, 1)
os.close(held)
fcntl.ioctl(disk, BLKRRPART)
assert parts() == [('vdb1', 2048, 8192), ('vdb2', 20480, 16384)], parts()
# Single ones.
run('partx', '-d', '/dev/vdb')
assert parts() == [] and os.listdir('/dev/disk/by-partlabel') == []
run('partx', '-a', '/dev/vdb')
assert parts() == [('vdb1', 2048, 8192), ('vdb2', 20480, 16384)], parts()
refused(errno.ENXIO, pg, disk, DEL, 7)
refused(errno.EINVAL, pg, disk, DEL, 0)
refused(errno.EINVAL, pg, disk, 9, 1)
refused(errno.EBUSY, pg, disk, ADD, 1, 1 << 20, 1 << 20)
refused(errno.EBUSY, pg, disk, ADD, 3, 2 << 20, 1 << 20)
refused(errno.EINVAL, pg, disk, ADD, 3, 100, 512)
refused(errno.EINVAL, pg, disk, ADD, 3, 40 << 20, 512)
refused(errno.EINVAL, pg, disk, ADD, 300, 30 << 20, 512)
pg(disk, ADD, 3, 30 << 20, 1 << 20)
refused(errno.EINVAL, pg, disk, RESIZE, 3, 31 << 20, 1 << 20)
refused(errno.ENXIO, pg, disk, RESIZE, 4, 30 << 20, 1 << 20)
refused(errno.EBUSY, pg, disk, RESIZE, 1, 1 << 20, 20 << 20)
pg(disk, RESIZE, 3, 30 << 20, 2 << 20)
assert parts()[2] == ('vdb3', 61440, 4096), parts()
pg(disk, DEL, 3)
refused(errno.ENOENT, os.open, '/dev/vdb3', os.O_RDONLY)
assert len(parts()) == 2
os.setresuid(1000, 1000, 0)
refused(errno.EACCES, fcntl.ioctl, disk, BLKRRPART)
refused(errno.EACCES, pg, disk, DEL, 1)
os.setresuid(0, 0, 0)
# A table that is gone: no partitions.
os.pwrite(disk, bytes(512), 0)
fcntl.ioctl(disk, BLKRRPART)
assert parts() == []
said = run('sfdisk', '/dev/vdb', text='label: dos\nstart=2048,size=2048\nstart=8192,size=20480,type=5\nstart=10240,size=4096\n')
assert [n for n, *_ in parts()] == ['vdb1', 'vdb5'], parts()
os.fsync(disk)
print('good', flush=True)
'''


def main():
    alcove = os.path.abspath(sys.argv[1])
    with tempfile.TemporaryDirectory() as folder:
        os.chdir(folder)
        with open('disk.img', 'wb') as f:
            f.truncate(40 << 20)
        subprocess.run(['sfdisk', '-q', 'disk.img'], input='label: gpt\nstart=2048,size=4096\n', text=True, check=True)
        with open('data.img', 'wb') as f:
            f.truncate(1 << 20)
        with_ = [a for p in ('sfdisk', 'partx') for a in ('--with', subprocess.run(['sh', '-c', f'command -v {p}'], check=True,
                                                                                     stdout=subprocess.PIPE, text=True).stdout.strip())]
        subprocess.run([alcove, 'build', *with_, '-e', 'PATH=/usr/bin:/usr/sbin:/bin:/sbin', '/usr/bin/python3', '-c', GUEST, '-o', 'app.elf'],
                       check=True, stdout=subprocess.DEVNULL)
        r = subprocess.run(['qemu-system-x86_64', '-machine', 'q35', '-accel', 'tcg', '-cpu', 'max', '-m', '256M', '-nodefaults',
                            '-no-user-config', '-no-reboot', '-display', 'none', '-serial', 'stdio', '-kernel', 'app.elf', '-append',
                            'console=raw', '-drive', 'if=none,id=a,format=raw,file=data.img', '-device', 'virtio-blk-pci,drive=a,addr=4',
                            '-drive', 'if=none,id=b,format=raw,file=disk.img', '-device', 'virtio-blk-pci,drive=b,addr=5'],
                           stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, timeout=600)
        if 'good' not in r.stdout.splitlines() or 'panic' in r.stdout:
            sys.exit(r.stdout[-3000:])
        table = json.loads(subprocess.run(['sfdisk', '-J', 'disk.img'], check=True, stdout=subprocess.PIPE, text=True).stdout)
        got = [(p['start'], p['size']) for p in table['partitiontable']['partitions']]
        if got != [(2048, 2048), (8192, 20480), (10240, 4096)]:
            sys.exit(f'the host reads {got}')
    print('sfdisk and partx changed the partitions of a disk in use')


if __name__ == '__main__':
    main()
