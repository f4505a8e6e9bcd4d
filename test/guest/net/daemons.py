# SPDX-License-Identifier: MIT
"""More servers from Debian and of language runtimes, and clients that use TLS, each unmodified in a guest on QEMU's user network.

usage: daemons.py ALCOVE NAME      one of the names in DAEMONS
"""
import asyncio
import http.client
import http.server
import os
import re
import socket
import ssl
import subprocess
import sys
import tempfile
import threading
import time

from servers import DEADLINE, free_port, get

HOST = '127.0.0.1'


def write(path, text):
    os.makedirs(os.path.dirname(path), exist_ok=True)
    with open(path, 'w', encoding='utf-8') as f:
        f.write(text)


def certificate(directory):
    os.makedirs(directory, exist_ok=True)
    subprocess.run(['openssl', 'req', '-x509', '-newkey', 'rsa:2048', '-nodes', '-days', '2', '-subj', '/CN=test', '-addext',
                    'subjectAltName=IP:127.0.0.1,IP:10.0.2.2', '-keyout', directory + '/key.pem', '-out', directory + '/cert.pem'],
                   check=True, capture_output=True)


def dial(port, greeting=b'', answer=b''):
    """A connection on which the server has answered the greeting."""
    end = time.time() + DEADLINE
    while True:
        try:
            s = socket.create_connection((HOST, port), timeout=20)
            s.sendall(greeting)
            got = b''
            while len(got) < len(answer):
                part = s.recv(len(answer) - len(got))
                if not part:
                    raise OSError('closed')
                got += part
            assert got == answer, got
            return s
        except OSError:
            if time.time() > end:
                raise
            time.sleep(0.3)


def page(expected, times=20):
    def client(port, work):
        for _ in range(times):
            status, body = get(port)
            assert status == 200 and expected in body, (status, body)
    return client


# ---- what each needs, and what its client does ----

def memcached(port, work):
    s = dial(port, b'version\r\n', b'VERSION ')
    s.recv(1000)
    value = os.urandom(100000).hex().encode()
    s.sendall(b'set key 0 0 %d\r\n' % len(value) + value + b'\r\nget key\r\n')
    want = b'STORED\r\nVALUE key 0 %d\r\n' % len(value) + value + b'\r\nEND\r\n'
    got = b''
    while len(got) < len(want):
        got += s.recv(65536)
    assert got == want


def lighttpd_files(root):
    write(root + '/etc/lighttpd.conf', 'server.document-root = "/srv"\nserver.port = 80\nindex-file.names = ( "index.html" )\n')
    write(root + '/srv/index.html', 'by lighttpd\n')


def haproxy_files(root):
    write(root + '/etc/haproxy.cfg', '''global
    maxconn 200
defaults
    mode http
    timeout connect 5s
    timeout client 30s
    timeout server 30s
frontend front
    bind :80
    default_backend back
backend back
    balance roundrobin
    server one 127.0.0.1:8001
    server two 127.0.0.1:8002
frontend one
    bind 127.0.0.1:8001
    http-request return status 200 content-type text/plain string "by haproxy one"
frontend two
    bind 127.0.0.1:8002
    http-request return status 200 content-type text/plain string "by haproxy two"
''')


def haproxy(port, work):
    pages = {get(port)[1] for _ in range(20)}
    assert pages == {b'by haproxy one', b'by haproxy two'}, pages


def nginx_tls_files(root):
    certificate(root + '/tls')
    write(root + '/tls/nginx.conf', '''events {}
http {
    access_log /dev/stdout;
    server {
        listen 443 ssl;
        ssl_certificate /tls/cert.pem;
        ssl_certificate_key /tls/key.pem;
        location / { return 200 "by nginx over TLS"; }
    }
}
''')


