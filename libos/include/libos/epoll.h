/* SPDX-License-Identifier: MIT */
/* epoll(7). */
#ifndef LIBOS_EPOLL_H
#define LIBOS_EPOLL_H

#include <abi/poll.h>
#include <base/compiler.h>
#include <base/types.h>

struct file;

/* An empty epoll instance as a file with one reference. -ENFILE, -ENOMEM. */
NODISCARD int epoll_create_file(struct file **ret_file);

/* EPOLL_CTL_ADD, MOD, DEL of file f known as fd. event is not used for DEL. -EINVAL (also: epoll is no epoll file, or f is
 * epoll itself), -EPERM (f cannot be polled), -EEXIST, -ENOENT, -ELOOP (cycle, or nested more than five deep), -ENOMEM,
 * -ENOSPC. May sleep. */
NODISCARD int epoll_control(struct file *epoll, int op, int fd, struct file *f,
                            const struct abi_epoll_event *event);

/* Take up to max ready events into out, waiting until deadline_ns (0: do not wait) for the first. Count, -EINTR, -EINVAL.
 * put is called for each event with no spin lock held; a negative result ends the harvest (-EFAULT). May sleep. */
int epoll_harvest(struct file *epoll, int (*put)(void *arg, int i, const struct abi_epoll_event *e),
                  void *arg, int max, uint64_t deadline_ns);

/* f is about to go (file_put, before ops->release; called when f->epoll_items is not NULL): every epoll instance forgets
 * it. May sleep. */
void epoll_forget_file(struct file *f);

#endif
