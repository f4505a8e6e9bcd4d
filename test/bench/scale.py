#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""How much work two threads do on two CPUs, against one thread on one, in the same time of the CPUs.

usage: scale.py ALCOVE [NAME...]

Wall time says little on a machine that others use. What CPUs do when they are in each other's way they do as well: they
spin, or move cache lines. So the emulator's own CPU time is taken for each run, runs of one and of two threads in turn,
and the least of each counts. 2.00: two threads take twice the CPU time of one, and do twice the work.
"""
import os, subprocess, sys, tempfile

HERE = os.path.dirname(os.path.abspath(__file__))
NAMES = ['nothing', 'getpid', 'pipe', 'mmap', 'touch', 'pread', 'futex']
ROUNDS = 5


def cpu_time(pid):
    """ns, of the threads that run guest code: what the others (the console) use does not count."""
    total = 0
    for t in os.listdir(f'/proc/{pid}/task'):
        with open(f'/proc/{pid}/task/{t}/comm') as f:
            name = f.read()
        if name.startswith('CPU '):
            with open(f'/proc/{pid}/task/{t}/schedstat') as f:
                total += int(f.read().split()[0])
    return total


def measure(image):
    times, begun = {1: [], 2: []}, {}
    p = subprocess.Popen(['qemu-system-x86_64', '-accel', 'tcg,thread=multi', '-name', 'scale,debug-threads=on', '-M', 'microvm',
                          '-cpu', 'max', '-m', '256', '-smp', '2', '-nodefaults', '-display', 'none', '-serial', 'stdio',
                          '-no-reboot', '-kernel', image], stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, text=True)
    for line in p.stdout:
        words = line.split()
        if words[:1] == ['measure']:
            times = {1: [], 2: []}
        elif words[:1] == ['begin']:
            begun = cpu_time(p.pid)
        elif words[:1] == ['end']:
            times[int(words[1])].append(cpu_time(p.pid) - begun)
    p.wait()
    return times


def main():
    alcove, names = sys.argv[1], sys.argv[2:] or NAMES
    with tempfile.TemporaryDirectory() as d:
        subprocess.run(['gcc', '-O2', '-static', '-pthread', '-o', f'{d}/scale', f'{HERE}/scale.c'], check=True)
        for name in names:
            subprocess.run([alcove, 'build', '-o', f'{d}/{name}.elf', f'{d}/scale', name, str(ROUNDS)], check=True,
                           stdout=subprocess.DEVNULL)
            times = measure(f'{d}/{name}.elf')
            if len(times[2]) != ROUNDS:
                sys.exit(f'{name}: the guest did not finish')
            one, two = min(times[1]), min(times[2])
            print(f'{name:8} 1 thread {one / 1e6:7.1f} ms, 2 threads {two / 1e6:7.1f} ms of CPU: {4 * one / two:.2f} times the work', flush=True)


if __name__ == '__main__':
    main()
