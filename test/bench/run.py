#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Measure Alcove against a Linux guest in guest instructions, in one run.

usage: run.py --build DIR --alcove PATH [--only linux|alcove] [NAME...]   NAME: a micro-benchmark, `boot` or `size`

The same static benchmark program (ulbench.c) runs on Debian's cloud kernel and as an Alcove image, under QEMU TCG with a
deterministic instruction counter (-icount) and a plugin that counts instructions by address range. Prints a table:
instructions per operation, string instructions counted once, the ratio, and the budget where there is one.
"""
import argparse, glob, os, re, shutil, struct, subprocess, sys, tempfile
sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
import boot, ulc, ulj
from budgets import BUDGETS

HERE = os.path.dirname(os.path.abspath(__file__))
ICOUNT = ['-accel', 'tcg', '-icount', 'shift=0,sleep=off', '-seed', '1',
          '-rtc', 'base=2025-01-01T00:00:00,clock=vm', '-smp', '1', '-cpu', 'max', '-no-reboot',
          '-nodefaults', '-display', 'none', '-no-user-config']
MICROVM = ['-M', 'microvm,acpi=on,rtc=on,pit=off,pic=off,x-option-roms=off']


def compile_tools(out):
    def cc(args):
        subprocess.run(['gcc', '-std=gnu11', '-O2'] + args, check=True)
    os.makedirs(out, exist_ok=True)
    cc(['-static', '-pthread', '-o', f'{out}/ulbench', f'{HERE}/ulbench.c'])
    cc(['-static', '-o', f'{out}/hello', f'{HERE}/hello.c'])
    cc(['-static', '-o', f'{out}/linux_init', f'{HERE}/linux_init.c'])
    plugin = ['-fPIC', '-shared', '-fvisibility=hidden', f'{HERE}/ulcount.c']
    cc(plugin + ['-o', f'{out}/libulcount.so'])
    cc(plugin + ['-DPLUGIN_API=4', '-o', f'{out}/libulcount4.so'])


def linux_kernel(cache):
    """Debian's cloud kernel, downloaded once into cache; the path of its bzImage."""
    os.makedirs(cache, exist_ok=True)
    found = glob.glob(f'{cache}/root/boot/vmlinuz-*')
    if not found:
        deps = subprocess.run(['apt-cache', 'depends', 'linux-image-cloud-amd64'], check=True, capture_output=True, text=True)
        package = re.search(r'Depends: (linux-image-\S+)', deps.stdout)[1]
        subprocess.run(['apt-get', 'download', '-qq', package], cwd=cache, check=True)
        subprocess.run(['dpkg-deb', '-x', glob.glob(f'{cache}/{package}_*.deb')[0], f'{cache}/root'], check=True)
        found = glob.glob(f'{cache}/root/boot/vmlinuz-*')
    return found[0]


def cpio(files):
    """An uncompressed newc archive: [(name, mode, rdev, content)]."""
    out = bytearray()
    for ino, (name, mode, rdev, data) in enumerate(files + [('TRAILER!!!', 0, 0, b'')], 1):
        fields = (ino, mode, 0, 0, 1, 0, len(data), 0, 0, rdev >> 8, rdev & 255, len(name) + 1, 0)
        out += b'070701' + b''.join(b'%08X' % f for f in fields) + name.encode() + b'\0'
        out += b'\0' * (-len(out) % 4) + data
        out += b'\0' * (-len(out) % 4)
    return bytes(out)


def initramfs(out, programs):
    files = [(d, 0o40755, 0, b'') for d in ('dev', 'proc', 'tmp')]
    files.append(('dev/console', 0o20600, 5 << 8 | 1, b''))
    for name, path in programs:
        files.append((name, 0o100755, 0, open(path, 'rb').read()))
    with open(out, 'wb') as f:
        f.write(cpio(files))


def qemu(args, prefix, plugin, timeout=900, check=True):
    """Run a guest to its end; serial output in PREFIX.txt, counters in PREFIX.bin. False: it did not end."""
    cmd = ['qemu-system-x86_64'] + ICOUNT + args + ['-serial', f'file:{prefix}.txt']
    if plugin:
        cmd += ['-plugin', f'{plugin},out={prefix}.bin,rep=on,io=on']
    try:
        r = subprocess.run(cmd, timeout=timeout, capture_output=True, text=True, stdin=subprocess.DEVNULL)
    except subprocess.TimeoutExpired:
        if check:
            sys.exit(f'{prefix}: the guest did not end within {timeout} s; its output is in {prefix}.txt')
        return False
    if r.returncode and check:
        sys.exit(f'qemu: {r.stderr.strip()}')
    return r.returncode == 0


class Linux:
    name = 'cloud'

    def __init__(self, work, plugin, cache):
        self.work, self.plugin, self.kernel = work, plugin, linux_kernel(cache)

    def run(self, tag, program, args, memory=512, **kw):
        prefix = f'{self.work}/linux-{tag}'
        initramfs(prefix + '.cpio', [('init', f'{self.work}/linux_init'), ('program', program)])
        append = ('console=ttyS0 quiet panic=-1 random.trust_cpu=on no_timer_check nolapic_timer tsc=reliable '
                  'LINUX_GUEST=1 -- /program ' + ' '.join(args))
        ok = qemu(['-M', 'q35', '-m', str(memory), '-kernel', self.kernel, '-initrd', prefix + '.cpio', '-append', append],
                  prefix, self.plugin, **kw)
        return prefix if ok else None


