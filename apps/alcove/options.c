/* SPDX-License-Identifier: MIT */
/* Option parsing by one table. Long options may be written --name=value or --name value. */
#include "options.h"

#include "formats.h"
#include "kernels.h"

#include <stdlib.h>
#include <string.h>
#include <unistd.h>

struct option_row {
    enum opt bit;
    char letter;
    const char *name;
    const char *value; /* what it is called in messages; NULL: none */
};

static const struct option_row rows[] = {
    { OPT_OUTPUT, 'o', "output", "FILE" },
    { OPT_ROOT, 0, "root", "DIR" },
    { OPT_ENV, 'e', "env", "K=V" },
    { OPT_CWD, 'w', "cwd", "DIR" },
    { OPT_USER, 'u', "user", "U[:G]" },
    { OPT_HOSTNAME, 'h', "hostname", "NAME" },
    { OPT_FORMAT, 0, "format", "LIST" },
    { OPT_JSON, 0, "json", NULL },
    { OPT_MEMORY, 'm', "memory", "SIZE" },
    { OPT_CPUS, 0, "cpus", "N" },
    { OPT_MACHINE, 0, "machine", "M" },
    { OPT_VERBOSE, 0, "verbose", NULL },
    { OPT_ACCEL, 0, "accel", "tcg|kvm" },
    { OPT_BOOT_TRACE, 0, "boot-trace", NULL },
    { OPT_GDB, 0, "gdb", NULL },
    { OPT_VOLUME, 'v', "volume", "FILE:/DIR[:ro]" },
    { OPT_KEY, 0, "key", "/DIR=FROM" },
    { OPT_SEALED, 0, "sealed", NULL },
    { OPT_CONSOLE, 0, "console", NULL },
    { OPT_VERITY, 0, "verity", "on|off|panic" },
    { OPT_COMPRESS, 0, "compress", "none|lz4" },
    { OPT_ROOT_DISK, 0, "root-disk", "FILE" },
    { OPT_WITH, 0, "with", "PROGRAM" },
    { OPT_INIT, 0, "init", NULL },
    { OPT_LIBOS, 0, "libos", "NAME" },
    { OPT_OCI, 0, "oci", "IMAGE" },
    { OPT_SNP, 0, "snp", NULL },
    { OPT_TDX, 0, "tdx", NULL },
    { OPT_VTPM, 0, "vtpm", NULL },
    { OPT_CPU_TYPE, 0, "cpu-type", "TYPE" },
    { OPT_VMM, 0, "vmm", "VMM" },
    { OPT_FIRMWARE, 0, "firmware", "FILE" },
    { OPT_APPEND, 0, "append", "TEXT" },
    { OPT_CLOUD, 0, "cloud", "NAME" },
    { OPT_BUCKET, 0, "bucket", "NAME" },
    { OPT_RUN, 0, "run", NULL },
    { OPT_KUBERNETES, 0, "kubernetes", NULL },
    { OPT_LIBVIRT, 0, "libvirt", NULL },
    { OPT_NOMAD, 0, "nomad", NULL },
    { OPT_QUIET, 0, "quiet", NULL },
    { OPT_NETWORK, 'p', "publish", "HOST:GUEST[/udp]" },
    { OPT_NETWORK, 0, "net", "user|tap=NAME|none" },
    { OPT_NETWORK, 0, "ip", "A.B.C.D/P[,GATEWAY]" },
    { OPT_NETWORK, 0, "dns", "ADDRESS[,ADDRESS]" },
    { OPT_NETWORK, 0, "vsock", "CID[,socket=PATH]" },
    { OPT_NETWORK, 0, "notify", "vsock-stream:CID:PORT" },
    { OPT_NETWORK, 0, "metrics", "PORT" },
};

/* What people type from other tools. */
static const struct {
    const char *name, *hint;
} hints[] = {
    { "--rm", "not needed: nothing stays behind" },
    { "-it", "not needed: a terminal is passed through when there is one" },
    { "-i", "not needed: standard input is passed through" },
    { "-t", "not needed: a terminal is passed through when there is one" },
    { "--workdir", "it is called --cwd" },
    { "-c", "it is called --cpus" },
    { "--name", "images have no names: they are files" },
};

