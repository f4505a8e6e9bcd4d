/* SPDX-License-Identifier: MIT */
/* The address space of a process: areas, faults, and what mmap(2) and its family do. */
#ifndef LIBOS_MM_H
#define LIBOS_MM_H

#include <libos/lock.h>
#include <libos/thread.h>
#include <plat/mmu.h>
#include <plat/upcall.h>
#include <sys/tree.h>

struct file;
struct mm;
struct page;
struct pagemap;
struct uffd;

enum area_flags {
    AREA_SHARED = 1,
    AREA_GROWSDOWN = 2,
    AREA_LOCKED = 4,
    AREA_NOHUGE = 8,
    AREA_HUGE = 16,
    AREA_DONTFORK = 32,
    AREA_WIPEONFORK = 64,
    AREA_DONTDUMP = 128,
    AREA_MAY_READ = 256, /* mprotect may give it */
    AREA_MAY_WRITE = 512,
    AREA_MAY_EXEC = 1024,
    AREA_HEAP = 2048, /* brk */
    AREA_STACK = 4096,
    AREA_SPECIAL = 8192, /* vDSO, vvar: fixed pages, no owner */
    AREA_NORESERVE = 16384,
    AREA_SEQ = 32768, /* madvise SEQUENTIAL / RANDOM */
    AREA_RANDOM = 65536,
    AREA_COW =
        131072, /* leaves may show pages that others have too: the zero page, or after a fork */
    AREA_LOCKONFAULT = 262144,
    AREA_MERGEABLE = 524288,      /* madvise MERGEABLE: remembered, nothing is merged */
    AREA_SEALED = 1048576,        /* mseal: stays where it is, with its rights */
    AREA_NAMED = 8388608,         /* name is the program's, counted: libos/mm/name.c */
    AREA_LAZY = 4194304,          /* has, or had, pages that libOS may take away (MADV_FREE) */
    AREA_UFFD_MISSING = 16777216, /* faults that go to uffd: libos/mm/uffd.c */
    AREA_UFFD_WP = 33554432,
    AREA_UFFD_MINOR = 67108864,
    AREA_UFFD = AREA_UFFD_MISSING | AREA_UFFD_WP | AREA_UFFD_MINOR,
    AREA_SECRET =
        2097152, /* memfd_secret: nobody is given these pages but by a copy of the program's own */
};

/* Default of mm_map callers: what mprotect may give later. */
#define AREA_MAY_ALL (AREA_MAY_READ | AREA_MAY_WRITE | AREA_MAY_EXEC)

enum {
    MM_MIN_ADDR = 65536,       /* mmap_min_addr: nothing is mapped below */
    MM_STACK_GAP = 256 * 4096, /* bytes kept free below an area that grows down */
    AREA_NAME_MAX = 80,        /* bytes of a name that a program gives, with the zero */
    MM_AREAS_MAX = 65530,      /* max_map_count */
    MM_LAZY_MAX = 12,
};

/* A run of pages with one meaning. */
struct area {
    RB_ENTRY(area) node;
    uintptr_t start, end; /* page aligned, end exclusive */
    uint64_t gap;         /* free bytes below start that a new area may use */
    uint64_t max_gap;     /* largest gap of this subtree (tree augmentation) */
    uint32_t flags;       /* enum area_flags */
    uint8_t prot;         /* PLAT_READ | PLAT_WRITE | PLAT_EXEC */
    struct mm *mm;
    struct file *file;     /* NULL: private anonymous; holds a reference */
    struct pagemap *pages; /* of the file */
    uint64_t pgoff;        /* page of the file at start */
    struct area *file_next,
        *file_prev; /* in pages->mappings, guarded by its lock, as are start, end and pgoff then */
    const char *name;     /* "[stack]", "[heap]", ... or NULL */
    uintptr_t fault_next; /* where a sequential reader or writer faults next; a hint, raced over */
    uint32_t fault_batch; /* pages to map at once there */
    struct mempolicy policy;
    struct uffd *uffd; /* with AREA_UFFD: who handles faults; leaves its areas before it ends */
};

RB_HEAD(area_tree, area);
RB_HEAD(mark_tree, mark_block);

struct aio_context;

/* Part of an address space. */
struct mm_part {
    uintptr_t start, end;
};

