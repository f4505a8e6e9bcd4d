# SPDX-License-Identifier: MIT
"""Broken images are refused: each rule of the image lint is broken in a built app.elf and app.efi, in each way there is, and
`alcove inspect` and `alcove run` say in one line which. usage: lint.py ALCOVE KERNEL STUB"""
import os
import struct
import subprocess
import sys
import tempfile

ALCOVE = os.path.abspath(sys.argv[1])
os.environ['ALCOVE_KERNEL'] = os.path.abspath(sys.argv[2])
os.environ['ALCOVE_STUB'] = os.path.abspath(sys.argv[3])
PT_LOAD, PT_NOTE = 1, 4
failures, checks = [], 0


def fail(text):
    failures.append(text)
    print('FAILED:', text)


class Elf:
    """The program headers of an ELF64 file, to be changed field by field."""
    FIELDS = {'type': (0, 'I'), 'flags': (4, 'I'), 'offset': (8, 'Q'), 'vaddr': (16, 'Q'), 'paddr': (24, 'Q'), 'filesz': (32, 'Q'),
              'memsz': (40, 'Q')}

    def __init__(self, data):
        self.data = bytearray(data)
        self.phoff, = struct.unpack_from('<Q', data, 32)
        self.phnum, = struct.unpack_from('<H', data, 56)

    def get(self, i, field):
        at, kind = self.FIELDS[field]
        return struct.unpack_from('<' + kind, self.data, self.phoff + 56 * i + at)[0]

    def set(self, i, field, value):
        at, kind = self.FIELDS[field]
        struct.pack_into('<' + kind, self.data, self.phoff + 56 * i + at, value)

    def find(self, kind):
        return [i for i in range(self.phnum) if self.get(i, 'type') == kind]

    def put(self, at, kind, value):
        struct.pack_into('<' + kind, self.data, at, value)


