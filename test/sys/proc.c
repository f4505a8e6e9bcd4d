/* SPDX-License-Identifier: MIT */
/* /proc and /sys: the shape of what programs read, against what Linux prints. */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <regex.h>
#include <stdint.h>
#include <stdlib.h>
#include <t.h>
#include <unistd.h>

static char text[1 << 20];

/* The whole of a file in text; its length or a negative errno. */
static long slurp(const char *path)
{
    long fd = call(SYS_openat, AT_FDCWD, path, O_RDONLY, 0), n = 0, got;
    text[0] = '\0';
    if (fd < 0)
        return fd;
    while ((got = call(SYS_read, fd, text + n, sizeof(text) - 1 - (size_t)n)) > 0)
        n += got;
    text[n] = '\0';
    call(SYS_close, fd);
    return got < 0 ? got : n;
}

static bool matches(const char *pattern, const char *s)
{
    regex_t r;
    if (regcomp(&r, pattern, REG_EXTENDED | REG_NOSUB | REG_NEWLINE))
        abort();
    bool yes = !regexec(&r, s, 0, NULL, 0);
    regfree(&r);
    return yes;
}

static void like(int line, const char *path, const char *pattern)
{
    long n = slurp(path);
    if (!t_check(__FILE__, line, path, 1, n >= 0 && matches(pattern, text)))
        fprintf(stderr, "  (%ld) does not match %s: %.200s\n", n, pattern, text);
}

#define LIKE(path, pattern) like(__LINE__, path, pattern)

/* Every line matches. */
static void all_like(int line, const char *path, const char *pattern)
{
    long n = slurp(path);
    t_check(__FILE__, line, path, 1, n > 0);
    for (char *p = strtok(text, "\n"); p; p = strtok(NULL, "\n"))
        if (!t_check(__FILE__, line, path, 1, matches(pattern, p)))
            fprintf(stderr, "  does not match: %s\n", p);
}

static void link_is(int line, const char *path, const char *pattern)
{
    char to[4096];
    long n = call(SYS_readlinkat, AT_FDCWD, path, to, sizeof(to) - 1);
    to[n < 0 ? 0 : n] = '\0';
    if (!t_check(__FILE__, line, path, 1, n > 0 && matches(pattern, to)))
        fprintf(stderr, "  (%ld) -> %s\n", n, to);
}

#define LINK(path, pattern) link_is(__LINE__, path, pattern)

static void system_files(void)
{
    LIKE("/proc/version", "^Linux version [^ ]+ \\(.*\\n?");
    LIKE("/proc/uptime", "^[0-9]+\\.[0-9]{2} [0-9]+\\.[0-9]{2}$");
    LIKE("/proc/loadavg", "^([0-9]+\\.[0-9]{2} ){3}[0-9]+/[0-9]+ [0-9]+$");
    all_like(__LINE__, "/proc/meminfo", "^[A-Za-z0-9_()]+: +[0-9]+( kB)?$");
    LIKE("/proc/meminfo", "^MemTotal: {1,15}[0-9]+ kB$");
    LIKE("/proc/meminfo", "^MemAvailable: +[0-9]+ kB$");
    LIKE("/proc/cpuinfo", "^processor\t: 0$");
#ifndef T_IN_PROCESS /* the host platform tells less about its CPU */
    LIKE("/proc/cpuinfo", "^flags\t\t: .*\\bsse2\\b");
#endif
    LIKE("/proc/stat", "^cpu  [0-9]+( [0-9]+){9}$");
    LIKE("/proc/stat", "^cpu0 [0-9]+( [0-9]+){9}$");
    LIKE("/proc/stat", "^btime [0-9]{10}$");
    LIKE("/proc/filesystems", "^nodev\ttmpfs$");
    LIKE("/proc/filesystems", "^nodev\tproc$");
    LIKE("/proc/mounts", "^proc /proc proc rw,[a-z,]*relatime 0 0$");
    LIKE("/proc/swaps", "^Filename\t\t\t\tType\t\tSize\t\tUsed\t\tPriority");
    LIKE("/proc/devices", "^ +1 mem$");
    LIKE("/proc/partitions", "^major minor +#blocks +name");
    LINK("/proc/self", "^[0-9]+$");
    LINK("/proc/thread-self", "^[0-9]+/task/[0-9]+$");
    LINK("/proc/mounts", "^self/mounts$");
    CHECK(-ENOENT, slurp("/proc/999999999"));
    CHECK(-ENOENT, slurp("/proc/0001"));
    CHECK(-ENOENT, slurp("/proc/nothing"));
    CHECK(-EISDIR, slurp("/proc/sys"));
}

