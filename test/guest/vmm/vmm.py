# SPDX-License-Identifier: MIT
"""Boot the same app.elf, app.efi and app.img on one machine of the matrix and look at what it says.

usage: vmm.py run ALCOVE PROBE NAME     one row; the images are built for its number of CPUs
       vmm.py names                     the rows' names
       vmm.py table README              fail unless README has the table that these rows make; --write changes it
"""
import os
import re
import shutil
import subprocess
import sys
import tempfile

OVMF = '/usr/share/OVMF/OVMF_CODE_4M.fd'
VARS = '/usr/share/OVMF/OVMF_VARS_4M.fd'
SEABIOS = '/usr/share/seabios/bios-microvm.bin'

# name: what boots it, what README says of the machine, CPUs, memory in MiB, -cpu, and QEMU's further arguments.
ROWS = {
    'pc': ('elf', 'QEMU pc, SeaBIOS', 1, 64, 'qemu64', ['-M', 'pc', '-device', 'virtio-rng-pci']),
    'pc-4g': ('elf', 'QEMU pc, memory on both sides of the hole', 2, 4096, 'max', ['-M', 'pc']),
    'q35': ('elf', 'QEMU q35, SeaBIOS', 1, 32, 'qemu64', ['-M', 'q35', '-device', 'virtio-rng-pci']),
    'q35-8g': ('elf', 'QEMU q35, 8 GiB', 4, 8192, 'max', ['-M', 'q35']),
    'q35-modern': ('elf', 'QEMU q35, virtio without legacy', 3, 128, 'max',
                   ['-M', 'q35', '-device', 'virtio-rng-pci,disable-legacy=on']),
    'q35-nohpet': ('elf', 'QEMU q35 without HPET and PIT', 1, 64, 'max', ['-M', 'q35,hpet=off,pit=off']),
    'microvm': ('elf', 'QEMU microvm, qboot', 1, 16, 'max', ['-M', 'microvm']),
    'microvm-qemu64': ('elf', 'QEMU microvm, qboot, old CPU', 2, 64, 'qemu64', ['-M', 'microvm', '-device', 'virtio-rng-device']),
    'microvm-noacpi': ('elf', 'QEMU microvm without ACPI', 1, 32, 'max', ['-M', 'microvm,acpi=off']),
    'microvm-bare': ('elf', 'QEMU microvm without ACPI, PIC, PIT and RTC', 1, 32, 'max',
                     ['-M', 'microvm,acpi=off,pit=off,pic=off,rtc=off']),
    'microvm-mmio2': ('elf', 'QEMU microvm, virtio-mmio version 2', 1, 64, 'max',
                      ['-M', 'microvm', '-global', 'virtio-mmio.force-legacy=false', '-device', 'virtio-rng-device']),
    'microvm-seabios': ('elf', 'QEMU microvm, SeaBIOS', 1, 64, 'max', ['-M', 'microvm', '-bios', SEABIOS]),
    'microvm-seabios-noacpi': ('elf', 'QEMU microvm, SeaBIOS, without ACPI', 1, 64, 'max',
                               ['-M', 'microvm,acpi=off', '-bios', SEABIOS]),
    'microvm-pcie': ('elf', 'QEMU microvm with PCI Express', 1, 64, 'max',
                     ['-M', 'microvm,pcie=on', '-device', 'virtio-rng-pci']),
    'ovmf-kernel': ('efi', 'QEMU q35, OVMF, `-kernel`', 1, 128, 'max', ['-M', 'q35']),
    'ovmf-kernel-5g': ('efi', 'QEMU q35, OVMF, `-kernel`, 5 GiB', 4, 5120, 'qemu64', ['-M', 'q35', '-device', 'virtio-rng-pci']),
    'ovmf-pc': ('efi', 'QEMU pc, OVMF, `-kernel`', 1, 256, 'max', ['-M', 'pc']),
    'ovmf-img-virtio': ('img', 'QEMU q35, OVMF, virtio-blk disk', 1, 256, 'max', ['-M', 'q35']),
    'ovmf-img-nvme': ('img', 'QEMU q35, OVMF, NVMe disk', 1, 256, 'max', ['-M', 'q35']),
    'ovmf-img-pc': ('img', 'QEMU pc without AHCI, OVMF, virtio-blk disk', 1, 256, 'max', ['-M', 'pc']),
    'ovmf-esp': ('esp', 'QEMU q35, OVMF, EFI system partition', 2, 256, 'max', ['-M', 'q35']),
}

