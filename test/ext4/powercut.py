# SPDX-License-Identifier: MIT
"""powercut.py [--results DIR] PROGRAM CUTS [SEED [luks]]: what a power cut leaves.

The program changes files on a disk that logs every write and flush. Each cut takes a prefix of the log: what was flushed is on
the disk, of the writes after the last flush any subset is, in any order, and the last one may be torn between sectors. Every
other disk can do without its cache: what is written then is there, but for the write that the cut meets.
Then the journal is replayed, once by e2fsck and once by our own mount: both times e2fsck finds a clean file system, and our
mount finds everything that was promised before the cut. DIR gets a file of the figures for docs/POWERCUT.md."""
import json
import os
import random
import shutil
import struct
import subprocess
import sys
import tempfile

import luks

os.environ['PATH'] += ':/usr/sbin:/sbin'
WRITE, FLUSH, MARK, THROUGH = 0, 1, 2, 3
SECTOR = 512
COMMIT = struct.pack('>II', 0xc03b3998, 2)     # how a commit block of jbd2 begins
KINDS = [['-b', '4096'], ['-b', '1024', '-g', '4096'], ['-b', '4096', '-O', '^metadata_csum,^64bit']]
STEPS = 120
TOLD = []     # of each cut: how many promises it had to keep


def run(*command):
    return subprocess.run(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)


def need(done, what, good=(0,)):
    if done.returncode not in good:
        sys.exit(f'{what}: {done.args} gave {done.returncode}:\n{done.stdout[-3000:]}')


def use_journal(image, block_size):
    """Leave something behind its superblock, as in a journal that has been written all through."""
    blocks = run('debugfs', '-R', 'blocks <8>', image)
    need(blocks, 'debugfs')
    with open(image, 'r+b') as f:
        for block in blocks.stdout.split('\n')[-2].split()[1:]:
            f.seek(int(block) * block_size)
            f.write(b'\x5a' * block_size)


def replay(image, name):
    """Have e2fsck replay the journal: all of it, as it must be for Linux to mount the disk."""
    done = run('e2fsck', '-y', '-E', 'journal_only', image)
    need(done, f'{name}: e2fsck replays', (0, 1))
    if 'corrupt' in done.stdout or 'aborted' in done.stdout:
        sys.exit(f'{name}: e2fsck replays not all:\n{done.stdout[-3000:]}')


def events(path):
    found = []
    with open(path, 'rb') as f:
        while head := f.read(16):
            kind, sectors, sector = struct.unpack('<IIQ', head)
            found.append((kind, sector, f.read(sectors * SECTOR)))
    return found


def commits(log):
    """Where a cut meets the write of a commit block; anywhere, if there is none to be seen."""
    return [i + 1 for i, e in enumerate(log) if e[0] in (WRITE, THROUGH) and e[2].startswith(COMMIT)] or range(1, len(log) + 1)


