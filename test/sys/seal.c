/* SPDX-License-Identifier: MIT */
/* Memory that stays as it is: mseal, memfd_secret, and the kinds of memfd_create. Kernels before 6.10 have no mseal. */
#define _GNU_SOURCE
#include <t.h>

#include <errno.h>
#include <fcntl.h>
#include <stdint.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/uio.h>
#include <unistd.h>

enum {
    PAGE = 4096,
    RW = PROT_READ | PROT_WRITE,
    ANON = MAP_PRIVATE | MAP_ANONYMOUS,
    MIB = 1 << 20,
    NR_MSEAL = 462,
    SEAL_EXEC = 0x20,     /* F_SEAL_EXEC */
    NOEXEC_SEAL = 8,      /* MFD_NOEXEC_SEAL */
    EXEC = 16,            /* MFD_EXEC */
    DONTNEED_LOCKED = 24, /* MADV_DONTNEED_LOCKED */
};

static char *map(size_t size, int prot, int flags, int fd)
{
    return (char *)call(SYS_mmap, NULL, size, prot, flags, fd, 0);
}

static void unmap(void *p, size_t size)
{
    CHECK(0, call(SYS_munmap, p, size));
}

static void seal_arguments(void)
{
    char *p = map(4 * PAGE, RW, ANON, -1);
    CHECK(-EINVAL, call(NR_MSEAL, p, PAGE, 1));
    CHECK(-EINVAL, call(NR_MSEAL, p + 1, PAGE, 0));
    CHECK(-EINVAL, call(NR_MSEAL, p, -1l, 0));
    CHECK(-EINVAL, call(NR_MSEAL, p, -(uintptr_t)p - PAGE * 2 + PAGE * 4, 0));
    CHECK(0, call(NR_MSEAL, p, 0, 0));
    unmap(p + 2 * PAGE, PAGE);
    CHECK(-ENOMEM, call(NR_MSEAL, p, 4 * PAGE, 0));
    CHECK(-ENOMEM, call(NR_MSEAL, p + 2 * PAGE, PAGE, 0));
    unmap(p, 4 * PAGE); /* nothing is sealed */
}

/* Seven pages, of which the fourth and fifth are sealed with prot. */
static char *sealed(int prot)
{
    char *p = map(7 * PAGE, prot, ANON, -1);
    CHECK(0, call(NR_MSEAL, p + 3 * PAGE, PAGE + 1, 0));
    CHECK(0, call(NR_MSEAL, p + 3 * PAGE, 2 * PAGE, 0)); /* once more */
    return p;
}

static void sealed_changes(void)
{
    char *p = sealed(RW), *q = map(8 * PAGE, RW, ANON, -1);
    memset(p, 7, 7 * PAGE);
    CHECK(-EPERM, call(SYS_munmap, p, 7 * PAGE));
    CHECK(7, p[0]); /* nothing of it has gone */
    CHECK(-EPERM, call(SYS_munmap, p + 4 * PAGE, PAGE));
    CHECK(-EPERM, call(SYS_mprotect, p + 3 * PAGE, PAGE, PROT_READ));
    CHECK(-EPERM, call(SYS_mprotect, p + 3 * PAGE, PAGE, RW)); /* the same rights */
    CHECK(-EPERM, call(SYS_mmap, p, 7 * PAGE, RW, ANON | MAP_FIXED, -1, 0));
    CHECK(-EEXIST, call(SYS_mmap, p, 7 * PAGE, RW, ANON | MAP_FIXED_NOREPLACE, -1, 0));
    CHECK(7, p[0]);
    CHECK(-EPERM, call(SYS_mremap, p + 3 * PAGE, 2 * PAGE, PAGE, 0, 0));
    CHECK(-EPERM, call(SYS_mremap, p + 3 * PAGE, 2 * PAGE, 3 * PAGE, MREMAP_MAYMOVE, 0));
    CHECK(-EPERM,
          call(SYS_mremap, p + 3 * PAGE, 2 * PAGE, 2 * PAGE, MREMAP_MAYMOVE | MREMAP_FIXED, q));
    CHECK(-EPERM,
          call(SYS_mremap, p + 3 * PAGE, 2 * PAGE, 2 * PAGE, MREMAP_MAYMOVE | MREMAP_DONTUNMAP, 0));
    CHECK(-EPERM,
          call(SYS_mremap, q, 2 * PAGE, 2 * PAGE, MREMAP_MAYMOVE | MREMAP_FIXED, p + 2 * PAGE));
    CHECK(7, p[2 * PAGE]);
    CHECK(0,
          call(SYS_madvise, p + 3 * PAGE, PAGE, MADV_DONTNEED)); /* it could write zeros as well */
    CHECK(0, p[3 * PAGE]);
    CHECK(0, call(SYS_mlock, p, 7 * PAGE));
    CHECK(0, call(SYS_munlock, p, 7 * PAGE));
    CHECK(0, call(SYS_msync, p, 7 * PAGE, MS_SYNC));
    p[4 * PAGE] = 9;
    CHECK(9, p[4 * PAGE]);
    unmap(p, 3 * PAGE);
    unmap(p + 5 * PAGE, 2 * PAGE);
    unmap(q, 8 * PAGE);
}