BAD = re.compile(r'panic|BUG|[Ww]arning|not started|cannot be executed')


def fail(text):
    print('FAILED:', text)
    sys.exit(1)


def build(alcove, probe, boots, cpus, memory, nvme, work):
    """The image of this row, and what QEMU takes to boot it."""
    os.makedirs(f'{work}/root/etc')
    with open(f'{work}/root/etc/probe', 'w') as f:
        f.write('packed\n')
    suffix = 'efi' if boots == 'esp' else boots
    image = f'{work}/probe.{suffix}'
    # A quarter for firmware and libOS; at least 4 MiB for the program.
    subprocess.run([alcove, 'build', '--root', f'{work}/root', '-o', image, probe, str(cpus),
                    str(memory * 3 // 4 - 8)], check=True, stdout=subprocess.DEVNULL)
    if boots == 'elf':
        return ['-kernel', image]
    shutil.copy(VARS, f'{work}/vars.fd')
    firmware = ['-drive', f'if=pflash,format=raw,unit=0,readonly=on,file={OVMF}',
                '-drive', f'if=pflash,format=raw,unit=1,file={work}/vars.fd']
    if boots == 'efi':
        return firmware + ['-kernel', image]
    if boots == 'img':
        device = 'nvme,serial=1,drive=boot' if nvme else 'virtio-blk-pci,drive=boot'
        return firmware + ['-drive', f'if=none,id=boot,format=raw,file={image}', '-device', device]
    os.makedirs(f'{work}/esp/EFI/BOOT')
    os.rename(image, f'{work}/esp/EFI/BOOT/BOOTX64.EFI')
    return firmware + ['-drive', f'if=none,id=boot,format=raw,file=fat:rw:{work}/esp',
                       '-device', 'virtio-blk-pci,drive=boot']


def run(alcove, probe, name):
    boots, _, cpus, memory, cpu, args = ROWS[name]
    with tempfile.TemporaryDirectory() as work:
        command = ['qemu-system-x86_64', '-accel', 'tcg', '-nodefaults', '-display', 'none', '-serial', 'stdio',
                   '-no-reboot', '-cpu', cpu, '-smp', str(cpus), '-m', str(memory)] + args
        command += build(alcove, probe, boots, cpus, memory, 'nvme' in name, work)
        print(' '.join(command))
        try:
            r = subprocess.run(command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
                               timeout=240)
        except subprocess.TimeoutExpired as e:
            print((e.stdout or b'').decode(errors='replace'))
            fail('no end within 240 s')
    out = r.stdout.decode(errors='replace')
    print(out)
    if r.returncode or BAD.search(out) or not out.rstrip().endswith('vmm: PASSED'):
        fail(f'{name}: exit status {r.returncode}')


def table():
    lines = ['| machine | boots | CPUs | memory | CPU model |', '|---|---|---|---|---|']
    what = {'elf': 'app.elf', 'efi': 'app.efi', 'esp': 'app.efi', 'img': 'app.img'}
    for boots, text, cpus, memory, cpu, _ in ROWS.values():
        size = f'{memory // 1024} GiB' if memory >= 1024 else f'{memory} MiB'
        lines.append(f'| {text} | {what[boots]} | {cpus} | {size} | {cpu} |')
    return '\n'.join(lines) + '\n'


def check_table(path, write):
    begin, end = '<!-- from test/guest/vmm/vmm.py -->\n', '<!-- end -->\n'
    text = open(path).read()
    if begin not in text or end not in text:
        fail(f'{path} has no place for the table')
    new = text[:text.index(begin) + len(begin)] + table() + text[text.index(end):]
    if write:
        open(path, 'w').write(new)
    elif new != text:
        fail(f'{path}: the table of machines is stale; test/guest/vmm/vmm.py table {path} --write')


if sys.argv[1] == 'run':
    run(*sys.argv[2:5])
elif sys.argv[1] == 'names':
    print('\n'.join(ROWS))
else:
    check_table(sys.argv[2], '--write' in sys.argv)
