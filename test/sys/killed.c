/* SPDX-License-Identifier: MIT */
/* A process is killed while it holds, or is about to get, a lock of each kind: whoever comes next gets it. Locks that
 * programs see, and those inside of the system, by calls in a loop that are ended at some moment.
 * usage: killed [DIRECTORY [ROUNDS]] */
#define _GNU_SOURCE
#include <t.h>

#include <errno.h>
#include <fcntl.h>
#include <mqueue.h>
#include <poll.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/epoll.h>
#include <sys/file.h>
#include <sys/ipc.h>
#include <sys/mman.h>
#include <sys/sem.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <termios.h>
#include <unistd.h>

enum { PAGE = 4096, DEADLINE = 100 };

static const char *dir = "/tmp";
static int rounds = 12, turn, ready[2];
static char file[128], other[128];

static void be_ready(void)
{
    if (write(ready[1], "", 1) != 1)
        _exit(1);
}

/* A body of a child met an error, which none of them should. */
static void failed(const char *what)
{
    perror(what);
    _exit(1);
}

static void rest(void)
{
    be_ready();
    for (;;)
        pause();
}

/* A moment that differs from turn to turn. */
static void moment(void)
{
    struct timespec t = { 0, (turn * 7919 % 50) * 20000 };
    nanosleep(&t, NULL);
}

/* Start body in a child, which says when it is ready. */
static int start(void (*body)(void))
{
    char c;
    int pid = fork();
    if (pid == 0) {
        body();
        _exit(0);
    }
    CHECK(1, read(ready[0], &c, 1));
    return pid;
}

static void end(int pid)
{
    int status = 0;
    CHECK(0, kill(pid, SIGKILL));
    CHECK(pid, waitpid(pid, &status, 0));
    CHECK(SIGKILL, status);
}

/* Another process kills pid in a moment, while this one waits for what pid has. */
static int end_later(int pid)
{
    int killer = fork();
    if (killer == 0) {
        moment();
        kill(pid, SIGKILL);
        _exit(0);
    }
    return killer;
}

static void reap(int pid, int killer)
{
    CHECK(killer, waitpid(killer, NULL, 0));
    CHECK(pid, waitpid(pid, NULL, 0));
}

static int fd;

static void hold_flock(void)
{
    int mine = open(file, O_RDWR);
    flock(mine, LOCK_EX);
    rest();
}

static struct flock whole = { .l_type = F_WRLCK };

static void hold_record(void)
{
    fcntl(fd, F_SETLK, &whole);
    rest();
}

static void hold_ofd(void)
{
    int mine = open(file, O_RDWR);
    fcntl(mine, F_OFD_SETLK, &whole);
    rest();
}

static void test_file_locks(void)
{
    int pid = start(hold_flock), killer = end_later(pid);
    CHECK(0, flock(fd, LOCK_EX));
    CHECK(0, flock(fd, LOCK_UN));
    reap(pid, killer);
    pid = start(hold_record), killer = end_later(pid);
    CHECK(0, fcntl(fd, F_SETLKW, &whole));
    reap(pid, killer);
    struct flock none = { .l_type = F_UNLCK };
    CHECK(0, fcntl(fd, F_SETLK, &none));
    pid = start(hold_ofd), killer = end_later(pid);
    CHECK(0, fcntl(fd, F_OFD_SETLKW, &whole));
    CHECK(0, fcntl(fd, F_OFD_SETLK, &none));
    reap(pid, killer);
}

static pthread_mutex_t *mutex;

static void hold_mutex(void)
{
    pthread_mutex_lock(mutex);
    rest();
}

static void test_robust(int protocol)
{
    pthread_mutexattr_t attr;
    pthread_mutexattr_init(&attr);
    pthread_mutexattr_setpshared(&attr, PTHREAD_PROCESS_SHARED);
    pthread_mutexattr_setrobust(&attr, PTHREAD_MUTEX_ROBUST);
    pthread_mutexattr_setprotocol(&attr, protocol);
    CHECK(0, pthread_mutex_init(mutex, &attr));
    int pid = start(hold_mutex), killer = end_later(pid);
    CHECK(EOWNERDEAD, pthread_mutex_lock(mutex));
    CHECK(0, pthread_mutex_consistent(mutex));
    CHECK(0, pthread_mutex_unlock(mutex));
    reap(pid, killer);
}

static int semaphore;

