/* SPDX-License-Identifier: MIT */
/* System V shared memory: shmget(2), shmop(2), shmctl(2). A segment is a file of shared memory; each shmat opens it once
 * more, and the areas of that attachment, also those that fork and mremap make of it, hold that file. So the last of them
 * takes the attachment with it, and the segment goes when it is to be removed and has none. */
#include "ipc_int.h"
#include <abi/errno.h>
#include <abi/mman.h>
#include <abi/prctl.h>
#include <abi/resource.h>
#include <libos/file.h>
#include <libos/heap.h>
#include <libos/mm.h>
#include <stdio.h>
#include <string.h>

struct shm {
    struct ipc_object o;
    struct file *file; /* holds a reference */
    uint64_t size;
    int64_t atime, dtime;
    int cpid, lpid;
    uint32_t attachments; /* files of shmat that are open */
    struct account *
        locker; /* whose RLIMIT_MEMLOCK it counts against (SHM_LOCK); a reference; guarded by o.lock */
};

static struct slab segments = SLAB_INIT("shm", struct shm);
static _Atomic uint64_t all_pages;

static struct shm *shm_of(struct ipc_object *o)
{
    return (struct shm *)o;
}

static uint64_t pages_of(uint64_t size)
{
    return size / PAGE_SIZE + (size % PAGE_SIZE != 0);
}

int shm_create(int32_t key, size_t size, unsigned flags, struct ipc_object **ret)
{
    char name[16];
    struct shm *s;
    if (size < 1 || size > ipc_limits.shmmax)
        return -EINVAL;
    if (flags & SHM_HUGETLB)
        return -ENOMEM; /* no huge pages are reserved */
    if (all_pages + pages_of(size) > ipc_limits.shmall)
        return -ENOSPC;
    if (!(s = slab_alloc(&segments)))
        return -ENOMEM;
    *s = (struct shm){ .size = size, .cpid = process_current()->pid };
    ipc_init(&s->o, key, flags);
    snprintf(name, sizeof(name), "SYSV%08x", (unsigned)key);
    int err = shmem_file_create(name, size, F_SEAL_SEAL, &s->file);
    if (err) {
        slab_free(&segments, s);
        return err;
    }
    atomic_fetch_add_explicit(&all_pages, pages_of(size), memory_order_relaxed);
    *ret = &s->o;
    return 0;
}

/* It does not count as locked any more. */
static void unlock(struct shm *s)
{
    if (s->locker)
        account_uncharge(s->locker, ACCOUNT_LOCKED_BYTES, pages_of(s->size) * PAGE_SIZE);
    account_put(s->locker);
    s->locker = NULL;
}

void shm_destroy(struct ipc_object *o)
{
    struct shm *s = shm_of(o);
    atomic_fetch_sub_explicit(&all_pages, pages_of(s->size), memory_order_relaxed);
    unlock(s);
    file_put(s->file);
    slab_free(&segments, s);
}

int shm_fits(struct ipc_object *o, size_t size)
{
    return shm_of(o)->size < size ? -EINVAL : 0;
}

bool shm_removed(struct ipc_object *o)
{
    o->mode |= SHM_DEST;
    return !shm_of(o)->attachments;
}

/* The files of attachments. */

static struct pagemap *attachment_pagemap(struct file *f)
{
    struct shm *s = f->data;
    return s->file->ops->pagemap(s->file);
}

static void attachment_unmap(struct file *f)
{
    struct shm *s = f->data;
    spin_lock(&s->o.lock);
    s->dtime = ipc_now();
    s->lpid = process_current()->pid;
    spin_unlock(&s->o.lock);
}

static void attachment_release(struct file *f)
{
    struct shm *s = f->data;
    spin_lock(&s->o.lock);
    if (--s->attachments == 0 && s->o.mode & SHM_DEST && !s->o.gone)
        ipc_unlink(IPC_SHM, &s->o);
    ipc_done(IPC_SHM, &s->o);
}

