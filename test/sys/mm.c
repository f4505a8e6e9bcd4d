/* SPDX-License-Identifier: MIT */
/* madvise, mincore, msync, mlock and its family, memfd_create. */
#define _GNU_SOURCE
#include <t.h>

#include <errno.h>
#include <fcntl.h>
#include <stdint.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

#ifndef MADV_COLLAPSE
#define MADV_COLLAPSE 25
#endif
#ifndef F_SEAL_FUTURE_WRITE
#define F_SEAL_FUTURE_WRITE 0x10
#endif

enum {
    PAGE = 4096,
    RW = PROT_READ | PROT_WRITE,
    ANON = MAP_PRIVATE | MAP_ANONYMOUS,
    MIB = 1 << 20
};

static char *map(size_t size, int prot, int flags, int fd)
{
    return (char *)call(SYS_mmap, NULL, size, prot, flags, fd, 0);
}

static void unmap(void *p, size_t size)
{
    CHECK(0, call(SYS_munmap, p, size));
}

static int is_there(void *p)
{
    unsigned char v = 9;
    CHECK(0, call(SYS_mincore, p, 1, &v));
    return v & 1;
}

static void drop(void)
{
    char *p = map(8 * PAGE, RW, ANON, -1);
    memset(p, 1, 8 * PAGE);
    CHECK(0, call(SYS_madvise, p + PAGE, 2 * PAGE, MADV_DONTNEED));
    CHECK(1, p[0]);
    CHECK(0, p[PAGE] + p[2 * PAGE]);
    CHECK(1, p[3 * PAGE]);
    CHECK(0, call(SYS_madvise, p + 4 * PAGE, PAGE, MADV_FREE));
    CHECK(1, p[4 * PAGE] == 0 || p[4 * PAGE] == 1); /* freed now or later */
    p[4 * PAGE] = 5;
    CHECK(5, p[4 * PAGE]);
    CHECK(0, call(SYS_madvise, p, 0, MADV_DONTNEED));
    CHECK(-EINVAL, call(SYS_madvise, p + 1, PAGE, MADV_DONTNEED));
    CHECK(-EINVAL, call(SYS_madvise, p, PAGE, 77));
    CHECK(-EINVAL, call(SYS_madvise, p, PAGE, -1));
    CHECK(-EINVAL, call(SYS_madvise, p, SIZE_MAX, MADV_NORMAL));
    CHECK(-EINVAL, call(SYS_madvise, p, SIZE_MAX - 2 * PAGE, MADV_NORMAL));
    unmap(p + 5 * PAGE, PAGE);
    memset(p + 6 * PAGE, 2, PAGE);
    CHECK(-ENOMEM,
          call(SYS_madvise, p, 8 * PAGE, MADV_DONTNEED)); /* but it was done around the hole */
    CHECK(0, p[0] + p[6 * PAGE]);
    CHECK(-ENOMEM, call(SYS_madvise, p + 5 * PAGE, PAGE, MADV_NORMAL));
    unmap(p, 8 * PAGE);
}

