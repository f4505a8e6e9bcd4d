/* SPDX-License-Identifier: MIT */
/* Descriptor tables. A table that only one thread uses is read without lock or count: nobody else can close. A shared one
 * is read without lock too: the file is held (libos/hold.h), then looked up again, and who takes one out settles. What was
 * the array of a table stays until the table goes, since somebody may be reading it. Bit maps say which descriptors are open and close-on-exec; a file is published after its
 * bit is set and unpublished before it is cleared. */
#include "vfs_int.h"

#include <abi/errno.h>
#include <abi/fcntl.h>
#include <abi/resource.h>
#include <libos/flock.h>
#include <libos/heap.h>
#include <libos/inotify.h>
#include <string.h>

enum { TABLE_FIRST = 64, WORD = 64 };

static struct slab table_slab = SLAB_INIT("fd_table", struct fd_table);

static uint64_t fd_limit(void)
{
    return min_u64(process_limit(process_current(), RLIMIT_NOFILE), FD_LIMIT_MAX);
}

/* What fd_table.files points into. */
struct fd_array {
    struct fd_array *before; /* was the table's, and may still be read */
    struct file *files[];
};

static struct fd_array *array_of(struct file **files)
{
    return (struct fd_array *)((char *)files - offsetof(struct fd_array, files));
}

static bool table_init(struct fd_table *t, uint32_t size)
{
    memset(t, 0, sizeof(*t));
    atomic_init(&t->refs, 1);
    spin_init(&t->lock, RANK_FD_TABLE);
    struct fd_array *a = heap_zalloc(sizeof(*a) + size * sizeof(a->files[0]));
    t->files = a ? a->files : NULL;
    t->open = heap_calloc(size / WORD, sizeof(*t->open));
    t->cloexec = heap_calloc(size / WORD, sizeof(*t->cloexec));
    t->size = size;
    return t->files && t->open && t->cloexec;
}

/* The files of t and those before it. */
static void arrays_free(const struct fd_table *t)
{
    struct fd_array *next, *a = t->files ? array_of(t->files) : NULL;
    for (; a; a = next) {
        next = a->before;
        heap_free(a);
    }
    heap_free(t->open);
    heap_free(t->cloexec);
}

static void table_free(struct fd_table *t)
{
    arrays_free(t);
    slab_free(&table_slab, t);
}

struct fd_table *fd_table_create(void)
{
    struct fd_table *t = slab_alloc(&table_slab);
    if (t && !table_init(t, TABLE_FIRST)) {
        table_free(t);
        t = NULL;
    }
    return t;
}

/* The smallest size that holds every open descriptor. */
static uint32_t table_used(const struct fd_table *t)
{
    uint32_t size = t->size;
    while (size > TABLE_FIRST && !t->open[size / WORD - 1])
        size -= WORD;
    return size;
}

/* The first open descriptor from fd on, of those to be closed on exec if only_cloexec; t->size: there is none. */
static uint32_t next_open(const struct fd_table *t, uint32_t fd, bool only_cloexec)
{
    while (fd < t->size) {
        uint64_t bits = t->open[fd / WORD] & (only_cloexec ? t->cloexec[fd / WORD] : ~0ull);
        bits >>= fd % WORD;
        if (bits)
            return fd + (uint32_t)__builtin_ctzll(bits);
        fd = (fd | (WORD - 1)) + 1;
    }
    return t->size;
}

int fd_table_copy(struct fd_table *src, struct fd_table **ret_table)
{
    struct fd_table *t = slab_alloc(&table_slab);
    if (!t)
        return -ENOMEM;
    uint32_t size = 0;
    for (;;) {
        spin_lock(&src->lock);
        uint32_t used = table_used(src);
        if (used <= size)
            break;
        spin_unlock(&src->lock);
        if (size)
            arrays_free(t);
        size = used;
        if (!table_init(t, size)) {
            table_free(t);
            return -ENOMEM;
        }
    }
    size = table_used(src);
    memcpy(t->open, src->open, size / 8);
    memcpy(t->cloexec, src->cloexec, size / 8);
    for (uint32_t fd = 0; fd < size && (fd = next_open(src, fd, false)) < size; fd++) {
        struct file *f = src->files[fd];
        if (f)
            file_get(f);
        else
            t->open[fd / WORD] &= ~(1ull << fd % WORD); /* reserved, not there yet */
        t->files[fd] = f;
    }
    spin_unlock(&src->lock);
    *ret_table = t;
    return 0;
}

static bool table_shared(const struct fd_table *t)
{
    return atomic_load_explicit(&t->refs, memory_order_relaxed) > 1;
}

