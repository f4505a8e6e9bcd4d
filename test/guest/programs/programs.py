# SPDX-License-Identifier: MIT
"""Programs from Debian, unmodified: each runs on this host and through `alcove run`; output and exit status must agree.

usage: programs.py --list                          names, one a line, each with its time limit in seconds
       programs.py [--verbose] ALCOVE NAME...      run these; exit status 1 when one differs

A program's standard error goes to its standard output on both sides, as the raw console has it (ARCHITECTURE.md).
"""
import os
import re
import shutil
import subprocess
import sys
import tempfile

HERE = os.path.dirname(os.path.abspath(__file__))
ENV = {'PATH': '/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin', 'HOME': '/root', 'LC_ALL': 'C.UTF-8',
       'TZ': 'UTC0', 'WHO': 'Alcove'}
MIB = 1 << 20


def write(path, data):
    with open(path, 'wb') as f:
        f.write(data)
    os.utime(path, (1000000000, 1000000000))


def lines(count, distinct=2003):
    """Text whose lines repeat in a shuffled order: much to sort, little to print with -u."""
    return b''.join(b'%08d some words to fill the line up to a length that is usual in a text file of logs\n'
                    % (i * 7919 % distinct) for i in range(count))


def prepare_text(work):
    write(work + '/small.txt', lines(3000))
    write(work + '/data.json', b'{"a": [3, 1, 2], "b": {"c": "x y", "d": null}, "e": 1.5}\n')


