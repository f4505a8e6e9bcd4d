#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""The platform's test image as a confidential guest, which dies in one way. usage: plat.py CCSIM IMAGE MODE WAY TEXT"""
import subprocess
import sys


def main():
    sim, image, mode, way, text = sys.argv[1:6]
    command = ['qemu-system-x86_64', '-accel', 'tcg,thread=single', '-M', 'microvm', '-cpu', 'max,phys-bits=48', '-m', '2G', '-nodefaults',
               '-display', 'none', '-serial', 'stdio', '-no-reboot', '-kernel', sim, '-initrd', image, '-append',
               f'ccsim.mode={mode} die={way}', '-device', 'isa-debug-exit,iobase=0xf4,iosize=4']
    p = subprocess.run(command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, timeout=280)
    out = p.stdout.decode(errors='replace')
    print(out)
    sys.exit(text not in out or 'still here' in out or 'ccsim: FAILED' in out or 'panic' in out)


main()
