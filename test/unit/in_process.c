/* SPDX-License-Identifier: MIT */
/* Runs a program of test/sys in this process: libOS boots on the host platform, with an empty root or (T_IMAGE) on the image
 * of image.h under verity, and the program's main (compiled as t_main) is what the first process executes. */
#include <base/log.h>
#include <libos/dev/blk.h>
#include <libos/dev/char.h>
#include <libos/mm.h>
#include <libos/net.h>
#include <libos/page.h>
#include <libos/process.h>
#include <libos/procfs.h>
#include <libos/random.h>
#include <libos/rootdisk.h>
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

#ifdef T_DISK
static struct file_image root, hash;
static uint8_t root_hash[32];

/* The image on a disk: T_DISK are mkfs.erofs's options. */
static void tree(void)
{
    image_make(T_DISK);
    root = image_load("root.img");
    hash = image_load("root.hash");
    image_root_hash(root_hash);
    image_remove();
    must(vfs_init(NULL, root.size) == 0);
}

/* A buffer of the host is no memory of the machine. */
static void put(struct blk_device *dev, uint64_t at, const struct file_image *from)
{
    struct page *p = page_alloc(0, PAGE_KERNEL, 0);
    for (size_t i = 0; i < from->size; i += PAGE_SIZE) {
        memcpy(page_ptr(p), from->data + i, PAGE_SIZE);
        must(blk_write(dev, (at + i) / BLK_SECTOR, PAGE_SIZE / BLK_SECTOR, page_ptr(p), 0) == 0);
    }
    page_put(p);
}

static void attach(void)
{
    struct blk_device *other, *dev;
    struct erofs_source source;
    /* Not the first one, and one with another image does not count. */
    must(blk_ram_create("vda", root.size + hash.size, &other) == 0);
    must(blk_ram_create("vdb", root.size + hash.size, &dev) == 0);
    put(other, 0, &root);
    put(dev, 0, &root);
    put(dev, root.size, &hash);
    must(rootdisk_open(root.size, root_hash, &source) == 0);
    must(vfs_root_image(&source, root.size) == 0);
}
#else
static void attach(void)
{
}
#endif

static void first(void *arg)
{
    (void)arg;
    attach();
    take_mm();
    plat_host_enter(program);
}

#if defined(T_IMAGE) && !defined(T_DISK)
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
#elif !defined(T_DISK)
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
