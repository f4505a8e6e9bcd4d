/* SPDX-License-Identifier: MIT */
/* PR_SET_MM: where a program's parts are, its arguments, its auxiliary vector and its file, as /proc shows them. */
#define _GNU_SOURCE
#include <t.h>

#include <elf.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/capability.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#define M(option, ...) call(SYS_prctl, PR_SET_MM, option, __VA_ARGS__)

enum { FIELDS = 52 };
static unsigned long stat_of[FIELDS + 1];

/* /proc/self/stat, numbered as in proc(5). */
static void look(void)
{
    char text[2048] = "", *p;
    int fd = open("/proc/self/stat", O_RDONLY), n = 3;
    CHECK(true, read(fd, text, sizeof(text) - 1) > 0);
    close(fd);
    for (p = strtok(strrchr(text, ')') + 4, " "); p && n < FIELDS; p = strtok(NULL, " "))
        stat_of[++n] = strtoul(p, NULL, 10);
}

static struct prctl_mm_map now(void)
{
    look();
    return (struct prctl_mm_map){ .start_code = stat_of[26],
                                  .end_code = stat_of[27],
                                  .start_stack = stat_of[28],
                                  .start_data = stat_of[45],
                                  .end_data = stat_of[46],
                                  .start_brk = stat_of[47],
                                  .brk = (unsigned long)sbrk(0),
                                  .arg_start = stat_of[48],
                                  .arg_end = stat_of[49],
                                  .env_start = stat_of[50],
                                  .env_end = stat_of[51],
                                  .exe_fd = (unsigned)-1 };
}

static const char *text_of(const char *path, ssize_t *ret_n)
{
    static char text[4096];
    int fd = open(path, O_RDONLY);
    *ret_n = read(fd, text, sizeof(text) - 1);
    text[*ret_n > 0 ? *ret_n : 0] = 0;
    close(fd);
    return text;
}

static void one_by_one(char *page)
{
    struct prctl_mm_map m = now();
    ssize_t n;
    strcpy(page, "other arguments");
    /* The order of start and end is looked at after each. */
    CHECK(-EINVAL, M(PR_SET_MM_ARG_END, m.arg_start - 1, 0, 0));
    CHECK(0, M(m.arg_start < (unsigned long)page ? PR_SET_MM_ARG_END : PR_SET_MM_ARG_START,
               m.arg_start < (unsigned long)page ? page + 16 : page, 0, 0));
    CHECK(0, M(m.arg_start < (unsigned long)page ? PR_SET_MM_ARG_START : PR_SET_MM_ARG_END,
               m.arg_start < (unsigned long)page ? page : page + 16, 0, 0));
    CHECK(0, strcmp(text_of("/proc/self/cmdline", &n), "other arguments"));
    CHECK(16, n);
    CHECK(0, M(PR_SET_MM_START_CODE, m.start_code + 16, 0, 0));
    CHECK(0, M(PR_SET_MM_END_CODE, m.end_code - 16, 0, 0));
    CHECK(0, M(PR_SET_MM_START_DATA, m.start_data + 16, 0, 0));
    CHECK(0, M(PR_SET_MM_END_DATA, m.end_data - 16, 0, 0));
    CHECK(0, M(PR_SET_MM_START_STACK, m.start_stack - 16, 0, 0));
    look();
    CHECK(m.start_code + 16, stat_of[26]);
    CHECK(m.end_code - 16, stat_of[27]);
    CHECK(m.start_stack - 16, stat_of[28]);
    CHECK(m.start_data + 16, stat_of[45]);
    CHECK(m.end_data - 16, stat_of[46]);
    CHECK((unsigned long)page, stat_of[48]);
    CHECK((unsigned long)page + 16, stat_of[49]);
    CHECK(-EINVAL, M(PR_SET_MM_START_CODE, m.end_code, 0, 0)); /* not empty */
    CHECK(-EINVAL, M(PR_SET_MM_START_BRK, m.brk + 1, 0, 0));
    CHECK(-EINVAL, M(PR_SET_MM_BRK, m.start_brk - 1, 0, 0));
    CHECK(0, M(PR_SET_MM_BRK, m.brk, 0, 0));
    CHECK(0, M(PR_SET_MM_START_BRK, m.start_brk, 0, 0));
    CHECK(-EINVAL, M(PR_SET_MM_ARG_END, m.env_end, 1, 0));
    CHECK(-EINVAL, M(PR_SET_MM_ARG_END, m.env_end, 0, 1));
    CHECK(-EINVAL, M(PR_SET_MM_ARG_END, 0, 0, 0));
    CHECK(-EINVAL, M(PR_SET_MM_ARG_END, -1, 0, 0));
    CHECK(-EINVAL, M(99, m.env_end, 0, 0));
    /* Nothing is there, and nothing behind it. */
    CHECK(-EFAULT, M(PR_SET_MM_ENV_END, 0x7ffffffff000 - 4096 - 1, 0, 0));
}

