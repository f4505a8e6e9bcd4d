/* SPDX-License-Identifier: MIT */
/* Memory policies on a machine with one node. */
#define _GNU_SOURCE
#include <t.h>

#include <errno.h>
#include <stdint.h>
#include <sys/mman.h>
#include <unistd.h>

enum {
    PAGE = 4096,
    RW = PROT_READ | PROT_WRITE,
    ANON = MAP_PRIVATE | MAP_ANONYMOUS,
    DEFAULT = 0,
    PREFERRED,
    BIND,
    INTERLEAVE,
    LOCAL,
    PREFERRED_MANY,
    STATIC_NODES = 1 << 15,
    RELATIVE_NODES = 1 << 14,
    BALANCING = 1 << 13,
    F_NODE = 1,
    F_ADDR = 2,
    F_MEMS_ALLOWED = 4,
    MF_STRICT = 1,
    MF_MOVE = 2,
    MF_MOVE_ALL = 4,
    BITS = 64, /* of a mask of nodes here */
};

static unsigned long node0 = 1, node1 = 2, none, both = 3;

static char *map(size_t size)
{
    return (char *)call(SYS_mmap, NULL, size, RW, ANON, -1, 0);
}

/* The policy of the thread, or with flags of addr; the mode, and the nodes in *mask. */
static long policy(unsigned long *mask, void *addr, unsigned long flags)
{
    int mode = -1;
    long err = call(SYS_get_mempolicy, &mode, mask, mask ? BITS : 0, addr, flags);
    return err ? err : mode;
}

static void thread_policy(void)
{
    unsigned long mask = 77;
    CHECK(DEFAULT, policy(&mask, NULL, 0));
    CHECK(0, mask);
    CHECK(0, call(SYS_set_mempolicy, BIND, &node0, BITS));
    CHECK(BIND, policy(&mask, NULL, 0));
    CHECK(1, mask);
    CHECK(0, call(SYS_set_mempolicy, INTERLEAVE | STATIC_NODES, &both, BITS));
    CHECK(INTERLEAVE | STATIC_NODES, policy(&mask, NULL, 0));
    CHECK(3, mask);
    CHECK(0, policy(NULL, NULL, F_NODE)); /* the next node to interleave on */
    CHECK(0, call(SYS_set_mempolicy, INTERLEAVE, &both, BITS));
    CHECK(INTERLEAVE, policy(&mask, NULL, 0));
    CHECK(1, mask);
    CHECK(0, call(SYS_set_mempolicy, PREFERRED, &none, BITS));
    CHECK(LOCAL, policy(&mask, NULL, 0));
    CHECK(0, mask);
    CHECK(0, call(SYS_set_mempolicy, PREFERRED, &node0, BITS));
    CHECK(PREFERRED, policy(&mask, NULL, 0));
    CHECK(1, mask);
    CHECK(0, call(SYS_set_mempolicy, LOCAL, NULL, 0));
    CHECK(LOCAL, policy(NULL, NULL, 0));
    CHECK(0, call(SYS_set_mempolicy, BIND | BALANCING, &node0, BITS));
    CHECK(BIND | BALANCING, policy(NULL, NULL, 0));
    CHECK(0, call(SYS_set_mempolicy, BIND | RELATIVE_NODES, &node1, BITS)); /* modulo one node */
    CHECK(BIND | RELATIVE_NODES, policy(&mask, NULL, 0));
    CHECK(2, mask);
    CHECK(0, call(SYS_set_mempolicy, DEFAULT, NULL, 0));
    CHECK(DEFAULT, policy(&mask, NULL, 0));
    CHECK(1, policy(&mask, NULL, F_MEMS_ALLOWED) + (long)mask);
}

