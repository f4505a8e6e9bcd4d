/* SPDX-License-Identifier: MIT */
/* Core files: their names, and their content: an ELF file with notes about the threads and a segment for each area. The
 * current thread writes it, all others of the process wait. core(5), System V ABI; the notes are Linux's. */
#include "core_int.h"

#include <abi/errno.h>
#include <abi/fcntl.h>
#include <abi/stat.h>
#include <base/log.h>
#include <libos/core.h>
#include <libos/file.h>
#include <libos/heap.h>
#include <libos/mm.h>
#include <libos/mm_bounds.h>
#include <libos/process.h>
#include <libos/sched.h>
#include <libos/sysinfo.h>
#include <libos/time.h>
#include <libos/vfs.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { NAME_SIZE = 4096, PHDRS_MAX = 65534 };

static struct spin pattern_lock = SPIN_INIT(RANK_FILE);
static char pattern[CORE_PATTERN_MAX] = "core"; /* guarded by pattern_lock */
static _Atomic bool uses_pid;

void core_pattern_get(char buf[CORE_PATTERN_MAX])
{
    spin_lock(&pattern_lock);
    memcpy(buf, pattern, sizeof(pattern));
    spin_unlock(&pattern_lock);
}

int core_pattern_set(const char *text, size_t len)
{
    if (len && text[len - 1] == '\n')
        len--;
    if (len >= CORE_PATTERN_MAX || (len && (text[0] == '|' || text[0] == '@')))
        return -EINVAL; /* no helpers: nothing outside of the program's own tree runs */
    spin_lock(&pattern_lock);
    memset(pattern, 0, sizeof(pattern));
    memcpy(pattern, text, len);
    spin_unlock(&pattern_lock);
    return 0;
}

bool core_uses_pid(bool change, bool value)
{
    if (change)
        uses_pid = value;
    return uses_pid;
}

struct name {
    char *text; /* NAME_SIZE */
    size_t len;
    bool has_pid;
};

static void name_add(struct name *n, const char *text, bool escape)
{
    for (; *text && n->len < NAME_SIZE - 1; text++)
        n->text[n->len++] = escape && *text == '/' ? '!' : *text;
    n->text[n->len] = 0;
}

static void name_number(struct name *n, uint64_t v)
{
    char digits[24];
    snprintf(digits, sizeof(digits), "%llu", (unsigned long long)v);
    name_add(n, digits, false);
}

/* %E, %f: the path of the program, or its last part. */
static void name_program(struct name *n, bool whole)
{
    struct file *exe = mm_exe_get(thread_current()->mm);
    char *path = heap_alloc(NAME_SIZE);
    if (path && exe && file_text(exe, path, NAME_SIZE) > 0) {
        const char *slash = strrchr(path, '/');
        name_add(n, whole || !slash ? path : slash + 1, true);
    }
    heap_free(path);
    if (exe)
        file_put(exe);
}

static void name_host(struct name *n)
{
    struct abi_utsname u;
    system_names(&u);
    name_add(n, u.nodename, true);
}

/* One specifier of the pattern; unknown ones are left out. */
static void name_specifier(struct name *n, char c, int sig, size_t limit)
{
    const struct thread *t = thread_current();
    switch (c) {
    case '%':
        return name_add(n, "%", false);
    case 'p':
    case 'P':
        n->has_pid = true;
        return name_number(n, (unsigned)t->process->pid);
    case 'i':
    case 'I':
        return name_number(n, (unsigned)t->tid);
    case 'u':
        return name_number(n, t->cred->uid);
    case 'g':
        return name_number(n, t->cred->gid);
    case 'd':
        return name_number(n, 1); /* others are not dumped */
    case 's':
        return name_number(n, (unsigned)sig);
    case 't':
        return name_number(n, (uint64_t)vfs_now().tv_sec);
    case 'c':
        return name_number(n, limit);
    case 'C':
        return name_number(n, t->cpu);
    case 'h':
        return name_host(n);
    case 'e':
        return name_add(n, t->comm, true);
    case 'E':
    case 'f':
        return name_program(n, c == 'E');
    default:
        return;
    }
}

