/* SPDX-License-Identifier: MIT */
/* Boots libOS in this process with a disk, and runs a test as its first process: the test's main (compiled as t_main) makes system
 * calls with call(). Usage: PROGRAM IMAGE [LOG] [ARGUMENT...]; the test finds the rest in t_argv.
 * LUKS_KEY in the environment names a key file: IMAGE is then a LUKS2 volume, and the disk is what it encrypts. */
#include "disk.h"

#include <base/log.h>
#include <libos/dev/char.h>
#include <libos/luks.h>
#include <libos/mm.h>
#include <libos/page.h>
#include <libos/process.h>
#include <libos/procfs.h>
#include <libos/random.h>
#include <libos/sched.h>
#include <libos/sysfs.h>
#include <libos/time.h>
#include <libos/vfs.h>
#include <plat/host.h>
#include <plat/upcall.h>

#include <abi/errno.h>
#include <abi/stat.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

int t_main(void);
extern char **t_argv;
char **t_argv;

static NORETURN void leave(int status)
{
    fflush(NULL);
    _exit(status);
}

void machine_exit(int wait_status)
{
    log_error("the program ended with wait status 0x%x", (unsigned)wait_status);
    leave(1);
}

void upcall_boot(void)
{
    panic("not booted this way");
}

static void program(void)
{
    leave(t_main());
}

/* The passphrase is the content of the file that arg names. */
static int passphrase(void *arg, unsigned attempt, uint8_t *buf, size_t size)
{
    FILE *f = fopen(arg, "r");
    size_t n = f ? fread(buf, 1, size, f) : 0;
    if (f)
        fclose(f);
    return attempt ? -EACCES : (int)n;
}

/* What the tests mount lies in a LUKS2 volume. */
static void luks_disk(char *key)
{
    struct luks_key_source source = { passphrase, key };
    struct blk_device *dev;
    int err = luks_open(blk_find("raw"), "disk", &source, &dev);
    if (err) {
        fprintf(stderr, "luks_open: error %d\n", err);
        leave(3);
    }
}

static void first(void *arg)
{
    (void)arg;
    struct mm *mm = mm_create();
    must(mm);
    if (getenv("LUKS_KEY"))
        luks_disk(getenv("LUKS_KEY"));
    mm->brk_start = mm->brk = mm->mmap_base / 2;
    thread_current()->mm = mm;
    sched_set_mm(mm);
    plat_host_enter(program);
}

int main(int argc, char **argv)
{
    struct thread *thread;
    if (argc < 3)
        return 2;
    t_argv = argv + 3;
    plat_host_init();
    log_set_level(LOG_INFO);
    page_init();
    sched_init_cpu(0);
    random_init();
    time_init();
    must(vfs_init(NULL, 0) == 0);
    must(vfs_make("/tmp", S_IFDIR | 01777, 0, NULL) == 0);
    must(vfs_make("/mnt", S_IFDIR | 0755, 0, NULL) == 0);
    must(dev_init() == 0 && procfs_init() == 0 && sysfs_init() == 0);
    disk_open(getenv("LUKS_KEY") ? "raw" : "disk", argv[1], *argv[2] ? argv[2] : NULL);
    must(process_create_first(first, NULL, &thread) == 0);
    sched_start(thread);
    sched_idle();
}
