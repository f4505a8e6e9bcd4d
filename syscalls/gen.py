#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Read the system call table and write everything that is known about a call.

usage: gen.py TABLE OUTPUT...     each OUTPUT is chosen by its file name:
sys_proto.h     prototypes of the bodies               sys_dispatch.c  the switch that calls them
sys_trace.c     descriptors for trace.c                sys_list.h      number, name, status, note for host tools
sys_names.c     sys_call_name
t_auto.c        tests implied by the declarations      COVERAGE.md     what works, for people
absent_PART.c   the bodies of the groups of a part, for a libOS that is linked without it
"""
import os
import re
import sys

ROW = re.compile(r'^(?P<nr>\d+)\s+(?P<status>full|partial|stub=-?\d+|refuse=E\w+)(?P<marks>(?:\s+(?:blocks|wild))*)\s+'
                 r'(?P<ret>\w+)\s+(?P<name>\w+)\((?P<args>[^()]*)\)\s*(?:;\s*(?P<note>.+))?$')
ABI = ('errno fcntl futex inotify mman poll prctl resource rseq sched signal socket stat statfs time uio utsname '
       'xattr').split()

# By value: table type -> C type. Those of 32 bits ignore the upper half of the register, as Linux does.
VALUES = {t: 'int' for t in 'int fd dirfd pid sig clock key one'.split()}
VALUES |= {t: 'unsigned' for t in 'uint uid gid mode flags'.split()}
VALUES |= {'long': 'long', 'off': 'long', 'ulong': 'unsigned long', 'size': 'size_t', 'addr': 'uintptr_t',
           'lflags': 'unsigned long'}
SIZES = {'u8': 'uint8_t', 'char': 'char', 'int': 'int', 'uint': 'unsigned', 'long': 'long', 'ulong': 'unsigned long',
         'off': 'long', 'size': 'size_t', 'addr': 'uintptr_t', 'u64': 'uint64_t', 'sigset': 'abi_sigset'}
RETURNS = 'int ssize fd pid uid gid mode uint long off addr void'.split()


BY_ARG, TO_NULL = 16, 15  # trace lengths: the value of argument n - 16; up to a NULL


class Arg:
    """One argument: kind (path, str, in, out, inout or a key of VALUES), type, name, len, flags, marks."""

    def __init__(self, text, where):
        self.flags, self.open, self.len = [], False, None
        text, _, names = text.partition(':')
        words = text.split()
        self.kind = words.pop(0)
        self.type = words.pop(0) if self.kind in ('in', 'out', 'inout') else None
        m = re.fullmatch(r'(\w+)(?:\[(\w*)\])?(\??)(!?)', words[0] if len(words) == 1 else '')
        if not m or not (self.type or self.kind in VALUES or self.kind in ('path', 'str')):
            sys.exit(f'{where}: cannot read the argument "{text}"')
        self.name, self.len, self.null, self.untested = m[1], m[2], bool(m[3]), bool(m[4])
        self.pointer = self.type is not None or self.kind in ('path', 'str')
        if names:
            self.flags = names.strip().split('|')
            self.open = self.kind == 'one' or self.flags[-1] == '...'
            self.flags = [f for f in self.flags if f != '...']
        if bool(names) != (self.kind in ('flags', 'lflags', 'one')):
            sys.exit(f'{where}: a list of names belongs to flags, lflags and one: "{self.name}"')

    def ctype(self):
        if self.type:
            return f'user_{self.type}_{self.kind}_t'
        return 'user_str_t' if self.pointer else VALUES[self.kind]

    def passed(self, i):
        return f'({self.ctype()}){{ a{i} }}' if self.pointer else f'({self.ctype()})a{i}'


class Row:
    def __init__(self, m, group, line, where):
        self.nr, self.group, self.line, self.name, self.ret = int(m["nr"]), group, line, m["name"], m["ret"]
        self.status, self.note = m['status'], m['note'] or ''
        self.blocks, self.wild = 'blocks' in m['marks'].split(), 'wild' in m['marks'].split()
        self.args = [Arg(a.strip(), where) for a in split_args(m['args'])]
        self.has_body = self.status in ('full', 'partial')
        names = [a.name for a in self.args]
        for a in self.args:
            if a.len and not a.len.isdigit() and a.len not in names:
                sys.exit(f'{where}: no argument "{a.len}" to be the length of "{a.name}"')
        if self.ret not in RETURNS:
            sys.exit(f'{where}: unknown result type "{self.ret}"')
        if len(names) > 6 or self.nr >= 512:
            sys.exit(f'{where}: at most six arguments, numbers below 512')
        if self.status != 'full' and not self.note:
            sys.exit(f'{where}: {self.name}: what is not full needs a note')


def split_args(text):
    return text.split(',') if text.strip() else []


def read_table(path):
    rows, group, part = [], None, None
    for n, line in enumerate(open(path, encoding='utf-8'), 1):
        line, where = line.strip(), f'{path}:{n}'
        if not line or line.startswith('#'):
            continue
        if m := re.fullmatch(r'\[(\w+)(?: part=(\w+))?\].*', line):
            group, part = m[1], m[2]
        elif m := ROW.match(line):
            rows.append(Row(m, group, n, where))
            rows[-1].part = part
        else:
            sys.exit(f'{where}: cannot read: {line}')
    for key in ('nr', 'name'):
        seen = set()
        for r in rows:
            if (v := getattr(r, key)) in seen:
                sys.exit(f'{path}:{r.line}: {v} is there twice')
            seen.add(v)
    return sorted(rows, key=lambda r: r.nr)


HEAD = '/* SPDX-License-Identifier: MIT */\n/* Written by syscalls/gen.py from syscalls/table. {} */\n'


DISPATCHER = '''long {}(unsigned long a0, unsigned long a1, unsigned long a2, unsigned long a3, unsigned long a4,
                    unsigned long a5, unsigned long nr)'''


def wrap(words, indent, sep=' '):
    """Join words into lines of at most 118 columns."""
    lines, line = [], ''
    for w in words:
        if line and len(indent) + len(line) + len(sep) + len(w) > 118:
            lines.append(line)
            line = w
        else:
            line += (sep if line else '') + w
    return ('\n' + indent).join(lines + [line]) if line else ''


def prototype(r):
    args = [f'{a.ctype()} {a.name}' for a in r.args] or ['void']
    return f'long sys_{r.name}({wrap([a + "," for a in args[:-1]] + args[-1:], "    ")})'


def proto_h(rows):
    out = HEAD.format('The bodies, one per call that has one: a result or a negative errno.')
    out += '#ifndef SYS_PROTO_H\n#define SYS_PROTO_H\n\n'
    out += ''.join(f'#include <abi/{h}.h>\n' for h in ABI) + '#include <base/user_ptr.h>\n#include <stddef.h>\n\n'
    for r in rows:
        if r.has_body:
            out += prototype(r) + ';\n'
    out += '\n' + DISPATCHER.format('upcall_syscall') + ';\n' + DISPATCHER.format('upcall_syscall_traced') + ';\n'
    out += '\n/* How often the call nr, at most SYS_NUMBER_END, was made though it is not implemented. */\n'
    out += 'unsigned sys_missed(unsigned long nr);\n/* Count such a call, below SYS_NUMBER_END. -ENOSYS. */\n'
    out += 'long sys_missing(unsigned long nr);\n'
    return out + '/* The name of a call, or NULL. Slow: it counts names. */\nconst char *sys_call_name(unsigned long nr);\n\n#endif\n'


def absent_c(part):
    def write(rows):
        out = HEAD.format(f'The calls of a libOS that is linked without {part}: not implemented.') + '#include <sys_proto.h>\n'
        for r in rows:
            if r.has_body and r.part == part:
                out += f'\n{prototype(r)}\n{{\n    return sys_missing({r.nr});\n}}\n'
        return out
    return write


def check(a, i):
    """The unknown-flag policy: a bit that the table does not list is EINVAL, unless the list ends in "...". """
    if a.kind not in ('flags', 'lflags') or a.open:
        return ''
    known = wrap([f + ' |' for f in a.flags[:-1]] + a.flags[-1:], ' ' * 12)
    return f'        if (({VALUES[a.kind]})a{i} & ~({VALUES[a.kind]})({known}))\n            return -EINVAL;\n'


def answer(r):
    """What a call without a body returns."""
    kind, _, value = r.status.partition('=')
    return '0' if r.has_body else f'-{value}' if kind == 'refuse' else value


def names_c(rows):
    by_nr = {r.nr: r.name for r in rows}
    names = [f'"{by_nr.get(n, "")}\\0"' for n in range(max(by_nr) + 1)]
    return HEAD.format('The names of the calls.') + f'''#include <sys_proto.h>

/* One name for each number from 0 on, empty where there is no call. */
static const char names[] =
    {wrap(names, "    ")};

const char *sys_call_name(unsigned long nr)
{{
    const char *s = names;
    if (nr >= {len(names)})
        return NULL;
    while (nr--)
        while (*s++)
            ;
    return *s ? s : NULL;
}}
'''


def holes(known):
    """The numbers that are not known, up to SYS_NUMBER_END: with all of them the switch is one comparison and a table."""
    out, start = '', 0
    for nr in sorted(known):
        if nr > start:
            out += f'    case {start} ... {nr - 1}:\n' if nr > start + 1 else f'    case {start}:\n'
        start = nr + 1
    return out + f'    case {start} ... SYS_NUMBER_END - 1:\n'


def dispatch_c(rows):
    out = HEAD.format('The dispatcher: registers in, result out.') + '''\
#include <base/compiler.h>
#include <libos/sys.h>
#include <stdatomic.h>
#include <sys_proto.h>

/* How often each call was made that is not implemented (sys_missing_report). They order nothing. */
static _Atomic unsigned missing[SYS_NUMBER_END], missing_beyond;

/* The parameters are in the order in which the entry code has them: a0 to a5 in registers, nr on the stack. Every body
 * is then a jump with its arguments in place. Tracing costs nothing here: see upcall_syscall_traced in trace.c. */
''' + DISPATCHER.format('upcall_syscall') + '''
{
    switch (nr) {
'''
    refused = {}
    for r in rows:
        if r.has_body:
            out += f'    case {r.nr}:\n' + ''.join(check(a, i) for i, a in enumerate(r.args))
            out += f'        return sys_{r.name}({wrap([a.passed(i) + ("," if i + 1 < len(r.args) else "") for i, a in enumerate(r.args)], " " * 12)});\n'
        elif r.status != 'refuse=ENOSYS':
            refused.setdefault(answer(r), []).append(r)
    for value, group in refused.items():
        out += ''.join(f'    case {r.nr}: /* {r.name} */\n' for r in group)
        out += f'        return {value};\n'
    return out + holes({r.nr for r in rows if r.has_body or r.status != 'refuse=ENOSYS'}) + '''\
        atomic_fetch_add_explicit(&missing[nr], 1, memory_order_relaxed);
        return -ENOSYS;
    default:
        atomic_fetch_add_explicit(&missing_beyond, 1, memory_order_relaxed);
        return -ENOSYS;
    }
}

long sys_missing(unsigned long nr)
{
    atomic_fetch_add_explicit(&missing[nr], 1, memory_order_relaxed);
    return -ENOSYS;
}

unsigned sys_missed(unsigned long nr)
{
    return atomic_load_explicit(nr < SYS_NUMBER_END ? &missing[nr] : &missing_beyond, memory_order_relaxed);
}
'''


class Strings:
    """One blob of NUL-terminated strings, each once; the descriptors hold offsets instead of pointers, which a relocatable
    image would have to relocate one by one."""

    def __init__(self):
        self.at, self.end = {}, 0

    def add(self, s):
        if s not in self.at:
            self.at[s] = self.end
            self.end += len(s) + 1
        return self.at[s]


def trace_c(rows):
    strings, lists, values, args, calls = Strings(), {(): 0}, ['{ 0, 0 },'], [], []
    strings.add('')
    for r in rows:
        calls.append(f'    {{ {r.nr}, {len(args)}, {len(r.args)}, K_{r.ret}, {int(r.blocks)} }}, '
                     f'/* {r.name} */')
        names = [a.name for a in r.args]
        for a in r.args:
            if tuple(a.flags) not in lists:
                lists[tuple(a.flags)] = len(values)
                values += [f'{{ (uint32_t){f}, {strings.add(f)} }},' for f in a.flags] + ['{ 0, 0 },']
            length = 0 if a.len is None else TO_NULL if not a.len else int(a.len) if a.len.isdigit() else BY_ARG + names.index(a.len)
            way = a.kind.upper() if a.type else 'IN' if a.pointer else 'VALUE'
            args.append(f'    {{ TRACE_{way}, K_{a.type or a.kind}, {length}, {lists[tuple(a.flags)]} }}, /* {r.name}: {a.name} */')
    out = HEAD.format('What trace.c knows about each call.') + '#include "trace.h"\n#include <sys_proto.h>\n\n'
    out += 'const struct trace_call trace_calls[] = {\n' + '\n'.join(calls) + f'\n}};\nconst unsigned trace_call_count = {len(rows)};\n\n'
    out += 'const struct trace_arg trace_args[] = {\n' + '\n'.join(args) + '\n};\n\n'
    out += '/* Lists of names, each ended by a name at offset 0. */\nconst struct trace_value trace_values[] = {\n    '
    out += wrap(values, '    ') + '\n};\n\n'
    return out + 'const char trace_strings[] =\n    ' + wrap([f'"{s}\\0"' for s in strings.at], '    ') + ';\n'


def quote(s):
    return '"' + s.replace('\\', '\\\\').replace('"', '\\"') + '"'


def list_h(rows):
    out = HEAD.format('The calls as data, for host tools.') + '#ifndef SYS_LIST_H\n#define SYS_LIST_H\n\n'
    out += 'static const struct sys_list_entry {\n    unsigned nr;\n    const char *name, *status, *note;\n} sys_list[] = {\n'
    for r in rows:
        out += f'    {{ {r.nr}, "{r.name}", "{r.status}", {quote(r.note)} }},\n'
    return out + '};\n\n#endif\n'


def coverage_md(rows, root):
    order = list(dict.fromkeys(r.group for r in sorted(rows, key=lambda r: r.line)))
    count = {s: sum(r.status.split('=')[0] == s for r in rows) for s in ('full', 'partial', 'stub', 'refuse')}
    missing = sum(r.status == 'refuse=ENOSYS' for r in rows)
    out = '# System calls\n\nWritten by `syscalls/gen.py` from `syscalls/table`; a test fails when this file is stale.\n\n'
    out += f'{len(rows)} calls: {count["full"]} full, {count["partial"]} partial, {count["stub"]} stub, '
    out += f'{count["refuse"]} refused ({missing} of them with ENOSYS).\n'
    for g in order:
        test = f'test/sys/{g}.c' if os.path.exists(os.path.join(root, f'test/sys/{g}.c')) else None
        some = any(r.group == g and r.has_body for r in rows)
        out += f'\n## {g}\n\n' + (f'Source `syscalls/{g}.c`, ' + (f'test `{test}`.\n\n' if test else 'no test file.\n\n') if some else '')
        for why in re.findall(r'DIFFERS\("([^"]*)"\)', open(os.path.join(root, test), encoding='utf-8').read() if test else ''):
            out += f'Differs from Linux on purpose: {why}.\n\n'
        out += '| nr | call | status | note |\n|---|---|---|---|\n'
        for r in (r for r in rows if r.group == g):
            if r.status == 'full' and not test:
                sys.exit(f'{r.name} is full, but test/sys/{g}.c does not exist')
            flags = '; '.join(f'{a.name}: ' + ' '.join(a.flags) for a in r.args if a.flags and r.has_body)
            note = '. '.join(x for x in (r.note, f'`{flags}`' if flags else '') if x)
            out += f'| {r.nr} | {r.name} | {r.status} | {note} |\n'
    return out


def t_value(a, row):
    """A harmless C expression for an argument, so that the check under test is the first one that fails."""
    if a.pointer:
        return 't_path' if a.kind == 'path' else '"user.t"' if a.kind == 'str' else 't_buf'
    if a.kind in ('fd', 'dirfd'):
        return 't_fd' if a.kind == 'fd' else 'AT_FDCWD'
    if a.kind == 'one':
        return a.flags[0]
    if a.name == 'sigsetsize':
        return '8'
    return 't_page' if a.kind == 'addr' else '1' if a.kind == 'size' or a.name in [b.len for b in row.args] else '0'


def t_auto_c(rows):
    out = HEAD.format('What the declarations imply, as tests; they pass on Linux too.')
    out += '#include "t_auto.h"\n\nint main(void)\n{\n    t_auto_init();\n'
    for r in rows:
        lines = []
        for i, a in enumerate(r.args):
            bad = []
            if a.kind == 'fd':
                bad = [('EBADF', '-1'), ('EBADF', 'T_NO_FD')]
            elif a.pointer:
                bad = [('EFAULT', 'T_BAD'), ('EFAULT', 'T_KERNEL')]
            elif a.kind in ('flags', 'lflags') and not a.open:
                bad = [('EINVAL', f'T_UNKNOWN({wrap([f + " |" for f in a.flags[:-1]] + a.flags[-1:], " " * 16)})')]
            for errno, value in bad if not a.untested else []:
                args = [value if i == j else t_value(b, r) for j, b in enumerate(r.args)]
                lines.append(f'        CHECK(-{errno}, call({wrap([f"{r.nr},"] + [x + "," for x in args[:-1]] + args[-1:], " " * 12)}));\n')
        if r.blocks: # only that addresses of the kernel get nowhere, whatever else is wrong
            args = ['T_KERNEL' if a.pointer else t_value(a, r) for a in r.args]
            lines = [f'        CHECK(true, call({r.nr}, {", ".join(args)}) < 0);\n'] if 'T_KERNEL' in args else []
        if lines and not r.wild:
            out += f'    if (t_auto_row({r.nr}, "{r.name}", {int(r.has_body)}, {answer(r)})) {{\n{"".join(lines)}    }}\n'
    return out + '    return t_auto_end();\n}\n'


def main():
    rows = read_table(sys.argv[1])
    root = os.path.dirname(os.path.dirname(os.path.abspath(sys.argv[1])))
    writers = {'sys_proto.h': proto_h, 'sys_dispatch.c': dispatch_c, 'sys_names.c': names_c, 'sys_trace.c': trace_c, 'sys_list.h': list_h,
               't_auto.c': t_auto_c,
               'COVERAGE.md': lambda r: coverage_md(r, root)}
    for path in sys.argv[2:]:
        name = os.path.basename(path)
        part = re.fullmatch(r'absent_(\w+)\.c', name)
        text = (absent_c(part[1]) if part else writers[name])(rows)
        with open(path, 'w', encoding='utf-8') as f:
            f.write(text)


if __name__ == '__main__':
    main()
