/* SPDX-License-Identifier: MIT */
/* libOS's lower half and the real drivers, without a program: tests talk to the device classes from a kernel thread. What a
 * device should be is the test script's to say, from the lines that are printed. */
#include "devices_test.h"

#include <libos/dev/driver.h>
#include <libos/page.h>
#include <libos/random.h>
#include <libos/sched.h>
#include <libos/time.h>
#include <libos/vfs.h>
#include <plat/boot.h>
#include <plat/console.h>
#include <plat/cpu.h>
#include <plat/time.h>
#include <plat/upcall.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* The kernel's; no process ends here. */
NORETURN void machine_exit(int wait_status);
NORETURN void machine_exit(int wait_status)
{
    plat_power_off(wait_status != 0);
}

void say(const char *format, ...)
{
    char line[256];
    va_list args;

    va_start(args, format);
    int n = vsnprintf(line, sizeof(line), format, args);
    va_end(args);
    plat_console_write(line, (size_t)n < sizeof(line) ? (size_t)n : sizeof(line) - 1);
    plat_console_write("\r\n", 2);
}

unsigned long option(const char *name)
{
    const char *s = plat_boot_info()->vmm_cmdline;
    size_t n = strlen(name);

    for (; (s = strstr(s, name)); s += n)
        if ((s == plat_boot_info()->vmm_cmdline || s[-1] == ' ') && s[n] == '=')
            return strtoul(s + n + 1, NULL, 0);
    return 0;
}

static void run(void *arg)
{
    (void)arg;
    test_blk();
    test_net();
    say("devices: PASSED");
    plat_power_off(false);
}

void upcall_boot(void)
{
    page_init();
    sched_init_cpu(0);
    random_init();
    time_init();
    must(!vfs_init(NULL, 0));
    if (option("hostile"))
        must(!drivers_hostile_vmm());
    drivers_probe_channels();
    plat_cpu_start_all();
    sched_wait_cpus();
    uint64_t start = plat_time_ns();
    drivers_probe();
    say("probe ns=%u", (unsigned)(plat_time_ns() - start)); /* with -icount shift=0: instructions */
    must(random_ready());                                   /* by the CPU, or by virtio-rng */
    must(!thread_create_kernel("test", run, NULL));
    sched_idle();
}
