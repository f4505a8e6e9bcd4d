#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Measure what a disk costs, on Alcove and on Debian's cloud kernel, in guest instructions and device exits.

usage: disk.py --build DIR --alcove PATH [--only linux|alcove] [NAME...]

The same static program (diskbench.c) mounts the same image (ext4, 8 GiB, made anew for each) on the same machine (q35 with a
virtio-blk disk on PCI), under the deterministic counter of run.py. String instructions count once. A device exit is an access to a
port or to device memory.
"""
import argparse, os, re, subprocess, sys
sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
import run, ulc

# Guest instructions for each operation, or for all of them (sqlite_*, mount); exits of one.
BUDGETS = {'mount': 5e6, 'write_fdatasync_4k': 8000, 'write_fsync_1m': 350e3, 'sqlite_commits': 10e6,
           'sqlite_selects': 285e6, 'sqlite_inserts': 203e6}
EXITS = {'write_fdatasync_4k': 2}
RATIOS = {'read_direct_qd32': 0.4}
MODULES = ['virtio/virtio_ring', 'virtio/virtio', 'virtio/virtio_pci_legacy_dev', 'virtio/virtio_pci_modern_dev', 'virtio/virtio_pci',
           'block/virtio_blk']


def disk_image(path):
    if os.path.exists(path):
        os.unlink(path)
    with open(path, 'wb') as f:
        f.truncate(8 << 30)
    subprocess.run(['mke2fs', '-q', '-t', 'ext4', '-E', 'lazy_itable_init=1,nodiscard', '-U', '01234567-89ab-cdef-0123-456789abcdef',
                    path], check=True, env={**os.environ, 'PATH': os.environ['PATH'] + ':/usr/sbin:/sbin'})


def machine(disk):
    return ['-M', 'q35', '-m', '512', '-drive', f'if=none,id=d0,file={disk},format=raw,cache=unsafe',
            '-device', 'virtio-blk-pci,drive=d0,disable-legacy=on']


def linux(work, plugin, cache, names):
    kernel = run.linux_kernel(cache)
    version = os.path.basename(kernel).split('-', 1)[1]
    drivers = f'{cache}/root/lib/modules/{version}/kernel/drivers'
    prefix = f'{work}/linux-disk'
    programs = [('init', f'{work}/linux_init'), ('program', f'{work}/diskbench')]
    programs += [(f'module{i}', f'{drivers}/{m}.ko') for i, m in enumerate(MODULES)]
    run.initramfs(prefix + '.cpio', programs)
    disk_image(prefix + '.img')
    append = ('console=ttyS0 quiet panic=-1 random.trust_cpu=on no_timer_check nolapic_timer tsc=reliable '
              'LINUX_GUEST=1 -- /program /dev/vda ' + ' '.join(names))
    run.qemu(machine(prefix + '.img') + ['-kernel', kernel, '-initrd', prefix + '.cpio', '-append', append], prefix, plugin)
    return prefix


def alcove(work, plugin, tool, names):
    prefix = f'{work}/alcove-disk'
    disk_image(prefix + '.img')
    subprocess.run([tool, 'build', f'{work}/diskbench', '/dev/vda', *names, '-o', prefix + '.elf'], check=True, stdout=subprocess.DEVNULL)
    run.qemu(machine(prefix + '.img') + ['-kernel', prefix + '.elf'], prefix, plugin)
    return prefix


def figures(prefix):
    """{name: (instructions of all, operations, exits of all)}"""
    marks = [c for i, c in ulc.load(prefix + '.bin')[1] if i in (0xb1, 0xe1)]
    with open(prefix + '.txt', errors='replace') as f:
        text = f.read()
    ops = re.findall(r'^op (\w+) (\d+)\s*$', text, re.M)
    if not re.search(r'^end\s*$', text, re.M) or len(marks) != 2 * len(ops):
        sys.exit(f'{prefix}: the program did not end; its output is in {prefix}.txt')
    res = {}
    for k, (name, n) in enumerate(ops):
        d = ulc.diff(marks[2 * k], marks[2 * k + 1])
        res[name] = (run.total(d), int(n), d['pio'] + d['mmio_r'] + d['mmio_w'])
    return res


def table(both):
    print(f'{"":28} {"cloud":>12} {"alcove":>12} {"ratio":>6} {"at most":>10}')
    names = list(dict.fromkeys(n for r in both.values() for n in r))
    for n in names:
        whole = n.startswith('sqlite') or n == 'mount'
        each = {k: r[n][0] / (1 if whole else r[n][1]) for k, r in both.items() if n in r}
        budget = BUDGETS.get(n, RATIOS[n] * each['cloud'] if n in RATIOS and 'cloud' in each else None)
        run.row(n, each.get('cloud'), each.get('alcove'), budget)
    for n in names:
        if not n.startswith('sqlite') and n != 'mount':
            each = {k: r[n][2] / r[n][1] for k, r in both.items() if n in r}
            print(f'{"exits of " + n:28} ' + ' '.join(f'{each[k]:12.2f}' if k in each else f'{"-":>12}' for k in ('cloud', 'alcove')) +
                  f'        {EXITS.get(n, "-"):>10} {"" if n not in EXITS or "alcove" not in each else "ok" if each["alcove"] <= EXITS[n] else "OVER"}')


def main():
    # While the guest waits for its disk, its clock goes on as ours does. It must not jump to its next timer, as it does elsewhere: a
    # loaded host would let seconds pass, with their timers, in each wait.
    run.ICOUNT = [o.replace('sleep=off', 'sleep=on') for o in run.ICOUNT]
    ap = argparse.ArgumentParser()
    ap.add_argument('--build', required=True)
    ap.add_argument('--alcove', required=True)
    ap.add_argument('--only', choices=['linux', 'alcove'])
    ap.add_argument('names', nargs='*')
    a = ap.parse_args()
    work = os.path.join(a.build, 'bench')
    run.compile_tools(work)
    subprocess.run(['gcc', '-std=gnu11', '-O2', '-static', '-pthread', '-w', '-o', f'{work}/diskbench', f'{run.HERE}/diskbench.c', '-lsqlite3',
                    '-lm'], check=True, stderr=subprocess.DEVNULL)
    plugin = f'{work}/libulcount.so'
    cache = os.path.join(os.environ.get('XDG_CACHE_HOME', os.path.expanduser('~/.cache')), 'alcove', 'linux')
    both = {}
    if a.only != 'alcove':
        both['cloud'] = figures(linux(work, plugin, cache, a.names))
    if a.only != 'linux':
        both['alcove'] = figures(alcove(work, plugin, a.alcove, a.names))
    table(both)


if __name__ == '__main__':
    main()
