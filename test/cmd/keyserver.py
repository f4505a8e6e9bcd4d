#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""alcove keyserver against libOS's side of the protocol: the right guest gets the key, and nobody else.
usage: keyserver.py ALCOVE CLIENT CHAIN_DIR"""
import http.client
import os
import struct
import subprocess
import sys
import tempfile

ALCOVE, CLIENT = sys.argv[1:3]
sys.path.insert(0, sys.argv[3])
from chain import Chain, TdxChain, openssl  # noqa: E402

MEASUREMENT, OTHER = 'ab' * 48, 'cd' * 48
KEY = b'the key of the volume\n\0\xff'
checks = failed = 0
TD = tuple(bytes([n]) * 48 for n in (0x11, 0x22, 0x33))  # MRTD, RTMR1, RTMR2
started = []


def check(what, good):
    global checks, failed
    checks += 1
    if not good:
        failed += 1
        print('FAILED:', what)


def post(port, path, body):
    c = http.client.HTTPConnection('127.0.0.1', port, timeout=60)
    c.request('POST', path, body)
    r = c.getresponse()
    return r.status, r.read()


def sign(chain, signed):
    """r and s as a report has them."""
    der = openssl('dgst', '-sha384', '-sign', chain.path('vcek', 'key'), data=signed)
    r_at = 4 if der[1] < 0x80 else 5
    r_len = der[r_at - 1]
    s_len = der[r_at + r_len + 1]
    r, s = der[r_at:r_at + r_len], der[r_at + r_len + 2:r_at + r_len + 2 + s_len]
    return b''.join(int.from_bytes(n, 'big').to_bytes(72, 'little') for n in (r, s))


def report(chain, data, measurement=MEASUREMENT, policy=0x30000, tcb=(3, 0, 20, 10), chip=0x43):
    r = bytearray(0x2a0)
    struct.pack_into('<I', r, 0, 2)
    struct.pack_into('<Q', r, 8, policy)
    struct.pack_into('<I', r, 0x34, 1)
    r[0x50:0x90] = data
    r[0x90:0xc0] = bytes.fromhex(measurement)
    r[0x180], r[0x181], r[0x186], r[0x187] = tcb
    r[0x1a0:0x1e0] = bytes([chip]) * 64
    both = sign(chain, bytes(r))
    return bytes(r) + both + bytes(1184 - 0x2a0 - len(both))


class Guest:
    """One request of libOS's code."""

    def __init__(self, name, nonce):
        self.p = subprocess.Popen([CLIENT], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        self.data = bytes.fromhex(self.say(f'{nonce.hex()} {name}'))

    def say(self, line):
        self.p.stdin.write(line + '\n')
        self.p.stdin.flush()
        return self.p.stdout.readline().strip()

    def request(self, evidence, certs, kind=1):
        return bytes.fromhex(self.say(f'{kind} {evidence.hex() or "-"} {certs.hex() or "-"}'))

    def open(self, answer, fingerprint):
        said = self.say(f'{answer.hex() or "-"} {fingerprint}')
        self.p.stdin.close()
        check('the client ends well', self.p.wait() == 0)
        return said


def ask(port, chain, name='data', nonce=None, certs=None, damage=None, evidence=None, kind=1, **what):
    """Status, answer and the guest of a whole request."""
    nonce = nonce or post(port, '/v1/nonce', b'')[1]
    g = Guest(name, nonce)
    r = evidence or report(chain, what.pop('data', g.data), **what)
    body = g.request(damage(r) if damage else r, chain.table() if certs is None else certs, kind)
    return post(port, '/v1/key', body) + (g, body)


def refused(what, text, *args, **kwargs):
    status, body, guest, _ = ask(*args, **kwargs)
    check(f'{what}: {status} {body[:100]}', status == 403 and text in body.decode())
    guest.p.kill()
    guest.p.wait()


def flip(at):
    return lambda r: r[:at] + bytes([r[at] ^ 1]) + r[at + 1:]


def start(d):
    p = subprocess.Popen([ALCOVE, 'keyserver', '--listen', '127.0.0.1:0', d], stdout=subprocess.PIPE, text=True)
    started.append(p)
    words = p.stdout.readline().split()
    return p, int(words[2].rstrip(',').rsplit(':', 1)[1]), words[-1]


def revoke(chain, d):
    """A list of the root's that has the signing key on it."""
    with open(os.path.join(chain.d, 'ca.conf'), 'w', encoding='ascii') as f:
        f.write(f'[ca]\ndefault_ca=x\n[x]\ndatabase={chain.d}/index\ndefault_md=sha384\ndefault_crl_days=1\n')
    open(os.path.join(chain.d, 'index'), 'w', encoding='ascii').close()
    own = ['-config', os.path.join(chain.d, 'ca.conf'), '-cert', chain.path('ark', 'pem'), '-keyfile', chain.path('ark', 'key')]
    openssl('ca', *own, '-revoke', chain.path('ask', 'pem'))
    openssl('ca', *own, '-gencrl', '-out', os.path.join(d, 'revoked', 'list.pem'))


def ask_td(port, tdx, name='td', damage=None, data=None, measurements=None, **how):
    nonce = post(port, '/v1/nonce', b'')[1]
    g = Guest(name, nonce)
    q = tdx.quote(data or g.data, measurements or TD, **how)
    return post(port, '/v1/key', g.request(damage(q) if damage else q, b'', 2)) + (g,)


def refused_td(what, text, *args, **kwargs):
    status, body, guest = ask_td(*args, **kwargs)
    check(f'TDX, {what}: {status} {body[:100]}', status == 403 and text in body.decode())
    guest.p.kill()
    guest.p.wait()


def serve_tds(d, tdx, other, expired):
    p, port, fingerprint = start(d)
    for what, how in (('version 4', {}), ('version 5', {'version': 5}), ('version 5 of TDX 1.5', {'version': 5, 'more': 64}),
                      ('padded', {'damage': lambda q: q + bytes(100)})):
        status, answer, guest = ask_td(port, tdx, **how)
        check(f'a TD has the key, {what}: {status} {answer[:80]}', status == 200 and guest.open(answer, fingerprint) == 'key ' + KEY.hex())
    quote = tdx.quote(bytes(64), TD)
    for what, at in (('version', 0), ('kind of key', 2), ('TEE', 4), ('signature length', 632), ('certification', 764), ('its size', 766)):
        refused_td('a changed ' + what, 'none of a TD', port, tdx, damage=flip(at))
    for cut in (0, 47, 48, 631, 700, 766, 1200, len(quote) - 1):
        refused_td(f'cut off at {cut}', 'none of a TD', port, tdx, damage=lambda q, n=cut: q[:n])
    refused_td('a changed measurement', 'signature is wrong', port, tdx, damage=flip(48 + 136))
    refused_td('a changed signature', 'signature is wrong', port, tdx, damage=flip(640))
    refused_td('a changed key', 'about another key', port, tdx, damage=flip(700))
    refused_td('a changed enclave', "enclave's report is wrong", port, tdx, damage=flip(780))
    refused_td('a report on another key', 'about another key', port, tdx, about=bytes(64))
    refused_td('no certificates', 'did not come', port, tdx, pem=b'x')
    refused_td('another maker', 'certificate', port, other)
    refused_td('an expired machine', 'expired', port, expired)
    refused_td('another measurement', 'measurement', port, tdx, measurements=(TD[0], TD[1], bytes(48)))
    refused_td('a debugged guest', 'debug', port, tdx, attributes=1 << 28 | 1)
    refused_td('another request', 'not about this request', port, tdx, data=bytes(64))
    refused_td('an old platform', 'older than the policy', port, tdx, tcb=bytes([5] * 15 + [3]))
    refused_td('another signer', 'signer', port, tdx, name='intel')
    refused_td('a volume for SNP', 'signer', port, tdx, name='data')
    p.terminate()
    p.wait()


def serve(d, chain, other, expired):
    p, port, fingerprint = start(d)
    status, answer, guest, body = ask(port, chain)
    check(f'the key is given: {status} {answer[:80]}', status == 200)
    check('the guest has the key', guest.open(answer, fingerprint) == 'key ' + KEY.hex())
    check('and nobody else reads it', KEY not in answer)
    check('not twice', post(port, '/v1/key', body)[0] == 403)
    for what, change, said in (('another signer', lambda a: a, 'error 13'), ('a changed signature', lambda a: flip(len(a) - 1)(a), 'error 13'),
                               ('a changed key', flip(224), 'error 13'), ('a changed point', flip(115), 'error 13'), ('half', lambda a: a[:100], 'error 74'),
                               ('one byte less', lambda a: a[:-1], 'error 74'), ('another length', flip(8), 'error 74'), ('nothing', lambda a: b'', 'error 74')):
        _, answer, guest, _ = ask(port, chain)
        check('the guest does not believe ' + what, guest.open(change(answer), '00' * 32 if what == 'another signer' else fingerprint) == said)
    _, old, _, _ = ask(port, chain)
    _, _, guest, _ = ask(port, chain)
    check('nor the answer to another request', guest.open(old, fingerprint) == 'error 13')

    refused('another measurement', 'measurement', port, chain, measurement=OTHER)
    refused('a debugged guest', 'debug', port, chain, policy=0x30000 | 1 << 19)
    refused('an old platform', 'certificate is for another version', port, chain, tcb=(2, 0, 20, 10))
    refused('another chip', 'another chip', port, chain, chip=0x44)
    refused('no such volume', 'no such volume', port, chain, name='other')
    refused('a platform below the policy', 'older than the policy', port, chain, name='newer')
    refused('a report about something else', 'not about this request', port, chain, data=bytes(64))
    refused('a changed report', 'signature', port, chain, damage=flip(0x91))
    refused('a changed signature', 'signature', port, chain, damage=flip(0x2a0))
    refused('a report that is cut off', 'none of SEV-SNP', port, chain, damage=lambda r: r[:-1])
    refused('no certificates', 'did not come', port, chain, certs=b'')
    refused('certificates cut off', 'did not come', port, chain, certs=chain.table()[:100])
    refused('another maker', 'certificate', port, other)
    refused('an expired chip', 'expired', port, expired)
    refused('an unknown kind', 'kind', port, chain, kind=9)
    refused('a made-up nonce', 'nonce', port, chain, nonce=bytes(32))
    for body in (b'', b'x' * 159, b'x' * 200, bytes(160)):
        check('rubbish is refused', post(port, '/v1/key', body)[0] == 403)
    check('no such path', post(port, '/v1/other', b'')[0] == 404)
    status, answer, guest, _ = ask(port, chain)
    check('the server still serves', guest.open(answer, fingerprint) == 'key ' + KEY.hex())
    p.terminate()
    p.wait()

    revoke(chain, d)
    p, port, fingerprint = start(d)
    refused('a revoked key', 'revoked', port, chain)
    p.terminate()
    p.wait()


def one_line(what, text, *args):
    p = subprocess.run([ALCOVE, 'keyserver', *args], capture_output=True, text=True)
    check(f'{what}: {p.stderr}', p.returncode == 1 and p.stderr.count('\n') == 1 and p.stderr.startswith('alcove: ') and text in p.stderr)


def main():
    with tempfile.TemporaryDirectory() as top:
        d = os.path.join(top, 'server')
        made = subprocess.run([ALCOVE, 'keyserver', '--init', d], capture_output=True, text=True, check=True).stdout
        check('a fingerprint', len(made.strip()) == 64)
        one_line('no trust', 'root certificates', d)
        chains = []
        for name, days in (('good', 30), ('other', 30), ('expired', -1)):
            os.mkdir(os.path.join(top, name))
            chains.append(Chain(os.path.join(top, name), days))
        tds = []
        for name, days in (('good', 30), ('other', 30), ('expired', -1)):
            tds.append(TdxChain(os.path.join(top, name), days))
        for c in (tds[0], tds[2]):
            with open(c.path('root', 'pem'), 'rb') as f, open(os.path.join(d, 'trust', os.path.basename(c.d) + '-td.pem'), 'wb') as out:
                out.write(f.read())
        for c in (chains[0], chains[2]):
            with open(c.path('ark', 'pem'), 'rb') as f, open(os.path.join(d, 'trust', os.path.basename(c.d) + '.pem'), 'wb') as out:
                out.write(f.read())
        with open(os.path.join(top, 'key'), 'wb') as f:
            f.write(KEY)
        policy = os.path.join(d, 'policy.conf')
        for text, said in (('[data]\nkey = /x\n', 'needs'), ('key = 1\n', 'expected'), ('[a/b]\n', 'name'), ('[data]\nsnp-measurement = 12\n', '96'),
                           ('[data]\nsnp-least-tcb = 1.2.3\n', 'four'), ('[data]\ncolour = red\n', 'not known'), ('[data]\ntdx-measurement = 12\n', 'RTMR1'), ('[data]\ntdx-qe-signer = 12\n', '64'),
                           ('[data]\ntdx-least-tcb = 12\n', '32'), (f'[data]\nkey = /x\ntdx-measurement = {"0" * 96} {"1" * 96} {"2" * 96}\n', 'qe-signer'), ('[data]\n[data]\n', 'twice')):
            with open(policy, 'w', encoding='ascii') as f:
                f.write(text)
            one_line(text, said, d)
        with open(policy, 'w', encoding='ascii') as f:
            f.write(f'# test\n[data]\nkey = {top}/key\nsnp-measurement = {MEASUREMENT.upper()} # ours\n\n'
                    f'[newer]\nkey={top}/key\nsnp-measurement={MEASUREMENT}\nsnp-least-tcb=3.0.20.11\n'
                    f'[td]\nkey={top}/key\ntdx-measurement={"  ".join(m.hex().upper() for m in TD)}\ntdx-qe-signer={TdxChain.SIGNER.hex()}\n'
                    f'tdx-least-tcb={"04" * 16}\n[intel]\nkey={top}/key\ntdx-measurement={" ".join(m.hex() for m in TD)}\ntdx-qe-signer={"0" * 64}\n')
        one_line('an address', 'ADDRESS:PORT', '--listen', 'nowhere', d)
        one_line('no directory', 'cannot be read', os.path.join(top, 'none'))
        try:
            serve_tds(d, *tds)
            serve(d, *chains)
        finally:
            for p in started:
                p.kill()
    print(f'{checks} checks, {failed} failed')
    sys.exit(1 if failed or checks < 50 else 0)


main()
