#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Databases on a disk whose power is cut. A guest runs one while QEMU writes down every write and flush (its blklogwrites driver, the
format of Linux's dm-log-writes). The disk is then made again as it may have been at many moments: all that was written before
a flush, any part of what came after it in any order, the last write torn. Each time e2fsck replays the journal and must find nothing
else, and the host's own database program must find its file whole, with every transaction of which the guest had told before.

usage: powercut.py ALCOVE sqlite-wal|sqlite-delete|redis CUTS [TRANSACTIONS [SEED]]
"""
import os, random, re, shutil, sqlite3, struct, subprocess, sys, tempfile, time

HERE = os.path.dirname(os.path.abspath(__file__))
SBIN = {**os.environ, 'PATH': os.environ['PATH'] + ':/usr/sbin:/sbin'}
FLUSH, FUA, DISCARD, MARK = 1, 2, 4, 8
SIZE = '24M'


def die(text):
    sys.exit(f'powercut: {text}')


def run(*command, ok=(0,)):
    r = subprocess.run(command, capture_output=True, text=True, errors='replace', env=SBIN)
    if r.returncode not in ok:
        die(f'{" ".join(command)}: status {r.returncode}\n{r.stdout[-3000:]}{r.stderr[-3000:]}')
    return r.stdout


def build(alcove, case, count):
    common = ['-v', 'SERIAL=alcove-vol0:/data', '-o', 'app.elf']
    if case == 'redis':
        os.makedirs('root')
        shutil.copy(f'{HERE}/redis.sh', 'root')
        run(alcove, 'build', '--root', 'root', '--with', 'redis-server', '--with', 'redis-cli', '--with', 'tail', '--with', 'sync',
            *common[:2], '/bin/bash', '/redis.sh', str(count), *common[2:])
    else:
        with open(f'{HERE}/sqlite.py') as f:
            text = f.read()
        run(alcove, 'build', *common[:2], '/usr/bin/python3', '-c', text, '/data/t.db', case.split('-')[1], str(count), *common[2:])


def record(deadline):
    """Run the guest; the acknowledgements, each with the size that the log had when the host heard of it."""
    open('log', 'w').close()
    os.truncate('log', 1 << 30)          # sparse: the driver wants a size
    vm = subprocess.Popen(['qemu-system-x86_64', '-machine', 'microvm,acpi=on,rtc=on', '-accel', 'tcg', '-cpu', 'max', '-m', '256M',
                           '-nodefaults', '-no-user-config', '-no-reboot', '-display', 'none', '-serial', 'stdio', '-kernel', 'app.elf',
                           '-append', 'console=raw',
                           '-blockdev', 'driver=file,filename=data.img,node-name=f', '-blockdev', 'driver=raw,file=f,node-name=r',
                           '-blockdev', 'driver=file,filename=log,node-name=l',
                           '-blockdev', 'driver=blklogwrites,node-name=d,file=r,log=l',
                           '-device', 'virtio-blk-device,drive=d,serial=alcove-vol0'],
                          stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
    acks, said, done, end = [], [], False, time.monotonic() + deadline
    for line in vm.stdout:
        line = line.decode(errors='replace').strip()
        said.append(line)
        if m := re.match(r'ack (\d+)$', line):
            acks.append((int(m[1]), allocated('log')))
        done |= line == 'done'
        if time.monotonic() > end:
            vm.kill()
    vm.wait()
    if not done or any('panic' in s for s in said):
        die('the guest did not end:\n' + '\n'.join(said[-30:]))
    return acks


def allocated(path):
    """How far the log has been written: its last data."""
    fd = os.open(path, os.O_RDONLY)
    at = 0
    try:
        while True:
            at = os.lseek(fd, os.lseek(fd, at, os.SEEK_DATA), os.SEEK_HOLE)
    except OSError:
        pass
    os.close(fd)
    return at


def entries():
    """(where its data ends in the log, flags, offset, data) of each."""
    with open('log', 'rb') as f:
        magic, version, count, sector = struct.unpack('<QQQI', f.read(28))
        if magic != 0x6a736677736872 or version != 1:
            die('no log of the driver')
        f.seek(sector)
        found = []
        for _ in range(count):
            at = f.tell()
            where, sectors, flags, data_len = struct.unpack('<QQQQ', f.read(32))
            f.seek(at + sector)
            data = b'' if flags & DISCARD else f.read(sectors * sector)
            found.append((f.tell(), flags, where * sector, data or bytes(sectors * sector if flags & DISCARD else 0)))
        return found


def cut(log, k, r):
    """The disk, had the power gone when entry k was the next one."""
    shutil.copyfile('base.img', 'cut.img')
    last = max((i for i in range(k) if log[i][1] & FLUSH), default=0)
    loose = list(range(last, k))
    keep = [i for i in loose if r.random() < r.choice([0, 0.5, 0.9, 1]) or log[i][1] & FUA]
    r.shuffle(keep)
    with open('cut.img', 'r+b') as f:
        for i in list(range(last)) + keep:
            _, flags, offset, data = log[i]
            if i == (keep[-1] if keep else -1) and len(data) > 512 and not flags & FUA:
                torn = r.sample(range(0, len(data), 512), r.randrange(1 + len(data) // 512))
                for at in torn:
                    f.seek(offset + at)
                    f.write(data[at:at + 512])
                continue
            f.seek(offset)
            f.write(data)


def files(case):
    """e2fsck's verdict, then what is on the disk, in out/."""
    shutil.rmtree('out', ignore_errors=True)
    os.makedirs('out')
    run('e2fsck', '-p', '-E', 'journal_only', 'cut.img', ok=(0, 1))
    run('e2fsck', '-fn', 'cut.img')
    run('debugfs', '-R', 'rdump / out', 'cut.img')