static void sysctls(void)
{
    LIKE("/proc/sys/kernel/osrelease", "^[0-9]+\\.[0-9]+");
    LIKE("/proc/sys/kernel/ostype", "^Linux$");
    LIKE("/proc/sys/kernel/pid_max", "^[0-9]+$");
    LIKE("/proc/sys/kernel/threads-max", "^[0-9]+$");
    LIKE("/proc/sys/kernel/cap_last_cap", "^[0-9]+$");
    LIKE("/proc/sys/kernel/ngroups_max", "^65536$");
    LIKE("/proc/sys/kernel/random/uuid",
         "^[0-9a-f]{8}-[0-9a-f]{4}-4[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}$");
    LIKE("/proc/sys/kernel/random/entropy_avail", "^[0-9]+$");
    char first[64];
    slurp("/proc/sys/kernel/random/boot_id");
    snprintf(first, sizeof(first), "%.63s", text);
    slurp("/proc/sys/kernel/random/boot_id");
    CHECK(0, strcmp(first, text));
    slurp("/proc/sys/kernel/random/uuid");
    CHECK(true, strcmp(first, text) != 0);
    LIKE("/proc/sys/vm/overcommit_memory", "^[012]$");
    LIKE("/proc/sys/vm/max_map_count", "^[0-9]+$");
    LIKE("/proc/sys/vm/mmap_min_addr", "^[0-9]+$");
    LIKE("/proc/sys/fs/file-max", "^[0-9]+$");
    LIKE("/proc/sys/fs/file-nr", "^[0-9]+\t0\t[0-9]+$");
    LIKE("/proc/sys/fs/nr_open", "^1048576$|^1073741816$");
    LIKE("/proc/sys/fs/pipe-max-size", "^1048576$");
}

static void own_status(void)
{
    static const char *const keys[] = {
        "Name",
        "Umask",
        "State",
        "Tgid",
        "Ngid",
        "Pid",
        "PPid",
        "TracerPid",
        "Uid",
        "Gid",
        "FDSize",
        "Groups",
        "NStgid",
        "NSpid",
        "NSpgid",
        "NSsid",
        "Threads",
        "SigQ",
        "SigPnd",
        "ShdPnd",
        "SigBlk",
        "SigIgn",
        "SigCgt",
        "CapInh",
        "CapPrm",
        "CapEff",
        "CapBnd",
        "CapAmb",
        "NoNewPrivs",
        "Seccomp",
        "Cpus_allowed",
        "Cpus_allowed_list",
        "Mems_allowed",
        "Mems_allowed_list",
        "voluntary_ctxt_switches",
        "nonvoluntary_ctxt_switches",
    };
    CHECK(true, slurp("/proc/self/status") > 0);
    const char *at = text;
    for (size_t i = 0; i < sizeof(keys) / sizeof(keys[0]); i++) {
        char key[64];
        snprintf(key, sizeof(key), "\n%s:\t", keys[i]);
        const char *found = i ? strstr(at, key) : strstr(at, key + 1);
        if (!t_check(__FILE__, __LINE__, keys[i], 1, found != NULL))
            continue;
        at = found;
    }
    LIKE("/proc/self/status", "^State:\tR \\(running\\)$");
    LIKE("/proc/self/status", "^Uid:\t[0-9]+\t[0-9]+\t[0-9]+\t[0-9]+$");
    LIKE("/proc/self/status", "^CapPrm:\t[0-9a-f]{16}$");
    LIKE("/proc/self/status", "^SigQ:\t[0-9]+/[0-9]+$");
}