static void bad_policies(void)
{
    CHECK(-EINVAL, call(SYS_set_mempolicy, 99, &node0, BITS));
    CHECK(-EINVAL, call(SYS_set_mempolicy, -1, &node0, BITS));
    CHECK(-EINVAL, call(SYS_set_mempolicy, BIND, &none, BITS));
    CHECK(-EINVAL, call(SYS_set_mempolicy, BIND, NULL, 0));
    CHECK(-EINVAL, call(SYS_set_mempolicy, BIND, &node1, BITS)); /* there is no such node */
    CHECK(-EINVAL, call(SYS_set_mempolicy, PREFERRED, &node1, BITS));
    CHECK(-EINVAL, call(SYS_set_mempolicy, DEFAULT, &node0, BITS));
    CHECK(-EINVAL, call(SYS_set_mempolicy, LOCAL, &node0, BITS));
    CHECK(-EINVAL, call(SYS_set_mempolicy, LOCAL | STATIC_NODES, NULL, 0));
    CHECK(-EINVAL, call(SYS_set_mempolicy, BIND | STATIC_NODES | RELATIVE_NODES, &node0, BITS));
    CHECK(-EINVAL, call(SYS_set_mempolicy, INTERLEAVE | BALANCING, &node0, BITS));
    CHECK(-EINVAL, call(SYS_set_mempolicy, DEFAULT | STATIC_NODES, &node0, BITS));
    CHECK(-EFAULT, call(SYS_set_mempolicy, BIND, T_BAD, BITS));
    CHECK(-EINVAL, call(SYS_set_mempolicy, BIND, &node0, 1000000));
    CHECK(-EINVAL, call(SYS_set_mempolicy, DEFAULT, T_BAD, 0));
    CHECK(0, call(SYS_set_mempolicy, DEFAULT, T_BAD, 1));
    unsigned long mask = 0;
    CHECK(-EINVAL, call(SYS_get_mempolicy, NULL, &mask, 0, NULL, 0));
    CHECK(-EINVAL, call(SYS_get_mempolicy, NULL, NULL, 0, &mask, 0));
    CHECK(-EINVAL, call(SYS_get_mempolicy, NULL, NULL, 0, NULL, 8));
    CHECK(-EINVAL, call(SYS_get_mempolicy, NULL, NULL, 0, NULL, F_NODE));
    CHECK(-EINVAL, call(SYS_get_mempolicy, NULL, NULL, 0, NULL, F_MEMS_ALLOWED | F_ADDR));
    CHECK(-EFAULT, call(SYS_get_mempolicy, NULL, NULL, 0, T_BAD, F_ADDR));
    CHECK(-EFAULT, call(SYS_get_mempolicy, T_BAD, NULL, 0, NULL, 0));
    CHECK(-EFAULT, call(SYS_get_mempolicy, NULL, T_BAD, BITS, NULL, 0));
    CHECK(0, call(SYS_get_mempolicy, NULL, NULL, 0, NULL, 0));
}

static void wide_masks(void)
{
    unsigned long wide[32], got[32];
    memset(wide, 0, sizeof wide);
    memset(got, 0xff, sizeof got);
    wide[0] = 1;
    CHECK(0, call(SYS_set_mempolicy, BIND, wide, sizeof wide * 8));
    CHECK(0, call(SYS_get_mempolicy, NULL, got, sizeof got * 8, NULL, 0));
    CHECK(1, got[0]);
    CHECK(0, got[1]);
    CHECK(0, got[30]);
    wide[31] = 1;
    CHECK(-EINVAL, call(SYS_set_mempolicy, BIND, wide, sizeof wide * 8));
    CHECK(0, call(SYS_set_mempolicy, DEFAULT, NULL, 0));
}

static void area_policy(void)
{
    unsigned long mask = 0;
    char *p = map(6 * PAGE);
    CHECK(0, call(SYS_mbind, p + PAGE, 2 * PAGE, BIND, &node0, BITS, 0));
    CHECK(BIND, policy(&mask, p + PAGE, F_ADDR));
    CHECK(1, mask);
    CHECK(BIND, policy(NULL, p + 3 * PAGE - 1, F_ADDR));
    CHECK(DEFAULT, policy(NULL, p, F_ADDR));
    CHECK(DEFAULT, policy(NULL, p + 3 * PAGE, F_ADDR));
    CHECK(0, policy(NULL, p + PAGE, F_ADDR | F_NODE));
    CHECK(0, call(SYS_mbind, p + PAGE, 2 * PAGE, PREFERRED, &node0, BITS, MF_MOVE | MF_STRICT));
    CHECK(PREFERRED, policy(NULL, p + PAGE, F_ADDR));
    CHECK(0, call(SYS_mbind, p, 6 * PAGE, DEFAULT, NULL, 0, MF_STRICT));
    CHECK(DEFAULT, policy(NULL, p + PAGE, F_ADDR));
    CHECK(0, call(SYS_mbind, p, 0, BIND, &node0, BITS, 0));
    CHECK(-EINVAL, call(SYS_mbind, p + 1, PAGE, BIND, &node0, BITS, 0));
    CHECK(-EINVAL, call(SYS_mbind, p, PAGE, BIND, &node0, BITS, 8));
    CHECK(-EINVAL, call(SYS_mbind, p, PAGE, 99, &node0, BITS, 0));
    CHECK(-EINVAL, call(SYS_mbind, p, PAGE, BIND, &node1, BITS, 0));
    CHECK(-EINVAL, call(SYS_mbind, p, -1ul - PAGE, BIND, &node0, BITS, 0));
    CHECK(-EFAULT, call(SYS_mbind, p, PAGE, BIND, T_BAD, BITS, 0));
    CHECK(0, call(SYS_munmap, p + 4 * PAGE, PAGE));
    CHECK(-EFAULT, call(SYS_mbind, p, 6 * PAGE, BIND, &node0, BITS, 0));
    CHECK(-EFAULT, call(SYS_mbind, p + 4 * PAGE, PAGE, BIND, &node0, BITS, 0));
    /* A home node asks for a policy that has several. */
    CHECK(-ENOENT, call(SYS_set_mempolicy_home_node, p, PAGE, 0, 0));
    CHECK(0, call(SYS_mbind, p, PAGE, BIND, &node0, BITS, 0));
    CHECK(0, call(SYS_set_mempolicy_home_node, p, PAGE, 0, 0));
    CHECK(0, call(SYS_mbind, p, PAGE, PREFERRED, &node0, BITS, 0));
    CHECK(-EOPNOTSUPP, call(SYS_set_mempolicy_home_node, p, PAGE, 0, 0));
    CHECK(-EINVAL, call(SYS_set_mempolicy_home_node, p, PAGE, 1, 0));
    CHECK(-EINVAL, call(SYS_set_mempolicy_home_node, p, PAGE, 100000, 0));
    CHECK(-EINVAL, call(SYS_set_mempolicy_home_node, p, PAGE, 0, 1));
    CHECK(-EINVAL, call(SYS_set_mempolicy_home_node, p + 1, PAGE, 0, 0));
    CHECK(0, call(SYS_set_mempolicy_home_node, p, 0, 0, 0));
    CHECK(0, call(SYS_munmap, p, 6 * PAGE));
}

