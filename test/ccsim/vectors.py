#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""The host injects an exception that nothing has caused: one after the other, while ring 0 runs and while ring 3 does. Ring 0
ends with a panic, but for #DB, which says nothing there and changes nothing; ring 3's is at most a signal to the program.
usage: vectors.py ALCOVE CCSIM MODE PROGRAM [N|user-N...]"""
import re
import sys

import run_sim

# Not 20, 28 and 29: #VE and #VC are attacks of their own, and 28 is reserved here. QEMU's emulation takes no number above 30.
VECTORS = [v for v in range(31) if v not in (20, 28, 29)]
ENDED = re.compile(r'panic: |terminated by the guest: set \d, reason \d+|ends itself')
GOES_ON = re.compile(r'^\d+ checks, 0 failed$', re.M)
SIGNALS = (132, 133, 135, 136, 139)  # SIGILL, SIGTRAP, SIGBUS, SIGFPE, SIGSEGV


def main():
    alcove, sim, mode, program, *names = sys.argv[1:]
    wrong = 0
    for name in names or [f'{user}{vector}' for user in ('', 'user-') for vector in VECTORS]:
        p = run_sim.run(alcove, sim, f'ccsim.mode={mode} ccsim.attack=vector-{name}', '1', [program], '')
        said = p.stdout + p.stderr
        ended = ENDED.search(said)
        good = ended or (name.startswith('user') and p.returncode in SIGNALS)
        if name == '1':
            good = GOES_ON.search(said) and p.returncode == 0
        good = good and 'ccsim: FAILED' not in said
        print(f'{name}: {ended[0] if ended else ""} exit status {p.returncode}{"" if good else " WRONG"}')
        wrong += not good
    sys.exit(bool(wrong))


main()
