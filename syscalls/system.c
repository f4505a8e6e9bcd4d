/* SPDX-License-Identifier: MIT */
/* The system as a whole: uname(2), sysinfo(2), getrandom(2), sethostname(2), reboot(2). */
#include "sys_proto.h"
#include <abi/prctl.h>
#include <abi/utsname.h>
#include <base/types.h>
#include <libos/cmdline.h>
#include <libos/dev/tty.h>
#include <libos/page.h>
#include <libos/process.h>
#include <libos/random.h>
#include <libos/sched.h>
#include <libos/sysinfo.h>
#include <libos/time.h>
#include <libos/thread.h>
#include <libos/user.h>
#include <stdio.h>
#include <string.h>

enum { PER_MASK = 0xff, PER_LINUX32 = 8, UNAME26 = 0x20000 }; /* personality(2) */

long sys_uname(user_utsname_out_t buf)
{
    struct abi_utsname u;
    unsigned persona = thread_current()->personality;
    system_names(&u);
    if ((persona & PER_MASK) == PER_LINUX32)
        strcpy(u.machine, "i686");
    if (persona & UNAME26) { /* 6.12-x is called 2.6.72-x */
        char rest[sizeof(u.release)];
        unsigned minor = 0;
        const char *at = u.release + 2;
        for (; *at >= '0' && *at <= '9'; at++)
            minor = minor * 10 + (unsigned)(*at - '0');
        at += strspn(at, ".0123456789");
        strcpy(rest, at);
        snprintf(u.release, sizeof(u.release), "2.6.%u%.32s", minor + 60, rest);
    }
    return user_put(buf, &u, 1);
}

/* sethostname and setdomainname. */
static long set_name(user_char_in_t name, int len, bool domain)
{
    char text[65] = { 0 };
    if (!cred_capable(CAP_SYS_ADMIN))
        return -EPERM;
    if (len < 0 || len > 64)
        return -EINVAL;
    if (user_get(text, name, (size_t)len) < 0)
        return -EFAULT;
    system_set_name(text, domain);
    return 0;
}

long sys_sethostname(user_char_in_t name, int len)
{
    return set_name(name, len, false);
}

long sys_setdomainname(user_char_in_t name, int len)
{
    return set_name(name, len, true);
}

long sys_sysinfo(user_sysinfo_out_t info)
{
    struct page_stats s;
    uint64_t ns, load[3];
    unsigned runnable, total;
    int err = clock_read(CLOCK_BOOTTIME, &ns);
    if (err)
        return err;
    page_stats(&s);
    sched_load(load, &runnable, &total);
    struct abi_sysinfo i = {
        .uptime = (int64_t)((ns + NS_PER_SEC - 1) / NS_PER_SEC),
        .loads = { load[0], load[1], load[2] },
        .totalram = s.total * PAGE_SIZE,
        .freeram = s.free * PAGE_SIZE,
        .procs = (uint16_t)total,
        .mem_unit = 1,
    };
    return user_put(info, &i, 1);
}

long sys_getrandom(user_u8_out_t buf, size_t count, unsigned flags)
{
    uint8_t piece[256];
    size_t done = 0;
    if ((flags & (GRND_RANDOM | GRND_INSECURE)) == (GRND_RANDOM | GRND_INSECURE))
        return -EINVAL;
    if (!random_ready())
        return -EAGAIN; /* cannot happen once a program runs: boot stops without entropy */
    count = count < INT32_MAX ? count : INT32_MAX;
    while (done < count) {
        size_t n = count - done < sizeof(piece) ? count - done : sizeof(piece);
        random_bytes(piece, n);
        size_t put = user_write_part(user_advance(buf, done), piece, n);
        done += put;
        if (put < n)
            break;
        if (done % 65536 == 0 && thread_preempt_point())
            break;
    }
    memset(piece, 0, sizeof(piece));
    return done || !count ? (long)done : -EFAULT;
}

long sys_vhangup(void)
{
    if (!cred_capable(CAP_SYS_TTY_CONFIG))
        return -EPERM;
    spin_lock(&process_lock);
    struct tty *t = process_current()->tty;
    if (t)
        tty_get(t);
    spin_unlock(&process_lock);
    if (t) {
        tty_hangup(t);
        tty_put(t);
    }
    return 0;
}

long sys_reboot(unsigned magic1, unsigned magic2, unsigned cmd, user_void_in_t arg)
{
    if (!cred_capable(CAP_SYS_BOOT))
        return -EPERM;
    if (magic1 != LINUX_REBOOT_MAGIC1 ||
        (magic2 != LINUX_REBOOT_MAGIC2 && magic2 != LINUX_REBOOT_MAGIC2A &&
         magic2 != LINUX_REBOOT_MAGIC2B && magic2 != LINUX_REBOOT_MAGIC2C))
        return -EINVAL;
    switch (cmd) {
    case LINUX_REBOOT_CMD_CAD_ON:
    case LINUX_REBOOT_CMD_CAD_OFF:
        return 0; /* there is no Ctrl-Alt-Del */
    case LINUX_REBOOT_CMD_HALT:
    case LINUX_REBOOT_CMD_POWER_OFF:
    case LINUX_REBOOT_CMD_RESTART:
    case LINUX_REBOOT_CMD_RESTART2:
        machine_exit(0);
    default:
        return -EINVAL;
    }
}
