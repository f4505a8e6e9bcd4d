#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Each misuse of a user pointer must not compile. usage: check.py CC REPOSITORY FILE...

Every file compiles as it stands; with -DMISUSE=n, for each n that it names, it must not.
"""
import re
import subprocess
import sys


def compiles(cc, repository, path, *args):
    inc = [f'-I{repository}/{d}' for d in ('libos/base/include', 'libos/abi/include', 'libos/include')]
    p = subprocess.run(cc + ['-std=gnu11', '-Wall', '-Wextra', '-Werror', '-c', '-o', '/dev/null', *inc, *args, path],
                       capture_output=True, text=True)
    return p.returncode == 0, p.stderr


def main():
    cc, repository, bad, done = sys.argv[1].split(), sys.argv[2], [], 0
    for path in sys.argv[3:]:
        ok, errors = compiles(cc, repository, path)
        if not ok:
            bad.append(f'{path} does not compile even without a misuse:\n{errors}')
        with open(path, encoding='utf-8') as f:
            cases = sorted(set(re.findall(r'MISUSE == (\d+)', f.read())), key=int)
        if not cases:
            bad.append(f'{path} names no misuse')
        for n in cases:
            done += 1
            if compiles(cc, repository, path, f'-DMISUSE={n}')[0]:
                bad.append(f'{path}: misuse {n} compiles')
    print('\n'.join(bad) or f'{done} misuses are rejected')
    sys.exit(bool(bad))


if __name__ == '__main__':
    main()
