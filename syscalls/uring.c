/* SPDX-License-Identifier: MIT */
/* io_uring_setup, io_uring_enter, io_uring_register, and the table of operations. */
#include "uring_op.h"
#include "sys_proto.h"
#include "timeout.h"

#include <abi/errno.h>
#include <abi/signal.h>
#include <libos/signal.h>
#include <libos/thread.h>

static const struct uring_op ops[] = {
    [IORING_OP_NOP] = { .issue = uring_op_nop },
    [IORING_OP_READV] = { .prep = uring_prep_rwv,
                          .issue = uring_op_rw,
                          .cleanup = uring_free_rwv,
                          .poll = EPOLLIN,
                          .file = true,
                          .prio = true,
                          .select = true },
    [IORING_OP_WRITEV] = { .prep = uring_prep_rwv,
                           .issue = uring_op_rw,
                           .cleanup = uring_free_rwv,
                           .poll = EPOLLOUT,
                           .file = true,
                           .prio = true },
    [IORING_OP_FSYNC] = { .prep = uring_prep_fsync, .issue = uring_op_fsync, .file = true },
    [IORING_OP_READ_FIXED] = { .prep = uring_prep_rw,
                               .issue = uring_op_rw,
                               .poll = EPOLLIN,
                               .file = true,
                               .prio = true },
    [IORING_OP_WRITE_FIXED] = { .prep = uring_prep_rw,
                                .issue = uring_op_rw,
                                .poll = EPOLLOUT,
                                .file = true,
                                .prio = true },
    [IORING_OP_POLL_ADD] = { .prep = uring_poll_prep, .issue = uring_poll_add, .file = true },
    [IORING_OP_POLL_REMOVE] = { .prep = uring_poll_remove_prep, .issue = uring_poll_remove },
    [IORING_OP_SYNC_FILE_RANGE] = { .prep = uring_prep_sync_range,
                                    .issue = uring_op_sync_range,
                                    .file = true,
                                    .worker = true },
    [IORING_OP_SENDMSG] = { .prep = uring_prep_msg,
                            .issue = uring_op_sendmsg,
                            .cleanup = uring_free_msg,
                            .poll = EPOLLOUT,
                            .file = true,
                            .prio = true },
    [IORING_OP_RECVMSG] = { .prep = uring_prep_msg,
                            .issue = uring_op_recvmsg,
                            .cleanup = uring_free_msg,
                            .poll = EPOLLIN,
                            .file = true,
                            .prio = true,
                            .select = true },
    [IORING_OP_TIMEOUT] = { .prep = uring_timeout_prep, .issue = uring_timeout },
    [IORING_OP_TIMEOUT_REMOVE] = { .prep = uring_timeout_remove_prep,
                                   .issue = uring_timeout_remove },
    [IORING_OP_ACCEPT] = { .prep = uring_prep_accept,
                           .issue = uring_op_accept,
                           .poll = EPOLLIN,
                           .file = true,
                           .prio = true },
    [IORING_OP_ASYNC_CANCEL] = { .prep = uring_cancel_prep, .issue = uring_cancel },
    [IORING_OP_LINK_TIMEOUT] = { .prep = uring_timeout_prep, .issue = uring_link_timeout },
    [IORING_OP_CONNECT] = { .prep = uring_prep_connect,
                            .issue = uring_op_connect,
                            .poll = EPOLLOUT,
                            .file = true },
    [IORING_OP_FALLOCATE] = { .prep = uring_prep_fallocate,
                              .issue = uring_op_fallocate,
                              .file = true,
                              .worker = true },
    [IORING_OP_OPENAT] = { .prep = uring_prep_openat,
                           .issue = uring_op_open,
                           .cleanup = uring_free_names,
                           .worker = true },
    [IORING_OP_CLOSE] = { .prep = uring_prep_close, .issue = uring_op_close },
    [IORING_OP_FILES_UPDATE] = { .prep = uring_prep_files_update, .issue = uring_files_update },
    [IORING_OP_STATX] = { .prep = uring_prep_statx,
                          .issue = uring_op_statx,
                          .cleanup = uring_free_names,
                          .worker = true },
    [IORING_OP_READ] = { .prep = uring_prep_rw,
                         .issue = uring_op_rw,
                         .poll = EPOLLIN,
                         .file = true,
                         .prio = true,
                         .select = true },
    [IORING_OP_WRITE] = { .prep = uring_prep_rw,
                          .issue = uring_op_rw,
                          .poll = EPOLLOUT,
                          .file = true,
                          .prio = true },
    [IORING_OP_FADVISE] = { .prep = uring_prep_advise, .issue = uring_op_fadvise, .file = true },
    [IORING_OP_MADVISE] = { .prep = uring_prep_advise, .issue = uring_op_madvise },
    [IORING_OP_SEND_ZC] = { .prep = uring_prep_send,
                            .issue = uring_op_send_zc,
                            .poll = EPOLLOUT,
                            .file = true,
                            .prio = true },
    [IORING_OP_SENDMSG_ZC] = { .prep = uring_prep_msg,
                               .issue = uring_op_sendmsg_zc,
                               .cleanup = uring_free_msg,
                               .poll = EPOLLOUT,
                               .file = true,
                               .prio = true },
    [IORING_OP_SEND] = { .prep = uring_prep_send,
                         .issue = uring_op_send,
                         .poll = EPOLLOUT,
                         .file = true,
                         .prio = true },
    [IORING_OP_RECV] = { .prep = uring_prep_recv,
                         .issue = uring_op_recv,
                         .poll = EPOLLIN,
                         .file = true,
                         .prio = true,
                         .select = true },
    [IORING_OP_OPENAT2] = { .prep = uring_prep_openat2,
                            .issue = uring_op_open,
                            .cleanup = uring_free_names,
                            .worker = true },
    [IORING_OP_EPOLL_CTL] = { .prep = uring_prep_epoll_ctl, .issue = uring_op_epoll_ctl },
    [IORING_OP_SPLICE] = { .prep = uring_prep_splice,
                           .issue = uring_op_splice,
                           .file = true,
                           .worker = true },
    [IORING_OP_PROVIDE_BUFFERS] = { .issue = uring_provide },
    [IORING_OP_REMOVE_BUFFERS] = { .issue = uring_remove },
    [IORING_OP_TEE] = { .prep = uring_prep_splice,
                        .issue = uring_op_tee,
                        .file = true,
                        .worker = true },
    [IORING_OP_SHUTDOWN] = { .prep = uring_prep_shutdown,
                             .issue = uring_op_shutdown,
                             .file = true },
    [IORING_OP_RENAMEAT] = { .prep = uring_prep_two_names,
                             .issue = uring_op_renameat,
                             .cleanup = uring_free_names,
                             .worker = true },
    [IORING_OP_UNLINKAT] = { .prep = uring_prep_name,
                             .issue = uring_op_unlinkat,
                             .cleanup = uring_free_names,
                             .worker = true },
    [IORING_OP_MKDIRAT] = { .prep = uring_prep_name,
                            .issue = uring_op_mkdirat,
                            .cleanup = uring_free_names,
                            .worker = true },
    [IORING_OP_SYMLINKAT] = { .prep = uring_prep_two_names,
                              .issue = uring_op_symlinkat,
                              .cleanup = uring_free_names,
                              .worker = true },
    [IORING_OP_LINKAT] = { .prep = uring_prep_two_names,
                           .issue = uring_op_linkat,
                           .cleanup = uring_free_names,
                           .worker = true },
    [IORING_OP_MSG_RING] = { .prep = uring_prep_msg_ring,
                             .issue = uring_op_msg_ring,
                             .file = true,
                             .worker = false },
    [IORING_OP_FSETXATTR] = { .prep = uring_prep_xattr,
                              .issue = uring_op_xattr,
                              .cleanup = uring_free_xattr,
                              .file = true,
                              .worker = true },
    [IORING_OP_SETXATTR] = { .prep = uring_prep_xattr,
                             .issue = uring_op_xattr,
                             .cleanup = uring_free_xattr,
                             .worker = true },
    [IORING_OP_FGETXATTR] = { .prep = uring_prep_xattr,
                              .issue = uring_op_xattr,
                              .cleanup = uring_free_xattr,
                              .file = true,
                              .worker = true },
    [IORING_OP_GETXATTR] = { .prep = uring_prep_xattr,
                             .issue = uring_op_xattr,
                             .cleanup = uring_free_xattr,
                             .worker = true },
    [IORING_OP_SOCKET] = { .prep = uring_prep_socket, .issue = uring_op_socket },
};

