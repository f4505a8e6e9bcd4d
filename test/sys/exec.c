/* SPDX-License-Identifier: MIT */
/* execve, execveat: arguments, scripts, errors, and ELF files that lie. The program executes itself as its own child. */
#define _GNU_SOURCE
#include <t.h>

#include <elf.h>
#include <errno.h>
#include <fcntl.h>
#include <stdint.h>
#include <stdlib.h>
#include <sys/auxv.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#ifndef PR_SET_MDWE
#define PR_SET_MDWE 65
#define PR_GET_MDWE 66
#endif

enum { PAGE = 4096 };

static char self[256];
static char *const no_env[] = { NULL };

/* The child: writes its arguments and environment, each with a newline, to descriptor 1. */
static int show(char **argv, char **envp)
{
    for (; *argv; argv++)
        dprintf(1, "%s\n", *argv);
    for (; *envp; envp++)
        dprintf(1, "%s\n", *envp);
    return 42;
}

/* Is the initial stack what the psABI promises? 0, or the number of what is wrong. */
static int stack_is_right(char **argv, char **envp)
{
    Elf64_Ehdr *eh = (Elf64_Ehdr *)getauxval(AT_SYSINFO_EHDR);
    char **end = envp;
    while (*end)
        end++;
    Elf64_auxv_t *aux = (Elf64_auxv_t *)(end + 1);
    if (((uintptr_t)argv - 8) % 16 || ((long *)argv)[-1] != 2)
        return 1;
    if (argv[1] != argv[0] + strlen(argv[0]) + 1 || envp[0] != argv[1] + strlen(argv[1]) + 1)
        return 2;
    if (aux->a_type == AT_NULL || getauxval(AT_PAGESZ) != PAGE || getauxval(AT_CLKTCK) != 100)
        return 3;
    if (strcmp((char *)getauxval(AT_EXECFN), self) ||
        strcmp((char *)getauxval(AT_PLATFORM), "x86_64"))
        return 4;
    if (getauxval(AT_PHENT) != sizeof(Elf64_Phdr) || getauxval(AT_PHNUM) < 3 || getauxval(AT_BASE))
        return 5;
    if (getauxval(AT_UID) != getuid() || getauxval(AT_EGID) != getegid() || getauxval(AT_SECURE))
        return 6;
    if (memcmp(eh->e_ident, ELFMAG, SELFMAG) || eh->e_type != ET_DYN)
        return 7;
    long *random = (long *)getauxval(AT_RANDOM);
    return random[0] == 0 && random[1] == 0 ? 8 : 42;
}

/* Execute path in a child; its wait status, its output in out. */
static int run(const char *path, char *const argv[], char *const envp[], char *out, size_t size)
{
    int fds[2], status = -1;
    CHECK(0, pipe(fds));
    int pid = fork();
    if (pid == 0) {
        dup2(fds[1], 1);
        close(fds[0]);
        close(fds[1]);
        long err = call(SYS_execve, path, argv, envp);
        _exit((int)-err);
    }
    close(fds[1]);
    size_t n = 0;
    for (ssize_t got; n + 1 < size && (got = read(fds[0], out + n, size - 1 - n)) > 0;)
        n += (size_t)got;
    out[n] = 0;
    close(fds[0]);
    CHECK(pid, waitpid(pid, &status, 0));
    return status;
}

static void put(const char *path, const void *data, size_t n, int mode)
{
    unlink(path);
    int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC, 0600);
    CHECK((long)n, write(fd, data, n));
    CHECK(0, fchmod(fd, (mode_t)mode));
    close(fd);
}

