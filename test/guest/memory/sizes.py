# SPDX-License-Identifier: MIT
"""Memory from 6 MiB to 64 GiB: the machine starts, tells the program what there is of it, and the program can have it from both ends
of the hole below 4 GiB. usage: sizes.py ALCOVE

The host need not have that much: what the guest does not touch takes no room.
"""
import subprocess
import sys
import tempfile

PROGRAM = r'''#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
int main(void)
{
    char line[128];
    unsigned long total = 0;
    FILE *f = fopen("/proc/meminfo", "r");
    while (f && fgets(line, sizeof(line), f))
        if (sscanf(line, "MemTotal: %lu", &total) == 1)
            break;
    /* A quarter of it, or 32 MiB. */
    size_t n = total / 4 * 1024 < 32 << 20 ? total / 4 * 1024 : 32 << 20;
    char *p = mmap(NULL, n, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (p == MAP_FAILED)
        return 1;
    memset(p, 1, n);
    for (size_t i = 0; i < n; i++)
        if (p[i] != 1)
            return 2;
    printf("total %lu\n", total);
    return 0;
}
'''
# machine, MiB, CPUs, and how much of it the program may miss at most, in MiB
SIZES = [('microvm', 6, 1, 3), ('microvm', 8, 2, 4), ('q35', 16, 1, 4), ('microvm', 3072, 1, 4), ('q35', 4096, 2, 4), ('q35', 65536, 1, 4),
         ('microvm', 65536, 2, 4)]


def main():
    alcove, good = sys.argv[1], True
    with tempfile.TemporaryDirectory() as d:
        subprocess.run(['gcc', '-O1', '-static', '-x', 'c', '-', '-o', f'{d}/program'], input=PROGRAM, text=True, check=True)
        subprocess.run([alcove, 'build', '-o', f'{d}/program.elf', f'{d}/program'], check=True, stdout=subprocess.DEVNULL)
        for machine, size, cpus, missing in SIZES:
            out = subprocess.run(['qemu-system-x86_64', '-accel', 'tcg', '-M', f'{machine},memory-backend=m', '-object',
                                  f'memory-backend-ram,id=m,size={size}M,reserve=off', '-cpu', 'max', '-m', str(size), '-smp', str(cpus),
                                  '-nodefaults', '-no-user-config', '-no-reboot', '-display', 'none', '-serial', 'stdio',
                                  '-kernel', f'{d}/program.elf', '-append', 'console=raw'],
                                 stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, timeout=200).stdout.decode()
            lines = out.replace('\r', '').splitlines()
            total = [int(line.split()[1]) // 1024 for line in lines if line.startswith('total ')]
            right = len(total) == 1 and lines[-1].startswith('total ') and size - missing <= total[0] <= size
            print(f'{machine}, {size} MiB, {cpus} CPUs: {total}{"" if right else " WRONG"}')
            if not right:
                print(out[-3000:])
                good = False
    sys.exit(0 if good else 1)


main()
