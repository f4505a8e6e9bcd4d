/* SPDX-License-Identifier: MIT */
/* Mapping the vDSO: its data page, then its code, at a random place near the stack. The pages are the kernel image's
 * copy, made once: the image itself is not in the frame table. */
#include "load.h"

#include <abi/errno.h>
#include <libos/mm.h>
#include <libos/page.h>
#include <libos/random.h>
#include <libos/vdso.h>
#include <string.h>

static const unsigned char image[] = {
#include "vdso_image.h"
};

enum { CODE_PAGES = (sizeof image + PAGE_SIZE - 1) / PAGE_SIZE };

/* The code's pages; made by the first program, before there is a second thread. */
static struct page *code;

static int code_make(void)
{
    if (code)
        return 0;
    struct page *p = page_alloc(CODE_PAGES > 1, PAGE_KERNEL, PAGE_ZERO);
    if (!p)
        return -ENOMEM;
    memcpy(page_ptr(p), image, sizeof image);
    code = p;
    return 0;
}

/* A free place for n pages: above the stack if there is room, as Linux has it, else in the mmap area. */
static int place(struct mm *mm, size_t n, uintptr_t *ret)
{
    uintptr_t low = align_up(mm->stack_top, PAGE_SIZE), room = (PLAT_USER_MAX - low) >> PAGE_SHIFT;
    if (room > n && low >= mm->stack_top) {
        uintptr_t most = room - n < 512 ? room - n : 512;
        *ret = low + (random_u64() % (most + 1) << PAGE_SHIFT);
        return 0;
    }
    struct mm_map what = { .size = n << PAGE_SHIFT };
    int err = mm_map(mm, &what, ret);
    return err ? err : mm_unmap(mm, *ret, what.size);
}

int vdso_map(struct mm *mm)
{
    paddr_t data = vdso_data_page(), pages[CODE_PAGES];
    uintptr_t at;
    int err = code_make();
    if (!err)
        err = place(mm, CODE_PAGES + 1, &at);
    if (err)
        return err;
    for (size_t i = 0; i < CODE_PAGES; i++)
        pages[i] = PADDR(page_addr(code).v + (i << PAGE_SHIFT));
    err = mm_map_special(mm, at, &data, 1, PLAT_READ, "[vvar]");
    if (!err)
        err =
            mm_map_special(mm, at + PAGE_SIZE, pages, CODE_PAGES, PLAT_READ | PLAT_EXEC, "[vdso]");
    if (!err)
        mm->vdso = at + PAGE_SIZE;
    return err;
}
