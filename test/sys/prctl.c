/* SPDX-License-Identifier: MIT */
/* prctl(2), option by option: each works, or says what Linux says. */
#define _GNU_SOURCE
#include <t_file.h>

#include <elf.h>
#include <linux/prctl.h>
#include <signal.h>
#include <stdint.h>
#include <sys/mman.h>

#ifndef PR_SET_VMA
#define PR_SET_VMA           0x53564d41
#define PR_SET_VMA_ANON_NAME 0
#endif
#ifndef PR_GET_AUXV
#define PR_GET_AUXV 0x41555856
#endif
#ifndef PR_SET_MDWE
#define PR_SET_MDWE 65
#define PR_GET_MDWE 66
#endif
#ifndef PR_SET_MEMORY_MERGE
#define PR_SET_MEMORY_MERGE 67
#define PR_GET_MEMORY_MERGE 68
#endif
#ifndef PR_SET_IO_FLUSHER
#define PR_SET_IO_FLUSHER 57
#define PR_GET_IO_FLUSHER 58
#endif
#ifndef PR_SCHED_CORE
#define PR_SCHED_CORE 62
#endif

#define P(...) call(SYS_prctl, __VA_ARGS__)

static void names(void)
{
    char name[16];
    CHECK(0, P(PR_SET_NAME, "a name longer than fits"));
    CHECK(0, P(PR_GET_NAME, name));
    CHECK(0, strcmp(name, "a name longer t"));
    CHECK(-EFAULT, P(PR_SET_NAME, T_BAD));
    CHECK(-EFAULT, P(PR_GET_NAME, T_BAD));
}

static void signals_and_family(void)
{
    int n = -1;
    CHECK(-EINVAL, P(PR_SET_PDEATHSIG, 65));
    CHECK(0, P(PR_SET_PDEATHSIG, SIGUSR1));
    CHECK(0, P(PR_GET_PDEATHSIG, &n));
    CHECK(SIGUSR1, n);
    CHECK(-EFAULT, P(PR_GET_PDEATHSIG, T_BAD));
    CHECK(0, P(PR_SET_PDEATHSIG, 0));
    CHECK(0, P(PR_SET_CHILD_SUBREAPER, 5));
    CHECK(0, P(PR_GET_CHILD_SUBREAPER, &n));
    CHECK(1, n);
    CHECK(0, P(PR_SET_CHILD_SUBREAPER, 0));
}

static void mode_switches(void)
{
    int n = -1;
    CHECK(1, P(PR_GET_DUMPABLE));
    CHECK(-EINVAL, P(PR_SET_DUMPABLE, 2));
    CHECK(0, P(PR_SET_DUMPABLE, 0));
    CHECK(0, P(PR_GET_DUMPABLE));
    CHECK(0, P(PR_SET_DUMPABLE, 1));
    CHECK(0, P(PR_GET_TIMING));
    CHECK(-EINVAL, P(PR_SET_TIMING, 1));
    CHECK(0, P(PR_GET_TSC, &n));
    CHECK(PR_TSC_ENABLE, n);
    CHECK(-EINVAL, P(PR_SET_TSC, 3));
    CHECK(0, P(PR_SET_TSC, PR_TSC_ENABLE));
    CHECK(0, P(PR_SET_TIMERSLACK, 12345));
    CHECK(12345, P(PR_GET_TIMERSLACK));
    CHECK(0, P(PR_SET_TIMERSLACK, 0));
    CHECK(50000, P(PR_GET_TIMERSLACK));
    CHECK(0, P(PR_GET_THP_DISABLE, 0, 0, 0, 0));
    CHECK(0, P(PR_SET_THP_DISABLE, 1, 0, 0, 0));
    CHECK(1, P(PR_GET_THP_DISABLE, 0, 0, 0, 0));
    CHECK(0, P(PR_SET_THP_DISABLE, 0, 0, 0, 0));
    CHECK(-EINVAL, P(PR_GET_THP_DISABLE, 1, 0, 0, 0));
    CHECK(PR_MCE_KILL_DEFAULT, P(PR_MCE_KILL_GET, 0, 0, 0, 0));
    CHECK(0, P(PR_MCE_KILL, PR_MCE_KILL_SET, PR_MCE_KILL_EARLY, 0, 0));
    CHECK(PR_MCE_KILL_EARLY, P(PR_MCE_KILL_GET, 0, 0, 0, 0));
    CHECK(0, P(PR_MCE_KILL, PR_MCE_KILL_SET, PR_MCE_KILL_LATE, 0, 0));
    CHECK(PR_MCE_KILL_LATE, P(PR_MCE_KILL_GET, 0, 0, 0, 0));
    CHECK(-EINVAL, P(PR_MCE_KILL, PR_MCE_KILL_SET, 7, 0, 0));
    CHECK(-EINVAL, P(PR_MCE_KILL, 7, 0, 0, 0));
    CHECK(0, P(PR_MCE_KILL, PR_MCE_KILL_CLEAR, 0, 0, 0));
    CHECK(-EINVAL, P(PR_MCE_KILL, PR_MCE_KILL_CLEAR, 1, 0, 0));
    CHECK(PR_MCE_KILL_DEFAULT, P(PR_MCE_KILL_GET, 0, 0, 0, 0));
    CHECK(-EINVAL, P(PR_MCE_KILL_GET, 1, 0, 0, 0));
    CHECK(0, P(PR_TASK_PERF_EVENTS_DISABLE));
    CHECK(0, P(PR_TASK_PERF_EVENTS_ENABLE));
}

