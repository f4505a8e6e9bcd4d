# SPDX-License-Identifier: MIT
"""Programs from Debian, unmodified: each runs on this host and through `alcove run`; output and exit status must agree.

usage: programs.py --list                          names, one a line, each with its time limit in seconds and suite
       programs.py [--verbose] [--results DIR] ALCOVE NAME...
                                                   run these; exit status 1 when one differs. DIR gets NAME.json, from
                                                   which ci/programs.py makes docs/PROGRAMS.md

A program's standard error goes to its standard output on both sides, in the order in which it is written.
The output of a script of scripts/ is compared by section, which a line "== NAME" begins.
"""
import os
import re
import shutil
import subprocess
import sys
import tempfile

from results import note

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


def prepare_shadow(work):
    """What PAM wants to see of the users of the image."""
    os.makedirs(work + '/../etc', exist_ok=True)
    write(work + '/../etc/shadow', b'root:*:19000:0:99999:7:::\nnobody:*:19000:0:99999:7:::\n')
    os.chmod(work + '/../etc/shadow', 0o600)


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


def sections(text):
    """What scripts/ print: {name: output}; what comes before the first section has the name ''."""
    parts = re.split(rb'(?m)^== (.*)\n', text)
    return {'': parts[0], **{n.decode(): t for n, t in zip(parts[1::2], parts[2::2])}}


def outcomes(text):
    """What scripts/cpython.py prints: {test: outcome}."""
    return dict(re.findall(r'(?m)^RESULT (\S+) (.*)', text.decode('utf-8', 'replace')))


def said_of(names, text):
    """{test: what came between its beginning and its end, outcome included}"""
    found = {n: re.search(b'(?ms)^START %b$(.*?(?:RESULT %b [^\n]*|\\Z))' % ((re.escape(n.encode()),) * 2), text) for n in names}
    return {n: m[1] for n, m in found.items() if m}


def unlike(normalise, want, got):
    """The parts that are not as they should be. Of a suite's tests, those that pass on the host shall pass."""
    if normalise is outcomes:
        return [p for p in {**want, **got} if (want.get(p) == 'ok' and got.get(p) != 'ok') or
                (got.get(p) == 'FAILED' and want.get(p) != 'FAILED')]
    return [p for p in {**want, **got} if want.get(p) != got.get(p)]


def script(shell, name, seconds, calls=(), options=(), env=(), suite='guest', prepare=nothing):
    """A row for scripts/NAME run by a shell that may call these programs."""
    def copy(work):
        shutil.copy(os.path.join(HERE, 'scripts', name), work + '/' + name)
        prepare(work)
    more = [w for c in calls for w in ('--with', c)]
    return ([*shell.split(), name], copy, seconds, [*more, *options], sections, suite, dict(env))


def prepare_cpython(work):
    """CPython's own tests, but for data that those which run do not read."""
    leave = shutil.ignore_patterns('__pycache__', 'decimaltestdata', 'test_email', 'test_importlib', 'cjkencodings', '*.tar',
                                   'xmltestdata', 'datetimetester.py', 'audiodata', 'test_peg_generator', 'test_tools')
    shutil.copytree('/usr/lib/python3.11/test', work + '/../usr/lib/python3.11/test', ignore=leave)


def cpython(modules, seconds, options=(), suite='long', leave=''):
    """A row for modules of libpython3.11-testsuite, without the tests whose names have a word of leave in them."""
    row = script('/usr/bin/python3.11', 'cpython.py', seconds, CPYTHON_CALLS, ['-m', '1G', *options], {'LEAVE': leave},
                 suite, prepare_cpython)
    row[0].extend(modules.split())
    return (*row[:4], outcomes, *row[5:])


def of_asyncio(modules):
    return ' '.join('test_asyncio.test_' + m for m in modules.split())