static uint64_t parse_size(const char *s)
{
    char *end;
    unsigned long long v = strtoull(s, &end, 10);
    int shift = 20; /* without a unit: MiB, as QEMU's -m */
    if (*end == 'K' || *end == 'k')
        shift = 10;
    else if (*end == 'G' || *end == 'g')
        shift = 30;
    if (*s < '0' || *s > '9' || v == 0 || v > (1ULL << 50 >> shift) || (*end && end[1]) ||
        (*end && !strchr("KkMmGg", *end)))
        fail("--memory", "'%s' is not a size; write for example 256M or 2G", s);
    return (uint64_t)v << shift;
}

static void set_env(struct options *o, const char *v)
{
    const char *eq = strchr(v, '=');
    if (eq == v || !*v)
        fail("-e", "'%s' has no name; write -e NAME=VALUE", v);
    if (eq) {
        list_add(&o->pack.env, v);
        return;
    }
    const char *here = getenv(v); /* as in container tools: -e NAME passes on this shell's value */
    if (here)
        list_add(&o->pack.env, xprintf("%s=%s", v, here));
}

static void set_cpus(struct options *o, const char *v)
{
    char *end;
    unsigned long n = strtoul(v, &end, 10);
    if (*v < '0' || *v > '9' || *end || n < 1 || n > 64)
        fail("--cpus", "'%s' is not a number from 1 to 64", v);
    o->cpus = (unsigned)n;
}

static const char *one_of(const char *option, const char *v, const char *const *words)
{
    struct buf all = { 0 };
    for (size_t i = 0; words[i]; i++) {
        if (strcmp(v, words[i]) == 0)
            return words[i];
        buf_printf(&all, "%s%s", i ? ", " : "", words[i]);
    }
    fail(option, "'%s' is not known; one of: %s", v, all.s);
}

