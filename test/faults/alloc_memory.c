/* SPDX-License-Identifier: MIT */
/* Mappings of all kinds, and System V's and POSIX's shared objects. */
#define _GNU_SOURCE
#include "alloc.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/userfaultfd.h>
#include <mqueue.h>
#include <signal.h>
#include <sys/ioctl.h>
#include <sys/ipc.h>
#include <sys/mman.h>
#include <sys/msg.h>
#include <sys/sem.h>
#include <sys/shm.h>
#include <sys/socket.h>
#include <unistd.h>

#ifndef MADV_COLLAPSE
#define MADV_COLLAPSE 25
#endif
#define MADV_GUARD 102 /* MADV_GUARD_INSTALL */

enum { PAGE = 4096, RW = PROT_READ | PROT_WRITE, ANON = MAP_PRIVATE | MAP_ANONYMOUS };

static char *map(size_t size)
{
    char *p = mmap(NULL, size, RW, ANON, -1, 0);
    return p == MAP_FAILED ? NULL : p;
}

static long do_mmap(void)
{
    long p = FAULTY(SYS_mmap, NULL, 1 << 20, RW, ANON, -1, 0);
    if (p > 0)
        munmap((void *)p, 1 << 20);
    return p < 0 ? p : 0;
}

static long do_populate(void)
{
    long p = FAULTY(SYS_mmap, NULL, 64 * PAGE, RW, ANON | MAP_POPULATE, -1, 0);
    if (p > 0)
        munmap((void *)p, 64 * PAGE);
    return p < 0 ? p : 0;
}

static long map_file(int flags)
{
    int fd = open("/proc/self/exe", O_RDONLY);
    long p = FAULTY(SYS_mmap, NULL, 16 * PAGE, PROT_READ, flags | MAP_POPULATE, fd, 0);
    if (p > 0)
        munmap((void *)p, 16 * PAGE);
    close(fd);
    return p < 0 ? p : 0;
}

static long do_map_private(void)
{
    return map_file(MAP_PRIVATE);
}

static long do_map_shared(void)
{
    return map_file(MAP_SHARED);
}

/* Calls on the middle of a mapping cut it in three. */
static long cut(long nr, long a2, long a3)
{
    char *p = map(64 * PAGE);
    if (!p)
        return -EIO;
    memset(p, 1, 64 * PAGE);
    long r = FAULTY(nr, p + 16 * PAGE, 16 * PAGE, a2, a3);
    munmap(p, 64 * PAGE);
    return r;
}

static long do_mprotect(void)
{
    return cut(SYS_mprotect, PROT_READ, 0);
}

static long do_munmap(void)
{
    return cut(SYS_munmap, 0, 0);
}

static long do_mlock(void)
{
    return cut(SYS_mlock, 0, 0);
}

static long do_dontneed(void)
{
    return cut(SYS_madvise, MADV_DONTNEED, 0);
}

static long do_dontfork(void)
{
    return cut(SYS_madvise, MADV_DONTFORK, 0);
}

static long do_mincore(void)
{
    static unsigned char vec[64];
    return cut(SYS_mincore, (long)vec, 0);
}

static long do_mremap(void)
{
    char *p = map(64 * PAGE);
    if (!p)
        return -EIO;
    memset(p, 1, 64 * PAGE);
    long q = FAULTY(SYS_mremap, p + 16 * PAGE, 16 * PAGE, 600 * PAGE, MREMAP_MAYMOVE, 0);
    munmap(p, 64 * PAGE);
    if (q > 0)
        munmap((void *)q, 600 * PAGE);
    return q < 0 ? q : 0;
}

static long do_guard(void)
{
    char *p = map(64 * PAGE);
    if (!p)
        return -EIO;
    memset(p, 1, 64 * PAGE);
    long r = FAULTY(SYS_madvise, p + 16 * PAGE, 16 * PAGE, MADV_GUARD);
    munmap(p, 64 * PAGE);
    return r;
}

/* 2 MiB of small pages become a large one, or stay what they are. */
static long do_collapse(void)
{
    char *p = map(4 << 20), *at = (char *)(((unsigned long)p + (2 << 20) - 1) & -(2ul << 20));
    if (!p)
        return -EIO;
    madvise(p, 4 << 20, MADV_NOHUGEPAGE);
    memset(at, 7, 2 << 20);
    madvise(p, 4 << 20, MADV_HUGEPAGE);
    long r = FAULTY(SYS_madvise, at, 2 << 20, MADV_COLLAPSE);
    for (long i = 0; i < 2 << 20; i += PAGE)
        if (at[i] != 7)
            r = -EIO;
    munmap(p, 4 << 20);
    return r;
}

/* From a userfaultfd to a page given and watched. */
static long do_userfault(void)
{
    static char page[PAGE];
    char *p = map(16 * PAGE);
    struct uffdio_api api = { .api = UFFD_API };
    struct uffdio_register reg = { { (unsigned long)p + PAGE, 8 * PAGE }, 3, 0 };
    struct uffdio_copy copy = { (unsigned long)p + PAGE, (unsigned long)page, PAGE, 0, 0 };
    struct uffdio_writeprotect wp = { { (unsigned long)p + PAGE, PAGE }, 1 };
    if (!p)
        return -EIO;
    faults_begin();
    long fd = call(SYS_userfaultfd, O_NONBLOCK), r = fd;
    if (r >= 0)
        r = call(SYS_ioctl, fd, UFFDIO_API, &api);
    if (r >= 0)
        r = call(SYS_ioctl, fd, UFFDIO_REGISTER, &reg);
    if (r >= 0)
        r = call(SYS_ioctl, fd, UFFDIO_COPY, &copy);
    if (r >= 0)
        r = call(SYS_ioctl, fd, UFFDIO_WRITEPROTECT, &wp);
    faults_end();
    if (fd >= 0)
        close((int)fd);
    munmap(p, 16 * PAGE);
    return r;
}

