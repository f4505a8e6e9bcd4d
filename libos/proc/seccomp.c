/* SPDX-License-Identifier: MIT */
/* System call filters: seccomp(2). A thread has a chain of filters that only grows; children share its tail. Each call runs
 * all of them, and the strictest answer counts. Only a thread with filters comes here: its calls take the other entry.
 * Lock: sig_lock for the chain of each thread of a process; the thread itself reads its own without. */
#include "seccomp_int.h"
#include "proc.h"
#include "trace_int.h"
#include <abi/errno.h>
#include <abi/prctl.h>
#include <base/log.h>
#include <libos/file.h>
#include <libos/heap.h>
#include <libos/bpf.h>
#include <libos/sched.h>
#include <plat/cpu.h>
#include <string.h>
#include <utlist.h>

enum { PATH_MAX_INSNS = 32768, NR_READ = 0, NR_WRITE = 1, NR_SIGRETURN = 15, NR_EXIT = 60 };

bool seccomp_action_known(uint32_t action)
{
    switch (action) {
    case SECCOMP_RET_KILL_PROCESS:
    case SECCOMP_RET_KILL_THREAD:
    case SECCOMP_RET_TRAP:
    case SECCOMP_RET_ERRNO:
    case SECCOMP_RET_USER_NOTIF:
    case SECCOMP_RET_TRACE:
    case SECCOMP_RET_LOG:
    case SECCOMP_RET_ALLOW:
        return true;
    default:
        return false;
    }
}

void seccomp_filter_put(struct seccomp_filter *f)
{
    while (f && !--f->refs) {
        struct seccomp_filter *prev = f->prev;
        if (f->listener)
            seccomp_listener_put(f->listener);
        heap_free(f);
        f = prev;
    }
}

/* One user less of f, which may end the use of those that it stands on. */
static void filter_leave(struct seccomp_filter *f)
{
    for (; f && !--f->users; f = f->prev)
        if (f->listener)
            seccomp_listener_unused(f->listener);
}

void seccomp_inherit(struct thread *child, const struct thread *from)
{
    struct seccomp_filter *f = from->seccomp.filter;
    child->seccomp = from->seccomp;
    if (f) {
        f->refs++;
        f->users++;
    }
}

void seccomp_exit(struct thread *t)
{
    if (!t->seccomp.filter)
        return; /* nobody gives any to one that ends */
    spin_lock(&t->process->sig_lock);
    struct seccomp_filter *f = t->seccomp.filter;
    t->seccomp.filter = NULL;
    t->seccomp.mode = SECCOMP_MODE_DISABLED;
    spin_unlock(&t->process->sig_lock);
    filter_leave(f);
    seccomp_filter_put(f);
}

unsigned seccomp_count(const struct thread *t)
{
    unsigned n = 0;
    for (const struct seccomp_filter *f = t->seccomp.filter; f; f = f->prev)
        n++;
    return n;
}

int seccomp_get_filter(struct thread *t, uint64_t off, struct abi_sock_filter **ret,
                       unsigned *ret_n, bool *ret_log)
{
    struct thread *me = thread_current();
    if (!cred_capable(CAP_SYS_ADMIN) || me->seccomp.mode != SECCOMP_MODE_DISABLED)
        return -EACCES;
    spin_lock(&t->process->sig_lock);
    struct seccomp_filter *f = t->seccomp.filter; /* NULL also of a tracee that was killed */
    if (f)
        f->refs++;
    spin_unlock(&t->process->sig_lock);
    if (!f)
        return -EINVAL;
    uint64_t count = 0;
    const struct seccomp_filter *x = f;
    for (; x; x = x->prev)
        count++;
    for (x = f; off < count && count - off > 1; count--)
        x = x->prev;
    struct abi_sock_filter *copy = off < count ? heap_alloc(x->len * sizeof(*copy)) : NULL;
    if (copy) {
        memcpy(copy, x->prog, x->len * sizeof(*copy));
        *ret = copy;
        *ret_n = x->len;
        *ret_log = x->log;
    }
    int err = off >= count ? -ENOENT : copy ? 0 : -ENOMEM;
    seccomp_filter_put(f);
    return err;
}

/* The call as filters see it. */
static void fill_data(struct abi_seccomp_data *d, const struct plat_frame *f)
{
    d->nr = (int32_t)plat_frame_nr(f);
    d->arch = AUDIT_ARCH_X86_64;
    d->instruction_pointer = plat_frame_ip(f);
    for (unsigned i = 0; i < 6; i++)
        d->args[i] = plat_frame_arg(f, i);
}

/* What all filters together say; *ret_by: the newest of those that say it. */
static uint32_t run_all(const struct thread *t, const struct abi_seccomp_data *data,
                        struct seccomp_filter **ret_by)
{
    uint32_t strictest = SECCOMP_RET_ALLOW, words[sizeof(*data) / 4];
    struct seccomp_filter *f = __atomic_load_n(&t->seccomp.filter, __ATOMIC_ACQUIRE);
    memcpy(words, data, sizeof(words));
    *ret_by = f;
    for (; f; f = f->prev) {
        uint32_t said = bpf_run(f->prog, words, sizeof(words));
        if ((int32_t)(said & SECCOMP_RET_ACTION_FULL) <
            (int32_t)(strictest & SECCOMP_RET_ACTION_FULL)) {
            strictest = said;
            *ret_by = f;
        }
    }
    return strictest;
}

