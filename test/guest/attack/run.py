#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Run one attack program as an image: run.py ALCOVE PROGRAM STATUS [ALCOVE-OPTION...] [-- PROGRAM-ARGUMENT...]

Passes when the VM ends with STATUS and nothing that the console or libOS said reads like a fault of libOS, also after
the program's last output. With "linux" for ALCOVE the program runs on this Linux instead, to show that the test is right.
"""
import re, subprocess, sys

BAD = re.compile(rb'panic:|BUG|assert|stack overflow|watchdog|FAIL')


def main():
    alcove, program, status, *rest = sys.argv[1:]
    options, args = (rest[:rest.index('--')], rest[rest.index('--') + 1:]) if '--' in rest else (rest, [])
    cmd = [program, *args] if alcove == 'linux' else [alcove, 'run', *options, program, *args]
    r = subprocess.run(cmd, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, timeout=280)
    got = 128 - r.returncode if r.returncode < 0 else r.returncode
    sys.stdout.buffer.write(r.stdout)
    if got != int(status):
        sys.exit(f'status {got}, want {status}')
    if BAD.search(r.stdout):
        sys.exit('the output reads like a fault of libOS')
    if got == 0 and b'pass' not in r.stdout and b'caught' not in r.stdout:
        sys.exit('the program did not say that it passed')


main()