static void whole(char *page)
{
    struct prctl_mm_map m = now(), bad;
    unsigned size = 0;
    ssize_t n;
    CHECK(0, M(PR_SET_MM_MAP_SIZE, &size, 0, 0));
    CHECK(sizeof(m), size);
    CHECK(-EFAULT, M(PR_SET_MM_MAP_SIZE, T_BAD, 0, 0));
    CHECK(-EINVAL, M(PR_SET_MM_MAP, &m, sizeof(m) - 1, 0));
    CHECK(-EINVAL, M(PR_SET_MM_MAP, &m, sizeof(m), 1));
    CHECK(-EFAULT, M(PR_SET_MM_MAP, T_BAD, sizeof(m), 0));
    CHECK(0, M(PR_SET_MM_MAP, &m, sizeof(m), 0));
    strcpy(page + 100, "all at once");
    m.arg_start = (unsigned long)page + 100;
    m.arg_end = m.arg_start + 12;
    CHECK(0, M(PR_SET_MM_MAP, &m, sizeof(m), 0));
    CHECK(0, strcmp(text_of("/proc/self/cmdline", &n), "all at once"));
    for (unsigned i = 0; i < 11; i++) {
        bad = m;
        (&bad.start_code)[i] = i & 1 ? -1ul : 0;
        CHECK(-EINVAL, M(PR_SET_MM_MAP, &bad, sizeof(bad), 0));
    }
    bad = m;
    bad.env_end = bad.env_start - 1;
    CHECK(-EINVAL, M(PR_SET_MM_MAP, &bad, sizeof(bad), 0));
    bad = m;
    bad.auxv_size = 16; /* without a vector */
    CHECK(-EINVAL, M(PR_SET_MM_MAP, &bad, sizeof(bad), 0));
    bad.auxv = (void *)T_BAD;
    CHECK(-EFAULT, M(PR_SET_MM_MAP, &bad, sizeof(bad), 0));
    bad.auxv_size = 1 << 20;
    CHECK(-EINVAL, M(PR_SET_MM_MAP, &bad, sizeof(bad), 0));
}

static void vector(bool all)
{
    unsigned long v[4] = { AT_PAGESZ, 12345, AT_UID, 678 };
    struct prctl_mm_map m = now();
    ssize_t n;
    const char *text;
    if (all) {
        CHECK(-EFAULT, M(PR_SET_MM_AUXV, T_BAD, sizeof(v), 0));
        CHECK(-EINVAL, M(PR_SET_MM_AUXV, v, 4096, 0));
        CHECK(-EFAULT, M(PR_SET_MM_AUXV, NULL, sizeof(v), 0));
        CHECK(0, M(PR_SET_MM_AUXV, v, sizeof(v), 0));
        text = text_of("/proc/self/auxv", &n);
        CHECK(true, n >= (ssize_t)sizeof(v));
        CHECK(0, memcmp(text, v, sizeof(v)));
    }
    v[1] = 4096;
    m.auxv = (void *)v;
    m.auxv_size = sizeof(v);
    CHECK(0, M(PR_SET_MM_MAP, &m, sizeof(m), 0));
    text = text_of("/proc/self/auxv", &n);
    CHECK(6 * sizeof(*v), n); /* what was there before is gone */
    CHECK(0, memcmp(text, v, sizeof(v)));
}

