# SPDX-License-Identifier: MIT
"""Debian's tpm2-tools, unmodified, use the guest's TPM: objects, sessions, sealing, a quote that the host then checks.
usage: tpm.py ALCOVE tpm-crb|tpm-tis"""
import base64
import os
import re
import shutil
import subprocess
import sys
import tempfile
import time

WANT = '''random: 32
  sha256:
    16: 0x{first}
objects of others: 
unsealed: secret
'''
BUSY = re.compile(r'^the second one: .*Device or resource busy$', re.M)
TCTI = 'usr/lib/x86_64-linux-gnu/libtss2-tcti-device.so.0'


def build(alcove, work):
    os.makedirs(f'{work}/root/{os.path.dirname(TCTI)}')
    shutil.copy('/' + TCTI, f'{work}/root/{TCTI}')
    here = os.path.dirname(os.path.abspath(__file__))
    shutil.copy(f'{here}/tpm.sh', f'{work}/root/tpm.sh')
    with_args = [a for p in ('tpm2', 'wc', 'base64') for a in ('--with', f'/usr/bin/{p}')]
    subprocess.run([alcove, 'build', '--root', f'{work}/root', *with_args, '-e', 'PATH=/usr/bin:/bin', '-o', f'{work}/app.elf',
                    '/bin/sh', '/tpm.sh'], check=True, stdout=subprocess.DEVNULL)


def boot(work, device):
    os.makedirs(f'{work}/tpm')
    tpm = subprocess.Popen(['swtpm', 'socket', '--tpm2', '--tpmstate', f'dir={work}/tpm', '--ctrl', f'type=unixio,path={work}/sock'])
    try:
        for _ in range(600):
            if os.path.exists(f'{work}/sock'):
                break
            time.sleep(0.1)
        r = subprocess.run(['qemu-system-x86_64', '-accel', 'tcg', '-M', 'q35', '-cpu', 'max', '-m', '256', '-nodefaults', '-display',
                            'none', '-serial', 'stdio', '-no-reboot', '-kernel', f'{work}/app.elf',
                            '-chardev', f'socket,id=t,path={work}/sock', '-tpmdev', 'emulator,id=tpm,chardev=t',
                            '-device', f'{device},tpmdev=tpm'], stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                           stderr=subprocess.STDOUT, timeout=540)
    finally:
        tpm.kill()
        tpm.wait()
    return r.stdout.decode(errors='replace').replace('\r', '')


def check_quote(work, out):
    """The host's own tools accept the quote, and none for another nonce."""
    for line in out.splitlines():
        if line.startswith('file '):
            _, name, content = line.split()
            with open(f'{work}/{name}', 'wb') as f:
                f.write(base64.b64decode(content))
    command = ['tpm2', 'checkquote', '-Q', '-u', 'ak.pem', '-m', 'message', '-s', 'signature', '-f', 'pcrs', '-g', 'sha256', '-q']
    good = subprocess.run([*command, '616c636f7665'], cwd=work, check=False, capture_output=True, text=True)
    bad = subprocess.run([*command, '616c636f7666'], cwd=work, check=False, capture_output=True, text=True)
    if good.returncode or not bad.returncode:
        print(f'FAILED: the quote: {good.stderr}, and for another nonce: {bad.returncode}')
    return not good.returncode and bad.returncode


def main(alcove, device):
    import hashlib
    first = hashlib.sha256(bytes(32) + bytes(31) + b'\1').hexdigest().upper()
    with tempfile.TemporaryDirectory(prefix='alcove-test.') as work:
        build(alcove, work)
        out = boot(work, device)
        text = ''.join(line + '\n' for line in out.splitlines() if not line.startswith(('file ', 'alcove: ')))
        at = text.find('random: ')
        ok = text[at:].startswith(WANT.format(first=first)) and BUSY.search(text) and text.rstrip().endswith('done')
        ok = ok and 'though' not in text and 'alcove: warning' not in out and 'panic' not in out
        if not ok:
            print(out)
            sys.exit('FAILED: the guest')
        sys.exit(not check_quote(work, out))


main(sys.argv[1], sys.argv[2])
