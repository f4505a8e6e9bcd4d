/* SPDX-License-Identifier: MIT */
/* Core dumps: who leaves one, where, and what is in it. core(5). */
#define _GNU_SOURCE
#include <t_file.h>

#include <elf.h>
#include <pthread.h>
#include <signal.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/procfs.h>
#include <sys/resource.h>
#include <sys/user.h>
#include <sys/wait.h>
#include <unistd.h>

#define MARK 0x5ca1ab1e0ddba11ull

static uint64_t mark_in_data = MARK;
static char *secret, *shared; /* not dumped: asked so; by default */

/* How a child that runs fn ends: its wait status. The core file goes first. */
static int status_of(void (*fn)(void))
{
    int status = 0;
    unlink("core");
    pid_t pid = fork();
    if (pid == 0) {
        fn();
        _exit(99);
    }
    waitpid(pid, &status, 0);
    return status;
}

static void allow(rlim_t bytes)
{
    struct rlimit l = { bytes, RLIM_INFINITY };
    CHECK(0, setrlimit(RLIMIT_CORE, &l));
}

static void aborts(void)
{
    allow(RLIM_INFINITY);
    kill(getpid(), SIGABRT);
    pause();
}

static void aborts_without_limit(void)
{
    allow(0);
    kill(getpid(), SIGABRT);
    pause();
}

static void aborts_undumpable(void)
{
    allow(RLIM_INFINITY);
    prctl(PR_SET_DUMPABLE, 0);
    kill(getpid(), SIGABRT);
    pause();
}

static void aborts_in_little_room(void)
{
    allow(4096 + 8192);
    kill(getpid(), SIGABRT);
    pause();
}

static void terminates(void)
{
    allow(RLIM_INFINITY);
    kill(getpid(), SIGTERM);
    pause();
}

static long core_size(void)
{
    struct stat st;
    return stat("core", &st) ? -errno : (long)st.st_size;
}

static void who_leaves_one(void)
{
    int s = status_of(aborts);
    CHECK(SIGABRT, WTERMSIG(s));
    CHECK(true, WCOREDUMP(s) != 0);
    CHECK(true, core_size() > 8192);
    struct stat st;
    CHECK(0, stat("core", &st));
    CHECK(S_IFREG | 0600, st.st_mode);
    s = status_of(aborts_without_limit);
    CHECK(SIGABRT, WTERMSIG(s));
    CHECK(0, WCOREDUMP(s) != 0);
    CHECK(-ENOENT, core_size());
    s = status_of(aborts_undumpable);
    CHECK(0, WCOREDUMP(s) != 0);
    CHECK(-ENOENT, core_size());
    s = status_of(terminates);
    CHECK(SIGTERM, s);
    CHECK(-ENOENT, core_size());
    s = status_of(aborts_in_little_room); /* cut off at the limit */
    CHECK(true, WCOREDUMP(s) != 0);
    CHECK(true, core_size() > 0 && core_size() <= 4096 + 8192);
    siginfo_t si;
    pid_t pid = fork();
    if (pid == 0)
        aborts();
    CHECK(0, waitid(P_PID, (id_t)pid, &si, WEXITED));
    CHECK(CLD_DUMPED, si.si_code);
    CHECK(SIGABRT, si.si_status);
}

/* What lies at the name already is removed, not written through. */
static void where(void)
{
    struct stat st;
    unlink("core");
    CHECK(0, symlink("elsewhere", "core"));
    pid_t pid = fork();
    int s = 0;
    if (pid == 0)
        aborts();
    waitpid(pid, &s, 0);
    CHECK(true, WCOREDUMP(s) != 0);
    CHECK(-1, access("elsewhere", F_OK));
    CHECK(0, lstat("core", &st));
    CHECK(S_IFREG | 0600, st.st_mode);
    unlink("core");
    t_write("core", "what was there before");
    chmod("core", 0644);
    link("core", "second");
    if ((pid = fork()) == 0)
        aborts();
    waitpid(pid, &s, 0);
    CHECK(true, WCOREDUMP(s) != 0);
    CHECK(true, t_holds("second", "what was there before"));
    CHECK(true, core_size() > 8192);
    unlink("second");
    unlink("core");
    CHECK(0, mkdir("core", 0700)); /* this cannot be removed so */
    if ((pid = fork()) == 0)
        aborts();
    waitpid(pid, &s, 0);
    CHECK(0, WCOREDUMP(s) != 0);
    CHECK(0, rmdir("core"));
}

