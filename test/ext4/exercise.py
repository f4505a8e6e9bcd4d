# SPDX-License-Identifier: MIT
"""exercise.py NATIVE IN_PROCESS OPS [SEED]: the same random operations on the host's tmpfs and on ext4 disks of several kinds;
what they saw must agree, and e2fsck finds nothing to say afterwards."""
import os
import subprocess
import sys
import tempfile

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
import run

KINDS = [('default 4k', ['-b', '4096'], '96M'), ('1k blocks', ['-b', '1024'], '96M')]


def digests(command, folder, ops, seed):
    env = {**os.environ, 'EXERCISE_DIR': folder, 'EXERCISE_OPS': ops, 'EXERCISE_SEED': str(seed)}
    done = subprocess.run(command, env=env, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    if done.returncode:
        sys.exit(f'{command[0]}: exit status {done.returncode}\n{done.stdout[-1000:]}{done.stderr[-3000:]}')
    return [line for line in done.stdout.split('\n') if 'checks' not in line]


def main(native, in_process, ops, seed='1'):
    for k, (name, options, size) in enumerate(KINDS):
        with tempfile.TemporaryDirectory(dir='/dev/shm') as memory, tempfile.TemporaryDirectory() as folder:
            want = digests([native], memory, ops, int(seed) + k)
            image = os.path.join(folder, 'disk.img')
            run.make(image, options, size)
            got = digests([in_process, image, ''], '/mnt', ops, int(seed) + k)
            for a, b in zip(want, got):
                if a != b:
                    sys.exit(f'{name}: tmpfs has "{a}", ext4 "{b}"')
            run.check(image, name)
        print(name, 'ok')


if __name__ == '__main__':
    main(*sys.argv[1:])