def prepare_64m(work):
    block = lines(20000)
    write(work + '/big.txt', (block * (64 * MIB // len(block) + 1))[:64 * MIB])


def prepare_ls(work):
    prepare_text(work)
    os.symlink('small.txt', work + '/link')
    # Long ago: a clock that the guest reads in whole seconds may still be before now, and ls writes future times otherwise.
    os.utime(work + '/link', (10 ** 9, 10 ** 9), follow_symlinks=False)
    os.chmod(work + '/data.json', 0o4751)


def compile_with(command, source='hello.c', output='hello'):
    def prepare(work):
        cache = work + '/../cache'
        env = dict(os.environ, GOCACHE=cache, GOFLAGS='-trimpath', CGO_ENABLED='0', GO111MODULE='off')
        subprocess.run(command + [work + '/' + output, os.path.join(HERE, source)], check=True, env=env)
        shutil.rmtree(cache, ignore_errors=True)
    return prepare


def prepare_compressed(tool, name, *options):
    def prepare(work):
        write(work + '/data.txt', lines(8000))
        if name:
            with open(work + '/' + name, 'wb') as f:
                subprocess.run([tool, *options, '-c', work + '/data.txt'], stdout=f, check=True)
            write(work + '/data.txt', lines(8000)[:100])
    return prepare


def no_times(text):
    return re.sub(rb'[0-9]+(\.[0-9]+)?', b'#', text)


def speed_lines(text):
    """openssl speed: what was measured, not how fast. The build line names the machine's CPU capabilities."""
    keep = [l for l in text.splitlines() if not l.startswith(b'CPUINFO')]
    return re.sub(rb' +', b' ', no_times(b'\n'.join(keep)))


def ls_lines(text):
    """Sizes of directories and owners depend on the file system and on who runs the test."""
    out = []
    for line in text.splitlines():
        f = line.split(None, 4)
        if len(f) == 5 and line.startswith(b'd'):
            out.append(b' '.join([f[0], line.split()[-1]]))
        elif len(f) == 5:
            out.append(b' '.join([f[0], f[1], f[4]]))
    return b'\n'.join(out)


def nothing(_work):
    pass


PY = '/usr/bin/python3'
PY_THREADS = '''
import threading, queue
q = queue.Queue()
def work(n):
    q.put(sum(range(n)))
ts = [threading.Thread(target=work, args=(1000 * i,)) for i in range(20)]
[t.start() for t in ts]; [t.join() for t in ts]
print(sorted(q.get() for _ in ts))
'''
PY_ZLIB = '''
import zlib, hashlib, json
d = bytes(range(256)) * 4096
c = zlib.compress(d, 9)
assert zlib.decompress(c) == d
print(len(c), zlib.crc32(d), hashlib.sha256(d).hexdigest(), json.dumps({"a": [1, 2.5, None], "b": "\\u00e9"}))
'''
PY_CTYPES = '''
import ctypes
libc = ctypes.CDLL("libc.so.6")
print(libc.abs(-5), libc.strlen(b"hello"), ctypes.sizeof(ctypes.c_long))
@ctypes.CFUNCTYPE(ctypes.c_int, ctypes.POINTER(ctypes.c_int), ctypes.POINTER(ctypes.c_int))
def cmp(a, b):
    return a[0] - b[0]
v = (ctypes.c_int * 5)(3, 1, 5, 2, 4)
libc.qsort(v, 5, 4, cmp)
print(list(v))
'''
PERL = r'''my %h; for (1..2000) { my $k = ($_ * 7919) % 101; $h{"k$k"} += $_ } print join(",", map {"$_=$h{$_}"}
(sort { $h{$a} <=> $h{$b} || $a cmp $b } keys %h)[0..9]), "\n"; my $t = "The quick brown fox"; $t =~ s/(\w+) (\w+)/$2 $1/g;
print "$t\n"; print scalar(() = ("abc" x 1000) =~ /b(?=c)/g), "\n"; exit 5'''
SQL = ('create table t(a integer primary key, b text); with recursive c(x) as (select 1 union all select x+1 from c '
       'where x < 2000) insert into t select x, hex(x*7919) from c; create index i on t(b); '
       'select count(*), sum(a), max(b) from t; select * from t where b like "3%" order by b limit 3;')
NODE = ('const a=[3,1,2].sort(); Promise.all([1,2,3].map(x=>new Promise(r=>setTimeout(()=>r(x*x),10*x))))'
        '.then(v=>{console.log(a.join(), v.join(), /(\\d+)/.exec("ab12")[1]); process.exit(4)})')

# name: (arguments, preparation, seconds, options of alcove run, normaliser)
TABLE = {
    'echo': (['/bin/echo', 'hello', 'two  words', ''], nothing, 60, [], None),
    'true': (['/bin/true'], nothing, 60, [], None),
    'false': (['/bin/false'], nothing, 60, [], None),
    'cat': (['/bin/cat', 'small.txt', 'nothere'], prepare_text, 120, [], None),
    'env': (['/usr/bin/env'], nothing, 60, [], lambda t: b'\n'.join(sorted(t.splitlines()))),
    'ls': (['/bin/ls', '-la'], prepare_ls, 60, [], ls_lines),
    'sort': (['/usr/bin/sort', '-u', 'big.txt'], prepare_64m, 1200, ['-m', '1G'], None),
    'sha256sum': (['/usr/bin/sha256sum', 'big.txt'], prepare_64m, 600, ['-m', '512M'], None),
    'gawk': (['/usr/bin/gawk', '{ n[$1 % 7]++; l += length($0) } END { for (i = 0; i < 7; i++) print i, n[i]; print l; '
              'printf "%.6f %s\\n", sqrt(2), toupper("done"); exit 7 }', 'small.txt'], prepare_text, 120, [], None),
    'perl': (['/usr/bin/perl', '-e', PERL], nothing, 180, [], None),
    'perl-modules': (['/usr/bin/perl', '-MList::Util=sum', '-MPOSIX', '-MData::Dumper', '-e',
                      '$Data::Dumper::Sortkeys = 1; print sum(1..100), " ", floor(2.7), Dumper({a => [1, 2]})'],
                     nothing, 240, [], None),
    'sqlite3-memory': (['/usr/bin/sqlite3', ':memory:', SQL], nothing, 180, [], None),
    'sqlite3-file': (['/usr/bin/sqlite3', '/tmp/alcove-test.db', 'drop table if exists t;' + SQL + 'drop table t;'],
                     nothing, 180, [], None),
    'python-arithmetic': ([PY, '-c', 'print(2**100, sum(x * x for x in range(10000)), 1/3)'], nothing, 240, [], None),
    'python-json-zlib': ([PY, '-c', PY_ZLIB], nothing, 300, [], None),
    'python-threads': ([PY, '-c', PY_THREADS], nothing, 300, ['--cpus', '2'], None),
    'python-ctypes': ([PY, '-c', PY_CTYPES], nothing, 300, [], None),
    'python-exception': ([PY, '-c', 'import sys; sys.exit(int("x" if len(sys.argv) > 1 else "9"))'], nothing, 240, [], None),
    'lua': (['/usr/bin/lua5.4', '-e', 'local t = {} for i = 1, 1000 do t[i] = (i * 7919) % 1009 end table.sort(t) '
             'print(t[1], t[1000], ("x"):rep(5), string.format("%5.2f", math.pi), #t) os.exit(6)'], nothing, 120, [], None),
    'xz': (['/usr/bin/xz', '-T2', '--block-size=131072', '-c', 'data.txt'], prepare_compressed('xz', None), 300,
           ['--cpus', '2'], None),
    'xz-back': (['/usr/bin/xz', '-T2', '-dc', 'data.xz'],
                prepare_compressed('xz', 'data.xz', '-T2', '--block-size=131072'), 300, ['--cpus', '2'], None),
    'zstd': (['/usr/bin/zstd', '-T2', '-q', '-c', 'data.txt'], prepare_compressed('zstd', None), 300, ['--cpus', '2'], None),
    'zstd-back': (['/usr/bin/zstd', '-T2', '-q', '-dc', 'data.zst'], prepare_compressed('zstd', 'data.zst', '-q'), 300,
                  ['--cpus', '2'], None),
    'openssl-speed': (['/usr/bin/openssl', 'speed', '-seconds', '1', 'sha256'], nothing, 300, [], speed_lines),
    'openssl-dgst': (['/usr/bin/openssl', 'dgst', '-sha512', 'small.txt'], prepare_text, 120, [], None),
    'jq': (['/usr/bin/jq', '-S', '.a |= sort | .b.n = (.a | add) | del(.e)', 'data.json'], prepare_text, 120, [], None),
    'gzip': (['/bin/gzip', '-9nc', 'small.txt'], prepare_text, 120, [], None),
    'gzip-back': (['/bin/gzip', '-dc', 'data.gz'], prepare_compressed('gzip', 'data.gz'), 240, [], None),
    'go': (['./hello', 'a', 'b'], compile_with(['go', 'build', '-o'], 'hello.go'), 600, ['--cpus', '2'], None),
    'node': (['/usr/bin/node', '-e', NODE], nothing, 600, ['-m', '1G'], None),
    'java-version': (['/usr/bin/java', '-version'], nothing, 900, ['-m', '2G'], None),
    'static': (['./hello', '7'], compile_with(['gcc', '-static', '-o']), 60, [], None),
    'static-pie': (['./hello', '8'], compile_with(['gcc', '-static-pie', '-fPIE', '-o']), 60, [], None),
    'dynamic-pie': (['./hello', '9'], compile_with(['gcc', '-pie', '-fPIE', '-o']), 60, [], None),
    'dynamic-no-pie': (['./hello', '10'], compile_with(['gcc', '-no-pie', '-fno-pie', '-o']), 60, [], None),
    'musl-static': (['./hello', '11'], compile_with(['musl-gcc', '-static', '-o']), 60, [], None),
    'musl-dynamic': (['./hello', '12'], compile_with(['musl-gcc', '-o']), 60, [], None),
}


def show(what, text):
    tail = text[-3000:].decode('utf-8', 'replace')
    print(f'--- {what} ({len(text)} bytes{", the end" if len(text) > 3000 else ""})\n{tail}')


def run_one(alcove, name, verbose):
    argv, prepare, seconds, options, normalise = TABLE[name]
    with tempfile.TemporaryDirectory(prefix='alcove-test.') as top:
        work = top + '/root/work'
        os.makedirs(work)
        prepare(work)
        host = subprocess.run(argv, cwd=work, env=ENV, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                              stderr=subprocess.STDOUT, timeout=seconds, check=False)
        program = argv[0] if argv[0].startswith('/') else '/work/' + argv[0][2:]
        command = [alcove, 'run', '--root', top + '/root', '--cwd', '/work', *options]
        for k, v in ENV.items():
            command += ['-e', f'{k}={v}']
        command += [program, *argv[1:]]
        try:
            guest = subprocess.run(['timeout', '-k', '5', str(seconds), *command], stdin=subprocess.DEVNULL,
                                   stdout=subprocess.PIPE, stderr=subprocess.PIPE, check=False)
        finally:
            subprocess.run(['rm', '-f', '/tmp/alcove-test.db'], check=False)
    want, got = host.stdout, guest.stdout
    if not argv[0].startswith('/'):
        got = got.replace(program.encode(), argv[0].encode())
    if normalise:
        want, got = normalise(want), normalise(got)
    ok = want == got and host.returncode == guest.returncode
    print(f'{name}: {"ok" if ok else "FAILED"}, exit status {guest.returncode} (host {host.returncode})')
    if not ok or verbose:
        show('host', want)
        show('alcove', got)
        show('alcove stderr', guest.stderr)
    return ok


def main(args):
    if args == ['--list']:
        for name, row in TABLE.items():
            print(f'{name}:{row[2]}')
        return 0
    verbose = args[:1] == ['--verbose']
    args = args[1:] if verbose else args
    if len(args) < 2 or not set(args[1:]) <= set(TABLE):
        print(__doc__, file=sys.stderr)
        return 2
    return 0 if all([run_one(os.path.abspath(args[0]), name, verbose) for name in args[1:]]) else 1


sys.exit(main(sys.argv[1:]))
