/* SPDX-License-Identifier: MIT */
/* /proc/PID/pagemap, clear_refs and numa_maps: what is known of single pages. proc_pid_pagemap(5), numa(7). */
#include "proc.h"
#include <abi/errno.h>
#include <abi/fcntl.h>
#include <abi/mempolicy.h>
#include <abi/prctl.h>
#include <libos/file.h>
#include <libos/heap.h>
#include <libos/mm.h>
#include <libos/page.h>
#include <libos/process.h>
#include <libos/sched.h>
#include <stdlib.h>

enum { ENTRIES = 256 /* of pagemap at once */, PATH_SIZE = 4096, CAP_ADMIN = 21 };

/* Bits of an entry of pagemap. */
#define PM_PRESENT   (1ull << 63)
#define PM_FILE      (1ull << 61)
#define PM_EXCLUSIVE (1ull << 56)
#define PM_FRAME     ((1ull << 55) - 1)

/* The entry of the page at va. mm->lock is held. */
static uint64_t entry(struct mm *mm, uintptr_t va, bool frames)
{
    struct plat_leaf leaf;
    plat_mmu_query(&mm->aspace, va, &leaf);
    if (!leaf.present)
        return 0;
    uint64_t pa = leaf.pa.v + (va & (leaf.size - 1)), e = PM_PRESENT;
    const struct page *p = page_of(PADDR(pa));
    if (p && p->kind != PAGE_ANON && !(leaf.prot & PLAT_SPECIAL))
        e |= PM_FILE;
    if (p && p->kind == PAGE_ANON && p->refs == 1 && !(leaf.prot & PLAT_SHARED))
        e |= PM_EXCLUSIVE;
    return frames ? e | ((pa >> PAGE_SHIFT) & PM_FRAME) : e;
}

static ssize_type pagemap_read(struct file *f, struct iter *it, uint64_t *pos)
{
    uint64_t buf[ENTRIES];
    bool frames = cred_capable(CAP_ADMIN);
    if (*pos % sizeof(buf[0]) || it->left % sizeof(buf[0]))
        return -EINVAL;
    struct mm *mm = proc_mm(gen_of_open(f));
    ssize_type done = 0;
    while (mm && it->left) {
        uint64_t first = *pos / sizeof(buf[0]), end = PLAT_USER_MAX >> PAGE_SHIFT;
        size_t n = min_u64(it->left / sizeof(buf[0]), ENTRIES);
        if (first >= end)
            break;
        n = min_u64(n, end - first);
        mm_read_lock(mm);
        for (size_t i = 0; i < n; i++)
            buf[i] = entry(mm, (first + i) << PAGE_SHIFT, frames);
        mm_read_unlock(mm);
        size_t put = iter_put(it, buf, n * sizeof(buf[0]));
        *pos += put;
        done += (ssize_type)put;
        if (put < n * sizeof(buf[0])) {
            done = done ? done : -EFAULT;
            break;
        }
        if (thread_preempt_point())
            break;
    }
    if (mm)
        mm_put(mm);
    return done;
}

static int64_t pagemap_seek(struct file *f, int64_t off, int whence)
{
    int64_t at = (whence == SEEK_CUR ? (int64_t)f->pos : 0) + off;
    if ((whence != SEEK_SET && whence != SEEK_CUR) || at < 0)
        return -EINVAL;
    f->pos = (uint64_t)at;
    return at;
}

const struct file_ops proc_pagemap_fops = { .read = pagemap_read,
                                            .seek = pagemap_seek,
                                            .release = gen_release };

enum { CLEAR_ALL = 1, CLEAR_ANON, CLEAR_FILE, CLEAR_SOFT_DIRTY, CLEAR_PEAK };

int proc_store_clear_refs(const struct gen_ctx *c, char *value, size_t len)
{
    char *end;
    long what = strtol(value, &end, 10);
    (void)len;
    if (end == value || (*end && *end != '\n') || what < CLEAR_ALL || what > CLEAR_PEAK)
        return -EINVAL;
    struct thread *t = proc_thread(c);
    struct mm *mm = t ? thread_mm_get(t) : NULL;
    if (t)
        thread_put(t);
    if (!t)
        return -ESRCH;
    if (!mm)
        return 0;
    mm_write_lock(mm);
    for (struct area *a = area_find(mm, 0); a && what <= CLEAR_FILE; a = area_next(a))
        if (what == CLEAR_ALL || (what == CLEAR_FILE) == (a->file != NULL))
            plat_mmu_clean(&mm->aspace, a->start, a->end, true, false);
    if (what == CLEAR_PEAK) {
        int64_t now = mm->rss_anon + mm->rss_file + mm->rss_shmem;
        mm->rss_peak = now > 0 ? (uint64_t)now : 0;
    }
    mm_write_unlock(mm);
    mm_put(mm);
    return 0;
}

static void show_policy(struct text *t, const struct mempolicy *p)
{
    static const char *const names[ABI_MPOL_MAX] = {
        "default", "prefer", "bind", "interleave", "local", "prefer (many)", "weighted interleave"
    };
    text_printf(t, "%s", names[(p->mode & ~MPOL_MODE_FLAGS) % ABI_MPOL_MAX]);
    if (p->mode & MPOL_F_STATIC_NODES)
        text_printf(t, "=static");
    else if (p->mode & MPOL_F_RELATIVE_NODES)
        text_printf(t, "=relative");
    if (p->nodes)
        text_printf(t, ":0");
}

static void show_numa(struct text *t, struct area *a, char *path)
{
    struct mempolicy p = a->policy.mode ? a->policy : thread_current()->mempolicy;
    uint64_t n = area_resident(a);
    text_printf(t, "%08lx ", (unsigned long)a->start);
    show_policy(t, &p);
    if (a->file && file_text(a->file, path, PATH_SIZE) > 0)
        text_printf(t, " file=%s", path);
    else if (a->flags & AREA_HEAP)
        text_printf(t, " heap");
    else if (a->flags & (AREA_STACK | AREA_GROWSDOWN))
        text_printf(t, " stack");
    if (n)
        text_printf(t,
                    a->file ? " mapped=%llu N0=%llu kernelpagesize_kB=4" : " anon=%llu dirty=%llu",
                    (unsigned long long)n, (unsigned long long)n);
    if (n && !a->file)
        text_printf(t, " N0=%llu kernelpagesize_kB=4", (unsigned long long)n);
    text_add(t, "\n", 1);
}

int proc_show_numa_maps(struct text *t, const struct gen_ctx *c)
{
    struct mm *mm = proc_mm(c);
    char *path = mm ? heap_alloc(PATH_SIZE) : NULL;
    int err = mm && !path ? -ENOMEM : 0;
    if (path) {
        mm_read_lock(mm);
        for (struct area *a = area_find(mm, 0); a && !t->failed; a = area_next(a))
            show_numa(t, a, path);
        mm_read_unlock(mm);
    }
    heap_free(path);
    if (mm)
        mm_put(mm);
    return err;
}
