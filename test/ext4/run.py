# SPDX-License-Identifier: MIT
"""run.py basic PROGRAM: run it on images of several kinds; e2fsck finds nothing to say afterwards."""
import os
import subprocess
import sys
import tempfile

import luks

os.environ['PATH'] += ':/usr/sbin:/sbin'

# Options of mke2fs, and the size.
KINDS = [
    ('default 4k', ['-b', '4096'], '64M'),
    ('1k blocks', ['-b', '1024'], '48M'),
    ('small groups, 2k', ['-b', '2048', '-g', '2048'], '48M'),
    ('no checksums', ['-b', '4096', '-O', '^metadata_csum,uninit_bg'], '64M'),
    ('no journal, 32 bits', ['-b', '4096', '-O', '^has_journal,^64bit,^metadata_csum'], '64M'),
    ('128 byte inodes', ['-b', '4096', '-I', '128'], '64M'),
]


def run(*command, **env):
    return subprocess.run(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, env={**os.environ, **env})


def make(path, options, size):
    if os.path.exists(path):
        os.unlink(path)
    made = run('mke2fs', '-q', '-F', '-t', 'ext4', *options, path, size)
    if made.returncode:
        sys.exit(made.stdout)


def check(path, what):
    found = run('e2fsck', '-fn', path)
    if found.returncode:
        sys.exit(f'{what}: e2fsck:\n{found.stdout}')


def basic(program):
    with tempfile.TemporaryDirectory() as folder:
        image = os.path.join(folder, 'disk.img')
        for name, options, size in KINDS:
            make(image, options, size)
            done = run(program, image, '', EXT4_JOURNAL='' if '^has_journal' in str(options) else 'yes')
            if done.returncode:
                sys.exit(f'{name}: {done.stdout}')
            check(image, name)
            print(name, 'ok')


# What luksFormat is told, the size, and variables of the environment.
LUKS_KINDS = [
    ('pbkdf2, 512 byte sectors', luks.FAST + ['--sector-size', '512'], {}),
    ('argon2id, 4096 byte sectors', ['--sector-size', '4096', '--pbkdf', 'argon2id', '--pbkdf-memory', '8192',
                                     '--pbkdf-parallel', '4', '--pbkdf-force-iterations', '4'], {}),
    ('AES-128, sha512, without instructions for AES', luks.FAST + ['--key-size', '256', '--hash', 'sha512', '--sector-size', '4096'],
     {'ALCOVE_NO_AES': '1'}),
    ('argon2i, a large header', ['--sector-size', '512', '--pbkdf', 'argon2i', '--pbkdf-memory', '40000', '--luks2-metadata-size', '64k',
                                 '--luks2-keyslots-size', '8m', '--pbkdf-parallel', '1', '--pbkdf-force-iterations', '4'], {}),
]


def luks_basic(program):
    """The same in LUKS2 volumes of cryptsetup's; what is left is decrypted by OpenSSL and given to e2fsck."""
    with tempfile.TemporaryDirectory() as folder:
        image, plain, key = (os.path.join(folder, n) for n in ('disk.img', 'plain.img', 'key'))
        with open(key, 'wb') as f:
            f.write(os.urandom(100))
        for name, options, environment in LUKS_KINDS:
            luks.make(image, 40 << 20, key, options)
            volume = luks.Volume(image, key)
            make(plain, ['-b', '4096'], str(volume.size >> 10))
            volume.fill(plain)
            done = subprocess.run([program, image, ''], stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
                                  env={**os.environ, **environment, 'LUKS_KEY': key})
            if done.returncode:
                sys.exit(f'{name}: {done.stdout}')
            volume.extract(plain)
            check(plain, name)
            print(name, 'ok')


if __name__ == '__main__':
    {'basic': basic, 'luks': luks_basic}[sys.argv[1]](sys.argv[2])