static void hints(void)
{
    static const int fine[] = { MADV_NORMAL,     MADV_RANDOM,    MADV_SEQUENTIAL, MADV_WILLNEED,
                                MADV_DONTFORK,   MADV_DOFORK,    MADV_HUGEPAGE,   MADV_NOHUGEPAGE,
                                MADV_DONTDUMP,   MADV_DODUMP,    MADV_COLD,       MADV_PAGEOUT,
                                MADV_WIPEONFORK, MADV_KEEPONFORK };
    char *p = map(4 * PAGE, RW, ANON, -1);
    p[PAGE] = 1;
    for (size_t i = 0; i < sizeof fine / sizeof *fine; i++)
        CHECK(0, call(SYS_madvise, p + PAGE, 2 * PAGE, fine[i]));
    CHECK(1, p[PAGE]);
    CHECK(0, call(SYS_madvise, p, PAGE, MADV_MERGEABLE));
    CHECK(0, call(SYS_madvise, p, 2 * PAGE, MADV_UNMERGEABLE));
    unmap(p, 4 * PAGE);
    int fd = (int)call(SYS_memfd_create, "x", 0);
    CHECK(0, call(SYS_ftruncate, fd, 4 * PAGE));
    p = map(4 * PAGE, RW, MAP_SHARED, fd);
    memset(p, 3, 4 * PAGE);
    CHECK(-EINVAL, call(SYS_madvise, p, PAGE, MADV_FREE));
    CHECK(-EINVAL, call(SYS_madvise, p, PAGE, MADV_WIPEONFORK));
    CHECK(0, call(SYS_madvise, p, PAGE, MADV_DONTNEED));
    CHECK(3, p[0]); /* the file still has it */
    CHECK(0, call(SYS_madvise, p + PAGE, PAGE, MADV_REMOVE));
    CHECK(0, p[PAGE]);
    CHECK(3, p[2 * PAGE]);
    unmap(p, 4 * PAGE);
    p = map(4 * PAGE, RW, MAP_PRIVATE, fd);
    p[0] = 9;
    CHECK(-EACCES, call(SYS_madvise, p, PAGE, MADV_REMOVE));
    CHECK(0, call(SYS_madvise, p, PAGE, MADV_DONTNEED));
    CHECK(3, p[0]); /* the file's again */
    unmap(p, 4 * PAGE);
    call(SYS_close, fd);
    p = map(PAGE, RW, ANON, -1);
    CHECK(-EINVAL, call(SYS_madvise, p, PAGE, MADV_REMOVE));
    unmap(p, PAGE);
}

static void populate(void)
{
    char *p = map(8 * PAGE, RW, ANON, -1);
    CHECK(0, call(SYS_madvise, p, 2 * PAGE, MADV_POPULATE_WRITE));
    CHECK(2, is_there(p) + is_there(p + PAGE));
    CHECK(0, call(SYS_madvise, p + 4 * PAGE, PAGE, MADV_POPULATE_READ));
    CHECK(1, is_there(p + 4 * PAGE));
    CHECK(0, call(SYS_mprotect, p + 6 * PAGE, PAGE, PROT_READ));
    CHECK(-EINVAL, call(SYS_madvise, p, 8 * PAGE, MADV_POPULATE_WRITE));
    CHECK(0, call(SYS_mprotect, p + 6 * PAGE, PAGE, PROT_NONE));
    CHECK(-EINVAL, call(SYS_madvise, p + 6 * PAGE, PAGE, MADV_POPULATE_READ));
    unmap(p + 7 * PAGE, PAGE);
    CHECK(-ENOMEM, call(SYS_madvise, p + 7 * PAGE, PAGE, MADV_POPULATE_READ));
    unmap(p, 8 * PAGE);
    int fd = (int)call(SYS_memfd_create, "x", 0);
    CHECK(0, call(SYS_ftruncate, fd, PAGE));
    p = map(2 * PAGE, RW, MAP_SHARED, fd);
    CHECK(0, call(SYS_madvise, p, PAGE, MADV_POPULATE_READ));
    CHECK(-EFAULT, call(SYS_madvise, p, 2 * PAGE, MADV_POPULATE_READ)); /* past the end */
    unmap(p, 2 * PAGE);
    call(SYS_close, fd);
}