def prepare_traced(work):
    shutil.copy(os.path.join(HERE, 'traced.c'), work)
    subprocess.run(['gcc', '-g', '-O1', '-static', '-o', 'traced', 'traced.c'], check=True, cwd=work)


def stress(seconds, cpus, names, suite='long'):
    """A row for stressors of stress-ng. Its own output is not compared, only how each ended."""
    row = script('/bin/dash', 'stress.sh', 120 + len(names.split()) * (seconds + 20), ['stress-ng', 'sed', 'head', 'cat', 'grep', 'uname'],
                 ['-m', '1G', '--cpus', str(cpus)], {}, suite)
    row[0].extend([str(seconds), *names.split()])
    return (*row[:4], outcomes, *row[5:])


def programs_of(package):
    """Names of the programs that a Debian package brings."""
    out = subprocess.run(['dpkg-query', '-L', package], stdout=subprocess.PIPE, check=True).stdout.decode().split()
    return sorted(os.path.basename(p) for p in out if re.fullmatch(r'(/usr)?/s?bin/[^/]+', p))


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

# Programs that scripts call besides what a shell has built in.
FEW = 'yes cat sort tr head tail wc seq tee sleep mkfifo mkdir touch ls cut sed stat true ln readlink sh chmod rm'.split()
TOOLS = [*FEW, *'id grep awk setpriv su timeout nice ps top free vmstat uptime pgrep setsid script pidof pmap pwdx'.split(),
         'tty', 'stty']
STRESS = 'fork vfork clone exec kill signal sigchld sigq sigsegv pidfd pipe pipeherd fifo vm vm-rw mmap mremap mprotect futex pthread'
STRESS_MORE = ('vforkmany spawn exit-group daemon zombie wait session forkheavy sigabrt sigfd sigfpe sigio sigpending sigpipe sigrt '
               'sigsuspend sigtrap splice tee vm-splice vm-addr vm-segv mmapfork mmapmany msync munmap madvise brk stack bigheap '
               'tlb-shootdown sem shm msg mq switch yield ptrace get')
CPYTHON_CALLS = 'sh bash cat sleep true false ls echo env kill id tty stty tar zip unzip'.split()

