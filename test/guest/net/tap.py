# SPDX-License-Identifier: MIT
"""A guest on a tap interface, in a network namespace of this test's own: DHCP, router advertisements, names, programs that
look at the network, and packets that no honest peer sends.

usage: tap.py [--results DIR] ALCOVE      DIR: see test/guest/programs/results.py
"""
import os
import re
import select
import socket
import struct
import subprocess
import sys
import tempfile
import threading
import time

from serve import note

DEADLINE = 200
HOST, NETWORK = '10.77.0.1', '10.77.0.'

GUEST = r'''
set -u
echo "hostname $(cat /etc/hostname)"
echo "hosts $(grep guest77 /etc/hosts)"
echo "resolv $(cat /etc/resolv.conf)"
ip -o -4 addr show dev eth0
ip route
for i in 1 2 3 4 5 6 7 8 9 10 11 12; do ip -o -6 addr show dev eth0 scope global | grep -qv tentative && break; sleep 1; done
ip -o -6 addr show dev eth0
ip -6 route
ping -c 2 10.77.0.1
ping -c 1 fd77::1
echo "dig $(dig +short host.test)"
echo "getent $(getent hosts host.test)"
echo "wget $(wget -q -O - http://host.test:8077/name)"
echo "curl $(curl -sS -g 'http://[fd77::1]:8077/name')"
ip neigh
ip addr add 10.77.0.200/24 dev eth0 && ip -o -4 addr show dev eth0
ip route add 192.0.2.0/24 via 10.77.0.1 && ip route get 192.0.2.9
ip link set eth0 mtu 1400 && ip -o link show eth0
cat /proc/net/route /proc/net/arp /sys/class/net/eth0/mtu
tcpdump -Z root -i eth0 -n -c 3 -w /tmp/capture icmp 2>/tmp/said & sleep 3
ping -q -c 3 10.77.0.1
wait
tcpdump -Z root -n -r /tmp/capture
bash -c 'exec 3<>/dev/tcp/10.77.0.1/9' || echo refused
bash -c 'exec 3<>/dev/tcp/192.0.2.9/9' || echo unreachable
ss -tln
python3 /urgent.py
echo "all said"
exec /usr/bin/python3 -m http.server -d /srv 80
'''

URGENT = '''
import select, socket
s = socket.create_connection(("10.77.0.1", 8078))
s.sendall(b"cdY", socket.MSG_OOB)
p = select.poll()
p.register(s, select.POLLPRI)
p.poll()
print("urgent", s.recv(10, socket.MSG_OOB), s.recv(10), s.recv(10))
'''


def urgent_peer(listener):
    """The other end of URGENT: urgent data in both directions."""
    c, _ = listener.accept()
    p = select.poll()
    p.register(c, select.POLLPRI)
    p.poll(DEADLINE * 1000)
    c.sendall(b'abX' if c.recv(10, socket.MSG_OOB) == b'Y' and c.recv(10) == b'cd' else b'no?', socket.MSG_OOB)
    c.sendall(b'ef')
    while c.recv(10):  # until it is closed
        pass


def run(*words, **more):
    return subprocess.run(words, check=True, **more)


def set_up(work):
    run('ip', 'link', 'set', 'lo', 'up')
    run('ip', 'tuntap', 'add', 'dev', 'tap77', 'mode', 'tap')
    run('ip', 'addr', 'add', HOST + '/24', 'dev', 'tap77')
    run('ip', '-6', 'addr', 'add', 'fd77::1/64', 'dev', 'tap77', 'nodad')
    run('ip', 'link', 'set', 'tap77', 'up')
    run('ip', 'route', 'add', 'unreachable', '192.0.2.0/24')
    with open('/proc/sys/net/ipv4/ip_forward', 'w', encoding='ascii') as f:
        f.write('1')
    os.mkdir(work + '/www')
    with open(work + '/www/name', 'w', encoding='ascii') as f:
        f.write('fetched')
    return [subprocess.Popen(['dnsmasq', '--no-daemon', '--conf-file=/dev/null', '--user=root', '--pid-file=', '--no-hosts', '--no-resolv',
                              '--interface=tap77', '--bind-interfaces', '--dhcp-range=10.77.0.10,10.77.0.20,255.255.255.0,1h',
                              '--dhcp-range=fd77::,ra-only,64', '--enable-ra', '--address=/host.test/' + HOST,
                              '--dhcp-leasefile=' + work + '/leases'], stdout=sys.stdout, stderr=subprocess.STDOUT),
            subprocess.Popen([sys.executable, '-m', 'http.server', '--bind', '::', '-d', work + '/www', '8077'],
                             stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)]


