# SPDX-License-Identifier: MIT
"""damage.py PROGRAM IMAGES [SEED]: run it on images whose metadata was changed at random places."""
import os
import random
import shutil
import subprocess
import sys
import tempfile

os.environ['PATH'] += ':/usr/sbin:/sbin'
SIZE = 8 << 20


def run(*command, **more):
    return subprocess.run(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, **more)


def make(folder):
    """An image without checksums, which would stop most damage at once, and its used blocks that are not data."""
    tree, image = os.path.join(folder, 'tree'), os.path.join(folder, 'good.img')
    os.makedirs(os.path.join(tree, 'dir/sub'))
    for i in range(300):
        open(f'{tree}/dir/a name that is not short, number {i}', 'w').close()
    for i, size in enumerate((1, 5000, 70000, 400000)):
        with open(f'{tree}/file{i}', 'wb') as f:
            for at in range(0, size, 20000):
                f.seek(at * 2)
                f.write(bytes([i + 1]) * min(20000, size - at))
        os.setxattr(f'{tree}/file{i}', 'user.large', b'v' * 600)
    os.symlink('x' * 100, f'{tree}/long')
    os.symlink('file1', f'{tree}/short')
    made = run('mke2fs', '-q', '-F', '-t', 'ext4', '-b', '1024', '-O', '^metadata_csum', '-J', 'size=1', '-d', tree, image, '8M')
    indexed = run('e2fsck', '-fyD', image)
    if made.returncode or indexed.returncode > 1:
        sys.exit((made.stdout + indexed.stdout).decode())
    return image


def damage(path, chance, places):
    with open(path, 'r+b') as f:
        for _ in range(chance.choice((1, 2, 4, 20))):
            block = chance.choice(places)
            at = block * 1024 + chance.randrange(1024) if chance.random() < 0.7 else block * 1024 + chance.randrange(64)
            f.seek(at)
            f.write(bytes(chance.choice((0, 1, 2, 4, 0x7f, 0x80, 0xff, chance.randrange(256)))
                          for _ in range(chance.choice((1, 1, 2, 4)))))


def interesting(path):
    """Blocks that are not all the same byte, which is what the files' data is."""
    with open(path, 'rb') as f:
        data = f.read()
    return [i for i in range(len(data) // 1024) if len(set(data[i * 1024:(i + 1) * 1024])) > 1]


def main():
    program, images, seed = sys.argv[1], int(sys.argv[2]), int(sys.argv[3]) if len(sys.argv) > 3 else 1
    chance = random.Random(seed)
    with tempfile.TemporaryDirectory() as folder:
        good, bad = make(folder), os.path.join(folder, 'bad.img')
        places = interesting(good)
        for i in range(images):
            shutil.copyfile(good, bad)
            damage(bad, chance, places)
            try:
                done = run(program, bad, '', timeout=120)
            except subprocess.TimeoutExpired:
                shutil.copyfile(bad, 'damage-hang.img')
                sys.exit(f'image {i} of seed {seed}: does not end')
            if done.returncode:
                sys.exit(f'image {i} of seed {seed}: {done.returncode}\n{done.stdout.decode(errors="replace")[-3000:]}')
        print(f'{images} damaged images: nothing bad happened')


if __name__ == '__main__':
    main()