def elf_cases():
    """(name, rule or None where nothing says any more whose file it is, change of an Elf)"""
    def note(e):
        return e.get(e.find(PT_NOTE)[0], 'offset')

    def load(e, n=0):
        return e.find(PT_LOAD)[n]

    def text(e):
        return next(i for i in e.find(PT_LOAD) if e.get(i, 'flags') & 1)

    def data(e):
        return next(i for i in e.find(PT_LOAD) if e.get(i, 'flags') & 2)

    yield 'header size', None, lambda e: e.put(54, 'H', 64)
    yield 'headers inside the file header', None, lambda e: e.put(32, 'Q', 8)
    yield 'headers past the end', None, lambda e: e.put(32, 'Q', len(e.data) // 8 * 8)
    yield 'another machine', 1, lambda e: e.put(18, 'H', 183)
    yield 'no note', 2, lambda e: e.set(e.find(PT_NOTE)[0], 'type', 0)
    yield 'two notes', 2, lambda e: e.set(load(e, -2), 'type', PT_NOTE)
    yield 'another note first', 2, lambda e: e.put(note(e) + 8, 'I', 3)
    yield 'name of another length', 2, lambda e: e.put(note(e), 'I', 8)
    yield 'short descriptor', 2, lambda e: e.put(note(e) + 4, 'I', 2)
    yield 'another owner', 2, lambda e: e.put(note(e) + 12, 'I', 0x554e47)
    yield 'note not aligned', 2, lambda e: e.set(e.find(PT_NOTE)[0], 'offset', note(e) + 1)
    yield 'note past the end', 2, lambda e: e.set(e.find(PT_NOTE)[0], 'offset', len(e.data) - 4)
    yield 'entry below 1 MiB', 3, lambda e: e.put(24, 'Q', 0xff000)
    yield 'PVH entry elsewhere', 4, lambda e: e.put(note(e) + 16, 'I', 0x300)
    yield 'PVH entry not executable', 4, lambda e: e.set(text(e), 'flags', 4)
    yield 'segment below 1 MiB', 5, lambda e: e.set(data(e), 'paddr', 0xf0000)
    yield 'segment in the hole', 5, lambda e: e.set(load(e, -1), 'paddr', 0xbffff000)
    yield 'segment that wraps', 5, lambda e: e.set(load(e, -1), 'memsz', 2**64 - 4096)
    yield 'segments overlap', 6, lambda e: e.set(data(e), 'paddr', e.get(text(e), 'paddr'))
    yield 'more in the file than in memory', 6, lambda e: e.set(text(e), 'memsz', e.get(text(e), 'filesz') - 1)
    yield 'bytes after the end', 6, lambda e: e.data.extend(bytes(8192))
    yield 'Multiboot', 7, lambda e: e.put(0x1ff8, 'I', 0x1badb002)
    yield 'writable text', 8, lambda e: e.set(text(e), 'flags', 7)


class Pe:
    """Header fields and sections of a PE32+ file."""

    def __init__(self, data):
        self.data = bytearray(data)
        self.pe, = struct.unpack_from('<I', data, 0x3c)
        self.count, optional = struct.unpack_from('<H', data, self.pe + 6)[0], struct.unpack_from('<H', data, self.pe + 20)[0]
        self.table = self.pe + 24 + optional

    def section(self, name):
        for i in range(self.count):
            at = self.table + 40 * i
            if self.data[at:at + 8].rstrip(b'\0').decode() == name:
                return at
        raise KeyError(name)

    def put(self, at, kind, value):
        struct.pack_into('<' + kind, self.data, at, value)

    def get(self, at, kind='I'):
        return struct.unpack_from('<' + kind, self.data, at)[0]


def efi_cases():
    def header(offset, kind, value):
        return lambda p: p.put(p.pe + 24 + offset, kind, value)

    def flags(name, value):
        return lambda p: p.put(p.section(name) + 36, 'I', value)

    def libos(change):
        def apply(p):
            at, size = p.get(p.section('.linux') + 20), p.get(p.section('.linux') + 8)
            e = Elf(p.data[at:at + size])
            change(e)
            p.data[at:at + size] = e.data
        return apply

    yield 'another subsystem', 'rule 9', header(68, 'H', 3)
    yield 'sections at 512', 'rule 9', header(32, 'I', 512)
    yield 'no NX', 'rule 9', header(70, 'H', 0)
    yield 'no relocations', 'rule 9', lambda p: p.put(p.pe + 22, 'H', p.get(p.pe + 22, 'H') | 1)
    yield 'writable text', 'rule 10', flags('.text', 0xe0000020)
    yield 'section over another', 'rule 11', lambda p: p.put(p.section('.linux') + 12, 'I', 0x1000)
    yield 'section not aligned', 'rule 11', lambda p: p.put(p.section('.linux') + 12, 'I', p.get(p.section('.linux') + 12) + 512)
    yield 'gap in the file', 'rule 12', lambda p: p.put(p.section('.linux') + 20, 'I', p.get(p.section('.linux') + 20) + 512)
    yield 'bytes after the end', 'rule 12', lambda p: p.data.extend(bytes(16))
    yield 'entry in the header', 'rule 13', header(16, 'I', 0x100)
    yield 'entry not executable', 'rule 13', flags('.text', 0x40000040)
    yield 'no .osrel', 'rule 14', lambda p: p.put(p.section('.osrel'), 'I', 0x78787878)
    yield 'payload elsewhere', 'rule 14', lambda p: p.put(p.section('.cmdline'), 'I', 0x78787878)
    yield 'two notes in the libOS', 'the libOS in .linux: rule 2', libos(lambda e: e.set(e.find(PT_LOAD)[-1], 'type', PT_NOTE))
    yield 'writable text in the libOS', 'the libOS in .linux: rule 8', libos(
        lambda e: e.set(next(i for i in e.find(PT_LOAD) if e.get(i, 'flags') & 1), 'flags', 7))


def refused(name, path, rule):
    global checks
    want = f'is damaged ({rule}: ' if rule else 'is not an Alcove image'
    for command in ('inspect', 'run') if rule else ('inspect',):
        r = subprocess.run([ALCOVE, command, path], stdout=subprocess.PIPE, stderr=subprocess.PIPE, stdin=subprocess.DEVNULL, text=True,
                           timeout=60)
        checks += 1
        lines = r.stderr.splitlines()
        if r.returncode == 0 or r.stdout or len(lines) != 1 or want not in lines[0] or path not in lines[0]:
            fail(f'{name}: alcove {command}: status {r.returncode}, wanted {want!r}, got {r.stdout[:200]!r} {r.stderr[:400]!r}')


def main():
    with tempfile.TemporaryDirectory() as d:
        image = {k: os.path.join(d, 'app.' + k) for k in ('elf', 'efi')}
        for path in image.values():
            subprocess.run([ALCOVE, 'build', '-o', path, '/bin/true'], check=True, stdout=subprocess.DEVNULL)
            if subprocess.run([ALCOVE, 'inspect', path], stdout=subprocess.DEVNULL).returncode:
                fail(f'{path} as built')
        for kind, make, cases in (('elf', Elf, elf_cases()), ('efi', Pe, efi_cases())):
            with open(image[kind], 'rb') as f:
                good = f.read()
            for name, rule, change in cases:
                thing = make(good)
                change(thing)
                path = os.path.join(d, 'broken.' + kind)
                with open(path, 'wb') as f:
                    f.write(thing.data)
                refused(name, path, f'rule {rule}' if isinstance(rule, int) else rule)
    print(f'{checks} checks, {len(failures)} failed')
    sys.exit(1 if failures or not checks else 0)


if __name__ == '__main__':
    main()