def wait_for(path, text, vm):
    end = time.time() + DEADLINE
    while time.time() < end and vm.poll() is None:
        with open(path, encoding='utf-8', errors='replace') as f:
            all_said = f.read()
        if text in all_said:
            return all_said
        time.sleep(0.5)
    raise AssertionError(f'{text!r} was not said: {open(path, encoding="utf-8", errors="replace").read()}')


def expect(text, *patterns):
    bad = [p for p in patterns if not re.search(p, text, re.M)]
    assert not bad, f'not said: {bad}'


def check_said(text):
    expect(text, r'^hostname guest77$', rf'^hosts {NETWORK}1\d\tguest77', rf'^resolv nameserver {HOST}$',
           rf'inet {NETWORK}1\d/24 brd 10.77.0.255', rf'^default via {HOST} dev eth0 proto dhcp',
           r'inet6 fd77::[0-9a-f:]+/64 scope global', r'^default via fe80::\S+ dev eth0 proto ra', r'2 packets transmitted, 2 received',
           r'1 packets transmitted, 1 received', rf'^dig {HOST}$', rf'^getent {HOST}\s+host.test', r'^wget fetched$', r'^curl fetched$',
           rf'^{HOST} dev eth0 lladdr [0-9a-f:]+ REACHABLE', r'inet 10.77.0.200/24 .*secondary eth0',
           rf'^192.0.2.9 via {HOST} dev eth0 src {NETWORK}1\d', r'eth0: .* mtu 1400 ', r'^eth0\t000200C0\t01004D0A\t0003', rf'^{HOST} +0x1 +0x2',
           r'^1400$', r'3 packets transmitted, 3 received', r'IP \S+ > 10.77.0.1: ICMP echo request', r'IP 10.77.0.1 > \S+: ICMP echo reply',
           r'^refused$', r'^unreachable$', r"^urgent b'X' b'ab' b'ef'$", r'Connection refused', r'No route to host')


def fetch(address, timeout=30):
    with socket.create_connection((address, 80), timeout=timeout) as s:
        s.sendall(b'GET /mark HTTP/1.0\r\n\r\n')
        out = b''
        while part := s.recv(65536):
            out += part
    assert out.endswith(b'marked'), out