static void own_numbers(void)
{
    char want[32];
    long pid = call(SYS_getpid);
    LIKE("/proc/self/stat", "^[0-9]+ \\(.*\\) R( -?[0-9]+){49}$");
    snprintf(want, sizeof(want), "^%ld \\(", pid);
    LIKE("/proc/self/stat", want);
    LIKE("/proc/self/statm", "^[0-9]+( [0-9]+){6}$");
    LIKE("/proc/thread-self/stat", want);
    LIKE("/proc/self/limits",
         "^Limit                     Soft Limit           Hard Limit           Units     $");
    LIKE("/proc/self/limits", "^Max open files            [0-9]+ +[0-9]+ +files     $");
    LIKE("/proc/self/limits", "^Max nice priority         [0-9]+ +[0-9]+ +$");
    LIKE("/proc/self/mountinfo", "^[0-9]+ [0-9]+ [0-9]+:[0-9]+ / /proc [a-z,]+ .*- proc proc rw");
    LIKE("/proc/self/schedstat", "^[0-9]+ [0-9]+ [0-9]+$");
    LIKE("/proc/self/oom_score", "^[0-9]+$");
    LIKE("/proc/self/cgroup", "^0::/");
    long fd = call(SYS_openat, AT_FDCWD, "/proc/self/comm", O_RDWR, 0);
    CHECK(5, call(SYS_write, fd, "other", 5));
    call(SYS_close, fd);
    LIKE("/proc/self/comm", "^other$");
    fd = call(SYS_openat, AT_FDCWD, "/proc/self/oom_score_adj", O_RDWR, 0);
    CHECK(3, call(SYS_write, fd, "500", 3));
    CHECK(-EINVAL, call(SYS_write, fd, "5000", 4));
    call(SYS_close, fd);
    LIKE("/proc/self/oom_score_adj", "^500$");
}

static void own_descriptors(void)
{
    int fds[2];
    char path[64], want[64];
    CHECK(0, call(SYS_pipe2, fds, 0));
    snprintf(path, sizeof(path), "/proc/self/fd/%d", fds[0]);
    LINK(path, "^pipe:\\[[0-9]+\\]$");
    snprintf(path, sizeof(path), "/proc/self/fdinfo/%d", fds[1]);
    LIKE(path, "^pos:\t0$");
    LIKE(path, "^flags:\t0?1$|^flags:\t0100001$");
    LIKE(path, "^mnt_id:\t[0-9]+$");
    call(SYS_close, fds[0]);
    snprintf(path, sizeof(path), "/proc/self/fd/%d", fds[0]);
    CHECK(-ENOENT, call(SYS_readlinkat, AT_FDCWD, path, want, sizeof(want)));
    long file = call(SYS_openat, AT_FDCWD, "/tmp", O_RDONLY | O_DIRECTORY, 0);
    if (file < 0)
        file = call(SYS_openat, AT_FDCWD, "/dev", O_RDONLY | O_DIRECTORY, 0);
    snprintf(path, sizeof(path), "/proc/self/fd/%ld", file);
    LINK(path, "^/(tmp|dev)$");
    long again = call(SYS_openat, AT_FDCWD, path, O_RDONLY | O_DIRECTORY, 0);
    CHECK(true, again >= 0);
    struct {
        uint64_t ino;
        int64_t off;
        unsigned short len;
        char type;
        char name[256];
    } entry;
    long dir = call(SYS_openat, AT_FDCWD, "/proc/self/fd", O_RDONLY | O_DIRECTORY, 0);
    CHECK(true, call(SYS_getdents64, dir, &entry, sizeof(entry)) > 0);
    call(SYS_close, dir);
    call(SYS_close, again);
    call(SYS_close, file);
    call(SYS_close, fds[1]);
}