long uring_op_nop(struct uring_req *r, unsigned flags)
{
    return 0;
}

long sys_io_uring_setup(unsigned entries, user_void_inout_t params)
{
    typedef USER(struct abi_io_uring_params) user_params_t;
    typedef USER(const struct abi_io_uring_params) user_params_in_t;
    struct abi_io_uring_params p;
    struct file *f;
    if (user_get(&p, user_at(user_params_in_t, params.addr), 1))
        return -EFAULT;
    int err = uring_create(&p, entries, ops, ARRAY_SIZE(ops), &f);
    if (err)
        return err;
    if (user_put(user_at(user_params_t, params.addr), &p, 1)) {
        file_put(f);
        return -EFAULT;
    }
    return fd_install(f, true);
}

/* How long, and with which signals blocked, io_uring_enter waits. */
struct wait {
    uint64_t deadline_ns;
    uintptr_t sigmask;
    size_t sigmask_size;
};

static int get_wait(struct wait *w, unsigned flags, uintptr_t arg, size_t size)
{
    typedef USER(const struct abi_io_uring_getevents_arg) user_arg_in_t;
    struct abi_io_uring_getevents_arg a;
    struct abi_timespec ts;
    *w = (struct wait){ NO_DEADLINE, arg, size };
    if (!(flags & IORING_ENTER_EXT_ARG))
        return 0;
    if (size != sizeof(a))
        return -EINVAL;
    if (user_get(&a, user_at(user_arg_in_t, arg), 1))
        return -EFAULT;
    if (a.pad)
        return -EINVAL;
    w->sigmask = a.sigmask;
    w->sigmask_size = a.sigmask_sz;
    if (!a.ts)
        return 0;
    if (user_get(&ts, user_at(user_timespec_in_t, a.ts), 1))
        return -EFAULT;
    return timeout_timespec(&ts, &w->deadline_ns);
}

