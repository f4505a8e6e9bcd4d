/* SPDX-License-Identifier: MIT */
/* /proc/PID/maps, smaps, smaps_rollup, and mem. The map is walked under mm->lock; a path is written there too, which only
 * takes spin locks. */
#include "proc.h"
#include <abi/errno.h>
#include <abi/fcntl.h>
#include <abi/stat.h>
#include <libos/file.h>
#include <libos/heap.h>
#include <libos/mm.h>
#include <libos/process.h>
#include <libos/sched.h>
#include <string.h>

enum { NAME_COLUMN = 73, PATH_SIZE = 4096, MEM_PIECE = 4096 };

/* Memory of one or more areas, in bytes. */
struct presence {
    uint64_t size, rss, anonymous, locked, large;
};

static void show_header(struct text *t, struct area *a, char *path)
{
    size_t start = t->len;
    const struct inode *inode = a->file ? a->file->inode : NULL;
    uint64_t dev = inode && inode->sb ? inode->sb->dev : 0;
    text_printf(
        t, "%08lx-%08lx %c%c%c%c %08llx %02x:%02x %llu ", (unsigned long)a->start,
        (unsigned long)a->end, a->prot & PLAT_READ ? 'r' : '-', a->prot & PLAT_WRITE ? 'w' : '-',
        a->prot & PLAT_EXEC ? 'x' : '-', a->flags & AREA_SHARED ? 's' : 'p',
        a->file ? (unsigned long long)a->pgoff << PAGE_SHIFT : 0ull, (unsigned)abi_major(dev),
        (unsigned)abi_minor(dev), (unsigned long long)(inode ? inode->ino : 0));
    const char *name = a->name;
    if (a->file && file_text(a->file, path, PATH_SIZE) > 0)
        name = path;
    if (name) {
        text_pad(t, start, NAME_COLUMN);
        text_add(t, name, strlen(name));
    }
    text_add(t, "\n", 1);
}

static void measure(struct area *a, struct presence *u)
{
    uint64_t rss = area_resident(a) * PAGE_SIZE;
    u->size += a->end - a->start;
    u->rss += rss;
    if (!a->file || (!(a->flags & AREA_SHARED) && a->prot & PLAT_WRITE))
        u->anonymous += rss;
    if (a->flags & AREA_LOCKED)
        u->locked += rss;
}

static void show_kb(struct text *t, const char *name, uint64_t bytes)
{
    text_printf(t, "%-15s %8llu kB\n", name, (unsigned long long)(bytes >> 10));
}

/* Nothing is shared between processes and pages are not told apart by dirty marks: what is written to is private and dirty,
 * the rest private and clean. */
static void show_usage(struct text *t, const struct presence *u, bool rollup)
{
    uint64_t file = u->rss - u->anonymous;
    show_kb(t, "Rss:", u->rss);
    show_kb(t, "Pss:", u->rss);
    show_kb(t, "Pss_Dirty:", u->anonymous);
    if (rollup) {
        show_kb(t, "Pss_Anon:", u->anonymous);
        show_kb(t, "Pss_File:", file);
        show_kb(t, "Pss_Shmem:", 0);
    }
    show_kb(t, "Shared_Clean:", 0);
    show_kb(t, "Shared_Dirty:", 0);
    show_kb(t, "Private_Clean:", file);
    show_kb(t, "Private_Dirty:", u->anonymous);
    show_kb(t, "Referenced:", u->rss);
    show_kb(t, "Anonymous:", u->anonymous);
    static const char *const none[] = {
        "KSM:",           "LazyFree:",       "AnonHugePages:",   "ShmemPmdMapped:",
        "FilePmdMapped:", "Shared_Hugetlb:", "Private_Hugetlb:", "Swap:",
        "SwapPss:"
    };
    for (size_t i = 0; i < ARRAY_SIZE(none); i++)
        show_kb(t, none[i], 0);
    show_kb(t, "Locked:", u->locked);
}

static void show_flags(struct text *t, const struct area *a)
{
    static const struct {
        uint32_t flag;
        char name[4];
    } names[] = { { AREA_GROWSDOWN, "gd " },  { AREA_LOCKED, "lo " },   { AREA_SEQ, "sr " },
                  { AREA_RANDOM, "rr " },     { AREA_DONTFORK, "dc " }, { AREA_NORESERVE, "nr " },
                  { AREA_DONTDUMP, "dd " },   { AREA_HUGE, "hg " },     { AREA_NOHUGE, "nh " },
                  { AREA_WIPEONFORK, "wf " }, { AREA_MERGEABLE, "mg " } };
    text_printf(t, "VmFlags: %s%s%s%s", a->prot & PLAT_READ ? "rd " : "",
                a->prot & PLAT_WRITE ? "wr " : "", a->prot & PLAT_EXEC ? "ex " : "",
                a->flags & AREA_SHARED ? "sh " : "");
    text_printf(t, "%s%s%s%s", a->flags & AREA_MAY_READ ? "mr " : "",
                a->flags & AREA_MAY_WRITE ? "mw " : "", a->flags & AREA_MAY_EXEC ? "me " : "",
                a->flags & AREA_SHARED ? "ms " : "");
    for (size_t i = 0; i < ARRAY_SIZE(names); i++)
        if (a->flags & names[i].flag)
            text_printf(t, "%s", names[i].name);
    text_add(t, "\n", 1);
}

