/* SPDX-License-Identifier: MIT */
/* prctl(2): what programs ask of it; the rest is EINVAL, as on a Linux without the feature. */
#include "prctl_mm.h"
#include "seccomp.h"
#include "sys_proto.h"
#include <abi/prctl.h>
#include <libos/access.h>
#include <libos/mm.h>
#include <libos/process.h>
#include <libos/dispatch.h>
#include <libos/seccomp.h>
#include <libos/tsc.h>
#include <libos/user.h>
#include <string.h>

enum {
    SECURE_KEEP_CAPS = 1 << 4,
    SECURE_KEEP_CAPS_LOCKED = 1 << 5,
    SECURE_ALL = 0xff,
    SECURE_NO_AMBIENT_RAISE = 1 << 6
};

static int set_name(uintptr_t addr)
{
    char name[16] = { 0 };
    struct thread *t = thread_current();
    long n = user_str(name, sizeof(name), user_at(user_str_t, addr));
    if (n == -EFAULT)
        return -EFAULT;
    name[sizeof(name) - 1] = 0; /* longer ones are cut */
    memcpy(t->comm, name, sizeof(t->comm));
    return 0;
}

/* A private copy of the credentials with one thing changed; install it. */
static int change_cred(void (*change)(struct cred *c, unsigned long arg), unsigned long arg)
{
    struct cred *c = cred_copy(thread_current()->cred);
    if (!c)
        return -ENOMEM;
    change(c, arg);
    return cred_install(c);
}

static void set_securebits(struct cred *c, unsigned long arg)
{
    c->securebits = (uint32_t)arg;
}

static void drop_bounding(struct cred *c, unsigned long cap)
{
    c->cap_bounding &= ~(1ull << cap);
}

static void set_ambient(struct cred *c, unsigned long set)
{
    c->cap_ambient = set;
}

static int securebits(unsigned long bits)
{
    const struct cred *c = thread_current()->cred;
    uint32_t locks = c->securebits >> 1 & 0x55;
    if (bits & ~(unsigned long)SECURE_ALL || (locks & (c->securebits ^ bits)) ||
        (c->securebits & 0xaa & ~bits) || !cred_capable(CAP_SETPCAP))
        return -EPERM;
    return change_cred(set_securebits, bits);
}

static int keep_caps(unsigned long on)
{
    uint32_t bits = thread_current()->cred->securebits;
    if (on > 1)
        return -EINVAL;
    if (bits & SECURE_KEEP_CAPS_LOCKED)
        return -EPERM;
    return change_cred(set_securebits,
                       on ? bits | SECURE_KEEP_CAPS : bits & ~(uint32_t)SECURE_KEEP_CAPS);
}

static int ambient(unsigned long op, unsigned long cap, unsigned long arg4, unsigned long arg5)
{
    const struct cred *c = thread_current()->cred;
    if (op == PR_CAP_AMBIENT_CLEAR_ALL)
        return cap | arg4 | arg5 ? -EINVAL : change_cred(set_ambient, 0);
    if (cap > CAP_LAST_CAP || arg4 | arg5)
        return -EINVAL;
    uint64_t bit = 1ull << cap;
    switch (op) {
    case PR_CAP_AMBIENT_IS_SET:
        return !!(c->cap_ambient & bit);
    case PR_CAP_AMBIENT_RAISE:
        if (!(c->cap_permitted & c->cap_inheritable & bit) ||
            c->securebits & SECURE_NO_AMBIENT_RAISE)
            return -EPERM;
        return change_cred(set_ambient, c->cap_ambient | bit);
    case PR_CAP_AMBIENT_LOWER:
        return change_cred(set_ambient, c->cap_ambient & ~bit);
    default:
        return -EINVAL;
    }
}

static int put_int(unsigned long addr, int value)
{
    return user_put(user_at(user_int_out_t, addr), &value, 1);
}

