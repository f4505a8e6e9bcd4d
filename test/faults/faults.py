#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Boot a program on the kernel whose allocations fail. usage: faults.py [--memory=N] [--cpus=N] ALCOVE KERNEL PROGRAM [ARG...]

The program must end with its good line and status 0, and nothing of libOS may panic or warn. Where hook.c names a place
(hook+N), its function and line are printed.
"""
import os
import re
import subprocess
import sys
import tempfile

BAD = re.compile(r'panic|warning: (?!not implemented)|trap in libOS|no progress|double fault')


def place(kernel, base, match):
    """addr2line of the address N bytes behind the hook's first function, before the call that returns there."""
    addr = base + int(match.group(1)) - 1
    out = subprocess.run(['addr2line', '-fpe', kernel, hex(addr)], capture_output=True, text=True).stdout
    return f'{match.group(0)} = {out.strip()}'


def main():
    options = {'memory': '256M', 'cpus': '1'}
    words = sys.argv[1:]
    while words[0].startswith('--'):
        name, _, value = words.pop(0)[2:].partition('=')
        options[name] = value
    alcove, kernel, program, args = words[0], words[1], words[2], words[3:]
    symbols = subprocess.run(['nm', kernel], capture_output=True, text=True, check=True).stdout
    first = re.search(r'^(\w+) \w __wrap_slab_alloc$', symbols, re.M)  # not in the product's kernel
    base = int(first.group(1), 16) if first else 0
    with tempfile.TemporaryDirectory() as d:
        stripped = os.path.join(d, 'kernel.elf')
        subprocess.run(['objcopy', '--strip-all', kernel, stripped], check=True)
        p = subprocess.run([alcove, 'run', '--cpus', options['cpus'], '--memory', options['memory'], '--with', 'true', program, *args], stdin=subprocess.DEVNULL,
                           stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, errors='replace',
                           env={**os.environ, 'ALCOVE_KERNEL': stripped})
    out = re.sub(r'hook([+-]\d+)', lambda m: place(kernel, base, m), p.stdout)
    # Programs that die of it, and what ld.so says of it, is what shall happen.
    expected = re.compile(r'out of memory: killed process|killed by SIG|error while loading|cannot allocate TLS')
    print('\n'.join(line for line in out.splitlines() if not expected.search(line))[-30000:], f'exit status {p.returncode}')
    good = p.returncode == 0 and re.search(r'^\d+ checks, 0 failed$', out, re.M) and not BAD.search(out)
    sys.exit(0 if good else 1)


if __name__ == '__main__':
    main()