static void sealed_advice(void)
{
    static const int destructive[] = { MADV_DONTNEED, MADV_FREE, DONTNEED_LOCKED, MADV_DONTFORK,
                                       MADV_WIPEONFORK };
    char *p = sealed(RW);
    p[3 * PAGE] = 1;
    unmap(p, 3 * PAGE);
    p = sealed(PROT_READ);
    for (size_t i = 0; i < sizeof destructive / sizeof *destructive; i++)
        CHECK(-EPERM, call(SYS_madvise, p, 7 * PAGE, destructive[i]));
    CHECK(0, call(SYS_madvise, p, 7 * PAGE, MADV_NORMAL));
    CHECK(0, call(SYS_madvise, p, 7 * PAGE, MADV_WILLNEED));
    CHECK(0, call(SYS_madvise, p, 7 * PAGE, MADV_DONTDUMP));
    char name[] = "seal";
    int fd = (int)call(SYS_memfd_create, name, 0);
    CHECK(0, call(SYS_ftruncate, fd, 2 * PAGE));
    char *f = map(2 * PAGE, PROT_READ, MAP_SHARED, fd);
    CHECK(0, call(NR_MSEAL, f, 2 * PAGE, 0));
    CHECK(0, call(SYS_madvise, f, PAGE, MADV_DONTNEED)); /* the file has it still */
    CHECK(-EPERM, call(SYS_remap_file_pages, f, PAGE, 0, 1, 0));
    call(SYS_close, fd);
}

static void sealed_heap(void)
{
    uintptr_t brk = (uintptr_t)call(SYS_brk, 0);
    uintptr_t base = (brk + PAGE - 1) & -(uintptr_t)PAGE;
    CHECK(base + 4 * PAGE, call(SYS_brk, base + 4 * PAGE));
    CHECK(0, call(NR_MSEAL, base + PAGE, PAGE, 0));
    CHECK(base + 2 * PAGE, call(SYS_brk, base + 2 * PAGE));
    CHECK(base + 2 * PAGE, call(SYS_brk, base + PAGE));
    CHECK(base + 2 * PAGE, call(SYS_brk, base));
}

static void noexec(void)
{
    struct stat st;
    int fd = (int)call(SYS_memfd_create, "n", NOEXEC_SEAL);
    if (fd == -EINVAL && !t_alcove())
        return; /* before 6.3 */
    CHECK(0, call(SYS_fstat, fd, &st));
    CHECK(S_IFREG | 0666, st.st_mode);
    CHECK(SEAL_EXEC, call(SYS_fcntl, fd, F_GET_SEALS));
    CHECK(-EPERM, call(SYS_fchmod, fd, 0777));
    CHECK(0, call(SYS_fchmod, fd, 0600));
    CHECK(0, call(SYS_fcntl, fd, F_ADD_SEALS, F_SEAL_GROW)); /* sealing is allowed */
    call(SYS_close, fd);
    fd = (int)call(SYS_memfd_create, "x", EXEC);
    CHECK(0, call(SYS_fstat, fd, &st));
    CHECK(S_IFREG | 0777, st.st_mode);
    CHECK(F_SEAL_SEAL, call(SYS_fcntl, fd, F_GET_SEALS));
    CHECK(0, call(SYS_fchmod, fd, 0700));
    call(SYS_close, fd);
    fd = (int)call(SYS_memfd_create, "x", EXEC | MFD_ALLOW_SEALING);
    CHECK(0, call(SYS_fcntl, fd, F_GET_SEALS));
    CHECK(0, call(SYS_fcntl, fd, F_ADD_SEALS, SEAL_EXEC));
    CHECK(SEAL_EXEC | F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_WRITE | F_SEAL_FUTURE_WRITE,
          call(SYS_fcntl, fd, F_GET_SEALS));
    CHECK(-EPERM, call(SYS_fchmod, fd, 0600));
    CHECK(-EPERM, call(SYS_write, fd, "x", 1));
    call(SYS_close, fd);
    CHECK(-EINVAL, call(SYS_memfd_create, "x", EXEC | NOEXEC_SEAL));
}

