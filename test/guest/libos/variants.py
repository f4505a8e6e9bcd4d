#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Images with less than the whole libOS. usage: variants.py ALCOVE PROGRAM NAME [PART...]

PROGRAM (absent.c) runs with libOS NAME, which lacks these parts: what is there works, what is not answers as it should. Then options
that need what is not there are refused with one line each, and nothing is written.
"""
import os
import re
import subprocess
import sys
import tempfile


def main():
    alcove, program, name, absent = sys.argv[1], sys.argv[2], sys.argv[3], sys.argv[4:]
    failed = []

    def run(*command):
        return subprocess.run([alcove, *command], stdin=subprocess.DEVNULL, capture_output=True, text=True)

    def refused(text, *command):
        p = run(*command)
        if p.returncode == 0 or p.stdout or not re.fullmatch(rf'alcove: {text}\n', p.stderr):
            failed.append(f'{command}: {p.returncode} {p.stdout} {p.stderr}')

    p = run('run', '--libos', name, program, *absent)
    good = p.returncode == 0 and re.search(r'^\d+ checks, 0 failed$', p.stdout, re.M)
    named = re.search(r'not implemented:.* shmget \(1\)', p.stderr) is not None
    if not good or 'panic' in p.stderr or named != ('ipc' in absent):
        failed.append(f'the program: {p.returncode} {p.stdout} {p.stderr}')

    with tempfile.TemporaryDirectory() as d:
        image, efi, disk = f'{d}/app.elf', f'{d}/app.efi', f'{d}/data.img'
        open(disk, 'wb').truncate(1 << 20)
        p = run('build', '--libos', name, '--format', 'elf,efi', '-o', f'{d}/app', program)
        if p.returncode or f'variant    {name}\n' not in run('inspect', image).stdout:
            failed.append(f'build: {p.stderr}')
        lacks = rf"needs .*, which libOS '{name}' does not have; build with --libos full"
        if 'net' in absent:
            refused('-p and --net: ' + lacks, 'run', '--libos', name, '-p', '8080:80', program)
            refused('-p and --net: ' + lacks, 'run', '--net', 'user', image)
        if 'decoder' in absent:
            refused('trace: ' + lacks, 'trace', '--libos', name, program)
        if 'disk' in absent:
            refused('-v: ' + lacks, 'run', '--libos', name, '-v', f'{disk}:/data', program)
        if 'cc' in absent:
            refused('--snp: ' + lacks, 'measure', efi, '--snp')
            refused('--tdx: ' + lacks, 'measure', efi, '--tdx')
        refused("--libos: 'tiny' is not known; one of: full, net, disk, small", 'build', '--libos', 'tiny', program, '-o', f'{d}/x')
        if os.path.exists(f'{d}/x') or os.path.exists(f'{d}/x.elf'):
            failed.append('an image was written all the same')
    print('\n'.join(failed))
    sys.exit(1 if failed else 0)


if __name__ == '__main__':
    main()
