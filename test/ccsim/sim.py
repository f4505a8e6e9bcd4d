#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Run an image as a confidential guest of the simulator. MODE: snp or tdx. usage:

sim.py ALCOVE CCSIM MODE sys PROGRAM               a program of test/sys, which must end as on Linux
sim.py ALCOVE CCSIM MODE program ARG...            any program; its output must be the host's
sim.py ALCOVE CCSIM MODE attack NAME TEXT PROGRAM  the host does NAME; TEXT must be among what is said
"""
import os
import re
import subprocess
import sys

BAD = re.compile(r'panic|WARNING|BUG|ccsim: FAILED')


def run(alcove, sim, options, command):
    env = dict(os.environ, CCSIM=sim, CCSIM_OPTIONS=options, LC_ALL='C.UTF-8')
    env['PATH'] = os.path.join(os.path.dirname(os.path.abspath(__file__)), 'bin') + ':' + env['PATH']
    return subprocess.run([alcove, 'run', '-e', 'LC_ALL=C.UTF-8'] + command, stdin=subprocess.DEVNULL, capture_output=True, text=True, env=env)


def main():
    alcove, sim, mode, kind, rest = *sys.argv[1:5], sys.argv[5:]
    options = f'ccsim.mode={mode}' + (f' ccsim.attack={rest[0]}' if kind == 'attack' else '')
    command = rest[2:] if kind == 'attack' else rest
    p = run(alcove, sim, options, command)
    said = p.stdout + p.stderr
    print(said[-6000:], f'exit status {p.returncode}')
    good = not BAD.search(said)
    if kind == 'sys':
        good = good and p.returncode == 0 and re.search(r'^\d+ checks, 0 failed$', p.stdout, re.M)
    elif kind == 'program':
        host = subprocess.run(command, stdin=subprocess.DEVNULL, capture_output=True, text=True, env=dict(os.environ, LC_ALL='C.UTF-8'))
        good = good and (p.returncode, p.stdout) == (host.returncode, host.stdout)
    else:
        good = good and rest[1] in said
    sys.exit(0 if good else 1)


main()