/* Options about capabilities and privileges. *ret_known: it was one. */
static int cred_option(int option, unsigned long a2, unsigned long a3, unsigned long a4,
                       unsigned long a5, bool *ret_known)
{
    const struct cred *c = thread_current()->cred;
    *ret_known = true;
    switch (option) {
    case PR_GET_KEEPCAPS:
        return !!(c->securebits & SECURE_KEEP_CAPS);
    case PR_SET_KEEPCAPS:
        return keep_caps(a2);
    case PR_GET_SECUREBITS:
        return (int)c->securebits;
    case PR_SET_SECUREBITS:
        return securebits(a2);
    case PR_CAPBSET_READ:
        return a2 > CAP_LAST_CAP ? -EINVAL : (int)(c->cap_bounding >> a2 & 1);
    case PR_CAPBSET_DROP:
        if (!cred_capable(CAP_SETPCAP))
            return -EPERM;
        return a2 > CAP_LAST_CAP ? -EINVAL : change_cred(drop_bounding, a2);
    case PR_CAP_AMBIENT:
        return ambient(a2, a3, a4, a5);
    case PR_SET_NO_NEW_PRIVS:
        if (a2 != 1 || a3 | a4 | a5)
            return -EINVAL;
        thread_current()->no_new_privs = true;
        return 0;
    case PR_GET_NO_NEW_PRIVS:
        return a2 | a3 | a4 | a5 ? -EINVAL : thread_current()->no_new_privs;
    default:
        *ret_known = false;
        return -EINVAL;
    }
}

/* PR_SET_VMA_ANON_NAME. What maps shows must stay one line, and names are not taken for patterns. */
static int name_area(uintptr_t start, size_t size, uintptr_t up)
{
    char name[AREA_NAME_MAX];
    if (up) {
        int n = user_str(name, sizeof(name), user_at(user_str_t, up));
        if (n < 0)
            return n == -ENAMETOOLONG ? -EINVAL : n;
        for (const char *c = name; *c; c++)
            if (*c < 0x20 || *c >= 0x7f || strchr("\\`$[]", *c))
                return -EINVAL;
    }
    return mm_set_name(thread_current()->mm, start, size, up ? name : NULL);
}

/* As much of the auxiliary vector as fits; the size of all of it. */
static int get_auxv(uintptr_t to, size_t size)
{
    const struct mm *mm = thread_current()->mm;
    size_t n = size < sizeof(mm->auxv) ? size : sizeof(mm->auxv);
    int err = user_put(user_at(user_u8_out_t, to), (const uint8_t *)mm->auxv, n);
    return err ? err : (int)sizeof(mm->auxv);
}

/* No memory that is writable and executable, nor becomes executable later; not to be taken back. */
static int set_mdwe(struct mm *mm, unsigned long bits)
{
    if (bits & ~(unsigned long)(PR_MDWE_REFUSE_EXEC_GAIN | PR_MDWE_NO_INHERIT) ||
        bits == PR_MDWE_NO_INHERIT)
        return -EINVAL;
    if (mm->mdwe && mm->mdwe != bits)
        return -EPERM;
    mm->mdwe = (uint8_t)bits;
    return 0;
}

/* PR_MCE_KILL and PR_SET_IO_FLUSHER and what reads them: kept, though no memory fails and nobody flushes. */
static int machine_option(int option, unsigned long a2, unsigned long a3, unsigned long rest)
{
    struct thread *t = thread_current();
    bool flusher = option == PR_SET_IO_FLUSHER || option == PR_GET_IO_FLUSHER;
    if (flusher && !cred_capable(CAP_SYS_RESOURCE))
        return -EPERM;
    if (rest || (a3 && option != PR_MCE_KILL))
        return -EINVAL;
    switch (option) {
    case PR_SET_IO_FLUSHER:
        if (a2 > 1)
            return -EINVAL;
        t->io_flusher = a2;
        return 0;
    case PR_GET_IO_FLUSHER:
        return a2 ? -EINVAL : t->io_flusher;
    case PR_MCE_KILL_GET:
        return a2 ? -EINVAL : t->mce_kill ? t->mce_kill - 1 : PR_MCE_KILL_DEFAULT;
    default: /* PR_MCE_KILL */
        if (a2 == PR_MCE_KILL_CLEAR ? a3 != 0 : a2 != PR_MCE_KILL_SET || a3 > PR_MCE_KILL_DEFAULT)
            return -EINVAL;
        t->mce_kill = a2 == PR_MCE_KILL_SET ? (uint8_t)(1 + a3) : 0;
        return 0;
    }
}

