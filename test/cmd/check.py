# SPDX-License-Identifier: MIT
"""alcove check against strace: every call that a program makes is among those that check finds.

usage: check.py ALCOVE
"""
import json
import os
import re
import subprocess
import sys
import tempfile

PROGRAMS = [
    ['/bin/ls', '-la', '/'],
    ['/usr/bin/sort', '/etc/passwd'],
    ['/usr/bin/sha256sum', '/etc/passwd'],
    ['/usr/bin/gawk', 'BEGIN { print 1; system("true") }'],
    ['/usr/bin/xz', '-T2', '-c', '/etc/passwd'],
    ['/usr/bin/perl', '-e', 'print 1'],
    ['/usr/bin/python3', '-c', 'import threading, socket; t = threading.Thread(target=print); t.start(); t.join()'],
]
alcove = os.path.abspath(sys.argv[1])
failed = 0
with tempfile.TemporaryDirectory() as work:
    subprocess.run(['gcc', '-static', '-x', 'c', '-', '-o', work + '/static'], check=True,
                   input=b'#include <stdio.h>\nint main(void) { puts("x"); return 0; }\n')
    for argv in PROGRAMS + [[work + '/static']]:
        done = subprocess.run([alcove, 'check', '--json', argv[0]], stdout=subprocess.PIPE, check=True)
        found = {c['name'] for c in json.loads(done.stdout)['calls']}
        subprocess.run(['strace', '-f', '-o', work + '/trace', *argv], stdout=subprocess.DEVNULL, check=True)
        with open(work + '/trace', encoding='utf-8', errors='replace') as f:
            used = set(re.findall(r'^\d+ +(\w+)\(', f.read(), re.M)) - {'execve'}
        print(f'{argv[0]}: {len(used)} used, {len(found)} found, not found: {sorted(used - found)}')
        failed += len(used) < 5 or not used <= found or len(found) > 300
sys.exit(failed != 0)
