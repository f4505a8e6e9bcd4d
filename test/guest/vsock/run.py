# SPDX-License-Identifier: MIT
"""alcove run --vsock with a host that this test plays. usage: run.py ALCOVE PROBE MACHINE CASE"""
import os
import re
import subprocess
import sys
import tempfile

import backend as vs

CID = 42
CALLERS = 20


class Echo(vs.Service):
    def data(self, c, data, flags):
        c.send(data, flags)

    def shutdown(self, c, flags):
        if flags == 3 or not c.waiting:
            c.end()
        else:
            c.closing = True  # when all has been sent


class Caller(vs.Service):
    """Port 1002: call the guest back, CALLERS times, and say ok when each got its own words."""

    def __init__(self, backend):
        self.backend, self.asker, self.good = lambda: backend[0], None, 0

    def data(self, c, data, flags):
        if c.kind == vs.STREAM and c.local == 1002:
            self.asker = c
            for _ in range(CALLERS):
                self.backend().connect(2000, self)
            return
        c.got = getattr(c, 'got', b'') + data
        if c.got == self.words(c):
            self.good += 1
            c.say(vs.SHUTDOWN, 3)
            if self.good == CALLERS:
                self.asker.send(b'ok')

    @staticmethod
    def words(c):
        return b'this is number %d' % c.local

    def opened(self, c):
        if c.local != 1002:
            c.send(self.words(c))


class Liar(vs.Service):
    """Port 1003: the guest names the lie."""

    def data(self, c, data, flags):
        b = c.backend
        how = data.decode()
        send = lambda **more: b.send(**{**dict(src_cid=vs.HOST, dst_cid=b.cid, src_port=c.local, dst_port=c.remote, kind=c.kind,
                                               op=vs.RW), **more})
        if how == 'credit':  # more than the guest allows
            for _ in range(70):
                send(data=bytes(4000))
        elif how == 'packets':  # of connections, types and operations that there are not
            for i in range(3000):
                send(src_port=i, data=b'junk')
                send(op=99)
                send(kind=7, data=b'junk')
                send(dst_cid=7, data=b'junk')
                send(src_cid=b.cid, data=b'junk')
                send(src_cid=1, data=b'junk')
                send(op=vs.RESPONSE)
                send(op=vs.REQUEST)
                send(op=vs.RW, dst_port=0xffffffff, src_port=0xffffffff)
            c.end()
        elif how == 'tiny':  # a great many small packets within the credit, then the end
            for _ in range(20000):
                send(data=b'x')
            c.end()
        elif how == 'grants':  # credit that cannot be
            send(op=vs.CREDIT_UPDATE, alloc=0, fwd=0xfffffff0)
            send(op=vs.CREDIT_UPDATE, alloc=0xffffffff, fwd=0x80000000)
            c.end()
        elif how == 'LENGTH':  # a header longer than what came
            send(data=b'abc', length=4000)
        elif how == 'ID':  # a completion of nothing
            b.use(b.queues[vs.RX], 5000, 44)
            b.interrupt(b.queues[vs.RX])
        elif how == 'SHORT':  # half a header
            b.pending.append(bytes(20))
        elif how == 'INDEX':
            q = b.queues[vs.TX]
            b.put16(q.used + 2, (q.used_index + 1000) & 0xffff)
            b.interrupt(q)
            b.interrupt(b.queues[vs.RX])


class Host(vs.Service):
    """Collects notifications, then what the metrics' port says, then lets the program end."""

    def __init__(self, asked):
        self.asked, self.told, self.page, self.ready, self.listens, self.refused = asked, [], b'', False, False, False

    def opened(self, c):
        if c.remote == METRICS:
            c.send(b'GET /metrics HTTP/1.0\r\nHost: guest\r\n\r\n')
        elif c.remote == 2000:
            c.say(vs.SHUTDOWN, 3)
        elif c.local == 1004:
            self.listens = True
            self.go_on(c)

    def data(self, c, data, flags):
        if c.remote == METRICS:
            self.page += data
        elif c.local == 3000:
            c.got = getattr(c, 'got', b'') + data

    def shutdown(self, c, flags):
        if c.remote == METRICS:
            c.backend.connect(2000, self)
        c.end()

    def ended(self, c):
        if c.local == 3000:
            self.told.append(c.got.decode())
            self.ready = True
            self.go_on(c)
        elif c.remote == METRICS and not self.page:
            self.refused = True
            c.backend.connect(2000, self)

    def go_on(self, c):
        if self.listens and (self.ready or not self.asked):
            self.listens = False
            c.backend.connect(METRICS, self)

    def check(self):
        if not self.asked:
            return [] if self.refused and not self.told and not self.page else ['somebody listens, or tells, unasked']
        header, _, body = self.page.decode().partition('\r\n\r\n')
        line = re.compile(r'(# (HELP|TYPE) alcove_\w+ .+|alcove_\w+(\{\w+="[^"]*"(,\w+="[^"]*")*\})? [0-9.]+)$')
        bad = [l for l in body.splitlines() if not line.match(l)]
        value = dict(l.rsplit(' ', 1) for l in body.splitlines() if not l.startswith('#'))
        print(self.told, len(body))
        if self.told != ['READY=1\n', 'STOPPING=1\nEXIT_STATUS=7\n']:
            bad.append(f'told {self.told}')
        if not header.startswith('HTTP/1.0 200 ') or not body.endswith('\n'):
            bad.append(f'header {header}')
        total = int(value.get('alcove_memory_bytes{use="total"}', 0))
        if not 48 << 20 < total <= 64 << 20 or int(value.get('alcove_threads', 0)) < 2 or 'alcove_tcp_segments_sent_total' not in value:
            bad.append(f'values {value}')
        return bad


METRICS = 9100
LINES = {'LENGTH': 'a packet longer than what came; it was reset', 'SHORT': 'a packet longer than what came; it was reset',
         'ID': 'out of range; it was reset', 'INDEX': 'it was reset'}


def main():
    alcove, probe, machine, case = sys.argv[1:5]
    with tempfile.TemporaryDirectory() as where:
        path = os.path.join(where, 'vsock')
        holder = []
        b = vs.Backend(path, CID, {1000: Echo(), 1002: Caller(holder), 1003: Liar()})
        holder.append(b)
        host = Host(case == 'notify')
        b.ports.update({1004: host, 3000: host})
        words = ['--notify', 'vsock-stream:2:3000', '--metrics', str(METRICS)] if case == 'notify' else []
        b.start()
        command = [alcove, 'run', '--machine', machine, '-m', '64M', '--vsock', f'{CID},socket={path}', '--verbose', *words, probe,
                   'wait' if case in ('notify', 'unasked') else case]
        print(' '.join(command))
        try:
            r = subprocess.run(command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, timeout=280)
            out, status = r.stdout.decode(errors='replace'), r.returncode
        except subprocess.TimeoutExpired as e:
            out, status = (e.stdout or b'').decode(errors='replace'), 'timeout'
    print(out)
    waits = case in ('notify', 'unasked')
    wanted = host.check() if waits else ['vsock: PASSED']
    if case == 'serve':
        wanted += [f'cid: {CID}', 'called: 20 times']
    if case in LINES:
        wanted.append(LINES[case])
    missing = [w for w in wanted if w not in out]
    failed = len(re.findall('it was reset', out)) != (case in LINES)
    if missing or failed or status != (7 if waits else 0) or b.broken or re.search(r'panic|warning:', out):
        print(f'missing {missing}, status {status}, back-end {b.broken}')
        return 1
    return 0


sys.exit(main())