/* There are no huge pages: a file of them can be made, but not filled. */
static void huge(void)
{
    struct stat st;
    char c = 1;
    int fd = (int)call(SYS_memfd_create, "h", MFD_HUGETLB | MFD_ALLOW_SEALING);
    CHECK(true, fd >= 0);
    CHECK(0, call(SYS_fstat, fd, &st));
    CHECK(2 * MIB, st.st_blksize);
    CHECK(0, st.st_size);
    CHECK(S_IFREG | 0777, st.st_mode);
    CHECK(-EINVAL, call(SYS_write, fd, &c, 1));
    CHECK(0, call(SYS_read, fd, &c, 1));
    CHECK(-EINVAL, call(SYS_ftruncate, fd, PAGE));
    CHECK(0, call(SYS_ftruncate, fd, 4 * MIB));
    CHECK(1, call(SYS_pread64, fd, &c, 1, 3 * MIB));
    CHECK(0, c);
    CHECK(-ENOMEM, map(4 * MIB, RW, MAP_SHARED, fd));
    CHECK(-ENOMEM, map(4 * MIB, RW, MAP_PRIVATE, fd));
    CHECK(-EINVAL, call(SYS_mmap, 0, 2 * MIB, RW, MAP_SHARED, fd, PAGE));
    CHECK(0, call(SYS_fcntl, fd, F_GET_SEALS));
    CHECK(0, call(SYS_fcntl, fd, F_ADD_SEALS, F_SEAL_GROW));
    CHECK(-EPERM, call(SYS_ftruncate, fd, 6 * MIB));
    call(SYS_close, fd);
    fd = (int)call(SYS_memfd_create, "h", MFD_HUGETLB | 30u << 26); /* 1 GiB */
    CHECK(true, fd >= 0 || fd == -ENODEV); /* where the CPU has no such pages */
    call(SYS_close, fd);
    CHECK(-ENODEV, call(SYS_memfd_create, "h", MFD_HUGETLB | 22u << 26));
    CHECK(-EINVAL, call(SYS_memfd_create, "h", 21u << 26));
    CHECK(-ENOMEM, map(2 * MIB, RW, ANON | MAP_HUGETLB, -1));
    CHECK(-ENOMEM, map(2 * MIB, RW, MAP_SHARED | MAP_ANONYMOUS | MAP_HUGETLB, -1));
    CHECK(-EINVAL, map(2 * MIB, RW, ANON | MAP_HUGETLB | 22 << 26, -1));
    CHECK(-EINVAL, map(0, RW, ANON | MAP_HUGETLB, -1));
}

/* Pages that nobody gets by way of libOS but the program itself. */
static void secret(void)
{
    struct stat st;
    char c = 0, buf[8] = "";
    int fd = (int)call(SYS_memfd_secret, O_CLOEXEC);
    if (fd == -ENOSYS && !t_alcove())
        return; /* not enabled */
    CHECK(true, fd >= 0);
    CHECK(-EINVAL, call(SYS_memfd_secret, 1));
    CHECK(-EINVAL, call(SYS_memfd_secret, O_NONBLOCK));
    CHECK(FD_CLOEXEC, call(SYS_fcntl, fd, F_GETFD));
    CHECK(O_RDWR, call(SYS_fcntl, fd, F_GETFL) & O_ACCMODE);
    CHECK(0, call(SYS_fstat, fd, &st));
    CHECK(S_IFREG | 0600, st.st_mode);
    CHECK(0, call(SYS_ftruncate, fd, 2 * PAGE));
    CHECK(-EINVAL, call(SYS_ftruncate, fd, 4 * PAGE));
    CHECK(-EINVAL, call(SYS_ftruncate, fd, 0));
    CHECK(-EINVAL, call(SYS_read, fd, &c, 1));
    CHECK(-EINVAL, call(SYS_write, fd, &c, 1));
    CHECK(-EINVAL, map(2 * PAGE, RW, MAP_PRIVATE, fd));
    char *p = map(2 * PAGE, RW, MAP_SHARED, fd);
    CHECK(true, (uintptr_t)p < -4096ul);
    CHECK(0, p[0]);
    memcpy(p, "secret", 7);
    char *q = map(PAGE, PROT_READ, MAP_SHARED, fd);
    CHECK(0, strcmp(q, "secret"));
    CHECK(-EINVAL, call(SYS_madvise, p, PAGE, MADV_DONTNEED)); /* locked */
    /* A system call takes it, ... */
    int other = (int)call(SYS_memfd_create, "out", 0);
    CHECK(6, call(SYS_write, other, p, 6));
    CHECK(6, call(SYS_pread64, other, buf, 6, 0));
    CHECK(0, strcmp(buf, "secret"));
    /* ... others do not get it. */
    struct iovec local = { buf, 4 }, remote = { p, 4 };
    CHECK(-EFAULT, call(SYS_process_vm_readv, call(SYS_getpid), &local, 1, &remote, 1, 0));
    call(SYS_close, other);
    unmap(q, PAGE);
    unmap(p, 2 * PAGE);
    call(SYS_close, fd);
}

int main(void)
{
    noexec();
    huge();
    secret();
    if (!t_alcove() && call(NR_MSEAL, 0, 0, 0) == -ENOSYS)
        return t_end();
    seal_arguments();
    sealed_changes();
    sealed_advice();
    sealed_heap();
    return t_end();
}
