/* SPDX-License-Identifier: MIT */
/* Contexts of asynchronous I/O, and the life of a request: started by aio_start, completed from any context (complete), its event
 * taken by aio_take. A context's lock is that of its wait queue; it guards the list of what is done and the counts. A request
 * that is under way keeps the context: who ends that waits for it. The program sees no ring: what lies at the context's address
 * is a page without the magic number, and so every library makes the system call. */
#include <libos/aio.h>

#include <abi/errno.h>
#include <libos/event.h>
#include <libos/heap.h>
#include <libos/mm.h>
#include <libos/sched.h>
#include <libos/waitq.h>
#include <plat/cpu.h>
#include <plat/mmu.h>
#include <utlist.h>

enum {
    AIO_MAX = 65536, /* requests of all contexts: fs.aio-max-nr */
    QUEUED = -100000 /* no errno: complete is called later */
};

struct request {
    struct request *next, *prev;
    struct aio_context *context;
    struct file *file, *eventfd;
    _Atomic bool told; /* complete is through with it */
    struct abi_io_event event;
};

struct aio_context {
    struct aio_context *next; /* of the address space; guarded by table_lock */
    uintptr_t id;
    unsigned max;
    _Atomic uint32_t refs;
    struct waitq wait;
    struct request *done; /* guarded by wait.lock, with what follows */
    uint32_t ndone, running;
    _Atomic bool dead;
};

static struct slab requests = SLAB_INIT("aio-request", struct request);
static struct spin table_lock = SPIN_INIT(RANK_FILE); /* every address space's list */
static _Atomic uint32_t reserved;

int aio_setup(struct mm *mm, unsigned nr, uintptr_t *ret_id)
{
    struct mm_map what = { .size = PAGE_SIZE, .prot = PLAT_READ | PLAT_WRITE, .name = "/[aio]" };
    if (nr > AIO_MAX || atomic_fetch_add(&reserved, nr) + nr > AIO_MAX) {
        if (nr <= AIO_MAX)
            atomic_fetch_sub(&reserved, nr);
        return -EAGAIN;
    }
    struct aio_context *c = heap_zalloc(sizeof(*c));
    int err = c ? mm_map(mm, &what, &c->id) : -ENOMEM;
    if (err) {
        atomic_fetch_sub(&reserved, nr);
        heap_free(c);
        return err;
    }
    c->max = nr;
    waitq_init(&c->wait);
    atomic_init(&c->refs, 1);
    *ret_id = c->id;
    spin_lock(&table_lock);
    c->next = mm->aio;
    mm->aio = c;
    spin_unlock(&table_lock);
    return 0;
}

struct aio_context *aio_find(struct mm *mm, uintptr_t id)
{
    struct aio_context *c;
    spin_lock(&table_lock);
    for (c = mm->aio; c && c->id != id; c = c->next)
        ;
    if (c)
        atomic_fetch_add(&c->refs, 1);
    spin_unlock(&table_lock);
    return c;
}

static void request_free(struct request *r)
{
    file_put(r->file);
    if (r->eventfd)
        file_put(r->eventfd);
    slab_free(&requests, r);
}

void aio_put(struct aio_context *c)
{
    struct abi_io_event drop[8];
    if (atomic_fetch_sub(&c->refs, 1) != 1)
        return;
    while (aio_take(c, drop, 8))
        ;
    atomic_fetch_sub(&reserved, c->max);
    heap_free(c);
}

/* c is in no list any more: wait for what is under way, and for nobody to look at it. */
static void end(struct aio_context *c)
{
    spin_lock(&c->wait.lock); /* a request has been counted by now, or is not begun (begin) */
    atomic_store(&c->dead, true);
    spin_unlock(&c->wait.lock);
    waitq_wake(&c->wait, WAITQ_ALL, 0);
    (void)WAIT_EVENT(&c->wait, SLEEP_UNINTERRUPTIBLE, NO_DEADLINE,
                     *(volatile uint32_t *)&c->running == 0);
    aio_put(c);
}