struct mm {
    _Atomic uint32_t users; /* processes and borrowers */
    struct rwmutex
        lock; /* write: the tree; read: faults; taken by mm_read_lock and mm_write_lock */
    struct spin move_lock; /* leaves move (mremap), or a page map takes them: one at a time */
    struct plat_aspace aspace;
    struct area_tree areas; /* guarded by lock */
    struct mark_tree marks; /* guarded by lock; libos/mm/marks.c */
    struct area *cached;    /* of the last fault; reset by whoever changes the tree */
    uint32_t area_count;    /* guarded by lock */
    uint64_t total_pages, locked_pages, data_pages, stack_pages, exec_pages,
        peak_pages;                                /* guarded by lock: mapped */
    _Atomic int64_t rss_anon, rss_file, rss_shmem; /* pages present */
    _Atomic uint64_t rss_peak;
    uintptr_t mmap_base;      /* top of the mmap area; searched downwards */
    uintptr_t brk_start, brk; /* guarded by lock */
    uintptr_t stack_top, arg_start, arg_end, env_start, env_end;
    uintptr_t code_start, code_end, data_start, data_end;
    uintptr_t vdso;
    unsigned long auxv[64];      /* pairs, as given to the program */
    struct file *exe;            /* the program's file; holds a reference */
    _Atomic uint32_t membarrier; /* registrations */
    uint32_t
        def_flags; /* AREA_LOCKED (MCL_FUTURE), AREA_LOCKONFAULT, AREA_NOHUGE (PR_SET_THP_DISABLE) */
    bool dumpable;
    bool hides;   /* guarded by lock: an area was, or still is, not for children as it is */
    uint8_t mdwe; /* PR_MDWE_* */
    struct aio_context *aio; /* contexts of asynchronous I/O; guarded by that module's lock */
    struct mm_part lazy
        [MM_LAZY_MAX]; /* where pages may be taken away; guarded by the lock of lazy.c, as the next two */
    uint32_t nlazy;
    struct mm *lazy_next, *lazy_prev;
    uint64_t serial;        /* no other address space ever has it; not 0 */
    struct mm_lanes *lanes; /* made once, with lock held for writing: libos/mm/lane.c */
    bool lanes_open;        /* some are; changes with lock held for writing, as the next two */
    uint32_t lane_wait;     /* mappings that had to wait for lock before lanes are opened */
    uint32_t lane_waited;   /* those that did */
};

/* Lock the whole map of mm, for reading or writing. Sleeps. While it is held, everything is in mm->areas. */
void mm_read_lock(struct mm *mm);
void mm_write_lock(struct mm *mm);
static inline void mm_read_unlock(struct mm *mm)
{
    rwmutex_read_unlock(&mm->lock);
}
static inline void mm_write_unlock(struct mm *mm)
{
    rwmutex_write_unlock(&mm->lock);
}
/* Lock the part of the map that addr lies in, for reading; to be unlocked by rwmutex_read_unlock. Sleeps. */
NODISCARD struct rwmutex *mm_read_lock_at(struct mm *mm, uintptr_t addr);
/* Pages that are mapped, at this moment. */
uint64_t mm_total_pages(const struct mm *mm);

/* An empty address space with one user. NULL: out of memory. */
struct mm *mm_create(void);
void mm_get(struct mm *mm);
/* The last put unmaps everything. May sleep. */
void mm_put(struct mm *mm);
/* A copy on write of src for fork, with one user; src is made read-only where it is private. -ENOMEM.
 * Locks: takes src->lock. */
NODISCARD int mm_fork(struct mm *src, struct mm **ret_mm);
/* Give the empty mm what outlives both fork and execve: PR_SET_THP_DISABLE and PR_SET_MDWE. */
void mm_inherit(struct mm *mm, const struct mm *src);

/* Make f (borrowed) the program of mm, which has none yet; nobody may open it for writing until mm ends. -ETXTBSY. */
NODISCARD int mm_set_exe(struct mm *mm, struct file *f);

