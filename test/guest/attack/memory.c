/* SPDX-License-Identifier: MIT */
/* Touch memory without end: the program is killed, with a report; the kernel lives to say so. */
#include "attack.h"

int main(void)
{
    for (;;) {
        char *p = mmap(NULL, 1 << 20, PROT_READ | PROT_WRITE,
                       MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
        if (p == MAP_FAILED)
            raise(SIGKILL); /* refused: as good an end */
        memset(p, 1, 1 << 20);
    }
}
