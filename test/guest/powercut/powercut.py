#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Databases on a disk whose power is cut. A guest runs one while QEMU writes down every write and flush (its blklogwrites driver, the
format of Linux's dm-log-writes). The disk is then made again as it may have been at many moments: all that was written before
a flush, any part of what came after it in any order, the last write torn. Each time e2fsck replays the journal, frees the orphans, and must
find nothing else, and the host's own database program must find its file whole, with every transaction of which the guest had told before.

usage: powercut.py [--results DIR] [--linux N] ALCOVE sqlite-wal|sqlite-delete|redis|postgres CUTS [TRANSACTIONS [SEED]]
Linux and Alcove mount N of the cut disks as well and must find the same on them. DIR gets NAME.json, from which ci/powercuts.py makes docs/POWERCUT.md.
"""
import argparse, json, os, random, re, shutil, struct, subprocess, sys, tempfile, time
from databases import CASES

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path += [HERE + '/../programs', HERE + '/../checker']
import checker
from results import build_of

SBIN = {**os.environ, 'PATH': os.environ['PATH'] + ':/usr/sbin:/sbin'}
FLUSH, FUA, DISCARD, MARK = 1, 2, 4, 8


def die(text):
    sys.exit(f'powercut: {text}')


def run(*command, ok=(0,)):
    r = subprocess.run(command, capture_output=True, text=True, errors='replace', env=SBIN)
    if r.returncode not in ok:
        die(f'{" ".join(command)}: status {r.returncode}\n{r.stdout[-3000:]}{r.stderr[-3000:]}')
    return r.stdout


def record(memory, deadline):
    """Run the guest; the acknowledgements (client, number), each with the size that the log had when the host heard of it."""
    open('log', 'w').close()
    os.truncate('log', 8 << 30)          # sparse: the driver wants a size
    vm = subprocess.Popen(['qemu-system-x86_64', '-machine', 'microvm,acpi=on,rtc=on', '-accel', 'tcg', '-cpu', 'max', '-m', memory,
                           '-nodefaults', '-no-user-config', '-no-reboot', '-display', 'none', '-serial', 'stdio', '-kernel', 'app.elf',
                           '-append', 'console=raw',
                           '-blockdev', 'driver=file,filename=data.img,node-name=f', '-blockdev', 'driver=raw,file=f,node-name=r',
                           '-blockdev', 'driver=file,filename=log,node-name=l',
                           '-blockdev', 'driver=blklogwrites,node-name=d,file=r,log=l',
                           # For a guest that does without the cache QEMU flushes after each write. One run lost a commit when the log was
                           # the topmost node, which may leave out the first of these flushes; it is not known for sure. So it is not the topmost.
                           '-object', 'throttle-group,id=none', '-blockdev', 'driver=throttle,throttle-group=none,file=d,node-name=top',
                           '-device', 'virtio-blk-device,drive=top,serial=alcove-vol0'],
                          stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
    acks, said, done, end = [], [], False, time.monotonic() + deadline
    for line in vm.stdout:
        line = line.decode(errors='replace').strip()
        said.append(line)
        if m := re.match(r'(cluster)$|ack (?:(\d+) )?(\d+)$', line):
            acks.append((m[1] or m[2] or '', int(m[3] or 0), allocated('log')))
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


def content(at, size, discarded):
    """Reads what an entry of the log wrote."""
    def read():
        if discarded:
            return bytes(size)
        with open('log', 'rb') as f:
            f.seek(at)
            return f.read(size)
    return read


def entries():
    """(where its data ends in the log, flags, offset, what reads its data) of each."""
    with open('log', 'rb') as f:
        magic, version, count, sector = struct.unpack('<QQQI', f.read(28))
        if magic != 0x6a736677736872 or version != 1:
            die('no log of the driver')
        f.seek(sector)
        found = []
        for _ in range(count):
            at = f.tell()
            where, sectors, flags, data_len = struct.unpack('<QQQQ', f.read(32))
            f.seek(at + sector + (0 if flags & DISCARD else sectors * sector))
            found.append((f.tell(), flags, where * sector, content(at + sector, sectors * sector, flags & DISCARD)))
        return found


class Disk:
    """What had been flushed before ever later entries of the log, kept in flushed.img."""
    def __init__(self, log):
        self.log, self.at = log, 0
        os.rename('base.img', 'flushed.img')

    def cut(self, k, r):
        """cut.img: the disk, had the power gone when entry k was the next one. k never falls."""
        log, last = self.log, max((i for i in range(k) if self.log[i][1] & FLUSH), default=0)
        with open('flushed.img', 'r+b') as f:
            for _, _, offset, data in log[self.at:last]:
                f.seek(offset)
                f.write(data())
        self.at = max(self.at, last)
        run('cp', '--sparse=always', 'flushed.img', 'cut.img')
        loose = list(range(last, k))
        keep = [i for i in loose if r.random() < r.choice([0, 0.5, 0.9, 1]) or log[i][1] & FUA]
        r.shuffle(keep)
        with open('cut.img', 'r+b') as f:
            for i in keep:
                _, flags, offset, data = log[i]
                data = data()
                parts = range(0, len(data), 512)
                if i == keep[-1] and len(data) > 512 and not flags & FUA:
                    parts = r.sample(parts, r.randrange(1 + len(parts)))     # torn
                for at in parts:
                    f.seek(offset + at)
                    f.write(data[at:at + 512])


def files():
    """e2fsck replays the journal and frees the orphans (in one run: with journal_only it forgets them); what is on the disk then, in out/."""
    shutil.rmtree('out', ignore_errors=True)
    os.makedirs('out')
    run('e2fsck', '-p', 'cut.img', ok=(0, 1))
    run('e2fsck', '-fn', 'cut.img')
    run('debugfs', '-R', 'rdump / out', 'cut.img')


def remember(results, alcove, case, said):
    """For docs/POWERCUT.md."""
    if results:
        os.makedirs(results, exist_ok=True)
        with open(f'{results}/{case}.json', 'w', encoding='utf-8') as f:
            json.dump({'name': case, 'build': build_of(alcove), **said}, f)


def arguments():
    ap = argparse.ArgumentParser(usage=__doc__)
    ap.add_argument('--results', type=os.path.abspath)
    ap.add_argument('--linux', type=int, default=0)
    ap.add_argument('alcove', type=os.path.abspath)
    ap.add_argument('case', choices=CASES)
    ap.add_argument('cuts', type=int)
    ap.add_argument('count', type=int, nargs='?', default=30)
    ap.add_argument('seed', type=int, nargs='?', default=1)
    return ap.parse_args()


def main():
    a = arguments()
    alcove, case, cuts, count, seed = a.alcove, a.case, a.cuts, a.count, a.seed
    r = random.Random(seed)
    size, build, check, memory = CASES[case]
    with tempfile.TemporaryDirectory() as work:
        os.chmod(work, 0o755)            # for a server that is another user
        os.chdir(work)
        run(alcove, 'volume', 'create', 'data.img', size)
        run('cp', '--sparse=always', 'data.img', 'base.img')
        run(alcove, 'build', '-v', 'SERIAL=alcove-vol0:/data', '-o', 'app.elf', *build(count))
        acks = record(memory, 3000)
        log = entries()
        flushes = sum(1 for e in log if e[1] & FLUSH)
        ended = [n for _, n, _ in acks].count(count)
        if ended != (3 if case == 'postgres' else 1) or flushes + sum(1 for e in log if e[1] & FUA) < count:
            die(f'{len(acks)} acknowledgements, {len(log)} entries')
        disk = Disk(log)
        # Of a database that takes long to make, most of the cuts are of its transactions.
        begin = next((k for k in range(len(log)) if log[k][0] >= acks[0][2]), 1) if case == 'postgres' else 1
        points = sorted(r.randrange(1 if r.random() < 0.1 else begin, len(log)) + 1 for _ in range(cuts))
        promised = 0
        for n, k in enumerate(points):
            # Told before all of what is cut away was written.
            told = {}
            for client, number, where in acks:
                if where <= log[k - 1][0]:
                    told[client] = max(number, told.get(client, 0))
            promised += sum(told.values())
            disk.cut(k, r)
            if n * a.linux // cuts != (n + 1) * a.linux // cuts:
                run('cp', '--sparse=always', 'cut.img', f'linux{n}.img')
            files()
            wrong = check(told)
            if wrong:
                die(f'{case}, cut {n} before entry {k} of {len(log)}: {"; ".join(wrong)}')
        others = sorted(f'{work}/{name}' for name in os.listdir(work) if name.startswith('linux') and name.endswith('.img'))
        if others:
            checker.compile_to(work)
            count_files = checker.agree(work, alcove, others)
            checker.remember(a.results, alcove, f'{case}-{seed}', f'after a power cut, {case}', len(others), count_files)
        os.chdir('/')
    work = count * (3 if case == 'postgres' else 1)
    remember(a.results, alcove, f'{case}-{seed}', {'what': case, 'work': work, 'writes': len(log) - flushes, 'flushes': flushes,
                                                 'cuts': cuts, 'promises': promised})
    print(f'{case}: {work} transactions, {len(log)} writes and flushes, {cuts} cuts, {promised} promises: nothing lost; '
          f'{len(others)} of the disks also judged by Linux')


main()