static void moving(void)
{
    char *p = map(4 * PAGE), *q = map(PAGE);
    p[0] = 1;
    CHECK(0, *(volatile char *)(p + PAGE)); /* the page of zeros */
    void *pages[4] = { p, p + PAGE, q, T_BAD };
    int status[4] = { 9, 9, 9, 9 }, nodes[4] = { 0, 0, 0, 0 };
    CHECK(0, call(SYS_move_pages, 0, 4, pages, NULL, status, 0));
    CHECK(0, status[0]);
    CHECK(-EFAULT, status[1]);
    CHECK(-ENOENT, status[2]);
    CHECK(-EFAULT, status[3]);
    memset(status, 9, sizeof status);
    CHECK(0, call(SYS_move_pages, 0, 4, pages, nodes, status, MF_MOVE));
    CHECK(0, status[0]);
    CHECK(-EFAULT, status[1]);
    CHECK(-ENOENT, status[2]);
    CHECK(-EFAULT, status[3]);
    nodes[0] = 1;
    CHECK(-ENODEV, call(SYS_move_pages, 0, 1, pages, nodes, status, MF_MOVE));
    nodes[0] = -1;
    CHECK(-ENODEV, call(SYS_move_pages, 0, 1, pages, nodes, status, MF_MOVE));
    CHECK(-EINVAL, call(SYS_move_pages, 0, 1, pages, NULL, status, MF_STRICT));
    CHECK(-EINVAL, call(SYS_move_pages, 0, 1, pages, NULL, status, 16));
    CHECK(-EFAULT, call(SYS_move_pages, 0, 1, T_BAD, NULL, status, 0));
    CHECK(-EFAULT, call(SYS_move_pages, 0, 1, pages, NULL, T_BAD, 0));
    CHECK(-EFAULT, call(SYS_move_pages, 0, 1, pages, T_BAD, status, MF_MOVE));
    CHECK(0, call(SYS_move_pages, 0, 0, T_BAD, T_BAD, T_BAD, MF_MOVE));
    CHECK(-ESRCH, call(SYS_move_pages, 0x3ffffff, 1, pages, NULL, status, 0));
    CHECK(0, call(SYS_migrate_pages, 0, BITS, &node0, &node0));
    CHECK(0, call(SYS_migrate_pages, call(SYS_getpid), BITS, &node0, &node0));
    CHECK(-EINVAL, call(SYS_migrate_pages, 0, BITS, &node0, &none));
    CHECK(-EFAULT, call(SYS_migrate_pages, 0, BITS, T_BAD, &node0));
    CHECK(-EFAULT, call(SYS_migrate_pages, 0, BITS, &node0, T_BAD));
    CHECK(-ESRCH, call(SYS_migrate_pages, 0x3ffffff, BITS, &node0, &node0));
    CHECK(0, call(SYS_munmap, p, 4 * PAGE));
    CHECK(0, call(SYS_munmap, q, PAGE));
}

int main(void)
{
    thread_policy();
    bad_policies();
    wide_masks();
    area_policy();
    moving();
    return t_end();
}
