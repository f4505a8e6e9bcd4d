#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Measure what the network costs, on Alcove and on Debian's cloud kernel, in guest instructions and device exits.

usage: net.py --build DIR --alcove PATH [--only linux|alcove] [NAME...]     NAME: redis, nginx, shipped (nginx with
Debian's configuration: log, sendfile, cork) or plain (default: all)

The same server (redis and nginx as Debian ships them, and netserve.c) runs on the same machine (q35 with a virtio-net device on PCI,
over a tap interface in a network namespace of this program's own), one guest after the other. The clients are here. Time runs by the
host's clock, so the guest's instructions are counted while requests are made, and what it does idle is taken off: the figures differ
by a few percent from run to run. String instructions count once. A device exit is an access to a port or to device memory.
"""
import argparse, os, re, selectors, socket, struct, subprocess, sys, time
sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
import run, ulc

TAP, HOST, STATIC = 'tap78', '10.78.0.1', '10.78.0.2'
MEMORY = 512
SETTLE_SECONDS, IDLE_SECONDS = 25, 65
# One process and no log, so that what is counted is requests; beside it, Debian's configuration.
NGINX_CONF = '''daemon off;
error_log stderr;
events { worker_connections 1024; }
http { access_log off; server { listen 8080; root /var/www/html; index index.nginx-debian.html; keepalive_requests 1000000; } }
'''
# Guest instructions for each operation, unless the name says otherwise.
BUDGETS = {'redis GET, 30 clients': 9500, 'redis GET, 1 client': 12000, 'redis GET, 30 clients, pipeline 16': 4000,
           'nginx 612 B, 30 connections': 21000, 'nginx 612 B, 1 connection': 24000, 'nginx 64 KiB, 1 connection': 30000,
           'exits per GET, redis, 1 client': 1.5, 'exits per request, nginx, 30': 1.5, 'bulk send, per KiB': 300, 'bulk receive, per KiB': 350,
           'connect, request, close': 28000, 'MiB with 10,000 idle connections': 40, 'idle with an address, per second': 1000}
MODULES = ['drivers/virtio/virtio_ring', 'drivers/virtio/virtio', 'drivers/virtio/virtio_pci_legacy_dev',
           'drivers/virtio/virtio_pci_modern_dev', 'drivers/virtio/virtio_pci', 'net/core/failover', 'drivers/net/net_failover',
           'drivers/net/virtio_net']
NGINX = ['/etc/nginx', '/usr/share/nginx', '/usr/lib/nginx', '/var/www/html', '/var/lib/nginx', '/var/log/nginx']
SERVERS = {'redis': ['/usr/bin/redis-server', '--bind', '0.0.0.0', '--protected-mode', 'no', '--save', ''],
           'nginx': ['/usr/sbin/nginx', '-c', '/etc/nginx/bench.conf'],
           'shipped': ['/usr/sbin/nginx', '-g', 'daemon off;'],
           'plain': ['netserve']}
PORTS = {'redis': 6379, 'nginx': 8080, 'shipped': 80, 'plain': 7004}


# ---- the guests ----

def libraries(path):
    r = subprocess.run(['ldd', path], capture_output=True, text=True)
    return re.findall(r'(/\S+) \(0x', r.stdout)


def linux_files(work, program):
    """{path in the guest: path here} of what the server needs, as Alcove's recipes have it."""
    files = {'/etc/passwd': '/etc/passwd', '/etc/group': '/etc/group', program: program if os.path.exists(program) else work + program}
    for top in NGINX if program == '/usr/sbin/nginx' else []:
        for d, _, names in os.walk(top, followlinks=True):
            files[d] = d
            files.update({f'{d}/{n}': f'{d}/{n}' for n in names if os.path.exists(f'{d}/{n}')})
    if program == '/usr/sbin/nginx':
        for f in ('/var/www/html/64k', '/etc/nginx/bench.conf'):
            files[f] = f'{work}/net-root{f}'
    for f in list(files.values()):
        if f == files[program] or '.so' in f:
            files.update({lib: lib for lib in libraries(f)})
    return files


def linux_image(work, name, kernel):
    version = os.path.basename(kernel).split('-', 1)[1]
    modules = f'{os.path.dirname(os.path.dirname(kernel))}/lib/modules/{version}/kernel'
    files = {f'/module{i}': f'{modules}/{m}.ko' for i, m in enumerate(MODULES)}
    files['/init'] = f'{work}/linux_init'
    program = SERVERS[name][0]
    files.update(linux_files(work, program if program[0] == '/' else '/' + program))
    dirs = {'/dev', '/proc', '/tmp', '/run', '/var/log', '/var/log/nginx'}
    for path in files:
        while (path := os.path.dirname(path)) != '/':
            dirs.add(path)
    entries = [(d[1:], 0o40755, 0, b'') for d in sorted(dirs | {p for p, f in files.items() if os.path.isdir(f)})]
    entries.append(('dev/console', 0o20600, 5 << 8 | 1, b''))
    for path, f in sorted(files.items()):
        if os.path.isfile(f):
            with open(f, 'rb') as data:
                entries.append((path[1:], 0o100755, 0, data.read()))
    out = f'{work}/linux-net-{name}.cpio'
    with open(out, 'wb') as f:
        f.write(run.cpio(entries))
    return out


def linux_command(work, name, cache):
    kernel = run.linux_kernel(cache)
    words = [w if ' ' not in w else f'"{w}"' for w in SERVERS[name][1:]]
    append = ('console=ttyS0 quiet panic=-1 random.trust_cpu=on no_timer_check nolapic_timer tsc=reliable '
              f'LINUX_GUEST=1 NETWORK={STATIC} -- {os.path.join("/", SERVERS[name][0])} ' + ' '.join(words or ["''"]))
    return ['-kernel', kernel, '-initrd', linux_image(work, name, kernel), '-append', append]


def alcove_command(work, name, tool):
    image = f'{work}/alcove-net-{name}.elf'
    program = SERVERS[name] if name != 'plain' else [f'{work}/netserve']
    subprocess.run([tool, 'build', '--root', f'{work}/net-root', *program, '-o', image], check=True, stdout=subprocess.DEVNULL)
    return ['-kernel', image]


class Guest:
    def __init__(self, work, plugin, system, name, command):
        self.prefix = f'{work}/{system}-net-{name}'
        for end in ('.bin', '.txt'):
            if os.path.exists(self.prefix + end):
                os.unlink(self.prefix + end)
        machine = ['-accel', 'tcg', '-smp', '1', '-cpu', 'max', '-no-reboot', '-nodefaults', '-display', 'none', '-no-user-config',
                   '-M', 'q35', '-m', str(MEMORY), '-netdev', f'tap,id=n0,ifname={TAP},script=no,downscript=no,vhost=off',
                   '-device', 'virtio-net-pci,netdev=n0,disable-legacy=on,romfile=,mac=52:54:00:78:00:02',
                   '-serial', f'file:{self.prefix}.txt', '-plugin', f'{plugin},out={self.prefix}.bin,rep=on,io=on'
                   + (f',prof={self.prefix}.prof' if os.environ.get('NET_PROFILE') else '')]
        self.vm = subprocess.Popen(['qemu-system-x86_64', *machine, *command], stdin=subprocess.DEVNULL, stderr=subprocess.PIPE)
        self.rate = {}

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.vm.terminate()
        self.vm.wait(60)

    def wait(self, port):
        end = time.time() + 240
        while time.time() < end and self.vm.poll() is None:
            for address in (STATIC, *leased()):
                try:
                    socket.create_connection((address, port), timeout=2).close()
                    self.address = address
                    return
                except OSError:
                    time.sleep(0.2)
        with open(self.prefix + '.txt', errors='replace') as f:
            sys.exit(f'{self.prefix}: port {port} does not answer: {self.vm.poll()} {f.read()[-2000:]}')

    def counters(self):
        return ulc.load(self.prefix + '.bin')[0]

    def idle(self, seconds):
        """Instructions per second while nothing is asked."""
        a, t = self.counters(), time.time()
        time.sleep(seconds)
        self.rate = {k: v / (time.time() - t) for k, v in ulc.diff(a, self.counters()).items()}
        return run.total(self.rate)

    def cost(self, work, n):
        """(instructions, exits, those of the program) of one of n operations that work() does."""
        a, t = self.counters(), time.time()
        work()
        time.sleep(0.1)
        d = ulc.diff(a, self.counters())
        t = time.time() - t
        d = {k: v - self.rate.get(k, 0) * t for k, v in d.items()}
        return run.total(d) / n, (d['pio'] + d['mmio_r'] + d['mmio_w']) / n, d['user'] / n


def leased():
    try:
        with open(f'/run/alcove-bench-{os.getpid()}.leases', encoding='ascii') as f:
            return [line.split()[2] for line in f]
    except OSError:
        return []


# ---- the clients ----

def answer_length(address, port, request):
    """How many bytes answer the request: they are all alike."""
    with socket.create_connection((address, port), timeout=60) as s:
        s.sendall(request)
        out = b''
        while True:
            part = s.recv(1 << 20)
            if not part:
                sys.exit(f'port {port} closed: {out[:200]}')
            out += part
            m = re.search(rb'Content-Length: (\d+)\r\n(?:.*\r\n)*?\r\n', out) or re.match(rb'()\$\d+\r\n.*\r\n', out)
            if m and (not m[1] or len(out) == m.end() + int(m[1])):
                return len(out)


class Clients:
    """n connections, on each of which a request (or several, pipelined) waits for its answer."""

    def __init__(self, address, port, request, n, pipeline=1):
        self.request, self.pipeline = request * pipeline, pipeline
        self.length = answer_length(address, port, request) * pipeline
        self.socks = []
        for _ in range(n):
            s = socket.create_connection((address, port), timeout=60)
            s.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            self.socks.append(s)

    def make(self, total):
        total //= self.pipeline
        sel = selectors.EpollSelector()
        left, sent = {}, 0
        for s in self.socks:
            sel.register(s, selectors.EVENT_READ)
            left[s] = self.length
            s.sendall(self.request)
            sent += 1
        done = 0
        while done < total:
            for key, _ in sel.select():
                s = key.fileobj
                got = len(s.recv(1 << 20))
                if not got:
                    sys.exit('a server closed its connection')
                left[s] -= got
                if left[s]:
                    continue
                done += 1
                if sent < total:
                    sent += 1
                    left[s] = self.length
                    s.sendall(self.request)
        sel.close()

    def close(self):
        for s in self.socks:
            s.close()


def requests(guest, port, request, clients, total, pipeline=1):
    c = Clients(guest.address, port, request, clients, pipeline)
    c.make(max(total // 10, clients * pipeline))
    result = guest.cost(lambda: c.make(total), total)
    c.close()
    return result


def redis(guest):
    with socket.create_connection((guest.address, 6379), timeout=60) as s:
        s.sendall(b'SET key:1 xxx\r\n')
        assert s.recv(100) == b'+OK\r\n'
    get = b'*2\r\n$3\r\nGET\r\n$5\r\nkey:1\r\n'
    guest.idle(5)
    many = requests(guest, 6379, get, 30, 20000)
    one = requests(guest, 6379, get, 1, 4000)
    piped = requests(guest, 6379, get, 30, 64000, 16)
    return {'redis GET, 30 clients': many[0], '  of which redis 30': many[2], 'redis GET, 1 client': one[0], '  of which redis 1': one[2],
            'redis GET, 30 clients, pipeline 16': piped[0], '  of which redis 16': piped[2],
            'exits per GET, redis, 1 client': one[1], 'exits per GET, redis, 30 clients': many[1]}


def http(path):
    return f'GET {path} HTTP/1.1\r\nHost: guest\r\nUser-Agent: bench\r\nAccept: */*\r\n\r\n'.encode()


def nginx(guest):
    guest.idle(5)
    many = requests(guest, 8080, http('/'), 30, 12000)
    one = requests(guest, 8080, http('/'), 1, 2000)
    big = requests(guest, 8080, http('/64k'), 1, 1000)
    return {'nginx 612 B, 30 connections': many[0], '  of which nginx 30': many[2], 'nginx 612 B, 1 connection': one[0],
            '  of which nginx 1': one[2], 'nginx 64 KiB, 1 connection': big[0], '  of which nginx 64': big[2],
            'exits per request, nginx, 30': many[1]}


def shipped(guest):
    guest.idle(5)
    many = requests(guest, 80, http('/'), 30, 12000)
    big = requests(guest, 80, http('/64k'), 1, 800)
    return {'nginx as shipped, 612 B, 30 connections': many[0], '  of which nginx (shipped)': many[2],
            'nginx as shipped, 64 KiB, 1 connection': big[0], 'exits per request, shipped, 30': many[1]}


def send(address, total):
    piece = b'x' * 65536
    with socket.create_connection((address, 7001), timeout=120) as s:
        for _ in range(total // len(piece)):
            s.sendall(piece)
        s.shutdown(socket.SHUT_WR)
        assert s.recv(1) == b''


def receive(address, total):
    with socket.create_connection((address, 7002), timeout=120) as s:
        s.sendall(struct.pack('<Q', total))
        got = 0
        while part := s.recv(1 << 20):
            got += len(part)
        assert got == total, (got, total)


def connects(address, n):
    for _ in range(n):
        with socket.create_connection((address, 7003), timeout=60) as s:
            s.sendall(http('/'))
            got = 0
            while part := s.recv(65536):
                got += len(part)
            assert got == 800, got


def free(address):
    with socket.create_connection((address, 7005), timeout=60) as s:
        return int(s.makefile().read()) / 1024


def plain(guest):
    time.sleep(SETTLE_SECONDS)
    idle = guest.idle(IDLE_SECONDS)
    size = 64 << 20
    out = guest.cost(lambda: receive(guest.address, size), size >> 10)
    into = guest.cost(lambda: send(guest.address, size), size >> 10)
    connects(guest.address, 50)
    close = guest.cost(lambda: connects(guest.address, 1000), 1000)
    idlers = [socket.create_connection((guest.address, 7004), timeout=60) for _ in range(10000)]
    time.sleep(1)
    used = MEMORY - free(guest.address)
    for s in idlers:
        s.close()
    return {'bulk send, per KiB': out[0], 'bulk receive, per KiB': into[0], 'connect, request, close': close[0],
            'exits per connect, request, close': close[1], 'MiB with 10,000 idle connections': used, 'idle with an address, per second': idle}


JOBS = {'redis': redis, 'nginx': nginx, 'shipped': shipped, 'plain': plain}


# ---- all of it ----

def set_up(pid):
    """The namespace's side of the tap, and who gives the guest its address."""
    def ip(*words):
        subprocess.run(['ip', *words], check=True)
    ip('link', 'set', 'lo', 'up')
    ip('tuntap', 'add', 'dev', TAP, 'mode', 'tap')
    ip('addr', 'add', HOST + '/24', 'dev', TAP)
    ip('link', 'set', TAP, 'up')
    return subprocess.Popen(['dnsmasq', '--no-daemon', '--conf-file=/dev/null', '--user=root', '--pid-file=', '--no-hosts', '--no-resolv', '--port=0',
                             f'--interface={TAP}', '--bind-interfaces', '--dhcp-range=10.78.0.10,10.78.0.20,255.255.255.0,1h',
                             f'--dhcp-leasefile=/run/alcove-bench-{pid}.leases'], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)


def say(name, cloud, alcove):
    budget = BUDGETS.get(name)
    ratio = f'{alcove / cloud:.2f}' if cloud and alcove is not None else '-'
    def show(v):
        return '-' if v is None else f'{v:.2f}' if v < 100 else run.fmt(v)
    verdict = '' if budget is None else 'missing' if alcove is None else 'ok' if alcove <= budget else 'OVER'
    print(f'{name:40} {show(cloud):>12} {show(alcove):>12} {ratio:>6} {show(budget):>10} {verdict}')


def main():
    ap = argparse.ArgumentParser()
    ap.add_argument('--build', required=True)
    ap.add_argument('--alcove', required=True)
    ap.add_argument('--only', choices=['linux', 'alcove'])
    ap.add_argument('names', nargs='*')
    a = ap.parse_args()
    if not os.environ.get('ALCOVE_BENCH_INSIDE'):
        cache = os.path.join(os.environ.get('XDG_CACHE_HOME', os.path.expanduser('~/.cache')), 'alcove', 'linux')
        run.linux_kernel(cache)  # while there is a network
        user = ['--user', '--map-root-user'] if os.geteuid() else []
        os.execvpe('unshare', ['unshare', *user, '--net', sys.executable, *sys.argv], os.environ | {'ALCOVE_BENCH_INSIDE': cache})
    cache = os.environ['ALCOVE_BENCH_INSIDE']
    names = a.names or list(JOBS)
    if set(names) - set(JOBS):
        ap.error(f'known names: {", ".join(JOBS)}')
    work = os.path.join(a.build, 'bench')
    run.compile_tools(work)
    subprocess.run(['gcc', '-std=gnu11', '-O2', '-static', '-pthread', '-o', f'{work}/netserve', f'{run.HERE}/netserve.c'], check=True)
    for d in ('/var/www/html', '/etc/nginx'):
        os.makedirs(f'{work}/net-root{d}', exist_ok=True)
    with open(f'{work}/net-root/etc/nginx/bench.conf', 'w', encoding='ascii') as f:
        f.write(NGINX_CONF)
    with open(f'{work}/net-root/var/www/html/64k', 'wb') as f:
        f.write(bytes(range(256)) * 256)
    helper = set_up(os.getpid())
    try:
        print(f'{"":40} {"cloud":>12} {"alcove":>12} {"ratio":>6} {"at most":>10}')
        for name in names:
            results = {}
            for system in ('linux', 'alcove'):
                if a.only and a.only != system:
                    continue
                command = linux_command(work, name, cache) if system == 'linux' else alcove_command(work, name, a.alcove)
                with Guest(work, f'{work}/libulcount.so', system, name, command) as guest:
                    guest.wait(PORTS[name])
                    results[system] = JOBS[name](guest)
            for row in next(iter(results.values())):
                say(row, *(results.get(s, {}).get(row) for s in ('linux', 'alcove')))
            sys.stdout.flush()
    finally:
        helper.terminate()
        helper.wait()
        if os.path.exists(f'/run/alcove-bench-{os.getpid()}.leases'):
            os.unlink(f'/run/alcove-bench-{os.getpid()}.leases')


if __name__ == '__main__':
    main()
