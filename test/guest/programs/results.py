# SPDX-License-Identifier: MIT
"""What a run of a program leaves behind for docs/PROGRAMS.md, which ci/programs.py makes of it.

usage: results.py DIRECTORY ALCOVE NAME WHAT FAILED    FAILED: 0 or 1"""
import glob
import hashlib
import json
import os
import sys


def build_of(alcove):
    """Names a build: a hash of the libOS files beside this alcove."""
    h = hashlib.sha256()
    for path in sorted(glob.glob(os.path.dirname(alcove) + '/../kernel/alcove-kernel*.elf')):
        with open(path, 'rb') as f:
            h.update(f.read())
    return h.hexdigest()[:12]


def note(directory, alcove, name, what, failed, parts=1, skipped=0):
    """Write NAME.json, when there is a directory."""
    if directory:
        os.makedirs(directory, exist_ok=True)
        with open(f'{directory}/{name}.json', 'w', encoding='utf-8') as f:
            json.dump({'name': name, 'build': build_of(alcove), 'what': ' '.join(what.split())[:60], 'parts': parts,
                       'skipped': skipped, 'failed': failed}, f)


if __name__ == '__main__':
    note(*sys.argv[1:5], ['output'] if sys.argv[5] != '0' else [])
