# SPDX-License-Identifier: MIT
"""KVM for real: Debian's kernel with kvm-amd under TCG's emulated SVM, and in it QEMU with -accel kvm that boots an image.

usage: nested.py ALCOVE PROGRAM STRESS [stop]

stop: a guest that the monitor stops for a while. Its counter goes on meanwhile and kvmclock does not, which is to be noticed.
What TCG lacks is tested here: kvmclock, KVM's local APIC as x2APIC with TSC deadline, interrupts between CPUs through it.
The outer emulator is a newer one than Debian 12's, whose SVM loses registers of a guest with one CPU (HACKING.md).
VMM_FIRECRACKER and VMM_CLOUD_HYPERVISOR name binaries that then boot the image here too; unset, that is said.
"""
import glob
import os
import re
import subprocess
import sys
import tempfile

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path.insert(0, os.path.join(HERE, '../bench'))
import run as bench  # linux_kernel, cpio

DATA = ['/usr/share/qemu/pvh.bin', '/usr/share/qemu/linuxboot_dma.bin', '/usr/share/qemu/multiboot_dma.bin',
        '/usr/share/qemu/kvmvapic.bin', '/usr/share/qemu/qboot.rom', '/usr/share/seabios/bios-256k.bin',
        '/usr/share/seabios/bios-microvm.bin']
QEMU = '/usr/bin/qemu-system-x86_64'
INNER = ['-nodefaults', '-no-user-config', '-display', 'none', '-serial', 'stdio', '-no-reboot', '-m', '128', '-accel', 'kvm',
         '-cpu', 'host']
WAYS = {'cpus': [('-M microvm', 1), ('-M microvm', 2), ('-M q35', 2)],
        'stress': [('-M microvm', 1)] * 4 + [('-M q35', 1), ('-M microvm', 2), ('-M q35', 2)]}


# Looks at the clock for 25 seconds, by the vDSO and by system calls.
CLOCK = r'''#include <stdio.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>
int main(void)
{
    struct timespec a, b, begin;
    clock_gettime(CLOCK_MONOTONIC, &begin);
    a = begin;
    do {
        for (int i = 0; i < 1000; i++) {
            if (i & 1)
                clock_gettime(CLOCK_MONOTONIC, &b);
            else
                syscall(SYS_clock_gettime, CLOCK_MONOTONIC, &b);
            if (b.tv_sec < a.tv_sec || (b.tv_sec == a.tv_sec && b.tv_nsec < a.tv_nsec))
                return 1;
            a = b;
        }
    } while (a.tv_sec - begin.tv_sec < 25);
    puts("clock: monotonic");
    return 0;
}
'''


def content(path):
    with open(path, 'rb') as f:
        return f.read()


def libraries(path):
    out = subprocess.run(['ldd', path], check=True, capture_output=True, text=True).stdout
    return sorted(set(re.findall(r'(/\S+) \(0x', out)))


def monitors(image):
    """Commands for real monitors, and the files that they need."""
    files, commands = [], []
    for name, variable in (('Firecracker', 'VMM_FIRECRACKER'), ('Cloud Hypervisor', 'VMM_CLOUD_HYPERVISOR')):
        path = os.environ.get(variable)
        if not path:
            print(f'left out: {name} ({variable} is not set)')
            continue
        files.append(('vmm/' + variable, path))
        files += [(lib[1:], lib) for lib in libraries(path)] if b'ld-linux' in content(path)[:4096] else []
        if name == 'Firecracker':
            commands.append(['/vmm/' + variable, '--no-api', '--config-file', '/fc.json'])
        else:
            commands.append(['/vmm/' + variable, '--kernel', image, '--cpus', 'boot=2', '--memory', 'size=128M', '--serial', 'tty',
                             '--console', 'off'])
    return files, commands


FC_JSON = b'''{"boot-source": {"kernel_image_path": "/cpus.elf", "boot_args": "x=y"}, "drives": [],
"machine-config": {"vcpu_count": 2, "mem_size_mib": 128}}'''


