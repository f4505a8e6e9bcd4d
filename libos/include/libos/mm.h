/* SPDX-License-Identifier: MIT */
/* The address space of a process: areas, faults, and what mmap(2) and its family do. */
#ifndef LIBOS_MM_H
#define LIBOS_MM_H

#include <libos/lock.h>
#include <plat/mmu.h>
#include <plat/upcall.h>
#include <sys/tree.h>

struct file;
struct mm;
struct pagemap;

enum area_flags {
    AREA_SHARED = 1,
    AREA_GROWSDOWN = 2,
    AREA_LOCKED = 4,
    AREA_NOHUGE = 8,
    AREA_HUGE = 16,
    AREA_DONTFORK = 32,
    AREA_WIPEONFORK = 64,
    AREA_DONTDUMP = 128,
    AREA_MAY_READ = 256,  /* mprotect may give it */
    AREA_MAY_WRITE = 512,
    AREA_MAY_EXEC = 1024,
    AREA_HEAP = 2048,     /* brk */
    AREA_STACK = 4096,
    AREA_SPECIAL = 8192,  /* vDSO, vvar: fixed pages, no owner */
    AREA_NORESERVE = 16384,
    AREA_SEQ = 32768,     /* madvise SEQUENTIAL / RANDOM */
    AREA_RANDOM = 65536,
};

/* A run of pages with one meaning. */
struct area {
    RB_ENTRY(area) node;
    uintptr_t start, end;  /* page aligned, end exclusive */
    uint64_t max_gap;      /* largest free gap before any area of this subtree (tree augmentation) */
    uint32_t flags;        /* enum area_flags */
    uint8_t prot;          /* PLAT_READ | PLAT_WRITE | PLAT_EXEC */
    struct mm *mm;
    struct file *file;     /* NULL: anonymous; holds a reference */
    struct pagemap *pages; /* of the file, or of shared anonymous memory */
    uint64_t pgoff;        /* page of the file at start */
    struct area *file_next, *file_prev; /* in pages->mappings */
    const char *name;      /* "[stack]", "[heap]", ... or NULL */
};

RB_HEAD(area_tree, area);

struct mm {
    _Atomic uint32_t users;        /* processes and borrowers */
    struct rwmutex lock;           /* write: the tree; read: faults */
    struct plat_aspace aspace;
    struct area_tree areas;        /* guarded by lock */
    struct area *cached;           /* guarded by lock: area of the last fault */
    uint64_t total_pages, locked_pages, data_pages, stack_pages; /* guarded by lock: mapped */
    _Atomic uint64_t rss_anon, rss_file, rss_shmem, rss_peak; /* pages present */
    uintptr_t mmap_base;           /* top of the mmap area; searched downwards */
    uintptr_t brk_start, brk;      /* guarded by lock */
    uintptr_t stack_top, arg_start, arg_end, env_start, env_end;
    uintptr_t code_start, code_end, data_start, data_end;
    uintptr_t vdso;
    unsigned long auxv[64];        /* pairs, as given to the program */
    struct file *exe;              /* the program's file; holds a reference */
    _Atomic uint32_t membarrier;   /* registrations */
    uint32_t def_flags;            /* mlockall(MCL_FUTURE), PR_SET_THP_DISABLE */
    bool dumpable;
};

/* An empty address space with one user. NULL: out of memory. */
struct mm *mm_create(void);
void mm_get(struct mm *mm);
/* The last put unmaps everything. May sleep. */
void mm_put(struct mm *mm);
/* A copy on write of src for fork. -ENOMEM. */
NODISCARD int mm_fork(struct mm *src, struct mm **ret_mm);

/* What to map. */
struct mm_map {
    uintptr_t addr;        /* hint, or exact with fixed */
    size_t size;           /* bytes, rounded up by mm_map */
    uint8_t prot;          /* PLAT_* */
    uint32_t flags;        /* AREA_* */
    bool fixed;            /* replace what is there */
    bool noreplace;        /* with fixed: -EEXIST instead */
    bool populate;
    bool low32;            /* MAP_32BIT */
    struct file *file;     /* borrowed */
    uint64_t offset;       /* bytes, page aligned */
    const char *name;
};

/* Map as asked; the address in *ret. -EINVAL, -ENOMEM (also limits), -EEXIST, -EACCES, -EPERM, -ENODEV, -EOVERFLOW.
 * Locks: takes mm->lock. */
NODISCARD int mm_map(struct mm *mm, const struct mm_map *what, uintptr_t *ret);
NODISCARD int mm_unmap(struct mm *mm, uintptr_t start, size_t size);
NODISCARD int mm_protect(struct mm *mm, uintptr_t start, size_t size, unsigned prot);

/* Resolve a fault of the current thread (see upcall_fault). 0; -EFAULT: no such memory (SEGV_MAPERR); -EACCES: it forbids
 * the access (SEGV_ACCERR); -EIO: past the end of the file or unreadable (SIGBUS); -ENOMEM. */
NODISCARD int mm_fault(struct mm *mm, uintptr_t addr, enum plat_access access, bool present);

/* Map fixed pages (vDSO): pages stay the caller's. */
NODISCARD int mm_map_special(struct mm *mm, uintptr_t addr, const paddr_t *pages, size_t n, unsigned prot,
                             const char *name);

/* The area that holds addr, or the next one above it; NULL. Locks: mm->lock held. */
struct area *area_find(struct mm *mm, uintptr_t addr);

/* The lowest and highest pages of pagemap m in [first, end) were removed: unmap them from area a's mm. */
void mm_zap_file(struct pagemap *m, uint64_t first, uint64_t end);

/* Make a shared-anonymous or memfd style file of size bytes (libos/fs provides it). -ENOMEM, -ENFILE. */
NODISCARD int shmem_file_create(const char *name, uint64_t size, unsigned seals, struct file **ret_file);

#endif