static void pieces(void)
{
    char a[16], b[16];
    long fd = call(SYS_openat, AT_FDCWD, "/proc/version", O_RDONLY, 0);
    CHECK(16, call(SYS_read, fd, a, 16));
    CHECK(16, call(SYS_pread64, fd, b, 16, 0));
    CHECK(0, memcmp(a, b, 16));
    for (int i = 0; i < 16; i++)
        CHECK(1, call(SYS_pread64, fd, b + i, 1, i));
    CHECK(0, memcmp(a, b, 16));
    CHECK(0, call(SYS_lseek, fd, 0, SEEK_SET));
    CHECK(16, call(SYS_read, fd, b, 16));
    CHECK(0, memcmp(a, b, 16));
    CHECK(-EFAULT, call(SYS_read, fd, T_BAD, 16));
    call(SYS_close, fd);
}

#ifndef T_IN_PROCESS /* there, the program is not one that libOS executed */
static int variable = 42;

static void own_memory(void)
{
    int value = 0;
    uint64_t auxv[128];
    all_like(__LINE__, "/proc/self/maps",
             "^[0-9a-f]{8,16}-[0-9a-f]{8,16} [-r][-w][-x][-ps] [0-9a-f]{8} "
             "[0-9a-f]{2,}:[0-9a-f]{2,} [0-9]+ ( *[^ ].*)?$");
    LIKE("/proc/self/maps", "^[0-9a-f]+-[0-9a-f]+ rw-p 00000000 00:00 0 {26,}\\[stack\\]$");
    LIKE("/proc/self/maps", "\\[vdso\\]$");
    LIKE("/proc/self/maps", "sys-proc$");
    LIKE("/proc/self/smaps", "^Rss: +[0-9]+ kB$");
    LIKE("/proc/self/smaps", "^VmFlags:( [a-z]{2})+ ?$");
    LIKE("/proc/self/smaps_rollup", "\\[rollup\\]$");
    LIKE("/proc/self/status", "^VmRSS:\t +[0-9]+ kB$");
    LINK("/proc/self/exe", "/sys-proc$");
    LINK("/proc/self/cwd", "^/");
    LINK("/proc/self/root", "^/$");
    CHECK(true, slurp("/proc/self/cmdline") > 0);
    CHECK(true, matches("sys-proc$", text));
    CHECK(true, slurp("/proc/self/environ") >= 0);
    long fd = call(SYS_openat, AT_FDCWD, "/proc/self/auxv", O_RDONLY, 0);
    long n = call(SYS_read, fd, auxv, sizeof(auxv));
    CHECK(0, n % 16);
    CHECK(0, auxv[n / 8 - 2]);
    call(SYS_close, fd);
    fd = call(SYS_openat, AT_FDCWD, "/proc/self/mem", O_RDWR, 0);
    CHECK(4, call(SYS_pread64, fd, &value, 4, &variable));
    CHECK(42, value);
    value = 43;
    CHECK(4, call(SYS_pwrite64, fd, &value, 4, &variable));
    CHECK(43, *(volatile int *)&variable);
    CHECK(-EIO, call(SYS_pread64, fd, &value, 4, 4096));
    call(SYS_close, fd);
}
#endif

static void sys_tree(void)
{
    LIKE("/sys/devices/system/cpu/online", "^0(-[0-9]+)?$");
    LIKE("/sys/devices/system/cpu/possible", "^0(-[0-9]+)?$");
    LIKE("/sys/devices/system/cpu/present", "^0(-[0-9]+)?$");
    LIKE("/sys/devices/system/cpu/kernel_max", "^[0-9]+$");
    CHECK(-ENOENT, slurp("/sys/devices/system/cpu/cpu999/topology/core_id"));
    LIKE("/sys/devices/system/cpu/cpu0/topology/core_id", "^[0-9]+$");
    LIKE("/sys/devices/system/cpu/cpu0/topology/thread_siblings_list", "^0([,-][0-9]+)?$");
}

int main(void)
{
    system_files();
    sysctls();
    own_status();
    own_numbers();
    own_descriptors();
    pieces();
#ifndef T_IN_PROCESS
    own_memory();
#endif
    sys_tree();
    return t_end();
}
