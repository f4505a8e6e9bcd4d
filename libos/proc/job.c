/* SPDX-License-Identifier: MIT */
/* Process groups and sessions: setpgid(2), setsid(2), credentials(7). Lock: process_lock. */
#include "pid.h"
#include "proc.h"
#include <abi/errno.h>
#include <utlist.h>

static struct process *find(int pid)
{
    return pid ? process_find_locked(pid) : process_current();
}

/* Is there a process of session sid in group pgid? */
static bool group_in_session(int pgid, int sid)
{
    for (int pid = 1; pid < PID_MAX; pid++) {
        struct process *p = process_find_locked(pid);
        if (p && p->pgid == pgid && p->sid == sid)
            return true;
    }
    return false;
}

static int check_setpgid(struct process *p, int pgid)
{
    struct process *cur = process_current();
    if (!p || (p != cur && p->parent != cur))
        return -ESRCH;
    if (p != cur && p->sid != cur->sid)
        return -EPERM;
    if (p != cur && p->exec_done)
        return -EACCES;
    if (p->is_session_leader)
        return -EPERM;
    return pgid != p->pid && !group_in_session(pgid, cur->sid) ? -EPERM : 0;
}

int process_set_group(int pid, int pgid)
{
    if (pgid < 0)
        return -EINVAL;
    spin_lock(&process_lock);
    struct process *p = find(pid);
    pgid = pgid ? pgid : p ? p->pid : 0;
    int err = check_setpgid(p, pgid);
    if (!err) {
        pid_use(pgid);
        pid_unuse(p->pgid);
        p->pgid = pgid;
    }
    spin_unlock(&process_lock);
    return err;
}

int process_get_group(int pid)
{
    spin_lock(&process_lock);
    struct process *p = find(pid);
    int pgid = p ? p->pgid : -ESRCH;
    spin_unlock(&process_lock);
    return pgid;
}

int process_get_session(int pid)
{
    spin_lock(&process_lock);
    struct process *p = find(pid);
    int sid = p ? p->sid : -ESRCH;
    spin_unlock(&process_lock);
    return sid;
}

static int same_group(struct process *p, void *arg)
{
    return *(int *)arg == p->pgid;
}

int process_new_session(void)
{
    struct process *p = process_current();
    int pid = p->pid;
    spin_lock(&process_lock);
    if (p->is_session_leader || process_each(pid, same_group, &pid)) {
        spin_unlock(&process_lock);
        return -EPERM;
    }
    pid_unuse(p->pgid);
    pid_unuse(p->sid);
    p->pgid = p->sid = pid;
    pid_use(pid);
    pid_use(pid);
    p->is_session_leader = true;
    p->tty = NULL;
    spin_unlock(&process_lock);
    return pid;
}

int process_parent_pid(void)
{
    spin_lock(&process_lock);
    struct process *parent = process_current()->parent;
    int pid = parent ? parent->pid : 0;
    spin_unlock(&process_lock);
    return pid;
}

/* Does p have a parent that could continue it: in its session, but not in its group? */
static int has_guardian(struct process *p, void *arg)
{
    const struct process *parent = p->parent;
    return !p->zombie && parent && !parent->zombie && parent->sid == p->sid &&
           parent->pgid != p->pgid;
}

bool process_group_orphaned(int pgid)
{
    spin_lock(&process_lock);
    bool orphaned = !process_each(pgid, has_guardian, NULL);
    spin_unlock(&process_lock);
    return orphaned;
}