static const struct file_ops attachment_ops = { .pagemap = attachment_pagemap,
                                                .unmap = attachment_unmap,
                                                .release = attachment_release };

/* Count an attachment in and make its file. The segment's reference goes with it. */
static int attach_file(int id, unsigned flags, struct file **ret_file)
{
    struct ipc_object *o;
    unsigned want = flags & SHM_RDONLY ? 0444 : 0666;
    int err = ipc_lock_id(IPC_SHM, id, &o);
    if (err)
        return err;
    err = ipc_permit(o, flags & SHM_EXEC ? want | 0111 : want);
    struct shm *s = shm_of(o);
    if (!err)
        s->attachments++;
    spin_unlock(&o->lock);
    if (!err) {
        struct file *f;
        err = file_create(&attachment_ops, &s->file->path, flags & SHM_RDONLY ? O_RDONLY : O_RDWR,
                          s, &f);
        if (!err) {
            *ret_file = f;
            return 0;
        }
        spin_lock(&o->lock);
        if (--s->attachments == 0 && o->mode & SHM_DEST && !o->gone)
            ipc_unlink(IPC_SHM, o);
        spin_unlock(&o->lock);
    }
    ipc_put(IPC_SHM, o);
    return err;
}

int shm_attach(int id, uintptr_t addr, unsigned flags, uintptr_t *ret_addr)
{
    struct mm_map what = { .flags = AREA_SHARED, .prot = PLAT_READ };
    if (id < 0)
        return -EINVAL;
    if (addr % PAGE_SIZE) {
        if (!(flags & SHM_RND))
            return -EINVAL;
        addr -= addr % PAGE_SIZE;
    }
    if (!addr && flags & SHM_REMAP)
        return -EINVAL;
    int err = attach_file(id, flags, &what.file);
    if (err)
        return err;
    what.size = ((struct shm *)what.file->data)->size;
    what.addr = addr;
    what.fixed = addr != 0;
    what.noreplace = !(flags & SHM_REMAP);
    what.prot |= (flags & SHM_RDONLY ? 0 : PLAT_WRITE) | (flags & SHM_EXEC ? PLAT_EXEC : 0);
    err = mm_map(thread_current()->mm, &what, ret_addr);
    if (!err) {
        struct shm *s = what.file->data;
        spin_lock(&s->o.lock);
        s->atime = ipc_now();
        s->lpid = process_current()->pid;
        spin_unlock(&s->o.lock);
    }
    file_put(what.file);
    return err == -EEXIST ? -EINVAL : err;
}

/* The first area of the attachment that shmat put at addr: where it is and what it maps. -EINVAL. */
static int find_attachment(struct mm *mm, uintptr_t addr, struct file **ret_file)
{
    int err = -EINVAL;
    mm_read_lock(mm);
    for (struct area *a = area_find(mm, addr); a && err; a = area_next(a)) {
        if (a->file && a->file->ops == &attachment_ops && a->start >= addr &&
            (a->start - addr) / PAGE_SIZE == a->pgoff) {
            file_get(a->file);
            *ret_file = a->file;
            err = 0;
        }
    }
    mm_read_unlock(mm);
    return err;
}

/* The next area of f from *at on below end, of the attachment at addr: its bounds. */
static bool next_part(struct mm *mm, struct file *f, uintptr_t addr, uintptr_t end, uintptr_t *at,
                      uintptr_t *ret_end)
{
    bool found = false;
    mm_read_lock(mm);
    for (struct area *a = area_find(mm, *at); a && !found && a->start < end; a = area_next(a)) {
        if (a->file == f && a->start >= addr && (a->start - addr) / PAGE_SIZE == a->pgoff) {
            *at = a->start;
            *ret_end = a->end;
            found = true;
        }
    }
    mm_read_unlock(mm);
    return found;
}