static void check_hostname(const char *v)
{
    size_t n = strlen(v);
    if (n == 0 || n > 64 ||
        strspn(v, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-.") != n)
        fail("--hostname", "'%s' is not a host name (letters, digits, '-' and '.', at most 64)", v);
}

static void set(struct options *o, const struct option_row *r, const char *v)
{
    static const char *const machines[] = { "microvm", "q35", "pc", NULL };
    static const char *const accels[] = { "tcg", "kvm", NULL };
    static const char *const verities[] = { "on", "off", "panic", NULL };
    static const char *const compressions[] = { "none", "lz4", NULL };
    o->given |= r->bit;
    switch (r->bit) {
    case OPT_OUTPUT:
        if (!*v)
            fail("-o", "the file name is empty");
        o->output = v;
        break;
    case OPT_ROOT:
        list_add(&o->pack.roots, v);
        break;
    case OPT_WITH:
        list_add(&o->pack.with, v);
        break;
    case OPT_INIT:
        o->pack.init = true;
        break;
    case OPT_LIBOS:
        o->pack.kernel = kernel_find(v);
        break;
    case OPT_ENV:
        set_env(o, v);
        break;
    case OPT_VERITY:
        o->pack.verity = one_of("--verity", v, verities);
        break;
    case OPT_COMPRESS:
        o->pack.lz4 = strcmp(one_of("--compress", v, compressions), "lz4") == 0;
        break;
    case OPT_ROOT_DISK:
        if (!*v)
            fail("--root-disk", "the file name is empty");
        o->pack.root_disk = v;
        break;
    case OPT_CPU_TYPE:
        o->cpu_type = v;
        break;
    case OPT_VMM:
        o->vmm = v;
        break;
    case OPT_FIRMWARE:
        o->firmware = v;
        break;
    case OPT_APPEND:
        o->append = v;
        break;
    case OPT_CLOUD:
        o->cloud = v;
        break;
    case OPT_BUCKET:
        o->bucket = v;
        break;
    case OPT_OCI:
        o->pack.oci = v;
        break;
    case OPT_VOLUME:
        list_add(&o->volumes, v);
        break;
    case OPT_KEY:
        list_add(&o->keys, v);
        break;
    case OPT_CWD:
        if (v[0] != '/')
            fail("--cwd", "'%s' is not an absolute path of the image", v);
        o->pack.cwd = v;
        break;
    case OPT_USER:
        o->pack.user = v;
        break;
    case OPT_HOSTNAME:
        check_hostname(v);
        o->pack.hostname = v;
        break;
    case OPT_FORMAT:
        o->formats = formats_parse(v);
        break;
    case OPT_MEMORY:
        o->memory = parse_size(v);
        break;
    case OPT_CPUS:
        set_cpus(o, v);
        break;
    case OPT_MACHINE:
        o->machine = one_of("--machine", v, machines);
        break;
    case OPT_NETWORK:
        net_option(&o->net, r->name, v);
        break;
    case OPT_ACCEL:
        o->accel = one_of("--accel", v, accels);
        break;
    default:
        break; /* a flag */
    }
}

const char *firmware_find(const char *given)
{
    static const char *const paths[] = { "/usr/share/ovmf/OVMF.fd",
                                         "/usr/share/edk2/x64/OVMF.4m.fd",
                                         "/usr/share/edk2/ovmf/OVMF.fd",
                                         "/usr/share/qemu/ovmf-x86_64.bin" };
    const char *variable = getenv("ALCOVE_OVMF");
    if (given)
        return given;
    if (variable && *variable)
        return variable;
    for (size_t i = 0; i < sizeof(paths) / sizeof(*paths); i++)
        if (access(paths[i], R_OK) == 0)
            return paths[i];
    fail("OVMF.fd", "is not installed; install it (Debian: apt install "
                    "ovmf), or set ALCOVE_OVMF to its path");
}

static __attribute__((noreturn)) void unknown(const char *command, const char *arg)
{
    size_t n = strcspn(arg, "=");
    for (size_t i = 0; i < sizeof(hints) / sizeof(*hints); i++)
        if (strncmp(arg, hints[i].name, n) == 0 && !hints[i].name[n])
            fail(command, "does not take '%s': %s", arg, hints[i].hint);
    fail(command, "does not know '%s'; see alcove %s --help", arg, command);
}

/* The row of an argument, or NULL. *ret_value: the value written in the same argument. */
static const struct option_row *find_row(const char *arg, uint64_t known, const char **ret_value)
{
    *ret_value = NULL;
    for (size_t i = 0; i < sizeof(rows) / sizeof(*rows); i++) {
        const struct option_row *r = &rows[i];
        size_t n = strlen(r->name);
        if (!(r->bit & known))
            continue;
        if (arg[0] == '-' && arg[1] == r->letter && r->letter && (r->value || !arg[2])) {
            *ret_value = arg[2] ? arg + 2 : NULL;
            return r;
        }
        if (strncmp(arg, "--", 2) == 0 && strncmp(arg + 2, r->name, n) == 0 &&
            (!arg[2 + n] || (arg[2 + n] == '=' && r->value))) {
            *ret_value = arg[2 + n] ? arg + 3 + n : NULL;
            return r;
        }
    }
    return NULL;
}

int options_read(const char *command, uint64_t known, int argc, char **argv, struct options *ret)
{
    int i = 1;
    for (; i < argc && argv[i][0] == '-' && argv[i][1]; i++) {
        const char *value;
        if (strcmp(argv[i], "--") == 0)
            return i + 1;
        if (strcmp(argv[i], "--help") == 0) {
            help_print(command);
            exit(0);
        }
        const struct option_row *r = find_row(argv[i], known, &value);
        if (!r)
            unknown(command, argv[i]);
        if (r->value && !value && ++i == argc)
            fail(command, "'%s' needs a value: %s", argv[i - 1], r->value);
        set(ret, r, r->value ? (value ? value : argv[i]) : NULL);
    }
    return i;
}

int options_read_tail(uint64_t known, int first, int argc, char **argv, struct options *o)
{
    struct list words = { 0 };
    if (o->given & OPT_OUTPUT)
        return argc;
    for (;;) {
        const char *value;
        const struct option_row *r = NULL;
        int at = 0;
        /* --name=value and flags are one word, "-o FILE" and "--name VALUE" are two. Letters other than -o are too
         * likely to be the program's. */
        if (argc > first && (r = find_row(argv[argc - 1], known, &value)) && (value || !r->value))
            at = argc - 1;
        else if (argc > first + 1 && (r = find_row(argv[argc - 2], known, &value)) && r->value &&
                 !value)
            at = argc - 2;
        if (!at || (argv[at][1] != '-' && r->bit != OPT_OUTPUT))
            break;
        if (r->value)
            value = value ? value : argv[argc - 1];
        /* The end is read first: what was set already stays, lists are turned round below. */
        if (r->bit == OPT_ROOT)
            list_add(&words, value);
        else if (!(o->given & r->bit) || r->bit & (OPT_ENV | OPT_WITH))
            set(o, r, value);
        argc = at;
    }
    for (size_t i = words.n; i-- > 0;)
        list_add(&o->pack.roots, words.v[i]);
    return argc;
}
