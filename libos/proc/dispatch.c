/* SPDX-License-Identifier: MIT */
/* System calls that a program handles itself, PR_SET_SYSCALL_USER_DISPATCH: those from outside of one region become SIGSYS, while a byte
 * of the program's says so. Only the thread itself reads and changes its setting. */
#include "seccomp_int.h"
#include "trace_int.h"

#include <abi/errno.h>
#include <abi/prctl.h>
#include <libos/dispatch.h>
#include <libos/process.h>
#include <libos/signal.h>
#include <libos/user.h>
#include <plat/mmu.h>

enum { SELECTOR_ALLOW, SELECTOR_BLOCK };

static void set(struct thread *t, bool on)
{
    spin_lock(&t->process->sig_lock);
    t->dispatch.on = on;
    trace_update_calls(t);
    spin_unlock(&t->process->sig_lock);
}

int dispatch_set(unsigned long mode, uintptr_t start, size_t size, uintptr_t selector)
{
    struct thread *t = thread_current();
    if (mode == PR_SYS_DISPATCH_OFF) {
        if (start || size || selector)
            return -EINVAL;
        if (t->dispatch.on)
            set(t, false);
        return 0;
    }
    if (mode != PR_SYS_DISPATCH_ON || (start && start + size <= start))
        return -EINVAL;
    if (selector >= PLAT_USER_MAX)
        return -EFAULT;
    t->dispatch.start = start;
    t->dispatch.size = size;
    t->dispatch.selector = selector;
    set(t, true);
    return 0;
}

void dispatch_exec(struct thread *t)
{
    if (t->dispatch.on)
        set(t, false);
}

bool dispatch_check(struct thread *t)
{
    const struct plat_frame *f = t->plat.frame;
    uint8_t state = SELECTOR_BLOCK;
    if (plat_frame_ip(f) - t->dispatch.start < t->dispatch.size)
        return true;
    if (t->dispatch.selector) {
        if (user_get(&state, user_at(user_u8_in_t, t->dispatch.selector), 1)) {
            struct abi_siginfo info = { .si_signo = SIGSEGV, .si_code = SI_KERNEL };
            signal_force_info(t, &info, true);
            return false;
        }
        if (state == SELECTOR_ALLOW)
            return true;
    }
    seccomp_sigsys(t, SYS_USER_DISPATCH, state != SELECTOR_BLOCK);
    return false;
}
