/* SPDX-License-Identifier: MIT */
/* Registered files and buffers: tables of counted nodes. A request that uses one keeps it, so an update does not wait; the tag of
 * what was replaced is posted when its last user is gone. u->submit guards the tables. io_uring_register(2). */
#include "uring_int.h"

#include <abi/errno.h>
#include <abi/prctl.h>
#include <abi/resource.h>
#include <abi/uio.h>
#include <libos/heap.h>
#include <libos/mm.h>
#include <libos/process.h>
#include <libos/sched.h>
#include <libos/user.h>
#include <plat/mem.h>
#include <string.h>

enum { PAGES_MAX = 1 << 18 /* of one buffer: 1 GiB */ };

/* A piece of a buffer that is contiguous in memory. */
struct piece {
    uint8_t *at;
    size_t len;
};

struct uring_buffer {
    uint64_t addr, len; /* as the program sees it */
    struct page **pages;
    size_t npages;
    struct piece *pieces;
    size_t npieces;
    struct account *account; /* whose locked memory it counts as; NULL: nobody's */
};

static void buffer_free(struct uring_buffer *b)
{
    if (!b)
        return;
    for (size_t i = 0; i < b->npages; i++)
        page_put(b->pages[i]);
    if (b->account) {
        account_uncharge(b->account, ACCOUNT_LOCKED_BYTES, b->npages * PAGE_SIZE);
        account_put(b->account);
    }
    heap_free(b->pages);
    heap_free(b->pieces);
    heap_free(b);
}

void uring_node_put(struct uring_node *n)
{
    if (atomic_fetch_sub_explicit(&n->refs, 1, memory_order_acq_rel) != 1)
        return;
    struct uring *u = n->ring;
    if (n->tag) {
        uring_post(u, n->tag, 0, 0);
        uring_notify(u, true);
    }
    if (n->file)
        file_put(n->file);
    buffer_free(n->buffer);
    heap_free(n);
    uring_put(u);
}

static struct uring_node *node_create(struct uring *u, uint64_t tag)
{
    struct uring_node *n = heap_zalloc(sizeof(*n));
    if (!n)
        return NULL;
    atomic_init(&n->refs, 1);
    n->ring = u;
    n->tag = tag;
    uring_get(u);
    return n;
}

void uring_table_free(struct uring_table *t)
{
    for (uint32_t i = 0; i < t->n; i++)
        if (t->nodes[i])
            uring_node_put(t->nodes[i]);
    heap_free(t->nodes);
    *t = (struct uring_table){ 0 };
}

/* ---- use ---- */

static void lock_unless(struct uring *u, unsigned flags)
{
    if (!(flags & URING_LOCKED))
        mutex_lock(&u->submit);
}

static void unlock_unless(struct uring *u, unsigned flags)
{
    if (!(flags & URING_LOCKED))
        mutex_unlock(&u->submit);
}

/* The node in slot i with a reference; NULL. */
static struct uring_node *node_get(struct uring *u, const struct uring_table *t, uint32_t i,
                                   unsigned flags)
{
    lock_unless(u, flags);
    struct uring_node *n = i < t->n ? t->nodes[i] : NULL;
    if (n)
        atomic_fetch_add_explicit(&n->refs, 1, memory_order_relaxed);
    unlock_unless(u, flags);
    return n;
}

int uring_take_file(struct uring_req *r, unsigned flags)
{
    if (r->sqe.flags & IOSQE_FIXED_FILE) {
        r->node = node_get(r->ring, &r->ring->files, (uint32_t)r->sqe.fd, flags);
        if (!r->node)
            return -EBADF;
        r->file = r->node->file;
        return 0;
    }
    int err = fd_get(r->sqe.fd, &r->file);
    if (!err)
        r->flags |= URING_F_FILE;
    else
        r->file = NULL;
    return err;
}

int uring_slot_file(struct uring *u, uint32_t slot, unsigned flags, struct file **ret_file)
{
    struct uring_node *n = node_get(u, &u->files, slot, flags);
    if (!n)
        return -EBADF;
    *ret_file = n->file;
    file_get(n->file);
    uring_node_put(n);
    return 0;
}

