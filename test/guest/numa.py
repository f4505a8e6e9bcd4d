# SPDX-License-Identifier: MIT
"""Two nodes of memory: what a thread touches first is on the node of its CPU, until that is full.

usage: numa.py ALCOVE

And policies: where pages are by set_mempolicy and mbind, that they move with what they hold, and what `numactl --hardware` shows.

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


POLICIES = r'''#define _GNU_SOURCE
#include <errno.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <unistd.h>
enum { PAGE = 4096, PAGES = 600, DEFAULT = 0, PREFERRED, BIND, INTERLEAVE, MOVE = 2, STRICT = 1, ADDR = 2, NODE = 1 };
static unsigned long first = 1, second = 2, both = 3;
static char *p;
static void fresh(void)
{
    if (p)
        munmap(p, PAGES * PAGE);
    p = mmap(NULL, PAGES * PAGE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
}
static void fill(void)
{
    for (int i = 0; i < PAGES; i++)
        *(int *)(p + i * PAGE + 100) = i + 1;
}
/* Pages on the second node, as move_pages and get_mempolicy tell; all hold what they did. */
static int far(void)
{
    static void *page[PAGES];
    static int status[PAGES];
    int n = 0, node;
    for (int i = 0; i < PAGES; i++)
        page[i] = p + i * PAGE;
    if (syscall(SYS_move_pages, 0, PAGES, page, NULL, status, 0))
        return -errno;
    for (int i = 0; i < PAGES; i++) {
        if (syscall(SYS_get_mempolicy, &node, NULL, 0, page[i], NODE | ADDR) || node != status[i] || *(int *)(p + i * PAGE + 100) != i + 1)
            return -1000 - i;
        n += status[i] == 1;
    }
    return n;
}
static void move_all(int node)
{
    static void *page[PAGES];
    static int status[PAGES], nodes[PAGES];
    for (int i = 0; i < PAGES; i++) {
        page[i] = p + i * PAGE;
        nodes[i] = node;
    }
    long err = syscall(SYS_move_pages, 0, PAGES, page, nodes, status, MOVE);
    for (int i = 0; i < PAGES; i++)
        if (status[i] != node)
            err = -2;
    printf("moved: %ld %d\n", err, far());
}
int main(void)
{
    cpu_set_t one;
    CPU_ZERO(&one);
    CPU_SET(0, &one);
    sched_setaffinity(0, sizeof(one), &one);
    unsigned long allowed = 0;
    syscall(SYS_get_mempolicy, NULL, &allowed, 64, NULL, 4);
    printf("allowed: %lu\n", allowed);
    fresh();
    fill();
    printf("default: %d\n", far());
    syscall(SYS_set_mempolicy, BIND, &second, 64);
    fresh();
    fill();
    printf("bind: %d\n", far());
    syscall(SYS_set_mempolicy, INTERLEAVE, &both, 64);
    fresh();
    fill();
    printf("interleave: %d\n", far());
    syscall(SYS_set_mempolicy, PREFERRED, &second, 64);
    fresh();
    fill();
    printf("preferred: %d\n", far());
    syscall(SYS_set_mempolicy, DEFAULT, NULL, 0);
    fresh();
    syscall(SYS_mbind, p, 200 * PAGE, BIND, &second, 64, 0);
    fill();
    printf("mbind: %d\n", far());
    printf("strict: %d\n", syscall(SYS_mbind, p, PAGES * PAGE, BIND, &second, 64, STRICT) ? errno : 0);
    printf("move: %d ", syscall(SYS_mbind, p, PAGES * PAGE, BIND, &second, 64, STRICT | MOVE) ? errno : 0);
    printf("%d\n", far());
    move_all(0);
    move_all(1);
    printf("migrate: %ld ", syscall(SYS_migrate_pages, 0, 64, &second, &first));
    printf("%d\n", far());
    madvise(p, PAGES * PAGE, MADV_HUGEPAGE);
    return 0;
}
'''
POLICIES_WANTED = ['allowed: 3', 'default: 0', 'bind: 600', 'interleave: 300', 'preferred: 600', 'mbind: 200', 'strict: 5', 'move: 0 600',
                   'moved: 0 0', 'moved: 0 600', 'migrate: 0 0']
HARDWARE_WANTED = ['available: 2 nodes (0-1)', 'node 0 cpus: 0', 'node 1 cpus: 1', '  0:  10  21 ', '  1:  21  10 ']


def boot(image):
    out = subprocess.run(['qemu-system-x86_64', '-accel', 'tcg', '-cpu', 'max', '-M', 'q35', '-m', '256', '-smp', '2', '-nodefaults', '-no-user-config',
                          '-no-reboot', '-display', 'none', '-serial', 'stdio', '-kernel', image, '-append', 'console=raw',
                          '-object', 'memory-backend-ram,id=a,size=128M', '-object', 'memory-backend-ram,id=b,size=128M',
                          '-numa', 'node,memdev=a,cpus=0', '-numa', 'node,memdev=b,cpus=1', '-numa', 'dist,src=0,dst=1,val=21'],
                         stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, timeout=240).stdout.decode().replace('\r', '')
    print(out)
    return out


def policies(alcove, d):
    subprocess.run(['gcc', '-O1', '-static', '-x', 'c', '-', '-o', f'{d}/policies'], input=POLICIES, text=True, check=True)
    subprocess.run([alcove, 'build', '-o', f'{d}/policies.elf', f'{d}/policies'], check=True, stdout=subprocess.DEVNULL)
    lines = boot(f'{d}/policies.elf').splitlines()
    for want in POLICIES_WANTED:
        if want not in lines:
            sys.exit(f'policies: no line {want!r}')
    subprocess.run([alcove, 'build', '-o', f'{d}/numactl.elf', '/usr/bin/numactl', '--hardware'], check=True, stdout=subprocess.DEVNULL)
    lines = boot(f'{d}/numactl.elf').splitlines()
    for want in HARDWARE_WANTED:
        if want not in lines and want.rstrip() not in lines:
            sys.exit(f'numactl --hardware: no line {want!r}')
    sizes = [int(line.split()[3]) for line in lines if ' size: ' in line]
    if len(sizes) != 2 or not all(100 <= n <= 128 for n in sizes):
        sys.exit(f'numactl --hardware: sizes {sizes}')


def main():
    alcove = sys.argv[1]
    with tempfile.TemporaryDirectory() as d:
        subprocess.run(['gcc', '-O1', '-static', '-x', 'c', '-', '-o', f'{d}/program'], input=PROGRAM, text=True, check=True)
        subprocess.run([alcove, 'build', '-o', f'{d}/program.elf', f'{d}/program'], check=True, stdout=subprocess.DEVNULL)
        out = boot(f'{d}/program.elf')
        policies(alcove, d)
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
