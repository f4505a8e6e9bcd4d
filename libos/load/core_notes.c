/* SPDX-License-Identifier: MIT */
/* The notes of a core file: signal, identity, registers of each thread, auxiliary vector, mapped files; in the order and the
 * layouts that debuggers know from Linux (linux/elfcore.h). */
#include "core_int.h"

#include <abi/errno.h>
#include <libos/file.h>
#include <libos/heap.h>
#include <libos/mm.h>
#include <libos/process.h>
#include <libos/trace.h>
#include <libos/vfs.h>
#include <plat/debug.h>
#include <string.h>

enum { THREADS_MAX = 4096, PATH_SIZE = 4096, PSARGS_SIZE = 80 };

struct timeval_pair {
    int64_t sec, usec;
};

struct prstatus {
    struct {
        int32_t signo, code, err;
    } info;
    int16_t cursig;
    uint64_t sigpend, sighold;
    int32_t pid, ppid, pgrp, sid;
    struct timeval_pair utime, stime, cutime, cstime;
    uint64_t regs[27];
    int32_t fpvalid;
};
_Static_assert(sizeof(struct prstatus) == 336, "Linux's struct elf_prstatus");

struct prpsinfo {
    char state, sname, zomb, nice;
    uint64_t flag;
    uint32_t uid, gid;
    int32_t pid, ppid, pgrp, sid;
    char fname[16];
    char psargs[PSARGS_SIZE];
};
_Static_assert(sizeof(struct prpsinfo) == 136, "Linux's struct elf_prpsinfo");

static void add(struct core_notes *n, const void *data, size_t len)
{
    if (n->failed)
        return;
    if (n->size - n->len < len) {
        size_t size = (n->size + len) * 2;
        char *bigger = heap_alloc(size);
        if (!bigger) {
            n->failed = true;
            return;
        }
        memcpy(bigger, n->buf, n->len);
        heap_free(n->buf);
        n->buf = bigger;
        n->size = size;
    }
    memcpy(n->buf + n->len, data, len);
    n->len += len;
}

static void pad(struct core_notes *n)
{
    add(n, "\0\0\0", -n->len & 3);
}

/* Begin a note; the 4-byte length of its content is put in by end_note. */
static size_t begin_note(struct core_notes *n, const char *owner, uint32_t type)
{
    size_t at = n->len;
    uint32_t head[3] = { (uint32_t)strlen(owner) + 1, 0, type };
    add(n, head, sizeof(head));
    add(n, owner, head[0]);
    pad(n);
    return at;
}

static void end_note(struct core_notes *n, size_t at, size_t content)
{
    uint32_t len = (uint32_t)(n->len - content);
    if (!n->failed)
        memcpy(n->buf + at + 4, &len, sizeof(len));
    pad(n);
}

static void note(struct core_notes *n, const char *owner, uint32_t type, const void *data,
                 size_t len)
{
    size_t at = begin_note(n, owner, type), content = n->len;
    add(n, data, len);
    end_note(n, at, content);
}

static struct timeval_pair to_pair(const struct abi_timeval *t)
{
    return (struct timeval_pair){ t->tv_sec, t->tv_usec };
}

static void note_status(struct core_notes *n, struct thread *t, const struct abi_siginfo *info)
{
    struct process *p = t->process;
    struct prstatus s = { .info = { info->si_signo, info->si_code, info->si_errno },
                          .cursig = (int16_t)info->si_signo,
                          .pid = t->tid,
                          .ppid = process_parent_pid(),
                          .pgrp = p->pgid,
                          .sid = p->sid,
                          .fpvalid = 1 };
    struct abi_rusage self, children;
    process_rusage(p, RUSAGE_SELF, &self);
    process_rusage(p, RUSAGE_CHILDREN, &children);
    s.utime = to_pair(&self.ru_utime);
    s.stime = to_pair(&self.ru_stime);
    s.cutime = to_pair(&children.ru_utime);
    s.cstime = to_pair(&children.ru_stime);
    spin_lock(&p->sig_lock);
    s.sigpend = t->pending.set;
    s.sighold = t->sigmask;
    spin_unlock(&p->sig_lock);
    (void)trace_regset_get(t, NT_PRSTATUS, s.regs, sizeof(s.regs)); /* always there */
    note(n, "CORE", NT_PRSTATUS, &s, sizeof(s));
}