int uring_buffer_iter(struct uring_req *r, uint64_t addr, size_t len, unsigned flags,
                      struct iter *it, struct iter_seg **ret_segs)
{
    if (!r->buf_node)
        r->buf_node = node_get(r->ring, &r->ring->buffers, r->sqe.buf_index, flags);
    if (!r->buf_node)
        return -EFAULT;
    const struct uring_buffer *b = r->buf_node->buffer;
    if (addr < b->addr || addr - b->addr > b->len || len > b->len - (addr - b->addr))
        return -EFAULT;
    size_t skip = addr - b->addr, i = 0, n = 0, left = len;
    while (i < b->npieces && skip >= b->pieces[i].len)
        skip -= b->pieces[i++].len;
    *ret_segs = NULL;
    if (!len || b->pieces[i].len - skip >= len) {
        iter_kernel(it, len ? b->pieces[i].at + skip : NULL, len);
        return 0;
    }
    struct iter_seg *segs = heap_calloc(b->npieces - i, sizeof(*segs));
    if (!segs)
        return -ENOMEM;
    for (; left; i++, n++) {
        size_t part = b->pieces[i].len - skip < left ? b->pieces[i].len - skip : left;
        segs[n] = (struct iter_seg){ (uintptr_t)(b->pieces[i].at + skip), part };
        left -= part;
        skip = 0;
    }
    iter_vector(it, segs, n, len);
    it->kind |= ITER_KERNEL;
    *ret_segs = segs;
    return 0;
}

/* ---- making them ---- */

static int pin_pages(struct uring_buffer *b)
{
    uintptr_t start = b->addr & PAGE_MASK;
    size_t n = (size_t)(((b->addr + b->len + PAGE_SIZE - 1) & PAGE_MASK) - start) >> PAGE_SHIFT;
    b->pages = heap_calloc(n, sizeof(b->pages[0]));
    b->pieces = heap_calloc(n, sizeof(b->pieces[0]));
    if (!b->pages || !b->pieces)
        return -ENOMEM;
    for (size_t i = 0; i < n; i++) {
        int err = mm_pin(thread_current()->mm, start + i * PAGE_SIZE, true, &b->pages[i]);
        if (err)
            return err;
        b->npages++;
        if ((err = uring_check_page(b->pages[i])))
            return err;
        size_t in = i ? 0 : b->addr - start, len = PAGE_SIZE - in;
        uint64_t end = b->addr + b->len - start;
        if ((i + 1) * PAGE_SIZE > end)
            len -= (i + 1) * PAGE_SIZE - end;
        uint8_t *at = (uint8_t *)page_ptr(b->pages[i]) + in;
        struct piece *last = b->npieces ? &b->pieces[b->npieces - 1] : NULL;
        if (last && last->at + last->len == at)
            last->len += len;
        else
            b->pieces[b->npieces++] = (struct piece){ at, len };
        if (i % 512 == 511 && thread_preempt_point())
            return -EINTR;
    }
    return 0;
}

static int buffer_charge(struct uring_buffer *b)
{
    if (cred_capable(CAP_IPC_LOCK))
        return 0;
    struct account *a = thread_current()->cred->account;
    size_t pages = (size_t)((b->len + PAGE_SIZE - 1) >> PAGE_SHIFT) + 1;
    if (account_add(a, ACCOUNT_LOCKED_BYTES, 0) + pages * PAGE_SIZE >
        process_limit(process_current(), RLIMIT_MEMLOCK))
        return -ENOMEM;
    return 0;
}

/* The buffer that iov names; NULL with 0: an empty slot. */
static int buffer_create(const struct abi_iovec *iov, struct uring_buffer **ret)
{
    *ret = NULL;
    if (!iov->iov_base.addr)
        return iov->iov_len ? -EFAULT : 0;
    if (!iov->iov_len || iov->iov_len > (size_t)PAGES_MAX * PAGE_SIZE)
        return -EFAULT;
    if (iov->iov_base.addr + iov->iov_len < iov->iov_base.addr)
        return -EOVERFLOW;
    struct uring_buffer *b = heap_zalloc(sizeof(*b));
    if (!b)
        return -ENOMEM;
    b->addr = iov->iov_base.addr;
    b->len = iov->iov_len;
    int err = buffer_charge(b);
    if (!err)
        err = pin_pages(b);
    if (err) {
        buffer_free(b);
        return err;
    }
    if (!cred_capable(CAP_IPC_LOCK)) {
        b->account = account_get(thread_current()->cred->account);
        (void)account_add(b->account, ACCOUNT_LOCKED_BYTES, b->npages * PAGE_SIZE);
    }
    *ret = b;
    return 0;
}

