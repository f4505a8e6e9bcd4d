# SPDX-License-Identifier: MIT
"""Boot an image as Cloud Hypervisor (chv) or Firecracker (fc) would hand it over, or with a firmware that wakes CPUs by mailbox.

usage: shim.py ALCOVE SHIM PROGRAM chv|fc|mailbox CPUS

PROGRAM (test/guest/smp/cpus.c) must say how many CPUs there are, and nothing may warn or panic.
"""
import os
import subprocess
import sys
import tempfile

alcove, shim, program, personality, cpus = sys.argv[1:]
MACHINE = {'chv': 'microvm,acpi=off,pit=off,pic=off,rtc=on', 'fc': 'microvm,acpi=off,rtc=off',
           'mailbox': 'microvm,acpi=off'}[personality]

with tempfile.TemporaryDirectory() as d:
    image = os.path.join(d, 'cpus.elf')
    subprocess.run([alcove, 'build', '-o', image, program], check=True, stdout=subprocess.DEVNULL)
    p = subprocess.run(['qemu-system-x86_64', '-accel', 'tcg', '-M', MACHINE, '-cpu', 'max', '-m', '256', '-smp', cpus,
                        '-nodefaults', '-display', 'none', '-serial', 'stdio', '-no-reboot', '-kernel', shim,
                        '-initrd', image, '-append', f'{personality} {cpus} log=debug'],
                       stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, timeout=200)
out = p.stdout.decode(errors='replace').replace('\r', '')
print(out)
if p.returncode or f'cpus: {cpus}' not in out.splitlines() or any(w in out for w in ('panic', 'warning', 'error', 'shim:')):
    sys.exit(f'wanted "cpus: {cpus}" and status 0, got {p.returncode}')