static void note_fpu(struct core_notes *n, struct thread *t, char *buf)
{
    int len = trace_regset_get(t, NT_PRFPREG, buf, TRACE_REGSET_MAX);
    if (len > 0)
        note(n, "CORE", NT_PRFPREG, buf, (size_t)len);
    len = trace_regset_get(t, NT_X86_XSTATE, buf, TRACE_REGSET_MAX);
    if (len > 0)
        note(n, "LINUX", NT_X86_XSTATE, buf, (size_t)len);
}

static void note_process(struct core_notes *n)
{
    struct thread *t = thread_current();
    struct mm *mm = t->mm;
    struct prpsinfo s = { .sname = 'R',
                          .nice = t->nice,
                          .uid = t->cred->uid,
                          .gid = t->cred->gid,
                          .pid = t->process->pid,
                          .ppid = process_parent_pid(),
                          .pgrp = t->process->pgid,
                          .sid = t->process->sid };
    size_t len = mm->arg_end - mm->arg_start;
    if (len > PSARGS_SIZE - 1)
        len = PSARGS_SIZE - 1;
    len = mm_access(mm, mm->arg_start, s.psargs, len, false, true);
    for (size_t i = 0; i < len; i++)
        if (!s.psargs[i])
            s.psargs[i] = ' ';
    memcpy(s.fname, t->comm, sizeof(s.fname));
    note(n, "CORE", NT_PRPSINFO, &s, sizeof(s));
}

static void note_auxv(struct core_notes *n)
{
    const unsigned long *v = thread_current()->mm->auxv;
    size_t i = 0, max = sizeof(thread_current()->mm->auxv) / sizeof(*v);
    while (i + 2 < max && v[i] != AT_NULL)
        i += 2;
    note(n, "CORE", NT_AUXV, v, (i + 2) * sizeof(*v));
}

/* Count and page size, then start, end and page of each mapping of a file, then their names. */
static void note_files(struct core_notes *n, const struct dump_area *d, size_t areas)
{
    uint64_t head[2] = { 0, PAGE_SIZE };
    char *path = heap_alloc(PATH_SIZE);
    if (!path) {
        n->failed = true;
        return;
    }
    for (size_t i = 0; i < areas; i++)
        head[0] += d[i].file != NULL;
    size_t at = begin_note(n, "CORE", NT_FILE), content = n->len;
    add(n, head, sizeof(head));
    for (size_t i = 0; i < areas; i++) {
        uint64_t row[3] = { d[i].start, d[i].end, d[i].pgoff };
        if (d[i].file)
            add(n, row, sizeof(row));
    }
    for (size_t i = 0; i < areas; i++) {
        if (!d[i].file)
            continue;
        if (file_text(d[i].file, path, PATH_SIZE) <= 0)
            path[0] = 0;
        add(n, path, strlen(path) + 1);
    }
    end_note(n, at, content);
    heap_free(path);
}

int core_notes_make(struct core_notes *n, const struct abi_siginfo *info, const struct dump_area *d,
                    size_t areas)
{
    struct thread **others = heap_alloc(THREADS_MAX * sizeof(struct thread *));
    char *buf = heap_alloc(TRACE_REGSET_MAX);
    n->size = PAGE_SIZE;
    n->buf = heap_alloc(n->size);
    n->failed = !others || !buf || !n->buf;
    if (!n->failed) {
        note_status(n, thread_current(), info);
        note_process(n);
        note(n, "CORE", NT_SIGINFO, info, sizeof(*info));
        note_auxv(n);
        note_files(n, d, areas);
        note_fpu(n, thread_current(), buf);
        size_t count = core_threads(others, THREADS_MAX);
        for (size_t i = 0; i < count; i++) {
            note_status(n, others[i], info);
            note_fpu(n, others[i], buf);
        }
    }
    heap_free(others);
    heap_free(buf);
    return n->failed ? -ENOMEM : 0;
}