static void arguments(void)
{
    static char out[4096];
    char *argv[] = { "zero", "show", "", "three", NULL }, *envp[] = { "A=1", "B=", NULL };
    CHECK(42 << 8, run(self, argv, envp, out, sizeof out));
    CHECK(0, strcmp(out, "zero\nshow\n\nthree\nA=1\nB=\n"));
    char *stack[] = { "zero", "stack", NULL };
    CHECK(42 << 8, run(self, stack, envp, out, sizeof out));
    CHECK(-EFAULT, call(SYS_execve, T_BAD, argv, envp));
    CHECK(-EFAULT, call(SYS_execve, self, T_BAD, envp));
    CHECK(-EFAULT, call(SYS_execve, self, argv, T_BAD));
    char *bad[] = { "zero", T_BAD, NULL };
    CHECK(-EFAULT, call(SYS_execve, self, bad, envp));
    /* One string of more than 128 KiB; more than a quarter of the stack in all. */
    char *big = malloc(200000);
    memset(big, 'x', 200000);
    big[131071] = 0;
    char *one[] = { "zero", "count", big, NULL };
    CHECK(3 << 8, run(self, one, no_env, out, sizeof out));
    big[131071] = 'x';
    big[131072] = 0;
    CHECK(-E2BIG, call(SYS_execve, self, one, no_env));
    big[131071] = 0;
    char *many[20] = { "zero", "count" };
    for (int i = 2; i < 19; i++)
        many[i] = big;
    CHECK(-E2BIG, call(SYS_execve, self, many, no_env));
    many[10] = NULL;
    CHECK(10 << 8, run(self, many, no_env, out, sizeof out));
    free(big);
}

static void errors(void)
{
    char *argv[] = { "x", NULL };
    CHECK(-ENOENT, call(SYS_execve, "", argv, no_env));
    CHECK(-ENOENT, call(SYS_execve, "/tmp/t-none", argv, no_env));
    CHECK(-ENOTDIR, call(SYS_execve, "/proc/self/exe/x", argv, no_env));
    CHECK(-EACCES, call(SYS_execve, "/tmp", argv, no_env));
    put("/tmp/t-exec", "hello, no program\n", 18, 0644);
    CHECK(-EACCES, call(SYS_execve, "/tmp/t-exec", argv, no_env));
    CHECK(0, chmod("/tmp/t-exec", 0755));
    CHECK(-ENOEXEC, call(SYS_execve, "/tmp/t-exec", argv, no_env));
    put("/tmp/t-exec", "", 0, 0755);
    CHECK(-ENOEXEC, call(SYS_execve, "/tmp/t-exec", argv, no_env));
    put("/tmp/t-exec", "#!\n", 3, 0755);
    CHECK(-ENOEXEC, call(SYS_execve, "/tmp/t-exec", argv, no_env));
    put("/tmp/t-exec", "#!/tmp/t-none\n", 14, 0755);
    CHECK(-ENOENT, call(SYS_execve, "/tmp/t-exec", argv, no_env));
    put("/tmp/t-exec", "#!/tmp/t-exec\n", 14, 0755);
    CHECK(-ELOOP, call(SYS_execve, "/tmp/t-exec", argv, no_env));
    int fd = open("/tmp/t-exec", O_WRONLY);
    CHECK(-ETXTBSY, call(SYS_execve, "/tmp/t-exec", argv, no_env));
    close(fd);
    CHECK(-EINVAL, call(SYS_execveat, AT_FDCWD, "/tmp/t-exec", argv, no_env, 1));
    CHECK(-EBADF, call(SYS_execveat, 99, "t-exec", argv, no_env, 0));
    CHECK(-ETXTBSY, call(SYS_open, self, O_WRONLY)); /* this very program runs */
    CHECK(0, symlink("/tmp/t-exec", "/tmp/t-link"));
    CHECK(-ELOOP, call(SYS_execveat, AT_FDCWD, "/tmp/t-link", argv, no_env, AT_SYMLINK_NOFOLLOW));
    unlink("/tmp/t-link");
}

static void scripts(void)
{
    static char out[4096], script[600], want[1200];
    char *argv[] = { "gone", "one", "two", NULL };
    int n = snprintf(script, sizeof script, "#! \t%s  show me \t\nrest\n", self);
    put("/tmp/t-exec", script, (size_t)n, 0755);
    CHECK(42 << 8, run("/tmp/t-exec", argv, no_env, out, sizeof out));
    snprintf(want, sizeof want, "%s\nshow me\n/tmp/t-exec\none\ntwo\n", self);
    CHECK(0, strcmp(out, want));
    /* A script whose interpreter is a script. */
    put("/tmp/t-exec2", "#!/tmp/t-exec", 13, 0755);
    CHECK(42 << 8, run("/tmp/t-exec2", argv, no_env, out, sizeof out));
    snprintf(want, sizeof want, "%s\nshow me\n/tmp/t-exec\n/tmp/t-exec2\none\ntwo\n", self);
    CHECK(0, strcmp(out, want));
    unlink("/tmp/t-exec2");
}

