/* SPDX-License-Identifier: MIT */
/* Memory policies: checked as Linux checks them and remembered. Anonymous pages come from where they say, and move.
 * set_mempolicy(2), mbind(2), move_pages(2). */
#include "sys_proto.h"
#include <abi/errno.h>
#include <abi/mempolicy.h>
#include <abi/prctl.h>
#include <libos/access.h>
#include <libos/mm.h>
#include <libos/node.h>
#include <libos/process.h>
#include <libos/sched.h>
#include <libos/user.h>

enum { MAX_NODES = 1024, STATIC_OR_RELATIVE = 0xc000 };

static struct mm *mine(void)
{
    return thread_current()->mm;
}

/* A mask of maxnode - 1 nodes: the first 64 of them. -EINVAL: one that no machine has, -EFAULT. */
static int get_nodes(user_u64_in_t mask, unsigned long maxnode, uint64_t *ret)
{
    unsigned long bits = maxnode - 1;
    *ret = 0;
    if (!bits || user_is_null(mask))
        return 0;
    if (bits > PAGE_SIZE * 8)
        return -EINVAL;
    for (unsigned long at = 0; at < bits; at += 64) {
        uint64_t word;
        if (user_get(&word, user_advance(mask, at / 64), 1) < 0)
            return -EFAULT;
        if (bits - at < 64)
            word &= (1ull << (bits - at)) - 1;
        if (at == 0)
            *ret = word;
        else if (word && at >= MAX_NODES)
            return -EINVAL;
    }
    return 0;
}

static int put_nodes(user_u64_out_t mask, unsigned long maxnode, uint64_t nodes)
{
    unsigned long words = (maxnode - 1 + 63) / 64;
    if (words * 8 > PAGE_SIZE)
        return -EINVAL;
    if (words > 1 && user_clear(user_advance(mask, 1), words - 1) < 0)
        return -EFAULT;
    return words && user_put(mask, &nodes, 1) < 0 ? -EFAULT : 0;
}

/* Do mode and nodes make a policy? In *ret as it is told. */
static int policy_make(unsigned mode, uint64_t nodes, struct mempolicy *ret)
{
    unsigned flags = mode & MPOL_MODE_FLAGS, kind = mode & ~(unsigned)MPOL_MODE_FLAGS;
    bool user_nodes = flags & STATIC_OR_RELATIVE;
    if (kind >= ABI_MPOL_MAX || (flags & STATIC_OR_RELATIVE) == STATIC_OR_RELATIVE)
        return -EINVAL;
    if (flags & MPOL_F_NUMA_BALANCING && kind != MPOL_BIND && kind != MPOL_PREFERRED_MANY)
        return -EINVAL;
    if (kind == MPOL_PREFERRED && !nodes)
        kind = MPOL_LOCAL;
    if (kind == MPOL_DEFAULT || kind == MPOL_LOCAL) {
        if (nodes || user_nodes)
            return -EINVAL;
        *ret = (struct mempolicy){ .mode = (uint16_t)(kind | flags) };
        return 0;
    }
    /* Relative ones are folded onto the nodes that there are. */
    bool any = flags & MPOL_F_RELATIVE_NODES ? nodes != 0 : nodes & node_all();
    if (!any)
        return -EINVAL;
    *ret = (struct mempolicy){ .mode = (uint16_t)(kind | flags),
                               .nodes = user_nodes ? nodes : nodes & node_all() };
    return 0;
}

static int policy_get(unsigned long mode, user_u64_in_t mask, unsigned long maxnode,
                      struct mempolicy *ret)
{
    uint64_t nodes;
    unsigned kind = (unsigned)mode & ~(unsigned)MPOL_MODE_FLAGS;
    if (kind >= ABI_MPOL_MAX)
        return -EINVAL;
    int err = get_nodes(mask, maxnode, &nodes);
    return err ? err : policy_make((unsigned)mode, nodes, ret);
}

long sys_set_mempolicy(int mode, user_u64_in_t nmask, unsigned long maxnode)
{
    struct mempolicy p;
    int err = policy_get((unsigned)mode, nmask, maxnode, &p);
    if (!err)
        thread_current()->mempolicy = p;
    return err;
}