# name: (arguments, preparation, seconds, options of alcove run, normaliser, suite, more environment), the last two optional
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
    'python-threads': ([PY, '-c', PY_THREADS], nothing, 300, ['--cpus', '4'], None),
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
    'node': (['/usr/bin/node', '-e', NODE], nothing, 600, ['-m', '1G', '--cpus', '2'], None),
    'java-version': (['/usr/bin/java', '-version'], nothing, 900, ['-m', '2G', '--cpus', '2'], None),
    'static': (['./hello', '7'], compile_with(['gcc', '-static', '-o']), 60, [], None),
    'static-pie': (['./hello', '8'], compile_with(['gcc', '-static-pie', '-fPIE', '-o']), 60, [], None),
    'dynamic-pie': (['./hello', '9'], compile_with(['gcc', '-pie', '-fPIE', '-o']), 60, [], None),
    'dynamic-no-pie': (['./hello', '10'], compile_with(['gcc', '-no-pie', '-fno-pie', '-o']), 60, [], None),
    'musl-static': (['./hello', '11'], compile_with(['musl-gcc', '-static', '-o']), 60, [], None),
    'musl-dynamic': (['./hello', '12'], compile_with(['musl-gcc', '-o']), 60, [], None),
    'dash': script('/bin/dash', 'shell.sh', 300, FEW),
    'bash-posix': script('/bin/bash', 'shell.sh', 400, FEW, suite='long'),
    'bash': script('/bin/bash', 'bash.sh', 400, [*FEW, 'diff', 'paste', 'grep']),
    'coreutils': script('/bin/dash', 'coreutils.sh', 500, [*programs_of('coreutils'), 'sh', 'cmp', 'sed', 'grep'],
                        env={'LIST': ' '.join(programs_of('coreutils'))}),
    'busybox': script('/bin/busybox sh', 'busybox.sh', 500),
    'python-processes': script(PY, 'processes.py', 900, ['sh', 'cat', 'sleep', 'seq', 'tail', 'echo', 'true'], ['-m', '1G']),
    'perl-processes': script('/usr/bin/perl', 'processes.pl', 300, ['sh', 'cat', 'seq', 'tail', 'tr', 'echo']),
    'mount': script('/bin/dash', 'mount.sh', 300, [*FEW, *'id mount umount findmnt df pivot_root busybox rmdir grep unshare'.split()]),
    'tools': script('/bin/dash', 'tools.sh', 500, TOOLS, prepare=prepare_shadow),
    'acl': script('/bin/dash', 'acl.sh', 300, [*FEW, 'getfacl', 'setfacl', 'setpriv', 'cp', 'mv', 'grep']),
    'tmux': script('/bin/dash', 'tmux.sh', 500, [*FEW, 'tmux', 'grep', 'clear', 'tty', 'stty'], suite='long'),
    'find': script('/bin/dash', 'find.sh', 300, [*FEW, 'find', 'xargs', 'echo']),
    'git': script('/bin/dash', 'git.sh', 500, [*FEW, 'git', 'grep', 'tar'], ['-m', '512M'], suite='long'),
    'cpython': cpython('test_thread test_mmap test_fcntl test_pty test_resource test_epoll', 300, suite='guest'),
    'cpython-os': cpython('test_os test_posix test_time test_tempfile test_shutil', 600),
    'cpython-subprocess': cpython('test_subprocess', 1200),
    'cpython-signal': cpython('test_signal', 900),
    'cpython-threading': cpython('test_threading', 600, ['--cpus', '2']),
    'cpython-multiprocessing': cpython('test_multiprocessing_fork', 1200, ['--cpus', '2']),
    'cpython-select': cpython('test_select test_selectors test_poll', 600),
    'cpython-socket': cpython('test_socket', 1200, leave='VSOCK UDPLITE'),
    'cpython-ssl': cpython('test_ssl', 1200),
    'cpython-protocols': cpython('test_httplib test_urllib2_localnet test_ftplib test_smtplib', 1200),
    'cpython-asyncio': cpython(of_asyncio('base_events context futures futures2 locks pep492 protocols queues runners taskgroups '
                                          'tasks threads timeouts waitfor'), 1500),
    'cpython-asyncio-net': cpython(of_asyncio('buffered_proto events selector_events sendfile server sock_lowlevel ssl sslproto '
                                              'streams subprocess transports unix_events'), 2400),
    'strace': script('/bin/dash', 'debug.sh', 400, [*FEW, 'strace', 'timeout', 'awk', 'grep'], prepare=prepare_traced),
    'gdb': script('/bin/dash', 'gdb.sh', 900, [*FEW, 'gdb', 'timeout'], ['-m', '512M'], suite='long', prepare=prepare_traced),
    'stress-ng': stress(1, 2, 'fork vfork clone pipe kill signal sigq vm mremap futex', suite='guest'),
    'stress-ng-1': stress(10, 1, STRESS),
    'stress-ng-2': stress(10, 2, STRESS),
    'stress-ng-4': stress(10, 4, STRESS),
    'stress-ng-more': stress(1, 2, STRESS_MORE),
    'gcc': script('/bin/dash', 'build.sh', 900, [*FEW, 'gcc', 'make', 'ar', 'test'], ['-m', '1G'], suite='long'),
}


def show(what, text):
    tail = text[-3000:].decode('utf-8', 'replace')
    print(f'--- {what} ({len(text)} bytes{", the end" if len(text) > 3000 else ""})\n{tail}')


def row_of(name):
    argv, prepare, seconds, options, normalise, *rest = TABLE[name]
    return (argv, prepare, seconds, options, normalise, *(rest or ('guest', {})))