/* What close(2) does with a file that has left its descriptor. */
static int close_file(struct fd_table *t, struct file *take_file)
{
    if (UNLIKELY(table_shared(t)))
        hold_settle(&take_file->refs);
    int err = take_file->ops->flush ? take_file->ops->flush(take_file) : 0;
    if (UNLIKELY(take_file->inode->locks))
        flock_close(take_file, t);
    if (UNLIKELY(dnotify_count))
        dnotify_close(take_file, t);
    file_put(take_file);
    return err;
}

void fd_table_put(struct fd_table *t)
{
    /* Acquire-release: who frees sees what all others did. */
    if (!t || atomic_fetch_sub_explicit(&t->refs, 1, memory_order_acq_rel) != 1)
        return;
    for (uint32_t fd = 0; (fd = next_open(t, fd, false)) < t->size; fd++)
        if (t->files[fd])
            (void)close_file(t, t->files[fd]); /* nobody is left to hear of it */
    table_free(t);
}

static struct fd_table *current_table(void)
{
    return thread_current()->fds;
}

static ALWAYS_INLINE struct file *table_get(struct fd_table *t, int fd)
{
    spin_lock(&t->lock);
    struct file *f = (unsigned)fd < t->size ? t->files[fd] : NULL;
    if (f)
        file_get(f);
    spin_unlock(&t->lock);
    return f;
}

/* The file of a descriptor at some moment while others change the table; to be compared, not followed. */
static ALWAYS_INLINE struct file *table_peek(const struct fd_table *t, int fd)
{
    /* Acquire: the array is at least that large, and what is in it was written (table_grow, publish). */
    if (UNLIKELY((unsigned)fd >= __atomic_load_n(&t->size, __ATOMIC_ACQUIRE)))
        return NULL;
    struct file **files = __atomic_load_n(&t->files, __ATOMIC_ACQUIRE);
    return __atomic_load_n(&files[fd], __ATOMIC_ACQUIRE);
}

/* End the share of f that hold_begin gave. */
static NOINLINE void let_go(struct file *f)
{
    if (hold_end(&f->refs))
        file_put(f);
}

static NOINLINE int borrow_counted(struct fd_table *t, int fd, struct fd_ref *ret_ref, bool any)
{
    struct file *f = table_get(t, fd);
    if (f && !any && f->flags & O_PATH) {
        file_put(f);
        f = NULL;
    }
    if (!f)
        return -EBADF;
    ret_ref->file = f;
    ret_ref->how = FD_COUNTED;
    return 0;
}

/* Held, but the descriptor has another file now, or none; or it is an O_PATH one. */
static NOINLINE int borrow_instead(struct fd_table *t, int fd, struct fd_ref *ret_ref,
                                   struct file *f)
{
    let_go(f);
    return borrow_counted(t, fd, ret_ref, false);
}

static ALWAYS_INLINE int borrow_shared(struct fd_table *t, int fd, struct fd_ref *ret_ref, bool any)
{
    struct file *f = table_peek(t, fd);
    if (UNLIKELY(!f))
        return -EBADF;
    if (UNLIKELY(!hold_begin(&f->refs))) /* the second file of a call */
        return borrow_counted(t, fd, ret_ref, any);
    struct file **files = __atomic_load_n(&t->files, __ATOMIC_RELAXED);
    bool still = __atomic_load_n(&files[fd], __ATOMIC_RELAXED) == f;
    if (any && UNLIKELY(!still)) {
        let_go(f);
        return borrow_counted(t, fd, ret_ref, true);
    }
    if (!any && (UNLIKELY(!still) || UNLIKELY(f->flags & O_PATH)))
        return borrow_instead(t, fd, ret_ref, f);
    ret_ref->file = f;
    ret_ref->how = FD_HELD;
    return 0;
}

void fd_return_shared(struct fd_ref *r)
{
    if (r->how == FD_COUNTED || hold_end(&r->file->refs))
        file_put(r->file);
}

int fd_borrow_shared(struct fd_table *t, int fd, struct fd_ref *ret_ref)
{
    return borrow_shared(t, fd, ret_ref, false);
}

int fd_borrow_any(int fd, struct fd_ref *ret_ref)
{
    struct fd_table *t = current_table();
    if (table_shared(t))
        return borrow_shared(t, fd, ret_ref, true);
    struct file *f = (unsigned)fd < t->size ? t->files[fd] : NULL;
    if (UNLIKELY(!f))
        return -EBADF;
    ret_ref->file = f;
    ret_ref->how = FD_OWN;
    return 0;
}

/* Count what ref has, which becomes a reference of its own. */
static struct file *keep(struct fd_ref *ref)
{
    if (ref->how != FD_COUNTED)
        file_get(ref->file);
    if (ref->how == FD_HELD)
        fd_return(ref);
    return ref->file;
}

int fd_get_any(int fd, struct file **ret_file)
{
    struct fd_ref ref;
    int err = fd_borrow_any(fd, &ref);
    if (!err)
        *ret_file = keep(&ref);
    return err;
}

