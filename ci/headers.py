# SPDX-License-Identifier: MIT
"""Each header of an include/ directory compiles alone, and each prototype in it is explained by a comment.

usage: headers.py SOURCE_ROOT BUILD_ROOT NEWLIB COMPILER...
"""
import os
import re
import subprocess
import sys

ARGS = ['-std=gnu11', '-Wall', '-Wextra', '-Werror', '-Wno-unused-parameter', '-Wstrict-prototypes', '-ffreestanding', '-mgeneral-regs-only',
        '-fsyntax-only', '-nostdinc', '-x', 'c']
BASE, ABI, PLAT, LIBOS = 'libos/base/include', 'libos/abi/include', 'platform/include', 'libos/include'
ARCH = 'platform/x86_64/include'
# Where headers for other layers live, and what each place may see (CONVENTIONS 3).
SEES = {
    BASE: [BASE],
    ABI: [ABI, BASE],
    PLAT: [BASE, ABI, PLAT, ARCH],
    ARCH: [BASE, ABI, PLAT, ARCH],
    LIBOS: [BASE, ABI, PLAT, LIBOS, ARCH],
}
errors = 0


def error(text):
    global errors
    errors += 1
    print(text)


def compile_alone(compiler, system, root, build, folder, name):
    dirs = []
    for d in SEES[folder]:
        dirs += ['-I' + os.path.join(root, d), '-I' + os.path.join(build, d)]
    source = f'#include <{name}>\n#include <{name}>\n'
    done = subprocess.run(compiler + ARGS + dirs + system + ['-'], input=source, text=True, stderr=subprocess.PIPE, check=False)
    if done.returncode:
        error(f'{folder}/{name} does not compile alone:\n{done.stderr}')


def compile_as_installed(root, name):
    """<alcove/*.h> is for users: strict C11 and C++11, with the host's headers."""
    for language, standard in (('c', 'c11'), ('c++', 'c++11')):
        done = subprocess.run(['clang', '-x', language, '-std=' + standard, '-pedantic', '-Wall', '-Wextra', '-Werror', '-fsyntax-only',
                               '-I' + os.path.join(root, LIBOS), '-'],
                              input=f'#include <{name}>\n', text=True, stderr=subprocess.PIPE, check=False)
        if done.returncode:
            error(f'{name} is not clean {standard}:\n{done.stderr}')


PROTOTYPE = re.compile(r'^(?!typedef|return|else|struct \w+ \{|enum|union|#|static inline)[A-Za-z_][\w\s\*]*?\b(\w+)\([^{}]*\)[^{}=]*;\s*$', re.S)


def check_docs(path, shown):
    """A block is a run of lines without a blank one; a comment in it, above the prototype, explains it."""
    lines = open(path, encoding='utf-8').read().split('\n')
    comment_seen = False
    statement, depth, start, in_comment = '', 0, 0, False
    for number, line in enumerate(lines, 1):
        if not line.strip():
            comment_seen, statement = False, ''
            continue
        if in_comment or line.lstrip().startswith('/*'):
            comment_seen = True
            in_comment = '*/' not in line
            continue
        code = re.sub(r'/\*.*?(\*/|$)', '', line)
        if '/*' in line and '*/' not in line.split('/*', 1)[1]:
            in_comment = True
            comment_seen = True
        if depth == 0 and code.startswith('#'):
            statement = ''
            continue
        if depth == 0 and not statement:
            start = number
        statement += code + '\n'
        depth += code.count('{') - code.count('}')
        if depth == 0 and code.rstrip().endswith((';', '}')):
            m = PROTOTYPE.match(statement)
            if m and not comment_seen and '/*' not in line:
                error(f'{shown}:{start}: {m.group(1)} has no comment')
            statement = ''


def main():
    root, build, newlib = sys.argv[1:4]
    compiler = sys.argv[4:]
    own = subprocess.run(compiler + ['-print-file-name=include'], stdout=subprocess.PIPE, text=True, check=True).stdout.strip()
    system = ['-isystem', newlib + '/kernel', '-isystem', build + '/subprojects/newlib-salsa/kernel',
              '-isystem', newlib + '/newlib/libc/include', '-idirafter', own]
    count = 0
    for folder in SEES:
        for where, _, files in sorted(os.walk(os.path.join(root, folder))):
            for file in sorted(files):
                if not file.endswith('.h'):
                    continue
                path = os.path.join(where, file)
                compile_alone(compiler, system, root, build, folder, os.path.relpath(path, os.path.join(root, folder)))
                if where.endswith('/alcove'):
                    compile_as_installed(root, os.path.relpath(path, os.path.join(root, folder)))
                check_docs(path, os.path.relpath(path, root))
                count += 1
    print(f'{count} headers, {errors} errors')
    return 1 if errors or not count else 0


sys.exit(main())