/* Options about memory. */
static int mm_option(int option, unsigned long a2, unsigned long a3, unsigned long a4,
                     unsigned long a5)
{
    struct mm *mm = thread_current()->mm;
    switch (option) {
    case PR_GET_DUMPABLE:
        return mm->dumpable;
    case PR_SET_DUMPABLE:
        if (a2 > 1)
            return -EINVAL;
        mm->dumpable = a2;
        return 0;
    case PR_SET_THP_DISABLE:
        if (a3 | a4 | a5)
            return -EINVAL;
        mm->def_flags = a2 ? mm->def_flags | AREA_NOHUGE : mm->def_flags & ~(uint32_t)AREA_NOHUGE;
        return 0;
    case PR_GET_THP_DISABLE:
        return a2 | a3 | a4 | a5 ? -EINVAL : !!(mm->def_flags & AREA_NOHUGE);
    case PR_SET_MM:
        return prctl_set_mm(a2, a3, a4, a5);
    case PR_SET_VMA:
        return a2 == PR_SET_VMA_ANON_NAME ? name_area(a3, a4, a5) : -EINVAL;
    case PR_GET_AUXV:
        return a4 | a5 ? -EINVAL : get_auxv(a2, a3);
    case PR_SET_MDWE:
        return a3 | a4 | a5 ? -EINVAL : set_mdwe(mm, a2);
    case PR_GET_MDWE:
        return a2 | a3 | a4 | a5 ? -EINVAL : mm->mdwe;
    default:
        return -EINVAL;
    }
}

/* Options about the thread and the process. */
static long thread_option(int option, unsigned long a2, unsigned long a3, unsigned long a4,
                          unsigned long a5)
{
    struct thread *t = thread_current();
    switch (option) {
    case PR_SET_PDEATHSIG:
        if (a2 > ABI_NSIG)
            return -EINVAL;
        t->pdeath_signal = (int)a2;
        return 0;
    case PR_GET_PDEATHSIG:
        return put_int(a2, t->pdeath_signal);
    case PR_SET_NAME:
        return set_name(a2);
    case PR_GET_NAME:
        return user_put(user_at(user_char_out_t, a2), t->comm, sizeof(t->comm));
    case PR_GET_TIMING:
        return PR_TIMING_STATISTICAL;
    case PR_SET_TIMING:
        return a2 == PR_TIMING_STATISTICAL ? 0 : -EINVAL;
    case PR_GET_SECCOMP:
        return t->seccomp.mode;
    case PR_SET_SYSCALL_USER_DISPATCH:
        return dispatch_set(a2, a3, a4, a5);
    case PR_SET_SECCOMP:
        return a2 == SECCOMP_MODE_STRICT   ? seccomp_set_strict()
               : a2 == SECCOMP_MODE_FILTER ? seccomp_filter_from(a3, 0)
                                           : -EINVAL;
    case PR_GET_TSC:
        return put_int(a2, thread_tsc() ? PR_TSC_ENABLE : PR_TSC_SIGSEGV);
    case PR_SET_TSC:
        if (a2 != PR_TSC_ENABLE && a2 != PR_TSC_SIGSEGV)
            return -EINVAL;
        thread_set_tsc(a2 == PR_TSC_ENABLE);
        return 0;
    case PR_SET_TIMERSLACK:
        t->timer_slack_ns = (long)a2 <= 0 ? 50000 : a2 > UINT32_MAX ? UINT32_MAX : (uint32_t)a2;
        return 0;
    case PR_GET_TIMERSLACK:
        return t->timer_slack_ns;
    case PR_SET_CHILD_SUBREAPER:
        t->process->subreaper = a2 != 0;
        return 0;
    case PR_GET_CHILD_SUBREAPER:
        return put_int(a2, t->process->subreaper);
    case PR_GET_TID_ADDRESS:
        return user_put(user_at(user_addr_out_t, a2), &t->clear_child_tid, 1);
    case PR_SET_PTRACER:
        return access_set_ptracer((long)a2);
    case PR_GET_SPECULATION_CTRL:
        return a3 | a4 | a5 ? -EINVAL : a2 > 2 ? -ENODEV : 0;
    case PR_SET_SPECULATION_CTRL:
        return a4 | a5 ? -EINVAL : a2 > 2 ? -ENODEV : -ENXIO;
    case PR_TASK_PERF_EVENTS_DISABLE:
    case PR_TASK_PERF_EVENTS_ENABLE:
        return 0; /* there are none to switch */
    case PR_MCE_KILL:
    case PR_MCE_KILL_GET:
    case PR_SET_IO_FLUSHER:
    case PR_GET_IO_FLUSHER:
        return machine_option(option, a2, a3, a4 | a5);
    default:
        return mm_option(option, a2, a3, a4, a5);
    }
}

long sys_prctl(int option, unsigned long arg2, unsigned long arg3, unsigned long arg4,
               unsigned long arg5)
{
    bool known;
    int ret = cred_option(option, arg2, arg3, arg4, arg5, &known);
    return known ? ret : thread_option(option, arg2, arg3, arg4, arg5);
}