def archive(d, kernel, images, ways):
    root = kernel[:kernel.index('/boot/')]
    extra, more = monitors('/cpus.elf')
    commands = [[QEMU, *way.split(), '-smp', str(n), *INNER, '-kernel', f'/{name}.elf'] for name in images for way, n in ways[name]]
    commands += more
    files = [('init', f'{d}/init')] + [(os.path.basename(p), p) for m in ('irqbypass', 'kvm', 'kvm-amd')
                                       for p in glob.glob(f'{root}/lib/modules/*/kernel/**/{m}.ko', recursive=True)]
    files += [(p[1:], p) for p in [QEMU, *libraries(QEMU), *filter(os.path.exists, DATA)]] + extra
    files += [(f'{name}.elf', f'{d}/{name}.elf') for name in images]
    dirs = {os.path.dirname(n)[:i] for n, _ in files for i in range(1, len(os.path.dirname(n)) + 1)
            if (os.path.dirname(n) + '/')[i] == '/'} | {'dev', 'proc', 'sys', 'tmp'}
    entries = [(x, 0o40755, 0, b'') for x in sorted(dirs)] + [('dev/console', 0o20600, 5 << 8 | 1, b'')]
    entries += [(n, 0o100755, 0, content(p)) for n, p in dict(files).items()]
    entries += [('commands', 0o100644, 0, ''.join('\n'.join(c) + '\n\n' for c in commands).encode()),
                ('fc.json', 0o100644, 0, FC_JSON)]
    with open(f'{d}/initrd', 'wb') as f:
        f.write(bench.cpio(entries))
    return commands


def main():
    alcove, program, stress = sys.argv[1:4]
    stop = sys.argv[4:] == ['stop']
    ways = {'clock': [('-append log=info -qmp unix:/tmp/qmp,server=on,wait=off -M q35', 2)]} if stop else WAYS
    cache = os.path.join(os.environ.get('XDG_CACHE_HOME', os.path.expanduser('~/.cache')), 'alcove', 'linux')
    kernel = bench.linux_kernel(cache)
    with tempfile.TemporaryDirectory() as d:
        subprocess.run(['gcc', '-O2', '-static', '-o', f'{d}/init', f'{HERE}/nested_init.c'], check=True)
        subprocess.run(['gcc', '-O1', '-static', '-x', 'c', '-', '-o', f'{d}/clock'], input=CLOCK, text=True, check=True)
        for name, args in (('cpus', [program]), ('stress', [stress, '2']), ('clock', [f'{d}/clock'])):
            subprocess.run([alcove, 'build', '-o', f'{d}/{name}.elf', *args], check=True, stdout=subprocess.DEVNULL)
        commands = archive(d, kernel, list(ways), ways)
        outer = subprocess.run([f'{HERE}/../../ci/newer-qemu.sh'], check=True, stdout=subprocess.PIPE, text=True).stdout.split()
        p = subprocess.run([*outer, '-accel', 'tcg', '-M', 'q35', '-cpu', 'max,+svm', '-m', '2048', '-nographic', '-no-reboot', '-nic', 'none',
                            '-kernel', kernel, '-initrd', f'{d}/initrd',
                            '-append', 'console=ttyS0 quiet panic=-1 mitigations=off tsc=reliable'],
                           stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, timeout=1500)
    out = p.stdout.decode(errors='replace').replace('\r', '')
    out = re.sub(r'\x1bc|\x1b\[[0-9;?]*[A-Za-z]', '\n', out)  # firmware clears the screen before the first line
    print(out[-12000:])
    good = out.count('nested: status 0') == len(commands) and 'nested: done' in out
    if stop:
        good = good and 'clock: monotonic' in out and 'warning: clock: kvmclock stopped' in out and 'the host stopped this machine' in out and 'nested: stopped and continued' in out
        out = out.replace('alcove: warning: clock: kvmclock stopped', '')
    else:
        good = good and out.count('stress: good') == len(WAYS['stress']) and all(f'\ncpus: {n}' in out for _, n in WAYS['cpus'])
    if not good or any(w in out for w in ('panic:', 'alcove: warning', 'alcove: error', 'did not start')):
        sys.exit('not every guest ended well')


if __name__ == '__main__':
    main()
