/* SPDX-License-Identifier: MIT */
/* ELF programs and interpreters: every number of the file is hostile and bounded before use. Segments are private
 * mappings of the file, so that their pages are the file's own until they are written.
 * Specification: System V ABI, x86-64 supplement; Linux where those leave a choice. */
#include "load.h"

#include <abi/elf.h>
#include <abi/errno.h>
#include <abi/fcntl.h>
#include <libos/file.h>
#include <libos/heap.h>
#include <libos/mm.h>
#include <libos/random.h>
#include <string.h>

enum {
    PHDRS_MAX = 65536, /* bytes */
    PATH_SIZE = 4096,
    PIE_BITS = 28,
    MMAP_BITS = 28,
    BRK_BITS = 13, /* randomness, in pages */
};

/* Where position-independent programs begin: two thirds of the address space. */
#define PIE_BASE (PLAT_MMAP_TOP / 3 * 2 & PAGE_MASK)

struct image {
    struct file *file;
    struct abi_elf64_ehdr eh;
    struct abi_elf64_phdr *ph; /* eh.e_phnum, owned */
    uintptr_t low, high;       /* addresses of the PT_LOAD segments, page aligned */
    uint64_t align;            /* largest */
    uintptr_t bias;            /* added to the file's addresses */
    bool writable_bss;
};

bool elf_is(const char head[HEAD_SIZE])
{
    return memcmp(head, ELFMAG, SELFMAG) == 0;
}

static bool header_ok(const struct abi_elf64_ehdr *eh)
{
    return memcmp(eh->e_ident, ELFMAG, SELFMAG) == 0 && eh->e_ident[EI_CLASS] == ELFCLASS64 &&
           (eh->e_type == ET_EXEC || eh->e_type == ET_DYN) && eh->e_machine == EM_X86_64 &&
           eh->e_phentsize == sizeof(struct abi_elf64_phdr) && eh->e_phnum > 0 &&
           eh->e_phnum * sizeof(struct abi_elf64_phdr) <= PHDRS_MAX;
}

/* Bound the segments and find their extent. -EINVAL; -ENOEXEC: there are none. */
static int extent(struct image *im)
{
    im->low = UINTPTR_MAX;
    im->align = PAGE_SIZE;
    for (size_t i = 0; i < im->eh.e_phnum; i++) {
        const struct abi_elf64_phdr *p = &im->ph[i];
        if (p->p_type != PT_LOAD)
            continue;
        if (p->p_filesz > p->p_memsz || p->p_memsz > PLAT_USER_MAX ||
            p->p_vaddr > PLAT_USER_MAX - p->p_memsz)
            return -EINVAL;
        if (p->p_filesz && ((p->p_offset ^ p->p_vaddr) & (PAGE_SIZE - 1)))
            return -EINVAL;
        if (p->p_offset > (uint64_t)INT64_MAX - p->p_filesz)
            return -EINVAL;
        uintptr_t end = align_up(p->p_vaddr + p->p_memsz, PAGE_SIZE);
        im->low = p->p_vaddr < im->low ? p->p_vaddr & PAGE_MASK : im->low;
        im->high = end > im->high ? end : im->high;
        if (p->p_align > im->align && !(p->p_align & (p->p_align - 1)) && p->p_align <= 1ull << 30)
            im->align = p->p_align;
    }
    return im->low < im->high ? 0 : -ENOEXEC;
}

/* Read the headers of im->file. bad: what to say when they are none of an ELF program. */
static int headers_read(struct image *im, int bad)
{
    int err = load_read(im->file, &im->eh, sizeof im->eh, 0);
    if (err)
        return err == -EIO ? bad : err;
    if (!header_ok(&im->eh))
        return bad;
    size_t size = im->eh.e_phnum * sizeof *im->ph;
    if (!(im->ph = heap_alloc(size)))
        return -ENOMEM;
    err = load_read(im->file, im->ph, size, im->eh.e_phoff);
    return err == -EIO ? bad : err ? err : extent(im);
}

static void image_fini(struct image *im)
{
    heap_free(im->ph);
    if (im->file)
        file_put(im->file);
}

static uint8_t prot_of(uint32_t p_flags)
{
    return (uint8_t)((p_flags & PF_R ? PLAT_READ : 0) | (p_flags & PF_W ? PLAT_WRITE : 0) |
                     (p_flags & PF_X ? PLAT_EXEC : 0));
}

