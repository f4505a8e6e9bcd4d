/* SPDX-License-Identifier: MIT */
/* execve(2). The new program is built beside the old one, in an address space of its own, so that nearly everything that
 * can fail does so while the caller can still be told. Then, past the point of no return: the other threads of the process
 * end, the address space changes, and what the old program set up and the new one must not see goes away. */
#include "load.h"

#include <abi/errno.h>
#include <abi/fcntl.h>
#include <abi/prctl.h>
#include <abi/resource.h>
#include <abi/stat.h>
#include <abi/statfs.h>
#include <base/log.h>
#include <libos/dispatch.h>
#include <libos/file.h>
#include <libos/heap.h>
#include <libos/mm.h>
#include <libos/process.h>
#include <libos/random.h>
#include <libos/sched.h>
#include <libos/signal.h>
#include <libos/trace.h>
#include <libos/user.h>
#include <stdio.h>
#include <string.h>

enum { EXEC_AGAIN = 1 }; /* nothing has changed yet: once more, with random addresses */
enum {
    READ_IMPLIES_EXEC = 0x0400000, /* personality(2) */
    ADDR_NO_RANDOMIZE = 0x0040000,
};
enum { SECURE_STACK = 8 << 20 }; /* RLIMIT_STACK of a program with more rights, at most */
enum { MMAP_RANDOM_BITS = 28, GAP_MIN = 128 << 20, NAME_SIZE = 4096 };

int load_read(struct file *f, void *buf, size_t n, uint64_t off)
{
    size_t done = 0;
    while (done < n) {
        struct iter it;
        uint64_t pos = off + done;
        iter_kernel(&it, (char *)buf + done, n - done);
        ssize_type got = file_read(f, &it, &pos);
        if (got <= 0)
            return got < 0 ? (int)got : -EIO;
        done += (size_t)got;
    }
    return 0;
}

/* Read what there is of the first bytes. */
static int head_read(struct exec *e)
{
    struct iter it;
    uint64_t pos = 0;
    memset(e->head, 0, sizeof e->head);
    iter_kernel(&it, e->head, sizeof e->head);
    ssize_type got = file_read(e->file, &it, &pos);
    return got < 0 ? (int)got : 0;
}

/* AT_EMPTY_PATH: what the descriptor names, opened once more; it may be O_PATH. */
static int open_again(int fd, unsigned how, struct file **ret_file)
{
    struct file *f;
    if (fd == AT_FDCWD)
        return -EACCES;
    int err = fd_get_any(fd, &f);
    if (err)
        return err;
    err = f->inode && S_ISREG(f->inode->mode) ? file_reopen(&f->path, how, ret_file) : -EACCES;
    file_put(f);
    return err;
}

int load_open(int dirfd, const char *name, unsigned flags, struct file **ret_file)
{
    struct file *f;
    unsigned how = O_RDONLY | FILE_OPEN_EXEC | (flags & AT_SYMLINK_NOFOLLOW ? O_NOFOLLOW : 0);
    int err = (flags & AT_EMPTY_PATH) && !*name
                  ? open_again(dirfd, how, &f)
                  : path_open(dirfd, name, how | O_NONBLOCK, 0, 0, &f);
    if (err)
        return err;
    if (!f->inode || (f->inode->mode & S_IFMT) != S_IFREG)
        err = -EACCES;
    else if (f->path.mount && (f->path.mount->flags & ST_NOEXEC))
        err = -EACCES;
    else
        err = inode_permission(f->inode, MAY_EXEC);
    if (!err && f->inode->writers > 0)
        err = -ETXTBSY;
    if (err) {
        file_put(f);
        return err;
    }
    *ret_file = f;
    return 0;
}

static void exec_fini(struct exec *e)
{
    if (e->mm)
        mm_put(e->mm);
    if (e->file)
        file_put(e->file);
    if (e->interp != e->name)
        heap_free(e->interp);
    heap_free(e->name);
}

uintptr_t aslr_shift(const struct exec *e, unsigned bits)
{
    return e->fixed ? 0 : (uintptr_t)(random_u64() & ((1ull << bits) - 1)) << PAGE_SHIFT;
}

/* Below the stack's largest size and its random shift. */
static uintptr_t mmap_base(const struct exec *e)
{
    uint64_t limit = process_limit(process_current(), RLIMIT_STACK),
             shift = (uint64_t)PAGE_SIZE << 22;
    uint64_t most = PLAT_USER_MAX / 6 * 5, gap = limit > most ? most : limit + MM_STACK_GAP + shift;
    gap = gap < GAP_MIN ? GAP_MIN : gap > most ? most : gap;
    return min_u64(align_down(PLAT_USER_MAX - gap - aslr_shift(e, MMAP_RANDOM_BITS), PAGE_SIZE),
                   PLAT_MMAP_TOP);
}

