/* SPDX-License-Identifier: MIT */
/* The measured configuration: the payload's command line, as ARCHITECTURE.md defines it. */
#ifndef LIBOS_CMDLINE_H
#define LIBOS_CMDLINE_H

#include <base/compiler.h>
#include <base/types.h>
#include <libos/net.h>

enum { CONFIG_MOUNTS_MAX = 16 };

struct config {
    uint8_t root_hash[32];
    bool has_root_hash;
    bool verity;       /* check pages before use; default on */
    bool verity_panic; /* a wrong one ends the machine */
    uint64_t
        root_disk; /* rootdisk=BYTES: the root is on a disk, its hash tree behind so many bytes; 0: in the image */
    bool boot_trace, trace, raw_console;
    uint8_t
        ports; /* channels beside the UART to wait for: 1 for standard input and output, 2 for standard error too */
    uint16_t cols, rows;  /* of the console's window; 0: not known */
    bool fixed_addresses; /* aslr=off: programs start with ADDR_NO_RANDOMIZE, personality(2) */
    bool sealed;          /* runs in a confidential guest only, and takes no word of the loader */
    bool
        silent; /* uart=off: nothing is said to the host by its serial ports, nor taken from them */
    bool hostile_vmm; /* the VMM is an adversary: devices get what hostile-vmm leaves of them */
    const char *exe, *cwd, *hostname;
    uint32_t uid, gid;
    uint64_t clock_hz; /* 0: find out */
    int log_level;
    struct net_config net;
    const char
        *notify; /* where the host is told that the program runs (libos/host.h); NULL: nowhere */
    uint64_t metrics;    /* port of AF_VSOCK at which the counters are; 0: none */
    char **argv, **envp; /* NULL-terminated; point into the parsed text */
    int argc, envc;
    char *mounts[CONFIG_MOUNTS_MAX]; /* SOURCE:TYPE:POINT[:ro][,key=FROM] */
    int mountc;
};

/* Parse text (len bytes, hostile) into *ret; memory from the heap, kept for good. -EINVAL with a logged line that names
 * the token, -ENOMEM. */
NODISCARD int config_parse(const char *text, size_t len, struct config *ret);
/* Take from text, the loader's words (zero-terminated, hostile, not measured), those options that do not change what runs:
 * console=, ports=, winsize=, log=, boot-trace, trace, ip=, gateway=, dns=. All other words are ignored. */
void config_override(const char *text, struct config *c);
/* Put c in force. Called once, at boot. */
void config_set(const struct config *c);
/* The one in force. */
const struct config *config(void);

#endif
