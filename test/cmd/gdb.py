# SPDX-License-Identifier: MIT
"""alcove run --gdb: gdb attaches by the line that was printed, and stops in libOS and in the program by name.

usage: gdb.py ALCOVE
"""
import os
import re
import shlex
import subprocess
import sys
import tempfile

TIMEOUT = 300


def attach_line(stderr):
    """The printed command, as words."""
    for line in stderr:
        if ' attach with: ' in line:
            return shlex.split(line.split('attach with: ')[1])
    sys.exit('no line that attaches gdb')


def check(alcove, program):
    with subprocess.Popen([alcove, 'run', '--gdb', '--accel', 'tcg', program], stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                          stderr=subprocess.PIPE, text=True) as p:
        words = attach_line(p.stderr)
        gdb = subprocess.run(['timeout', str(TIMEOUT), *words, '-batch', '-nx', '-iex', 'set debuginfod enabled off',
                              '-ex', 'hbreak upcall_boot', '-ex', 'continue', '-ex', 'info symbol $pc', '-ex', 'delete',
                              '-ex', 'hbreak *main', '-ex', 'continue', '-ex', 'info symbol $pc', '-ex', 'delete', '-ex', 'detach'],
                             stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
        out = p.stdout.read()
        status = p.wait(timeout=TIMEOUT)
    print(gdb.stdout)
    stops = re.findall(r'^(\w+)(?: \+ \d+)? in section \.text(?: of (\S+))?', gdb.stdout, re.M)
    names = [name for name, _ in stops]
    if names != ['upcall_boot', 'main']:
        sys.exit(f'{program}: gdb stopped in {names}')
    if status or not out:
        sys.exit(f'{program}: after gdb it ended with {status} and wrote {out!r}')
    if os.path.exists(words[-1]):
        sys.exit(f'{words[-1]}: is left behind')


def main():
    with tempfile.TemporaryDirectory() as d:
        for kind in ('-pie', '-no-pie', '-static-pie', '-static'):
            program = f'{d}/hello{kind}'
            subprocess.run(['gcc', '-O1', '-fPIE' if kind.endswith('-pie') and kind != '-no-pie' else '-fno-pie', kind, '-x', 'c', '-',
                            '-o', program], input='#include <stdio.h>\nint main(void) { return puts("hello") < 0; }\n', text=True, check=True)
            check(sys.argv[1], program)


main()