/* For those who may exceed limits. */
static void flusher(void)
{
    struct {
        uint32_t version;
        int pid;
    } head = { 0x20080522, 0 };
    uint32_t caps[6] = { 0 };
    CHECK(0, call(SYS_capget, &head, caps));
    bool may = caps[0] >> 24 & 1; /* CAP_SYS_RESOURCE */
    CHECK(may ? 0 : -EPERM, P(PR_GET_IO_FLUSHER, 0, 0, 0, 0));
    CHECK(may ? 0 : -EPERM, P(PR_SET_IO_FLUSHER, 1, 0, 0, 0));
    CHECK(may ? 1 : -EPERM, P(PR_GET_IO_FLUSHER, 0, 0, 0, 0));
    CHECK(may ? 0 : -EPERM, P(PR_SET_IO_FLUSHER, 0, 0, 0, 0));
    CHECK(may ? -EINVAL : -EPERM, P(PR_SET_IO_FLUSHER, 2, 0, 0, 0));
    CHECK(may ? -EINVAL : -EPERM, P(PR_SET_IO_FLUSHER, 1, 1, 0, 0));
    CHECK(may ? -EINVAL : -EPERM, P(PR_GET_IO_FLUSHER, 1, 0, 0, 0));
}

/* Other processors' options. */
static void not_of_this_machine(void)
{
    long n;
    CHECK(-EINVAL, P(PR_GET_UNALIGN, &n));
    CHECK(-EINVAL, P(PR_SET_UNALIGN, 1));
    CHECK(-EINVAL, P(PR_GET_FPEMU, &n));
    CHECK(-EINVAL, P(PR_SET_FPEMU, 1));
    CHECK(-EINVAL, P(PR_GET_FPEXC, &n));
    CHECK(-EINVAL, P(PR_SET_FPEXC, 1));
    CHECK(-EINVAL, P(PR_GET_ENDIAN, &n));
    CHECK(-EINVAL, P(PR_SET_ENDIAN, 1));
    CHECK(-EINVAL, P(PR_SET_FP_MODE, 1));
    CHECK(-EINVAL, P(PR_GET_FP_MODE));
    CHECK(-EINVAL, P(PR_SVE_SET_VL, 1));
    CHECK(-EINVAL, P(PR_SVE_GET_VL));
    CHECK(-EINVAL, P(PR_PAC_RESET_KEYS, 0, 0, 0, 0));
    CHECK(-EINVAL, P(PR_SET_TAGGED_ADDR_CTRL, 0, 0, 0, 0));
    CHECK(-EINVAL, P(PR_GET_TAGGED_ADDR_CTRL, 0, 0, 0, 0));
    CHECK(-EINVAL, P(PR_MPX_ENABLE_MANAGEMENT, 0, 0, 0, 0));
    CHECK(-EINVAL, P(PR_MPX_DISABLE_MANAGEMENT, 0, 0, 0, 0));
    CHECK(-EINVAL, P(0));
    CHECK(-EINVAL, P(9999));
    CHECK(-EINVAL, P(-1));
}

