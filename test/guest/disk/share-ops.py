# SPDX-License-Identifier: MIT
"""share-ops.py DIR: what a program sees of files in DIR, one line for each step. The lines are the same on this machine as in a guest
that shares the directory; what the protocol cannot do is not asked."""
import errno
import fcntl
import os
import signal
import stat
import struct
import sys

XATTR_CREATE, XATTR_REPLACE = 1, 2


def step(name, f, *a, **k):
    try:
        r = f(*a, **k)
    except OSError as e:
        r = errno.errorcode[e.errno]
    print(name, r, flush=True)


def attributes():
    open('x', 'w').close()
    os.mkdir('xd')
    for i, n in enumerate((1, 100, 3000)):
        step(f'set-{n}', os.setxattr, 'x', f'user.a{i}', bytes([i + 65]) * n)
        step(f'get-{n}', os.getxattr, 'x', f'user.a{i}')
    step('create', os.setxattr, 'x', 'user.a0', b'2', XATTR_CREATE)
    step('replace', os.setxattr, 'x', 'user.a0', b'other', XATTR_REPLACE)
    step('replace-none', os.setxattr, 'x', 'user.none', b'2', XATTR_REPLACE)
    step('get-replaced', os.getxattr, 'x', 'user.a0')
    step('get-none', os.getxattr, 'x', 'user.none')
    step('list', lambda: sorted(a for a in os.listxattr('x') if a.startswith('user.')))
    step('remove', os.removexattr, 'x', 'user.a1')
    step('remove-none', os.removexattr, 'x', 'user.a1')
    step('list-less', lambda: sorted(a for a in os.listxattr('x') if a.startswith('user.')))
    step('unknown', os.setxattr, 'x', 'none.such', b'1')
    step('long-name', os.setxattr, 'x', 'user.' + 'n' * 251, b'1')
    step('big', os.setxattr, 'x', 'user.big', b'b' * 65537)
    step('directory', os.setxattr, 'xd', 'user.d', b'of a directory')
    step('directory-get', os.getxattr, 'xd', 'user.d')
    fd = os.open('x', os.O_RDWR)
    step('descriptor', os.setxattr, fd, 'user.fd', b'1')
    step('descriptor-get', os.getxattr, fd, 'user.fd')
    os.symlink('x', 'xl')
    step('link', os.setxattr, 'xl', 'user.l', b'1', follow_symlinks=False)
    step('absent', os.getxattr, 'nothing', 'user.a')
    os.close(fd)


def flock_bytes(kind, start, n, pid=0):
    return struct.pack('hhlli4x', kind, os.SEEK_SET, start, n, pid)


def get_lock(fd, kind, start, n):
    kind, _, start, n, pid = struct.unpack('hhlli4x', fcntl.fcntl(fd, fcntl.F_GETLK, flock_bytes(kind, start, n)))
    return (kind, start, n, pid == os.getppid()) if kind != fcntl.F_UNLCK else 'free'


def other(f):
    """f in a process of its own."""
    sys.stdout.flush()
    pid = os.fork()
    if not pid:
        try:
            f()
        finally:
            sys.stdout.flush()
            os._exit(0)
    os.waitpid(pid, 0)


def locks():
    fd = os.open('lock', os.O_RDWR | os.O_CREAT)
    step('lock', fcntl.lockf, fd, fcntl.LOCK_EX, 10, 100)
    step('lock-read', fcntl.fcntl, fd, fcntl.F_SETLK, flock_bytes(fcntl.F_RDLCK, 200, 0))

    def child():
        mine = os.open('lock', os.O_RDWR)
        step('conflict', fcntl.lockf, mine, fcntl.LOCK_EX | fcntl.LOCK_NB, 1, 105)
        step('beside', fcntl.lockf, mine, fcntl.LOCK_EX | fcntl.LOCK_NB, 1, 110)
        step('who', get_lock, mine, fcntl.F_WRLCK, 0, 0)
        step('who-reads', get_lock, mine, fcntl.F_WRLCK, 150, 0)
        step('nobody', get_lock, mine, fcntl.F_RDLCK, 150, 0)
        signal.signal(signal.SIGALRM, lambda *_: (_ for _ in ()).throw(InterruptedError(errno.EINTR, 'signal')))
        signal.setitimer(signal.ITIMER_REAL, 0.2, 0.2)
        step('wait', fcntl.lockf, mine, fcntl.LOCK_EX, 1, 105)
        signal.setitimer(signal.ITIMER_REAL, 0)
    other(child)
    step('unlock', fcntl.lockf, fd, fcntl.LOCK_UN, 5, 100)
    other(lambda: step('unlocked', get_lock, os.open('lock', os.O_RDWR), fcntl.F_WRLCK, 0, 110))
    os.close(os.open('lock', os.O_RDONLY))  # which lets go of all record locks
    other(lambda: step('closed', get_lock, os.open('lock', os.O_RDWR), fcntl.F_WRLCK, 0, 0))
    step('flock', fcntl.flock, fd, fcntl.LOCK_EX)
    third = os.open('lock', os.O_RDWR)
    step('flock-other', fcntl.flock, third, fcntl.LOCK_SH | fcntl.LOCK_NB)
    step('flock-shared', fcntl.flock, fd, fcntl.LOCK_SH)
    step('flock-both', fcntl.flock, third, fcntl.LOCK_SH | fcntl.LOCK_NB)
    step('flock-up', fcntl.flock, third, fcntl.LOCK_EX | fcntl.LOCK_NB)
    os.close(fd)
    step('flock-alone', fcntl.flock, third, fcntl.LOCK_EX | fcntl.LOCK_NB)
    ofd = os.open('lock', os.O_RDONLY)
    step('wrong-mode', fcntl.fcntl, ofd, fcntl.F_SETLK, flock_bytes(fcntl.F_WRLCK, 0, 1))


