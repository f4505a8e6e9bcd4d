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
#include <libos/page.h>
#include <libos/pagemap.h>
#include <libos/process.h>
#include <libos/sched.h>
#include <string.h>

enum { NAME_COLUMN = 73, PATH_SIZE = 4096, MEM_PIECE = 4096 };

/* Memory of one or more areas, in bytes. */
struct presence {
    uint64_t size, rss, pss, pss_dirty, pss_anon, pss_file, anonymous, locked, lazy, large,
        referenced;
    uint64_t shared_clean, shared_dirty, private_clean, private_dirty;
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
    if (a->file && !(a->flags & AREA_NAMED) && file_text(a->file, path, PATH_SIZE) > 0)
        name = path;
    if (name) {
        text_pad(t, start, NAME_COLUMN);
        text_add(t, name, strlen(name));
    }
    text_add(t, "\n", 1);
}

/* Count the page of one leaf, n bytes of it. How many others show it is told by its references: one for each leaf, and one
 * of the page map that it is in. */
static void measure_leaf(const struct plat_leaf *leaf, uint64_t n, struct presence *u)
{
    const struct page *p = page_of(leaf->pa);
    bool anon = p->kind == PAGE_ANON, dirty = anon || p->flags & PAGE_DIRTY;
    uint64_t users = p->kind == PAGE_RESERVED ? 1 : anon ? p->refs : p->refs - 1;
    users += leaf->prot & PLAT_SHARED && users < 2;
    uint64_t part = n / (users ? users : 1);
    u->rss += n;
    u->pss += part;
    u->pss_dirty += dirty ? part : 0;
    *(anon ? &u->pss_anon : &u->pss_file) += part;
    u->anonymous += anon ? n : 0;
    u->large += anon && leaf->size == LARGE_SIZE ? n : 0;
    u->referenced += leaf->accessed ? n : 0;
    if (users > 1)
        *(dirty ? &u->shared_dirty : &u->shared_clean) += n;
    else
        *(dirty ? &u->private_dirty : &u->private_clean) += n;
}

static void measure(struct area *a, struct presence *u)
{
    uint64_t before = u->rss;
    u->size += a->end - a->start;
    u->lazy += area_lazy(a) * PAGE_SIZE;
    for (uintptr_t va = a->start, next; va < a->end && !(a->flags & AREA_SPECIAL); va = next) {
        struct plat_leaf leaf;
        plat_mmu_query(&a->mm->aspace, va, &leaf);
        next = (va & ~((uintptr_t)leaf.size - 1)) + leaf.size;
        next = next < a->end ? next : a->end;
        /* The page of zeros belongs to nobody. */
        if (leaf.present && (a->file || page_of(leaf.pa)->kind == PAGE_ANON))
            measure_leaf(&leaf, next - va, u);
    }
    if (a->flags & AREA_LOCKED)
        u->locked += u->rss - before;
}

static void show_kb(struct text *t, const char *name, uint64_t bytes)
{
    text_printf(t, "%-15s %8llu kB\n", name, (unsigned long long)(bytes >> 10));
}

static void show_usage(struct text *t, const struct presence *u, bool rollup)
{
    show_kb(t, "Rss:", u->rss);
    show_kb(t, "Pss:", u->pss);
    show_kb(t, "Pss_Dirty:", u->pss_dirty);
    if (rollup) {
        show_kb(t, "Pss_Anon:", u->pss_anon);
        show_kb(t, "Pss_File:", u->pss_file);
        show_kb(t, "Pss_Shmem:", 0);
    }
    show_kb(t, "Shared_Clean:", u->shared_clean);
    show_kb(t, "Shared_Dirty:", u->shared_dirty);
    show_kb(t, "Private_Clean:", u->private_clean);
    show_kb(t, "Private_Dirty:", u->private_dirty);
    show_kb(t, "Referenced:", u->referenced);
    show_kb(t, "Anonymous:", u->anonymous);
    show_kb(t, "KSM:", 0);
    show_kb(t, "LazyFree:", u->lazy);
    show_kb(t, "AnonHugePages:", u->large);
    static const char *const none[] = { "ShmemPmdMapped:",  "FilePmdMapped:", "Shared_Hugetlb:",
                                        "Private_Hugetlb:", "Swap:",          "SwapPss:" };
    for (size_t i = 0; i < ARRAY_SIZE(none); i++)
        show_kb(t, none[i], 0);
    show_kb(t, "Locked:", u->locked);
}

static void show_flags(struct text *t, const struct area *a)
{
    static const struct {
        uint32_t flag;
        char name[4];
    } names[] = { { AREA_GROWSDOWN, "gd " },  { AREA_LOCKED, "lo " },    { AREA_SEQ, "sr " },
                  { AREA_RANDOM, "rr " },     { AREA_DONTFORK, "dc " },  { AREA_NORESERVE, "nr " },
                  { AREA_DONTDUMP, "dd " },   { AREA_HUGE, "hg " },      { AREA_NOHUGE, "nh " },
                  { AREA_WIPEONFORK, "wf " }, { AREA_MERGEABLE, "mg " }, { AREA_SEALED, "sl " } };
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
    mm_read_lock(mm);
    for (struct area *a = area_find(mm, 0); a && !t->failed; a = area_next(a)) {
        show_header(t, a, path);
        if (details)
            show_area(t, a);
    }
    mm_read_unlock(mm);
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
        mm_read_lock(mm);
        for (struct area *a = area_find(mm, 0); a; a = area_next(a)) {
            first = first ? first : a->start;
            end = a->end;
            measure(a, &u);
        }
        mm_read_unlock(mm);
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
