/* SPDX-License-Identifier: MIT */
/* Runs a program of test/sys in this process: libOS boots on the host platform, with an empty root or (T_IMAGE) on the image
 * of image.h under verity, and the program's main (compiled as t_main) is what the first process executes. */
#include <base/log.h>
#include <libos/dev/char.h>
#include <libos/mm.h>
#include <libos/net.h>
#include <libos/page.h>
#include <libos/process.h>
#include <libos/procfs.h>
#include <libos/random.h>
#include <libos/sched.h>
#include <libos/sysfs.h>
#include <libos/time.h>
#include <libos/verity.h>
#include <libos/vfs.h>
#include <plat/host.h>
#include <plat/upcall.h>

#include <abi/fcntl.h>
#include <abi/stat.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>
#ifdef T_IMAGE
#include "image.h"
#endif

int t_main(void);

/* Not through exit(): sanitizers' checks at exit expect the stack that main began on. */
static NORETURN void leave(int status)
{
    fflush(NULL);
    _exit(status);
}

/* The files that tests expect of every Linux. */
static void furnish(void)
{
    static const char passwd[] = "root:x:0:0:root:/root:/bin/sh\n";
    plat_host_syscall(SYS_mkdir, (long)"/etc", 0755, 0, 0, 0, 0);
    long fd = plat_host_syscall(SYS_open, (long)"/etc/passwd", O_WRONLY | O_CREAT, 0644, 0, 0, 0);
    must(plat_host_syscall(SYS_write, fd, (long)passwd, sizeof(passwd) - 1, 0, 0, 0) ==
         sizeof(passwd) - 1);
    plat_host_syscall(SYS_close, fd, 0, 0, 0, 0, 0);
}

static void program(void)
{
    furnish();
    leave(t_main());
}

/* An address space, as execve gives it. What the test itself is made of is not in it; the program's part starts empty. */
static void take_mm(void)
{
    struct mm *mm = mm_create();
    must(mm);
    mm->brk_start = mm->brk = mm->mmap_base / 2;
    thread_current()->mm = mm;
    sched_set_mm(mm);
}

static void first(void *arg)
{
    (void)arg;
    take_mm();
    plat_host_enter(program);
}

#ifdef T_IMAGE
/* The image has to lie where the machine has memory. */
static void tree(void)
{
    static struct file_image root, hash;
    uint8_t root_hash[32];
    unsigned order = 0;
    image_make("");
    root = image_load("root.img");
    hash = image_load("root.hash");
    image_root_hash(root_hash);
    image_remove();
    while ((size_t)PAGE_SIZE << order < root.size)
        order++;
    struct page *pages = page_alloc(order, PAGE_KERNEL, 0);
    must(pages);
    for (size_t i = 0; i < (size_t)1 << order; i++)
        pages[i].kind = PAGE_RESERVED;
    memcpy(page_ptr(pages), root.data, root.size);
    must(verity_init(page_ptr(pages), root.size, hash.data, hash.size, root_hash) == 0);
    must(vfs_init(page_ptr(pages), root.size) == 0);
}
#else
void machine_exit(int wait_status)
{
    log_error("the program ended with wait status 0x%x", (unsigned)wait_status);
    leave(1);
}

void upcall_boot(void)
{
    panic("not booted this way");
}

static void tree(void)
{
    must(vfs_init(NULL, 0) == 0);
    must(vfs_make("/tmp", S_IFDIR | 01777, 0, NULL) == 0);
    must(dev_init() == 0 && procfs_init() == 0 && sysfs_init() == 0);
}

#endif

int main(void)
{
    struct thread *thread;
    plat_host_init();
    page_init();
    sched_init_cpu(0);
    random_init();

    time_init();
    tree();
    net_init();
    must(process_create_first(first, NULL, &thread) == 0);
    sched_start(thread);
    sched_idle();
}
