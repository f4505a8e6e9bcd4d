# SPDX-License-Identifier: MIT
"""The log of what the firmware measured: Debian's tpm2_eventlog reads it in the guest, and replaying it gives the registers.
SeaBIOS leaves it where the ACPI tables say, OVMF gives it to the stub. usage: eventlog.py ALCOVE seabios|ovmf"""
import hashlib
import os
import re
import shutil
import struct
import subprocess
import sys
import tempfile
import time

OVMF = '/usr/share/OVMF/OVMF_CODE_4M.fd'
VARS = '/usr/share/OVMF/OVMF_VARS_4M.fd'
SHA256 = 11
NO_ACTION = 3
PROGRAMS = ('tpm2', 'base64', 'cat', 'grep', 'sed')
TCTI = 'usr/lib/x86_64-linux-gnu/libtss2-tcti-device.so.0'


def build(alcove, work, form):
    os.makedirs(f'{work}/root/{os.path.dirname(TCTI)}')
    shutil.copy('/' + TCTI, f'{work}/root/{TCTI}')
    here = os.path.dirname(os.path.abspath(__file__))
    shutil.copy(f'{here}/eventlog.sh', f'{work}/root/eventlog.sh')
    with_args = [a for p in PROGRAMS for a in ('--with', f'/usr/bin/{p}')]
    subprocess.run([alcove, 'build', '--format', form, '--root', f'{work}/root', *with_args, '-e', 'PATH=/usr/bin:/bin', '-o',
                    f'{work}/app', '/bin/sh', '/eventlog.sh'], check=True, stdout=subprocess.DEVNULL)


def boot(work, args):
    os.makedirs(f'{work}/tpm')
    tpm = subprocess.Popen(['swtpm', 'socket', '--tpm2', '--tpmstate', f'dir={work}/tpm', '--ctrl', f'type=unixio,path={work}/sock'])
    try:
        for _ in range(600):
            if os.path.exists(f'{work}/sock'):
                break
            time.sleep(0.1)
        r = subprocess.run(['qemu-system-x86_64', '-accel', 'tcg', '-M', 'q35', '-cpu', 'max', '-m', '256', '-nodefaults', '-display',
                            'none', '-serial', 'stdio', '-no-reboot', '-chardev', f'socket,id=t,path={work}/sock', '-tpmdev',
                            'emulator,id=tpm,chardev=t', '-device', 'tpm-crb,tpmdev=tpm'] + args, stdin=subprocess.DEVNULL,
                           stdout=subprocess.PIPE, stderr=subprocess.STDOUT, timeout=540)
    finally:
        tpm.kill()
        tpm.wait()
    return r.stdout.decode(errors='replace').replace('\r', '')


def events(log):
    """(type, register, SHA-256 digest) of each event after the first one."""
    sizes = {}
    at = 32 + struct.unpack_from('<I', log, 28)[0]
    for i in range(struct.unpack_from('<I', log, 56)[0]):
        name, size = struct.unpack_from('<HH', log, 60 + 4 * i)
        sizes[name] = size
    while at < len(log):
        pcr, kind, count = struct.unpack_from('<III', log, at)
        at += 12
        digests = {}
        for _ in range(count):
            name = struct.unpack_from('<H', log, at)[0]
            digests[name] = log[at + 2:at + 2 + sizes[name]]
            at += 2 + sizes[name]
        at += 4 + struct.unpack_from('<I', log, at)[0]
        yield kind, pcr, digests[SHA256]


def replay(log):
    pcrs = {}
    for kind, pcr, digest in events(log):
        if kind != NO_ACTION:
            pcrs[pcr] = hashlib.sha256(pcrs.get(pcr, bytes(32)) + digest).digest()
    return {n: v.hex() for n, v in pcrs.items()}


def check(out):
    """What is wrong."""
    import base64
    text = out[out.find('version: '):]
    wrong = [w for w in ('version: 2', 'classes: /sys/class/tpm/tpm0 /sys/class/tpmrm/tpmrm0', 'dev: 10:224 253:65536', 'mount: 1')
             if w not in text.splitlines()]
    files = {int(n): v.lower() for n, v in re.findall(r'^file (\d+) ([0-9A-F]{64})$', text, re.M)}
    command = {int(n): v.lower() for n, v in re.findall(r'^ +(\d+) *: 0x([0-9A-F]{64})$', text, re.M)}
    bank = re.search(r'^  sha256:\n((?:    \d+ *: 0x[0-9a-f]{64}\n)+)', text[text.find('\npcrs:'):], re.M)
    said = {int(n): v for n, v in re.findall(r'(\d+) *: 0x([0-9a-f]{64})', bank[1])} if bank else {}
    log = max(text.splitlines(), key=len)
    got = replay(base64.b64decode(log))
    print(f'{len(got)} registers of {len(list(events(base64.b64decode(log))))} events')
    if len(files) != 12 or files != command:
        wrong.append(f'as files {files}, by a command {command}')
    if len(got) < 4 or got != said:
        wrong.append(f'tpm2_eventlog replays {said}, this test {got}')
    zero = '00' * 32
    wrong += [f'register {n}: replayed {got.get(n, zero)}, it is {files.get(n)}' for n in range(12) if got.get(n, zero) != files.get(n)]
    if not text.rstrip().endswith('done') or 'panic' in out or 'alcove: warning' in out:
        wrong.append('the guest')
    return wrong


def main(alcove, firmware):
    with tempfile.TemporaryDirectory(prefix='alcove-test.') as work:
        if firmware == 'seabios':
            build(alcove, work, 'elf')
            args = ['-kernel', f'{work}/app.elf']
        else:
            build(alcove, work, 'efi')
            shutil.copy(VARS, f'{work}/vars.fd')
            args = ['-drive', f'if=pflash,format=raw,unit=0,readonly=on,file={OVMF}', '-drive',
                    f'if=pflash,format=raw,unit=1,file={work}/vars.fd', '-kernel', f'{work}/app.efi']
        out = boot(work, args)
        wrong = check(out)
        if wrong:
            print(out)
            sys.exit('FAILED: ' + '\n'.join(wrong))


main(sys.argv[1], sys.argv[2])