def cut(log, at, image, chance):
    """Write into image what a cut behind log[:at] leaves; the promises made before."""
    last = max((i for i in range(at) if log[i][0] == FLUSH), default=-1)
    marks = [e[1] for e in log[:at] if e[0] == MARK]
    with open(image, 'r+b') as f:
        def put(sector, data):
            f.seek(sector * SECTOR)
            f.write(data)
        for kind, sector, data in log[:last + 1]:
            if kind in (WRITE, THROUGH):
                put(sector, data)
        style = chance.randrange(4)
        for i, (kind, sector, data) in enumerate(log[last + 1:at], last + 1):
            there = kind == THROUGH and i < at - 1
            if kind not in (WRITE, THROUGH) or (not there and style and chance.random() >= (0.1, 0.5, 0.9)[style - 1]):
                continue
            if not there and chance.random() < (0.7 if data.startswith(COMMIT) else 0.2):
                for k in range(0, len(data), SECTOR):
                    if chance.random() < 0.5:
                        put(sector + k // SECTOR, data[k:k + SECTOR])
            else:
                put(sector, data)
    return marks


def one_luks(program, folder, base, log, at, chance, name, volume):
    """The same in a LUKS2 volume: what e2fsck is to see is decrypted by OpenSSL."""
    image, plain = os.path.join(folder, 'cut.img'), os.path.join(folder, 'plain.img')
    promises = os.path.join(folder, 'promises')
    shutil.copyfile(base, image)
    marks = cut(log, at, image, chance)
    with open(promises, 'w') as f:
        f.write('\n'.join(map(str, marks)))
    TOLD.append(len(marks))
    volume.extract(plain, image)
    replay(plain, name)
    need(run('e2fsck', '-fn', plain), f'{name}: after e2fsck')
    need(run(program, image, '', 'verify', promises), f'{name}: our mount')
    volume.extract(plain, image)
    need(run('e2fsck', '-fn', plain), f'{name}: after our mount')


def one(program, folder, base, log, at, chance, name, volume):
    image, other = os.path.join(folder, 'cut.img'), os.path.join(folder, 'cut2.img')
    if volume:
        one_luks(program, folder, base, log, at, chance, name, volume)
        return
    promises = os.path.join(folder, 'promises')
    shutil.copyfile(base, image)
    marks = cut(log, at, image, chance)
    with open(promises, 'w') as f:
        f.write('\n'.join(map(str, marks)))
    TOLD.append(len(marks))
    shutil.copyfile(image, other)
    need(run(program, image, '', 'verify', promises), f'{name}: our mount')
    need(run('e2fsck', '-fn', image), f'{name}: after our mount')
    replay(other, name)
    need(run(program, other, '', 'verify', promises), f'{name}: our mount after e2fsck')
    need(run('e2fsck', '-fn', other), f'{name}: after both')


def whole_super(base, log, name):
    """A torn superblock must still be one: its second sector, with the checksum, never changes."""
    with open(base, 'rb') as f:
        f.seek(3 * SECTOR)
        second = f.read(SECTOR)
    for kind, sector, data in log:
        at = (3 - sector) * SECTOR
        if kind in (WRITE, THROUGH) and 0 <= at < len(data) and data[at:at + SECTOR] != second:
            sys.exit(f'{name}: the second sector of the superblock was changed')


def remember(results, what, seed, done, writes, flushes):
    os.makedirs(results, exist_ok=True)
    with open(f'{results}/{what.replace(" ", "-")}-{seed}.json', 'w') as f:
        json.dump({'name': f'{what}-{seed}', 'what': what, 'work': (done + 7) // 8 * STEPS, 'writes': writes, 'flushes': flushes,
                   'cuts': done, 'promises': sum(TOLD)}, f)


def main():
    results = sys.argv[2] if sys.argv[1] == '--results' else None
    if results:
        del sys.argv[1:3]
    program, cuts, seed = sys.argv[1], int(sys.argv[2]), int(sys.argv[3]) if len(sys.argv) > 3 else 1
    chance = random.Random(seed)
    with tempfile.TemporaryDirectory() as folder:
        done, through, writes, flushes, volume, encrypted = 0, 0, 0, 0, None, 'luks' in sys.argv
        key = os.path.join(folder, 'key')
        if encrypted:
            os.environ['LUKS_KEY'] = key
            with open(key, 'wb') as f:
                f.write(os.urandom(40))
        while done < cuts:
            base, disk, log = (os.path.join(folder, n) for n in ('base.img', 'disk.img', 'log'))
            kind = KINDS[done // 8 % len(KINDS)]
            if os.path.exists(base):
                os.unlink(base)
            need(run('mke2fs', '-q', '-F', '-t', 'ext4', '-J', 'size=4', *kind, base, '24M'), 'mke2fs')
            use_journal(base, int(kind[1]))
            if encrypted:
                plain = os.path.join(folder, 'plain.img')
                os.rename(base, plain)
                luks.make(base, os.path.getsize(plain), key, luks.FAST + ['--sector-size', '512' if '1024' in kind or done % 16 else '4096'])
                volume = luks.Volume(base, key)
                volume.fill(plain)
            shutil.copyfile(base, disk)
            os.environ.pop('DISK_CACHE_SWITCH', None)
            if done // 8 % 2:
                os.environ['DISK_CACHE_SWITCH'] = '1'
            need(run(program, disk, log, 'work', str(seed + done), str(STEPS)), 'work')
            if not encrypted:
                need(run('e2fsck', '-fn', disk), 'after the work')
            recorded = events(log)
            if not encrypted:
                whole_super(base, recorded, f'{kind} seed {seed + done}')
            writes += sum(e[0] in (WRITE, THROUGH) for e in recorded)
            flushes += sum(e[0] == FLUSH for e in recorded)
            through += sum(e[0] == THROUGH for e in recorded)
            for _ in range(min(8, cuts - done)):
                at = chance.choice(commits(recorded) if done % 4 == 3 else range(1, len(recorded) + 1))
                one(program, folder, base, recorded, at, chance, f'{kind} seed {seed + done} cut {at}', volume)
                done += 1
        if done > 8 and not through:
            sys.exit('no disk was without its cache')
        if results:
            remember(results, 'ext4 in LUKS2' if encrypted else 'ext4', seed, done, writes, flushes)
        print(f'{done} power cuts: nothing promised was lost; {through} writes on disks that did without their cache')


if __name__ == '__main__':
    main()
