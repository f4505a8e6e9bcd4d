#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""How often a guest that runs one small program calls its host, without the ticks of its timer: at most 2.5 times what the table in
docs/COST.md says is needed. usage: exits.py ALCOVE CCSIM COST.md MODE PROGRAM"""
import os
import re
import subprocess
import sys

HERE = os.path.dirname(os.path.abspath(__file__))
MOST = 2.5


def main():
    alcove, sim, doc, mode, program = sys.argv[1:]
    with open(doc, encoding='utf-8') as f:
        row = re.search(rf'^\| {re.escape(mode)} \|.*\| \*\*(\d+)\*\* \| (\d+) \|$', f.read(), re.M)
    needed = int(row.group(1))
    env = dict(os.environ, CCSIM=sim, CCSIM_OPTIONS=f'ccsim.mode={mode} ccsim.count', CCSIM_FILES='', PATH=f'{HERE}/bin:' + os.environ['PATH'])
    p = subprocess.run([alcove, 'run', '--cpus', '1', program], stdin=subprocess.DEVNULL, capture_output=True, text=True, env=env)
    said = p.stdout + p.stderr
    counts = re.search(r'ccsim: off; exits (\d+), host calls (\d+), .* ticks (\d+)', said)
    print(said[-3000:])
    if p.returncode or not counts:
        sys.exit('the program did not run')
    calls = int(counts.group(2)) - int(counts.group(3))
    print(f'{mode}: {calls} calls, {needed} are needed, {calls / needed:.2f} times')
    sys.exit(0 if needed <= calls <= MOST * needed else 1)


main()