static void residence(void)
{
    unsigned char v[64];
    char *p = map(64 * PAGE, RW, ANON, -1);
    CHECK(0, call(SYS_madvise, p, 64 * PAGE, MADV_NOHUGEPAGE));
    CHECK(0, call(SYS_mincore, p, 64 * PAGE, v));
    int n = 0;
    for (int i = 0; i < 64; i++)
        n += v[i] & 1;
    CHECK(0, n);
    p[3 * PAGE] = 1;
    p[40 * PAGE] = 1;
    CHECK(0, call(SYS_mincore, p, 64 * PAGE, v));
    CHECK(2, (v[3] & 1) + (v[40] & 1));
    CHECK(0, v[20] & 1);
    CHECK(0, call(SYS_mincore, p, 0, T_BAD));
    CHECK(-EINVAL, call(SYS_mincore, p + 1, PAGE, v));
    CHECK(-EFAULT, call(SYS_mincore, p, PAGE, T_BAD));
    CHECK(-ENOMEM, call(SYS_mincore, p, SIZE_MAX, v));
    unmap(p + PAGE, PAGE);
    CHECK(-ENOMEM, call(SYS_mincore, p, 3 * PAGE, v));
    unmap(p, 64 * PAGE);
    int fd = (int)call(SYS_memfd_create, "x", 0);
    CHECK(3, call(SYS_pwrite64, fd, "abc", 3, PAGE));
    p = map(3 * PAGE, PROT_READ, MAP_SHARED, fd);
    CHECK(0, call(SYS_mincore, p, 3 * PAGE, v));
    CHECK(1, v[1] & 1); /* in the file, though not touched here */
    unmap(p, 3 * PAGE);
    call(SYS_close, fd);
}

static void synchronised(void)
{
    char *p = map(4 * PAGE, RW, MAP_SHARED | MAP_ANONYMOUS, -1);
    CHECK(0, call(SYS_msync, p, 4 * PAGE, MS_SYNC));
    CHECK(0, call(SYS_msync, p, 4 * PAGE, MS_ASYNC | MS_INVALIDATE));
    CHECK(0, call(SYS_msync, p, 0, 0));
    CHECK(-EINVAL, call(SYS_msync, p, PAGE, MS_SYNC | MS_ASYNC));
    CHECK(-EINVAL, call(SYS_msync, p, PAGE, 8));
    CHECK(-EINVAL, call(SYS_msync, p + 1, PAGE, MS_SYNC));
    CHECK(-ENOMEM, call(SYS_msync, p, -(uintptr_t)p + PAGE, MS_SYNC));
    unmap(p + PAGE, PAGE);
    CHECK(-ENOMEM, call(SYS_msync, p, 4 * PAGE, MS_SYNC));
    CHECK(0, call(SYS_mlock, p, PAGE));
    CHECK(-EBUSY, call(SYS_msync, p, PAGE, MS_INVALIDATE));
    unmap(p, 4 * PAGE);
}

static void locking(void)
{
    char *p = map(8 * PAGE, RW, ANON, -1);
    CHECK(0, call(SYS_mlock, p + 1, 2 * PAGE));
    CHECK(3, is_there(p) + is_there(p + PAGE) + is_there(p + 2 * PAGE));
    CHECK(-EINVAL, call(SYS_madvise, p, PAGE, MADV_DONTNEED));
    CHECK(-EINVAL, call(SYS_madvise, p, PAGE, MADV_COLD));
    CHECK(0, call(SYS_munlock, p, 8 * PAGE));
    CHECK(0, call(SYS_madvise, p, PAGE, MADV_DONTNEED));
    CHECK(0, call(SYS_mlock2, p, 4 * PAGE, MLOCK_ONFAULT));
    CHECK(0, is_there(p));
    p[0] = 1;
    CHECK(1, is_there(p));
    CHECK(-EINVAL, call(SYS_mlock2, p, PAGE, 2));
    CHECK(0, call(SYS_munlock, p, 4 * PAGE));
    CHECK(0, call(SYS_mlock, p, 0));
    CHECK(-EINVAL, call(SYS_mlock, p, -(uintptr_t)p + PAGE));
    unmap(p + 4 * PAGE, PAGE);
    CHECK(-ENOMEM, call(SYS_mlock, p, 8 * PAGE));
    CHECK(-ENOMEM, call(SYS_munlock, p + 4 * PAGE, PAGE));
    unmap(p, 8 * PAGE);
    CHECK(-EINVAL, call(SYS_mlockall, 0));
    CHECK(-EINVAL, call(SYS_mlockall, 8));
    CHECK(-EINVAL, call(SYS_mlockall, MCL_ONFAULT));
    CHECK(0, call(SYS_mlockall, MCL_FUTURE));
    p = map(2 * PAGE, RW, ANON, -1);
    CHECK(2, is_there(p) + is_there(p + PAGE));
    CHECK(0, call(SYS_munlockall));
    unmap(p, 2 * PAGE);
    p = map(2 * PAGE, RW, ANON, -1);
    CHECK(0, is_there(p));
    unmap(p, 2 * PAGE);
    p = map(2 * PAGE, RW, ANON | MAP_LOCKED, -1);
    CHECK(2, is_there(p) + is_there(p + PAGE));
    unmap(p, 2 * PAGE);
}