static void *sleeper(void *arg)
{
    *(volatile pid_t *)arg = gettid();
    /* A register that the note of this thread shows. */
    __asm__ volatile("mov %0, %%r12\n1: mov $34, %%eax\nsyscall\njmp 1b" ::"r"(MARK)
                     : "rax", "rcx", "r11", "r12", "memory");
    return arg;
}

static volatile int *volatile nowhere;

static void faults_with_threads(void)
{
    pthread_t t[2];
    volatile pid_t tids[2] = { 0 };
    allow(RLIM_INFINITY);
    for (int i = 0; i < 2; i++)
        pthread_create(&t[i], NULL, sleeper, (void *)&tids[i]);
    for (int i = 0; i < 2; i++) { /* both are in pause(2) */
        char name[64], text[64] = "";
        do {
            snprintf(name, sizeof(name), "/proc/self/task/%d/syscall", tids[i]);
            int fd = open(name, O_RDONLY);
            ssize_t n = read(fd, text, 3);
            text[n > 0 ? n : 0] = 0;
            close(fd);
            sched_yield();
        } while (strncmp(text, "34 ", 3) != 0);
    }
    nowhere = (volatile int *)8;
    *nowhere = 1;
}

static char *core;
static size_t core_len;

static void load(void)
{
    int fd = open("core", O_RDONLY);
    core_len = (size_t)core_size();
    core = mmap(NULL, core_len, PROT_READ, MAP_PRIVATE, fd, 0);
    CHECK(true, core != MAP_FAILED);
    close(fd);
}

static const Elf64_Phdr *segment(size_t i)
{
    const Elf64_Ehdr *eh = (const void *)core;
    return i < eh->e_phnum ? (const Elf64_Phdr *)(core + eh->e_phoff) + i : NULL;
}

/* The n-th note of a type; NULL. */
static const void *note(unsigned type, unsigned n, size_t *ret_size)
{
    const Elf64_Phdr *ph = segment(0);
    for (size_t at = 0; at + sizeof(Elf64_Nhdr) <= ph->p_filesz;) {
        const Elf64_Nhdr *h = (const void *)(core + ph->p_offset + at);
        const char *desc = (const char *)(h + 1) + ((h->n_namesz + 3) & ~3u);
        if (h->n_type == type && n-- == 0) {
            *ret_size = h->n_descsz;
            return desc;
        }
        at += sizeof(*h) + ((h->n_namesz + 3) & ~3u) + ((h->n_descsz + 3) & ~3u);
    }
    return NULL;
}

/* What the core says lies at addr; NULL: not in it. */
static const void *at(const void *addr, size_t n)
{
    const Elf64_Phdr *ph;
    for (size_t i = 1; (ph = segment(i)); i++)
        if (ph->p_vaddr <= (uintptr_t)addr && (uintptr_t)addr + n <= ph->p_vaddr + ph->p_filesz)
            return core + ph->p_offset + ((uintptr_t)addr - ph->p_vaddr);
    return NULL;
}

