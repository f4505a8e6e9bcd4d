# SPDX-License-Identifier: MIT
"""LUKS2 volumes for tests. cryptsetup makes them and tells the volume key; OpenSSL's AES encrypts and decrypts what is in them,
sector by sector, so both ends are checked against programs that are not ours, and no device mapper is needed."""
import ctypes
import ctypes.util
import json
import os
import struct
import subprocess

crypto = ctypes.CDLL(ctypes.util.find_library('crypto'))
for name in ('EVP_CIPHER_CTX_new', 'EVP_aes_128_xts', 'EVP_aes_256_xts'):
    getattr(crypto, name).restype = ctypes.c_void_p
FAST = ['--pbkdf', 'pbkdf2', '--pbkdf-force-iterations', '1000']


def run(*command):
    return subprocess.run(command, check=True, stdout=subprocess.PIPE, stderr=subprocess.STDOUT).stdout


def make(path, size, key_file, options=()):
    """Make a volume whose data area has size bytes."""
    with open(path, 'wb') as f:
        f.truncate(size + (16 << 20))
    run('cryptsetup', 'luksFormat', '-q', '--type', 'luks2', path, '--key-file', key_file, *(options or FAST))


class Volume:
    """What the header at path says."""

    def __init__(self, path, key_file):
        self.path = path
        dump = json.loads(run('cryptsetup', 'luksDump', '--dump-json-metadata', path))
        segment = dump['segments']['0']
        self.offset, self.sector = int(segment['offset']), int(segment['sector_size'])
        self.size = os.path.getsize(path) - self.offset
        out = path + '.key'
        if os.path.exists(out):
            os.unlink(out)
        run('cryptsetup', 'luksDump', '-q', '--dump-volume-key', '--volume-key-file', out, '--key-file', key_file, path)
        with open(out, 'rb') as f:
            self.key = f.read()
        os.unlink(out)

    def crypt(self, data, encrypt, first=0):
        """data, whole sectors, of which the first one is number first (of 512 bytes)."""
        cipher = crypto.EVP_aes_256_xts() if len(self.key) == 64 else crypto.EVP_aes_128_xts()
        context = ctypes.c_void_p(crypto.EVP_CIPHER_CTX_new())
        out, length, parts = ctypes.create_string_buffer(self.sector), ctypes.c_int(), []
        assert crypto.EVP_CipherInit_ex(context, ctypes.c_void_p(cipher), None, self.key, None, int(encrypt)) == 1
        for at in range(0, len(data), self.sector):
            iv = struct.pack('<QQ', first + at // 512, 0)
            assert crypto.EVP_CipherInit_ex(context, None, None, None, iv, -1) == 1
            assert crypto.EVP_CipherUpdate(context, out, ctypes.byref(length), data[at:at + self.sector], self.sector) == 1
            parts.append(out.raw[:length.value])
        crypto.EVP_CIPHER_CTX_free(context)
        return b''.join(parts)

    def fill(self, plain):
        """Put the content of the file plain into the volume."""
        with open(plain, 'rb') as f, open(self.path, 'r+b') as to:
            at = 0
            while piece := f.read(1 << 20):
                to.seek(self.offset + at)
                to.write(self.crypt(piece, True, at // 512))
                at += len(piece)

    def extract(self, plain, path=None):
        """Write what is in the volume, or in a copy of it at path, into the file plain."""
        with open(path or self.path, 'rb') as f, open(plain, 'wb') as to:
            f.seek(self.offset)
            at = 0
            while piece := f.read(1 << 20):
                to.write(self.crypt(piece, False, at // 512))
                at += len(piece)
