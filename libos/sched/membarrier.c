/* SPDX-License-Identifier: MIT */
/* membarrier(2). A thread that does not run has passed a barrier when it was switched out; the platform makes those that
 * run pass one. Registrations are bits in the address space. */
#include <abi/errno.h>
#include <abi/mman.h>
#include <libos/mm.h>
#include <libos/thread.h>
#include <plat/cpu.h>

enum {
    SUPPORTED =
        MEMBARRIER_CMD_GLOBAL | MEMBARRIER_CMD_GLOBAL_EXPEDITED |
        MEMBARRIER_CMD_REGISTER_GLOBAL_EXPEDITED | MEMBARRIER_CMD_PRIVATE_EXPEDITED |
        MEMBARRIER_CMD_REGISTER_PRIVATE_EXPEDITED | MEMBARRIER_CMD_PRIVATE_EXPEDITED_SYNC_CORE |
        MEMBARRIER_CMD_REGISTER_PRIVATE_EXPEDITED_SYNC_CORE | MEMBARRIER_CMD_GET_REGISTRATIONS
};

int thread_membarrier(int cmd, unsigned flags, int cpu)
{
    struct mm *mm = thread_current()->mm;
    (void)cpu; /* only with the RSEQ command's flag, which is not supported */
    if (flags)
        return -EINVAL;
    switch (cmd) {
    case MEMBARRIER_CMD_QUERY:
        return SUPPORTED;
    case MEMBARRIER_CMD_GLOBAL:
    case MEMBARRIER_CMD_GLOBAL_EXPEDITED:
        plat_membarrier(NULL);
        return 0;
    case MEMBARRIER_CMD_PRIVATE_EXPEDITED:
    case MEMBARRIER_CMD_PRIVATE_EXPEDITED_SYNC_CORE:
        if (!(mm->membarrier & (unsigned)cmd << 1))
            return -EPERM;
        plat_membarrier(&mm->aspace);
        return 0;
    case MEMBARRIER_CMD_REGISTER_GLOBAL_EXPEDITED:
    case MEMBARRIER_CMD_REGISTER_PRIVATE_EXPEDITED:
    case MEMBARRIER_CMD_REGISTER_PRIVATE_EXPEDITED_SYNC_CORE:
        mm->membarrier |= (unsigned)cmd;
        return 0;
    case MEMBARRIER_CMD_GET_REGISTRATIONS:
        return (int)mm->membarrier;
    default:
        return -EINVAL;
    }
}
