#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Compare our decoder's lines with strace's for the same calls. usage: compare.py PROGRAM"""
import os
import re
import subprocess
import sys
import tempfile


def main():
    with tempfile.NamedTemporaryFile('r', encoding='utf-8') as log:
        p = subprocess.run(['strace', '-o', log.name, sys.argv[1]], stdout=subprocess.PIPE,
                           stdin=subprocess.DEVNULL, text=True, env=os.environ | {'ASAN_OPTIONS': 'detect_leaks=0'})
        theirs = log.read().splitlines()
    if p.returncode:
        sys.exit(f'{sys.argv[1]} under strace: exit status {p.returncode}')
    marks = [i for i, line in enumerate(theirs) if line.startswith('getpgid(')]
    # Not ours: reads of the program's memory for decoding, and the text of an error.
    theirs = [re.sub(r'(= -1 \w+) \(.*\)$', r'\1', line) for line in theirs[marks[0] + 1:marks[-1]]
              if not line.startswith('process_vm_readv(')]
    ours, bad = p.stdout.splitlines(), []
    for a, b in zip(theirs, ours):
        if a != b:
            bad.append(f'strace  {a}\nalcove  {b}')
    if len(theirs) != len(ours):
        bad.append(f'{len(theirs)} lines of strace, {len(ours)} of ours')
    print('\n'.join(bad) or f'{len(ours)} lines are the same')
    sys.exit(bool(bad))


if __name__ == '__main__':
    main()
