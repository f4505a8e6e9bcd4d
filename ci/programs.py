#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Make docs/PROGRAMS.md of what the runs of programs left behind. usage: programs.py RESULTS OUTPUT

RESULTS: the directory with a file NAME.json for each program that ran (test/guest/programs/results.py). Those of another build
than the newest file's are left out. Rows of OUTPUT whose program did not run this time stay, with the build that they are of.
"""
import glob
import json
import os
import re
import sys

HEAD = '''# Programs

Unmodified programs of Debian 12, run on Linux and as an image; output and exit status must agree, in each part where a program's
output has parts. CPython's own tests run on both, and those that pass on Linux shall pass in the image; the others are skipped,
mostly because they are about another system. A row net-NAME is a server in the guest, which clients on Linux have used; their
checks count as one part. A row disk-NAME has its data on an ext4 volume, and e2fsck has called it clean. This page is made by the run: `./dev test --long` writes it. A program that never ran is not listed.
The last column is the build of libOS that a row is of: the first digits of its SHA-256. The newest is %s.

| program | command | parts | passed | skipped | failed | build |
|---|---|---:|---:|---:|---|---|
'''


def rows_of(page):
    """The rows of a page that was made before, by name. One without the column of builds says the build above its rows."""
    rows, build = {}, ''
    if not os.path.exists(page):
        return rows
    with open(page, encoding='utf-8') as f:
        for line in f:
            if m := re.match(r'All rows are of one build of libOS: (\w+)', line):
                build = m[1]
            elif m := re.match(r'\| ([\w.-]+) \| `', line):
                cells = line.count(' |') - line.count('\\|')
                rows[m[1]] = line if cells > 6 else f"{line.rstrip()} {build} |\n"
    return rows


def main(results, output):
    rows, found = rows_of(output), []
    for path in sorted(glob.glob(results + '/*.json'), key=os.path.getmtime):
        with open(path, encoding='utf-8') as f:
            found.append(json.load(f))
    build = found[-1].get('build') if found else None
    for r in (r for r in found if r.get('build') == build):
        bad = [p for p in r['failed'] if p not in ('exit status', 'messages')]
        what = ' '.join(r['what'].split()).replace('|', '\\|')
        passed = r['parts'] - len(bad) - r['skipped']
        rows[r['name']] = f"| {r['name']} | `{what}` | {r['parts']} | {passed} | {r['skipped']} | {', '.join(r['failed'])} | {build} |\n"
    if not found:
        sys.exit(f'{results}: no program has run')
    with open(output, 'w', encoding='utf-8') as f:
        f.write(HEAD % build + ''.join(rows[name] for name in sorted(rows)))


if __name__ == '__main__':
    if len(sys.argv) != 3:
        sys.exit(__doc__)
    main(sys.argv[1], sys.argv[2])
