# SPDX-License-Identifier: MIT
"""Two nodes of memory: what a thread touches first is on the node of its CPU, until that is full.

usage: numa.py ALCOVE

The program pins itself to each CPU, touches memory and looks at its pages' physical addresses in /proc/self/pagemap. The large
pages and single ones are looked at.
"""
import subprocess
import sys
import tempfile

PROGRAM = r'''#define _GNU_SOURCE
#include <fcntl.h>
#include <sched.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>
enum { PAGE = 4096 };
#define LIMIT (128ull << 20) /* where QEMU's second node begins */
/* Pages of n bytes, touched first on this CPU, that are on the second node, in percent. */
static int far(int cpu, size_t n, int advice)
{
    int fd = open("/proc/self/pagemap", O_RDONLY);
    size_t second = 0;
    cpu_set_t one;
    CPU_ZERO(&one);
    CPU_SET(cpu, &one);
    if (sched_setaffinity(0, sizeof(one), &one))
        exit(1);
    char *p = mmap(NULL, n, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    madvise(p, n, advice);
    memset(p, 1, n);
    for (size_t i = 0; i < n / PAGE; i++) {
        uint64_t entry = 0;
        if (pread(fd, &entry, 8, ((uintptr_t)p / PAGE + i) * 8) != 8 || !(entry >> 63))
            exit(2);
        second += (entry & ((1ull << 55) - 1)) * PAGE >= LIMIT;
    }
    close(fd);
    munmap(p, n);
    return (int)(second * 100 / (n / PAGE));
}
int main(void)
{
    for (int round = 0; round < 3; round++)
        for (int huge = 0; huge < 2; huge++)
            for (int cpu = 0; cpu < 2; cpu++)
                printf("cpu %d: %d\n", cpu, far(cpu, 24 << 20, huge ? MADV_HUGEPAGE : MADV_NOHUGEPAGE));
    printf("all: %d\n", far(1, 180 << 20, MADV_NOHUGEPAGE));
    return 0;
}
'''


def main():
    alcove = sys.argv[1]
    with tempfile.TemporaryDirectory() as d:
        subprocess.run(['gcc', '-O1', '-static', '-x', 'c', '-', '-o', f'{d}/program'], input=PROGRAM, text=True, check=True)
        subprocess.run([alcove, 'build', '-o', f'{d}/program.elf', f'{d}/program'], check=True, stdout=subprocess.DEVNULL)
        out = subprocess.run(['qemu-system-x86_64', '-accel', 'tcg', '-cpu', 'max', '-M', 'q35', '-m', '256', '-smp', '2', '-nodefaults', '-no-user-config',
                              '-no-reboot', '-display', 'none', '-serial', 'stdio', '-kernel', f'{d}/program.elf', '-append', 'console=raw',
                              '-object', 'memory-backend-ram,id=a,size=128M', '-object', 'memory-backend-ram,id=b,size=128M',
                              '-numa', 'node,memdev=a,cpus=0', '-numa', 'node,memdev=b,cpus=1', '-numa', 'dist,src=0,dst=1,val=21'],
                             stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, timeout=240).stdout.decode().replace('\r', '')
    print(out)
    lines = [line.split(': ') for line in out.splitlines()]
    shares = {0: [], 1: []}
    for what, share in (x for x in lines if len(x) == 2 and x[0].startswith('cpu ')):
        shares[int(what[4:])].append(int(share))
    if len(shares[0]) != 6 or len(shares[1]) != 6 or max(shares[0]) > 2 or min(shares[1]) < 98:
        sys.exit('memory is not on the node of the CPU that touched it')
    # More than the node has: the rest comes from the other one.
    if not any(x[0] == 'all' and 55 <= int(x[1]) <= 75 for x in lines if len(x) == 2):
        sys.exit('a node that is full does not lead to the other')


main()