/* What to map. */
struct mm_map {
    uintptr_t addr; /* hint, or exact with fixed */
    size_t size;    /* bytes, rounded up by mm_map */
    uint8_t prot;   /* PLAT_* */
    uint32_t flags; /* AREA_*; the AREA_MAY_* bits are set by mm_map */
    bool fixed;     /* replace what is there */
    bool noreplace; /* with fixed: -EEXIST instead */
    bool populate;
    bool low32;        /* MAP_32BIT */
    struct file *file; /* borrowed */
    uint64_t offset;   /* bytes, page aligned */
    const char *name;
};

/* Map as asked; the address in *ret. -EINVAL (size 0, addr not aligned with fixed), -ENOMEM (no room, limits, memory),
 * -EEXIST, -EACCES (file's mode), -EPERM (below MM_MIN_ADDR, locking, noexec mount, seals), -ENODEV (file cannot be mapped),
 * -EOVERFLOW, -EAGAIN (locking limit). Locks: takes mm->lock. May sleep. */
NODISCARD int mm_map(struct mm *mm, const struct mm_map *what, uintptr_t *ret);
/* munmap(2): -EINVAL, -ENOMEM (splitting). */
NODISCARD int mm_unmap(struct mm *mm, uintptr_t start, size_t size);
/* mprotect(2) with prot of PLAT_*; grows: 0, or PROT_GROWSDOWN or PROT_GROWSUP. -EINVAL, -ENOMEM, -EACCES. */
NODISCARD int mm_protect(struct mm *mm, uintptr_t start, size_t size, unsigned prot,
                         unsigned grows);
/* mremap(2), flags MREMAP_*; the new address in *ret. -EINVAL, -EFAULT, -ENOMEM, -EAGAIN. */
NODISCARD int mm_remap(struct mm *mm, uintptr_t old, size_t old_size, size_t size, unsigned flags,
                       uintptr_t new_addr, uintptr_t *ret);
/* remap_file_pages(2): map other pages of the shared file at start. -EINVAL, -ENOMEM. */
NODISCARD int mm_remap_file(struct mm *mm, uintptr_t start, size_t size, unsigned long prot,
                            uint64_t pgoff, bool nonblock);
/* brk(2): the break afterwards. */
uintptr_t mm_brk(struct mm *mm, uintptr_t brk);
/* madvise(2). errnos of the man page. */
NODISCARD int mm_advise(struct mm *mm, uintptr_t start, size_t size, int advice);
/* mseal(2) for whole pages. -ENOMEM: not everything there is mapped. */
NODISCARD int mm_seal(struct mm *mm, uintptr_t start, size_t size);
/* Take the pages away that belong to nobody but mm, which ends (process_mrelease(2)). */
void mm_release(struct mm *mm);

/* mbind(2) for whole pages: -EFAULT (a hole), -ENOMEM. */
NODISCARD int mm_set_policy(struct mm *mm, uintptr_t start, size_t size,
                            const struct mempolicy *policy);
/* The policy of the area at addr. -EFAULT. */
NODISCARD int mm_get_policy(struct mm *mm, uintptr_t addr, struct mempolicy *ret);
/* set_mempolicy_home_node(2) for whole pages: can each policy there have one? -ENOENT: there is none; -EOPNOTSUPP. */
NODISCARD int mm_check_home(struct mm *mm, uintptr_t start, size_t size);
/* move_pages(2): the node of the page at addr; -EFAULT: nothing is mapped, or the page of zeros; -ENOENT: no page. */
NODISCARD int mm_page_node(struct mm *mm, uintptr_t addr);

/* PR_SET_VMA of prctl(2): name anonymous areas, as /proc/PID/maps shows; name NULL: no more. -EINVAL, -ENOMEM (holes too), -EBADF
 * (of a file). Locks: takes mm->lock. */
NODISCARD int mm_set_name(struct mm *mm, uintptr_t start, size_t size, const char *name);
/* msync(2). -EINVAL, -ENOMEM, -EBUSY, -EIO. */
NODISCARD int mm_sync(struct mm *mm, uintptr_t start, size_t size, unsigned flags);
/* mincore(2) for n pages from start on, one byte each. -ENOMEM: a page is not mapped. */
NODISCARD int mm_resident(struct mm *mm, uintptr_t start, size_t n, uint8_t *vec);
/* mlock2, munlock (on false), mlockall with flags MCL_* (0: munlockall). -ENOMEM, -EPERM, -EAGAIN, -EINVAL. */
NODISCARD int mm_lock_range(struct mm *mm, uintptr_t start, size_t size, bool on, bool on_fault);
NODISCARD int mm_lock_all(struct mm *mm, unsigned flags);
/* Make the pages of [start, start + size) present until one cannot be: mm_fault's errnos; -EINTR: a fatal signal. */
int mm_populate(struct mm *mm, uintptr_t start, size_t size);