def nginx_tls(port, work):
    context = ssl.create_default_context(cafile=work + '/root/tls/cert.pem')
    dial(port).close()
    end = time.time() + DEADLINE
    done = 0
    while done < 5:
        try:
            c = http.client.HTTPSConnection(HOST, port, context=context, timeout=20)
            c.request('GET', '/')
            assert c.getresponse().read() == b'by nginx over TLS'
            done += 1
        except OSError:
            if time.time() > end:
                raise
            time.sleep(0.3)


def echo(port, work):
    s = dial(port, b'hello\n', b'hello\n')
    data = os.urandom(300000)
    threading.Thread(target=s.sendall, args=(data,), daemon=True).start()
    got = b''
    while len(got) < len(data):
        part = s.recv(65536)
        assert part
        got += part
    assert got == data


ASYNCIO = '''
import asyncio
async def serve(reader, writer):
    while data := await reader.readline():
        await asyncio.sleep(0.01)
        writer.write(data.upper())
        await writer.drain()
    writer.close()
async def main():
    server = await asyncio.start_server(serve, "0.0.0.0", 7)
    await server.serve_forever()
asyncio.run(main())
'''


def asyncio_clients(port, work):
    dial(port, b'first\n', b'FIRST\n').close()

    async def one(i, ends):
        reader, writer = ends
        for j in range(5):
            writer.write(b'line %d of %d\n' % (j, i))
            assert await reader.readline() == b'LINE %d OF %d\n' % (j, i)
        writer.close()

    async def all_of_them():
        # One connect after another: QEMU's listener has a backlog of one.
        ends = [await asyncio.open_connection(HOST, port) for _ in range(40)]
        await asyncio.gather(*(one(i, e) for i, e in enumerate(ends)))
    asyncio.run(all_of_them())


NODE = 'require("http").createServer((q, r) => r.end("by node " + q.url)).listen(80)'
CLUSTER = '''
const cluster = require("cluster"), http = require("http");
if (cluster.isPrimary) { cluster.fork(); cluster.fork(); }
else http.createServer((q, r) => r.end("by worker " + cluster.worker.id)).listen(80);
'''


def cluster_files(root):
    write(root + '/cluster.js', CLUSTER)


def cluster(port, work):
    seen = set()
    end = time.time() + DEADLINE
    while len(seen) < 2 and time.time() < end:
        seen.add(get(port)[1])
    assert seen == {b'by worker 1', b'by worker 2'}, seen


GO = '''package main

import (
	"fmt"
	"net/http"
)

func main() {
	http.HandleFunc("/", func(w http.ResponseWriter, r *http.Request) { fmt.Fprint(w, "by Go ", r.RemoteAddr) })
	panic(http.ListenAndServe(":80", nil))
}
'''
JAVA = '''import com.sun.net.httpserver.HttpServer;
import java.net.InetSocketAddress;

public class Server {
    public static void main(String[] args) throws Exception {
        HttpServer s = HttpServer.create(new InetSocketAddress(80), 0);
        s.createContext("/", q -> {
            byte[] b = "by Java".getBytes();
            q.sendResponseHeaders(200, b.length);
            q.getResponseBody().write(b);
            q.close();
        });
        s.start();
    }
}
'''


def go_files(root):
    write(root + '/go/main.go', GO)
    subprocess.run(['go', 'build', '-o', root + '/server', 'main.go'], cwd=root + '/go', check=True,
                   env=os.environ | {'GOCACHE': root + '/../cache', 'GO111MODULE': 'off', 'CGO_ENABLED': '0'})


def java_files(root):
    write(root + '/Server.java', JAVA)
    subprocess.run(['javac', '-d', root, root + '/Server.java'], check=True)


def iperf(port, work):
    dial(port).close()
    time.sleep(1)
    for more in ([], ['-R'], ['-P', '4']):
        for _ in range(10):  # between two tests the server does not listen
            time.sleep(2)
            run = subprocess.run(['iperf3', '-c', HOST, '-p', str(port), '-t', '2', *more], capture_output=True, text=True, timeout=120)
            if run.returncode == 0:
                break
        print(run.stdout[-700:])
        assert run.returncode == 0 and 'receiver' in run.stdout, run


