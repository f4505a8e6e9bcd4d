/* SPDX-License-Identifier: MIT */
/* poll, select and epoll (asm-generic/poll.h, linux/eventpoll.h), eventfd flags. */
#ifndef ABI_POLL_H
#define ABI_POLL_H

#include <base/user_ptr.h>
#include <stdint.h>

#define POLLIN         0x1
#define POLLPRI        0x2
#define POLLOUT        0x4
#define POLLERR        0x8
#define POLLHUP        0x10
#define POLLNVAL       0x20
#define POLLRDNORM     0x40
#define POLLRDBAND     0x80
#define POLLWRNORM     0x100
#define POLLWRBAND     0x200
#define POLLMSG        0x400
#define POLLREMOVE     0x1000
#define POLLRDHUP      0x2000
#define EPOLLIN        0x1
#define EPOLLPRI       0x2
#define EPOLLOUT       0x4
#define EPOLLERR       0x8
#define EPOLLHUP       0x10
#define EPOLLRDNORM    0x40
#define EPOLLRDBAND    0x80
#define EPOLLWRNORM    0x100
#define EPOLLWRBAND    0x200
#define EPOLLMSG       0x400
#define EPOLLRDHUP     0x2000
#define EPOLLEXCLUSIVE 0x10000000
#define EPOLLWAKEUP    0x20000000
#define EPOLLONESHOT   0x40000000
#define EPOLLET        0x80000000u
#define EPOLL_CLOEXEC  02000000
#define EPOLL_CTL_ADD  1
#define EPOLL_CTL_DEL  2
#define EPOLL_CTL_MOD  3
#define EFD_SEMAPHORE  1
#define EFD_CLOEXEC    02000000
#define EFD_NONBLOCK   04000

struct abi_pollfd {
    int32_t fd;
    int16_t events;
    int16_t revents;
};

/* Packed on x86-64: 12 bytes. */
struct abi_epoll_event {
    uint32_t events;
    uint64_t data;
} __attribute__((packed));
USER_TYPES(pollfd, struct abi_pollfd);
USER_TYPES(epoll_event, struct abi_epoll_event);

#endif
