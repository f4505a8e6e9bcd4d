#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Make docs/POWERCUT.md of what the runs with power cuts left behind. usage: powercuts.py RESULTS OUTPUT

RESULTS: the directory with a file for each run (test/guest/powercut/powercut.py, checker.py, test/ext4/powercut.py). A run that lost
something leaves none, and its test failed."""
import glob
import json
import sys

HEAD = '''# Power cuts

Disks that record every write and flush, made again as they may have been at a random moment: all that was written before a flush,
any part of what came after it in any order, the last write torn between sectors. After each cut e2fsck replays the journal and must
then find nothing to mend; the database (of Debian's, on this machine) opens it, finds its own invariant, and all that the guest had
told of before. A promise is one transaction or one fsync that had been told before a cut and was looked for after it. This page is made
by the run: `./dev test --long` writes it. A cut that had lost something would have failed its test, and be no row here.

| what | runs | transactions or steps | writes | flushes | cuts | promises kept |
|---|---:|---:|---:|---:|---:|---:|
'''
NAMES = {
    'ext4': "file-system exerciser, ext4 in process, half of the disks do without their cache",
    'ext4 in LUKS2': 'the same on an encrypted volume',
    'sqlite-wal': 'SQLite, write-ahead log', 'sqlite-delete': 'SQLite, rollback journal', 'redis': 'redis, append-only file, `appendfsync always`',
    'postgres': 'PostgreSQL 15: initdb, pgbench, three clients that tell of each commit',
}
LINUX = '''
## Linux as the judge

Debian's cloud kernel mounts the same images and lists every file (kind, mode, owner, links, size, times, extended attributes and a hash
of the content). Both lists must be the same.

| what | images | files compared |
|---|---:|---:|
'''
KEYS = ('work', 'writes', 'flushes', 'cuts', 'promises')


def main(results, output):
    rows, linux = {}, {}
    for path in sorted(glob.glob(results + '/*.json')):
        with open(path, encoding='utf-8') as f:
            r = json.load(f)
        into = linux if 'images' in r else rows
        into.setdefault(r['what'], []).append(r)
    if not rows:
        sys.exit(f'{results}: no power was cut')
    text, total = HEAD, 0
    for what, runs in rows.items():
        sums = [sum(r[k] for r in runs) for k in KEYS]
        total += sums[3]
        text += f'| {NAMES.get(what, what)} | {len(runs)} | {" | ".join(f"{n:,}" for n in sums)} |\n'
    text += f'| all | {sum(map(len, rows.values()))} | | | | {total:,} | |\n'
    if linux:
        text += LINUX + ''.join(f'| {what} | {sum(r["images"] for r in runs)} | {sum(r["files"] for r in runs):,} |\n' for what, runs in linux.items())
    with open(output, 'w', encoding='utf-8') as f:
        f.write(text)


if __name__ == '__main__':
    if len(sys.argv) != 3:
        sys.exit(__doc__)
    main(sys.argv[1], sys.argv[2])
