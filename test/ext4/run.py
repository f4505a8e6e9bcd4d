# SPDX-License-Identifier: MIT
"""run.py basic PROGRAM: run it on images of several kinds; e2fsck finds nothing to say afterwards."""
import os
import subprocess
import sys
import tempfile

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


def run(*command):
    return subprocess.run(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)


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
            done = run(program, image, '')
            if done.returncode:
                sys.exit(f'{name}: {done.stdout}')
            check(image, name)
            print(name, 'ok')


if __name__ == '__main__':
    {'basic': basic}[sys.argv[1]](sys.argv[2])