class Alcove:
    name = 'alcove'

    def __init__(self, work, plugin, tool):
        self.work, self.plugin, self.tool = work, plugin, tool

    def image(self, tag, program, args, verity):
        out = f'{self.work}/alcove-{tag}.elf'
        subprocess.run([self.tool, 'build', '--verity', verity, program, *args, '-o', out], check=True,
                       stdout=subprocess.DEVNULL)
        return out

    def run(self, tag, program, args, memory=512, verity='on', **kw):
        prefix = f'{self.work}/alcove-{tag}'
        image = self.image(tag, program, args, verity)
        ok = qemu(MICROVM + ['-m', str(memory), '-kernel', image], prefix, self.plugin, **kw)
        return prefix if ok else None


def total(c):
    """Instructions of all classes, each string instruction counted once."""
    return ulc.insns(c) - (c['krepit'] - c['krepstart']) - (c['urepit'] - c['urepstart'])


def marks(prefix):
    return ulc.load(prefix + '.bin')[1]


def boot_cost(prefix):
    return total(next(c for i, c in marks(prefix) if i == 0xb0))


def idle_cost(prefix, seconds):
    m = dict((i, c) for i, c in marks(prefix))
    return (total(m[0xe1]) - total(m[0xb1])) / seconds


def least_memory(system, program):
    """Bisect the smallest -m, in MiB, with which hello prints."""
    lo, hi = 1, 256
    while lo < hi:
        mid = (lo + hi) // 2
        prefix = system.run('mem', program, [], memory=mid, timeout=60, check=False)
        text = open(f'{system.work}/{"linux" if system.name == "cloud" else "alcove"}-mem.txt', errors='replace').read()
        lo, hi = (lo, mid) if prefix and 'hello' in text else (mid + 1, hi)
    return lo


def fmt(v):
    if v is None:
        return '-'
    return f'{v / 1e6:.2f} M' if v >= 1e6 else f'{v / 1e3:.1f} k' if v >= 1e4 else f'{v:,.0f}'


def row(name, linux, alcove, budget):
    ratio = f'{alcove / linux:.2f}' if linux and alcove is not None else '-'
    verdict = '' if budget is None else 'missing' if alcove is None else 'ok' if alcove <= budget else 'OVER'
    print(f'{name:49} {fmt(linux):>12} {fmt(alcove):>12} {ratio:>6} {fmt(budget):>10} {verdict}')


def micro(systems, names, work):
    res = {}
    for s in systems:
        prefix = s.run('micro', f'{work}/ulbench', ['-v', '-d', '/tmp'] + names)
        res[s.name] = ulj.join(prefix)
    order = list(dict.fromkeys(n for r in res.values() for n in r))
    for n in order:
        value = {k: r.get(n, {}).get('insn') for k, r in res.items()}
        row(n, value.get('cloud'), value.get('alcove'), BUDGETS.get(n))


def whole(systems, work):
    hello = f'{work}/hello'
    figures = {}
    for s in systems:
        boot = boot_cost(s.run('hello', hello, []))
        idle = idle_cost(s.run('idle', hello, ['20']), 20)
        unchecked = boot_cost(s.run('hello', hello, [], verity='off')) if s.name == 'alcove' else None
        figures[s.name] = (boot, unchecked, idle, least_memory(s, hello))
    for i, (label, budget) in enumerate((('boot to first byte of hello', 1.0e6), ('the same, --verity off', 1.0e6),
                                         ('idle, per second', 1000), ('least memory for hello, MiB', 6))):
        row(label, *(figures.get(k, (None,) * 4)[i] for k in ('cloud', 'alcove')), budget)


def boot_rows(work, tool, cache, kernel):
    debug = os.path.join(os.path.dirname(kernel), 'alcove-kernel.debug')
    for label, value, budget in boot.Boot(work, tool, cache).rows(debug):
        row(label, None, value, budget)


def size_rows(work, tool, kernel):
    for label, value, budget in [*boot.libos_sizes(kernel), *boot.sizes(work, tool)]:
        row(label, None, value, budget)
    wall, cpu = boot.oci_ratio(work, tool)
    row('OCI build / tar xz, percent of wall time', None, 100 * wall, 200)
    row('the same of CPU time', None, 100 * cpu, None)


def main():
    ap = argparse.ArgumentParser()
    ap.add_argument('--build', required=True)
    ap.add_argument('--alcove', required=True)
    ap.add_argument('--kernel', help='the stripped libOS executable, for its size')
    ap.add_argument('--only', choices=['linux', 'alcove'])
    ap.add_argument('--no-whole', action='store_true', help='leave boot, idle and memory out')
    ap.add_argument('names', nargs='*')
    a = ap.parse_args()
    work = os.path.join(a.build, 'bench')
    compile_tools(work)
    plugin = f'{work}/libulcount.so'
    cache = os.path.join(os.environ.get('XDG_CACHE_HOME', os.path.expanduser('~/.cache')), 'alcove')
    parts = {'boot', 'size'} & set(a.names) or ({'boot', 'size'} if not a.names and not a.no_whole else set())
    names = [n for n in a.names if n not in parts]
    systems = []
    if a.only != 'alcove' and (names or not a.names):
        systems.append(Linux(work, plugin, f'{cache}/linux'))
    if a.only != 'linux':
        systems.append(Alcove(work, plugin, a.alcove))
    print(f'{"":49} {"cloud":>12} {"alcove":>12} {"ratio":>6} {"at most":>10}')
    if names or not a.names:
        micro(systems, names, work)
    if not a.no_whole and not a.names:
        whole(systems, work)
    if a.kernel and 'boot' in parts:
        boot_rows(work, a.alcove, f'{cache}/qemu', a.kernel)
    if a.kernel and 'size' in parts:
        size_rows(work, a.alcove, a.kernel)


if __name__ == '__main__':
    main()
