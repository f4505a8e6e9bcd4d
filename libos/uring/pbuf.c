/* SPDX-License-Identifier: MIT */
/* Provided buffers: groups from which an operation takes one when it has data. A group is a list that PROVIDE_BUFFERS fills, or a
 * ring in the program's memory (IORING_REGISTER_PBUF_RING), of which libOS keeps the head and the program writes the tail and the
 * entries: each is copied once. u->lock guards the groups. */
#include "uring_int.h"

#include <abi/errno.h>
#include <libos/heap.h>
#include <libos/user.h>
#include <utlist.h>

enum { PROVIDED_MAX = 65536, RING_ENTRIES_MAX = 32768 };

struct provided {
    struct provided *next, *prev;
    uint64_t addr;
    uint32_t len;
    uint16_t id;
};

struct uring_group {
    struct uring_group *next;
    uint16_t id;
    struct provided *list; /* utlist DL; of a ring: those that came back out of order */
    uint32_t count;
    struct uring_mem ring; /* n 0: a list */
    uint32_t mask;
    uint16_t head;
    bool is_ring;
};

static void group_free(struct uring_group *g)
{
    struct provided *b, *next;
    DL_FOREACH_SAFE(g->list, b, next)
    heap_free(b);
    uring_mem_free(&g->ring);
    heap_free(g);
}

void uring_groups_free(struct uring *u)
{
    while (u->groups) {
        struct uring_group *g = u->groups;
        u->groups = g->next;
        group_free(g);
    }
}

/* The group; u->lock or the last reference is held. */
static struct uring_group *find(struct uring *u, uint16_t id)
{
    struct uring_group *g = u->groups;
    while (g && g->id != id)
        g = g->next;
    return g;
}

/* ---- choosing ---- */

static struct abi_io_uring_buf *entry(const struct uring_group *g, uint16_t i)
{
    return uring_mem_at(&g->ring, (size_t)(i & g->mask) * sizeof(struct abi_io_uring_buf));
}

static bool take_from_ring(struct uring_group *g, struct provided *ret)
{
    _Atomic uint16_t *tail = (_Atomic uint16_t *)&entry(g, 0)->resv;
    /* Acquire: the entries are there that the tail says. */
    if (atomic_load_explicit(tail, memory_order_acquire) == g->head)
        return false;
    const volatile struct abi_io_uring_buf *b = entry(g, g->head);
    ret->addr = b->addr;
    ret->len = b->len;
    ret->id = b->bid;
    g->head++;
    return true;
}

/* Take a buffer; *spare: the list's memory of it, to be freed. */
static bool take(struct uring_group *g, struct provided *ret, struct provided **spare)
{
    struct provided *b = g->list;
    if (!b)
        return g->is_ring && take_from_ring(g, ret);
    DL_DELETE(g->list, b);
    g->count--;
    *ret = *b;
    *spare = b;
    return true;
}

int uring_select(struct uring_req *r, uintptr_t *ret_addr, size_t *len, unsigned flags)
{
    struct uring *u = r->ring;
    struct provided b = { 0 }, *spare = NULL;
    if (r->flags & URING_F_BUFFER) {
        *ret_addr = r->extra1;
        *len = *len && *len < r->extra2 ? *len : r->extra2;
        return 0;
    }
    spin_lock(&u->lock);
    struct uring_group *g = find(u, r->sqe.buf_index);
    bool have = g && take(g, &b, &spare);
    spin_unlock(&u->lock);
    heap_free(spare);
    if (!have)
        return -ENOBUFS;
    r->flags |= URING_F_BUFFER;
    r->buf_id = b.id;
    r->buf_group = r->sqe.buf_index;
    r->extra1 = b.addr;
    r->extra2 = b.len;
    *ret_addr = b.addr;
    if (!*len || *len > b.len)
        *len = b.len;
    return 0;
}

void uring_unselect(struct uring_req *r)
{
    struct uring *u = r->ring;
    if (!(r->flags & URING_F_BUFFER))
        return;
    r->flags &= ~(uint32_t)URING_F_BUFFER;
    struct provided *b = heap_alloc(sizeof(*b));
    spin_lock(&u->lock);
    struct uring_group *g = find(u, r->buf_group);
    if (g && g->is_ring && !g->list && entry(g, (uint16_t)(g->head - 1))->bid == r->buf_id) {
        g->head--; /* nobody has taken another one since */
    } else if (g && b) {
        *b = (struct provided){ .addr = r->extra1, .len = (uint32_t)r->extra2, .id = r->buf_id };
        DL_PREPEND(g->list, b);
        g->count++;
        b = NULL;
    }
    spin_unlock(&u->lock);
    heap_free(b);
}

uint32_t uring_selected(struct uring_req *r)
{
    if (!(r->flags & URING_F_BUFFER))
        return 0;
    r->flags &= ~(uint32_t)URING_F_BUFFER;
    return IORING_CQE_F_BUFFER | (uint32_t)r->buf_id << IORING_CQE_BUFFER_SHIFT;
}

/* ---- PROVIDE_BUFFERS, REMOVE_BUFFERS ---- */

static struct uring_group *find_or_make(struct uring *u, uint16_t id)
{
    struct uring_group *fresh = heap_zalloc(sizeof(*fresh)), *g;
    spin_lock(&u->lock);
    g = find(u, id);
    if (!g && fresh) {
        fresh->id = id;
        fresh->next = u->groups;
        u->groups = g = fresh;
        fresh = NULL;
    }
    spin_unlock(&u->lock);
    heap_free(fresh);
    return g;
}