def names():
    os.mkdir('n')
    os.chdir('n')
    os.mkdir('d')
    os.mkdir('full')
    for f in ('a', 'b', 'full/x'):
        with open(f, 'w') as o:
            o.write(f)
    step('unlink-dir', os.unlink, 'd')
    step('rmdir-file', os.rmdir, 'a')
    step('rmdir-full', os.rmdir, 'full')
    step('rmdir-none', os.rmdir, 'none')
    step('unlink-none', os.unlink, 'none')
    step('file-over-dir', os.rename, 'a', 'd')
    step('dir-over-file', os.rename, 'd', 'a')
    step('dir-over-full', os.rename, 'd', 'full')
    step('dir-into-itself', os.rename, 'd', 'd/e')
    step('none-renamed', os.rename, 'none', 'e')
    os.link('a', 'a2')
    step('same-file', os.rename, 'a', 'a2')
    step('both-there', lambda: sorted(os.listdir('.')))
    step('link-dir', os.link, 'd', 'd2')
    step('link-there', os.link, 'a', 'b')
    step('link-none', os.link, 'none', 'l')
    step('symlink-there', os.symlink, 'x', 'a')
    step('mkdir-there', os.mkdir, 'a')
    step('mkdir-below-file', os.mkdir, 'a/b')
    for f in (os.mkdir, lambda n: os.symlink('x', n), lambda n: os.link('a', n), lambda n: open(n, 'w'), os.stat):
        step('long-name', f, 'n' * 256)
    step('longest', os.mkdir, 'n' * 255)
    step('longest-there', lambda: 'n' * 255 in os.listdir('.'))
    step('text', os.symlink, 't' * 4000, 'long-link')
    step('text-read', lambda: len(os.readlink('long-link')))
    step('no-link', os.readlink, 'a')
    step('empty-text', os.symlink, '', 'empty')
    # No FIFOs, no sockets: QEMU from its fix of CVE-2023-2861 to 9.0 refuses them (ENXIO), since it cannot set their mode.
    step('mknod', os.mknod, 'node', stat.S_IFREG | 0o604)
    step('mknod-is', lambda: oct(os.lstat('node').st_mode))
    os.umask(0o027)
    os.mkdir('masked', 0o777)
    step('umask', lambda: oct(os.lstat('masked').st_mode))
    os.umask(0o022)
    d = os.open('full', os.O_RDONLY | os.O_DIRECTORY)
    step('at', lambda: os.rename('b', 'y', dst_dir_fd=d))
    step('at-there', lambda: sorted(os.listdir(d)))
    step('at-unlink', os.unlink, 'y', dir_fd=d)
    step('fsync-dir', os.fsync, d)
    f = os.open('a', os.O_RDWR)
    step('fsync', os.fsync, f)
    step('fdatasync', os.fdatasync, f)
    step('grow', lambda: (os.ftruncate(f, 5000), os.pread(f, 5000, 0) == b'a' + bytes(4999)))
    step('negative', os.ftruncate, f, -1)
    step('read-dir', os.read, d, 10)
    v, w = os.statvfs('.'), os.fstatvfs(f)
    step('statvfs', lambda: (v.f_namemax, v.f_fsid, v.f_blocks > 0, w.f_files == v.f_files))
    step('times', lambda: (os.utime('a', ns=(10**18 + 1, 10**18 + 2)), os.stat('a').st_mtime_ns))
    step('listing', lambda: sorted(os.listdir('.')))


os.chdir(sys.argv[1])
attributes()
locks()
names()