static void by_descriptor(void)
{
    static char out[256];
    char *argv[] = { "zero", "show", NULL };
    int status, fds[2], fd = open(self, O_RDONLY | O_CLOEXEC);
    CHECK(0, pipe(fds));
    int pid = fork();
    if (pid == 0) {
        dup2(fds[1], 1);
        _exit((int)-call(SYS_execveat, fd, "", argv, no_env, AT_EMPTY_PATH));
    }
    CHECK(pid, waitpid(pid, &status, 0));
    CHECK(42 << 8, status);
    CHECK(10, read(fds[0], out, sizeof out));
    close(fd);
    fd = open(self, O_PATH | O_CLOEXEC); /* opened once more */
    pid = fork();
    if (pid == 0) {
        dup2(fds[1], 1);
        _exit((int)-call(SYS_execveat, fd, "", argv, no_env, AT_EMPTY_PATH));
    }
    CHECK(pid, waitpid(pid, &status, 0));
    CHECK(42 << 8, status);
    CHECK(-EACCES, call(SYS_execveat, AT_FDCWD, "", argv, no_env, AT_EMPTY_PATH));
    CHECK(-EACCES, call(SYS_execveat, fds[0], "", argv, no_env, AT_EMPTY_PATH));
    CHECK(-EBADF, call(SYS_execveat, 99, "", argv, no_env, AT_EMPTY_PATH));
    close(fd);
    close(fds[0]);
    close(fds[1]);
}

static void *elf;
static size_t elf_size;

/* Whatever the file says, the child ends and we do not. */
static void survive(const void *data, size_t n)
{
    char out[64];
    char *argv[] = { "zero", "exit", NULL };
    put("/tmp/t-exec", data, n, 0755);
    int status = run("/tmp/t-exec", argv, no_env, out, sizeof out);
    CHECK(1, WIFEXITED(status) || WIFSIGNALED(status));
}

static void hostile(void)
{
    static const uint64_t values[] = { 0,
                                       1,
                                       0x7ff,
                                       0x1000,
                                       0x400000,
                                       0x7fffffffe000,
                                       0x7ffffffff000,
                                       1ull << 47,
                                       0xffff800000000000,
                                       UINT64_MAX - 0xfff,
                                       UINT64_MAX };
    Elf64_Ehdr *eh = elf;
    Elf64_Phdr *ph = (Elf64_Phdr *)((char *)elf + eh->e_phoff);
    size_t headers = eh->e_phoff + eh->e_phnum * sizeof *ph;
    size_t keep = elf_size < 3 * PAGE ? elf_size : 3 * PAGE;
    char *copy = malloc(elf_size);
    for (size_t n = 0; n < headers; n += 13)
        survive(elf, n);
    survive(elf, keep);
    uint32_t seed = 1;
    for (int i = 0; i < 60; i++) {
        memcpy(copy, elf, elf_size);
        Elf64_Ehdr *ceh = (Elf64_Ehdr *)copy;
        Elf64_Phdr *cph = (Elf64_Phdr *)(copy + eh->e_phoff);
        seed = seed * 1103515245 + 12345;
        uint64_t value = values[(seed >> 16) % (sizeof values / sizeof *values)];
        uint64_t *fields[] = { &cph[i % eh->e_phnum].p_offset,
                               &cph[i % eh->e_phnum].p_vaddr,
                               &cph[i % eh->e_phnum].p_filesz,
                               &cph[i % eh->e_phnum].p_memsz,
                               &cph[i % eh->e_phnum].p_align,
                               &ceh->e_entry,
                               &ceh->e_phoff };
        *fields[(seed >> 8) % 7] = value;
        if (i % 10 == 0)
            ceh->e_phnum = (uint16_t)value;
        if (i % 7 == 0)
            cph[i % eh->e_phnum].p_type = i % 2 ? PT_LOAD : PT_INTERP;
        survive(copy, elf_size < 64 * PAGE ? elf_size : 64 * PAGE);
    }
    free(copy);
}

