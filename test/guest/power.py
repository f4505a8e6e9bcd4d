# SPDX-License-Identifier: MIT
"""The power button: the program gets SIGTERM, and SIGKILL when it does not end.

usage: power.py ALCOVE
"""
import json
import socket
import subprocess
import sys
import tempfile
import time

QEMU = ['qemu-system-x86_64', '-accel', 'tcg', '-cpu', 'max', '-m', '128', '-nodefaults', '-no-user-config', '-no-reboot', '-display', 'none']
ENDS = '''#include <signal.h>
#include <unistd.h>
static void term(int sig)
{
    (void)sig;
    (void)!write(1, "got SIGTERM\\n", 12);
    _exit(7);
}
int main(int argc, char **argv)
{
    (void)argv;
    signal(SIGTERM, argc > 1 ? SIG_IGN : term);
    (void)!write(1, "ready\\n", 6);
    for (;;)
        pause();
}
'''


def press(path):
    """Press the button through QEMU's monitor."""
    with socket.socket(socket.AF_UNIX) as s:
        s.connect(path)
        f = s.makefile('rw')
        f.readline()
        for command in ('qmp_capabilities', 'system_powerdown'):
            f.write(json.dumps({'execute': command}) + '\n')
            f.flush()
            while 'return' not in json.loads(f.readline()):
                pass


def guest(d, image, machine):
    monitor = f'{d}/qmp'
    with subprocess.Popen([*QEMU, '-M', machine, '-serial', 'stdio', '-kernel', image, '-qmp', f'unix:{monitor},server=on,wait=off'],
                          stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT) as p:
        try:
            out = b''
            while b'ready' not in out:
                byte = p.stdout.read1()
                if not byte:
                    sys.exit(f'{machine}: ended early: {out!r}')
                out += byte
            begin = time.monotonic()
            press(monitor)
            rest, _ = p.communicate(timeout=240)
        finally:
            p.kill()
    return (out + rest).decode(errors='replace').replace('\r', ''), time.monotonic() - begin


def main():
    alcove = sys.argv[1]
    with tempfile.TemporaryDirectory() as d:
        subprocess.run(['gcc', '-O1', '-static', '-x', 'c', '-', '-o', f'{d}/ends'], input=ENDS, text=True, check=True)
        for name, args in (('ends', []), ('stays', ['stay'])):
            subprocess.run([alcove, 'build', '-o', f'{d}/{name}.elf', f'{d}/ends', *args], check=True, stdout=subprocess.DEVNULL)
        for machine in ('microvm,acpi=on', 'q35', 'pc'):
            out, _ = guest(d, f'{d}/ends.elf', machine)
            print(machine, repr(out))
            if out.splitlines() != ['ready', 'got SIGTERM']:
                sys.exit(f'{machine}: the program did not get SIGTERM, or more was said')
        out, seconds = guest(d, f'{d}/stays.elf', 'q35')
        print(repr(out), seconds)
        if 'did not end within 30 s of SIGTERM' not in out or seconds < 25:
            sys.exit('a program that ignores SIGTERM was not ended, or not in its time')


main()
