/* SPDX-License-Identifier: MIT */
/* uname (linux/utsname.h), sysinfo (linux/sysinfo.h), reboot (linux/reboot.h), getrandom (linux/random.h). */
#ifndef ABI_UTSNAME_H
#define ABI_UTSNAME_H

#include <base/user_ptr.h>
#include <stdint.h>

#define GRND_NONBLOCK              0x1
#define GRND_RANDOM                0x2
#define GRND_INSECURE              0x4
#define LINUX_REBOOT_MAGIC1        0xfee1deadu
#define LINUX_REBOOT_CMD_RESTART   0x1234567
#define LINUX_REBOOT_CMD_HALT      0xcdef0123u
#define LINUX_REBOOT_CMD_CAD_ON    0x89abcdefu
#define LINUX_REBOOT_CMD_CAD_OFF   0x0
#define LINUX_REBOOT_CMD_POWER_OFF 0x4321fedc
#define LINUX_REBOOT_CMD_RESTART2  0xa1b2c3d4u
#define LINUX_REBOOT_MAGIC2        672274793
#define LINUX_REBOOT_MAGIC2A       85072278
#define LINUX_REBOOT_MAGIC2B       369367448
#define LINUX_REBOOT_MAGIC2C       537993216

struct abi_utsname {
    char sysname[65];
    char nodename[65];
    char release[65];
    char version[65];
    char machine[65];
    char domainname[65];
};

struct abi_sysinfo {
    int64_t uptime;    /* seconds */
    uint64_t loads[3]; /* 1, 5, 15 minutes, times 65536 */
    uint64_t totalram; /* this and the next ones in units of mem_unit bytes */
    uint64_t freeram;
    uint64_t sharedram;
    uint64_t bufferram;
    uint64_t totalswap;
    uint64_t freeswap;
    uint16_t procs;
    uint16_t pad0;
    uint64_t totalhigh;
    uint64_t freehigh;
    uint32_t mem_unit;
};
USER_TYPES(utsname, struct abi_utsname);
USER_TYPES(sysinfo, struct abi_sysinfo);

#endif