/* Resolve a fault of the current thread (see upcall_fault). 0; -EFAULT: no such memory (SEGV_MAPERR); -EACCES: it forbids
 * the access (SEGV_ACCERR); -EIO: past the end of the file or unreadable (SIGBUS); -ENOMEM. */
NODISCARD int mm_fault(struct mm *mm, uintptr_t addr, enum plat_access access, bool present);

/* The same for a write that the area forbids, if its pages are private: afterwards the page is one of the process's own,
 * still read-only. -EACCES: shared, or special. */
NODISCARD int mm_fault_forced(struct mm *mm, uintptr_t addr, bool present);

/* Map fixed pages (vDSO): pages stay the caller's. -ENOMEM, -EEXIST. */
NODISCARD int mm_map_special(struct mm *mm, uintptr_t addr, paddr_t *pages, size_t n, unsigned prot,
                             const char *name);

/* Copy between libOS memory and another process's address space (process_vm_readv, /proc/PID/mem, ptrace). force: also
 * where the area's protection forbids it, copying pages on write. Bytes copied. May sleep. */
size_t mm_access(struct mm *mm, uintptr_t addr, void *buf, size_t n, bool write, bool force);
/* Fill memory of an address space that nobody else changes. -EFAULT, -ENOMEM, -EIO. May sleep. */
NODISCARD int mm_write(struct mm *mm, uintptr_t addr, const void *buf, size_t n);

/* The page behind addr of mm with a reference, faulted in; write: a page that mm may write to. -EFAULT, -ENOMEM. May sleep. */
NODISCARD int mm_pin(struct mm *mm, uintptr_t addr, bool write, struct page **ret_page);

/* The area that holds addr, or the next one above it; NULL. The next one; NULL. Locks: mm->lock held. */
struct area *area_find(struct mm *mm, uintptr_t addr);
struct area *area_next(struct area *a);
/* Pages of a that are present. Locks: mm->lock held. */
uint64_t area_resident(struct area *a);
/* Those of them that libOS may take away, because the program said so and has not written to them since. */
uint64_t area_lazy(struct area *a);

/* The physical address behind addr, for futexes on shared memory: the page's, with a reference, in *ret_page and the
 * offset in the page as result; faults it in. A private page: *ret_page NULL. -EFAULT. May sleep. */
NODISCARD int mm_shared_page(struct mm *mm, uintptr_t addr, struct page **ret_page);

/* The pages [first, end) of m were removed or replaced: unmap them from every address space. private_too: anonymous copies
 * as well (truncation). Locks: takes m->lock and the range locks; any sleeping lock may be held. */
void mm_zap_file(struct pagemap *m, uint64_t first, uint64_t end, bool private_too);

/* Unmap the page of m at index, which stays in m, from every address space. For reclaim: only tries locks, so it may be in part
 * or not at all. False: a program has locked it. Locks: m->lock is held. */
bool mm_try_unmap_file(struct pagemap *m, uint64_t index);

/* Make a shared-anonymous or memfd style file of size bytes (libos/fs provides it). -ENOMEM, -ENFILE. */
NODISCARD int shmem_file_create(const char *name, uint64_t size, unsigned seals,
                                struct file **ret_file);

/* What memfd_create(2) and memfd_secret(2) make. */
enum memfd_kind {
    MEMFD_PLAIN,
    MEMFD_HUGE,   /* of huge pages, of which there are none */
    MEMFD_SECRET, /* to be mapped only, and by AREA_SECRET */
};

/* A file in memory with this name, seals and permission bits (libos/fs provides it). -ENOMEM, -ENFILE. */
NODISCARD int memfd_create_file(const char *name, enum memfd_kind kind, unsigned seals,
                                uint32_t mode, struct file **ret_file);

/* mm, whose aio is not NULL, ends: so do its contexts of asynchronous I/O (libos/file provides it). May sleep. */
void aio_exit(struct mm *mm);

#endif
