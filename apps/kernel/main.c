/* SPDX-License-Identifier: MIT */
/* The boot order, top to bottom: each line says what it needs and what works afterwards. The platform has set the
 * machine up (memory map, page tables, traps, clock, polled console) and calls upcall_boot on the boot stack.
 * CONFIG_RELINK: the program is linked into the image (alcove-cc) and there is no payload. */
#include "payload.h"
#include "relink.h"
#include "volumes.h"

#include <libos/cmdline.h>
#include <libos/dev/char.h>
#include <libos/dev/console.h>
#include <libos/dev/driver.h>
#include <libos/file.h>
#include <libos/load.h>
#include <libos/luks.h>
#include <libos/host.h>
#include <libos/net.h>
#include <libos/page.h>
#include <libos/process.h>
#include <libos/procfs.h>
#include <libos/random.h>
#include <libos/rootdisk.h>
#include <libos/sched.h>
#include <libos/sys.h>
#include <libos/sysfs.h>
#include <libos/time.h>
#include <libos/tsm.h>
#include <libos/verity.h>
#include <libos/vfs.h>

#include <abi/errno.h>
#include <abi/fcntl.h>
#include <base/log.h>
#include <plat/boot.h>
#include <plat/cc.h>
#include <plat/console.h>
#include <plat/cpu.h>
#include <plat/upcall.h>
#include <stdio.h>
#include <string.h>

/* Boot errors that a user can do something about: one line, and the end. */
static NORETURN void give_up(const char *what, int err)
{
    log_error("boot: %s (error %d); the program was not started", what, -err);
    control_send_exit(125 << 8);
    plat_power_off(true);
}

/* The end of a boot step, and of the boot if it failed: why is what a person then reads. */
static void boot_check(const char *step, const char *why, int err)
{
    if (err)
        give_up(why, err);
    plat_boot_mark(step);
}

/* --boot-trace: when each step was over, and what it took. */
static void say_steps(void)
{
    const char *step;
    uint64_t ns, last = 0;

    log_set_level(LOG_INFO); /* asked for, whatever else is to be shown */
    for (size_t i = 0; plat_boot_step(i, &step, &ns); i++, last = ns)
        log_info("boot: %7llu us  +%6llu  %s", (unsigned long long)ns / 1000,
                 (unsigned long long)(ns - last) / 1000, step);
    log_set_level((enum log_level)config()->log_level);
}

/* The root file system, checked against the measured root hash. */
static int mount_root(const struct payload *p)
{
    int err;

    if (CONFIG_RELINK)
        return vfs_init(NULL, 0);
    if (config()->verity_panic)
        verity_set_fatal();
    if (config()->root_disk) /* it comes when there are disks: attach_root */
        return config()->verity && !config()->has_root_hash
                   ? -EINVAL
                   : vfs_init(NULL, (size_t)config()->root_disk);
    if (!p->root_size)
        return -ENOENT;
    if (config()->verity) {
        if (!config()->has_root_hash || !p->hash_size) {
            log_error("image: no root hash; build it with one, or with verity=off");
            return -EINVAL;
        }
        err = verity_init(p->root, p->root_size, p->hash, p->hash_size, config()->root_hash);
        if (err)
            return err;
    }
    return vfs_init(p->root, p->root_size);
}

/* rootdisk=: the image below the root that mount_root made. */
static int attach_root(void)
{
    const struct config *c = config();
    struct erofs_source source;
    if (!c->root_disk)
        return 0;
    int err = rootdisk_open(c->root_disk, c->verity ? c->root_hash : NULL, &source);
    return err ? err : vfs_root_image(&source, c->root_disk);
}

/* Descriptors 0, 1 and 2 of the first process. */
static int open_console(void)
{
    struct file *f, *errors;
    int err = console_take_ports(config()->ports);

    if (err || (err = console_open(&f)))
        return err;
    err = console_open_errors(&errors);
    if (err && err != -ENODEV)
        return err;
    for (int i = 0; i < 3; i++) {
        struct file *take = i == 2 && !err ? errors : f;
        if (i && take == f)
            file_get(f);
        int fd = fd_install(take, false);
        if (fd < 0)
            return fd;
    }
    return 0;
}

/* The user, group and working directory that the command line asks for. */
static int take_identity(const struct config *c)
{
    struct fs_context *fs = thread_current()->fs;
    struct path cwd;
    struct cred *cred;
    int err = path_walk(AT_FDCWD, c->cwd, WALK_FOLLOW | WALK_DIRECTORY, &cwd);

    if (err)
        return err;
    fs_context_set(fs, FS_CWD, &cwd);
    if (!(cred = cred_copy(thread_current()->cred)))
        return -ENOMEM;
    cred->uid = cred->euid = cred->suid = cred->fsuid = c->uid;
    cred->gid = cred->egid = cred->sgid = cred->fsgid = c->gid;
    if (c->uid)
        cred->cap_effective = cred->cap_permitted = 0;
    return cred_install(cred);
}