/* Zero [from, to), inside one page of the program. */
static int clear(struct mm *mm, uintptr_t from, uintptr_t to)
{
    static char zeros[PAGE_SIZE]; /* never written; a constant would lie in the image */
    return mm_write(mm, from, zeros, to - from);
}

/* Map one segment: the file's part, then zeros up to its size in memory. */
static int segment_map(struct exec *e, struct image *im, const struct abi_elf64_phdr *p)
{
    uintptr_t start = im->bias + p->p_vaddr, file_end = start + p->p_filesz,
              end = start + p->p_memsz, at;
    struct mm_map what = { .addr = start & PAGE_MASK, .fixed = true, .prot = prot_of(p->p_flags) };
    uintptr_t mapped = what.addr;
    int err = 0;
    if (p->p_filesz) {
        what.size = file_end - what.addr;
        what.file = im->file;
        what.offset = p->p_offset & ~(uint64_t)(PAGE_SIZE - 1);
        if ((err = mm_map(e->mm, &what, &at)))
            return err;
        mapped = align_up(file_end, PAGE_SIZE);
        /* The rest of the last page is zeros up to its end, past the segment's too: C libraries allocate from there.
         * Only if the program could have put them there itself. */
        if (end > file_end && (file_end & ~PAGE_MASK) && (what.prot & PLAT_WRITE))
            err = clear(e->mm, file_end, mapped);
    }
    if (err || align_up(end, PAGE_SIZE) <= mapped)
        return err;
    struct mm_map bss = { .addr = mapped, .size = end - mapped, .fixed = true, .prot = what.prot };
    return mm_map(e->mm, &bss, &at);
}

/* Map all segments of im at its bias. */
static int segments_map(struct exec *e, struct image *im)
{
    struct mm *mm = e->mm;
    for (size_t i = 0; i < im->eh.e_phnum; i++) {
        const struct abi_elf64_phdr *p = &im->ph[i];
        if (p->p_type != PT_LOAD || !p->p_memsz)
            continue;
        int err = segment_map(e, im, p);
        if (err)
            return err;
        if (mm->exe)
            continue; /* the interpreter's segments are not the program's */
        uintptr_t start = im->bias + p->p_vaddr;
        if ((p->p_flags & PF_X) && (!mm->code_start || start < mm->code_start))
            mm->code_start = start;
        if ((p->p_flags & PF_X) && start + p->p_filesz > mm->code_end)
            mm->code_end = start + p->p_filesz;
        if (start > mm->data_start)
            mm->data_start = start;
        if (start + p->p_filesz > mm->data_end)
            mm->data_end = start + p->p_filesz;
    }
    return 0;
}

/* Reserve room for im, so that nothing else lies within; *ret_bias. base: 0 for anywhere. */
static int place(struct exec *e, struct image *im, uintptr_t base)
{
    size_t size = im->high - im->low;
    struct mm_map what = { .size = size, .prot = 0, .flags = AREA_NORESERVE };
    uintptr_t at;
    if (im->eh.e_type == ET_EXEC) {
        what.addr = im->low;
        what.fixed = what.noreplace = true;
    } else if (base) {
        what.addr = align_down(base, im->align);
        what.fixed = what.noreplace = true;
    } else {
        what.size = size + (im->align - PAGE_SIZE);
    }
    int err = mm_map(e->mm, &what, &at);
    if (err)
        return err == -EEXIST ? -ENOMEM : err;
    if (im->eh.e_type == ET_EXEC)
        return 0;
    uintptr_t start = align_up(at, im->align);
    im->bias = start - im->low;
    /* Of what was reserved for alignment, keep the middle. */
    if (start > at)
        err = mm_unmap(e->mm, at, start - at);
    if (!err && at + what.size > start + size)
        err = mm_unmap(e->mm, start + size, at + what.size - (start + size));
    return err;
}

