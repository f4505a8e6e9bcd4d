# SPDX-License-Identifier: MIT
"""Write a file as the initialiser of a C array, after checking that it needs nothing at run time.

usage: embed.py VDSO OUTPUT
"""
import struct
import sys

data = open(sys.argv[1], 'rb').read()
if len(data) > 8192:
    sys.exit(f'{sys.argv[1]}: {len(data)} bytes, more than two pages')
phoff, phnum = struct.unpack_from('<Q', data, 32)[0], struct.unpack_from('<H', data, 56)[0]
for i in range(phnum):
    kind, flags, offset, vaddr, _, filesz, memsz, _ = struct.unpack_from('<IIQQQQQQ', data, phoff + 56 * i)
    if kind == 1 and (offset or vaddr or filesz != memsz or flags != 5):
        sys.exit(f'{sys.argv[1]}: not one segment for reading and executing')
    if kind == 2:
        for tag, _ in struct.iter_unpack('<QQ', data[offset:offset + filesz]):
            if tag in (1, 7, 17, 23):  # DT_NEEDED, DT_RELA, DT_REL, DT_JMPREL
                sys.exit(f'{sys.argv[1]}: needs a library or relocation')
with open(sys.argv[2], 'w', encoding='ascii') as out:
    for i in range(0, len(data), 24):
        out.write(''.join(f'{b},' for b in data[i:i + 24]) + '\n')
