/* SPDX-License-Identifier: MIT */
/* Options of the commands. Each command names the ones it takes; every other is an error with a hint. */
#ifndef ALCOVE_CMD_OPTIONS_H
#define ALCOVE_CMD_OPTIONS_H

#include "net.h"
#include "pack.h"

enum opt {
    OPT_OUTPUT = 1,
    OPT_ROOT = 2,
    OPT_ENV = 4,
    OPT_CWD = 8,
    OPT_USER = 16,
    OPT_HOSTNAME = 32,
    OPT_FORMAT = 64,
    OPT_JSON = 128,
    OPT_MEMORY = 256,
    OPT_CPUS = 512,
    OPT_MACHINE = 1024,
    OPT_VERBOSE = 2048,
    OPT_ACCEL = 4096,
    OPT_BOOT_TRACE = 8192,
    OPT_VERITY = 16384,
    OPT_WITH = 32768,
    OPT_OCI = 65536,
    OPT_SNP = 1 << 17,
    OPT_TDX = 1 << 18,
    OPT_VTPM = 1 << 19,
    OPT_CPU_TYPE = 1 << 20,
    OPT_VMM = 1 << 21,
    OPT_FIRMWARE = 1 << 22,
    OPT_APPEND = 1 << 23,
    OPT_CLOUD = 1 << 24,
    OPT_BUCKET = 1 << 25,
    OPT_RUN = 1 << 26,
    OPT_KUBERNETES = 1 << 27,
    OPT_LIBVIRT = 1 << 28,
    OPT_NOMAD = 1 << 29,
    OPT_QUIET = 1 << 30,
    OPT_VOLUME = 1u << 31,
    OPT_NETWORK = 1ll << 32, /* -p, --net, --ip, --dns, --vsock, --notify, --metrics */
    OPT_GDB = 1ll << 33,
    OPT_INIT = 1ll << 34,
    OPT_LIBOS = 1ll << 35,
    OPT_KEY = 1ll << 40,
    OPT_SEALED = 1ll << 41,
    OPT_CONSOLE = 1ll << 42,
    OPT_ROOT_DISK = 1ll << 43,
    OPT_COMPRESS = 1ll << 44,
    OPT_PACK = OPT_ROOT | OPT_WITH | OPT_INIT | OPT_ENV | OPT_CWD | OPT_USER | OPT_HOSTNAME |
               OPT_VERITY | OPT_LIBOS | OPT_COMPRESS,
    OPT_VM = OPT_MEMORY | OPT_CPUS | OPT_MACHINE | OPT_ACCEL | OPT_VERBOSE | OPT_BOOT_TRACE |
             OPT_VMM | OPT_QUIET | OPT_VOLUME | OPT_KEY | OPT_NETWORK | OPT_GDB,
};

struct options {
    uint64_t given; /* enum opt of those that were there */
    struct pack_spec pack;
    const char *output, *machine, *accel;
    const char *cpu_type, *vmm, *firmware, *append, *cloud, *bucket;
    struct list volumes; /* as given: FILE:/DIR[:ro] */
    struct list keys;    /* as given: /DIR=file:PATH */
    uint64_t memory;     /* bytes, 0: not given */
    unsigned cpus;       /* 0: not given */
    unsigned formats;    /* bits of enum format, 0: not given */
    struct net_spec net;
};

/* Read the options before the first operand of argv[1..]; index of that operand. command is for messages, known what it
 * takes. --help prints the command's help and exits. */
int options_read(const char *command, uint64_t known, int argc, char **argv, struct options *ret);

/* `build` only: when there was no -o before PROGRAM, take alcove's options from the end of argv; new argc. */
int options_read_tail(uint64_t known, int first, int argc, char **argv, struct options *o);

/* UEFI firmware as one file: given, else $ALCOVE_OVMF, else where distributions have it; ends the command where it is
 * nowhere. */
const char *firmware_find(const char *given);

/* Print the help of a command, or the overview for NULL, on stdout. */
void help_print(const char *command);

#endif