/* Gaps between segments were only reserved. */
static int gaps_free(struct exec *e, struct image *im)
{
    uintptr_t at = im->bias + im->low, end = im->bias + im->high;
    while (at < end) {
        /* The next segment that begins above at; segments need not be in order. */
        uintptr_t next = end, covered = at;
        for (size_t i = 0; i < im->eh.e_phnum; i++) {
            const struct abi_elf64_phdr *p = &im->ph[i];
            if (p->p_type != PT_LOAD || !p->p_memsz)
                continue;
            uintptr_t s = (im->bias + p->p_vaddr) & PAGE_MASK;
            uintptr_t t = align_up(im->bias + p->p_vaddr + p->p_memsz, PAGE_SIZE);
            if (s <= at && t > covered)
                covered = t;
            if (s > at && s < next)
                next = s;
        }
        if (covered > at) {
            at = covered;
            continue;
        }
        int err = mm_unmap(e->mm, at, next - at);
        if (err)
            return err;
        at = next;
    }
    return 0;
}

static int image_map(struct exec *e, struct image *im, uintptr_t base)
{
    int err = place(e, im, base);
    if (!err)
        err = segments_map(e, im);
    return err ? err : gaps_free(e, im);
}

/* The address of the program headers in memory: within the segment that holds their place in the file. */
static uintptr_t phdr_address(const struct image *im)
{
    for (size_t i = 0; i < im->eh.e_phnum; i++) {
        const struct abi_elf64_phdr *p = &im->ph[i];
        if (p->p_type == PT_LOAD && im->eh.e_phoff >= p->p_offset &&
            im->eh.e_phoff - p->p_offset < p->p_filesz)
            return im->bias + p->p_vaddr + (im->eh.e_phoff - p->p_offset);
    }
    return 0;
}

/* Open the interpreter that a PT_INTERP names; *ret->file stays NULL when there is none. */
static int interp_open(struct image *program, struct image *ret)
{
    const struct abi_elf64_phdr *p = NULL;
    for (size_t i = 0; i < program->eh.e_phnum && !p; i++)
        if (program->ph[i].p_type == PT_INTERP)
            p = &program->ph[i];
    if (!p)
        return 0;
    if (p->p_filesz > PATH_SIZE || p->p_filesz < 2)
        return -ENOEXEC;
    char *name = heap_alloc(p->p_filesz);
    if (!name)
        return -ENOMEM;
    int err = load_read(program->file, name, p->p_filesz, p->p_offset);
    if (!err && name[p->p_filesz - 1])
        err = -ENOEXEC;
    if (!err)
        err = load_open(AT_FDCWD, name, 0, &ret->file);
    heap_free(name);
    return err ? err : headers_read(ret, -ELIBBAD);
}

/* The heap begins at a random place after the program's data. */
static void brk_place(struct exec *e, const struct image *im, bool has_interp)
{
    uintptr_t end = im->bias + im->high;
    if (im->eh.e_type == ET_DYN && !has_interp)
        end = PIE_BASE; /* the program is in the mmap area, where the heap could not grow */
    e->mm->brk_start = e->mm->brk = end + aslr_shift(e, BRK_BITS);
}

static int load_images(struct exec *e, struct image *im, struct image *interp)
{
    uintptr_t base = 0;
    for (size_t i = 0; i < im->eh.e_phnum; i++)
        if (im->ph[i].p_type == PT_GNU_STACK)
            e->stack_exec = im->ph[i].p_flags & PF_X;
    int err = interp_open(im, interp);
    if (err)
        return err;
    if (im->eh.e_type == ET_DYN && interp->file)
        base = PIE_BASE + aslr_shift(e, PIE_BITS);
    if ((err = image_map(e, im, base)))
        return err;
    if ((err = mm_set_exe(e->mm, im->file)))
        return err;
    e->phdr = phdr_address(im);
    e->phnum = im->eh.e_phnum;
    e->entry = e->program_entry = im->bias + im->eh.e_entry;
    brk_place(e, im, interp->file);
    if (interp->file) {
        if ((err = image_map(e, interp, 0)))
            return err;
        e->base = interp->bias;
        e->entry = interp->bias + interp->eh.e_entry;
    }
    return e->entry < PLAT_USER_MAX ? 0 : -EINVAL;
}

int elf_load(struct exec *e)
{
    struct image im = { .file = e->file }, interp = { .file = NULL };
    file_get(e->file);
    int err = headers_read(&im, -ENOEXEC);
    if (!err)
        err = load_images(e, &im, &interp);
    image_fini(&im);
    image_fini(&interp);
    return err;
}
