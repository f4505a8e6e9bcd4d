#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Run an image as a confidential guest of the simulator. MODE: snp or tdx, with the number of CPUs as in snp:4. usage:

sim.py ALCOVE CCSIM MODE sys PROGRAM [ARG...]      a program of test/sys, which must end as on Linux
sim.py ALCOVE CCSIM MODE program ARG...            any program; its output must be the host's
sim.py ALCOVE CCSIM MODE attest PROGRAM [ARG...]   like sys; each report that it prints must be signed by the test's chain
sim.py ALCOVE CCSIM MODE attack NAME TEXT PROGRAM  the host does NAME; TEXT (one, or several between &&) must be among what is said
sim.py ALCOVE CCSIM MODE uefi FIRMWARE OPTIONS TEXT PROGRAM [ARG...]   like sys, as a file for UEFI; TEXT, a pattern, must be said as well
"""
import hashlib
import os
import re
import subprocess
import sys
import tempfile

from chain import Chain, TdxChain
from run_sim import run

BAD = re.compile(r'panic|WARNING|BUG|ccsim: FAILED')
PASS = re.compile(r'^\d+ checks, 0 failed$', re.M)


def as_uefi(alcove, d, command):
    """A file for UEFI that runs the command, and the command that runs the file."""
    app = os.path.join(d, 'app')
    subprocess.run([alcove, 'build', '--format', 'efi', '-o', app] + command, check=True, stdout=subprocess.DEVNULL)
    return [app + '.efi']


def give_chain(d):
    """Both makers' chains, and what the simulator needs of them as files in the directory d."""
    chain, tdx = Chain(d), TdxChain(d)
    files = {'vcek': chain.scalar(), 'certs': chain.table(), 'qe-key': tdx.secret(), 'qe-cert': tdx.certification_kept()}
    for name, data in files.items():
        with open(os.path.join(d, 'opt-' + name), 'wb') as f:
            f.write(data)
    return (chain, tdx), ' '.join(f'opt/ccsim/{n}={d}/opt-{n}' for n in files)


def attested(chains, said):
    """Were there reports, and is each one signed?"""
    reports = re.findall(r'^(report|quote) ([0-9a-f]+)$', said, re.M)
    wrong = [w for w in (chains[kind == 'quote'].check(bytes.fromhex(r)) for kind, r in reports) if w]
    for bound in re.findall(r'^bound ([0-9a-f]+)$', said, re.M):
        if hashlib.sha512(bytes.fromhex(bound)).hexdigest() != reports[-1][1][0x50 * 2:0x90 * 2]:
            wrong.append('the report is not about nonce and manifest')
    print(f'{len(reports)} reports', *wrong)
    return reports and not wrong


def main():
    alcove, sim, mode, kind, rest = *sys.argv[1:5], sys.argv[5:]
    mode, cpus = (mode.split(':') + ['1'])[:2]
    options = f'ccsim.mode={mode}' + (f' ccsim.attack={rest[0]}' if kind == 'attack' else '')
    command = rest[{'attack': 2, 'uefi': 3}.get(kind, 0):]
    with tempfile.TemporaryDirectory() as d:
        chains, files = give_chain(d) if kind != 'program' else (None, '')
        if kind == 'uefi':
            files += f' opt/ccsim/firmware={rest[0]}'
            options += ' ' + rest[1]
            command = as_uefi(alcove, d, command)
        p = run(alcove, sim, options, cpus, command, files)
        said = p.stdout + p.stderr
        print(said[-6000:], f'exit status {p.returncode}')
        good = not BAD.search(said) or (kind == 'attack' and rest[1].startswith('panic'))
        if kind in ('sys', 'attest', 'uefi'):
            good = good and p.returncode == 0 and PASS.search(p.stdout)
            good = good and (kind != 'attest' or attested(chains, p.stdout))
            good = good and (kind != 'uefi' or re.search(rest[2], said, re.S))
        elif kind == 'program':
            host = subprocess.run(command, stdin=subprocess.DEVNULL, capture_output=True, text=True, env=dict(os.environ, LC_ALL='C.UTF-8'))
            good = good and (p.returncode, p.stdout) == (host.returncode, host.stdout)
        else:
            good = good and all(text in said for text in rest[1].split(' && ')) and (p.returncode == 0 or not PASS.search(p.stdout))
    sys.exit(0 if good else 1)


main()