/* Whoever asked for DHCP does not know the address yet. */
static void tell_address(void)
{
    char address[48];
    net_address(address, sizeof(address));
    if (address[0])
        control_send_address(address);
}

/* The first thread of the first process: becomes the program. */
static void first(void *arg)
{
    const struct config *c = config();
    int err;

    (void)arg;
    boot_check("root disk", "no usable root disk", attach_root());
    boot_check("console opened", "no console", open_console());
    if (plat_boot_info()->confidential)
        boot_check("configfs", "no memory for configfs", configfs_init());
    /* Before the volumes: the key of one may come from a server. */
    boot_check("network", "bad network configuration", net_start(&c->net, c->hostname));
    tell_address();
    if (c->metrics)
        host_metrics_start((unsigned)c->metrics);
    err = volumes_mount();
    if (err)
        machine_exit(125 << 8);
    plat_boot_mark("volumes");
    err = take_identity(c);
    if (err) {
        log_error("%s: cannot be the working directory (error %d)", c->cwd, -err);
        machine_exit(126 << 8);
    }
    control_send_ready();
    if (c->fixed_addresses)
        thread_current()->personality |= 0x0040000; /* ADDR_NO_RANDOMIZE, personality(2) */
    err = CONFIG_RELINK ? relink_first() : exec_first(c->exe, c->argv, c->envp);
    if (err) {
        log_error("%s: cannot be executed (error %d)", c->exe, -err);
        machine_exit((err == -ENOENT ? 127 : 126) << 8);
    }
    plat_boot_mark("program");
    if (c->notify)
        host_notify(c->notify, "READY=1\n");
    if (c->boot_trace)
        say_steps();
}

/* A sealed image gives its secrets to nobody: it runs where the processor keeps the host out, on a root that was measured. */
static void check_seal(void)
{
    if (!config()->sealed)
        return;
    if (!plat_boot_info()->confidential)
        give_up("this image is sealed: it runs in a confidential guest only", -EPERM);
    if (plat_cc_debug())
        give_up("this image is sealed, and the host can debug this guest", -EPERM);
    if (!config()->verity || !config()->has_root_hash)
        give_up("this image is sealed, and its root is not verified", -EINVAL);
    if (config()->silent)
        plat_console_off();
}

void upcall_boot(void)
{
    struct payload payload;
    struct thread *thread;

    page_init();       /* physical pages and the heap */
    sched_init_cpu(0); /* the boot stack is the idle thread: current works */
    if (CONFIG_RELINK)
        relink_payload(&payload);
    else
        boot_check("payload", "no usable program in this image", payload_find(&payload));
    boot_check("command line", "bad command line", payload_configure(&payload));
    random_init(); /* entropy of the CPU */
    time_init();   /* wall time, timers, the vDSO's data */
    check_seal();
    boot_check("root", "bad root image", mount_root(&payload));
    if (plat_boot_info()->confidential || config()->hostile_vmm)
        boot_check("pool", "no memory for the DMA pool", drivers_hostile_vmm());
    drivers_probe_channels(); /* interrupts, and a way out for messages */
    boot_check("console", "no memory for the console",
               console_init(&(struct console_options){ config()->raw_console, config()->silent,
                                                       config()->cols, config()->rows }));
    boot_check("/dev", "no memory for /dev", dev_init());
    boot_check("/proc", "no memory for /proc", procfs_init());
    boot_check("/sys", "no memory for /sys", sysfs_init());
    sys_init(); /* names of calls, for messages */
    if (config()->trace) {
        sys_set_decoding();
        plat_syscall_trace();
    }
    plat_cpu_start_all(); /* the other CPUs enter upcall_cpu_start */
    sched_wait_cpus();    /* and can be given threads */
    plat_boot_mark("cpus");
    drivers_probe(); /* disks and networks, their queues spread over the CPUs */
    boot_check("securityfs", "no memory for the event log", securityfs_init());
    plat_boot_mark("devices");
    if (!random_ready())
        give_up("no source of entropy (RDSEED, RDRAND or virtio-rng)", -EIO);
    net_init(); /* the protocol stack; interfaces come up in first() */
    boot_check("first process", "no memory for the first process",
               process_create_first(first, NULL, &thread));
    sched_start(thread);
    sched_idle();
}

/* How the program ended, as a shell says it. */
static void notify_exit(int wait_status)
{
    char text[48];

    if (!config()->notify)
        return;
    snprintf(text, sizeof(text), "STOPPING=1\nEXIT_STATUS=%d\n",
             wait_status & 127 ? 128 + (wait_status & 127) : wait_status >> 8 & 255);
    host_notify(config()->notify, text);
}

void machine_exit(int wait_status)
{
    vfs_stop(); /* data disks get what programs did not sync */
    luks_wipe();
    sys_missing_report();
    notify_exit(wait_status);
    control_send_exit(wait_status);
    plat_power_off(wait_status != 0);
}