def on_host(name, where):
    argv, _, seconds, _, _, _, more = row_of(name)
    return subprocess.run(argv, cwd=where, env={**ENV, **more}, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                          stderr=subprocess.STDOUT, timeout=seconds, check=False)


def split_messages(text):
    """What the program wrote, and libOS's own lines, which come in between whole, in the middle of a line at worst."""
    own = re.compile(rb'alcove: [^\n]*\n')
    return own.sub(b'', text), b''.join(own.findall(text))


def in_guest(name, alcove, top):
    argv, _, seconds, options, _, _, more = row_of(name)
    program = argv[0] if argv[0].startswith('/') else '/work/' + argv[0][2:]
    command = ['timeout', '-k', '5', str(seconds), alcove, 'run', '--root', top + '/root', '--cwd', '/work', *options]
    for k, v in {**ENV, **more}.items():
        command += ['-e', f'{k}={v}']
    # Names of --with are looked for where the host's run finds them.
    guest = subprocess.run([*command, program, *argv[1:]], env={**os.environ, 'PATH': ENV['PATH']}, check=False,
                           stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
    guest.stdout, guest.stderr = split_messages(guest.stdout)
    if not argv[0].startswith('/'):
        guest.stdout = guest.stdout.replace(program.encode(), argv[0].encode())
    return guest


def parts(name, text, where):
    """What is compared: {part: output}."""
    normalise = row_of(name)[4]
    text = text.replace(where.encode(), b'WORK')
    if normalise in (sections, outcomes):
        return normalise(text)
    return {'output': normalise(text) if normalise else text}


def run_one(alcove, name, verbose, results):
    with tempfile.TemporaryDirectory(prefix='alcove-test.') as top:
        os.makedirs(top + '/root/work')
        row_of(name)[1](top + '/root/work')
        # What the program writes here must not be there already in the guest.
        shutil.copytree(top + '/root/work', top + '/host/work', symlinks=True)
        host = on_host(name, top + '/host/work')
        try:
            guest = in_guest(name, alcove, top)
        finally:
            subprocess.run(['rm', '-f', '/tmp/alcove-test.db'], check=False)
        want, got = parts(name, host.stdout, top + '/host/work'), parts(name, guest.stdout, '/work')
    normalise = row_of(name)[4]
    failed = unlike(normalise, want, got)
    if host.returncode != guest.returncode:
        failed.append('exit status')
    if re.search(rb'(?m)^alcove: (panic: |warning: (?!not implemented))', guest.stderr):
        failed.append('messages')
    print(f'{name}: {"FAILED" if failed else "ok"}, exit status {guest.returncode} (host {host.returncode}), '
          f'{len(want)} parts, failed: {", ".join(failed) or "none"}')
    said = [said_of(failed, out) for out in (host.stdout, guest.stdout)] if normalise is outcomes else [want, got]
    for p in want if verbose else [p for p in failed if p in {**want, **got}]:
        show(f'host, {p}', said[0].get(p, b''))
        show(f'alcove, {p}', said[1].get(p, b''))
    if failed or verbose:
        show('alcove stderr', guest.stderr)
    skipped = [p for p in got if normalise is outcomes and got[p] != 'ok' and p not in failed]
    note(results, alcove, name, ' '.join(row_of(name)[0]), failed, len({**want, **got}), len(skipped))
    return not failed


def main(args):
    if args == ['--list']:
        for name in TABLE:
            print(f'{name}:{row_of(name)[2]}:{row_of(name)[5]}')
        return 0
    verbose = args[:1] == ['--verbose']
    args = args[1:] if verbose else args
    results = args[1] if args[:1] == ['--results'] else None
    args = args[2:] if results else args
    if len(args) < 2 or not set(args[1:]) <= set(TABLE):
        print(__doc__, file=sys.stderr)
        return 2
    return 0 if all([run_one(os.path.abspath(args[0]), name, verbose, results) for name in args[1:]]) else 1


sys.exit(main(sys.argv[1:]))