static void hold_semaphore(void)
{
    struct sembuf down = { 0, -1, SEM_UNDO };
    semop(semaphore, &down, 1);
    rest();
}

static void test_semaphore(void)
{
    struct sembuf up = { 0, 1, 0 }, down = { 0, -1, 0 };
    semaphore = semget(IPC_PRIVATE, 1, 0600);
    CHECK(0, semop(semaphore, &up, 1));
    int pid = start(hold_semaphore), killer = end_later(pid);
    CHECK(0, semop(semaphore, &down, 1));
    reap(pid, killer);
    CHECK(0, semctl(semaphore, 0, IPC_RMID));
}

static int ends[2];

static void wait_to_read(void)
{
    char c;
    be_ready();
    if (read(ends[0], &c, 1) < 0)
        failed("read");
    for (;;)
        pause();
}

static void fill_for_ever(void)
{
    static char some[3000];
    be_ready();
    for (;;)
        if (write(ends[1], some, sizeof(some)) < 0)
            failed("write for ever");
}

static void read_for_ever(void)
{
    static char some[3000];
    be_ready();
    for (;;)
        if (read(ends[0], some, sizeof(some)) < 0)
            failed("read for ever");
}

/* Whoever reads, and whoever writes, is killed, on a pipe or a pair of sockets. */
static void test_stream(bool is_socket)
{
    char c = 'x';
    CHECK(0, is_socket ? socketpair(AF_UNIX, SOCK_STREAM, 0, ends) : pipe(ends));
    int pid = start(wait_to_read);
    moment();
    end(pid);
    CHECK(1, write(ends[1], &c, 1));
    CHECK(1, read(ends[0], &c, 1));
    pid = start(fill_for_ever);
    int reader = start(read_for_ever);
    moment();
    end(pid);
    pid = start(fill_for_ever);
    moment();
    end(reader);
    end(pid);
    fcntl(ends[0], F_SETFL, O_NONBLOCK);
    static char drain[65536];
    while (read(ends[0], drain, sizeof(drain)) > 0)
        ;
    CHECK(1, write(ends[1], &c, 1));
    CHECK(1, read(ends[0], &c, 1));
    close(ends[0]);
    close(ends[1]);
}

static int queue;

static void wait_for_message(void)
{
    char text[64];
    be_ready();
    for (;;)
        mq_receive(queue, text, sizeof(text), NULL);
}

static void test_queue(void)
{
    struct mq_attr attr = { .mq_maxmsg = 2, .mq_msgsize = 64 };
    char text[64];
    queue = mq_open("/t-killed", O_CREAT | O_RDWR, 0600, &attr);
    CHECK(true, queue >= 0);
    int pid = start(wait_for_message);
    moment();
    end(pid);
    CHECK(0, mq_send(queue, "x", 1, 0));
    CHECK(1, mq_receive(queue, text, sizeof(text), NULL));
    mq_close(queue);
    mq_unlink("/t-killed");
}

/* An inode, its directory, and what a file system keeps of them. */
static void change_files(void)
{
    static char some[20000];
    be_ready();
    for (int i = 0;; i++) {
        int mine = open(file, O_RDWR);
        if (mine < 0)
            failed("open a file that is always there");
        if (pwrite(mine, some, sizeof(some), i % 7 * 10000) < 0 || ftruncate(mine, i % 5 * 9000))
            failed("pwrite or ftruncate");
        if (i % 4 == 0)
            fsync(mine);
        close(mine);
        mine = open(other, O_CREAT | O_RDWR, 0600);
        close(mine);
        rename(other, file);
        link(file, other);
        unlink(other);
    }
}

static void test_files(void)
{
    char text[4] = "";
    int pids[2] = { start(change_files), start(change_files) };
    moment();
    end(pids[0]);
    moment();
    end(pids[1]);
    int mine = open(file, O_RDWR | O_CREAT, 0600);
    CHECK(3, pwrite(mine, "abc", 3, 5));
    CHECK(3, pread(mine, text, 3, 5));
    CHECK(0, strcmp(text, "abc"));
    CHECK(0, ftruncate(mine, 0));
    CHECK(0, fsync(mine));
    close(mine);
    unlink(other);
    CHECK(0, rename(file, other));
    CHECK(0, rename(other, file));
}

static void *fault(void *arg)
{
    for (;;) {
        *(volatile char *)arg = 1;
        madvise(arg, PAGE, MADV_DONTNEED);
    }
    return NULL;
}

