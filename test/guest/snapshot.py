# SPDX-License-Identifier: MIT
"""Snapshots: a machine that goes on from one, once or as two clones, has other random numbers, wall time stepped, and
monotonic time that goes on.

usage: snapshot.py ALCOVE vmgenid|vmclock

vmgenid: Debian's QEMU; the clones have another GUID each. vmclock: a newer QEMU (ci/newer-qemu.sh), whose page counts the disruption.
The CPU has no random numbers, so what makes clones differ is libOS's reseeding alone.
"""
import json
import os
import socket
import subprocess
import sys
import tempfile
import time

HERE = os.path.dirname(os.path.abspath(__file__))
PROGRAM = r'''#include <stdio.h>
#include <sys/random.h>
#include <time.h>
#include <unistd.h>
int main(void)
{
    char c;
    setvbuf(stdout, NULL, _IONBF, 0);
    puts("ready");
    while (read(0, &c, 1) == 1) {
        struct timespec mono, real;
        unsigned long long number;
        if (c == 'q')
            return 0;
        if (getrandom(&number, sizeof(number), 0) != sizeof(number))
            return 1;
        usleep(1500000); /* a timer, at which clocks are compared where nothing tells of the snapshot */
        clock_gettime(CLOCK_MONOTONIC, &mono);
        clock_gettime(CLOCK_REALTIME, &real);
        printf("now %.6f %.6f %016llx\n", mono.tv_sec + mono.tv_nsec / 1e9, real.tv_sec + real.tv_nsec / 1e9, number);
    }
}
'''
PAUSE = 6  # seconds that pass between the snapshot and its use


class Machine:
    def __init__(self, qemu, d, image, *args):
        self.monitor = f'{d}/qmp'
        self.p = subprocess.Popen([*qemu, '-accel', 'tcg', '-cpu', 'qemu64', '-M', 'q35', '-m', '64', '-nodefaults', '-no-user-config', '-no-reboot',
                                   '-display', 'none', '-serial', 'stdio', '-device', 'virtio-rng-pci', '-kernel', image, '-append', 'console=raw log=info',
                                   '-qmp', f'unix:{self.monitor},server=on,wait=off', *args],
                                  stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
        self.out = ''
        self.socket = None

    def until(self, text):
        """The line that has text, and everything before it."""
        while text not in self.out or not self.out.endswith('\n'):
            got = self.p.stdout.read1().decode(errors='replace').replace('\r', '')
            if not got:
                sys.exit(f'the machine ended before {text!r}: {self.out!r}')
            self.out += got
        before, self.out = self.out, ''
        print(before, end='')
        return before

    def ask(self):
        self.p.stdin.write(b'x')
        self.p.stdin.flush()
        said = self.until('now ')
        mono, real, number = said[said.index('now '):].split()[1:4]
        return float(mono), float(real), number, said

    def qmp(self, command, **arguments):
        if not self.socket:
            end = time.monotonic() + 60
            while not self.socket:
                try:
                    s = socket.socket(socket.AF_UNIX)
                    s.connect(self.monitor)
                    self.socket = s.makefile('rw')
                except OSError:
                    if time.monotonic() > end:
                        raise
                    time.sleep(0.1)
            self.socket.readline()
            self.qmp('qmp_capabilities')
        self.socket.write(json.dumps({'execute': command, 'arguments': arguments}) + '\n')
        self.socket.flush()
        while True:
            answer = json.loads(self.socket.readline())
            if 'error' in answer:
                sys.exit(f'{command}: {answer}')
            if 'return' in answer:
                return answer['return']

    def save(self, path):
        self.qmp('migrate', uri=f'exec:cat > {path}')
        while self.qmp('query-migrate').get('status') not in ('completed', 'failed'):
            time.sleep(0.1)
        self.qmp('quit')
        self.p.wait()

    def end(self):
        self.p.stdin.write(b'q')
        self.p.stdin.flush()
        out, _ = self.p.communicate(timeout=240)
        return out.decode(errors='replace')


def device(kind, n):
    return ['-device', f'vmgenid,guid=324e6eaf-d1d1-4bf6-bf41-b9bb6c91fb8{n}'] if kind == 'vmgenid' else ['-device', 'vmclock']


def main():
    alcove, kind = sys.argv[1:]
    qemu = ['qemu-system-x86_64']
    if kind == 'vmclock':
        qemu = subprocess.run([f'{HERE}/../../ci/newer-qemu.sh'], check=True, stdout=subprocess.PIPE, text=True).stdout.split()
    with tempfile.TemporaryDirectory() as d:
        subprocess.run(['gcc', '-O1', '-static', '-x', 'c', '-', '-o', f'{d}/program'], input=PROGRAM, text=True, check=True)
        image = f'{d}/program.elf'
        subprocess.run([alcove, 'build', '-o', image, f'{d}/program'], check=True, stdout=subprocess.DEVNULL)
        m = Machine(qemu, d, image, *device(kind, 0))
        m.until('ready')
        asked = time.time()
        before = m.ask()
        if not asked - 5 < before[1] < time.time() + 5:
            sys.exit('wall time is wrong from the beginning')
        m.save(f'{d}/state')
        time.sleep(PAUSE)
        clones = []
        for n in (1, 2):
            m = Machine(qemu, d, image, *device(kind, n), '-incoming', f'exec:cat {d}/state')
            while m.qmp('query-status')['status'] != 'running':  # what came before would be lost with the old state of the UART
                time.sleep(0.1)
            asked = time.time()
            clone = m.ask()
            now = time.time()
            print('ahead:', clone[1] - now)
            if not before[0] < clone[0] < before[0] + 600:
                sys.exit('CLOCK_MONOTONIC did not go on')
            # The RTC counts seconds, twice; and what was said may be read late.
            if not asked - PAUSE + 1 < clone[1] < now + 3.5:
                sys.exit('CLOCK_REALTIME was not stepped')
            if 'snapshot' not in clone[3] or 'wall time goes on later' not in clone[3]:
                sys.exit('nothing was said')
            later = m.ask()
            if later[0] <= clone[0] or 'snapshot' in later[3]:
                sys.exit('it was told twice, or time stands')
            clones.append(clone)
            if 'panic' in m.end():
                sys.exit('a panic')
        if len({before[2], clones[0][2], clones[1][2]}) != 3:
            sys.exit('two clones have the same random numbers')
        print('snapshot: PASSED')


main()
