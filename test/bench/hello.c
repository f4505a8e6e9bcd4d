/* SPDX-License-Identifier: MIT */
/* The boot measurement: a mark for the counting plugin, then the first byte of output. Run as process 1 of a Linux
 * guest it ends the machine itself. With an argument N it first sleeps N seconds between two marks: the cost of an
 * idle guest. */
#include <stdlib.h>
#include <sys/reboot.h>
#include <unistd.h>

#define MARK(id)                                                                                   \
    __asm__ volatile(".byte 0x0f,0x1f,0x80\n\t.long 0x554c0000|%c0" ::"i"(id) : "memory")

int main(int argc, char **argv)
{
    unsigned seconds = argc > 1 ? (unsigned)atoi(argv[1]) : 0;

    MARK(0xb0);
    if (write(1, "hello\n", 6) != 6)
        return 1;
    if (seconds) {
        sleep(1); /* what boot left to do is over */
        MARK(0xb1);
        sleep(seconds);
        MARK(0xe1);
    }
    if (getpid() == 1 && argc <= 2 && getenv("LINUX_GUEST"))
        reboot(RB_POWER_OFF);
    return 0;
}
