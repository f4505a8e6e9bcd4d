# SPDX-License-Identifier: MIT
"""The device's side of virtio-vsock behind QEMU's vhost-user: an honest host whose ports tests define, and all the means to lie.

Spec: virtio 1.2, 5.10; QEMU's docs/interop/vhost-user.rst. One thread serves QEMU's messages, one the queues.
"""
import mmap
import os
import select
import socket
import struct
import threading

(GET_FEATURES, SET_FEATURES, SET_MEM_TABLE, SET_VRING_NUM, SET_VRING_ADDR, SET_VRING_BASE, GET_VRING_BASE, SET_VRING_KICK,
 SET_VRING_CALL, GET_PROTOCOL_FEATURES, SET_VRING_ENABLE, GET_CONFIG) = 1, 2, 5, 8, 9, 10, 11, 12, 13, 15, 18, 24
F_SEQPACKET, F_PROTOCOL, F_VERSION_1 = 1, 30, 32
PROTOCOL_REPLY_ACK, PROTOCOL_CONFIG = 3, 9
REQUEST, RESPONSE, RST, SHUTDOWN, RW, CREDIT_UPDATE, CREDIT_REQUEST = range(1, 8)
STREAM, SEQPACKET = 1, 2
EOM, EOR = 1, 2
HEADER = struct.Struct('<QQIIIHHIII')
BUF_ALLOC = 256 * 1024
HOST = 2
RX, TX = 0, 1


class Packet:
    def __init__(self, raw, data=b''):
        (self.src_cid, self.dst_cid, self.src_port, self.dst_port, self.len, self.type, self.op, self.flags,
         self.buf_alloc, self.fwd_cnt) = HEADER.unpack(raw)
        self.data = data


class Connection:
    """One end of a connection at the host. service.data(connection, bytes, end of a message), .ended(connection)."""

    def __init__(self, backend, kind, local, remote, service):
        self.backend, self.kind, self.local, self.remote, self.service = backend, kind, local, remote, service
        self.open = True
        self.fwd = self.sent = 0
        self.peer_alloc = self.peer_fwd = 0
        self.waiting = []  # (bytes, flags) that the guest has no room for yet
        self.closing = False  # ends when all has been sent

    def say(self, op, flags=0, data=b''):
        self.backend.send(HOST, self.backend.cid, self.local, self.remote, self.kind, op, flags, BUF_ALLOC, self.fwd & 0xffffffff, data)

    def credit(self):
        return self.peer_alloc - ((self.sent - self.peer_fwd) & 0xffffffff)

    def send(self, data, flags=0):
        for at in range(0, len(data), 4000):
            last = at + 4000 >= len(data)
            self.waiting.append((data[at:at + 4000], flags if last else 0))
        self.flush()

    def flush(self):
        while self.open and self.waiting and len(self.waiting[0][0]) <= self.credit():
            data, flags = self.waiting.pop(0)
            self.sent += len(data)
            self.say(RW, flags, data)
        if self.closing and not self.waiting:
            self.end()

    def take(self, p):
        self.peer_alloc, self.peer_fwd = p.buf_alloc, p.fwd_cnt
        if p.op == RW:
            self.fwd += len(p.data)
            self.service.data(self, p.data, p.flags)
            self.say(CREDIT_UPDATE)
        elif p.op == CREDIT_REQUEST:
            self.say(CREDIT_UPDATE)
        elif p.op == SHUTDOWN:
            self.service.shutdown(self, p.flags)
        elif p.op == RST:
            self.end(False)
        elif p.op == RESPONSE:
            self.service.opened(self)
        self.flush()

    def end(self, tell=True):
        if self.open:
            self.open = False
            self.backend.connections.pop((self.remote, self.local), None)
            if tell:
                self.say(RST)
            self.service.ended(self)


class Service:
    def opened(self, c):
        pass

    def data(self, c, data, flags):
        pass

    def shutdown(self, c, flags):
        c.end()

    def ended(self, c):
        pass


class Queue:
    def __init__(self):
        self.size = self.desc = self.avail = self.used = 0
        self.next = self.used_index = 0
        self.kick = self.call = None