int fd_get(int fd, struct file **ret_file)
{
    struct fd_ref ref;
    int err = fd_borrow(fd, &ref);
    if (!err)
        *ret_file = keep(&ref);
    return err;
}

struct file *fd_table_file(struct fd_table *t, int fd)
{
    return table_get(t, fd);
}

int fd_table_next(struct fd_table *t, int fd)
{
    spin_lock(&t->lock);
    while ((unsigned)fd < t->size && !t->files[fd])
        fd++;
    int found = (unsigned)fd < t->size ? fd : -1;
    spin_unlock(&t->lock);
    return found;
}

/* Make room for descriptor fd. The lock is dropped while memory is got. -ENOMEM. */
static int table_grow(struct fd_table *t, uint32_t fd)
{
    uint32_t size = t->size;
    while (size <= fd)
        size *= 2;
    spin_unlock(&t->lock);
    struct fd_table bigger;
    bool ok = table_init(&bigger, size);
    spin_lock(&t->lock);
    if (ok && t->size < size) {
        memcpy(bigger.files, t->files, t->size * sizeof(*t->files));
        memcpy(bigger.open, t->open, t->size / 8);
        memcpy(bigger.cloexec, t->cloexec, t->size / 8);
        struct fd_table old = *t;
        array_of(bigger.files)->before = array_of(old.files);
        t->open = bigger.open;
        t->cloexec = bigger.cloexec;
        /* Release: a reader finds the copies in the array, and the array when it sees the size. */
        __atomic_store_n(&t->files, bigger.files, __ATOMIC_RELEASE);
        __atomic_store_n(&t->size, size, __ATOMIC_RELEASE);
        bigger.files = NULL;
        bigger.open = old.open;
        bigger.cloexec = old.cloexec;
    }
    arrays_free(&bigger);
    return ok ? 0 : -ENOMEM;
}

static uint32_t find_free(const struct fd_table *t, uint32_t from)
{
    for (uint32_t w = from / WORD; w < t->size / WORD; w++) {
        uint64_t free = ~t->open[w];
        if (w == from / WORD)
            free &= ~0ull << from % WORD;
        if (free)
            return w * WORD + (uint32_t)__builtin_ctzll(free);
    }
    return t->size;
}

static void mark(struct fd_table *t, uint32_t fd, bool cloexec)
{
    uint64_t bit = 1ull << fd % WORD;
    t->open[fd / WORD] |= bit;
    if (cloexec)
        t->cloexec[fd / WORD] |= bit;
    else
        t->cloexec[fd / WORD] &= ~bit;
}

static void publish(struct fd_table *t, uint32_t fd, struct file *f)
{
    /* Release: who finds the file finds what is in it. */
    __atomic_store_n(&t->files[fd], f, __ATOMIC_RELEASE);
}

/* Reserve the lowest free descriptor from min on; t is locked. The descriptor, -EMFILE, -ENOMEM. */
static int reserve(struct fd_table *t, uint32_t min, bool cloexec)
{
    uint64_t limit = fd_limit();
    for (;;) {
        uint32_t from = min > t->next_free ? min : t->next_free;
        uint32_t fd = find_free(t, from);
        if (fd >= limit)
            return -EMFILE;
        if (fd < t->size) {
            mark(t, fd, cloexec);
            if (from == t->next_free)
                t->next_free = fd + 1;
            return (int)fd;
        }
        int err = table_grow(t, fd);
        if (err)
            return err;
    }
}

int fd_install_from(struct file *take_file, int min, bool cloexec)
{
    struct fd_table *t = current_table();
    int fd = -EINVAL;
    if (min >= 0 && (uint64_t)min < fd_limit()) {
        spin_lock(&t->lock);
        fd = reserve(t, (uint32_t)min, cloexec);
        if (fd >= 0)
            publish(t, (uint32_t)fd, take_file);
        spin_unlock(&t->lock);
    } else if (min == 0) {
        fd = -EMFILE;
    }
    if (fd < 0)
        file_put(take_file);
    return fd;
}

int fd_install(struct file *take_file, bool cloexec)
{
    return fd_install_from(take_file, 0, cloexec);
}

/* Free a descriptor; t is locked. */
static struct file *take_out(struct fd_table *t, uint32_t fd)
{
    struct file *f = t->files[fd];
    uint64_t bit = 1ull << fd % WORD;
    t->files[fd] = NULL;
    t->open[fd / WORD] &= ~bit;
    t->cloexec[fd / WORD] &= ~bit;
    if (fd < t->next_free)
        t->next_free = fd;
    return f;
}

