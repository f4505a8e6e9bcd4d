# SPDX-License-Identifier: MIT
"""More servers from Debian and of language runtimes than README shows, and clients that use TLS, each unmodified in a guest on QEMU's user network.

usage: daemons.py [--results DIR] ALCOVE NAME      a name in DAEMONS, or outwards. DIR: see test/guest/programs/results.py
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

from serve import HOST, dial, get, note, page, serve, until, write


def certificate(directory):
    os.makedirs(directory, exist_ok=True)
    subprocess.run(['openssl', 'req', '-x509', '-newkey', 'rsa:2048', '-nodes', '-days', '2', '-subj', '/CN=test', '-addext',
                    'subjectAltName=IP:127.0.0.1,IP:10.0.2.2', '-keyout', directory + '/key.pem', '-out', directory + '/cert.pem'],
                   check=True, capture_output=True)


# ---- what each needs, and what its client does ----

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
    write(root + '/tls/nginx.conf', '''worker_processes 2;
events {}
http {
    log_format short '$status $request';
    access_log /tmp/access.log short;
    server {
        listen 443 ssl reuseport;
        ssl_certificate /tls/cert.pem;
        ssl_certificate_key /tls/key.pem;
        location / { return 200 "worker $pid over TLS"; }
        location /log { alias /tmp/access.log; }
    }
}
''')


def nginx_tls(port, work):
    """Both workers answer, and write into one log."""
    context = ssl.create_default_context(cafile=work + '/root/tls/cert.pem')

    def fetch(path):
        return get(port, path, http.client.HTTPSConnection, context=context)
    workers, done = set(), 0
    while len(workers) < 2 and done < 200:
        status, body = fetch(f'/page{done}')
        workers.add(re.fullmatch(rb'worker (\d+) over TLS', body)[1])
        done += 1
    assert len(workers) == 2 and b'1' not in workers, workers
    status, body = fetch('/log')
    assert status == 200 and sorted(body.decode().splitlines()) == sorted(f'200 GET /page{i} HTTP/1.1' for i in range(done)), body


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
    for more in ([], ['-R'], ['-P', '4']):
        def once():
            return subprocess.run(['iperf3', '-c', HOST, '-p', str(port), '-t', '2', *more], capture_output=True, text=True,
                                  timeout=120, check=True).stdout
        said = until(once, subprocess.CalledProcessError)  # between two tests the server does not listen
        print(said[-700:])
        assert 'receiver' in said


UDP_ECHO = '''
import socket
s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
s.bind(("0.0.0.0", 53))
while True:
    data, peer = s.recvfrom(1000)
    s.sendto(data.upper(), peer)
'''


def udp_echo(port, work):
    s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    s.settimeout(1)

    def once():
        s.sendto(b'hello', (HOST, port))
        assert s.recv(100) == b'HELLO'
    until(once)


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


DAEMONS = {
    'lighttpd': ('80', [], ['/usr/sbin/lighttpd', '-D', '-f', '/etc/lighttpd.conf'], page(b'by lighttpd'), lighttpd_files),
    'haproxy': ('80', [], ['/usr/sbin/haproxy', '-db', '-f', '/etc/haproxy.cfg'], haproxy, haproxy_files),
    'nginx-tls': ('443', [], ['/usr/sbin/nginx', '-c', '/tls/nginx.conf', '-g', 'daemon off;'], nginx_tls, nginx_tls_files),
    'socat': ('7', ['--with', 'cat'], ['/usr/bin/socat', 'TCP-LISTEN:7,fork,reuseaddr', 'EXEC:/bin/cat'], echo, None),
    'asyncio': ('7', [], ['/usr/bin/python3', '-c', ASYNCIO], asyncio_clients, None),
    'node-alone': ('80', ['--memory', '512M'], ['/usr/bin/node', '-e', NODE], page(b'by node /'), None),
    'go-static': ('80', [], ['/server'], page(b'by Go 10.0.2.2:'), go_files),
    'java-class': ('80', ['--memory', '512M'], ['/usr/bin/java', '-cp', '/', 'Server'], page(b'by Java'), java_files),
    'iperf3': ('5201', [], ['/usr/bin/iperf3', '-s'], iperf, None),
    'udp': ('53/udp', [], ['/usr/bin/python3', '-c', UDP_ECHO], udp_echo, None),
    'dropbear': ('22', ['--with', 'cat', '--with', 'tty', '--with', 'stty', '--with', 'bash'], ['/usr/sbin/dropbear', '-F', '-E', '-R', '-p', '22'],
                 dropbear, dropbear_files),
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


def main(args):
    results, args = (args[1], args[2:]) if args[:1] == ['--results'] else (None, args)
    alcove, name = args
    if name != 'outwards':
        return 0 if serve(alcove, name, DAEMONS, results) else 1
    with tempfile.TemporaryDirectory() as work:
        outwards(alcove, work)
    note(results, alcove, 'net-outwards', 'curl and wget over TLS', [])
    return 0


if __name__ == '__main__':
    sys.exit(main(sys.argv[1:]))