static NOINLINE int wait_events(struct uring *u, unsigned min, unsigned flags, uintptr_t arg,
                                size_t size)
{
    struct wait w;
    abi_sigset set;
    int err = get_wait(&w, flags, arg, size);
    if (err)
        return err;
    if (w.sigmask) {
        if (w.sigmask_size != sizeof(set))
            return -EINVAL;
        if (user_get(&set, user_at(user_sigset_in_t, w.sigmask), 1))
            return -EFAULT;
        signal_set_mask_temporarily(set);
    }
    return uring_wait(u, min, w.deadline_ns);
}

static long enter(struct uring *u, unsigned to_submit, unsigned min, unsigned flags, uintptr_t arg,
                  size_t size)
{
    long done = 0;
    uint32_t setup = uring_flags(u);
    int err = uring_check_submitter(u);
    if (err == -EBADFD || (err && (to_submit || setup & IORING_SETUP_DEFER_TASKRUN)))
        return err;
    if (setup & IORING_SETUP_SQPOLL) {
        err = uring_sq_poke(u, flags);
        if (err)
            return err;
        done = to_submit;
    } else if (to_submit) {
        done = uring_submit(u, to_submit);
        if (done < 0 || (unsigned long)done != to_submit)
            return done;
    }
    if (!(flags & IORING_ENTER_GETEVENTS))
        return done;
    err = min || flags & IORING_ENTER_EXT_ARG ? wait_events(u, min, flags, arg, size)
                                              : uring_wait(u, 0, 0);
    return done ? done : err;
}

long sys_io_uring_enter(int fd, unsigned to_submit, unsigned min_complete, unsigned flags,
                        user_void_in_t arg, size_t argsz)
{
    struct fd_ref ref = { .how = FD_COUNTED };
    if (flags & ~(unsigned)(IORING_ENTER_GETEVENTS | IORING_ENTER_SQ_WAKEUP | IORING_ENTER_SQ_WAIT |
                            IORING_ENTER_EXT_ARG | IORING_ENTER_REGISTERED_RING))
        return -EINVAL;
    int err = flags & IORING_ENTER_REGISTERED_RING ? uring_registered((unsigned)fd, &ref.file)
                                                   : fd_borrow(fd, &ref);
    if (UNLIKELY(err))
        return err;
    struct uring *u = uring_of(ref.file);
    long ret = LIKELY(u) ? enter(u, to_submit, min_complete, flags, arg.addr, argsz) : -EOPNOTSUPP;
    fd_return(&ref);
    return ret;
}

long sys_io_uring_register(int fd, unsigned opcode, user_void_in_t arg, unsigned nr_args)
{
    bool registered = opcode & (unsigned)IORING_REGISTER_USE_REGISTERED_RING;
    struct fd_ref ref = { .how = FD_COUNTED };
    opcode &= ~(unsigned)IORING_REGISTER_USE_REGISTERED_RING;
    if (opcode > IORING_REGISTER_FILE_ALLOC_RANGE)
        return -EINVAL;
    int err = registered ? uring_registered((unsigned)fd, &ref.file) : fd_borrow(fd, &ref);
    if (err)
        return err;
    struct uring *u = uring_of(ref.file);
    long ret = -EOPNOTSUPP;
    if (u && (opcode == IORING_REGISTER_RING_FDS || opcode == IORING_UNREGISTER_RING_FDS))
        ret = uring_register_ring_fds(arg.addr, nr_args, opcode == IORING_REGISTER_RING_FDS);
    else if (u)
        ret = uring_register(u, opcode, arg.addr, nr_args);
    fd_return(&ref);
    return ret;
}