/* The map of an address space, by two threads. */
static void change_memory(void)
{
    pthread_t thread;
    char *p = mmap(NULL, 64 * PAGE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    pthread_create(&thread, NULL, fault, p);
    be_ready();
    for (;;) {
        char *q = mmap(NULL, 16 * PAGE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
        q[PAGE] = 1;
        mprotect(q + PAGE, PAGE, PROT_READ);
        q = mremap(q, 16 * PAGE, 32 * PAGE, MREMAP_MAYMOVE);
        munmap(q, 32 * PAGE);
    }
}

static void test_memory(void)
{
    static char text[8192], path[32];
    int pid = start(change_memory);
    snprintf(path, sizeof(path), "/proc/%d/maps", pid);
    int maps = open(path, O_RDONLY);
    moment();
    CHECK(true, read(maps, text, sizeof(text)) > 0);
    end(pid);
    close(maps);
}

static int events;

static void change_events(void)
{
    struct epoll_event ev = { .events = EPOLLIN };
    be_ready();
    for (;;) {
        epoll_ctl(events, EPOLL_CTL_ADD, ends[0], &ev);
        epoll_wait(events, &ev, 1, 0);
        epoll_ctl(events, EPOLL_CTL_DEL, ends[0], NULL);
    }
}

static void test_events(void)
{
    struct epoll_event ev = { .events = EPOLLIN };
    events = epoll_create1(0);
    CHECK(0, pipe(ends));
    int pids[2] = { start(change_events), start(change_events) };
    moment();
    end(pids[0]);
    end(pids[1]);
    epoll_ctl(events, EPOLL_CTL_DEL, ends[0], NULL);
    CHECK(0, epoll_ctl(events, EPOLL_CTL_ADD, ends[0], &ev));
    CHECK(1, write(ends[1], "x", 1));
    CHECK(1, epoll_wait(events, &ev, 1, -1));
    close(ends[0]);
    close(ends[1]);
    close(events);
}

static void make_children(void)
{
    be_ready();
    for (;;) {
        int pid = turn % 2 ? fork() : vfork();
        if (pid == 0) {
            if (turn % 3 == 0)
                execl("/nothing", "nothing", NULL);
            _exit(0);
        }
        if (pid > 0)
            waitpid(pid, NULL, 0);
    }
}

static void test_children(void)
{
    int pid = start(make_children);
    moment();
    end(pid);
}

static int terminal;

static void use_terminal(void)
{
    char c;
    int mine = open(ptsname(terminal), O_RDWR | O_NOCTTY);
    be_ready();
    for (;;)
        if (write(mine, "line\n", 5) < 0 || read(mine, &c, 1) < 0)
            failed("terminal");
}

static void test_terminal(void)
{
    char text[64];
    terminal = posix_openpt(O_RDWR | O_NOCTTY);
    CHECK(0, grantpt(terminal));
    CHECK(0, unlockpt(terminal));
    int keep = open(ptsname(terminal), O_RDWR | O_NOCTTY | O_NONBLOCK), pid = start(use_terminal);
    CHECK(3, write(terminal, "ab\n", 3));
    moment();
    end(pid);
    tcflush(keep, TCIOFLUSH);
    CHECK(2, write(terminal, "c\n", 2));
    struct pollfd wait = { .fd = keep, .events = POLLIN };
    CHECK(1, poll(&wait, 1, -1));
    CHECK(true, read(keep, text, sizeof(text)) > 0);
    close(keep);
    close(terminal);
}

int main(int argc, char **argv)
{
    if (argc > 1)
        dir = argv[1];
    if (argc > 2)
        rounds = atoi(argv[2]);
    alarm(DEADLINE * 10);
    snprintf(file, sizeof(file), "%s/t-killed", dir);
    snprintf(other, sizeof(other), "%s/t-killed-2", dir);
    mutex = mmap(NULL, PAGE, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    CHECK(0, pipe2(ready, O_CLOEXEC));
    fd = open(file, O_CREAT | O_RDWR, 0600);
    CHECK(true, fd >= 0);
    for (turn = 0; turn < rounds; turn++) {
        test_file_locks();
        test_robust(PTHREAD_PRIO_NONE);
        test_robust(PTHREAD_PRIO_INHERIT);
        test_semaphore();
        test_stream(false);
        test_stream(true);
        test_queue();
        test_memory();
        test_events();
        test_children();
        test_terminal();
        test_files();
    }
    unlink(file);
    unlink(other);
    return t_end();
}
