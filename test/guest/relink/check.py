# SPDX-License-Identifier: MIT
"""Compile a program with alcove-cc, boot it, compare what it prints and how it ends.

usage: check.py ALCOVE_CC ALCOVE SOURCE EXPECTED_OUTPUT EXPECTED_STATUS [OPTION OF RUN...]
"""
import os
import subprocess
import sys
import tempfile

DEADLINE = 100


def main():
    alcove_cc, alcove, source, expected, status = sys.argv[1:6]
    with tempfile.TemporaryDirectory() as tmp:
        image = os.path.join(tmp, 'program.elf')
        subprocess.run([alcove_cc, '-O2', '-Wall', '-Werror', source, '-o', image], check=True)
        done = subprocess.run([alcove, 'run', *sys.argv[6:], image], stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                              stderr=subprocess.PIPE, text=True, timeout=DEADLINE, check=False)
    with open(expected, encoding='utf-8') as f:
        want = f.read()
    print(done.stdout + done.stderr)
    if done.stdout != want:
        print(f'it should have printed:\n{want}')
        return 1
    if done.returncode != int(status):
        print(f'exit status {done.returncode}, not {status}')
        return 1
    return 0


sys.exit(main())