def check_sqlite(wanted):
    if not os.path.exists('out/t.db'):
        return [] if wanted < 0 else ['the database is gone']
    c = sqlite3.connect('out/t.db')
    found = []
    if c.execute('pragma integrity_check').fetchone()[0] != 'ok':
        found.append('integrity')
    if not c.execute("select count(*) from sqlite_master where name = 'log'").fetchone()[0]:
        return found if wanted < 0 else found + ['the tables are gone']
    if c.execute('select sum(balance) from account').fetchone()[0] != 20000:
        found.append('sum')
    last = c.execute('select max(number) from log').fetchone()[0] or 0
    if last < wanted:
        found.append(f'transaction {wanted} was told, {last} is the last one')
    c.close()
    return found


def check_redis(wanted):
    if wanted < 0:
        return []
    if not os.path.isdir('out/appendonlydir'):
        return ['the log is gone']
    sock = os.path.abspath('s')
    server = subprocess.Popen(['redis-server', '--dir', os.path.abspath('out'), '--appendonly', 'yes', '--save', '', '--port', '0',
                               '--unixsocket', sock, '--daemonize', 'no'], stdout=subprocess.PIPE, stderr=subprocess.STDOUT, env=SBIN)
    for _ in range(3000):
        r = subprocess.run(['redis-cli', '-s', sock, 'dbsize'], capture_output=True, text=True)
        if r.stdout.strip().isdigit() or server.poll() is not None:
            break
        time.sleep(0.02)
    n = int(r.stdout) if r.stdout.strip().isdigit() else -1
    last = subprocess.run(['redis-cli', '-s', sock, 'get', f'key{n}'], capture_output=True, text=True).stdout.strip()
    server.kill()
    text = server.stdout.read().decode(errors='replace')
    if n < wanted:
        return [f'key {wanted} was told, {n} is the last one\n{text[-1000:]}']
    return [] if n == 0 or last == f'value{n}' else [f'key{n} is {last!r}']


def main():
    alcove, case, cuts = os.path.abspath(sys.argv[1]), sys.argv[2], int(sys.argv[3])
    count = int(sys.argv[4]) if len(sys.argv) > 4 else 30
    r = random.Random(int(sys.argv[5]) if len(sys.argv) > 5 else 1)
    check = check_redis if case == 'redis' else check_sqlite
    with tempfile.TemporaryDirectory() as work:
        os.chdir(work)
        run(alcove, 'volume', 'create', 'data.img', SIZE)
        shutil.copyfile('data.img', 'base.img')
        build(alcove, case, count)
        acks = record(600)
        log = entries()
        if not acks or acks[-1][0] != count or sum(1 for e in log if e[1] & FLUSH) < count:
            die(f'{len(acks)} acknowledgements, {len(log)} entries')
        for n in range(cuts):
            k = r.randrange(1, len(log) + 1)
            # Told before all of what is cut away was written.
            wanted = max((a for a, size in acks if size <= log[k - 1][0]), default=-1)
            cut(log, k, r)
            files(case)
            wrong = check(wanted)
            if wrong:
                die(f'{case}, cut {n} before entry {k} of {len(log)}: {"; ".join(wrong)}')
        os.chdir('/')
    print(f'{case}: {count} transactions, {len(log)} writes and flushes, {cuts} cuts: nothing lost')


main()
