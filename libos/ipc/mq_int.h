/* SPDX-License-Identifier: MIT */
/* Between the message queues and the file system that shows them. */
#ifndef IPC_MQ_INT_H
#define IPC_MQ_INT_H

#include <libos/vfs.h>

/* mqfs.c: an inode for a queue. NULL: no memory. */
struct inode *mq_inode_create(uint32_t mode);

/* mqueue.c: the inode of the queue called name, with a reference. -ENOENT. */
NODISCARD int mq_inode_of(const char *name, struct inode **ret);
/* Has the queue of this inode a name still? No sleep. */
bool mq_is_named(struct inode *inode);
/* Make a queue as open(2) with O_CREAT does; its inode, with a reference. Errnos of mq_open. */
NODISCARD int mq_make_file(const char *name, uint32_t mode, struct inode **ret);
/* f becomes an open file of the queue of inode. -ENOENT: it has ended. */
int mq_open_inode(struct inode *inode, struct file *f);
/* The n-th name, and its inode's number; false: there are no more. */
bool mq_name_at(uint64_t n, char *name, uint64_t *ret_ino);

#endif
