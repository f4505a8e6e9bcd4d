# SPDX-License-Identifier: MIT
"""A key chain as AMD's: a root (ARK), its signing key (ASK), a chip's key (VCEK), made by openssl for one test run; and
the check of a report against it, by openssl too."""
import hashlib
import os
import struct
import subprocess
import uuid

GUIDS = {'ark': 'c0b406a4-a803-4952-9743-3fb6014cd0ae', 'ask': '4ab7b379-bbac-4fe4-a02f-05aef327c782',
         'vcek': '63da758d-e664-4564-adc5-f4b93be8accd'}

# What psp.c's reports say: the versions of the chip's firmware, and which chip it is.
CHIP = [f'1.3.6.1.4.1.3704.1.3.{n} = ASN1:INTEGER:{v}' for n, v in ((1, 3), (2, 0), (3, 20), (8, 10))] + [
    '1.3.6.1.4.1.3704.1.4 = ASN1:FORMAT:HEX,OCTETSTRING:' + '43' * 64]


def openssl(*args, data=None):
    return subprocess.run(['openssl', *args], input=data, capture_output=True, check=True).stdout


class Chain:
    """Keys and certificates in the directory d."""

    def __init__(self, d, days=30):
        self.d = d
        for name, issuer in (('ark', None), ('ask', 'ark'), ('vcek', 'ask')):
            key, cert = self.path(name, 'key'), self.path(name, 'pem')
            openssl('ecparam', '-name', 'secp384r1', '-genkey', '-noout', '-out', key)
            text = [f'basicConstraints = critical,CA:{"false" if name == "vcek" else "true"}'] + (CHIP if name == 'vcek' else [])
            ca = ['-addext', f'basicConstraints=critical,CA:{"false" if name == "vcek" else "true"}']
            sign = ['-CA', self.path(issuer, 'pem'), '-CAkey', self.path(issuer, 'key')] if issuer else []
            request = openssl('req', '-new', '-key', key, '-subj', f'/CN=test {name.upper()}', *ca)
            with open(self.path(name, 'ext'), 'w', encoding='ascii') as f:
                f.write('\n'.join(text) + '\n')
            how = sign or ['-signkey', key]
            openssl('x509', '-req', '-days', str(days), *how, '-extfile', self.path(name, 'ext'), '-set_serial', '1',
                    '-out', cert, data=request)

    def path(self, name, kind):
        return os.path.join(self.d, f'{name}.{kind}')

    def scalar(self):
        """The chip's secret key, 48 bytes."""
        der = openssl('ec', '-in', self.path('vcek', 'key'), '-outform', 'DER')
        at = der.index(b'\x04\x30') + 2
        return der[at:at + 48]

    def table(self):
        """struct cert_table: what a host gives a guest along with a report."""
        certs = [(GUIDS[n], openssl('x509', '-in', self.path(n, 'pem'), '-outform', 'DER')) for n in ('vcek', 'ask', 'ark')]
        at, head, body = 24 * (len(certs) + 1), b'', b''
        for guid, der in certs:
            head += uuid.UUID(guid).bytes_le + struct.pack('<II', at + len(body), len(der))
            body += der
        return head + bytes(24) + body

    def check(self, report):
        """None, or what is wrong with the report."""
        if len(report) != 1184:
            return f'{len(report)} bytes'
        return self.verify(report[:0x2a0], *(int.from_bytes(report[at:at + 72], 'little') for at in (0x2a0, 0x2e8)))

    def verify(self, signed, r, s):
        """The chain and an ECDSA signature by its last key."""
        done = subprocess.run(['openssl', 'verify', '-CAfile', self.path('ark', 'pem'), '-untrusted', self.path('ask', 'pem'),
                               self.path('vcek', 'pem')], capture_output=True, text=True)
        if done.returncode:
            return done.stderr

        def integer(n):
            b = n.to_bytes(n.bit_length() // 8 + 1, 'big')
            return b'\x02' + bytes([len(b)]) + b
        both = integer(r) + integer(s)
        with open(self.path('report', 'sig'), 'wb') as f:
            f.write(b'\x30' + bytes([len(both)]) + both)
        with open(self.path('vcek', 'pub'), 'wb') as f:
            f.write(openssl('x509', '-in', self.path('vcek', 'pem'), '-noout', '-pubkey'))
        done = subprocess.run(['openssl', 'dgst', '-sha384', '-verify', self.path('vcek', 'pub'), '-signature', self.path('report', 'sig')],
                              input=signed, capture_output=True)
        return None if done.returncode == 0 else 'the signature is wrong: ' + done.stdout.decode()


def raw(der, size):
    """r and s of a DER signature, size bytes each."""
    at = 3 if der[1] < 0x80 else 4
    r_len = der[at]
    r, rest = der[at + 1:at + 1 + r_len], der[at + 1 + r_len:]
    return b''.join(int.from_bytes(n, 'big').to_bytes(size, 'big') for n in (r, rest[2:2 + rest[1]]))


def sign(key, data, digest='sha256', size=32):
    return raw(openssl('dgst', '-' + digest, '-sign', key, data=data), size)


class TdxChain:
    """Keys as Intel's in the directory d: a root, a platform's CA, a machine's key (PCK), the quoting enclave's own; and quotes by them."""
    SIGNER = bytes(range(32))  # of the quoting enclave

    def __init__(self, d, days=30):
        self.d = d
        for name, issuer in (('root', None), ('platform', 'root'), ('pck', 'platform')):
            ca = 'false' if name == 'pck' else 'true'
            openssl('ecparam', '-name', 'prime256v1', '-genkey', '-noout', '-out', self.path(name, 'key'))
            request = openssl('req', '-new', '-key', self.path(name, 'key'), '-subj', f'/CN=test {name}')
            with open(self.path(name, 'ext'), 'w', encoding='ascii') as f:
                f.write(f'basicConstraints = critical,CA:{ca}\n')
            sig = ['-CA', self.path(issuer, 'pem'), '-CAkey', self.path(issuer, 'key')] if issuer else ['-signkey', self.path(name, 'key')]
            openssl('x509', '-req', '-days', str(days), *sig, '-extfile', self.path(name, 'ext'), '-set_serial', '1', '-out', self.path(name, 'pem'), data=request)
        openssl('ecparam', '-name', 'prime256v1', '-genkey', '-noout', '-out', self.path('qe', 'key'))
        self.public = openssl('ec', '-in', self.path('qe', 'key'), '-pubout', '-outform', 'DER')[-64:]

    def path(self, name, kind):
        return os.path.join(self.d, f'tdx-{name}.{kind}')

    def secret(self):
        """The quoting enclave's key: the scalar and the point, 96 bytes."""
        der = openssl('ec', '-in', self.path('qe', 'key'), '-outform', 'DER')
        at = der.index(b'\x04\x20') + 2
        return der[at:at + 32] + self.public

    def certification(self, about=None, pem=None):
        """What says whose key signs a quote: certification data of type 6."""
        auth = bytes(range(32))
        qe = bytearray(384)
        qe[128:160] = self.SIGNER
        qe[320:352] = hashlib.sha256((about or self.public) + auth).digest()
        if pem is None:
            pem = b''.join(open(self.path(n, 'pem'), 'rb').read() for n in ('pck', 'platform', 'root'))
        inner = bytes(qe) + sign(self.path('pck', 'key'), bytes(qe)) + struct.pack('<H', len(auth)) + auth + struct.pack('<HI', 5, len(pem)) + pem
        return struct.pack('<HI', 6, len(inner)) + inner

    def quote(self, data, measurements, version=4, attributes=1 << 28, tcb=bytes([5] * 16), more=0, **how):
        """A quote; more: bytes of TDX 1.5's behind the body."""
        body = bytearray(584 + more)
        body[0:16] = tcb
        struct.pack_into('<Q', body, 120, attributes)
        body[136:184], body[376:424], body[424:472] = measurements
        body[520:584] = data
        head = struct.pack('<HHI', version, 2, 0x81) + bytes(40) + (struct.pack('<HI', 3 if more else 2, len(body)) if version == 5 else b'')
        signed = head + bytes(body)
        tail = sign(self.path('qe', 'key'), signed) + self.public + self.certification(**how)
        return signed + struct.pack('<I', len(tail)) + tail

    def check(self, quote):
        """None, or what is wrong with a quote of version 4 that the quoting enclave's key has signed."""
        if quote[:8] != struct.pack('<HHI', 4, 2, 0x81) or quote[636 + 64:636 + 128] != self.public or quote[636 + 128:] != self.certification_kept():
            return f'{len(quote)} bytes, of which some are wrong'
        r, s = quote[636:668], quote[668:700]

        def integer(b):
            b = int.from_bytes(b, 'big')
            b = b.to_bytes(b.bit_length() // 8 + 1, 'big')
            return b'\x02' + bytes([len(b)]) + b
        both = integer(r) + integer(s)
        with open(self.path('quote', 'sig'), 'wb') as f:
            f.write(b'\x30' + bytes([len(both)]) + both)
        openssl('ec', '-in', self.path('qe', 'key'), '-pubout', '-out', self.path('qe', 'pub'))
        done = subprocess.run(['openssl', 'dgst', '-sha256', '-verify', self.path('qe', 'pub'), '-signature', self.path('quote', 'sig')],
                              input=quote[:632], capture_output=True)
        return None if done.returncode == 0 else 'the signature is wrong: ' + done.stdout.decode()

    def certification_kept(self):
        """The same bytes each time, for the simulator and whoever compares: signatures differ."""
        path = self.path('qe', 'cert')
        if not os.path.exists(path):
            with open(path, 'wb') as f:
                f.write(self.certification())
        with open(path, 'rb') as f:
            return f.read()
