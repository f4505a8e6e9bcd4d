/* SPDX-License-Identifier: MIT */
/* The operations of io_uring, as struct uring_op has them: uring_rw.c, uring_net.c, uring_fs.c. */
#ifndef SYSCALLS_URING_OP_H
#define SYSCALLS_URING_OP_H

#include <abi/fcntl.h>
#include <abi/uio.h>
#include <libos/uring.h>
#include <libos/user.h>

/* A stream of open_how of the program, checked; open.c. -EINVAL, -E2BIG, -EFAULT, -EAGAIN. */
NODISCARD int open_how_get(struct abi_open_how *how, user_open_how_in_t up, size_t size);
/* What its resolve means to a walk. */
unsigned open_how_walk(const struct abi_open_how *how);
/* statx(2) of a path; stat.c. */
NODISCARD int statx_fill(const struct path *p, unsigned mask, struct abi_statx *x);
/* fallocate(2) of an open file; rw.c. */
NODISCARD long fallocate_file(struct file *f, int mode, uint64_t off, uint64_t len);

int uring_prep_accept(struct uring_req *r);
int uring_prep_advise(struct uring_req *r);
int uring_prep_close(struct uring_req *r);
int uring_prep_connect(struct uring_req *r);
int uring_prep_epoll_ctl(struct uring_req *r);
int uring_prep_fallocate(struct uring_req *r);
int uring_prep_files_update(struct uring_req *r);
int uring_prep_fsync(struct uring_req *r);
int uring_prep_msg(struct uring_req *r);
int uring_prep_msg_ring(struct uring_req *r);
int uring_prep_name(struct uring_req *r);
int uring_prep_openat(struct uring_req *r);
int uring_prep_openat2(struct uring_req *r);
int uring_prep_recv(struct uring_req *r);
int uring_prep_rw(struct uring_req *r);
int uring_prep_rwv(struct uring_req *r);
int uring_prep_send(struct uring_req *r);
int uring_prep_shutdown(struct uring_req *r);
int uring_prep_socket(struct uring_req *r);
int uring_prep_splice(struct uring_req *r);
int uring_prep_statx(struct uring_req *r);
int uring_prep_sync_range(struct uring_req *r);
int uring_prep_two_names(struct uring_req *r);
int uring_prep_xattr(struct uring_req *r);
long uring_op_accept(struct uring_req *r, unsigned flags);
long uring_op_close(struct uring_req *r, unsigned flags);
long uring_op_connect(struct uring_req *r, unsigned flags);
long uring_op_epoll_ctl(struct uring_req *r, unsigned flags);
long uring_op_fadvise(struct uring_req *r, unsigned flags);
long uring_op_fallocate(struct uring_req *r, unsigned flags);
long uring_op_fsync(struct uring_req *r, unsigned flags);
long uring_op_linkat(struct uring_req *r, unsigned flags);
long uring_op_madvise(struct uring_req *r, unsigned flags);
long uring_op_mkdirat(struct uring_req *r, unsigned flags);
long uring_op_msg_ring(struct uring_req *r, unsigned flags);
long uring_op_nop(struct uring_req *r, unsigned flags);
long uring_op_open(struct uring_req *r, unsigned flags);
long uring_op_recv(struct uring_req *r, unsigned flags);
long uring_op_recvmsg(struct uring_req *r, unsigned flags);
long uring_op_renameat(struct uring_req *r, unsigned flags);
long uring_op_rw(struct uring_req *r, unsigned flags);
long uring_op_send(struct uring_req *r, unsigned flags);
long uring_op_sendmsg(struct uring_req *r, unsigned flags);
long uring_op_send_zc(struct uring_req *r, unsigned flags);
long uring_op_sendmsg_zc(struct uring_req *r, unsigned flags);
long uring_op_shutdown(struct uring_req *r, unsigned flags);
long uring_op_socket(struct uring_req *r, unsigned flags);
long uring_op_splice(struct uring_req *r, unsigned flags);
long uring_op_statx(struct uring_req *r, unsigned flags);
long uring_op_symlinkat(struct uring_req *r, unsigned flags);
long uring_op_sync_range(struct uring_req *r, unsigned flags);
long uring_op_tee(struct uring_req *r, unsigned flags);
long uring_op_unlinkat(struct uring_req *r, unsigned flags);
long uring_op_xattr(struct uring_req *r, unsigned flags);
void uring_free_msg(struct uring_req *r);
void uring_free_names(struct uring_req *r);
void uring_free_rwv(struct uring_req *r);
void uring_free_xattr(struct uring_req *r);

#endif
