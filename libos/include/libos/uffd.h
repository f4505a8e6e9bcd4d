/* SPDX-License-Identifier: MIT */
/* Faults that a program handles itself: userfaultfd(2). Addresses and lengths are the program's, and are checked. */
#ifndef LIBOS_UFFD_H
#define LIBOS_UFFD_H

#include <abi/userfaultfd.h>
#include <base/compiler.h>
#include <stdbool.h>
#include <stdint.h>

struct file;
struct uffd;
struct waitq;

/* One for faults of the current address space. user_only: those of libOS, in system calls, are errors. flags: O_CLOEXEC, O_NONBLOCK,
 * which are kept for children's. NULL: out of memory. */
struct uffd *uffd_create(bool user_only, unsigned flags);
/* The flags that it was made with. */
unsigned uffd_open_flags(const struct uffd *u);
/* It leaves the memory that it handles; whoever waits faults anew. Takes mm->lock. */
void uffd_destroy(struct uffd *u);
/* UFFDIO_API, once: false the second time. Before it nothing else works. */
bool uffd_agree(struct uffd *u, uint64_t features);
bool uffd_agreed(const struct uffd *u);
/* UFFDIO_REGISTER: *ret_ioctls: what can be done there. -EINVAL, -EPERM, -EBUSY, -ENOMEM (also: the process has ended). Takes mm->lock, as all that follow but
 * uffd_next and uffd_readers. */
NODISCARD int uffd_register(struct uffd *u, uintptr_t start, uint64_t len, uint64_t mode,
                            uint64_t *ret_ioctls);
/* UFFDIO_UNREGISTER. -EINVAL, -ENOMEM. */
NODISCARD int uffd_unregister(struct uffd *u, uintptr_t start, uint64_t len);
/* UFFDIO_WAKE. -EINVAL. */
NODISCARD int uffd_wake(struct uffd *u, uintptr_t start, uint64_t len);

enum uffd_fill {
    UFFD_FILL_COPY,   /* UFFDIO_COPY */
    UFFD_FILL_ZERO,   /* UFFDIO_ZEROPAGE, src does not count */
    UFFD_FILL_MINOR,  /* UFFDIO_CONTINUE, neither */
    UFFD_FILL_POISON, /* UFFDIO_POISON, neither: SIGBUS for whoever touches them */
};
/* Give pages. *ret_done: bytes, or an errno when it is none; untouched on -EINVAL. -EAGAIN: some; -ENOENT, -EEXIST, -EFAULT, -ENOMEM,
 * -EINVAL, -EINTR (a fatal signal), -ESRCH (the process has ended). */
NODISCARD int uffd_fill(struct uffd *u, enum uffd_fill how, const struct abi_uffdio_copy *c,
                        int64_t *ret_done);
/* UFFDIO_MOVE, as uffd_fill. -EBUSY: somebody else has a page too; -ENOENT: there is none at the source. */
NODISCARD int uffd_move(struct uffd *u, const struct abi_uffdio_copy *m, int64_t *ret_done);
/* UFFDIO_WRITEPROTECT. -EINVAL, -ENOENT, -ENOMEM, -ESRCH (the process has ended). */
NODISCARD int uffd_protect(struct uffd *u, uintptr_t start, uint64_t len, uint64_t mode);
/* The first message that nobody was told, which is told now; ret NULL: only look. False: there is none. *ret_child: of a fork, whose
 * message wants a descriptor for it; the caller's. Else NULL. */
bool uffd_next(struct uffd *u, struct abi_uffd_msg *ret, struct uffd **ret_child);
/* Say what became of the child that uffd_next gave: it has a descriptor (good), or the message is to be read again, with the child. */
void uffd_forked(struct uffd *u, struct uffd *child, bool good);
/* Where those wait who want messages. */
struct waitq *uffd_readers(struct uffd *u);

/* A file for such faults of the current address space; flags: O_NONBLOCK, O_CLOEXEC (for those that a fork makes). -ENOMEM, -ENFILE. */
NODISCARD int uffd_file_create(bool user_only, unsigned flags, struct file **ret_file);

#endif
