# SPDX-License-Identifier: MIT
"""Boot the platform's test image on one machine and look at what it says. usage: run.py IMAGE WANT QEMU-ARG..."""
import subprocess
import sys

image, want, args = sys.argv[1], sys.argv[2], sys.argv[3:]
command = ['qemu-system-x86_64', '-accel', 'tcg', '-nodefaults', '-display', 'none', '-serial', 'stdio', '-no-reboot',
           '-kernel', image] + args
try:
    run = subprocess.run(command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, timeout=120)
    out, status = run.stdout.decode(errors='replace'), run.returncode
except subprocess.TimeoutExpired as e:
    out, status = (e.stdout or b'').decode(errors='replace'), 'timeout'
print(' '.join(command))
print(out)
if want not in out or status != 0:
    print(f'wanted {want!r} and exit status 0, got status {status}')
    sys.exit(1)
