# SPDX-License-Identifier: MIT
"""alcove measure against a second implementation of the specifications, on a firmware file made here; and what it refuses.
usage: measure.py ALCOVE KERNEL STUB"""
import hashlib
import json
import os
import struct
import subprocess
import sys
import tempfile
import uuid

ALCOVE = os.path.abspath(sys.argv[1])
os.environ['ALCOVE_KERNEL'] = os.path.abspath(sys.argv[2])
os.environ['ALCOVE_STUB'] = os.path.abspath(sys.argv[3])
PAGE = 4096
SIZE = 16 * PAGE

RANGES = [(0x800000, 0x3000, 1), (0x803000, 0x1000, 2), (0x804000, 0x1000, 3), (0x805000, 0x1000, 0x10), (0x806000, 0x2000, 1)]
HASHES_AT = 0x805c00
AP = 0x80b004
TDVF = [(0x4000, SIZE - 0x4000, (1 << 32) - SIZE + 0x4000, SIZE - 0x4000, 0, 1), (0, 0x4000, (1 << 32) - SIZE, 0x4000, 1, 0),
        (0, 0, 0x810000, 0x2000, 3, 0), (0, 0, 0x100000, 0x100000, 6, 2)]


def guid(text):
    return uuid.UUID(text).bytes_le