static void name_make(struct name *n, int sig, size_t limit)
{
    char p[CORE_PATTERN_MAX];
    core_pattern_get(p);
    for (size_t i = 0; p[i]; i++) {
        char one[2] = { p[i], 0 };
        if (p[i] != '%')
            name_add(n, one, false);
        else if (p[i + 1])
            name_specifier(n, p[++i], sig, limit);
    }
    if (uses_pid && !n->has_pid) {
        name_add(n, ".", false);
        name_number(n, (unsigned)process_current()->pid);
    }
}

/* A fresh file of the current user at the pattern's place; what had the name goes. */
static int core_open(int sig, size_t limit, struct file **ret)
{
    struct name n = { .text = heap_zalloc(NAME_SIZE) };
    if (!n.text)
        return -ENOMEM;
    name_make(&n, sig, limit);
    int err = vfs_unlink(AT_FDCWD, n.text, false);
    if (!err || err == -ENOENT)
        err = path_open(AT_FDCWD, n.text, O_CREAT | O_EXCL | O_RDWR | O_NOFOLLOW | O_LARGEFILE,
                        0600, 0, ret);
    heap_free(n.text);
    if (err)
        return err;
    const struct inode *inode = (*ret)->inode;
    if (S_ISREG(inode->mode) && (inode->mode & 0677) == 0600 &&
        inode->uid == thread_current()->cred->fsuid)
        return 0;
    file_put(*ret); /* the file system has ideas of its own about owners and modes */
    return -EACCES;
}

/* Write at w->pos. False: the limit, the disk, or SIGKILL ends the dump. */
bool core_emit(struct core_writer *w, const void *data, size_t n)
{
    bool cut = w->limit - w->pos < n;
    struct iter it;
    if (cut)
        n = w->limit - w->pos;
    iter_kernel(&it, (void *)(uintptr_t)data, n);
    while (it.left) {
        ssize_type got = file_write(w->file, &it, &w->pos);
        if (got <= 0)
            return false;
    }
    return !cut;
}

bool core_pad(struct core_writer *w, size_t align)
{
    static const char zero[16];
    while (w->pos & (align - 1)) {
        size_t n = align - (w->pos & (align - 1));
        if (align > sizeof(zero)) { /* a hole */
            w->pos += n;
            return w->pos <= w->limit;
        }
        if (!core_emit(w, zero, n))
            return false;
    }
    return true;
}

static bool all_zero(const char *page)
{
    const uint64_t *p = (const void *)page;
    for (size_t i = 0; i < PAGE_SIZE / sizeof(*p); i++)
        if (p[i])
            return false;
    return true;
}

/* The content of an area. Pages without one, and zeros, are holes. */
static bool emit_area(struct core_writer *w, const struct dump_area *d, char *page)
{
    struct mm *mm = thread_current()->mm;
    uint64_t base = w->pos;
    for (uintptr_t va = d->start, end = d->start + d->size; va < end; va += PAGE_SIZE) {
        if (d->sparse && (va = mm_next_present(mm, va, end)) == end)
            break;
        (void)thread_preempt_point();
        if (core_interrupted())
            return false;
        w->pos = base + (va - d->start);
        if (mm_access(mm, va, page, PAGE_SIZE, false, true) == PAGE_SIZE && !all_zero(page) &&
            !core_emit(w, page, PAGE_SIZE))
            return false;
    }
    w->pos = base + d->size;
    return w->pos <= w->limit;
}