/* Another file can be the program's when none of the first is mapped; a static test's own is. */
static void file(bool all)
{
    char path[64] = "";
    int fd = open("/tmp/t_set_mm", O_CREAT | O_RDWR | O_TRUNC, 0600);
    if (all) {
        CHECK(-EBADF, M(PR_SET_MM_EXE_FILE, -1, 0, 0));
        CHECK(-EACCES, M(PR_SET_MM_EXE_FILE, fd, 0, 0)); /* not executable */
    }
    CHECK(0, fchmod(fd, 0700));
    close(fd);
    fd = open("/tmp/t_set_mm", O_RDONLY);
    if (all)
        CHECK(-EBUSY, M(PR_SET_MM_EXE_FILE, fd, 0, 0));
    int dir = open("/tmp", O_RDONLY | O_DIRECTORY), null = open("/dev/null", O_RDONLY);
    struct prctl_mm_map m = now();
    m.exe_fd = (unsigned)dir;
    CHECK(-EACCES, M(PR_SET_MM_MAP, &m, sizeof(m), 0));
    m.exe_fd = (unsigned)null;
    CHECK(-EACCES, M(PR_SET_MM_MAP, &m, sizeof(m), 0));
    close(dir);
    close(null);
    m.exe_fd = (unsigned)fd;
    CHECK(-EBUSY, M(PR_SET_MM_MAP, &m, sizeof(m), 0));
    CHECK(true, readlink("/proc/self/exe", path, sizeof(path) - 1) > 0);
    CHECK(true, strcmp(path, "/tmp/t_set_mm") != 0);
    close(fd);
    unlink("/tmp/t_set_mm");
}

/* Has this process what changing one value takes? Root of a container need not. */
static bool privileged(void)
{
    struct __user_cap_header_struct h = { _LINUX_CAPABILITY_VERSION_3, 0 };
    struct __user_cap_data_struct c[2];
    CHECK(0, call(SYS_capget, &h, c));
    return c[0].effective >> CAP_SYS_RESOURCE & 1;
}

static void without_rights(void)
{
    struct prctl_mm_map m = now();
    struct __user_cap_header_struct h = { _LINUX_CAPABILITY_VERSION_3, 0 };
    struct __user_cap_data_struct none[2] = { { 0 } };
    CHECK(0, call(SYS_capset, &h, none));
    CHECK(-EPERM, M(PR_SET_MM_ARG_END, m.arg_end, 0, 0));
    CHECK(-EPERM, M(PR_SET_MM_AUXV, &m, 16, 0));
    CHECK(-EPERM, M(PR_SET_MM_EXE_FILE, 0, 0, 0));
    CHECK(-EPERM, M(99, 0, 0, 0));
    CHECK(-EINVAL, M(99, 0, 1, 0));
    CHECK(0, M(PR_SET_MM_MAP, &m, sizeof(m), 0)); /* whoever may be checkpointed */
    m.exe_fd = 0;
    CHECK(-EPERM, M(PR_SET_MM_MAP, &m, sizeof(m), 0));
}

/* RLIMIT_DATA covers both pieces. */
static void limited(bool all)
{
    struct prctl_mm_map m = now();
    struct rlimit l = { m.brk - m.start_brk + (m.end_data - m.start_data) - 1, RLIM_INFINITY };
    CHECK(0, setrlimit(RLIMIT_DATA, &l));
    CHECK(-EINVAL, M(PR_SET_MM_MAP, &m, sizeof(m), 0));
    if (all)
        CHECK(-EINVAL, M(PR_SET_MM_ARG_END, m.arg_end, 0, 0));
    l.rlim_cur++;
    CHECK(0, setrlimit(RLIMIT_DATA, &l));
    CHECK(0, M(PR_SET_MM_MAP, &m, sizeof(m), 0));
    l.rlim_cur = RLIM_INFINITY;
    CHECK(0, setrlimit(RLIMIT_DATA, &l));
}

/* A child has what its parent has set. */
static void child(void)
{
    ssize_t n;
    pid_t pid = fork();
    int status = -1;
    if (!pid)
        _exit(strcmp(text_of("/proc/self/cmdline", &n), "all at once") != 0 || n != 12);
    waitpid(pid, &status, 0);
    CHECK(0, status);
}

int main(void)
{
    char *page = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    bool all = privileged();
    CHECK(true, all || !t_alcove());
    sbrk(4096);
    if (all) /* on Linux: not in a container */
        one_by_one(page);
    whole(page);
    child();
    vector(all);
    file(all);
    limited(all);
    without_rights();
    return t_end();
}