static void send_sigsys(struct thread *t, const struct abi_seccomp_data *d, int code,
                        uint32_t reason, bool fatal)
{
    struct abi_siginfo info = {
        .si_signo = SIGSYS,
        .si_errno = (int)reason,
        .si_code = code,
        .sys = { .si_call_addr = d->instruction_pointer, .si_syscall = d->nr, .si_arch = d->arch }
    };
    signal_force_info(t, &info, fatal);
}

void seccomp_sigsys(struct thread *t, int code, bool fatal)
{
    struct abi_seccomp_data d;
    fill_data(&d, t->plat.frame);
    plat_frame_set_ret(t->plat.frame, d.nr);
    send_sigsys(t, &d, code, 0, fatal);
}

/* The call is worth a death: of the thread while others go on, or of the process. */
static bool kill(struct thread *t, const struct abi_seccomp_data *d, uint32_t said)
{
    bool only_thread = (said & SECCOMP_RET_ACTION_FULL) == SECCOMP_RET_KILL_THREAD;
    log_info("%s[%d]: system call %d refused by a filter", t->comm, t->process->pid, d->nr);
    if (only_thread && t->process->nthreads > 1)
        thread_exit(SIGSYS);
    send_sigsys(t, d, SYS_SECCOMP, said & SECCOMP_RET_DATA, true);
    return false;
}

static bool check_filters(struct thread *t, bool again);

/* Let the tracer decide; it may have changed the call, which is then looked at once more. */
static bool ask_tracer(struct thread *t, uint32_t said)
{
    struct plat_frame *f = t->plat.frame;
    if (!t->trace.tracer || !(t->trace.options & PTRACE_O_TRACESECCOMP)) {
        plat_frame_set_ret(f, -ENOSYS);
        return false;
    }
    trace_event(PTRACE_EVENT_SECCOMP, said & SECCOMP_RET_DATA);
    if (t->plat.work & WORK_KILLED || plat_frame_nr(f) < 0)
        return false;
    return check_filters(t, true);
}

static bool ask_listener(struct thread *t, struct seccomp_filter *by,
                         const struct abi_seccomp_data *data)
{
    long ret = -ENOSYS;
    if (by && by->listener && seccomp_listener_ask(by->listener, data, &ret))
        return true;
    plat_frame_set_ret(t->plat.frame, ret);
    return false;
}

/* again: a tracer was asked already. */
static bool check_filters(struct thread *t, bool again)
{
    struct plat_frame *f = t->plat.frame;
    struct abi_seccomp_data data;
    struct seccomp_filter *by;
    fill_data(&data, f);
    uint32_t said = run_all(t, &data, &by), reason = said & SECCOMP_RET_DATA;
    switch (said & SECCOMP_RET_ACTION_FULL) {
    case SECCOMP_RET_LOG:
        log_info("%s[%d]: system call %d noted by a filter", t->comm, t->process->pid, data.nr);
        return true;
    case SECCOMP_RET_ALLOW:
        return true;
    case SECCOMP_RET_ERRNO:
        plat_frame_set_ret(f, -(long)(reason < 4095 ? reason : 4095));
        return false;
    case SECCOMP_RET_TRAP:
        plat_frame_set_ret(f, data.nr);
        send_sigsys(t, &data, SYS_SECCOMP, reason, false);
        return false;
    case SECCOMP_RET_TRACE:
        return again || ask_tracer(t, said);
    case SECCOMP_RET_USER_NOTIF:
        return ask_listener(t, by, &data);
    default:
        return kill(t, &data, said);
    }
}

bool seccomp_check(struct thread *t)
{
    long nr = plat_frame_nr(t->plat.frame);
    if (t->trace.tracer && t->trace.options & PTRACE_O_SUSPEND_SECCOMP)
        return true;
    if (t->seccomp.mode == SECCOMP_MODE_FILTER)
        return check_filters(t, false);
    if (nr == NR_READ || nr == NR_WRITE || nr == NR_SIGRETURN || nr == NR_EXIT)
        return true;
    log_info("%s[%d]: system call %ld in strict mode", t->comm, t->process->pid, nr);
    thread_exit(SIGKILL);
}

int seccomp_set_strict(void)
{
    struct thread *t = thread_current();
    spin_lock(&t->process->sig_lock);
    int err = t->seccomp.mode == SECCOMP_MODE_FILTER ? -EINVAL : 0;
    if (!err) {
        t->seccomp.mode = SECCOMP_MODE_STRICT;
        trace_update_calls(t);
    }
    spin_unlock(&t->process->sig_lock);
    return err;
}