/* What is registered in one slot, as the program described it. */
struct source {
    uintptr_t data, tags;
    bool files;
};

static int fetch_tag(const struct source *s, uint32_t i, uint64_t *ret)
{
    *ret = 0;
    return s->tags ? user_get(ret, user_advance(user_at(user_u64_in_t, s->tags), i), 1) : 0;
}

/* The node for entry i; NULL with 0: an empty slot. *skip: leave the slot alone. */
static int file_node(struct uring *u, const struct source *s, uint32_t i, bool *skip,
                     struct uring_node **ret)
{
    uint64_t tag;
    int fd;
    struct file *f;
    *ret = NULL;
    if (user_get(&fd, user_advance(user_at(user_int_in_t, s->data), i), 1) || fetch_tag(s, i, &tag))
        return -EFAULT;
    if (fd == IORING_REGISTER_FILES_SKIP && skip) {
        *skip = true;
        return tag ? -EINVAL : 0;
    }
    if (fd == -1)
        return tag ? -EINVAL : 0;
    int err = fd_get(fd, &f);
    if (err)
        return err;
    if (uring_of(f)) {
        file_put(f);
        return -EBADF; /* would keep itself */
    }
    struct uring_node *n = node_create(u, tag);
    if (!n) {
        file_put(f);
        return -ENOMEM;
    }
    n->file = f;
    *ret = n;
    return 0;
}

static int buffer_node(struct uring *u, const struct source *s, uint32_t i, struct uring_node **ret)
{
    uint64_t tag;
    struct abi_iovec iov;
    struct uring_buffer *b;
    *ret = NULL;
    if (user_get(&iov, user_advance(user_at(user_iovec_in_t, s->data), i), 1) ||
        fetch_tag(s, i, &tag))
        return -EFAULT;
    int err = buffer_create(&iov, &b);
    if (err || !b)
        return err ? err : tag ? -EINVAL : 0;
    struct uring_node *n = node_create(u, tag);
    if (!n) {
        buffer_free(b);
        return -ENOMEM;
    }
    n->buffer = b;
    *ret = n;
    return 0;
}

static int make_node(struct uring *u, const struct source *s, uint32_t i, bool *skip,
                     struct uring_node **ret)
{
    return s->files ? file_node(u, s, i, skip, ret) : buffer_node(u, s, i, ret);
}

static long register_all(struct uring *u, struct uring_table *t, const struct source *s, uint32_t n)
{
    int err = 0;
    t->nodes = heap_calloc(n, sizeof(t->nodes[0]));
    if (!t->nodes)
        return -ENOMEM;
    t->n = n;
    t->alloc_end = n;
    for (uint32_t i = 0; i < n && s->data && !err; i++)
        err = make_node(u, s, i, NULL, &t->nodes[i]);
    if (err) {
        for (uint32_t i = 0; i < n; i++)
            if (t->nodes[i])
                t->nodes[i]->tag = 0;
        uring_table_free(t);
    }
    return err;
}

long uring_register_files(struct uring *u, uintptr_t data, uintptr_t tags, uint32_t n, bool sparse)
{
    const struct source s = { sparse ? 0 : data, tags, true };
    if (u->files.nodes)
        return -EBUSY;
    if (!n)
        return -EINVAL;
    if (n > URING_FILES_MAX || n > process_limit(process_current(), RLIMIT_NOFILE))
        return -EMFILE;
    if (!sparse && !data)
        return -EFAULT;
    return register_all(u, &u->files, &s, n);
}

long uring_register_buffers(struct uring *u, uintptr_t data, uintptr_t tags, uint32_t n,
                            bool sparse)
{
    const struct source s = { sparse ? 0 : data, tags, false };
    if (u->buffers.nodes)
        return -EBUSY;
    if (!n || n > URING_BUFFERS_MAX)
        return -EINVAL;
    if (!sparse && !data)
        return -EFAULT;
    return register_all(u, &u->buffers, &s, n);
}

long uring_unregister(struct uring_table *t)
{
    if (!t->nodes)
        return -ENXIO;
    uring_table_free(t);
    return 0;
}

