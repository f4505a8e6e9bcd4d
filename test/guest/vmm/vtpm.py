# SPDX-License-Identifier: MIT
"""What `alcove measure --vtpm` promises is what a TPM is told: OVMF and the stub extend PCRs of swtpm, whose log has each
command. usage: vtpm.py ALCOVE PROBE"""
import hashlib
import json
import os
import re
import shutil
import subprocess
import sys
import tempfile
import time

OVMF = '/usr/share/OVMF/OVMF_CODE_4M.fd'
VARS = '/usr/share/OVMF/OVMF_VARS_4M.fd'
PCR_EXTEND = b'\0\0\x01\x82'
BANKS = {0x4: ('sha1', 20), 0xb: ('sha256', 32), 0xc: ('sha384', 48), 0xd: ('sha512', 64)}


def replay(log):
    """The registers after the PCR_Extend commands of the log: (bank, index) -> value."""
    pcrs = {}
    for m in re.finditer(r'SWTPM_IO_Read: length (\d+)\n((?: [0-9A-F ]+\n)+)', log):
        command = bytes.fromhex(m[2].replace('\n', ' '))[:int(m[1])]
        if command[6:10] != PCR_EXTEND:
            continue
        index = int.from_bytes(command[10:14], 'big')
        at = 18 + int.from_bytes(command[14:18], 'big')
        count = int.from_bytes(command[at:at + 4], 'big')
        at += 4
        for _ in range(count):
            name, size = BANKS[int.from_bytes(command[at:at + 2], 'big')]
            digest = command[at + 2:at + 2 + size]
            at += 2 + size
            old = pcrs.get((name, index), bytes(size))
            pcrs[name, index] = hashlib.new(name, old + digest).digest()
    return {key: value.hex() for key, value in pcrs.items()}


def boot(work, args):
    os.makedirs(f'{work}/tpm')
    shutil.copy(VARS, f'{work}/vars.fd')
    tpm = subprocess.Popen(['swtpm', 'socket', '--tpm2', '--tpmstate', f'dir={work}/tpm', '--ctrl', f'type=unixio,path={work}/sock',
                            '--flags', 'startup-clear', '--log', f'file={work}/log,level=20'])
    for _ in range(600):
        if os.path.exists(f'{work}/sock'):
            break
        time.sleep(0.1)
    try:
        r = subprocess.run(['qemu-system-x86_64', '-accel', 'tcg', '-M', 'q35', '-cpu', 'max', '-m', '256', '-nodefaults', '-display',
                            'none', '-serial', 'stdio', '-no-reboot',
                            '-drive', f'if=pflash,format=raw,unit=0,readonly=on,file={OVMF}',
                            '-drive', f'if=pflash,format=raw,unit=1,file={work}/vars.fd',
                            '-chardev', f'socket,id=t,path={work}/sock', '-tpmdev', 'emulator,id=tpm,chardev=t',
                            '-device', 'tpm-crb,tpmdev=tpm'] + args, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                           stderr=subprocess.STDOUT, timeout=240)
    finally:
        tpm.kill()
        tpm.wait()
    out = r.stdout.decode(errors='replace')
    if not out.rstrip().endswith('measured'):
        print(out)
        sys.exit('FAILED: no boot')
    pcrs = replay(open(f'{work}/log').read())
    shutil.rmtree(f'{work}/tpm')
    os.unlink(f'{work}/log')
    return pcrs


def main(alcove):
    failures = 0
    with tempfile.TemporaryDirectory() as work:
        subprocess.run([alcove, 'build', '--format', 'efi,img', '-o', f'{work}/app', '/bin/echo', 'measured'], check=True,
                       stdout=subprocess.DEVNULL)
        for image, args in ((f'{work}/app.efi', ['-kernel', f'{work}/app.efi']),
                            (f'{work}/app.img', ['-drive', f'if=none,id=d,format=raw,file={work}/app.img', '-device',
                                                 'virtio-blk-pci,drive=d'])):
            want = json.loads(subprocess.run([alcove, 'measure', '--vtpm', '--json', image], check=True,
                                             stdout=subprocess.PIPE).stdout)
            got = boot(work, args)
            for name, value in want.items():
                bank, pcr = name.split('-pcr')
                if got.get((bank, int(pcr))) != value:
                    failures += 1
                    print(f'FAILED: {image}: {name}: promised {value}, the TPM has {got.get((bank, int(pcr)))}')
            print(f'{image}: {len(want)} registers')
    sys.exit(bool(failures))


main(sys.argv[1])
