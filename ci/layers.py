# SPDX-License-Identifier: MIT
"""The structural checks that a compiler does not make: what each layer's objects refer to, the order of the modules inside
libos, cycles of headers, and the platform's contract. Exit status 1 after one line for each thing that is wrong.

usage: layers.py SOURCE_ROOT NAME=ARCHIVE...     NAME: base plat libos drivers sys libk, plat_host
"""
import os
import re
import subprocess
import sys

# What the objects of a layer may refer to, besides themselves. libk is newlib; it stands below everything.
MAY_USE = {
    'libk': [],
    'base': ['libk'],
    'plat': ['libk', 'base'],
    'libos': ['libk', 'base', 'plat'],
    'drivers': ['libk', 'base', 'plat', 'libos'],
    'sys': ['libk', 'base', 'libos'],
}
# The one way up: functions that the platform calls, defined by libos or by the generated dispatcher.
UPCALL = re.compile(r'^upcall_')
# How the VM ends is apps/kernel's to say.
FROM_APPS = {'machine_exit'}

# Modules inside libos, lowest first: a file includes the headers of its own module and of those before it. A header belongs to
# the module that defines its functions; one without functions belongs to nobody.
MODULE_ORDER = ['base', 'mm', 'sched', 'time', 'crypto', 'blk', 'file', 'fs', 'cc', 'dev', 'net', 'uring', 'attest', 'ipc', 'proc', 'load', 'procfs']
# Headers for every module: the current thread and process (limits, credentials), raising a signal, sleeping and locking, open
# files (a memory area holds one), the page map that files and memory share, and the door by which opening a device node
# reaches the device.
SHARED = {'libos/thread.h', 'libos/process.h', 'libos/signal.h', 'libos/sched.h', 'libos/deferred.h', 'libos/lock.h', 'libos/waitq.h', 'libos/timer.h',
          'libos/pagemap.h', 'libos/file.h', 'libos/dev/char.h'}

# What a driver may use of libOS besides the device classes: locks, memory, timers, the random generator to feed.
FOR_DRIVERS = {'libos/heap.h', 'libos/lock.h', 'libos/random.h', 'libos/timer.h'}

# The linker's view of ring 0: sections that run or hide code outside the explicit lists.
BAD_SECTION = re.compile(r'^\.(init_array|fini_array|preinit_array|ctors|dtors)')

errors = []


def error(text):
    errors.append(text)
    print(text)


def run(*command):
    return subprocess.run(command, stdout=subprocess.PIPE, text=True, check=True).stdout


def symbols(archive):
    """(defined, undefined, weak): name -> object."""
    defined, undefined, weak = {}, {}, {}
    obj = '?'
    for line in run('nm', '-g', archive).splitlines():
        if line.endswith(':'):
            obj = os.path.basename(line[:-1])
            continue
        fields = line.split()
        if len(fields) < 2:
            continue
        kind, name = fields[-2], fields[-1]
        if kind in 'wWvV':
            weak[name] = obj
        if kind in 'Uw':
            undefined.setdefault(name, obj)
        else:
            defined[name] = obj
    return defined, undefined, weak


def linker_symbols(root):
    text = open(os.path.join(root, 'platform/boot/kernel.lds'), encoding='utf-8').read()
    return set(re.findall(r'^\s*(\w+) = ', text, flags=re.M))


def check_symbols(layers, from_linker):
    for name, (defined, undefined, weak) in layers.items():
        for symbol, obj in weak.items():
            error(f'{name}: {obj}: weak symbol {symbol}')
        seen = set(defined) | (from_linker if name == 'plat' else set())
        for other in MAY_USE[name]:
            seen |= set(layers.get(other, ({}, {}, {}))[0])
        for symbol, obj in undefined.items():
            if symbol in seen or symbol == '_GLOBAL_OFFSET_TABLE_':
                continue
            if (name == 'plat' and UPCALL.match(symbol)) or (name in ('libos', 'sys') and symbol in FROM_APPS):
                continue
            owner = [o for o in layers if symbol in layers[o][0]]
            if owner:
                error(f'{name}: {obj}: refers to {symbol} of {owner[0]}, a layer it may not use')
            elif name != 'libk':
                error(f'{name}: {obj}: {symbol} is defined in no layer that it may use')


def check_sections(name, archive):
    for line in run('objdump', '-h', archive).splitlines():
        fields = line.split()
        if len(fields) > 2 and BAD_SECTION.match(fields[1]) and int(fields[2], 16):
            error(f'{name}: section {fields[1]}: constructors are not run in ring 0; put it in the boot list')


def strip_comments(text):
    return re.sub(r'/\*.*?\*/', lambda m: '\n' * m.group(0).count('\n'), text, flags=re.S)