class Backend(threading.Thread):
    """Listens on path. ports: number -> Service; each runs in the queues' thread."""

    def __init__(self, path, cid, ports):
        super().__init__(daemon=True)
        self.cid, self.ports = cid, ports
        self.connections = {}  # (guest's port, ours)
        self.regions, self.queues = [], [Queue(), Queue()]
        self.pending, self.stop = [], False
        self.started = threading.Event()
        self.jobs, self.wake = [], os.pipe()
        self.next_port = 50000
        self.broken = None
        self.sock = socket.socket(socket.AF_UNIX)
        self.sock.bind(path)
        self.sock.listen(1)

    # ---- memory and rings ----

    def at_user(self, addr):
        for _, user, size, mem, offset in self.regions:
            if user <= addr < user + size:
                return mem, addr - user + offset
        raise ValueError(f'address {addr:#x}')

    def at_guest(self, addr, n):
        for guest, _, size, mem, offset in self.regions:
            if guest <= addr and addr + n <= guest + size:
                return mem, addr - guest + offset
        raise ValueError(f'guest address {addr:#x}')

    def get(self, addr, fmt):
        mem, at = self.at_user(addr)
        return struct.unpack_from(fmt, mem, at)

    def put(self, addr, fmt, *values):
        mem, at = self.at_user(addr)
        struct.pack_into(fmt, mem, at, *values)

    # Indices, which both sides look at meanwhile: one access each, which struct's functions are not.
    def get16(self, addr):
        mem, at = self.at_user(addr)
        with memoryview(mem) as m, m[at:at + 2] as two, two.cast('H') as word:
            return word[0]

    def put16(self, addr, value):
        mem, at = self.at_user(addr)
        with memoryview(mem) as m, m[at:at + 2] as two, two.cast('H') as word:
            word[0] = value

    def chain(self, q):
        """The next available chain: (head, [(memory, offset, length, writable)]), or None."""
        if not q.kick or not q.size or q.next == self.get16(q.avail + 2):
            return None
        head = self.get16(q.avail + 4 + 2 * (q.next % q.size))
        q.next = (q.next + 1) & 0xffff
        parts, i = [], head
        while True:
            addr, n, flags, following = self.get(q.desc + 16 * i, '<QIHH')
            parts.append((*self.at_guest(addr, n), n, bool(flags & 2)))
            if not flags & 1:
                return head, parts
            i = following

    def use(self, q, head, n):
        self.put(q.used + 4 + 8 * (q.used_index % q.size), '<II', head, n)
        q.used_index = (q.used_index + 1) & 0xffff
        self.put16(q.used + 2, q.used_index)

    def interrupt(self, q):
        if q.call is not None:
            os.write(q.call, struct.pack('<Q', 1))

    # ---- packets ----

    def send(self, src_cid, dst_cid, src_port, dst_port, kind, op, flags=0, alloc=BUF_ALLOC, fwd=0, data=b'', length=None):
        self.pending.append(HEADER.pack(src_cid, dst_cid, src_port, dst_port, len(data) if length is None else length, kind,
                                        op, flags, alloc, fwd) + data)

    def deliver(self):
        """Packets into the guest's buffers, as far as there are any."""
        q, some = self.queues[RX], False
        while self.pending and (c := self.chain(q)):
            head, parts = c
            raw, at = self.pending.pop(0), 0
            for mem, offset, n, writable in parts:
                piece = raw[at:at + n]
                assert writable or not piece
                mem[offset:offset + len(piece)] = piece
                at += len(piece)
            assert at == len(raw), 'a packet larger than its buffer'
            self.use(q, head, at)
            some = True
        if some:
            self.interrupt(q)

    def receive(self):
        q, some = self.queues[TX], False
        while c := self.chain(q):
            head, parts = c
            raw = b''.join(bytes(mem[offset:offset + n]) for mem, offset, n, writable in parts)
            self.use(q, head, 0)
            some = True
            self.packet(Packet(raw[:HEADER.size], raw[HEADER.size:]))
        if some:
            self.interrupt(q)

    def packet(self, p):
        assert p.len == len(p.data) and p.src_cid == self.cid, 'a packet of the guest that is not whole'
        if p.dst_cid != HOST:
            return
        c = self.connections.get((p.src_port, p.dst_port))
        if c:
            c.take(p)
        elif p.op == REQUEST and p.dst_port in self.ports:
            c = Connection(self, p.type, p.dst_port, p.src_port, self.ports[p.dst_port])
            self.connections[(p.src_port, p.dst_port)] = c
            c.peer_alloc, c.peer_fwd = p.buf_alloc, p.fwd_cnt
            c.say(RESPONSE)
            c.service.opened(c)
            c.flush()
        elif p.op != RST:
            self.send(HOST, self.cid, p.dst_port, p.src_port, p.type, RST)

    def connect(self, port, service, kind=STREAM):
        """From the queues' thread: to a port of the guest."""
        c = Connection(self, kind, self.next_port, port, service)
        self.next_port += 1
        self.connections[(port, c.local)] = c
        c.say(REQUEST)
        return c

    def do(self, job):
        """Have job called in the queues' thread."""
        self.jobs.append(job)
        os.write(self.wake[1], b'x')

    def work(self):
        try:
            while not self.stop:
                fds = [q.kick for q in self.queues if q.kick is not None] + [self.wake[0]]
                for fd in select.select(fds, [], [], 1)[0]:
                    os.read(fd, 8 if fd != self.wake[0] else 4096)
                if self.queues[RX].kick is None or self.queues[TX].kick is None:
                    continue
                while self.jobs:
                    self.jobs.pop(0)()
                self.receive()
                self.deliver()
        except (AssertionError, ValueError, OSError) as e:
            if not self.stop:
                self.broken = repr(e)

    # ---- QEMU ----

    def run(self):
        self.conn, _ = self.sock.accept()
        worker = threading.Thread(target=self.work, daemon=True)
        worker.start()
        try:
            while self.message():
                pass
        except OSError:
            pass
        self.stop = True

    def message(self):
        data, fds, _, _ = socket.recv_fds(self.conn, 12, 16)
        if len(data) < 12:
            return False
        what, flags, size = struct.unpack('<III', data)
        body = b''
        while len(body) < size:
            body += self.conn.recv(size - len(body))
        answer = self.handle(what, body, fds)
        if answer is None and flags & 8:
            answer = struct.pack('<Q', 0)
        if answer is not None:
            self.conn.sendall(struct.pack('<III', what, 5, len(answer)) + answer)
        return True

    def handle(self, what, body, fds):
        if what == GET_FEATURES:
            return struct.pack('<Q', 1 << F_VERSION_1 | 1 << F_PROTOCOL | 1 << F_SEQPACKET)
        if what == GET_PROTOCOL_FEATURES:
            return struct.pack('<Q', 1 << PROTOCOL_REPLY_ACK | 1 << PROTOCOL_CONFIG)
        if what == GET_CONFIG:
            offset, size, _ = struct.unpack_from('<III', body)
            return body[:12] + struct.pack('<Q', self.cid)[offset:offset + size].ljust(size, b'\0')
        if what == SET_MEM_TABLE:
            n, _ = struct.unpack_from('<II', body)
            self.regions = []
            for i in range(n):
                guest, size, user, offset = struct.unpack_from('<QQQQ', body, 8 + 32 * i)
                self.regions.append((guest, user, size, mmap.mmap(fds[i], size + offset), offset))
        elif what in (SET_VRING_NUM, SET_VRING_BASE, GET_VRING_BASE):
            i, n = struct.unpack_from('<II', body)
            q = self.queues[i]
            if what == SET_VRING_NUM:
                q.size = n
            elif what == SET_VRING_BASE:
                q.next = q.used_index = n
            else:
                q.kick = None
                return struct.pack('<II', i, q.next)
        elif what == SET_VRING_ADDR:
            i, _, desc, used, avail, _ = struct.unpack_from('<IIQQQQ', body)
            q = self.queues[i]
            q.desc, q.used, q.avail = desc, used, avail
        elif what in (SET_VRING_KICK, SET_VRING_CALL):
            q = self.queues[body[0]]
            fd = fds[0] if fds else None
            if what == SET_VRING_CALL:
                q.call = fd
            else:
                q.kick = fd
                os.write(self.wake[1], b'x')
        return None