long uring_update(struct uring *u, bool files, const struct abi_io_uring_rsrc_update2 *up)
{
    struct uring_table *t = files ? &u->files : &u->buffers;
    const struct source s = { up->data, up->tags, files };
    uint32_t done = 0;
    int err = 0;
    if (!t->nodes)
        return -ENXIO;
    if (up->offset > UINT32_MAX - up->nr)
        return -EOVERFLOW;
    if (up->offset + up->nr > t->n)
        return -EINVAL;
    for (; done < up->nr; done++) {
        struct uring_node *n, **slot = &t->nodes[up->offset + done];
        bool skip = false;
        err = make_node(u, &s, done, &skip, &n);
        if (err)
            break;
        if (skip)
            continue;
        if (*slot)
            uring_node_put(*slot);
        *slot = n;
        t->hint = up->offset + done + (n != NULL);
    }
    return done ? (long)done : err;
}

long uring_files_update(struct uring_req *r, unsigned flags)
{
    struct uring *u = r->ring;
    const struct abi_io_uring_rsrc_update2 up = { .offset = (uint32_t)r->sqe.off,
                                                  .data = r->sqe.addr,
                                                  .nr = r->sqe.len };
    if (up.offset == IORING_FILE_INDEX_ALLOC)
        return -EINVAL; /* allocation of slots for descriptors */
    lock_unless(u, flags);
    long n = uring_update(u, true, &up);
    unlock_unless(u, flags);
    return n;
}

/* ---- slots for new files ---- */

long uring_alloc_range(struct uring *u, uint32_t from, uint32_t n)
{
    uint32_t end;
    if (__builtin_add_overflow(from, n, &end))
        return -EOVERFLOW;
    if (end > u->files.n)
        return -EINVAL;
    u->files.alloc_from = u->files.hint = from;
    u->files.alloc_end = end;
    return 0;
}

static long choose_slot(struct uring_table *t)
{
    uint32_t n = t->alloc_end - t->alloc_from;
    for (uint32_t i = 0; i < n; i++) {
        uint32_t at = t->hint < t->alloc_from || t->hint >= t->alloc_end ? t->alloc_from : t->hint;
        t->hint = at + 1;
        if (!t->nodes[at])
            return (long)at;
    }
    return -ENFILE;
}

static long put_slot(struct uring *u, struct file *take_file, uint32_t file_index)
{
    struct uring_table *t = &u->files;
    long slot = (long)file_index - 1;
    bool alloc = file_index == IORING_FILE_INDEX_ALLOC;
    if (!t->nodes)
        slot = -ENXIO;
    else if (alloc)
        slot = choose_slot(t);
    else if ((uint32_t)slot >= t->n)
        slot = -EINVAL;
    struct uring_node *n = slot < 0 ? NULL : node_create(u, 0);
    if (!n) {
        file_put(take_file);
        return slot < 0 ? slot : -ENOMEM;
    }
    n->file = take_file;
    if (t->nodes[slot])
        uring_node_put(t->nodes[slot]);
    t->nodes[slot] = n;
    t->hint = (uint32_t)slot + 1;
    return alloc ? slot : 0;
}

long uring_install(struct uring_req *r, struct file *take_file, uint32_t file_index, bool cloexec,
                   unsigned flags)
{
    struct uring *u = r->ring;
    if (!file_index)
        return fd_install(take_file, cloexec);
    lock_unless(u, flags);
    long ret = put_slot(u, take_file, file_index);
    unlock_unless(u, flags);
    return ret;
}

long uring_send_file(struct uring *u, struct file *take_file, uint32_t file_index)
{
    mutex_lock(&u->submit);
    long ret = put_slot(u, take_file, file_index);
    mutex_unlock(&u->submit);
    return ret;
}

int uring_close_slot(struct uring *u, uint32_t slot, unsigned flags)
{
    struct uring_node *n = NULL;
    int err = 0;
    lock_unless(u, flags);
    if (!u->files.nodes)
        err = -ENXIO;
    else if (slot >= u->files.n)
        err = -EINVAL;
    else if (!(n = u->files.nodes[slot]))
        err = -EBADF;
    else
        u->files.nodes[u->files.hint = slot] = NULL;
    unlock_unless(u, flags);
    if (n)
        uring_node_put(n);
    return err;
}