/* Those that are kept only if they hold an ELF header. */
static void settle_headers(struct dump_area *d, size_t n)
{
    char magic[SELFMAG];
    for (size_t i = 0; i < n; i++)
        if (d[i].if_elf &&
            (mm_access(thread_current()->mm, d[i].start, magic, SELFMAG, false, true) != SELFMAG ||
             memcmp(magic, ELFMAG, SELFMAG) != 0))
            d[i].size = 0;
}

static bool emit_headers(struct core_writer *w, const struct dump_area *d, size_t n,
                         size_t note_size)
{
    struct abi_elf64_ehdr eh = {
        .e_ident = { 0x7f, 'E', 'L', 'F', ELFCLASS64, ELFDATA2LSB, EV_CURRENT, ELFOSABI_NONE },
        .e_type = ET_CORE,
        .e_machine = EM_X86_64,
        .e_version = EV_CURRENT,
        .e_phoff = sizeof(eh),
        .e_ehsize = sizeof(eh),
        .e_phentsize = sizeof(struct abi_elf64_phdr),
        .e_phnum = (uint16_t)(n + 1),
    };
    uint64_t at = sizeof(eh) + (n + 1) * sizeof(struct abi_elf64_phdr);
    struct abi_elf64_phdr note = {
        .p_type = PT_NOTE, .p_offset = at, .p_filesz = note_size, .p_align = 4
    };
    if (!core_emit(w, &eh, sizeof(eh)) || !core_emit(w, &note, sizeof(note)))
        return false;
    at = align_up(at + note_size, PAGE_SIZE);
    for (size_t i = 0; i < n; i++) {
        struct abi_elf64_phdr ph = {
            .p_type = PT_LOAD,
            .p_flags = (d[i].prot & PLAT_READ ? PF_R : 0u) | (d[i].prot & PLAT_WRITE ? PF_W : 0u) |
                       (d[i].prot & PLAT_EXEC ? PF_X : 0u),
            .p_offset = at,
            .p_vaddr = d[i].start,
            .p_filesz = d[i].size,
            .p_memsz = d[i].end - d[i].start,
            .p_align = PAGE_SIZE,
        };
        if (!core_emit(w, &ph, sizeof(ph)))
            return false;
        at += d[i].size;
    }
    return true;
}

/* The last byte, so that the file is as long as its headers say. */
static bool emit_end(struct core_writer *w)
{
    if (w->file->inode->size >= w->pos)
        return true;
    w->pos--;
    return core_emit(w, "", 1);
}

/* 0 once the first bytes are written: as on Linux, a file that was cut off is a core file too. */
static int core_content(struct core_writer *w, const struct abi_siginfo *info)
{
    struct dump_area *d;
    struct core_notes notes = { 0 };
    size_t n;
    char *page = heap_alloc(PAGE_SIZE);
    int err = page ? mm_dump_areas(thread_current()->mm, process_current()->core_filter, &d, &n)
                   : -ENOMEM;
    if (err)
        goto out_page;
    if (n > PHDRS_MAX - 1)
        n = PHDRS_MAX - 1;
    settle_headers(d, n);
    err = core_notes_make(&notes, info, d, n);
    if (err)
        goto out;
    bool on = emit_headers(w, d, n, notes.len) && core_emit(w, notes.buf, notes.len) &&
              core_pad(w, PAGE_SIZE);
    for (size_t i = 0; on && i < n; i++)
        on = emit_area(w, &d[i], page);
    if (on)
        (void)emit_end(w); /* a file that ends in a hole is short: nothing is lost */
    err = w->pos ? 0 : -EIO;
out:
    heap_free(notes.buf);
    mm_dump_free(d, n);
out_page:
    heap_free(page);
    return err;
}

bool core_write(const struct abi_siginfo *info, size_t limit)
{
    struct core_writer w = { .limit = limit > INT64_MAX ? INT64_MAX : limit };
    int err = core_open(info->si_signo, limit, &w.file);
    if (err)
        return false;
    err = core_content(&w, info);
    file_put(w.file);
    return !err;
}
