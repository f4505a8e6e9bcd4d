/* SPDX-License-Identifier: MIT */
/* unshare(2): give up what is shared with others. */
#include "proc.h"
#include <abi/errno.h>
#include <abi/prctl.h>
#include <abi/sched.h>
#include <libos/file.h>
#include <libos/ipc.h>
#include <libos/vfs.h>

int process_unshare(unsigned long flags)
{
    struct thread *t = thread_current();
    if (flags & CLONE_NEWUSER)
        return -EINVAL; /* as a kernel that was built without any */
    if (flags & (CLONE_NEWNS | CLONE_NEWCGROUP | CLONE_NEWUTS | CLONE_NEWIPC | CLONE_NEWPID |
                 CLONE_NEWNET | CLONE_NEWTIME))
        return cred_capable(CAP_SYS_ADMIN) ? -EINVAL : -EPERM;
    /* Only a process with one thread can be alone with its memory, actions and threads; then it is. */
    if (flags & (CLONE_THREAD | CLONE_SIGHAND | CLONE_VM) && t->process->nthreads > 1)
        return -EINVAL;
    if (flags & CLONE_SYSVSEM)
        sem_leave_undo(t);
    if (flags & CLONE_FS && t->fs && t->fs->refs > 1) {
        struct fs_context *fs = fs_context_copy(t->fs);
        if (!fs)
            return -ENOMEM;
        struct fs_context *old = t->fs;
        spin_lock(&t->process->sig_lock); /* others take it under this lock */
        t->fs = fs;
        spin_unlock(&t->process->sig_lock);
        fs_context_put(old);
    }
    if (flags & CLONE_FILES && t->fds && t->fds->refs > 1) {
        struct fd_table *fds;
        int err = fd_table_copy(t->fds, &fds);
        if (err)
            return err;
        fd_table_swap(fds);
    }
    return 0;
}
