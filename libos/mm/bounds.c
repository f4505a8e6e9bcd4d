/* SPDX-License-Identifier: MIT */
/* What an address space says of itself (libos/mm_bounds.h), as PR_SET_MM changes it. Guarded by mm->lock against other changes; who only
 * shows it reads without, and may see one of two that belong together too early. */
#include <abi/errno.h>
#include <abi/resource.h>
#include <libos/file.h>
#include <libos/mm.h>
#include <libos/mm_bounds.h>
#include <libos/process.h>
#include <plat/mmu.h>
#include <string.h>

/* Where a bound lies. */
static uintptr_t *bound(struct mm *mm, enum mm_bound which)
{
    uintptr_t *const at[MM_BOUNDS] = {
        [MM_START_CODE] = &mm->code_start, [MM_END_CODE] = &mm->code_end,
        [MM_START_DATA] = &mm->data_start, [MM_END_DATA] = &mm->data_end,
        [MM_START_BRK] = &mm->brk_start,   [MM_BRK] = &mm->brk,
        [MM_START_STACK] = &mm->stack_top, [MM_ARG_START] = &mm->arg_start,
        [MM_ARG_END] = &mm->arg_end,       [MM_ENV_START] = &mm->env_start,
        [MM_ENV_END] = &mm->env_end,
    };
    return at[which];
}

static bool good(const uint64_t b[MM_BOUNDS])
{
    for (unsigned i = 0; i < MM_BOUNDS; i++)
        if (b[i] < MM_MIN_ADDR || b[i] >= PLAT_USER_MAX)
            return false;
    if (b[MM_START_CODE] >= b[MM_END_CODE] || b[MM_START_DATA] > b[MM_END_DATA] ||
        b[MM_START_BRK] > b[MM_BRK] || b[MM_ARG_START] > b[MM_ARG_END] ||
        b[MM_ENV_START] > b[MM_ENV_END])
        return false;
    return b[MM_BRK] - b[MM_START_BRK] + (b[MM_END_DATA] - b[MM_START_DATA]) <=
           process_limit(process_current(), RLIMIT_DATA);
}

int mm_check_bounds(const uint64_t b[MM_BOUNDS])
{
    return good(b) ? 0 : -EINVAL;
}

int mm_set_bounds(struct mm *mm, const uint64_t b[MM_BOUNDS])
{
    if (!good(b))
        return -EINVAL;
    mm_write_lock(mm);
    for (unsigned i = 0; i < MM_BOUNDS; i++)
        *bound(mm, i) = b[i];
    mm_write_unlock(mm);
    return 0;
}

int mm_set_bound(struct mm *mm, enum mm_bound which, uint64_t addr)
{
    uint64_t b[MM_BOUNDS];
    int err = 0;
    if (addr < MM_MIN_ADDR || addr >= PLAT_USER_MAX)
        return -EINVAL;
    mm_write_lock(mm);
    for (unsigned i = 0; i < MM_BOUNDS; i++)
        b[i] = *bound(mm, i);
    b[which] = addr;
    if (!good(b))
        err = -EINVAL;
    else if (which >= MM_START_STACK && !area_find(mm, addr))
        err = -EFAULT;
    else
        *bound(mm, which) = addr;
    mm_write_unlock(mm);
    return err;
}

void mm_set_auxv(struct mm *mm, const unsigned long words[MM_AUXV_WORDS])
{
    _Static_assert(sizeof(mm->auxv) == MM_AUXV_WORDS * sizeof(*words), "the whole vector");
    mm_write_lock(mm);
    memcpy(mm->auxv, words, sizeof(mm->auxv));
    mm_write_unlock(mm);
}

static bool is_mapped(struct mm *mm, const struct inode *inode)
{
    for (struct area *a = area_find(mm, 0); a; a = area_next(a))
        if (a->file && a->file->inode == inode)
            return true;
    return false;
}

int mm_replace_exe(struct mm *mm, struct file *f)
{
    struct file *old;
    int err = 0;
    mm_write_lock(mm);
    old = mm->exe;
    if (old && is_mapped(mm, old->inode))
        err = -EBUSY;
    else if (mm_set_exe(mm, f))
        err = -EACCES;
    mm_write_unlock(mm);
    if (err || !old)
        return err;
    if (old->inode)
        inode_allow_write(old->inode);
    file_put(old);
    return 0;
}

struct file *mm_exe_get(struct mm *mm)
{
    mm_read_lock(mm);
    struct file *f = mm->exe;
    if (f)
        file_get(f);
    mm_read_unlock(mm);
    return f;
}
