/* SPDX-License-Identifier: MIT */
/* Process accounting: while it is on, each process that ends leaves a record at the end of a file. acct(5), the third version of
 * the record. Lock: acct_lock for which file. */
#include "proc.h"
#include <abi/errno.h>
#include <abi/sched.h>
#include <abi/stat.h>
#include <libos/acct.h>
#include <libos/dev/tty.h>
#include <libos/file.h>
#include <libos/vfs.h>
#include <plat/time.h>
#include <string.h>

enum {
    VERSION = 3,
    TICKS = 100,    /* a second has so many in the record */
    FORKED = 1,     /* it did not execute another program */
    DUMPED = 8,     /* it left a core file */
    SIGNALLED = 16, /* a signal ended it */
};

struct record {
    uint8_t flag, version;
    uint16_t tty;
    uint32_t exitcode, uid, gid, pid, ppid, btime;
    uint32_t etime; /* a float */
    uint16_t utime, stime, mem, io, rw, minflt, majflt,
        swaps; /* base 8 exponent of 3 bits, 13 bits */
    char comm[16];
};
_Static_assert(sizeof(struct record) == 64, "Linux's struct acct_v3");

static struct spin acct_lock = SPIN_INIT(RANK_FILE);
static struct file *acct_file; /* guarded by acct_lock; a reference */

int acct_set(struct file *take_f)
{
    if (take_f && (!S_ISREG(take_f->inode->mode) || !take_f->ops->write)) {
        file_put(take_f);
        return -EACCES;
    }
    spin_lock(&acct_lock);
    struct file *old = acct_file;
    acct_file = take_f;
    spin_unlock(&acct_lock);
    if (old)
        file_put(old);
    return 0;
}

static struct file *current_file(void)
{
    if (LIKELY(!*(struct file *const volatile *)&acct_file))
        return NULL;
    spin_lock(&acct_lock);
    struct file *f = acct_file;
    if (f)
        file_get(f);
    spin_unlock(&acct_lock);
    return f;
}

static uint16_t compress(uint64_t v)
{
    unsigned exponent = 0;
    bool round = false;
    for (; v >= 1u << 13; v >>= 3, exponent++)
        round = v & 4;
    if (round && ++v >= 1u << 13) {
        v >>= 3;
        exponent++;
    }
    return exponent > 7 ? UINT16_MAX : (uint16_t)(exponent << 13 | v);
}

/* v as IEEE 754 has it in 32 bits, cut off; ring 0 has no floating point. */
static uint32_t to_float(uint64_t v)
{
    if (!v)
        return 0;
    unsigned top = 63 - (unsigned)__builtin_clzll(v);
    uint64_t fraction = top > 23 ? v >> (top - 23) : v << (23 - top);
    return (127 + top) << 23 | ((uint32_t)fraction & 0x7fffff);
}

static uint64_t ticks(const struct abi_timeval *t)
{
    return (uint64_t)t->tv_sec * TICKS + (uint64_t)t->tv_usec / (1000000 / TICKS);
}

void acct_process(struct process *p, uint64_t pages)
{
    struct file *f = current_file();
    if (!f)
        return;
    const struct thread *t = thread_current();
    struct abi_rusage use;
    process_rusage(p, RUSAGE_SELF, &use);
    uint64_t lived_ns = plat_time_ns() - p->start_time_ns;
    int code = p->exiting || p->exit_code ? p->exit_code : t->exit_code;
    struct record r = {
        .flag = (uint8_t)((p->exec_done ? 0 : FORKED) | (code & WCOREFLAG ? DUMPED : 0) |
                          (code & 0x7f ? SIGNALLED : 0)),
        .version = VERSION,
        .exitcode = (uint32_t)code,
        .uid = t->cred->uid,
        .gid = t->cred->gid,
        .pid = (uint32_t)p->pid,
        .ppid = (uint32_t)process_parent_pid(),
        .btime = (uint32_t)((uint64_t)vfs_now().tv_sec - lived_ns / 1000000000u),
        .etime = to_float(lived_ns / (1000000000u / TICKS)),
        .utime = compress(ticks(&use.ru_utime)),
        .stime = compress(ticks(&use.ru_stime)),
        .mem = compress(pages * (PAGE_SIZE / 1024)),
        .minflt = compress((uint64_t)use.ru_minflt),
        .majflt = compress((uint64_t)use.ru_majflt),
    };
    memcpy(r.comm, t->comm, sizeof(r.comm));
    struct iter it;
    uint64_t pos = 0; /* the file appends */
    iter_kernel(&it, &r, sizeof(r));
    p->rlimits[RLIMIT_FSIZE].rlim_cur = UINT64_MAX; /* the record is not the program's */
    (void)file_write(f, &it, &pos);                 /* a full disk loses records, as acct(5) says */
    file_put(f);
}