int shm_detach(uintptr_t addr)
{
    struct mm *mm = thread_current()->mm;
    struct file *f;
    if (addr % PAGE_SIZE)
        return -EINVAL;
    int err = find_attachment(mm, addr, &f);
    if (err)
        return err;
    uintptr_t at = addr, end = addr + pages_of(((struct shm *)f->data)->size) * PAGE_SIZE, stop = 0;
    while (!err && next_part(mm, f, addr, end, &at, &stop)) {
        err = mm_unmap(mm, at, stop - at);
        at = stop;
    }
    file_put(f);
    return err;
}

int shm_set_locked(int id, bool on)
{
    struct ipc_object *o;
    int err = ipc_lock_id(IPC_SHM, id, &o);
    if (err)
        return err;
    err = ipc_permit_owner(o, CAP_IPC_LOCK);
    struct shm *s = shm_of(o);
    struct account *u = thread_current()->cred->account;
    bool may = cred_capable(CAP_IPC_LOCK);
    uint64_t limit = process_limit(process_current(), RLIMIT_MEMLOCK);
    if (!err && on && !may && !limit)
        err = -EPERM;
    if (!err && on && !s->locker) {
        if (account_charge(u, ACCOUNT_LOCKED_BYTES, pages_of(s->size) * PAGE_SIZE,
                           may ? UINT64_MAX : limit))
            s->locker = account_get(u);
        else
            err = -ENOMEM;
    }
    if (!err && !on)
        unlock(s);
    if (!err) /* nothing is swapped out: all pages are locked anyway */
        o->mode = on ? o->mode | SHM_LOCKED : o->mode & ~(unsigned)SHM_LOCKED;
    ipc_done(IPC_SHM, o);
    return err;
}

static struct pagemap *shm_pages(struct shm *s)
{
    return s->file->ops->pagemap(s->file);
}

int ipc_shm_stat(enum ipc_by by, int id, struct abi_shmid *ret)
{
    struct ipc_object *o;
    int result = ipc_lock_stat(IPC_SHM, by, id, &o);
    if (result < 0)
        return result;
    struct shm *s = shm_of(o);
    *ret = (struct abi_shmid){ .segsz = s->size,
                               .atime = s->atime,
                               .dtime = s->dtime,
                               .ctime = o->ctime,
                               .cpid = s->cpid,
                               .lpid = s->lpid,
                               .nattch = pagemap_mappings(shm_pages(s)) };
    ipc_fill_perm(o, &ret->perm);
    ipc_done(IPC_SHM, o);
    return result;
}

int ipc_shm_info(struct abi_shminfo *ret)
{
    *ret = (struct abi_shminfo){ .shmmax = ipc_limits.shmmax,
                                 .shmmin = 1,
                                 .shmmni = ipc_limits.shmmni,
                                 .shmseg = ipc_limits.shmmni,
                                 .shmall = ipc_limits.shmall };
    int highest = ipc_each(IPC_SHM, NULL, NULL);
    return highest < 0 ? 0 : highest;
}

static void add_usage(struct ipc_object *o, void *arg)
{
    struct abi_shm_info *info = arg;
    info->used_ids++;
    info->tot += pages_of(shm_of(o)->size);
    info->rss += *(volatile uint64_t *)&shm_pages(shm_of(o))->pages;
}

struct pages_of_one {
    int id;
    uint64_t pages;
};

static void find_pages(struct ipc_object *o, void *arg)
{
    struct pages_of_one *p = arg;
    if (o->id == p->id)
        p->pages = *(volatile uint64_t *)&shm_pages(shm_of(o))->pages;
}

uint64_t ipc_shm_pages(int id)
{
    struct pages_of_one p = { id, 0 };
    (void)ipc_each(IPC_SHM, find_pages, &p);
    return p.pages;
}

int ipc_shm_usage(struct abi_shm_info *ret)
{
    memset(ret, 0, sizeof(*ret));
    int highest = ipc_each(IPC_SHM, add_usage, ret);
    return highest < 0 ? 0 : highest;
}