/* Pages of [start, end) go where p wants them, with MPOL_MF_MOVE. -EIO: some are elsewhere, with MPOL_MF_STRICT. */
static int move_range(struct mm *mm, uintptr_t start, uintptr_t end, const struct mempolicy *p,
                      unsigned flags)
{
    unsigned kind = p->mode & ~(unsigned)MPOL_MODE_FLAGS;
    bool left = false;
    if (kind == MPOL_DEFAULT || kind == MPOL_LOCAL)
        return 0;
    uint64_t nodes = mempolicy_nodes(p), allowed;
    for (uintptr_t va = start; va < end; va += PAGE_SIZE) {
        int node = mm_page_node(mm, va);
        if (node >= 0 && !(nodes >> node & 1)) {
            unsigned to = mempolicy_node(p, va >> PAGE_SHIFT, &allowed);
            to = nodes >> to & 1 ? to : (unsigned)__builtin_ctzll(nodes);
            left |= !(flags & (MPOL_MF_MOVE | MPOL_MF_MOVE_ALL)) || mm_move_page(mm, va, to) < 0;
        }
        if (va % (64 * PAGE_SIZE) == 0 && thread_preempt_point())
            return -EINTR;
    }
    return left && flags & MPOL_MF_STRICT ? -EIO : 0;
}

long sys_mbind(uintptr_t addr, unsigned long len, unsigned long mode, user_u64_in_t nmask,
               unsigned long maxnode, unsigned flags)
{
    struct mempolicy p;
    int err = policy_get(mode, nmask, maxnode, &p);
    size_t size = align_up(len, PAGE_SIZE);
    if (!err && flags & ~(unsigned)(MPOL_MF_STRICT | MPOL_MF_MOVE | MPOL_MF_MOVE_ALL))
        err = -EINVAL;
    if (!err && flags & MPOL_MF_MOVE_ALL && !cred_capable(CAP_SYS_NICE))
        err = -EPERM;
    if (err)
        return err;
    if (addr & (PAGE_SIZE - 1) || addr + size < addr)
        return -EINVAL;
    err = size ? mm_set_policy(mine(), addr, size, &p) : 0;
    if (!err && node_many && flags)
        err = move_range(mine(), addr, addr + size, &p, flags);
    return err;
}

/* What is asked for. */
static int find_policy(uintptr_t addr, unsigned long flags, struct mempolicy *ret)
{
    if (flags & MPOL_F_ADDR)
        return mm_get_policy(mine(), addr, ret);
    *ret = thread_current()->mempolicy;
    return addr ? -EINVAL : 0;
}

/* The page of zeros is nowhere in particular. */
static int page_is_on(uintptr_t addr)
{
    int node = mm_page_node(mine(), addr);
    return node < 0 ? 0 : node;
}

/* The node that pages come from, instead of the policy. */
static int find_node(uintptr_t addr, unsigned long flags, const struct mempolicy *p)
{
    uint8_t byte;
    unsigned kind = p->mode & ~(unsigned)MPOL_MODE_FLAGS;
    if (flags & MPOL_F_ADDR)
        return mm_access(mine(), addr, &byte, 1, false, false) != 1 ? -EFAULT : page_is_on(addr);
    return kind == MPOL_INTERLEAVE || kind == MPOL_WEIGHTED_INTERLEAVE
               ? __builtin_ctzll(mempolicy_nodes(p))
               : -EINVAL;
}

long sys_get_mempolicy(user_int_out_t policy, user_u64_out_t nmask, unsigned long maxnode,
                       uintptr_t addr, unsigned long flags)
{
    struct mempolicy p = { .mode = 0 };
    bool mask = !user_is_null(nmask);
    int node = 0;
    if ((mask && maxnode < node_count()) ||
        flags & ~(unsigned long)(MPOL_F_NODE | MPOL_F_ADDR | MPOL_F_MEMS_ALLOWED))
        return -EINVAL;
    if (flags & MPOL_F_MEMS_ALLOWED) {
        if (flags & (MPOL_F_NODE | MPOL_F_ADDR))
            return -EINVAL;
        p.nodes = node_all();
    } else {
        int err = find_policy(addr, flags, &p);
        if (!err && flags & MPOL_F_NODE)
            err = node = find_node(addr, flags, &p);
        if (err < 0)
            return err;
    }
    int told = flags & MPOL_F_NODE ? node : p.mode;
    if (!user_is_null(policy) && user_put(policy, &told, 1) < 0)
        return -EFAULT;
    return mask ? put_nodes(nmask, maxnode, p.nodes) : 0;
}

