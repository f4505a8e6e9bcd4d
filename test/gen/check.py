#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Tests of syscalls/gen.py.

golden GEN TABLE DIRECTORY   what it writes for TABLE is what lies in DIRECTORY (--update writes it there)
stale GEN TABLE COVERAGE     COVERAGE.md is up to date
errors GEN                   each wrong table is refused, naming file and line
layer DIRECTORY              no file of syscalls/ includes or names anything of the platform or the drivers
"""
import os
import re
import subprocess
import sys
import tempfile

OUTPUTS = ['sys_proto.h', 'sys_dispatch.c', 'sys_trace.c', 'sys_list.h', 't_auto.c', 'absent_one.c', 'sys_names.c', 'COVERAGE.md']
WRONG = [
    ('0 full int f(fd)', 'an argument without a name'),
    ('0 full int f(fd a b)', 'two names'),
    ('0 full int f(thing a)', 'an unknown type'),
    ('0 full int f(out a)', 'a pointer without a type'),
    ('0 full thing f()', 'an unknown result'),
    ('0 good int f()', 'an unknown status'),
    ('0 partial int f()', 'partial without a note'),
    ('0 refuse=ENOSYS int f()', 'refused without a note'),
    ('0 full slow int f()', 'an unknown mark'),
    ('0 full int f(flags a)', 'flags without names'),
    ('0 full int f(int a: A|B)', 'names without flags'),
    ('0 full int f(out u8 a[n])', 'a length that is no argument'),
    ('0 full int f()\n0 full int g()', 'a number twice'),
    ('0 full int f()\n1 full int f()', 'a name twice'),
    ('0 full int f(fd a, fd b, fd c, fd d, fd e, fd g, fd h)', 'seven arguments'),
    ('full int f()', 'no number'),
    ('600 full int f()', 'a number beyond the counters'),
]


def generate(gen, table, out):
    return subprocess.run([sys.executable, gen, table, *out], capture_output=True, text=True)


def golden(gen, table, directory, update):
    with tempfile.TemporaryDirectory() as d:
        paths = [os.path.join(directory if update else d, o) for o in OUTPUTS]
        p = generate(gen, table, paths)
        if p.returncode:
            return [p.stderr]
        return [f'{o} differs from {directory}/{o}; if that is right: check.py golden ... --update'
                for o, path in zip(OUTPUTS, paths) if text(path) != text(os.path.join(directory, o))]


def text(path):
    with open(path, encoding='utf-8') as f:
        return f.read()


def stale(gen, table, coverage):
    with tempfile.TemporaryDirectory() as d:
        p = generate(gen, table, [d + '/COVERAGE.md'])
        if p.returncode:
            return [p.stderr]
        return [] if text(d + '/COVERAGE.md') == text(coverage) else [
            'syscalls/COVERAGE.md is stale: python3 syscalls/gen.py syscalls/table syscalls/COVERAGE.md']


def errors(gen):
    bad = []
    with tempfile.TemporaryDirectory() as d:
        for row, why in WRONG:
            with open(d + '/table', 'w', encoding='utf-8') as f:
                f.write('[g]\n' + row + '\n')
            p = generate(gen, d + '/table', [d + '/sys_proto.h'])
            if p.returncode == 0 or '/table:' not in p.stderr or 'Traceback' in p.stderr:
                bad.append(f'{why}: accepted, or refused without its place: {p.stderr}')
    return bad


def layer(directory):
    bad = []
    for name in sorted(os.listdir(directory)):
        if name.endswith(('.c', '.h')):
            code = re.sub(r'/\*.*?\*/', lambda m: '\n' * m[0].count('\n'), text(os.path.join(directory, name)), flags=re.S)
            bad += [f'syscalls/{name}:{n}: {line.strip()}' for n, line in enumerate(code.split('\n'), 1)
                    if re.search(r'#include <(plat|plat_arch|virtio)/|#include .*drivers|\bplat_', line)]
    return bad


def main():
    update = '--update' in sys.argv
    args = [a for a in sys.argv[1:] if a != '--update']
    bad = golden(*args[1:], update) if args[0] == 'golden' else globals()[args[0]](*args[1:])
    print('\n'.join(bad) or 'ok')
    sys.exit(bool(bad))


if __name__ == '__main__':
    main()
