/* SPDX-License-Identifier: MIT */
/* An address space as a core dump sees it: which areas there are, and how much of each is worth keeping. core(5). */
#include "area.h"

#include <abi/errno.h>
#include <libos/dump.h>
#include <libos/file.h>
#include <libos/heap.h>
#include <libos/page.h>

/* Is a page of the private mapping a no longer the file's? */
static bool has_own_pages(struct area *a)
{
    struct plat_leaf leaf;
    for (uintptr_t va = a->start; va < a->end;
         va = (va & ~((uintptr_t)leaf.size - 1)) + leaf.size) {
        plat_mmu_query(&a->mm->aspace, va, &leaf);
        if (leaf.present && page_of(leaf.pa)->kind == PAGE_ANON)
            return true;
    }
    return false;
}

/* Bytes of a from its start on that belong into the dump. *ret_header: only if an ELF file begins there. */
static size_t dumped(struct area *a, unsigned filter, bool *ret_header)
{
    size_t all = a->end - a->start;
    *ret_header = false;
    if (a->flags & AREA_SPECIAL)
        return all;
    if (a->flags & AREA_DONTDUMP)
        return 0;
    if (a->flags & AREA_SHARED) {
        bool anonymous = !a->file || (a->file->inode && a->file->inode->nlink == 0);
        return filter & (anonymous ? DUMP_ANON_SHARED : DUMP_FILE_SHARED) ? all : 0;
    }
    if (!a->file || has_own_pages(a)) {
        if (filter & DUMP_ANON_PRIVATE)
            return all;
        if (!a->file)
            return 0;
    }
    if (filter & DUMP_FILE_PRIVATE)
        return all;
    *ret_header = filter & DUMP_ELF_HEADERS && !a->pgoff && a->prot & PLAT_READ;
    return *ret_header ? PAGE_SIZE : 0;
}

int mm_dump_areas(struct mm *mm, unsigned filter, struct dump_area **ret, size_t *ret_n)
{
    mm_read_lock(mm);
    size_t n = 0, size = mm->area_count;
    struct dump_area *d = heap_zalloc((size + 1) * sizeof(*d));
    for (struct area *a = area_find(mm, 0); d && a && n < size; a = area_next(a), n++) {
        d[n] = (struct dump_area){
            .start = a->start, .end = a->end, .prot = a->prot, .pgoff = a->pgoff, .file = a->file
        };
        d[n].size = dumped(a, filter, &d[n].if_elf);
        d[n].sparse = !a->file;
        if (a->file)
            file_get(a->file);
    }
    mm_read_unlock(mm);
    *ret = d;
    *ret_n = n;
    return d ? 0 : -ENOMEM;
}

void mm_dump_free(struct dump_area *d, size_t n)
{
    for (size_t i = 0; i < n; i++)
        if (d[i].file)
            file_put(d[i].file);
    heap_free(d);
}

uintptr_t mm_next_present(struct mm *mm, uintptr_t va, uintptr_t end)
{
    struct plat_leaf leaf;
    mm_read_lock(mm);
    while (va < end) {
        plat_mmu_query(&mm->aspace, va, &leaf);
        if (leaf.present)
            break;
        va = (va & ~((uintptr_t)leaf.size - 1)) + leaf.size;
    }
    mm_read_unlock(mm);
    return va < end ? va : end;
}