#ifndef T_IN_PROCESS
static void auxiliary_vector(void)
{
    unsigned long aux[128] = { 0 };
    long size = P(PR_GET_AUXV, aux, sizeof(aux), 0, 0);
    CHECK(true, size > 16 && size % 16 == 0 && size <= (long)sizeof(aux));
    bool pagesz = false;
    for (int i = 0; i < 126 && aux[i] != AT_NULL; i += 2)
        pagesz = pagesz || (aux[i] == AT_PAGESZ && aux[i + 1] == 4096);
    CHECK(true, pagesz);
    memset(aux, 0, sizeof(aux));
    CHECK(size, P(PR_GET_AUXV, aux, 16, 0, 0)); /* how much there would be */
    CHECK(true, aux[0] != 0 && aux[2] == 0);
    CHECK(-EINVAL, P(PR_GET_AUXV, aux, sizeof(aux), 1, 0));
    CHECK(-EFAULT, P(PR_GET_AUXV, T_BAD, sizeof(aux), 0, 0));
}
#endif

/* The line of /proc/self/maps that begins at addr has this name. */
static bool named(void *addr, const char *name)
{
    static char text[65536];
    char start[32];
    long fd = call(SYS_open, "/proc/self/maps", O_RDONLY), n, len = 0;
    while ((n = call(SYS_read, fd, text + len, sizeof(text) - 1 - (size_t)len)) > 0)
        len += n;
    call(SYS_close, fd);
    text[len] = 0;
    snprintf(start, sizeof(start), "%08lx-", (unsigned long)addr);
    char *line = strstr(text, start), *end = line ? strchr(line, '\n') : NULL;
    if (!end)
        return false;
    *end = 0;
    return name ? strstr(line, name) != NULL : strchr(line, '[') == NULL;
}

