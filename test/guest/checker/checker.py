#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""An independent judge of disks: Debian's cloud kernel mounts what Alcove wrote, and Alcove what Linux wrote. Both list every file with
hashes of all there is to it (listing.c), and the lists must be the same.

usage: checker.py [--results DIR] ALCOVE NAME OPERATIONS [WORKERS [SEED]]
Processes of test/ext4/exercise.c change a disk, on either system and on this host's tmpfs; what they saw must be the same as well.
powercut.py uses agree() for disks that a power cut left. DIR gets NAME.json, for docs/POWERCUT.md."""
import json
import os
import subprocess
import sys
import tempfile

HERE = os.path.dirname(os.path.abspath(__file__))
TEST = os.path.dirname(os.path.dirname(HERE))
sys.path += [TEST + '/bench', TEST + '/guest/programs']
import disk
import run
from results import build_of

SBIN = {**os.environ, 'PATH': os.environ['PATH'] + ':/usr/sbin:/sbin'}
AT_ONCE = 12
DEADLINE = 3000


def die(text):
    sys.exit(f'checker: {text}')


def compile_to(work):
    for name, source in (('linux_init', f'{TEST}/bench/linux_init.c'), ('listing', f'{HERE}/listing.c'), ('exercise', f'{TEST}/ext4/exercise.c')):
        subprocess.run(['gcc', '-std=gnu11', '-O2', '-static', f'-I{TEST}/include', '-o', f'{work}/{name}', source], check=True)


def boot(work, system, images, options):
    """What the guest wrote, as lines."""
    said = f'{work}/{system}.txt'
    command = ['qemu-system-x86_64', '-M', 'q35', '-accel', 'tcg', '-cpu', 'max', '-smp', '2', '-m', '768', '-nodefaults', '-no-user-config',
               '-no-reboot', '-display', 'none', '-serial', f'file:{said}', *options]
    for i, image in enumerate(images):
        command += ['-drive', f'if=none,id=d{i},file={image},format=raw,cache=unsafe', '-device', f'virtio-blk-pci,drive=d{i},disable-legacy=on']
    try:
        subprocess.run(command, stdin=subprocess.DEVNULL, check=True, timeout=DEADLINE)
    except subprocess.TimeoutExpired:
        pass                             # the caller sees that the end is missing
    with open(said, encoding='utf-8', errors='replace') as f:
        lines = [line.rstrip('\r\n') for line in f]
    if any('panic' in line for line in lines):
        die(f'{system}:\n' + '\n'.join(lines[-40:]))
    return lines


def on_linux(work, images, program, args, env=()):
    cache = os.path.join(os.environ.get('XDG_CACHE_HOME', os.path.expanduser('~/.cache')), 'alcove', 'linux')
    kernel = run.linux_kernel(cache)
    drivers = f'{cache}/root/lib/modules/{os.path.basename(kernel).split("-", 1)[1]}/kernel/drivers'
    modules = [(f'module{i}', f'{drivers}/{m}.ko') for i, m in enumerate(disk.MODULES)]
    run.initramfs(f'{work}/linux.cpio', [('init', f'{work}/linux_init'), ('program', f'{work}/{program}'), *modules])
    append = f'console=ttyS0 quiet panic=-1 random.trust_cpu=on LINUX_GUEST=1 {" ".join(env)} -- /program {" ".join(args)}'
    return boot(work, 'linux', images, ['-kernel', kernel, '-initrd', f'{work}/linux.cpio', '-append', append])


def on_alcove(work, alcove, images, program, args, env=()):
    image = f'{work}/{program}.elf'
    subprocess.run([alcove, 'build', *(w for e in env for w in ('-e', e)), f'{work}/{program}', *args, '-o', image], check=True, stdout=subprocess.DEVNULL)
    return boot(work, 'alcove', images, ['-kernel', image])


def listed(lines, what):
    if not any(line == 'listed' for line in lines):
        die(f'{what} listed no files:\n' + '\n'.join(lines[-20:]))
    return [line for line in lines if line.startswith(('disk ', 'f '))]


def agree(work, alcove, images):
    """Let both systems mount copies of the images; how many files there are. They replay the journals for themselves."""
    count = 0
    for at in range(0, len(images), AT_ONCE):
        some = images[at:at + AT_ONCE]
        nodes = [f'/dev/vd{chr(ord("a") + i)}' for i in range(len(some))]
        lists = []
        for system in ('linux', 'alcove'):
            copies = [f'{work}/copy{i}.img' for i in range(len(some))]
            for image, copy in zip(some, copies):
                subprocess.run(['cp', '--sparse=always', image, copy], check=True)
            lines = on_linux(work, copies, 'listing', nodes) if system == 'linux' else on_alcove(work, alcove, copies, 'listing', nodes)
            lists.append(listed(lines, system))
            for copy in copies:
                clean(copy, system)
                os.unlink(copy)
        if lists[0] != lists[1]:
            unlike = [(a, b) for a, b in zip(*lists) if a != b] or [('', f'{len(lists[0])} and {len(lists[1])} lines')]
            die('\n'.join(f'Linux:  {a}\nAlcove: {b}' for a, b in unlike[:8]))
        count += sum(line.startswith('f ') for line in lists[0])
    return count


def clean(image, who):
    r = subprocess.run(['e2fsck', '-fn', image], capture_output=True, text=True, env=SBIN, check=False)
    if r.returncode:
        die(f'{image} after {who}: e2fsck:\n{r.stdout[-3000:]}')


def remember(results, alcove, name, what, images, files):
    if results:
        os.makedirs(results, exist_ok=True)
        with open(f'{results}/linux-{name}.json', 'w', encoding='utf-8') as f:
            json.dump({'name': name, 'build': build_of(alcove), 'what': what, 'images': images, 'files': files}, f)


def digests(lines, who):
    found = sorted(line for line in lines if line.startswith('worker '))
    if not any(line.endswith(' 0 failed') for line in lines):
        die(f'{who}: the exerciser did not end:\n' + '\n'.join(lines[-20:]))
    return found


def exercise(work, alcove, operations, workers, seed):
    """The same on tmpfs here, on Alcove and on Linux; the two disks."""
    env = [f'EXERCISE_OPS={operations // workers}', f'EXERCISE_SEED={seed}', f'EXERCISE_WORKERS={workers}',
           f'EXERCISE_EVERY={max(operations // workers // 10, 1)}']
    with tempfile.TemporaryDirectory(dir='/dev/shm') as memory:
        here = subprocess.run([f'{work}/exercise'], env={**dict(e.split('=') for e in env), 'EXERCISE_DIR': memory}, capture_output=True, text=True,
                              check=False)
    want = digests(here.stdout.split('\n') + here.stderr.split('\n'), 'tmpfs')
    env += ['EXERCISE_DIR=/tmp/disk', 'EXERCISE_DISK=/dev/vda']
    images = []
    for system in ('alcove', 'linux'):
        image = f'{work}/by-{system}.img'
        subprocess.run(['mke2fs', '-q', '-F', '-t', 'ext4', image, f'{256 + 128 * workers}M'], check=True, env=SBIN)
        lines = on_linux(work, [image], 'exercise', [], env) if system == 'linux' else on_alcove(work, alcove, [image], 'exercise', [], env)
        got = digests(lines, system)
        if got != want:
            die('\n'.join(f'tmpfs: {a}\n{system}: {b}' for a, b in zip(want, got) if a != b) or f'{len(want)} digests, {system} has {len(got)}')
        clean(image, system)
        images.append(image)
    return images


def main(args):
    results = os.path.abspath(args[1]) if args[0] == '--results' else None
    args = args[2:] if results else args
    alcove, name, operations = os.path.abspath(args[0]), args[1], int(args[2])
    workers, seed = int(args[3]) if len(args) > 3 else 4, int(args[4]) if len(args) > 4 else 1
    with tempfile.TemporaryDirectory() as work:
        compile_to(work)
        images = exercise(work, alcove, operations, workers, seed)
        files = agree(work, alcove, images)
    remember(results, alcove, name, f'after {operations:,} operations of {workers} processes on each system, all results as on tmpfs', len(images), files)
    print(f'{operations} operations as on tmpfs, on Alcove and on Linux; each has read all {files} files of both disks, and they are the same')


if __name__ == '__main__':
    main(sys.argv[1:])