int aio_destroy(struct mm *mm, uintptr_t id)
{
    struct aio_context **p, *c;
    spin_lock(&table_lock);
    for (p = &mm->aio; (c = *p) && c->id != id; p = &c->next)
        ;
    if (c)
        *p = c->next;
    spin_unlock(&table_lock);
    if (!c)
        return -EINVAL;
    end(c);
    int err = mm_unmap(mm, id, PAGE_SIZE);
    return err == -ENOMEM ? err : 0; /* the program may have unmapped it itself */
}

void aio_exit(struct mm *mm)
{
    struct aio_context *c;
    while ((c = mm->aio)) {
        mm->aio = c->next;
        end(c);
    }
}

/* May run in an interrupt. */
static void complete(void *arg, ssize_type result)
{
    struct request *r = arg;
    struct aio_context *c = r->context;
    r->event.res = result;
    spin_lock(&c->wait.lock);
    DL_APPEND(c->done, r);
    c->ndone++;
    c->running--;
    for (struct waiter *w = c->wait.head; w; w = w->next)
        thread_wake(w->thread);
    /* Who waits for running takes the lock before c goes. */
    spin_unlock(&c->wait.lock);
    /* After the event can be had: who is told takes it at once, and perhaps only once. */
    if (r->eventfd)
        eventfd_signal(r->eventfd, 1);
    atomic_store(&r->told, true);
}

/* Count one more that runs. */
static bool begin(struct aio_context *c)
{
    spin_lock(&c->wait.lock);
    bool room = c->running + c->ndone < c->max && !c->dead;
    c->running += room;
    spin_unlock(&c->wait.lock);
    return room;
}

static ssize_type run(struct request *r, const struct aio_job *job)
{
    struct file *f = r->file;
    uint64_t pos = job->pos;
    if (!job->it)
        return file_sync(f, 0, UINT64_MAX, job->data_only);
    if (f->flags & O_DIRECT && f->ops->direct && !job->it->nowait) {
        ssize_type n = f->ops->direct(f, job->it, pos, job->write, complete, r);
        if (n != -EAGAIN)
            return n > 0 ? QUEUED : n;
    }
    ssize_type n = job->write ? file_write(f, job->it, &pos) : file_read(f, job->it, &pos);
    /* Nobody could restart it. */
    return n == -ERESTARTSYS ? -EINTR : n;
}

int aio_start(struct aio_context *c, const struct aio_job *job)
{
    if (!begin(c))
        return c->dead ? -EINVAL : -EAGAIN;
    struct request *r = slab_alloc(&requests);
    if (!r) {
        spin_lock(&c->wait.lock);
        c->running--;
        spin_unlock(&c->wait.lock);
        return -EAGAIN;
    }
    *r = (struct request){ .context = c,
                           .file = job->file,
                           .eventfd = job->eventfd,
                           .event = { .data = job->data, .obj = job->obj } };
    file_get(r->file);
    if (r->eventfd)
        file_get(r->eventfd);
    ssize_type n = run(r, job);
    if (n != QUEUED)
        complete(r, n);
    return 0;
}

long aio_take(struct aio_context *c, struct abi_io_event *out, long n)
{
    long got = 0;
    while (got < n) {
        spin_lock(&c->wait.lock);
        struct request *r = c->done;
        if (r) {
            DL_DELETE(c->done, r);
            c->ndone--;
        }
        spin_unlock(&c->wait.lock);
        if (!r)
            break;
        while (
            !atomic_load(&r->told)) /* another CPU is about to, and nothing comes between there */
            plat_relax();
        out[got++] = r->event;
        request_free(r);
    }
    return got;
}

int aio_wait(struct aio_context *c, long n, uint64_t deadline_ns)
{
    int err = WAIT_EVENT(&c->wait, SLEEP_INTERRUPTIBLE, deadline_ns,
                         c->dead || *(volatile uint32_t *)&c->ndone >= n);
    return c->dead ? -EINVAL : err;
}

bool aio_ready(const struct aio_context *c)
{
    return *(volatile const uint32_t *)&c->ndone != 0;
}