static void memory_files(void)
{
    char long_name[300];
    struct stat st;
    int fd = (int)call(SYS_memfd_create, "", MFD_ALLOW_SEALING | MFD_CLOEXEC);
    CHECK(1, fd >= 0);
    CHECK(FD_CLOEXEC, call(SYS_fcntl, fd, F_GETFD));
    CHECK(O_RDWR, call(SYS_fcntl, fd, F_GETFL) & O_ACCMODE);
    CHECK(0, call(SYS_fstat, fd, &st));
    CHECK(S_IFREG | 0777, st.st_mode);
    CHECK(0, st.st_nlink + st.st_size);
    CHECK(0, call(SYS_fcntl, fd, F_GET_SEALS));
    CHECK(4, call(SYS_write, fd, "1234", 4));
    char *p = map(PAGE, RW, MAP_SHARED, fd);
    CHECK('1', p[0]);
    CHECK(-EBUSY, call(SYS_fcntl, fd, F_ADD_SEALS, F_SEAL_WRITE));
    CHECK(0, call(SYS_fcntl, fd, F_ADD_SEALS, F_SEAL_GROW));
    CHECK(-EPERM, call(SYS_ftruncate, fd, 100));
    CHECK(0, call(SYS_ftruncate, fd, 2));
    CHECK(0, call(SYS_fcntl, fd, F_ADD_SEALS, F_SEAL_FUTURE_WRITE));
    p[1] = 'x';
    CHECK(-EPERM, map(PAGE, RW, MAP_SHARED, fd));
    CHECK(-EPERM, call(SYS_pwrite64, fd, "z", 1, 0));
    unmap(p, PAGE);
    CHECK(0, call(SYS_fcntl, fd, F_ADD_SEALS, F_SEAL_WRITE | F_SEAL_SHRINK | F_SEAL_SEAL));
    CHECK(-EPERM, call(SYS_ftruncate, fd, 0));
    CHECK(-EPERM, call(SYS_fcntl, fd, F_ADD_SEALS, F_SEAL_WRITE));
    p = map(PAGE, RW, MAP_PRIVATE, fd);
    CHECK('x', p[1]);
    p[1] = 'y';
    unmap(p, PAGE);
    p = map(PAGE, PROT_READ, MAP_SHARED, fd);
    CHECK('x', p[1]);
    CHECK(-EACCES, call(SYS_mprotect, p, PAGE, RW));
    unmap(p, PAGE);
    call(SYS_close, fd);
    fd = (int)call(SYS_memfd_create, "no seals", 0);
    CHECK(F_SEAL_SEAL, call(SYS_fcntl, fd, F_GET_SEALS));
    CHECK(-EPERM, call(SYS_fcntl, fd, F_ADD_SEALS, F_SEAL_WRITE));
    call(SYS_close, fd);
    CHECK(-EINVAL, call(SYS_memfd_create, "x", 0x1000));
    CHECK(-EFAULT, call(SYS_memfd_create, T_BAD, 0));
    memset(long_name, 'n', sizeof long_name);
    long_name[250] = 0;
    CHECK(-EINVAL, call(SYS_memfd_create, long_name, 0));
    long_name[249] = 0;
    fd = (int)call(SYS_memfd_create, long_name, 0);
    CHECK(1, fd >= 0);
    call(SYS_close, fd);
}

int main(void)
{
    drop();
    hints();
    populate();
    residence();
    synchronised();
    locking();
    memory_files();
    return t_end();
}