def dropbear_files(root):
    os.makedirs(root + '/root/.ssh', mode=0o700)
    os.makedirs(root + '/etc/dropbear')
    subprocess.run(['dropbearkey', '-t', 'ed25519', '-f', root + '/../key'], check=True, capture_output=True)
    said = subprocess.run(['dropbearkey', '-y', '-f', root + '/../key'], check=True, capture_output=True, text=True).stdout
    write(root + '/root/.ssh/authorized_keys', re.search(r'^ssh-ed25519 .*$', said, re.M)[0] + '\n')
    write(root + '/etc/passwd', 'root:x:0:0:root:/root:/bin/bash\n')
    write(root + '/etc/shells', '/bin/bash\n')


def dropbear(port, work):
    dial(port, b'', b'SSH-2.0-').close()
    base = ['dbclient', '-y', '-y', '-i', work + '/key', '-p', str(port)]
    run = subprocess.run([*base, 'root@' + HOST, 'echo plain; cat; exit 7'], input='typed in\n', capture_output=True, text=True, timeout=120)
    assert run.returncode == 7 and run.stdout == 'plain\ntyped in\n', run
    run = subprocess.run(['script', '-qec', ' '.join([*base, '-t', 'root@' + HOST]), '/dev/null'], input='tty\nstty size >/dev/null && echo "$((6 * 7)) from $TERM"\nexit\n', capture_output=True,
                         text=True, timeout=120)
    assert '/dev/pts/0' in run.stdout and re.search(r'^42 from', run.stdout, re.M), run


POSTGRES = '''set -e
export PATH=/usr/lib/postgresql/15/bin:$PATH
mkdir -m 700 /tmp/pg
initdb -D /tmp/pg -A trust -N >/tmp/said 2>&1 || { cat /tmp/said; exit 1; }
echo "host all all all trust" >>/tmp/pg/pg_hba.conf
exec postgres -D /tmp/pg -c listen_addresses='*' -c unix_socket_directories=/tmp -c dynamic_shared_memory_type=mmap
'''


def postgres(port, work):
    end = time.time() + DEADLINE
    psql = ['psql', '-h', HOST, '-p', str(port), '-U', 'postgres', '-At', '-v', 'ON_ERROR_STOP=1']
    while True:
        run = subprocess.run([*psql, '-c', 'select 6 * 7'], capture_output=True, text=True, timeout=60)
        if run.returncode == 0 or time.time() > end:
            break
        time.sleep(1)
    assert run.stdout == '42\n', run
    sql = '''create table t (n int primary key, s text);
insert into t select i, md5(i::text) from generate_series(1, 2000) i;
begin; delete from t where n % 2 = 0; rollback;
select count(*), max(length(s)) from t;'''
    run = subprocess.run(psql, input=sql, capture_output=True, text=True, timeout=120)
    assert run.returncode == 0 and run.stdout.endswith('2000|32\n'), run


