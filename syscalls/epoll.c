/* SPDX-License-Identifier: MIT */
/* epoll calls. */
#include "sys_proto.h"
#include "timeout.h"
#include <abi/errno.h>
#include <abi/poll.h>
#include <abi/signal.h>
#include <libos/epoll.h>
#include <libos/file.h>
#include <libos/signal.h>
#include <libos/user.h>

enum { EVENTS_MAX = INT32_MAX / (int)sizeof(struct abi_epoll_event) };

long sys_epoll_create1(unsigned flags)
{
    struct file *f;
    int err = epoll_create_file(&f);
    return err ? err : fd_install(f, flags & EPOLL_CLOEXEC);
}

long sys_epoll_create(int size)
{
    return size <= 0 ? -EINVAL : sys_epoll_create1(0);
}

long sys_epoll_ctl(int epfd, int op, int fd, user_epoll_event_inout_t event)
{
    struct abi_epoll_event e = { 0 };
    struct fd_ref epoll, target;
    int err = op == EPOLL_CTL_DEL ? 0 : user_get(&e, user_cast(user_epoll_event_in_t, event), 1);
    if (err)
        return err;
    err = fd_borrow(epfd, &epoll);
    if (err)
        return err;
    err = fd_borrow(fd, &target);
    if (!err) {
        err = epoll_control(epoll.file, op, fd, target.file, &e);
        fd_return(&target);
    }
    fd_return(&epoll);
    return err;
}

static int put_event(void *arg, int i, const struct abi_epoll_event *e)
{
    user_epoll_event_out_t *events = arg, at = *events; /* i goes up by one from 0 */
    (void)i;
    *events = user_advance(at, 1);
    return user_put(at, e, 1);
}

static long epoll_wait_until(int epfd, user_epoll_event_out_t events, int max, uint64_t deadline_ns)
{
    struct fd_ref ref;
    if (max <= 0 || max > EVENTS_MAX)
        return -EINVAL;
    int err = fd_borrow(epfd, &ref);
    if (err)
        return err;
    long result = epoll_harvest(ref.file, put_event, &events, max, deadline_ns);
    fd_return(&ref);
    return result;
}

long sys_epoll_wait(int epfd, user_epoll_event_out_t events, int maxevents, int timeout)
{
    return epoll_wait_until(epfd, events, maxevents, timeout_ms(timeout));
}

static long wait_masked(int epfd, user_epoll_event_out_t events, int max, uint64_t deadline_ns,
                        user_sigset_in_t mask, size_t size)
{
    abi_sigset set;
    if (user_is_null(mask))
        return epoll_wait_until(epfd, events, max, deadline_ns);
    if (size != sizeof(set))
        return -EINVAL;
    int err = user_get(&set, mask, 1);
    if (err)
        return err;
    signal_set_mask_temporarily(set); /* until the call returns, or its handler has run */
    return epoll_wait_until(epfd, events, max, deadline_ns);
}

long sys_epoll_pwait(int epfd, user_epoll_event_out_t events, int maxevents, int timeout,
                     user_sigset_in_t sigmask, size_t sigsetsize)
{
    return wait_masked(epfd, events, maxevents, timeout_ms(timeout), sigmask, sigsetsize);
}

long sys_epoll_pwait2(int epfd, user_epoll_event_out_t events, int maxevents,
                      user_timespec_in_t timeout, user_sigset_in_t sigmask, size_t sigsetsize)
{
    uint64_t deadline = NO_DEADLINE;
    struct abi_timespec ts;
    if (!user_is_null(timeout)) {
        int err = user_get(&ts, timeout, 1);
        if (!err)
            err = timeout_timespec(&ts, &deadline);
        if (err)
            return err;
    }
    return wait_masked(epfd, events, maxevents, deadline, sigmask, sigsetsize);
}