def seam(root):
    """Functions declared in plat/*.h that a platform must define: those that no header defines inline."""
    declared, inline = set(), set()
    for folder in ('platform/include/plat', 'platform/x86_64/include/plat_arch', 'platform/host/include/plat_arch'):
        for file in sorted(os.listdir(os.path.join(root, folder))):
            if not file.endswith('.h'):
                continue
            text = strip_comments(open(os.path.join(root, folder, file), encoding='utf-8').read())
            text = re.sub(r'^\s*#(?:[^\n]*\\\n)*[^\n]*', '', text, flags=re.M)
            for m in re.finditer(r'\b(plat_\w+)\s*\(([^;{}]*)\)\s*(?:__attribute__\s*\(\(.*?\)\)\s*)?([;{])', text):
                before = text[:m.start()].rsplit(';', 1)[-1].rsplit('}', 1)[-1]
                if m.group(3) == '{':
                    inline.add(m.group(1))
                elif folder.endswith('plat') and re.search(r'\w[\w\s\*]*$', before) and 'return' not in before:
                    declared.add(m.group(1))
    return declared - inline, inline


def check_seam(root, backends):
    declared, inline = seam(root)
    print(f'the seam: {len(declared)} functions to define, {len(inline)} inline')
    for name, (defined, _, _) in backends.items():
        have = {s for s in defined if s.startswith('plat_')}
        for symbol in sorted(declared - have):
            error(f'{name}: {symbol} is declared in plat/*.h and not defined')
        for symbol in sorted(s for s in have - declared - inline if not s.startswith('plat_host_')):
            error(f'{name}: {defined[symbol]}: {symbol} is global and not declared in plat/*.h')


def includes(path):
    text = strip_comments(open(path, encoding='utf-8').read())
    return re.findall(r'^\s*#\s*include\s+[<"]([^>"]+)[>"]', text, flags=re.M)


def sources(root, folder, ext):
    for where, dirs, files in os.walk(os.path.join(root, folder)):
        dirs[:] = [d for d in dirs if not d.startswith('.')]
        for file in sorted(files):
            if file.endswith(ext):
                yield os.path.join(where, file)


def header_modules(root, objects):
    """header of libos/include/libos -> module, by who defines the functions that it declares."""
    owner = {}
    for path in sources(root, 'libos/include/libos', '.h'):
        names = set(re.findall(r'\b(\w+)\s*\(', strip_comments(open(path, encoding='utf-8').read())))
        votes = [objects[n].split('_')[0] for n in names if n in objects]
        if votes:
            owner[os.path.relpath(path, os.path.join(root, 'libos/include'))] = max(sorted(set(votes)), key=votes.count)
    return owner


def check_modules(root, objects):
    owner = header_modules(root, objects)
    for path in sources(root, 'libos', ('.c', '.h')):
        module = os.path.relpath(path, os.path.join(root, 'libos')).split(os.sep)[0]
        if module not in MODULE_ORDER:
            continue
        for inc in includes(path):
            if inc in SHARED:
                continue
            other = owner.get(inc, 'base')
            if other not in MODULE_ORDER:
                error(f'{inc}: module {other} is not in MODULE_ORDER')
            elif MODULE_ORDER.index(other) > MODULE_ORDER.index(module):
                error(f'{os.path.relpath(path, root)}: module {module} includes {inc} of the later module {other}')
    for path in sources(root, 'drivers', ('.c', '.h')):
        for inc in includes(path):
            if inc.startswith('libos/') and not inc.startswith('libos/dev/') and inc not in FOR_DRIVERS:
                error(f'{os.path.relpath(path, root)}: a driver includes {inc}; it may see libos/dev/* and {", ".join(sorted(FOR_DRIVERS))}')


def check_cycles(root):
    graph = {}
    folders = ['libos/base/include', 'libos/abi/include', 'platform/include', 'platform/x86_64/include', 'libos/include']
    where = {}
    for folder in folders:
        for path in sources(root, folder, '.h'):
            where[os.path.relpath(path, os.path.join(root, folder))] = path
    for name, path in where.items():
        graph[name] = [i for i in includes(path) if i in where]
    done = set()

    def visit(node, trail):
        if node in trail:
            error('headers include each other: ' + ' -> '.join(trail[trail.index(node):] + [node]))
            return
        if node in done:
            return
        for nxt in graph[node]:
            visit(nxt, trail + [node])
        done.add(node)

    for node in graph:
        visit(node, [])


def main():
    root = sys.argv[1]
    archives = dict(arg.split('=', 1) for arg in sys.argv[2:])
    read = {name: symbols(path) for name, path in archives.items()}
    check_symbols({name: s for name, s in read.items() if name in MAY_USE}, linker_symbols(root))
    for name, path in archives.items():
        if name in MAY_USE:
            check_sections(name, path)
    check_seam(root, {name: s for name, s in read.items() if name in ('plat', 'plat_host')})
    check_modules(root, read['libos'][0] if 'libos' in read else {})
    check_cycles(root)
    return 1 if errors else 0


sys.exit(main())