long sys_set_mempolicy_home_node(uintptr_t start, unsigned long len, unsigned long home_node,
                                 unsigned long flags)
{
    size_t size = align_up(len, PAGE_SIZE);
    if (start & (PAGE_SIZE - 1) || flags || home_node >= node_count() || start + size < start)
        return -EINVAL;
    return size ? mm_check_home(mine(), start, size) : 0;
}

/* The thread with this number, 0: the current one, if the current one may look at it; a reference. */
static int find_target(int pid, struct thread **ret)
{
    struct thread *t = pid ? thread_find(pid) : thread_current();
    if (!t)
        return -ESRCH;
    if (!pid)
        thread_get(t);
    int err = thread_may_access(t, ACCESS_READ | ACCESS_REALCREDS);
    if (err) {
        thread_put(t);
        return -EPERM;
    }
    *ret = t;
    return 0;
}

/* Pages on a node of from go to the node of to that has the same place there. How many did not; -EINTR. */
static long migrate(struct mm *mm, uint64_t from, uint64_t to)
{
    uintptr_t va = 0, end;
    long stay = 0;
    while (mm_next_range(mm, va, &va, &end)) {
        for (; va < end; va += PAGE_SIZE) {
            int node = mm_page_node(mm, va);
            if (node >= 0 && from >> node & 1) {
                unsigned place = (unsigned)__builtin_popcountll(from & ((1ull << node) - 1));
                const struct mempolicy p = { .mode = MPOL_INTERLEAVE, .nodes = to };
                uint64_t allowed;
                unsigned dest = mempolicy_node(&p, place, &allowed);
                stay += (int)dest != node && mm_move_page(mm, va, dest) < 0;
            }
            if (va % (64 * PAGE_SIZE) == 0 && thread_preempt_point())
                return -EINTR;
        }
    }
    return stay;
}

long sys_migrate_pages(int pid, unsigned long maxnode, user_u64_in_t old, user_u64_in_t new)
{
    uint64_t from, to;
    struct thread *t;
    int err = get_nodes(old, maxnode, &from);
    err = err ? err : get_nodes(new, maxnode, &to);
    err = err ? err : find_target(pid, &t);
    if (err)
        return err;
    if (to & ~node_all() && !cred_capable(CAP_SYS_NICE))
        err = -EPERM;
    else if (!(to & node_all()))
        err = -EINVAL;
    struct mm *mm = err || !node_many ? NULL : thread_mm_get(t);
    thread_put(t);
    long stay = 0; /* with one node: none could not be moved */
    if (mm) {
        stay = migrate(mm, from & node_all(), to & node_all());
        mm_put(mm);
    }
    return err ? err : stay;
}

/* Pages i of the lists. */
static int tell_page(struct mm *mm, unsigned long i, user_u64_in_t pages, user_int_in_t nodes,
                     user_int_out_t status)
{
    uint64_t addr;
    int node = 0;
    bool move = !user_is_null(nodes);
    if (user_get(&addr, user_advance(pages, i), 1) < 0)
        return -EFAULT;
    if (move && user_get(&node, user_advance(nodes, i), 1) < 0)
        return -EFAULT;
    if (node < 0 || node >= (int)node_count())
        return -ENODEV;
    node = move ? mm_move_page(mm, addr, (unsigned)node) : mm_page_node(mm, addr);
    return user_put(user_advance(status, i), &node, 1) < 0 ? -EFAULT : 0;
}

long sys_move_pages(int pid, unsigned long n, user_u64_in_t pages, user_int_in_t nodes,
                    user_int_out_t status, int flags)
{
    struct thread *t;
    if (flags & ~(MPOL_MF_MOVE | MPOL_MF_MOVE_ALL))
        return -EINVAL;
    if (flags & MPOL_MF_MOVE_ALL && !cred_capable(CAP_SYS_NICE))
        return -EPERM;
    int err = find_target(pid, &t);
    if (err)
        return err;
    struct mm *mm = thread_mm_get(t);
    thread_put(t);
    if (!mm)
        return -EINVAL;
    for (unsigned long i = 0; i < n && !err; i++) {
        err = tell_page(mm, i, pages, nodes, status);
        if (!err && i % 64 == 63 && thread_preempt_point())
            err = -EINTR;
    }
    mm_put(mm);
    return err;
}
