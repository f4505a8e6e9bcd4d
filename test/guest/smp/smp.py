# SPDX-License-Identifier: MIT
"""Several CPUs. usage: smp.py ALCOVE stress PROGRAM SECONDS
                        smp.py ALCOVE boot PROGRAM MACHINE CPU COUNT...

stress: with 4 CPUs for so long. boot: PROGRAM (cpus.c) on MACHINE with each number of CPUs, as QEMU's model CPU. Nothing
may follow the good line, and a panic, a warning or a CPU that did not start is a failure.
"""
import os
import subprocess
import sys
import tempfile

BAD = ('panic', 'alcove: warning', 'alcove: error', 'did not start', 'not used', 'no progress')


def judge(out, want, status):
    print(out[-6000:])
    if status != 0 or want not in out.splitlines() or any(b in out for b in BAD):
        print(f'wanted {want!r} and exit status 0; got {status}')
        return False
    return True


def run(command, limit):
    try:
        p = subprocess.run(command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, timeout=limit)
        return p.stdout.decode(errors='replace').replace('\r', ''), p.returncode
    except subprocess.TimeoutExpired as e:
        return (e.stdout or b'').decode(errors='replace'), 'timeout'


def stress(alcove, program, seconds):
    out, status = run([alcove, 'run', '--cpus', '4', program, seconds], int(seconds) * 4 + 400)
    return judge(out, 'stress: good', status)


def boot(alcove, program, machine, cpu, counts):
    good = True
    with tempfile.TemporaryDirectory() as d:
        image = os.path.join(d, 'cpus.elf')
        subprocess.run([alcove, 'build', '-o', image, program], check=True, stdout=subprocess.DEVNULL)
        for n in counts:
            out, status = run(['qemu-system-x86_64', '-accel', 'tcg,thread=multi', '-M', machine, '-cpu', cpu, '-m', '256',
                               '-smp', n, '-nodefaults', '-display', 'none', '-serial', 'stdio', '-no-reboot',
                               '-kernel', image], 280)
            print(f'{machine} {cpu} {n} CPUs')
            good = judge(out, f'cpus: {n}', status) and good
    return good


def main():
    alcove, what, program, args = sys.argv[1], sys.argv[2], sys.argv[3], sys.argv[4:]
    good = stress(alcove, program, args[0]) if what == 'stress' else boot(alcove, program, args[0], args[1], args[2:])
    sys.exit(0 if good else 1)


if __name__ == '__main__':
    main()
