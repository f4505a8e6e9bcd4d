# SPDX-License-Identifier: MIT
"""Secure Boot with a key of the user's own: a signed app.efi boots, an unsigned one and one with a changed byte do not.

usage: secureboot.py ALCOVE PROBE

The key is enrolled by writing PK, KEK and db into OVMF's variable store, as its setup menu would. Spec: UEFI 2.10, 32.4.1
(signature lists); EDK II's Guid/VariableFormat.h (authenticated variables).
"""
import os
import struct
import subprocess
import sys
import tempfile
import uuid

CODE = '/usr/share/OVMF/OVMF_CODE_4M.secboot.fd'
VARS = '/usr/share/OVMF/OVMF_VARS_4M.fd'

GLOBAL = uuid.UUID('8be4df61-93ca-11d2-aa0d-00e098032b8c')
DATABASE = uuid.UUID('d719b2cb-3d3a-4596-a3bc-dad00e67656f')
X509 = uuid.UUID('a5c059a1-94e4-4aa7-87b5-ab155c2bf072')
STORE = uuid.UUID('aaf32c78-947b-439a-a180-2e144ec37792')
OWNER = uuid.UUID('6f1d5f8e-2e9b-4b57-9a3c-0f5c1e6b2a11')
NV_BS_RT_TIME = 0x27


def fail(text):
    print('FAILED:', text)
    sys.exit(1)


def run(*command):
    r = subprocess.run(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
    if r.returncode:
        print(r.stdout)
        fail(f'{command[0]}: exit status {r.returncode}')


def signature_list(cert):
    one = OWNER.bytes_le + cert
    return X509.bytes_le + struct.pack('<III', 28 + len(one), 0, len(one)) + one


def variable(name, vendor, data):
    text = (name + '\0').encode('utf-16-le')
    time = struct.pack('<HBBBBBBIhBB', 2024, 1, 1, 0, 0, 0, 0, 0, 0, 0, 0)
    head = struct.pack('<HBBIQ', 0x55aa, 0x3f, 0, NV_BS_RT_TIME, 0) + time
    body = head + struct.pack('<III', 0, len(text), len(data)) + vendor.bytes_le + text + data
    return body + b'\xff' * (-len(body) % 4)


def enrol(cert, path):
    store = bytearray(open(VARS, 'rb').read())
    at = store.find(STORE.bytes_le)
    if at < 0 or store[at + 28:at + 30] != b'\xff\xff':
        fail(f'{VARS}: no empty variable store')
    sig = signature_list(cert)
    data = variable('PK', GLOBAL, sig) + variable('KEK', GLOBAL, sig) + variable('db', DATABASE, sig)
    store[at + 28:at + 28 + len(data)] = data
    open(path, 'wb').write(store)


def boots(image, work):
    """True: the program ran; False: the firmware refused it."""
    esp = f'{work}/esp/EFI/BOOT'
    os.makedirs(esp, exist_ok=True)
    open(f'{esp}/BOOTX64.EFI', 'wb').write(image)
    command = ['qemu-system-x86_64', '-accel', 'tcg', '-M', 'q35,smm=on', '-cpu', 'max', '-m', '256', '-nodefaults',
               '-display', 'none', '-serial', 'stdio', '-no-reboot', '-global', 'driver=cfi.pflash01,property=secure,value=on',
               '-drive', f'if=pflash,format=raw,unit=0,readonly=on,file={CODE}',
               '-drive', f'if=pflash,format=raw,unit=1,snapshot=on,file={work}/vars.fd',
               '-drive', f'if=none,id=boot,format=raw,file=fat:rw:{work}/esp', '-device', 'virtio-blk-pci,drive=boot']
    said = b''
    with subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT) as p:
        try:
            while chunk := p.stdout.read1(4096):
                said += chunk
                if b'Access Denied' in said or b'Security Violation' in said:
                    return False
        finally:
            p.kill()
    print(said.decode(errors='replace'))
    return said.decode(errors='replace').rstrip().endswith('vmm: PASSED')


def verified(image, work):
    open(f'{work}/try.efi', 'wb').write(image)
    return subprocess.run(['sbverify', '--cert', f'{work}/key.pem', f'{work}/try.efi'], stdout=subprocess.DEVNULL,
                          stderr=subprocess.DEVNULL).returncode == 0


def main(alcove, probe):
    with tempfile.TemporaryDirectory() as work:
        os.makedirs(f'{work}/root/etc')
        open(f'{work}/root/etc/probe', 'w').write('packed\n')
        run(alcove, 'build', '--root', f'{work}/root', '-o', f'{work}/plain.efi', probe, '1', '64')
        run('openssl', 'req', '-x509', '-newkey', 'rsa:2048', '-nodes', '-subj', '/CN=owner', '-days', '3650',
            '-keyout', f'{work}/key.key', '-out', f'{work}/key.pem')
        run('openssl', 'x509', '-in', f'{work}/key.pem', '-outform', 'DER', '-out', f'{work}/key.der')
        run('sbsign', '--key', f'{work}/key.key', '--cert', f'{work}/key.pem', '--output', f'{work}/signed.efi',
            f'{work}/plain.efi')
        run(alcove, 'inspect', f'{work}/signed.efi')
        enrol(open(f'{work}/key.der', 'rb').read(), f'{work}/vars.fd')
        plain, signed = open(f'{work}/plain.efi', 'rb').read(), open(f'{work}/signed.efi', 'rb').read()

        # The digest covers each section and the headers; only the checksum and the signature's entry are free.
        if not verified(signed, work):
            fail('sbverify does not accept the signed image')
        step = len(plain) // 40
        for at in [0x80, 0x148] + list(range(1024, len(plain), step)):
            if verified(signed[:at] + bytes([signed[at] ^ 1]) + signed[at + 1:], work):
                fail(f'sbverify accepts a changed byte at {at}')

        if not boots(signed, work):
            fail('the signed image does not boot')
        if boots(plain, work):
            fail('an unsigned image boots')
        at = len(plain) * 3 // 4
        if boots(signed[:at] + bytes([signed[at] ^ 1]) + signed[at + 1:], work):
            fail('an image with a changed byte boots')
    print('signed: boots; unsigned, changed: refused')


main(*sys.argv[1:3])