static int provide_one(struct uring *u, uint16_t group, uint64_t addr, uint32_t len, uint16_t id)
{
    struct provided *b = heap_alloc(sizeof(*b));
    if (!b)
        return -ENOMEM;
    *b = (struct provided){ .addr = addr, .len = len, .id = id };
    spin_lock(&u->lock);
    struct uring_group *g = find(u, group);
    int err = !g ? -ENOENT : g->is_ring ? -EINVAL : g->count >= PROVIDED_MAX ? -ENOMEM : 0;
    if (!err) {
        DL_APPEND(g->list, b);
        g->count++;
        b = NULL;
    }
    spin_unlock(&u->lock);
    heap_free(b);
    return err;
}

long uring_provide(struct uring_req *r, unsigned flags)
{
    const struct abi_io_uring_sqe *s = &r->sqe;
    struct uring *u = r->ring;
    uint32_t n = (uint32_t)s->fd, i = 0;
    uint64_t size, end;
    (void)flags;
    if (s->rw_flags || s->file_index)
        return -EINVAL;
    if (!n || n > PROVIDED_MAX)
        return -E2BIG;
    if (!s->len)
        return -EINVAL;
    if (__builtin_mul_overflow((uint64_t)n, s->len, &size) ||
        __builtin_add_overflow(s->addr, size, &end))
        return -EOVERFLOW;
    if (s->off > 65535)
        return -E2BIG;
    if (s->off + n > 65536)
        return -EINVAL;
    if (!find_or_make(u, s->buf_index))
        return -ENOMEM;
    int err = 0;
    for (; i < n && !err; i++)
        err = provide_one(u, s->buf_index, s->addr + (uint64_t)i * s->len, s->len,
                          (uint16_t)(s->off + i));
    return err && i <= 1 ? err : 0;
}

long uring_remove(struct uring_req *r, unsigned flags)
{
    const struct abi_io_uring_sqe *s = &r->sqe;
    struct uring *u = r->ring;
    uint32_t n = (uint32_t)s->fd;
    struct provided b, *spare;
    long done = 0;
    (void)flags;
    if (s->rw_flags || s->addr || s->len || s->off || s->file_index || !n || n > PROVIDED_MAX)
        return -EINVAL;
    spin_lock(&u->lock);
    struct uring_group *g = find(u, s->buf_index);
    if (!g)
        done = -ENOENT;
    else if (g->is_ring)
        done = -EINVAL;
    while (done >= 0 && (uint32_t)done < n && g->list && take(g, &b, &spare)) {
        spin_unlock(&u->lock);
        heap_free(spare);
        done++;
        spin_lock(&u->lock);
        if (!(g = find(u, s->buf_index)))
            break;
    }
    spin_unlock(&u->lock);
    return done;
}

/* ---- rings ---- */

static int check_ring(const struct abi_io_uring_buf_reg *reg)
{
    if (reg->resv[0] || reg->resv[1] || reg->resv[2] || reg->flags)
        return -EINVAL;
    if (!reg->ring_addr || reg->ring_addr & (PAGE_SIZE - 1))
        return -EINVAL;
    if (!reg->ring_entries || reg->ring_entries & (reg->ring_entries - 1) ||
        reg->ring_entries > RING_ENTRIES_MAX)
        return -EINVAL;
    return 0;
}

typedef USER(const struct abi_io_uring_buf_reg) user_buf_reg_in_t;

long uring_pbuf_register(struct uring *u, uintptr_t arg)
{
    struct abi_io_uring_buf_reg reg;
    if (user_get(&reg, user_at(user_buf_reg_in_t, arg), 1))
        return -EFAULT;
    int err = check_ring(&reg);
    if (err)
        return err;
    struct uring_group *g = heap_zalloc(sizeof(*g)), *old, **p;
    if (!g)
        return -ENOMEM;
    err =
        uring_mem_pin(&g->ring, reg.ring_addr, reg.ring_entries * sizeof(struct abi_io_uring_buf));
    g->id = reg.bgid;
    g->mask = reg.ring_entries - 1;
    g->is_ring = true;
    spin_lock(&u->lock);
    for (p = &u->groups; (old = *p) && old->id != reg.bgid; p = &old->next)
        ;
    if (!err && old && (old->is_ring || old->list))
        err = -EEXIST;
    if (!err) {
        if (old) /* an empty list gives way */
            *p = old->next;
        g->next = u->groups;
        u->groups = g;
    }
    spin_unlock(&u->lock);
    if (err)
        group_free(g);
    else if (old)
        group_free(old);
    return err;
}

long uring_pbuf_unregister(struct uring *u, uintptr_t arg)
{
    struct abi_io_uring_buf_reg reg;
    struct uring_group *g, **p;
    if (user_get(&reg, user_at(user_buf_reg_in_t, arg), 1))
        return -EFAULT;
    if (reg.resv[0] || reg.resv[1] || reg.resv[2] || reg.flags)
        return -EINVAL;
    spin_lock(&u->lock);
    for (p = &u->groups; (g = *p) && g->id != reg.bgid; p = &g->next)
        ;
    int err = !g ? -ENOENT : g->is_ring ? 0 : -EINVAL;
    if (!err)
        *p = g->next;
    spin_unlock(&u->lock);
    if (!err)
        group_free(g);
    return err;
}