/* Put the strings on the new stack. */
static int push_arguments(struct exec *e, const struct strings *argv, const struct strings *envp)
{
    struct stack *s = &e->stack;
    int argc = stack_count(argv), envc = stack_count(envp);
    if (argc < 0 || envc < 0)
        return argc < 0 ? argc : envc;
    /* The pointers count too. */
    size_t pointers = ((size_t)argc + (size_t)envc + 2) * sizeof(uintptr_t);
    if (pointers > s->p - s->limit)
        return -E2BIG;
    s->limit += pointers;
    int err = stack_push(s, e->name, strlen(e->name) + 1);
    e->execfn = e->env_end = s->p;
    if (!err)
        err = stack_push_strings(s, envp, envc);
    e->arg_end = e->env_start = s->p;
    if (!err)
        err = stack_push_strings(s, argv, argc);
    /* A program always gets an argv[0], empty if need be (Linux 5.18). */
    if (!err && argc == 0)
        err = stack_push(s, "", 1);
    e->argc = argc ? argc : 1;
    e->envc = envc;
    e->arg_start = s->p;
    return err;
}

/* A script: its interpreter takes its place, before argv: name, argument, script. */
static int script_step(struct exec *e)
{
    char name[HEAD_SIZE], arg[HEAD_SIZE];
    struct stack *s = &e->stack;
    int err = script_parse(e->head, name, arg);
    if (err)
        return err;
    if ((err = stack_drop_string(s)))
        return err;
    e->argc--;
    err = stack_push(s, e->interp, strlen(e->interp) + 1);
    e->argc++;
    if (!err && *arg) {
        err = stack_push(s, arg, strlen(arg) + 1);
        e->argc++;
    }
    if (!err)
        err = stack_push(s, name, strlen(name) + 1);
    e->argc++;
    e->arg_start = s->p;
    char *interp = err ? NULL : heap_strdup(name);
    if (err || !interp)
        return err ? err : -ENOMEM;
    if (e->interp != e->name)
        heap_free(e->interp);
    e->interp = interp;
    file_put(e->file);
    e->file = NULL;
    return load_open(AT_FDCWD, interp, 0, &e->file);
}

/* Find the ELF program at the end of a chain of scripts. */
static int find_program(struct exec *e)
{
    for (int depth = 0;; depth++) {
        int err = head_read(e);
        if (err)
            return err;
        if (elf_is(e->head)) {
            /* What may only be executed is not to be read from memory either. */
            e->hidden = inode_permission(e->file->inode, MAY_READ);
            return 0;
        }
        if (depth >= INTERP_DEPTH)
            return -ELOOP;
        if ((err = script_step(e)))
            return err;
    }
}

/* Is the stack executable? Old programs without PT_GNU_STACK are not treated specially: Linux x86-64 does not either. */
static int stack_protect(struct exec *e)
{
    if (!e->stack_exec)
        return 0;
    mm_read_lock(e->mm);
    struct area *a = area_find(e->mm, e->stack.top - 1);
    uintptr_t start = a->start;
    mm_read_unlock(e->mm);
    return mm_protect(e->mm, start, e->stack.top - start, PLAT_READ | PLAT_WRITE | PLAT_EXEC, 0);
}

static void set_comm(struct thread *t, const char *name)
{
    const char *slash = strrchr(name, '/');
    snprintf(t->comm, sizeof t->comm, "%s", slash ? slash + 1 : name);
}

/* What belonged to the old program and is not the new one's. */
static void forget_old(struct thread *t)
{
    struct process *p = t->process;
    if (t->fds && t->fds->refs > 1) {
        struct fd_table *own;
        /* Without memory for a copy the sharers' close-on-exec descriptors would be closed: end instead. */
        if (fd_table_copy(t->fds, &own)) {
            signal_kernel(p, SIGKILL);
        } else {
            fd_table_swap(own);
        }
    }
    if (t->fds)
        fd_table_exec(t->fds);
    signal_exec(t);
    process_exec_timers(p);
    t->clear_child_tid = t->set_child_tid = 0;
    t->robust_list = 0;
    dispatch_exec(t);
    t->rseq = 0;
    t->rseq_len = t->rseq_sig = 0;
    t->personality &= ~(unsigned)READ_IMPLIES_EXEC;
    p->exec_done = true;
}

/* Put the new address space in force. */
static void switch_mm(struct thread *t, struct mm *mm)
{
    struct mm *old = t->mm;
    usage_leave_mm();
    spin_lock(&t->process->sig_lock); /* others take it under this lock */
    t->mm = mm;
    spin_unlock(&t->process->sig_lock);
    sched_set_mm(mm);
    thread_vfork_done(t);
    if (old)
        mm_put(old);
}