DAEMONS = {
    'memcached': ('11211', [], ['/usr/bin/memcached', '-u', 'root', '-l', '0.0.0.0'], memcached, None),
    'lighttpd': ('80', [], ['/usr/sbin/lighttpd', '-D', '-f', '/etc/lighttpd.conf'], page(b'by lighttpd'), lighttpd_files),
    'haproxy': ('80', [], ['/usr/sbin/haproxy', '-db', '-f', '/etc/haproxy.cfg'], haproxy, haproxy_files),
    'nginx-tls': ('443', [], ['/usr/sbin/nginx', '-c', '/tls/nginx.conf', '-g', 'daemon off;'], nginx_tls, nginx_tls_files),
    'socat': ('7', ['--with', 'cat'], ['/usr/bin/socat', 'TCP-LISTEN:7,fork,reuseaddr', 'EXEC:/bin/cat'], echo, None),
    'asyncio': ('7', [], ['/usr/bin/python3', '-c', ASYNCIO], asyncio_clients, None),
    'node': ('80', ['--memory', '512M'], ['/usr/bin/node', '-e', NODE], page(b'by node /'), None),
    'node-cluster': ('80', ['--memory', '768M', '--cpus', '2'], ['/usr/bin/node', '/cluster.js'], cluster, cluster_files),
    'go': ('80', [], ['/server'], page(b'by Go 10.0.2.2:'), go_files),
    'java': ('80', ['--memory', '512M'], ['/usr/bin/java', '-cp', '/', 'Server'], page(b'by Java'), java_files),
    'iperf3': ('5201', [], ['/usr/bin/iperf3', '-s'], iperf, None),
    'dropbear': ('22', ['--with', 'cat', '--with', 'tty', '--with', 'stty', '--with', 'bash'], ['/usr/sbin/dropbear', '-F', '-E', '-R', '-p', '22'],
                 dropbear, dropbear_files),
    'postgres': ('5432', ['--memory', '512M', '--user', 'postgres'] +
                 [w for t in ('mkdir', 'cat', 'sh', '/usr/lib/postgresql/15/bin/initdb', '/usr/lib/postgresql/15/bin/postgres') for w in ('--with', t)],
                 ['/bin/bash', '-c', POSTGRES], postgres, None),
}


def outwards(alcove, work):
    """curl and wget in the guest fetch over TLS from a server of this machine's loopback."""
    certificate(work + '/root/tls')
    body = os.urandom(200000).hex()
    write(work + '/www/file', body)

    class Handler(http.server.SimpleHTTPRequestHandler):
        def __init__(self, *a):
            super().__init__(*a, directory=work + '/www')

        def log_message(self, *a):
            pass
    server = http.server.ThreadingHTTPServer((HOST, 0), Handler)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(work + '/root/tls/cert.pem', work + '/root/tls/key.pem')
    server.socket = context.wrap_socket(server.socket, server_side=True)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    url = f'https://10.0.2.2:{server.server_address[1]}/file'
    script = f'curl -sS --cacert /tls/cert.pem {url} >/tmp/a && wget -q --ca-certificate=/tls/cert.pem -O /tmp/b {url} && cmp /tmp/a /tmp/b && ' \
             f'md5sum </tmp/a && ! curl -sS {url}'
    tools = [w for t in ('curl', 'wget', 'cmp', 'md5sum') for w in ('--with', t)]
    run = subprocess.run([alcove, 'run', '--net', 'user', '--root', work + '/root', *tools, '/bin/bash', '-c', script], stdin=subprocess.DEVNULL,
                         capture_output=True, text=True, timeout=300)
    want = subprocess.run(['md5sum'], input=body, capture_output=True, text=True, check=True).stdout
    # The last one has no certificates to trust; standard output and error are one console.
    assert run.returncode == 0 and run.stdout.startswith(want) and 'certificate' in run.stdout + run.stderr, run


def serve(alcove, name, work):
    guest, options, program, client, files = DAEMONS[name]
    os.mkdir(work + '/root')
    if files:
        files(work + '/root')
    port = free_port()
    with open(work + '/out', 'wb') as out:
        vm = subprocess.Popen([alcove, 'run', '-p', f'{port}:{guest}', '--root', work + '/root', *options, *program], stdin=subprocess.DEVNULL,
                              stdout=out, stderr=subprocess.STDOUT)
        try:
            client(port, work)
            good = vm.poll() is None
        finally:
            vm.terminate()
            vm.wait(60)
            with open(work + '/out', encoding='utf-8', errors='replace') as said:
                text = said.read()
            print(text[-4000:])
    return good and not re.search(r'panic:|BUG', text)


def main():
    alcove, name = sys.argv[1:]
    with tempfile.TemporaryDirectory() as work:
        os.chmod(work, 0o755)
        if name == 'outwards':
            outwards(alcove, work)
        else:
            sys.exit(0 if serve(alcove, name, work) else 1)


if __name__ == '__main__':
    main()
