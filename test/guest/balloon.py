# SPDX-License-Identifier: MIT
"""virtio-balloon: the host takes memory and gives it back, asks how much there is, and gets pages back that are free.

usage: balloon.py ALCOVE
"""
import json
import os
import socket
import subprocess
import sys
import tempfile
import time

# Answers each line: "m" with MemTotal and MemFree in MiB, "u" after using 160 MiB and freeing them, "b" after using all it can get.
PROGRAM = r'''#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/sysinfo.h>
#include <unistd.h>
int main(void)
{
    char c;
    setvbuf(stdout, NULL, _IONBF, 0);
    puts("ready");
    while (read(0, &c, 1) == 1 && c != 'q') {
        struct sysinfo s;
        if (c == 'u') {
            size_t n = 160 << 20;
            char *p = mmap(NULL, n, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
            if (p == MAP_FAILED)
                return 2;
            memset(p, 1, n);
            for (size_t i = 0; i < n; i += 4096)
                if (p[i] != 1)
                    return 1;
            munmap(p, n);
        }
        sysinfo(&s);
        printf("memory %lu %lu\n", s.totalram >> 20, s.freeram >> 20);
    }
    return 0;
}
'''
MEMORY = 320


class Machine:
    def __init__(self, d, image, device, machine='q35'):
        self.p = subprocess.Popen(['qemu-system-x86_64', '-accel', 'tcg', '-cpu', 'max', '-M', machine, '-m', str(MEMORY), '-smp', '2', '-nodefaults',
                                   '-no-user-config', '-no-reboot', '-display', 'none', '-serial', 'stdio', '-device', device + ',id=balloon',
                                   '-kernel', image, '-append', 'console=raw', '-qmp', f'unix:{d}/qmp,server=on,wait=off'],
                                  stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
        self.until('ready')
        s = socket.socket(socket.AF_UNIX)
        s.connect(f'{d}/qmp')
        self.qmp_file = s.makefile('rw')
        self.qmp_file.readline()
        self.qmp('qmp_capabilities')

    def until(self, text):
        out = ''
        while text not in out or not out.endswith('\n'):
            got = self.p.stdout.read1().decode(errors='replace').replace('\r', '')
            if not got:
                sys.exit(f'the machine ended before {text!r}: {out!r}')
            out += got
        print(out, end='')
        if 'warning' in out or 'panic' in out:
            sys.exit('a warning')
        return out

    def ask(self, what):
        self.p.stdin.write(what.encode())
        self.p.stdin.flush()
        return [int(w) for w in self.until('memory ').split()[-2:]]

    def qmp(self, command, **arguments):
        self.qmp_file.write(json.dumps({'execute': command, 'arguments': arguments}) + '\n')
        self.qmp_file.flush()
        while True:
            answer = json.loads(self.qmp_file.readline())
            if 'error' in answer:
                sys.exit(f'{command}: {answer}')
            if 'return' in answer:
                return answer['return']

    def balloon(self, mib):
        """The host wants the machine to have so much; what it has then."""
        self.qmp('balloon', value=mib << 20)
        return self.wait(lambda: self.qmp('query-balloon')['actual'] == mib << 20, 'the balloon')

    def wait(self, done, what):
        end = time.monotonic() + 120
        while not done():
            if time.monotonic() > end:
                sys.exit(f'{what}: not within 120 s; {self.qmp("query-balloon")}')
            time.sleep(0.2)

    def rss(self):
        with open(f'/proc/{self.p.pid}/status') as f:
            return next(int(line.split()[1]) >> 10 for line in f if line.startswith('VmRSS'))

    def end(self):
        self.p.stdin.write(b'q')
        self.p.stdin.flush()
        out = self.p.communicate(timeout=240)[0].decode(errors='replace')
        if 'panic' in out or 'warning' in out:
            sys.exit(f'at the end: {out!r}')


def lend(d, image, device, machine):
    m = Machine(d, image, device, machine)
    path = '/machine/peripheral/balloon'
    total, free = m.ask('m')
    m.balloon(MEMORY - 200)
    less, _ = m.ask('m')
    if not total - 202 <= less <= total - 198:
        sys.exit(f'{total} MiB less 200 are {less}')
    m.qmp('qom-set', path=path, property='guest-stats-polling-interval', value=1)
    m.wait(lambda: m.qmp('qom-get', path=path, property='guest-stats')['stats'].get('stat-total-memory', -1) >> 20 == less, 'statistics')
    m.balloon(MEMORY)
    if m.ask('m')[0] != total:
        sys.exit('memory did not come back')
    m.ask('u')  # and can be used
    # More than there can be: programs keep what they need, and get all of it back.
    m.qmp('balloon', value=1 << 20)
    m.wait(lambda: m.qmp('query-balloon')['actual'] < 32 << 20, 'a wish for everything')
    m.ask('m')
    m.balloon(MEMORY)
    m.ask('u')
    m.end()


def report(d, image):
    m = Machine(d, image, 'virtio-balloon-pci,free-page-reporting=on')
    m.ask('m')
    before = m.rss()
    m.ask('u')
    full = m.rss()
    print('host memory:', before, full)
    if full < before + 140:
        sys.exit('the host does not see that memory is used')
    m.wait(lambda: m.rss() < full - 120, 'free pages')
    print('then', m.rss())
    m.ask('u')
    m.end()


def on_pressure(d, image):
    m = Machine(d, image, 'virtio-balloon-pci,deflate-on-oom=on')
    m.balloon(165)
    if m.ask('m')[1] >= 160:
        sys.exit('the next step would show nothing')
    m.ask('u')  # needs more than is free: libOS takes it back
    m.end()


def main():
    alcove = sys.argv[1]
    with tempfile.TemporaryDirectory() as d:
        subprocess.run(['gcc', '-O1', '-static', '-x', 'c', '-', '-o', f'{d}/program'], input=PROGRAM, text=True, check=True)
        image = f'{d}/program.elf'
        subprocess.run([alcove, 'build', '-o', image, f'{d}/program'], check=True, stdout=subprocess.DEVNULL)
        for machine, device in (('q35', 'virtio-balloon-pci'), ('microvm', 'virtio-balloon-device')):  # without interrupts, and with
            lend(d, image, device, machine)
        on_pressure(d, image)
        report(d, image)
    print('balloon: PASSED')


main()