/* Become who the program is to be. */
static void take_rights(struct exec *e, struct cred *take_cred)
{
    struct thread *t = thread_current();
    const struct abi_rlimit *stack = &t->process->rlimits[RLIMIT_STACK];
    /* Nobody else moves the directories of a program with more rights: the threads that shared them are gone, and a process
     * that one of them made meanwhile must not. */
    if (e->secure && atomic_load(&t->fs->refs) > 1) {
        struct fs_context *own = fs_context_copy(t->fs), *old = t->fs;
        if (own) {
            spin_lock(&t->process->sig_lock); /* others take it under this lock */
            t->fs = own;
            spin_unlock(&t->process->sig_lock);
            fs_context_put(old);
        }
        if (!own)
            signal_kernel(t->process, SIGKILL);
    }
    if (cred_install(take_cred)) /* the user is the old one: nothing to allocate */
        signal_kernel(t->process, SIGKILL);
    t->personality &= ~e->drop_personality;
    if (!e->secure)
        return;
    t->pdeath_signal = 0;
    if (stack->rlim_cur > SECURE_STACK) {
        struct abi_rlimit less = { SECURE_STACK, stack->rlim_max };
        must(process_set_limit(t->process, RLIMIT_STACK, &less, NULL) ==
             0); /* lowering is always allowed */
    }
}

/* Everything up to the point of no return, then past it. */
static int exec_run(struct exec *e, const struct strings *argv, const struct strings *envp)
{
    struct thread *t = thread_current();
    uintptr_t sp;
    int was = t->tid; /* another thread than the leader gets the leader's */
    e->interp = e->name;
    if (thread_over_limit())
        return -EAGAIN;
    if (!(e->mm = mm_create()))
        return -ENOMEM;
    e->mm->mmap_base = mmap_base(e);
    if (t->mm)
        mm_inherit(e->mm, t->mm);
    int err = stack_begin(e);
    if (!err)
        err = push_arguments(e, argv, envp);
    if (!err)
        err = find_program(e);
    if (!err)
        err = elf_load(e);
    if (!err)
        err = vdso_map(e->mm);
    if (err)
        return err;
    struct cred *cred;
    if ((err = privilege_after(e, &cred)))
        return err;
    if (e->drop_personality &&
        e->fixed) { /* its caller may not choose the addresses of a set-user-ID program */
        cred_put(cred);
        return EXEC_AGAIN;
    }
    err = stack_finish(e, &sp);
    if (!err)
        err = stack_protect(e);
    if (!err)
        err = process_exec_alone();
    if (err) {
        cred_put(cred);
        return err;
    }
    switch_mm(t, e->mm);
    e->mm->dumpable = !e->hidden;
    e->mm = NULL;
    take_rights(e, cred);
    forget_old(t);
    set_comm(t, e->name);
    plat_thread_exec(&t->plat, e->entry, sp);
    trace_event(PTRACE_EVENT_EXEC, (unsigned long)was);
    return 0;
}

/* The name the program is known by: for a descriptor, a path in /proc or /dev/fd that leads to it. */
static char *exec_name(int dirfd, const char *path)
{
    if (dirfd == AT_FDCWD || *path == '/')
        return heap_strdup(path);
    char *name = heap_alloc(NAME_SIZE + 32);
    if (name && *path)
        snprintf(name, NAME_SIZE + 32, "/dev/fd/%d/%s", dirfd, path);
    else if (name)
        snprintf(name, NAME_SIZE + 32, "/dev/fd/%d", dirfd);
    return name;
}

/* name is given away. */
static int exec_from(int dirfd, const char *path, unsigned flags, char *name,
                     const struct strings *argv, const struct strings *envp, bool fixed)
{
    struct exec e = { .name = name, .fixed = fixed };
    int err = e.name ? load_open(dirfd, path, flags, &e.file) : -ENOMEM;
    if (!err)
        err = exec_run(&e, argv, envp);
    exec_fini(&e);
    return err;
}

int exec_first(const char *path, char *const argv[], char *const envp[])
{
    const struct strings args = { .kernel = argv }, env = { .kernel = envp };
    bool fixed = thread_current()->personality & ADDR_NO_RANDOMIZE;
    int err = exec_from(AT_FDCWD, path, 0, heap_strdup(path), &args, &env, fixed);
    return err == EXEC_AGAIN ? exec_from(AT_FDCWD, path, 0, heap_strdup(path), &args, &env, false)
                             : err;
}

int exec_program(int dirfd, const char *path, unsigned flags, uintptr_t argv, uintptr_t envp)
{
    const struct strings args = { .user = argv }, env = { .user = envp };
    if (flags & ~(unsigned)(AT_EMPTY_PATH | AT_SYMLINK_NOFOLLOW))
        return -EINVAL;
    if (!*path && !(flags & AT_EMPTY_PATH))
        return -ENOENT;
    bool fixed = thread_current()->personality & ADDR_NO_RANDOMIZE;
    int err = exec_from(dirfd, path, flags, exec_name(dirfd, path), &args, &env, fixed);
    if (err == EXEC_AGAIN)
        err = exec_from(dirfd, path, flags, exec_name(dirfd, path), &args, &env, false);
    return err;
}