static bool has_listener(const struct seccomp_filter *f)
{
    for (; f; f = f->prev)
        if (f->listener)
            return true;
    return false;
}

static bool stands_on(const struct seccomp_filter *f, const struct seccomp_filter *below)
{
    while (f && f != below)
        f = f->prev;
    return f == below;
}

/* The first other thread that could not take over the filters of t; NULL. sig_lock is held. */
static struct thread *out_of_step(struct thread *t)
{
    struct thread *o;
    DL_FOREACH(t->process->threads, o)
    {
        bool fits = o->seccomp.mode == SECCOMP_MODE_DISABLED ||
                    (o->seccomp.mode == SECCOMP_MODE_FILTER &&
                     stands_on(t->seccomp.filter, o->seccomp.filter));
        if (o != t && !o->exiting && !fits)
            return o;
    }
    return NULL;
}

/* Give the filters of t to all threads of its process. sig_lock is held. Filters that they had stay alive: t's stand on
 * them. */
static void sync_threads(struct thread *t)
{
    struct thread *o;
    DL_FOREACH(t->process->threads, o)
    {
        struct seccomp_filter *old = o->seccomp.filter;
        if (o == t || o->exiting)
            continue;
        t->seccomp.filter->refs++;
        t->seccomp.filter->users++;
        __atomic_store_n(&o->seccomp.filter, t->seccomp.filter, __ATOMIC_RELEASE);
        o->seccomp.mode = SECCOMP_MODE_FILTER;
        if (t->no_new_privs)
            o->no_new_privs = true;
        filter_leave(old);
        seccomp_filter_put(old);
        trace_update_calls(o);
        thread_set_work(o, WORK_TASK); /* on the way back it loads the other entry */
        if (o->on_cpu && o->cpu != plat_cpu_id())
            plat_cpu_kick(o->cpu);
    }
}

/* Hang take_f in front of the current thread's filters. */
static long attach(struct seccomp_filter *take_f, unsigned flags)
{
    struct thread *t = thread_current(), *bad;
    long err = 0;
    spin_lock(&t->process->sig_lock);
    struct seccomp_filter *old = t->seccomp.filter;
    unsigned total = take_f->len + (old ? old->total + 4u : 0);
    if (t->seccomp.mode == SECCOMP_MODE_STRICT)
        err = -EINVAL;
    else if (take_f->listener && has_listener(old))
        err = -EBUSY;
    else if (total > PATH_MAX_INSNS)
        err = -ENOMEM;
    else if (flags & SECCOMP_FILTER_FLAG_TSYNC && (bad = out_of_step(t)))
        err = flags & SECCOMP_FILTER_FLAG_TSYNC_ESRCH ? -ESRCH : bad->tid;
    if (!err) {
        take_f->total = (uint16_t)total;
        take_f->prev = old; /* with the thread's reference and use */
        __atomic_store_n(&t->seccomp.filter, take_f, __ATOMIC_RELEASE);
        t->seccomp.mode = SECCOMP_MODE_FILTER;
        trace_update_calls(t);
        if (flags & SECCOMP_FILTER_FLAG_TSYNC)
            sync_threads(t);
    }
    spin_unlock(&t->process->sig_lock);
    if (err)
        seccomp_filter_put(take_f);
    return err;
}

static int make_filter(const struct abi_sock_filter *prog, unsigned n, struct seccomp_filter **ret)
{
    uint16_t *scratch = heap_alloc(n * sizeof(*scratch));
    struct seccomp_filter *f =
        heap_alloc(sizeof(struct seccomp_filter) + n * sizeof(struct abi_sock_filter));
    int err = scratch && f ? bpf_check(prog, n, sizeof(struct abi_seccomp_data), scratch) : -ENOMEM;
    heap_free(scratch);
    if (err) {
        heap_free(f);
        return err;
    }
    memset(f, 0, sizeof(*f));
    f->refs = f->users = 1;
    f->len = (uint16_t)n;
    memcpy(f->prog, prog, n * sizeof(*prog));
    *ret = f;
    return 0;
}

long seccomp_set_filter(struct abi_sock_filter *take_prog, unsigned n, unsigned flags)
{
    struct seccomp_filter *f;
    struct file *file = NULL;
    long err = make_filter(take_prog, n, &f);
    heap_free(take_prog);
    if (err)
        return err;
    f->log = flags & SECCOMP_FILTER_FLAG_LOG;
    if (flags & SECCOMP_FILTER_FLAG_NEW_LISTENER)
        err = seccomp_listener_create(flags & SECCOMP_FILTER_FLAG_WAIT_KILLABLE_RECV, &f->listener,
                                      &file);
    int fd = !err && file ? fd_install(file, true) : -1;
    if (!err && file && fd < 0)
        err = fd;
    if (err) {
        seccomp_filter_put(f);
        return err;
    }
    err = attach(f, flags);
    if (err && fd >= 0)
        (void)fd_close(fd); /* it was never told to anybody */
    return err ? err : fd >= 0 ? fd : 0;
}