def firmware():
    data = bytearray((i * 7 + i // 251) & 0xff for i in range(SIZE))
    sev = struct.pack('<4sIII', b'ASEV', 16 + 12 * len(RANGES), 1, len(RANGES)) + b''.join(struct.pack('<III', *r) for r in RANGES)
    tdx = struct.pack('<4sIII', b'TDVF', 16 + 32 * len(TDVF), 1, len(TDVF)) + b''.join(struct.pack('<IIQQII', *r) for r in TDVF)
    data[-2048:-2048 + len(sev)] = sev
    data[-1024:-1024 + len(tdx)] = tdx
    entries = b''
    for payload, name in ((struct.pack('<I', 2048), 'dc886566-984a-4798-a75e-5585a7bf67cc'),
                          (struct.pack('<I', 1024), 'e47a6535-984a-4798-865e-4685a7bf8ec2'),
                          (struct.pack('<I', AP), '00f771de-1a7e-4fcb-890e-68c77e2fb44e'),
                          (struct.pack('<II', HASHES_AT, 0x400), '7255371f-3a3b-4b04-927b-1da6efa8d454')):
        entries += payload + struct.pack('<H', len(payload) + 18) + guid(name)
    entries += struct.pack('<H', len(entries) + 18) + guid('96b582de-1fb2-45f7-baea-a366c55a082d')
    data[-32 - len(entries):-32] = entries
    return bytes(data)


def sha384(data):
    return hashlib.sha384(data).digest()


class Launch:
    def __init__(self):
        self.ld = bytes(48)

    def page(self, kind, gpa, content=None):
        digest = sha384(content) if content else bytes(48)
        self.ld = sha384(self.ld + digest + struct.pack('<HBBBBBBQ', 0x70, kind, 0, 0, 0, 0, 0, gpa))


def vmsa(eip, rdx, mxcsr, fcw, cs, ss, tr, pat):
    page = bytearray(PAGE)
    for i, (selector, attributes, base) in enumerate([(0, 0x93, 0), (0xf000, cs, eip & 0xffff0000), (0, ss, 0), (0, 0x93, 0),
                                                      (0, 0x93, 0), (0, 0x93, 0), (0, 0, 0), (0, 0x82, 0), (0, 0, 0), (0, tr, 0)]):
        page[16 * i:16 * i + 16] = struct.pack('<HHIQ', selector, attributes, 0xffff, base)
    for at, value in ((0xd0, 0x1000), (0x148, 0x40), (0x158, 0x10), (0x160, 0x400), (0x168, 0xffff0ff0), (0x170, 2),
                      (0x178, eip & 0xffff), (0x268, pat), (0x310, rdx), (0x3b0, 1), (0x3e8, 1)):
        page[at:at + 8] = struct.pack('<Q', value)
    page[0x408:0x40c] = struct.pack('<I', mxcsr)
    page[0x410:0x412] = struct.pack('<H', fcw)
    return bytes(page)


def hashes_page(kernel, append):
    table = guid('9438d606-4f22-4cc9-b479-a793d411fd21') + struct.pack('<H', 168)
    for name, data in (('97d02dd8-bd20-4c94-aa78-e7714d36ab2a', append.encode() + b'\0'), ('44baf731-3a2f-4bd7-9af1-41e29169781d', b''),
                       ('4de79437-abd2-427f-b835-d5b172d2045b', kernel)):
        table += guid(name) + struct.pack('<H', 50) + hashlib.sha256(data).digest()
    offset = HASHES_AT % PAGE
    return bytes(offset) + table + bytes(PAGE - offset - len(table))


def snp(data, cpus, vmm, kernel=None, append='', signature=0x800f12):
    launch = Launch()
    for at in range(0, len(data), PAGE):
        launch.page(1, (1 << 32) - len(data) + at, data[at:at + PAGE])
    order = [r for r in RANGES if vmm != 'ec2' or r[2] != 3] + [r for r in RANGES if vmm == 'ec2' and r[2] == 3]
    for base, size, kind in order:
        if kind == 2:
            launch.page(5, base)
        elif kind == 3:
            launch.page(6, base)
        elif kind == 0x10 and kernel is not None:
            launch.page(1, base, hashes_page(kernel, append))
        else:
            for at in range(0, size, PAGE):
                launch.page(4 if vmm == 'gce' and kind == 1 else 3, base + at)
    for cpu in range(cpus):
        eip = AP if cpu else 0xfffffff0
        if vmm == 'qemu':
            page = vmsa(eip, signature, 0x1f80, 0x37f, 0x9b, 0x93, 0x8b, 0x0007040600070406)
        elif vmm == 'ec2':
            page = vmsa(eip, 0x600, 0, 0, 0x9b if cpu else 0x9a, 0x92, 0x83, 0x0007040600070406)
        else:
            page = vmsa(eip, 0x600, 0, 0, 0x9b, 0x93, 0x8b, 0x00070106)
        launch.page(2, 0xfffffffff000, page)
    return launch.ld.hex()


def mrtd(data):
    h = hashlib.sha384()
    for at, size, base, memory, _, flags in TDVF:
        if flags & 2:
            continue
        content = (data[at:at + size] + bytes(memory))[:memory]
        for page in range(0, memory, PAGE):
            h.update(b'MEM.PAGE.ADD'.ljust(16, b'\0') + struct.pack('<Q', base + page) + bytes(104))
            if flags & 1:
                for chunk in range(page, page + PAGE, 256):
                    h.update(b'MR.EXTEND'.ljust(16, b'\0') + struct.pack('<Q', base + chunk) + bytes(104))
                    h.update(content[chunk:chunk + 256])
    return h.hexdigest()


failures = checks = 0


def same(text, want, got):
    global failures, checks
    checks += 1
    if want != got:
        failures += 1
        print(f'FAILED: {text}: want {want}, got {got}')


def measure(*args):
    r = subprocess.run([ALCOVE, 'measure', '--json', *args], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    return json.loads(r.stdout) if r.returncode == 0 else r.stderr


def refused(pattern, *args):
    r = measure(*args)
    same(f'{args} is refused', True, isinstance(r, str) and pattern in r and r.count('\n') == 1 and r.startswith('alcove: '))
    if isinstance(r, dict) or pattern not in r:
        print(r)


def main():
    with tempfile.TemporaryDirectory() as work:
        os.chdir(work)
        data = firmware()
        open('ovmf.fd', 'wb').write(data)
        subprocess.run([ALCOVE, 'build', '--format', 'elf,efi,img', '-o', 'app', '/bin/true'], check=True, stdout=subprocess.DEVNULL)
        efi = open('app.efi', 'rb').read()
        fw = ('--firmware', 'ovmf.fd')
        for cpus in (1, 4):
            same('qemu, direct', snp(data, cpus, 'qemu', efi, 'a b'),
                 measure('app.efi', '--snp', *fw, '--cpus', str(cpus), '--append', 'a b')['snp-measurement'])
            for vmm in ('qemu', 'ec2', 'gce'):
                same(f'{vmm}, disk', snp(data, cpus, vmm),
                     measure('app.img', '--snp', *fw, '--vmm', vmm, '--cpus', str(cpus))['snp-measurement'])
        same('another CPU', snp(data, 1, 'qemu', efi, '', 0xa00f11),
             measure('app.efi', '--snp', *fw, '--cpu-type', 'EPYC-Milan')['snp-measurement'])
        same('MRTD', mrtd(data), measure('app.efi', '--tdx', *fw)['mrtd'])
        refused('is not known; one of: EPYC', 'app.efi', '--snp', *fw, '--cpu-type', '486')
        refused('is not known; one of: qemu', 'app.efi', '--snp', *fw, '--vmm', 'xen')
        refused('for what?', 'app.efi')
        refused('neither app.efi nor app.img', 'app.elf', '--vtpm')
        refused('No such file', 'nothing', '--vtpm')
        refused('No such file', 'app.efi', '--snp', '--firmware', 'nothing')
        open('other.fd', 'wb').write(bytes(SIZE))
        refused('no SEV-SNP metadata', 'app.efi', '--snp', '--firmware', 'other.fd')
        refused('no TDX metadata', 'app.efi', '--tdx', '--firmware', 'other.fd')
        for at in range(1, 2200, 37):   # damaged, at worst with another answer
            changed = bytearray(data)
            changed[-at] ^= 0xff
            open('bad.fd', 'wb').write(changed)
            r = subprocess.run([ALCOVE, 'measure', '--json', '--snp', '--tdx', '--firmware', 'bad.fd', 'app.img'],
                               stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
            same(f'byte -{at}', True, r.returncode == 0 or (r.returncode == 1 and r.stderr.startswith('alcove: ')))
        # A signature changes neither what is signed nor what is measured of it.
        before = measure('app.efi', '--vtpm')
        subprocess.run(['openssl', 'req', '-x509', '-newkey', 'rsa:2048', '-nodes', '-subj', '/CN=t', '-keyout', 'k', '-out', 'c'],
                       check=True, stderr=subprocess.DEVNULL)
        subprocess.run(['sbsign', '--key', 'k', '--cert', 'c', '--output', 'app.efi', 'app.efi'], check=True, stderr=subprocess.DEVNULL)
        same('signed', before, measure('app.efi', '--vtpm'))
    print(f'{checks} checks, {failures} failed')
    sys.exit(bool(failures))


main()
