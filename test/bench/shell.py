# SPDX-License-Identifier: MIT
"""What a shell's children cost in wall time: `bash` runs /bin/true 100 times, on Debian's cloud kernel and as an Alcove image,
each in a QEMU of its own on TCG, with one CPU. Pairs alternate, so that what else the machine does meets both; the medians count.

Where addresses are random, an emulator translates each new process's code anew, as it has not met it there: most of the time of
both. So the same is also measured under `setarch -R`, where code is translated once.

usage: shell.py --build DIR --alcove PATH [PAIRS]
"""
import argparse
import os
import re
import shutil
import statistics
import subprocess
import sys

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
import run

SCRIPT = b'''one() { i=0; while [ $i -lt 100 ]; do /bin/true; i=$((i+1)); done; }
one
for round in 1 2 3; do a=$EPOCHREALTIME; one; b=$EPOCHREALTIME; echo "took $(( ${b/./} - ${a/./} )) us"; done
'''
AT_MOST = 0.6
SETARCH = '/usr/bin/setarch'
QEMU = ['qemu-system-x86_64', '-accel', 'tcg', '-smp', '1', '-cpu', 'max', '-m', '512', '-no-reboot', '-nodefaults', '-display', 'none',
        '-no-user-config']


def libraries(*programs):
    """What ld.so would load for these programs: names as they are asked for."""
    out = b''.join(subprocess.run(['ldd', p], stdout=subprocess.PIPE, check=True).stdout for p in programs)
    return sorted(set(re.findall(r'(/\S+) \(0x', out.decode())))


def linux_image(work):
    """An initramfs with bash, true, setarch, and their libraries."""
    paths = ['/bin/true', *libraries('/bin/bash', '/bin/true', SETARCH)]
    directories = {'dev', 'proc', 'tmp'}
    for p in paths:
        parts = p.strip('/').split('/')[:-1]
        directories.update('/'.join(parts[:i + 1]) for i in range(len(parts)))
    files = [(d, 0o40755, 0, b'') for d in sorted(directories)]
    files.append(('dev/console', 0o20600, 5 << 8 | 1, b''))
    for name, path in [('init', f'{work}/linux_init'), ('program', '/bin/bash'), ('setarch', SETARCH), *((p.strip('/'), p) for p in paths)]:
        with open(path, 'rb') as f:
            files.append((name, 0o100755, 0, f.read()))
    files.append(('script', 0o100644, 0, SCRIPT))
    with open(f'{work}/shell.cpio', 'wb') as f:
        f.write(run.cpio(files))


def alcove_images(work, tool):
    """Two: the second one's addresses are not random."""
    root = f'{work}/shell-root'
    shutil.rmtree(root, ignore_errors=True)
    os.makedirs(root)
    with open(f'{root}/script', 'wb') as f:
        f.write(SCRIPT)
    for program, out in [(['/bin/bash'], 'shell'), ([SETARCH, '-R', '/bin/bash'], 'shell-fixed')]:
        subprocess.run([tool, 'build', '--root', root, '--with', 'true', '--with', 'bash', *program, '/script', '-o', f'{work}/{out}.elf'],
                       check=True, stdout=subprocess.DEVNULL)


def once(args, out):
    """The least of three rounds in one boot, in microseconds."""
    subprocess.run([*QEMU, *args, '-serial', f'file:{out}'], check=False, timeout=600, stdin=subprocess.DEVNULL,
                   stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    with open(out, errors='replace') as f:
        rounds = [int(n) for n in re.findall(r'took (\d+) us', f.read())]
    if len(rounds) != 3:
        sys.exit(f'the guest did not end well; its output is in {out}')
    return min(rounds)


def main():
    ap = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    ap.add_argument('--build', required=True)
    ap.add_argument('--alcove', required=True)
    ap.add_argument('pairs', nargs='?', type=int, default=7)
    a = ap.parse_args()
    work = os.path.join(a.build, 'bench')
    run.compile_tools(work)
    cache = os.path.join(os.environ.get('XDG_CACHE_HOME', os.path.expanduser('~/.cache')), 'alcove')
    kernel = run.linux_kernel(f'{cache}/linux')
    linux_image(work)
    alcove_images(work, a.alcove)
    append = 'console=ttyS0 quiet panic=-1 random.trust_cpu=on no_timer_check tsc=reliable LINUX_GUEST=1 -- '
    print(f'{"100 times /bin/true in bash, wall time":49} {"cloud":>10} {"alcove":>10} {"ratio":>6} {"at most":>8}')
    for label, program, image in [('', '/program', 'shell'), (' (fixed addresses)', '/setarch -R /program', 'shell-fixed')]:
        cloud, alcove = [], []
        for _ in range(a.pairs):
            cloud.append(once(['-M', 'q35', '-kernel', kernel, '-initrd', f'{work}/shell.cpio', '-append', f'{append}{program} /script'],
                              f'{work}/shell-linux.txt'))
            alcove.append(once([*run.MICROVM, '-kernel', f'{work}/{image}.elf'], f'{work}/shell-alcove.txt'))
        ratios = [y / x for x, y in zip(cloud, alcove)]
        ratio = statistics.median(ratios)
        print(f'{f"medians of {a.pairs} pairs, ms{label}":49} {statistics.median(cloud) / 1000:10.1f} {statistics.median(alcove) / 1000:10.1f} '
              f'{ratio:6.2f} {AT_MOST:8.2f} {"ok" if ratio <= AT_MOST else "OVER"}')
        print(f'{"ratios of the pairs":49} {" ".join(f"{r:.2f}" for r in sorted(ratios))}', flush=True)


if __name__ == '__main__':
    main()
