#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""What SEV to SEV-SNP and TDX add to libOS: code and data of their objects, at most 48 KB. usage: cc_size.py BUILD"""
import glob
import os
import subprocess
import sys

MOST = 48 * 1024
PLACES = ('platform/libplat_kernel.a.p/cc_*.o', 'libos/liblibos_kernel.a.p/cc_*.o', 'libos/liblibos_kernel.a.p/dev_tdx*.o')


def main():
    objects = sorted(o for p in PLACES for o in glob.glob(os.path.join(sys.argv[1], p)) if 'absent' not in o)
    rows = subprocess.run(['size'] + objects, check=True, capture_output=True, text=True).stdout.split('\n')[1:]
    rows = [r.split() for r in rows if r]
    total = sum(int(r[0]) + int(r[1]) for r in rows)
    print(*(f'{int(r[0]) + int(r[1]):6} {os.path.basename(r[5])}' for r in rows), sep='\n')
    print(f'{total} bytes in {len(rows)} objects, {sum(int(r[2]) for r in rows)} that are zero at boot; {MOST} at most')
    sys.exit(0 if len(rows) > 15 and total <= MOST else 1)


main()
