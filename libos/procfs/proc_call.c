/* SPDX-License-Identifier: MIT */
/* /proc/PID/syscall: the call that a sleeping thread is in, its arguments, and where it was made. proc_pid_syscall(5). */
#include "proc.h"
#include <abi/errno.h>
#include <libos/access.h>
#include <libos/thread.h>
#include <plat/thread.h>

int proc_show_call(struct text *text, const struct gen_ctx *c)
{
    struct thread *t = proc_thread(c);
    if (!t)
        return -ESRCH;
    int err = thread_may_access(t, ACCESS_ATTACH | ACCESS_FSCREDS);
    const struct plat_frame *f = t->plat.frame;
    bool runs = t->state == THREAD_RUNNING || t == thread_current();
    if (err) {
        thread_put(t);
        return err;
    }
    if (runs && t != thread_current()) {
        text_printf(text, "running\n");
    } else {
        long nr = plat_frame_nr(f);
        text_printf(text, "%ld", nr < 0 ? -1 : nr);
        for (unsigned i = 0; nr >= 0 && i < 6; i++)
            text_printf(text, " 0x%lx", plat_frame_arg(f, i));
        text_printf(text, " 0x%lx 0x%lx\n", (unsigned long)plat_frame_sp(f),
                    (unsigned long)plat_frame_ip(f));
    }
    thread_put(t);
    return 0;
}
