#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""A sealed image from its report to its encrypted volume: alcove keyserver gives the key to the image that the policy names, as the
simulator measured it, and to no other. usage: sealed.py ALCOVE CCSIM snp|tdx DIGEST"""
import os
import re
import subprocess
import sys
import tempfile

from chain import Chain, TdxChain

ALCOVE, CCSIM, MODE, DIGEST = sys.argv[1:5]
HERE = os.path.dirname(os.path.abspath(__file__))
checks = failed = 0


def check(what, good):
    global checks, failed
    checks += 1
    if not good:
        failed += 1
        print('FAILED:', what)


def measurement(path):
    """What the simulator shall measure, by the code of `alcove measure`."""
    return subprocess.run([DIGEST, MODE, path], check=True, capture_output=True, text=True).stdout.strip()


class Server:
    def __init__(self, d, policy, listen):
        with open(os.path.join(d, 'policy.conf'), 'w', encoding='ascii') as f:
            f.write(policy)
        self.log = open(os.path.join(d, 'log'), 'w+', encoding='ascii')
        self.p = subprocess.Popen([ALCOVE, 'keyserver', '--listen', listen, d], stdout=subprocess.PIPE, stderr=self.log, text=True)
        self.port = int(re.search(r':(\d+),', self.p.stdout.readline()).group(1))

    def end(self):
        self.p.terminate()
        self.p.wait()
        self.log.seek(0)
        return self.log.read()


def boot(files, image, volume, options='', cc=True):
    """What is said by the image, and its exit status."""
    env = dict(os.environ)
    if cc:
        env.update(CCSIM=CCSIM, CCSIM_OPTIONS=f'ccsim.mode={MODE} ccsim.measure ' + options, CCSIM_FILES=files)
        env['PATH'] = os.path.join(HERE, 'bin') + ':' + env['PATH']
    p = subprocess.run([ALCOVE, 'run', '--machine', 'q35', '--net', 'user', '-v', volume + ':/data', image],
                       stdin=subprocess.DEVNULL, capture_output=True, text=True, env=env, timeout=280)
    said = p.stdout + p.stderr
    check('no alarm: ' + said[-300:], not re.search('panic|WARNING|BUG|FAILED', said))
    return said, p.returncode


def build(path, server, fingerprint, script, *more):
    subprocess.run([ALCOVE, 'build', '--sealed', *more, '-v', 'SERIAL=alcove-vol0:/data', '--key', f'/data=attest:http://10.0.2.2:{server}#{fingerprint}',
                    '--with', '/bin/cat', '-o', path, '/bin/sh', '-c', script], check=True, stdout=subprocess.DEVNULL)


def main():
    with tempfile.TemporaryDirectory() as d:
        def at(name):
            return os.path.join(d, name)
        chain = Chain(d) if MODE == 'snp' else TdxChain(d)
        chain_files = {'vcek': chain.scalar(), 'certs': chain.table()} if MODE == 'snp' else {'qe-key': chain.secret(), 'qe-cert': chain.certification_kept()}
        for name, data in (*chain_files.items(), ('key', os.urandom(32))):
            with open(at('opt-' + name), 'wb') as f:
                f.write(data)
        files = ' '.join(f'opt/ccsim/{n}={at("opt-" + n)}' for n in chain_files)
        fingerprint = subprocess.run([ALCOVE, 'keyserver', '--init', at('server')], check=True, capture_output=True, text=True).stdout.strip()
        with open(chain.path('ark' if MODE == 'snp' else 'root', 'pem'), 'rb') as f, open(at('server/trust/root.pem'), 'wb') as out:
            out.write(f.read())
        subprocess.run([ALCOVE, 'volume', 'create', '--luks', '--key-file', at('opt-key'), '--iter-time', '10', at('data.img'), '48M'], check=True, stdout=subprocess.DEVNULL)

        server = Server(at('server'), '', '127.0.0.1:0')  # for a free port, which the images are built with
        port = server.port
        server.end()
        script = 'echo round >>/data/rounds; cat /data/rounds; echo finished'
        build(at('good.elf'), port, fingerprint, script, '--console')
        build(at('evil.elf'), port, fingerprint, script + '; cat /data/*', '--console')
        build(at('other.elf'), port, '0' * 64, script, '--console')
        build(at('silent.elf'), port, fingerprint, script)
        policy = '[data]\nkey = ' + at('opt-key') + '\n'
        for i in ('good.elf', 'other.elf', 'silent.elf'):  # a TD's registers 1 and 2 are the firmware's, which there is none of
            policy += f'snp-measurement = {measurement(at(i))}\n' if MODE == 'snp' else f'tdx-measurement = {measurement(at(i))} {"0" * 96} {"0" * 96}\n'
        if MODE == 'tdx':
            policy += f'tdx-qe-signer = {chain.SIGNER.hex()}\ntdx-least-tcb = {"05" * 16}\n'
        server = Server(at('server'), policy, f'127.0.0.1:{port}')

        said, status = boot(files, at('good.elf'), at('data.img'))
        check(f'the first round: {status} {said}', status == 0 and said.split()[-2:] == ['round', 'finished'])
        said, status = boot(files, at('good.elf'), at('data.img'))
        check(f'the second round: {status} {said}', status == 0 and said.split()[-3:] == ['round', 'round', 'finished'])
        said, status = boot(files, at('evil.elf'), at('data.img'))
        check(f'another measurement: {said}', status == 125 and 'the measurement is not one that the policy names' in said and 'finished' not in said.split())
        said, status = boot(files, at('good.elf'), at('data.img'), 'ccsim.attack=debug')
        check(f'a guest that is debugged: {said}', status != 0 and ('can be debugged' if MODE == 'snp' else 'the host can debug this guest') in said and 'finished' not in said.split())
        said, status = boot(files, at('other.elf'), at('data.img'))
        check(f'another server: {said}', status == 125 and 'is not the key server that this image was built for' in said and 'finished' not in said.split())
        said, status = boot(files, at('silent.elf'), at('data.img'))
        check(f'no console: {said}', 'round' not in said and 'finished' not in said.split() and 'without' in said)
        said, status = boot(files, at('good.elf'), at('data.img'), cc=False)
        check(f'no confidential guest: {status} {said}', status != 0 and 'confidential guest only' in said and 'finished' not in said.split())
        said, status = boot(files, at('good.elf'), at('data.img'))
        check(f'the silent one has run: {said}', status == 0 and said.split()[-5:] == ['round'] * 4 + ['finished'])

        log = server.end()
        check(f'the log: {log}', log.count('was given') == 5 and log.count('refused') == (2 if MODE == 'snp' else 1))
        with open(at('data.img'), 'rb') as f:
            check('nothing in the clear on the disk', b'round\nround' not in f.read())
    print(f'{checks} checks, {failed} failed')
    sys.exit(1 if failed else 0)


main()