static void show_area(struct text *t, struct area *a)
{
    struct presence u = { 0 };
    measure(a, &u);
    show_kb(t, "Size:", u.size);
    show_kb(t, "KernelPageSize:", PAGE_SIZE);
    show_kb(t, "MMUPageSize:", PAGE_SIZE);
    show_usage(t, &u, false);
    text_printf(t, "THPeligible:    %8d\n",
                !a->file && !(a->flags & AREA_NOHUGE) && a->end - a->start >= LARGE_SIZE);
    show_flags(t, a);
}

static void walk(struct text *t, struct mm *mm, char *path, bool details)
{
    rwmutex_read_lock(&mm->lock);
    for (struct area *a = area_find(mm, 0); a && !t->failed; a = area_next(a)) {
        show_header(t, a, path);
        if (details)
            show_area(t, a);
    }
    rwmutex_read_unlock(&mm->lock);
}

static int show_areas(struct text *t, const struct gen_ctx *c, bool details)
{
    struct mm *mm = proc_mm(c);
    char *path = mm ? heap_alloc(PATH_SIZE) : NULL;
    if (path)
        walk(t, mm, path, details);
    heap_free(path);
    if (mm)
        mm_put(mm);
    return mm && !path ? -ENOMEM : 0;
}

int proc_show_maps(struct text *t, const struct gen_ctx *c)
{
    return show_areas(t, c, false);
}

int proc_show_smaps(struct text *t, const struct gen_ctx *c)
{
    return show_areas(t, c, true);
}

int proc_show_smaps_rollup(struct text *t, const struct gen_ctx *c)
{
    struct mm *mm = proc_mm(c);
    struct presence u = { 0 };
    uintptr_t first = 0, end = 0;
    if (mm) {
        rwmutex_read_lock(&mm->lock);
        for (struct area *a = area_find(mm, 0); a; a = area_next(a)) {
            first = first ? first : a->start;
            end = a->end;
            measure(a, &u);
        }
        rwmutex_read_unlock(&mm->lock);
        mm_put(mm);
        size_t start = t->len;
        text_printf(t, "%08lx-%08lx ---p 00000000 00:00 0 ", (unsigned long)first,
                    (unsigned long)end);
        text_pad(t, start, NAME_COLUMN);
        text_printf(t, "[rollup]\n");
        show_usage(t, &u, true);
    }
    return 0;
}

/* /proc/PID/mem: memory by address, through the protection as a debugger needs it. */
static ssize_type mem_transfer(struct file *f, struct iter *it, uint64_t *pos, bool write)
{
    struct mm *mm = proc_mm(gen_of_open(f));
    uint8_t *buf = heap_alloc(MEM_PIECE);
    ssize_type done = mm && !buf ? -ENOMEM : 0;
    while (mm && buf && it->left) {
        size_t want = it->left < MEM_PIECE ? it->left : MEM_PIECE, n = want;
        if (write && (n = iter_get(it, buf, want)) < want && !n) {
            done = done ? done : -EFAULT;
            break;
        }
        size_t moved = mm_access(mm, (uintptr_t)*pos, buf, n, write, true);
        if (!write && moved && iter_put(it, buf, moved) < moved)
            moved = 0;
        *pos += moved;
        done += (ssize_type)moved;
        if (moved < want) {
            done = done ? done : -EIO;
            break;
        }
        if (thread_preempt_point())
            break;
    }
    heap_free(buf);
    if (mm)
        mm_put(mm);
    return done;
}

static ssize_type mem_read(struct file *f, struct iter *it, uint64_t *pos)
{
    return mem_transfer(f, it, pos, false);
}

static ssize_type mem_write(struct file *f, struct iter *it, uint64_t *pos)
{
    return mem_transfer(f, it, pos, true);
}

static int64_t mem_seek(struct file *f, int64_t off, int whence)
{
    if (whence != SEEK_SET && whence != SEEK_CUR)
        return -EINVAL;
    f->pos = (whence == SEEK_CUR ? f->pos : 0) + (uint64_t)off; /* any address is a position */
    return (int64_t)f->pos;
}

const struct file_ops proc_mem_fops = {
    .read = mem_read, .write = mem_write, .seek = mem_seek, .release = gen_release
};
