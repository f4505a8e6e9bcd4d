/* SPDX-License-Identifier: MIT */
/* libOS's side of a relinked program: its first thread, further ones, their stacks, and a look at the page tables. The
 * program calls these directly; each begins and ends with the step into libOS and back. */
#include "relink.h"
#include "payload.h"

#include <alcove/page.h>

#include <abi/errno.h>
#include <abi/stat.h>
#include <base/log.h>
#include <libos/cmdline.h>
#include <libos/file.h>
#include <libos/mm.h>
#include <libos/page.h>
#include <libos/process.h>
#include <libos/sched.h>
#include <libos/vfs.h>

#include <plat/mem.h>
#include <plat/mmu.h>
#include <plat/thread.h>
#include <plat_arch/relink.h>
#include <string.h>

enum { MAIN_STACK = 1024 * 1024 };

/* The program's heap begins here; its mmap area ends below the top of user memory as any program's does. */
#define HEAP_START 0x10000000ull
#define MMAP_TOP   (PLAT_USER_MAX - 0x10000000ull)

static unsigned order_of(size_t size)
{
    unsigned order = 0;

    while (((size_t)PAGE_SIZE << order) < size)
        order++;
    return order;
}

static void *stack_alloc(size_t size)
{
    struct page *p = page_alloc(order_of(size), PAGE_KERNEL, 0);

    return p ? page_ptr(p) : NULL;
}

void relink_payload(struct payload *ret)
{
    static const char text[] = "verity=off exe=/program -- program";

    *ret = (struct payload){ .cmdline = text, .cmdline_size = sizeof text - 1 };
}

static void run_main(void *arg)
{
    (void)arg;
    alcove_start();
}

int relink_first(void)
{
    struct thread *t = thread_current();
    struct mm *mm = mm_create();
    char *stack = stack_alloc(MAIN_STACK);
    int err;

    if (!mm || !stack)
        return -ENOMEM;
    err = vfs_make("/tmp", S_IFDIR | 01777, 0, NULL); /* as in any root */
    if (err && err != -EEXIST)
        return err;
    mm->brk_start = mm->brk = HEAP_START;
    mm->mmap_base = MMAP_TOP;
    t->mm = mm;
    memcpy(t->comm, "program", sizeof "program");
    plat_aspace_activate(&mm->aspace);
    plat_thread_exec(&t->plat, 0, 0);
    x86_relink_run(run_main, NULL, stack + MAIN_STACK);
}

struct start {
    void (*entry)(void *arg);
    void *arg;
    char *stack_top;
};

/* A new thread's first steps, on its kernel stack; what it is to do lies at the top of its own stack. */
static void run_thread(void *arg)
{
    struct start s = *(struct start *)arg;

    plat_aspace_activate(&thread_current()->mm->aspace);
    x86_relink_run(s.entry, s.arg, s.stack_top);
}

/* Threads share everything, as those of a program do. */
static void share(struct thread *to, struct thread *from)
{
    mm_get(from->mm);
    to->mm = from->mm;
    from->fds->refs++;
    to->fds = from->fds;
    from->fs->refs++;
    to->fs = from->fs;
    from->sighand->refs++;
    to->sighand = from->sighand;
    must(thread_set_cred(to, from->cred) == 0); /* root is exempt */
    to->sigmask = from->sigmask;
    memcpy(to->comm, from->comm, sizeof to->comm);
}

static void drop(struct thread *t)
{
    mm_put(t->mm);
    fd_table_put(t->fds);
    fs_context_put(t->fs);
    t->mm = NULL;
}

static int start_thread(struct start s, struct start *where, void *tls, uint32_t *alive)
{
    struct thread *me = thread_current(), *t;
    int err;

    *where = s;
    err = thread_create(me->process, 0, run_thread, where, &t);
    if (err)
        return err;
    share(t, me);
    plat_thread_copy(&t->plat, &me->plat);
    err = plat_thread_set_fs(&t->plat, (uintptr_t)tls);
    if (err)
        panic("relink: no thread-local storage"); /* a relinked image takes every base */
    t->clear_child_tid = (uintptr_t)alive;
    err = thread_publish(t, false);
    if (err) { /* the program ends, this thread too, before it gets back */
        drop(t);
        thread_discard(t);
        return err;
    }
    sched_start(t);
    return 0;
}

int alcove_thread_start(void (*entry)(void *arg), void *arg, void *stack, size_t stack_size,
                        void *tls, uint32_t *alive)
{
    struct start *where = (struct start *)((char *)stack + stack_size) - 1;
    struct start s = { entry, arg, (char *)stack + stack_size - 64 };
    int err;

    x86_relink_begin();
    err = start_thread(s, where, tls, alive);
    x86_relink_end();
    return err;
}

void *alcove_stack_alloc(size_t size)
{
    void *p;

    x86_relink_begin();
    p = stack_alloc(size);
    x86_relink_end();
    return p;
}

void alcove_stack_free(void *stack, size_t size)
{
    (void)size;
    x86_relink_begin();
    page_put(page_of(plat_virt_to_phys(stack)));
    x86_relink_end();
}

void alcove_set_tls(void *tls)
{
    x86_relink_begin();
    if (plat_thread_set_fs(plat_current(), (uintptr_t)tls))
        panic("relink: no thread-local storage"); /* a relinked image takes every base */
    x86_relink_end();
}

int alcove_arguments(char ***ret_argv, char ***ret_envp)
{
    *ret_argv = config()->argv;
    *ret_envp = config()->envp;
    return config()->argc;
}

void alcove_page_query(const void *address, struct alcove_page *ret_page)
{
    struct plat_leaf leaf;

    x86_relink_begin();
    plat_mmu_query(&thread_current()->mm->aspace, (uintptr_t)address, &leaf);
    x86_relink_end();
    *ret_page = (struct alcove_page){ 0 };
    if (!leaf.present)
        return;
    *ret_page = (struct alcove_page){
        .physical = leaf.pa.v,
        .size = leaf.size,
        .prot = leaf.prot & (ALCOVE_READ | ALCOVE_WRITE | ALCOVE_EXEC),
        .present = 1,
        .accessed = leaf.accessed,
        .dirty = leaf.dirty,
    };
}