def checksum(data):
    total = sum(struct.unpack('!%dH' % (len(data) // 2), data))
    while total >> 16:
        total = (total & 0xffff) + (total >> 16)
    return ~total & 0xffff


def segment(source, dest, sport, dport, seq, ack, flags, data=b''):
    tcp = struct.pack('!HHIIBBHHH', sport, dport, seq & 0xffffffff, ack & 0xffffffff, 5 << 4, flags, 8192, 0, 0) + data
    pseudo = socket.inet_aton(source) + socket.inet_aton(dest) + struct.pack('!BBH', 0, 6, len(tcp))
    both = pseudo + tcp + b'\0' * (len(tcp) % 2)
    tcp = tcp[:16] + struct.pack('!H', checksum(both)) + tcp[18:]
    ip = struct.pack('!BBHHHBBH4s4s', 0x45, 0, 20 + len(tcp), 1, 0, 64, 6, 0, socket.inet_aton(source), socket.inet_aton(dest))
    return ip + tcp


RST, SYN, PSH_ACK = 4, 2, 24


def attack(address):
    """Packets that a blind attacker sends: half-open connections without end; resets and data that do not fit quite."""
    raw = socket.socket(socket.AF_INET, socket.SOCK_RAW, socket.IPPROTO_RAW)
    for i in range(3000):
        raw.sendto(segment(f'198.51.100.{i % 250 + 1}', address, 1024 + i, 80, i * 7919, 0, SYN), (address, 0))
    # All half-open connections that there may be are these: who comes now gets a cookie, and a whole page by it.
    for _ in range(5):
        raw.sendto(segment('198.51.100.254', address, 1023, 80, 1, 0, SYN), (address, 0))
        fetch(address)
    with socket.create_connection((address, 80), timeout=30) as s:
        host, port = s.getsockname()
        sniff = socket.socket(socket.AF_PACKET, socket.SOCK_DGRAM, socket.htons(0x800))
        sniff.settimeout(20)
        s.sendall(b'GET /mark ')
        while True:  # the acknowledgement has the numbers
            p = sniff.recv(65536)
            header = (p[0] & 15) * 4
            if p[9] == 6 and p[header:header + 4] == struct.pack('!HH', 80, port):
                seq, ack = struct.unpack('!II', p[header + 4:header + 12])
                if ack:
                    break
        raw.sendto(segment(host, address, port, 80, ack + 1000, 0, RST), (address, 0))  # in the window, not next
        raw.sendto(segment(host, address, port, 80, ack, seq, SYN), (address, 0))
        raw.sendto(segment(host, address, port, 80, ack, seq + 0x40000000, PSH_ACK, b'HTTP/9.9\r\n\r\n'), (address, 0))
        time.sleep(1)
        s.sendall(b'HTTP/1.0\r\n\r\n')
        out = b''
        while part := s.recv(65536):
            out += part
        assert out.endswith(b'marked'), out


def main():
    results, alcove = sys.argv[2:] if sys.argv[1:2] == ['--results'] else (None, sys.argv[1])
    if not os.environ.get('ALCOVE_TAP_INSIDE'):
        # Only who is not root needs a user namespace, which a chroot does not have.
        user = ['--user', '--map-root-user'] if os.geteuid() else []
        os.execvpe('unshare', ['unshare', *user, '--net', sys.executable, *sys.argv],
                   os.environ | {'ALCOVE_TAP_INSIDE': '1'})
    with tempfile.TemporaryDirectory() as work:
        started = set_up(work)
        os.makedirs(work + '/root/srv')
        with open(work + '/root/srv/mark', 'w', encoding='ascii') as f:
            f.write('marked')
        with open(work + '/root/guest.sh', 'w', encoding='ascii') as f:
            f.write(GUEST)
        with open(work + '/root/urgent.py', 'w', encoding='ascii') as f:
            f.write(URGENT)
        listener = socket.create_server((HOST, 8078))
        threading.Thread(target=urgent_peer, args=(listener,), daemon=True).start()
        tools = [w for t in ('ip', 'ping', 'dig', 'getent', 'wget', 'curl', 'tcpdump', 'ss', 'cat', 'grep', 'sleep', 'bash', '/usr/bin/python3') for w in ('--with', t)]
        try:
            with open(work + '/out', 'wb') as out:
                vm = subprocess.Popen([alcove, 'run', '--net', 'tap=tap77', '--hostname', 'guest77', '--root', work + '/root', *tools,
                                       '/bin/bash', '/guest.sh'], stdin=subprocess.DEVNULL, stdout=out, stderr=subprocess.STDOUT)
            started.append(vm)
            text = wait_for(work + '/out', 'all said', vm)
            print(text)
            check_said(text)
            address = re.search(rf'inet ({NETWORK}1\d)/24', text)[1]
            expect(text, rf"the guest's address is {address}")
            end = time.time() + 60
            while time.time() < end:  # until the server is there
                try:
                    socket.create_connection((address, 80), timeout=5).close()
                    break
                except OSError:
                    time.sleep(0.5)
            fetch(address)
            fetch('10.77.0.200')
            attack(address)
            with open(work + '/out', encoding='utf-8', errors='replace') as f:
                text = f.read()
            assert vm.poll() is None and not re.search(r'panic:|BUG', text), text[-3000:]
            note(results, alcove, 'net-tap', 'ip ss ping dig getent wget curl tcpdump', [], 8)
        finally:
            for p in reversed(started):
                p.terminate()
                p.wait(60)


if __name__ == '__main__':
    main()