/* The child: where things lie. */
static int places(void)
{
    dprintf(1, "%p %p %p\n", (void *)&self, (void *)sbrk(0),
            mmap(NULL, PAGE, PROT_READ, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0));
    dprintf(1, "%#lx\n", call(SYS_personality, 0xffffffff));
    return dprintf(1, "%p\n", __builtin_frame_address(0)) > 0 ? 0 : 1;
}

/* With ADDR_NO_RANDOMIZE all lie where they lay before, else not; a set-user-ID program of another does not heed it. */
static void randomisation(void)
{
    static char out[4][256];
    char *argv[] = { "zero", "places", NULL };

    CHECK(0, run(self, argv, no_env, out[0], sizeof out[0]));
    CHECK(0, run(self, argv, no_env, out[1], sizeof out[1]));
    CHECK(1, strcmp(out[0], out[1]) != 0);
    CHECK(0, call(SYS_personality, 0x0040000));
    for (int i = 0; i < 2; i++)
        CHECK(0, run(self, argv, no_env, out[i], sizeof out[i]));
    CHECK(0, strcmp(out[0], out[1]));
    CHECK(1, strstr(out[0], "0x40000\n") != NULL);
    if (geteuid() == 0) {
        put("/tmp/t-exec", elf, elf_size, 0755);
        CHECK(0, chown("/tmp/t-exec", 1000, 1000));
        CHECK(0, chmod("/tmp/t-exec", 04755));
        for (int i = 0; i < 2; i++)
            CHECK(0, run("/tmp/t-exec", argv, no_env, out[i], sizeof out[i]));
        CHECK(1, strcmp(out[0], out[1]) != 0);
        CHECK(1, strstr(out[0], "\n0\n") != NULL);
    }
    CHECK(0x0040000, call(SYS_personality, 0));
}

/* What prctl(2) says of the address space outlives execve; PR_MDWE_NO_INHERIT takes itself back. */
static void address_space(void)
{
    char out[16], *argv[] = { "zero", "memory", NULL };
    CHECK(0, run(self, argv, no_env, out, sizeof out));
    for (unsigned long mdwe = 1; mdwe <= 3; mdwe += 2) {
        int pid = fork(), status = -1;
        if (pid == 0) {
            if (prctl(PR_SET_MDWE, mdwe, 0, 0, 0) || prctl(PR_SET_THP_DISABLE, 1, 0, 0, 0))
                _exit(99);
            execve(self, argv, no_env);
            _exit(98);
        }
        CHECK(pid, waitpid(pid, &status, 0));
        CHECK((mdwe == 1 ? 11 : 10) << 8, status);
    }
}

int main(int argc, char **argv, char **envp)
{
    ssize_t len = readlink("/proc/self/exe", self, sizeof self - 1);
    if (len < 0 && argc > 0) /* no /proc */
        strncpy(self, argv[0], sizeof self - 1);
    const char *role = argc > 1 ? argv[1] : "";
    if (!strncmp(role, "show", 4))
        return show(argv, envp);
    if (!strcmp(role, "stack"))
        return stack_is_right(argv, envp);
    if (!strcmp(role, "count"))
        return argc;
    if (!strcmp(role, "places"))
        return places();
    if (!strcmp(role, "memory"))
        return 10 * prctl(PR_GET_THP_DISABLE, 0, 0, 0, 0) + prctl(PR_GET_MDWE, 0, 0, 0, 0);
    if (!strcmp(role, "exit"))
        return 0;
    int fd = open(self, O_RDONLY);
    struct stat st;
    CHECK(0, fstat(fd, &st));
    elf_size = (size_t)st.st_size;
    elf = mmap(NULL, elf_size, PROT_READ, MAP_PRIVATE, fd, 0);
    close(fd);
    arguments();
    errors();
    scripts();
    by_descriptor();
    hostile();
    randomisation();
    address_space();
    unlink("/tmp/t-exec");
    return t_end();
}
