/* SPDX-License-Identifier: MIT */
/* What the machine tells: that it goes on from a snapshot, and an orderly end that it asks for: SIGTERM to the first process, and SIGKILL when it has not ended in time,
 * which is half of what VMMs and clouds commonly allow before they turn the machine off. */
#include <abi/signal.h>
#include <base/log.h>
#include <libos/process.h>
#include <libos/random.h>
#include <libos/signal.h>
#include <libos/timer.h>
#include <plat/time.h>
#include <plat/upcall.h>
#include <stdatomic.h>

#define GRACE_NS (30ull * 1000000000)

static struct timer grace;
static atomic_bool asked;

static void send(int sig)
{
    struct process *p = process_find(1);

    if (!p)
        return; /* still booting: the button has to be pressed again */
    signal_kernel(p, sig);
    process_put(p);
}

static void too_late(struct timer *t)
{
    (void)t;
    log_warn("power button: the program did not end within %u s of SIGTERM",
             (unsigned)(GRACE_NS / 1000000000));
    send(SIGKILL);
}

void upcall_resumed(void)
{
    random_reseed();
    clock_resumed();
}

void upcall_power_button(void)
{
    send(SIGTERM);
    if (!atomic_exchange(&asked, true)) {
        timer_init(&grace, too_late);
        timer_start(&grace, plat_time_ns() + GRACE_NS);
    }
}
