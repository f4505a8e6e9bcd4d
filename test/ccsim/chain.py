# SPDX-License-Identifier: MIT
"""A key chain as AMD's: a root (ARK), its signing key (ASK), a chip's key (VCEK), made by openssl for one test run; and
the check of a report against it, by openssl too."""
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

    def check_quote(self, quote):
        """The same for a TDX quote of version 4."""
        if len(quote) != 48 + 584 + 4 + 96 or quote[0] != 4 or quote[4] != 0x81:
            return f'{len(quote)} bytes'
        return self.verify(quote[:632], *(int.from_bytes(quote[at:at + 48], 'big') for at in (636, 684)))

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
