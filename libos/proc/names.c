/* SPDX-License-Identifier: MIT */
/* The names of the system. The release is the Linux whose behaviour is implemented: programs and the C library compare it
 * with what they need. Lock: names_lock. */
#include <libos/cmdline.h>
#include <libos/lock.h>
#include <libos/sysinfo.h>
#include <string.h>

static struct spin names_lock = SPIN_INIT(RANK_FILE);
static char
    host_name[65]; /* guarded by names_lock; empty: not set, the command line's is in force */
static char domain_name[65] = "(none)"; /* guarded by names_lock */

void system_names(struct abi_utsname *ret)
{
    const char *configured = config() && config()->hostname ? config()->hostname : "alcove";
    memset(ret, 0, sizeof(*ret));
    strcpy(ret->sysname, "Linux");
    strcpy(ret->release, "6.12.0-alcove");
    strcpy(ret->version, "#1 Alcove");
    strcpy(ret->machine, "x86_64");
    spin_lock(&names_lock);
    const char *host = host_name[0] ? host_name : configured;
    memcpy(ret->nodename, host, strnlen(host, sizeof(ret->nodename) - 1));
    memcpy(ret->domainname, domain_name, sizeof(ret->domainname));
    spin_unlock(&names_lock);
}

void system_set_name(const char *name, bool domain)
{
    char *to = domain ? domain_name : host_name;
    spin_lock(&names_lock);
    memset(to, 0, sizeof(host_name));
    strncpy(to, name, sizeof(host_name) - 1);
    spin_unlock(&names_lock);
}
