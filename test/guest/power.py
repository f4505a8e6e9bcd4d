# SPDX-License-Identifier: MIT
"""The power button, and Ctrl-Alt-Del: the program gets SIGTERM, and SIGKILL when it does not end. A CPU that the VMM wants back: no.
A panic is told to pvpanic.

usage: power.py ALCOVE
"""
import json
import re
import socket
import subprocess
import sys
import tempfile
import time

QEMU = ['qemu-system-x86_64', '-accel', 'tcg', '-cpu', 'max', '-m', '128', '-smp', '2', '-nodefaults', '-no-user-config', '-no-reboot', '-display', 'none']
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


BUTTON = [('system_powerdown', {})]
KEYS = [('send-key', {'keys': [{'type': 'qcode', 'data': k} for k in ('ctrl', 'alt', 'delete')]})]


def press(path, commands):
    """Press the button, or what it is, through QEMU's monitor."""
    with socket.socket(socket.AF_UNIX) as s:
        s.connect(path)
        f = s.makefile('rw')
        f.readline()

        events = []  # those that came before an answer

        def call(command, arguments):
            f.write(json.dumps({'execute': command, 'arguments': arguments}) + '\n')
            f.flush()
            while True:
                answer = json.loads(f.readline())
                events.append(answer)
                if 'error' in answer:
                    sys.exit(f'{command}: {answer}')
                if 'return' in answer:
                    return answer['return']

        call('qmp_capabilities', {})
        for command, arguments in commands:
            if command == 'unplug':
                cpus = [c['qom-path'] for c in call('query-hotpluggable-cpus', {}) if c['props'].get('core-id', c['props'].get('socket-id'))]
                call('device_del', {'id': cpus[0]})
                while not any(e.get('event') == 'ACPI_DEVICE_OST' for e in events):
                    events.append(json.loads(f.readline()))
                event = next(e for e in events if e.get('event') == 'ACPI_DEVICE_OST')
                if event['data']['info']['status'] != 0x80 or event['data']['info']['source'] != 3:
                    sys.exit(f'the answer to the wish for a CPU: {event}')
            elif command == 'hang':  # what somebody does who thinks that it hangs; libOS says where each CPU is
                call('inject-nmi', {})
                while not any(e.get('event') == 'GUEST_PANICKED' for e in events):
                    events.append(json.loads(f.readline() or sys.exit('pvpanic was not told')))
            else:
                call(command, arguments)


def guest(d, image, machine, commands=BUTTON, *args):
    monitor = f'{d}/qmp'
    with subprocess.Popen([*QEMU, '-M', machine, '-serial', 'stdio', '-kernel', image, '-qmp', f'unix:{monitor},server=on,wait=off', *args],
                          stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT) as p:
        try:
            out = b''
            while b'ready' not in out:
                byte = p.stdout.read1()
                if not byte:
                    sys.exit(f'{machine}: ended early: {out!r}')
                out += byte
            begin = time.monotonic()
            press(monitor, commands)
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
        for machine in ('pc', 'q35'):
            out, _ = guest(d, f'{d}/ends.elf', machine, KEYS)
            if out.splitlines() != ['ready', 'got SIGTERM']:
                sys.exit(f'{machine}: Ctrl-Alt-Del: {out!r}')
            out, _ = guest(d, f'{d}/ends.elf', machine, [('unplug', {}), *BUTTON])
            if 'CPU 1 back; a CPU in use stays' not in out or out.splitlines()[-1:] != ['got SIGTERM']:
                sys.exit(f'{machine}: a CPU was taken: {out!r}')
            out, _ = guest(d, f'{d}/stays.elf', machine, [('hang', {})], '-device', 'pvpanic')
            if 'panic: ' not in out or not re.search(r'^ *#0 +0x', out, re.M):
                sys.exit(f'{machine}: no panic, or not before pvpanic was told: {out!r}')
        out, seconds = guest(d, f'{d}/stays.elf', 'q35')
        print(repr(out), seconds)
        if 'did not end within 30 s of SIGTERM' not in out or seconds < 25:
            sys.exit('a program that ignores SIGTERM was not ended, or not in its time')


main()
