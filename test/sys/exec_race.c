/* SPDX-License-Identifier: MIT */
/* execve(2) of a file that is being written, truncated, made not executable, replaced or removed all the time: it runs as a
 * whole, or execve says why not, and what runs is not written to. */
#define _GNU_SOURCE
#include <t.h>

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

enum { ROUNDS = 150, GOOD = 42, PAGE = 4096 };

#define NAME  "/tmp/t-exec-race"
#define OTHER "/tmp/t-exec-race-2"

static char *image;
static size_t image_size;

static void load(void)
{
    struct stat st;
    int fd = open("/proc/self/exe", O_RDONLY);
    CHECK(0, fstat(fd, &st));
    image_size = (size_t)st.st_size;
    image = mmap(NULL, image_size, PROT_READ, MAP_PRIVATE, fd, 0);
    CHECK(true, image != MAP_FAILED);
    close(fd);
}

/* As large as said, executable or not. */
static void put(const char *name, size_t n, mode_t mode)
{
    int fd = open(name, O_CREAT | O_WRONLY | O_TRUNC, mode);
    if (fd < 0)
        return; /* it runs */
    for (size_t done = 0; done < n;) {
        ssize_t got = write(fd, image + done, n - done < 65536 ? n - done : 65536);
        if (got <= 0)
            break;
        done += (size_t)got;
    }
    fchmod(fd, mode);
    close(fd);
}

/* Execute it: GOOD, an errno, or 128 and a signal. */
static int execute(void)
{
    int status = -1, pid = fork();
    if (pid == 0) {
        static char *const argv[] = { "race", "executed", NULL };
        execve(NAME, argv, NULL);
        _exit(errno);
    }
    CHECK(pid, waitpid(pid, &status, 0));
    return WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
}

static void disturb(void)
{
    for (unsigned i = 0;; i++) {
        switch (i % 6) {
        case 0:
            put(NAME, image_size, 0755);
            break;
        case 1:
            put(NAME, image_size * (i % 7) / 7, 0755);
            break;
        case 2:
            put(OTHER, image_size, 0755);
            rename(OTHER, NAME);
            break;
        case 3:
            chmod(NAME, i % 4 ? 0644 : 0755);
            break;
        case 4:
            if (truncate(NAME, (off_t)(i % 5 * PAGE)) && errno != ETXTBSY && errno != ENOENT)
                _exit(1);
            break;
        default:
            unlink(NAME);
            break;
        }
    }
}

static void test_race(void)
{
    int status, pid = fork(), ran = 0;
    if (pid == 0)
        disturb();
    for (int i = 0; i < ROUNDS; i++) {
        int r = execute();
        ran += r == GOOD;
        /* Empty or cut in the headers; cut behind them, it dies of it. */
        bool known = r == GOOD || r == ENOENT || r == EACCES || r == ETXTBSY || r == ENOEXEC ||
                     r == EIO || r == EINVAL || r == 128 + SIGSEGV || r == 128 + SIGBUS ||
                     r == 128 + SIGKILL;
        if (!CHECK(true, known))
            fprintf(stderr, "  it ended with %d\n", r);
    }
    kill(pid, SIGKILL);
    CHECK(pid, waitpid(pid, &status, 0));
    CHECK(SIGKILL, status);
    unlink(NAME);
    unlink(OTHER);
}

/* One after another, without a race. */
static void test_each(void)
{
    put(NAME, image_size, 0755);
    int fd = open(NAME, O_WRONLY);
    CHECK(ETXTBSY, execute());
    close(fd);
    CHECK(GOOD, execute());
    chmod(NAME, 0644);
    CHECK(EACCES, execute());
    chmod(NAME, 0755);
    CHECK(0, truncate(NAME, 0));
    CHECK(ENOEXEC, execute());
    CHECK(0, truncate(NAME, 40));
    CHECK(ENOEXEC, execute());
    unlink(NAME);
    CHECK(ENOENT, execute());
}

/* What runs cannot be written to, but it can vanish. */
static void test_running(void)
{
    int fds[2], status, pid;
    char c;
    put(NAME, image_size, 0755);
    CHECK(0, pipe(fds));
    pid = fork();
    if (pid == 0) {
        char number[16];
        snprintf(number, sizeof(number), "%d", fds[1]);
        execl(NAME, "race", "wait", number, NULL);
        _exit(1);
    }
    CHECK(1, read(fds[0], &c, 1));
    CHECK(-ETXTBSY, call(SYS_open, NAME, O_WRONLY, 0));
    CHECK(-ETXTBSY, call(SYS_open, NAME, O_RDWR | O_TRUNC, 0));
    CHECK(-ETXTBSY, call(SYS_truncate, NAME, 0));
    CHECK(0, unlink(NAME));
    put(NAME, 100, 0644); /* another file of the name */
    kill(pid, SIGUSR1);
    CHECK(pid, waitpid(pid, &status, 0));
    CHECK(GOOD << 8, status);
    unlink(NAME);
    close(fds[0]);
    close(fds[1]);
}

/* Pages of a mapping whose file shrinks under it are gone; those of one that was removed are not. */
static void test_mapped(void)
{
    int status, fd = open(NAME, O_CREAT | O_RDWR | O_TRUNC, 0600);
    CHECK(0, ftruncate(fd, 3 * PAGE));
    volatile char *p = mmap(NULL, 3 * PAGE, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
    p[0] = p[2 * PAGE] = 1;
    CHECK(0, unlink(NAME));
    CHECK(1, p[2 * PAGE]);
    CHECK(0, ftruncate(fd, PAGE));
    CHECK(1, p[0]);
    int pid = fork();
    if (pid == 0)
        _exit(p[2 * PAGE]);
    CHECK(pid, waitpid(pid, &status, 0));
    CHECK(SIGBUS, status & 0x7f);
    munmap((void *)p, 3 * PAGE);
    close(fd);
}

static volatile sig_atomic_t told;

static void tell(int sig)
{
    (void)sig;
    told = 1;
}

/* Run by itself: say that it runs, wait for a signal, and use pages of the file that were not there yet. */
static int wait_and_end(int fd)
{
    sigset_t set, old;
    unsigned sum = 0;
    signal(SIGUSR1, tell);
    sigemptyset(&set);
    sigaddset(&set, SIGUSR1);
    sigprocmask(SIG_BLOCK, &set, &old);
    if (write(fd, "", 1) != 1)
        return 1;
    while (!told)
        sigsuspend(&old);
    load();
    for (size_t i = 0; i < image_size; i += PAGE)
        sum += (unsigned char)image[i];
    return sum ? GOOD : 1;
}

int main(int argc, char **argv)
{
    if (argc == 2 && !strcmp(argv[1], "executed"))
        return GOOD;
    if (argc == 3 && !strcmp(argv[1], "wait"))
        return wait_and_end(atoi(argv[2]));
    load();
    test_each();
    test_running();
    test_mapped();
    test_race();
    return t_end();
}
