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
            b.put(q.used + 2, '<H', (q.used_index + 1000) & 0xffff)
            b.interrupt(q)
            b.interrupt(b.queues[vs.RX])


LINES = {'LENGTH': 'a packet longer than what came; it was reset', 'SHORT': 'a packet longer than what came; it was reset',
         'ID': 'out of range; it was reset', 'INDEX': 'it was reset'}


def main():
    alcove, probe, machine, case = sys.argv[1:5]
    with tempfile.TemporaryDirectory() as where:
        path = os.path.join(where, 'vsock')
        holder = []
        b = vs.Backend(path, CID, {1000: Echo(), 1002: Caller(holder), 1003: Liar()})
        holder.append(b)
        b.start()
        command = [alcove, 'run', '--machine', machine, '-m', '64M', '--vsock', f'{CID},socket={path}', '--verbose', probe, case]
        print(' '.join(command))
        try:
            r = subprocess.run(command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, timeout=280)
            out, status = r.stdout.decode(errors='replace'), r.returncode
        except subprocess.TimeoutExpired as e:
            out, status = (e.stdout or b'').decode(errors='replace'), 'timeout'
    print(out)
    wanted = ['vsock: PASSED']
    if case == 'serve':
        wanted += [f'cid: {CID}', 'called: 20 times']
    if case in LINES:
        wanted.append(LINES[case])
    missing = [w for w in wanted if w not in out]
    failed = len(re.findall('it was reset', out)) != (case in LINES)
    if missing or failed or status != 0 or b.broken or re.search(r'panic|warning:', out):
        print(f'missing {missing}, status {status}, back-end {b.broken}')
        return 1
    return 0


sys.exit(main())