static long do_brk(void)
{
    long end = call(SYS_brk, 0), now = FAULTY(SYS_brk, end + 64 * PAGE);
    call(SYS_brk, end);
    return now == end + 64 * PAGE ? 0 : -ENOMEM;
}

static long do_memfd(void)
{
    static char buf[16 * PAGE];
    faults_begin();
    long fd = call(SYS_memfd_create, "alloc", MFD_ALLOW_SEALING), r = fd;
    if (r >= 0)
        r = call(SYS_ftruncate, fd, 1 << 20);
    if (r >= 0)
        r = call(SYS_pwrite64, fd, buf, sizeof(buf), 100);
    if (r >= 0)
        r = call(SYS_fallocate, fd, 0, 512 << 10, 64 << 10);
    faults_end();
    if (fd >= 0)
        close((int)fd);
    return r;
}

static long do_shm(void)
{
    faults_begin();
    long id = call(SYS_shmget, IPC_PRIVATE, 1 << 20, 0600), r = id, at = 0;
    if (r >= 0)
        r = at = call(SYS_shmat, id, NULL, 0);
    faults_end();
    if (at > 0)
        shmdt((void *)at);
    if (id >= 0)
        shmctl((int)id, IPC_RMID, NULL);
    return r;
}

static long semaphores(void)
{
    struct sembuf up = { 3, 1, SEM_UNDO };
    faults_begin();
    long id = call(SYS_semget, IPC_PRIVATE, 10, 0600), r = id;
    if (r >= 0)
        r = call(SYS_semop, id, &up, 1);
    faults_end();
    if (id >= 0)
        semctl((int)id, 0, IPC_RMID);
    return r;
}

static long do_sem(void)
{
    return in_child(semaphores);
}

static long do_msg(void)
{
    struct {
        long type;
        char text[5000];
    } m = { .type = 1 };
    faults_begin();
    long id = call(SYS_msgget, IPC_PRIVATE, 0600), r = id;
    if (r >= 0)
        r = call(SYS_msgsnd, id, &m, sizeof(m.text), IPC_NOWAIT);
    if (r >= 0)
        r = call(SYS_msgrcv, id, &m, sizeof(m.text), 0, IPC_NOWAIT);
    faults_end();
    if (id >= 0)
        msgctl((int)id, IPC_RMID, NULL);
    return r;
}

static long do_mqueue(void)
{
    struct mq_attr attr = { .mq_maxmsg = 4, .mq_msgsize = 1024 };
    static char text[1024];
    faults_begin();
    long fd = call(SYS_mq_open, "alloc-queue", O_CREAT | O_RDWR, 0600, &attr), r = fd;
    if (r >= 0)
        r = call(SYS_mq_timedsend, fd, text, sizeof(text), 1, NULL);
    if (r >= 0)
        r = call(SYS_mq_timedreceive, fd, text, sizeof(text), NULL, NULL);
    struct sigevent ev = { .sigev_notify = SIGEV_THREAD, .sigev_value.sival_ptr = text };
    long s = call(SYS_socket, AF_NETLINK, SOCK_RAW, 0);
    ev.sigev_signo = (int)s;
    if (r >= 0)
        r = s < 0 ? s : call(SYS_mq_notify, fd, &ev);
    if (r >= 0)
        r = call(SYS_mq_timedsend, fd, text, 1, 0, NULL);
    faults_end();
    if (s >= 0)
        close((int)s);
    if (fd >= 0)
        close((int)fd);
    mq_unlink("/alloc-queue");
    return r;
}

const struct scenario memory_scenarios[] = {
    { "mmap", do_mmap, { 0 } },
    { "populate", do_populate, { 0 } },
    { "map-private", do_map_private, { 0 } },
    { "map-shared", do_map_shared, { 0 } },
    { "mprotect", do_mprotect, { 0 } },
    { "munmap", do_munmap, { 0 } },
    { "mlock", do_mlock, { EAGAIN } },
    { "madvise-dontneed", do_dontneed, { 0 } },
    { "madvise-dontfork", do_dontfork, { EAGAIN } },
    { "mincore", do_mincore, { EAGAIN } },
    { "mremap", do_mremap, { 0 } },
    { "madvise-guard", do_guard, { EAGAIN } },
    { "madvise-collapse", do_collapse, { EAGAIN } },
    { "userfaultfd", do_userfault, { ENFILE } },
    { "brk", do_brk, { 0 } },
    { "memfd", do_memfd, { ENOSPC, ENFILE } },
    { "shm", do_shm, { ENOSPC, ENFILE } },
    { "sem", do_sem, { ENOSPC } },
    { "msg", do_msg, { ENOSPC } },
    { "mqueue", do_mqueue, { ENOSPC, ENFILE } },
    { NULL, NULL, { 0 } },
};