int fd_install_pair(struct file *take_a, struct file *take_b, bool cloexec, int ret_fds[2])
{
    struct fd_table *t = current_table();
    spin_lock(&t->lock);
    int a = reserve(t, 0, cloexec);
    int b = a < 0 ? a : reserve(t, 0, cloexec);
    if (b >= 0) {
        publish(t, (uint32_t)a, take_a);
        publish(t, (uint32_t)b, take_b);
    } else if (a >= 0) {
        (void)take_out(t, (uint32_t)a); /* reserved only: no file */
    }
    spin_unlock(&t->lock);
    if (b < 0) {
        file_put(take_a);
        file_put(take_b);
        return b;
    }
    ret_fds[0] = a;
    ret_fds[1] = b;
    return 0;
}

int fd_replace(int fd, struct file *take_file, bool cloexec)
{
    struct fd_table *t = current_table();
    int err = -EBADF;
    struct file *old = NULL;
    if (fd >= 0 && (uint64_t)fd < fd_limit()) {
        spin_lock(&t->lock);
        err = (uint32_t)fd < t->size ? 0 : table_grow(t, (uint32_t)fd);
        if (!err && !t->files[fd] && t->open[fd / WORD] >> fd % WORD & 1)
            err = -EBUSY; /* another thread is about to fill it */
        if (!err) {
            old = t->files[fd];
            mark(t, (uint32_t)fd, cloexec);
            publish(t, (uint32_t)fd, take_file);
        }
        spin_unlock(&t->lock);
    }
    if (err)
        file_put(take_file);
    else if (old)
        (void)close_file(t, old); /* as dup2(2): errors of the implied close are lost */
    return err ? err : fd;
}

int fd_close(int fd)
{
    struct fd_table *t = current_table();
    struct file *f = NULL;
    spin_lock(&t->lock);
    if ((unsigned)fd < t->size && t->files[fd])
        f = take_out(t, (uint32_t)fd);
    spin_unlock(&t->lock);
    return f ? close_file(t, f) : -EBADF;
}

/* Close every open descriptor in [first, last] that is set in mask (NULL: all). */
static void close_some(struct fd_table *t, uint32_t first, uint32_t last, bool only_cloexec)
{
    spin_lock(&t->lock);
    for (uint32_t fd = first; (fd = next_open(t, fd, only_cloexec)) < t->size && fd <= last; fd++) {
        if (!t->files[fd])
            continue;
        struct file *f = take_out(t, fd);
        spin_unlock(&t->lock);
        (void)close_file(t, f); /* as close_range(2) and execve(2) */
        spin_lock(&t->lock);
    }
    spin_unlock(&t->lock);
}

void fd_table_exec(struct fd_table *t)
{
    close_some(t, 0, UINT32_MAX, true);
}

void fd_table_swap(struct fd_table *take_table)
{
    struct thread *t = thread_current();
    struct fd_table *old = t->fds;
    spin_lock(&t->process->sig_lock); /* others look for it under this lock (thread_fds_get) */
    t->fds = take_table;
    spin_unlock(&t->process->sig_lock);
    fd_table_put(old);
}

/* CLOSE_RANGE_UNSHARE: a table of one's own first. */
static int unshare_table(void)
{
    struct thread *thread = thread_current();
    struct fd_table *own;
    if (!table_shared(thread->fds))
        return 0;
    int err = fd_table_copy(thread->fds, &own);
    if (err)
        return err;
    fd_table_swap(own);
    return 0;
}

int fd_close_range(unsigned first, unsigned last, unsigned flags)
{
    if (flags & ~(unsigned)(CLOSE_RANGE_UNSHARE | CLOSE_RANGE_CLOEXEC) || first > last)
        return -EINVAL;
    int err = flags & CLOSE_RANGE_UNSHARE ? unshare_table() : 0;
    if (err)
        return err;
    struct fd_table *t = current_table();
    if (!(flags & CLOSE_RANGE_CLOEXEC)) {
        close_some(t, first, last, false);
        return 0;
    }
    spin_lock(&t->lock);
    for (uint32_t fd = first; fd < t->size && fd <= last; fd++)
        t->cloexec[fd / WORD] |= t->open[fd / WORD] & 1ull << fd % WORD;
    spin_unlock(&t->lock);
    return 0;
}

int fd_get_cloexec(int fd)
{
    struct fd_table *t = current_table();
    int on = -EBADF;
    spin_lock(&t->lock);
    if ((unsigned)fd < t->size && t->files[fd])
        on = t->cloexec[fd / WORD] >> fd % WORD & 1;
    spin_unlock(&t->lock);
    return on;
}

int fd_set_cloexec(int fd, bool on)
{
    struct fd_table *t = current_table();
    int err = -EBADF;
    spin_lock(&t->lock);
    if ((unsigned)fd < t->size && t->files[fd]) {
        mark(t, (uint32_t)fd, on);
        err = 0;
    }
    spin_unlock(&t->lock);
    return err;
}
