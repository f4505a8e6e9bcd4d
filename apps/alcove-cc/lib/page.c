/* SPDX-License-Identifier: MIT */
/* <alcove/page.h> over libOS's own calls; alcove_page_query reads the page tables and is in the kernel's part. */
#include "sys.h"

#include <alcove/page.h>

enum {
    LINUX_MAP_PRIVATE_ANONYMOUS = 0x22,
    LINUX_EINVAL = 22,
    ALL = ALCOVE_READ | ALCOVE_WRITE | ALCOVE_EXEC
};

int alcove_page_map(size_t size, unsigned prot, void **ret_address)
{
    if (prot & ~(unsigned)ALL)
        return -LINUX_EINVAL;
    long r = alcove_syscall(LINUX_MMAP, 0, (long)size, prot, LINUX_MAP_PRIVATE_ANONYMOUS, -1, 0);
    if (r < 0 && r > -4096)
        return (int)r;
    *ret_address = (void *)(uintptr_t)r;
    return 0;
}

int alcove_page_protect(void *address, size_t size, unsigned prot)
{
    if (prot & ~(unsigned)ALL)
        return -LINUX_EINVAL;
    return (int)alcove_syscall(LINUX_MPROTECT, (long)(uintptr_t)address, (long)size, prot, 0, 0, 0);
}

int alcove_page_unmap(void *address, size_t size)
{
    return (int)alcove_syscall(LINUX_MUNMAP, (long)(uintptr_t)address, (long)size, 0, 0, 0, 0);
}
