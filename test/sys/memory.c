/* SPDX-License-Identifier: MIT */
/* Advice, residency, locking, msync, memfd, membarrier. */
#define _GNU_SOURCE
#include <t_file.h>

#include <linux/membarrier.h>
#include <sys/mman.h>

#define PAGE 4096l
#ifndef MADV_COLLAPSE
#define MADV_COLLAPSE 25
#endif

static long anon(long pages)
{
    return call(SYS_mmap, 0, pages * PAGE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1,
                0);
}

static void advises(void)
{
    long p = anon(4);
    *(char *)p = 1;
    *(char *)(p + PAGE) = 2;
    CHECK(0, call(SYS_madvise, p, PAGE, MADV_DONTNEED));
    CHECK(0, *(char *)p); /* gone */
    CHECK(2, *(char *)(p + PAGE));
    static const int harmless[] = { MADV_NORMAL,        MADV_RANDOM,        MADV_SEQUENTIAL,
                                    MADV_WILLNEED,      MADV_FREE,          MADV_DONTFORK,
                                    MADV_DOFORK,        MADV_DONTDUMP,      MADV_DODUMP,
                                    MADV_COLD,          MADV_PAGEOUT,       MADV_HUGEPAGE,
                                    MADV_NOHUGEPAGE,    MADV_WIPEONFORK,    MADV_KEEPONFORK,
                                    MADV_POPULATE_READ, MADV_POPULATE_WRITE };
    for (size_t i = 0; i < sizeof(harmless) / sizeof(harmless[0]); i++)
        CHECK(0, call(SYS_madvise, p, 4 * PAGE, harmless[i]) * (1000 + harmless[i]));
    CHECK(-EINVAL, call(SYS_madvise, p, PAGE, 9999));
    CHECK(-EINVAL, call(SYS_madvise, p + 1, PAGE, MADV_DONTNEED));
    CHECK(-EINVAL, call(SYS_madvise, p, -1, MADV_DONTNEED));
    CHECK(0, call(SYS_madvise, p, 0, MADV_DONTNEED));
    CHECK(0, call(SYS_munmap, p + PAGE, PAGE));
    *(char *)(p + 2 * PAGE) = 3;
    CHECK(-ENOMEM,
          call(SYS_madvise, p, 4 * PAGE, MADV_DONTNEED)); /* a hole, but the rest is done */
    CHECK(0, *(char *)(p + 2 * PAGE));
    CHECK(0, call(SYS_munmap, p, 4 * PAGE));
    long fd = call(SYS_open, "f", O_RDWR | O_CREAT, 0600);
    CHECK(0, call(SYS_ftruncate, fd, 2 * PAGE));
    p = call(SYS_mmap, 0, 2 * PAGE, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
    *(char *)p = 1;
    CHECK(0, call(SYS_madvise, p, PAGE, MADV_DONTNEED));
    CHECK(1, *(char *)p); /* the file still has it */
    CHECK(-EINVAL, call(SYS_madvise, p, PAGE, MADV_FREE));
    CHECK(0, call(SYS_madvise, p, PAGE, MADV_REMOVE));
    CHECK(0, *(char *)p); /* a hole in the file */
    CHECK(0, call(SYS_munmap, p, 2 * PAGE));
    call(SYS_close, fd);
}

static void asks(void)
{
    unsigned char vec[4] = { 9, 9, 9, 9 };
    long p = anon(3);
    *(char *)(p + PAGE) = 1;
    CHECK(0, call(SYS_mincore, p, 3 * PAGE, vec));
    CHECK(0, vec[0] & 1);
    CHECK(1, vec[1] & 1);
    CHECK(0, vec[2] & 1);
    CHECK(9, vec[3]);
    CHECK(-EINVAL, call(SYS_mincore, p + 1, PAGE, vec));
    CHECK(-EFAULT, call(SYS_mincore, p, PAGE, T_BAD));
    CHECK(0, call(SYS_munmap, p + 2 * PAGE, PAGE));
    CHECK(-ENOMEM, call(SYS_mincore, p, 3 * PAGE, vec));
    CHECK(0, call(SYS_msync, p, PAGE, MS_ASYNC));
    CHECK(0, call(SYS_msync, p, PAGE, 0));
    CHECK(-EINVAL, call(SYS_msync, p, PAGE, MS_ASYNC | MS_SYNC));
    CHECK(-EINVAL, call(SYS_msync, p, PAGE, 8));
    CHECK(-EINVAL, call(SYS_msync, p + 1, PAGE, MS_SYNC));
    CHECK(-ENOMEM, call(SYS_msync, p, 3 * PAGE, MS_SYNC));
    CHECK(0, call(SYS_munmap, p, 2 * PAGE));
}

static void locks(void)
{
    unsigned char vec[2];
    long p = anon(2);
    CHECK(0, call(SYS_mlock, p + 5, 10)); /* rounded to the page, and brought in */
    CHECK(0, call(SYS_mincore, p, 2 * PAGE, vec));
    CHECK(1, vec[0] & 1);
    CHECK(0, vec[1] & 1);
    CHECK(0, call(SYS_mlock2, p, 2 * PAGE, MLOCK_ONFAULT));
    CHECK(0, call(SYS_mincore, p, 2 * PAGE, vec));
    CHECK(0, vec[1] & 1);
    CHECK(-EINVAL, call(SYS_mlock2, p, PAGE, 2));
    CHECK(-EINVAL, call(SYS_madvise, p, PAGE, MADV_DONTNEED)); /* locked pages stay */
    CHECK(0, call(SYS_munlock, p, 2 * PAGE));
    CHECK(0, call(SYS_madvise, p, PAGE, MADV_DONTNEED));
    CHECK(0, call(SYS_munmap, p, 2 * PAGE));
    CHECK(-ENOMEM, call(SYS_mlock, p, PAGE));
    CHECK(-EINVAL, call(SYS_mlockall, 0));
    CHECK(-EINVAL, call(SYS_mlockall, 8));
    CHECK(-EINVAL, call(SYS_mlockall, MCL_ONFAULT));
    CHECK(0, call(SYS_munlockall));
}

static void memory_files(void)
{
    struct stat st;
    long fd = call(SYS_memfd_create, "name", MFD_CLOEXEC | MFD_ALLOW_SEALING);
    CHECK(FD_CLOEXEC, call(SYS_fcntl, fd, F_GETFD));
    CHECK(0, call(SYS_fstat, fd, &st));
    CHECK(S_IFREG | 0777, st.st_mode);
    CHECK(0, st.st_nlink);
    CHECK(5, call(SYS_write, fd, "hello", 5));
    CHECK(0, call(SYS_fcntl, fd, F_GET_SEALS));
    CHECK(0, call(SYS_fcntl, fd, F_ADD_SEALS, F_SEAL_SHRINK));
    CHECK(-EPERM, call(SYS_ftruncate, fd, 1));
    CHECK(0, call(SYS_ftruncate, fd, 10));
    CHECK(0, call(SYS_fcntl, fd, F_ADD_SEALS, F_SEAL_GROW));
    CHECK(-EPERM, call(SYS_ftruncate, fd, 11));
    CHECK(F_SEAL_SHRINK | F_SEAL_GROW, call(SYS_fcntl, fd, F_GET_SEALS));
    long p = call(SYS_mmap, 0, PAGE, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
    CHECK(-EBUSY, call(SYS_fcntl, fd, F_ADD_SEALS, F_SEAL_WRITE)); /* somebody could still write */
    CHECK(0, call(SYS_munmap, p, PAGE));
    CHECK(0, call(SYS_fcntl, fd, F_ADD_SEALS, F_SEAL_WRITE));
    CHECK(-EPERM, call(SYS_write, fd, "x", 1));
    CHECK(-EPERM, call(SYS_mmap, 0, PAGE, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0));
    CHECK(0, call(SYS_fcntl, fd, F_ADD_SEALS, F_SEAL_SEAL));
    CHECK(-EPERM, call(SYS_fcntl, fd, F_ADD_SEALS, F_SEAL_GROW));
    CHECK(-EINVAL, call(SYS_fcntl, fd, F_ADD_SEALS, 0x1000));
    char link[64] = "", path[32];
    snprintf(path, sizeof(path), "/proc/self/fd/%ld", fd);
    CHECK(true, call(SYS_readlink, path, link, sizeof(link)) > 0);
    CHECK(0, strcmp(link, "/memfd:name (deleted)"));
    call(SYS_close, fd);
    fd = call(SYS_memfd_create, "", 0);
    CHECK(F_SEAL_SEAL, call(SYS_fcntl, fd, F_GET_SEALS));
    call(SYS_close, fd);
    char name[260];
    memset(name, 'n', sizeof(name));
    name[250] = '\0';
    CHECK(-EINVAL, call(SYS_memfd_create, name, 0));
    CHECK(-EINVAL, call(SYS_memfd_create, "x", 0x100));
    CHECK(-EFAULT, call(SYS_memfd_create, T_BAD, 0));
}

static void barriers(void)
{
    long all = call(SYS_membarrier, MEMBARRIER_CMD_QUERY, 0, 0);
    CHECK(true, all > 0 && all & MEMBARRIER_CMD_PRIVATE_EXPEDITED);
    CHECK(-EINVAL, call(SYS_membarrier, MEMBARRIER_CMD_QUERY, 1, 0));
    CHECK(-EINVAL, call(SYS_membarrier, 1 << 20, 0, 0));
    CHECK(-EPERM,
          call(SYS_membarrier, MEMBARRIER_CMD_PRIVATE_EXPEDITED, 0, 0)); /* not registered */
    CHECK(0, call(SYS_membarrier, MEMBARRIER_CMD_REGISTER_PRIVATE_EXPEDITED, 0, 0));
    CHECK(0, call(SYS_membarrier, MEMBARRIER_CMD_PRIVATE_EXPEDITED, 0, 0));
    CHECK(0, call(SYS_membarrier, MEMBARRIER_CMD_GLOBAL, 0, 0));
}

int main(void)
{
    t_enter();
    advises();
    asks();
    locks();
    memory_files();
    barriers();
    return t_leave();
}