static void *pages(int n)
{
    return (void *)call(SYS_mmap, NULL, 4096 * n, PROT_READ | PROT_WRITE,
                        MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
}

static void area_names(void)
{
    char *m = pages(4);
    char longest[81];
    if (!DIFFERS("areas have names, which Linux can be built without")) {
        long err = P(PR_SET_VMA, PR_SET_VMA_ANON_NAME, m, 3 * 4096, "mine");
        CHECK(true, err == 0 || err == -EINVAL);
        if (err)
            return;
    }
    CHECK(0, P(PR_SET_VMA, PR_SET_VMA_ANON_NAME, m, 3 * 4096, "mine"));
    CHECK(true, named(m, "[anon:mine]"));
    CHECK(true, named(m + 3 * 4096, NULL));
    CHECK(0, P(PR_SET_VMA, PR_SET_VMA_ANON_NAME, m, 4096, "other"));
    CHECK(true, named(m, "[anon:other]"));
    CHECK(true, named(m + 4096, "[anon:mine]"));
    CHECK(0, P(PR_SET_VMA, PR_SET_VMA_ANON_NAME, m, 3 * 4096, NULL));
    CHECK(true, named(m, NULL));
    memset(longest, 'x', sizeof(longest) - 1);
    longest[80] = 0;
    CHECK(-EINVAL, P(PR_SET_VMA, PR_SET_VMA_ANON_NAME, m, 4096, longest)); /* 80 with the zero */
    longest[79] = 0;
    CHECK(0, P(PR_SET_VMA, PR_SET_VMA_ANON_NAME, m, 4096, longest));
    CHECK(-EINVAL, P(PR_SET_VMA, PR_SET_VMA_ANON_NAME, m, 4096, "br[cket"));
    CHECK(-EINVAL, P(PR_SET_VMA, PR_SET_VMA_ANON_NAME, m, 4096, "dol$ar"));
    CHECK(-EINVAL, P(PR_SET_VMA, PR_SET_VMA_ANON_NAME, m, 4096, "tab\t"));
    CHECK(-EFAULT, P(PR_SET_VMA, PR_SET_VMA_ANON_NAME, m, 4096, T_BAD));
    CHECK(-EINVAL, P(PR_SET_VMA, PR_SET_VMA_ANON_NAME, m + 1, 4096, "a"));
    CHECK(-EINVAL, P(PR_SET_VMA, 1, m, 4096, "a"));
    CHECK(0, P(PR_SET_VMA, PR_SET_VMA_ANON_NAME, m, 0, "a"));
    call(SYS_munmap, m + 4096, 4096);
    CHECK(-ENOMEM, P(PR_SET_VMA, PR_SET_VMA_ANON_NAME, m, 3 * 4096, "holes"));
    CHECK(true, named(m + 2 * 4096, "[anon:holes]"));
    call(SYS_munmap, m, 4 * 4096);
    t_write("file", "text");
    long fd = call(SYS_open, "file", O_RDWR);
    m = (char *)call(SYS_mmap, NULL, 4096, PROT_READ, MAP_PRIVATE, fd, 0);
    CHECK(-EBADF, P(PR_SET_VMA, PR_SET_VMA_ANON_NAME, m, 4096, "file"));
    call(SYS_munmap, m, 4096);
    call(SYS_close, fd);
}

static void merging(void)
{
    CHECK(-EINVAL, P(PR_SET_MEMORY_MERGE, 1, 1, 0, 0));
    CHECK(-EINVAL, P(PR_GET_MEMORY_MERGE, 1, 0, 0, 0));
}

/* Memory that is writable and executable, or becomes executable later, is refused from then on: for good. */
static void write_xor_execute(void)
{
    char *m = pages(1);
    CHECK(0, P(PR_GET_MDWE, 0, 0, 0, 0));
    CHECK(-EINVAL, P(PR_SET_MDWE, 8, 0, 0, 0));
    CHECK(-EINVAL, P(PR_SET_MDWE, 2, 0, 0, 0)); /* not inherited by fork: only with the first bit */
    CHECK(-EINVAL, P(PR_SET_MDWE, 1, 1, 0, 0));
    CHECK(-EINVAL, P(PR_GET_MDWE, 1, 0, 0, 0));
    CHECK(0, P(PR_SET_MDWE, 0, 0, 0, 0));
    char *x = (char *)call(SYS_mmap, NULL, 4096, PROT_READ | PROT_EXEC, MAP_PRIVATE | MAP_ANONYMOUS,
                           -1, 0);
    CHECK(0, P(PR_SET_MDWE, 1, 0, 0, 0));
    CHECK(1, P(PR_GET_MDWE, 0, 0, 0, 0));
    CHECK(-EPERM, P(PR_SET_MDWE, 0, 0, 0, 0));
    CHECK(-EPERM, P(PR_SET_MDWE, 3, 0, 0, 0));
    CHECK(0, P(PR_SET_MDWE, 1, 0, 0, 0));
    CHECK(-EACCES, call(SYS_mmap, NULL, 4096, PROT_READ | PROT_WRITE | PROT_EXEC,
                        MAP_PRIVATE | MAP_ANONYMOUS, -1, 0));
    CHECK(-EACCES, call(SYS_mprotect, m, 4096, PROT_READ | PROT_EXEC));
    CHECK(-EACCES, call(SYS_mprotect, x, 4096, PROT_READ | PROT_WRITE | PROT_EXEC));
    CHECK(0, call(SYS_mprotect, x, 4096, PROT_READ | PROT_EXEC)); /* it was before */
    CHECK(0, call(SYS_mprotect, x, 4096, PROT_READ));
    CHECK(-EACCES, call(SYS_mprotect, x, 4096, PROT_READ | PROT_EXEC));
    CHECK(0, call(SYS_mprotect, m, 4096, PROT_READ));
}

int main(void)
{
    t_enter();
    names();
    signals_and_family();
    mode_switches();
    flusher();
    not_of_this_machine();
#ifndef T_IN_PROCESS /* nothing was executed there */
    auxiliary_vector();
#endif
    area_names();
    merging();
    write_xor_execute();
    return t_leave();
}
