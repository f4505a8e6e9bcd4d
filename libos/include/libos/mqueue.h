/* SPDX-License-Identifier: MIT */
/* POSIX message queues: mq_overview(7). Names live in a table of their own. */
#ifndef LIBOS_MQUEUE_H
#define LIBOS_MQUEUE_H

#include <abi/ipc.h>
#include <abi/signal.h>
#include <base/compiler.h>
#include <libos/ipc.h>

struct file;
struct netlink_note;
struct fs_type;

enum { MQ_PRIO_MAX = 32768, MQ_NAME_MAX = 255 };

/* The file system that shows the queues. */
extern const struct fs_type mqueue_type;

/* The settings under /proc/sys/fs/mqueue, and Linux's limits of them. Read without a lock. */
struct mq_limits {
    uint64_t queues_max, msg_max, msgsize_max, msg_default, msgsize_default;
};
extern struct mq_limits mq_limits;

/* mq_open(2) without the descriptor: flags O_*, attr NULL: the defaults. -ENOENT, -EEXIST, -EACCES, -EINVAL, -ENOSPC, -EMFILE
 * (RLIMIT_MSGQUEUE), -ENOMEM, -ENFILE. Locks: takes RANK_IPC_TABLE. */
NODISCARD int mq_open_file(const char *name, unsigned flags, uint32_t mode,
                           const struct abi_mq_attr *attr, struct file **ret_file);
/* -ENOENT, -EPERM. */
NODISCARD int mq_remove(const char *name);
/* Could a message of this size be sent to f? -EBADF (no queue, or not for writing), -EMSGSIZE. */
NODISCARD int mq_check_send(struct file *f, size_t size);
/* Take m (its type is the priority) unless it fails. deadline as thread_sleep has it. Errnos of
 * mq_check_send, -EAGAIN, -ETIMEDOUT, -ERESTARTSYS. Sleeps. */
NODISCARD int mq_send(struct file *f, struct msg *m, uint64_t deadline_ns);
/* The oldest message of the highest priority, which is the caller's then; size: of the caller's buffer. Errnos of mq_send. */
NODISCARD int mq_receive(struct file *f, size_t size, uint64_t deadline_ns, struct msg **ret_msg);
/* Tell the current process of the next message, or with NULL no more. With SIGEV_THREAD it is told by take_note (else NULL), which is
 * sent in both cases. What ev says is right. -EBADF, -EBUSY. */
NODISCARD int mq_set_notify(struct file *f, const struct abi_sigevent *ev,
                            struct netlink_note *take_note);
/* Set O_NONBLOCK as new says, unless it is NULL, and report what was before. -EBADF, -EINVAL. */
NODISCARD int mq_attributes(struct file *f, const struct abi_mq_attr *new,
                            struct abi_mq_attr *ret_old);

#endif