static void what_is_in_it(void)
{
    size_t n = 0;
    int s = status_of(faults_with_threads);
    CHECK(SIGSEGV, WTERMSIG(s));
    CHECK(true, WCOREDUMP(s) != 0);
    load();
    const Elf64_Ehdr *eh = (const void *)core;
    CHECK(0, memcmp(eh->e_ident, ELFMAG, SELFMAG));
    CHECK(ET_CORE, eh->e_type);
    CHECK(EM_X86_64, eh->e_machine);
    CHECK(PT_NOTE, segment(0)->p_type);
    const struct elf_prstatus *st = note(NT_PRSTATUS, 0, &n);
    CHECK(sizeof(*st), n);
    CHECK(SIGSEGV, st->pr_cursig);
    CHECK(SIGSEGV, st->pr_info.si_signo);
    CHECK(getpid(), st->pr_ppid);
    CHECK(1, st->pr_fpvalid);
    const struct user_regs_struct *regs = (const void *)&st->pr_reg;
    CHECK(true, regs->rip >= (uintptr_t)faults_with_threads &&
                    regs->rip < (uintptr_t)faults_with_threads + 1000);
    CHECK(true, at((void *)regs->rsp, 8) != NULL); /* the stack */
    for (unsigned i = 1; i < 3; i++) {
        st = note(NT_PRSTATUS, i, &n);
        CHECK(true, st != NULL);
        regs = (const void *)&st->pr_reg;
        CHECK(MARK, regs->r12);
        CHECK(34, regs->orig_rax);
        CHECK(true, at((void *)regs->rsp, 8) != NULL);
    }
    CHECK(true, note(NT_PRSTATUS, 3, &n) == NULL);
    const struct elf_prpsinfo *ps = note(NT_PRPSINFO, 0, &n);
    CHECK(sizeof(*ps), n);
    CHECK(st->pr_pid > 0, ps->pr_pid > 0);
    CHECK(getpid(), ps->pr_ppid);
    CHECK(true, strlen(ps->pr_fname) > 0 && strlen(ps->pr_psargs) > 0);
    const siginfo_t *si = note(NT_SIGINFO, 0, &n);
    CHECK(sizeof(*si), n);
    CHECK(SIGSEGV, si->si_signo);
    CHECK(8, (uintptr_t)si->si_addr);
    CHECK(SEGV_MAPERR, si->si_code);
    const Elf64_auxv_t *aux = note(NT_AUXV, 0, &n);
    CHECK(true, aux != NULL && n % sizeof(*aux) == 0);
    CHECK(true, note(NT_FILE, 0, &n) != NULL);
    for (unsigned i = 0; i < 3; i++) {
        CHECK(true, note(NT_FPREGSET, i, &n) != NULL);
        CHECK(sizeof(struct user_fpregs_struct), n);
    }
    const uint64_t *data = at(&mark_in_data, 8);
    CHECK(true, data && *data == MARK);
    CHECK(true, at(secret, 8) == NULL);
    data = at(shared, 8);
    CHECK(true, data && *data == MARK);
    munmap(core, core_len);
}

static void filters_shared(void)
{
    int fd = open("/proc/self/coredump_filter", O_RDWR);
    CHECK(4, write(fd, "0x31", 4));
    close(fd);
    aborts();
}

static void filter_text(void)
{
    char text[16] = "";
    int fd = open("/proc/self/coredump_filter", O_RDWR);
    CHECK(9, read(fd, text, sizeof(text)));
    CHECK(0, strcmp(text, "00000033\n"));
    CHECK(-1, pwrite(fd, "x", 1, 0));
    CHECK(4, pwrite(fd, "0x23", 4, 0));
    CHECK(9, pread(fd, text, sizeof(text), 0));
    CHECK(0, strcmp(text, "00000023\n"));
    CHECK(4, pwrite(fd, "0x33", 4, 0));
    close(fd);
}

static void filter(void)
{
    CHECK(true, WCOREDUMP(status_of(filters_shared)) != 0);
    load();
    CHECK(true, at(shared, 8) == NULL); /* anonymous shared memory was left out */
    CHECK(true, at(&mark_in_data, 8) != NULL);
    munmap(core, core_len);
}

/* Whether a core goes to the file "core". A host whose administrator sends it elsewhere is none to compare files with;
   Alcove begins with this pattern. */
static bool core_is_here(void)
{
    return t_holds("/proc/sys/kernel/core_pattern", "core\n") &&
           t_holds("/proc/sys/kernel/core_uses_pid", "0\n");
}

int main(void)
{
    t_enter();
    filter_text();
    if (!core_is_here()) {
        CHECK(SIGABRT, WTERMSIG(status_of(aborts_undumpable)));
        CHECK(SIGTERM, status_of(terminates));
        return t_leave();
    }
    secret = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    shared = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    memcpy(secret, &mark_in_data, 8);
    memcpy(shared, &mark_in_data, 8);
    CHECK(0, madvise(secret, 4096, MADV_DONTDUMP));
    who_leaves_one();
    where();
    what_is_in_it();
    filter();
    unlink("core");
    return t_leave();
}
