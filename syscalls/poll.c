/* SPDX-License-Identifier: MIT */
/* poll, ppoll, select, pselect6. select's sets become a list of descriptors, so that both have one heart
 * (libos/file/poll.c). */
#include "sys_proto.h"
#include "timeout.h"
#include <abi/errno.h>
#include <abi/poll.h>
#include <abi/resource.h>
#include <abi/signal.h>
#include <libos/file.h>
#include <libos/heap.h>
#include <libos/poll.h>
#include <libos/process.h>
#include <libos/signal.h>
#include <libos/user.h>
#include <string.h>

enum {
    NEAR_FDS = 32,   /* on the stack */
    NEAR_WORDS = 16, /* of select's sets: descriptors below 1024 */
    WORD_BITS = 64,
    STICKY_TIMEOUTS = 0x4000000, /* personality(2) */
    SELECT_IN = POLLRDNORM | POLLRDBAND | POLLIN | POLLHUP | POLLERR,
    SELECT_OUT = POLLWRBAND | POLLWRNORM | POLLOUT | POLLERR,
    SELECT_EXCEPT = POLLPRI,
};

/* The sets of select: those that the program gave, all of the same number of words. */
struct sets {
    size_t words;
    uint64_t *in, *out, *except; /* asked; then the answer */
};

/* Use the program's mask until the call returns; its own comes back by itself, after the handler if one runs. */
static int mask_use(user_sigset_in_t mask, size_t size)
{
    abi_sigset set;
    if (user_is_null(mask))
        return 0;
    if (size != sizeof(set))
        return -EINVAL;
    int err = user_get(&set, mask, 1);
    if (!err)
        signal_set_mask_temporarily(set);
    return err;
}

/* poll on user memory: copy in, ask, copy out. Interrupted: -EINTR. */
static long poll_user(user_pollfd_inout_t fds, unsigned n, uint64_t deadline_ns)
{
    struct abi_pollfd near[NEAR_FDS], *list = near;
    if (n > process_limit(process_current(), RLIMIT_NOFILE))
        return -EINVAL;
    if (n > NEAR_FDS && !(list = heap_alloc(n * sizeof(*list))))
        return -ENOMEM;
    long result = user_get(list, user_cast(user_pollfd_in_t, fds), n);
    if (!result)
        result = poll_files(list, n, POLLERR | POLLHUP, deadline_ns);
    if (result >= 0 && user_put(fds, list, n))
        result = -EFAULT;
    if (list != near)
        heap_free(list);
    return result;
}

static int poll_restart(struct thread *t)
{
    long result = poll_user(user_at(user_pollfd_inout_t, t->restart_data[0]),
                            (unsigned)t->restart_data[1], t->restart_data[2]);
    return result == -EINTR ? -ERESTART_RESTARTBLOCK : (int)result;
}

long sys_poll(user_pollfd_inout_t fds, unsigned nfds, int timeout)
{
    uint64_t deadline = timeout_ms(timeout);
    long result = poll_user(fds, nfds, deadline);
    if (result != -EINTR)
        return result;
    struct thread *t = thread_current();
    t->restart = poll_restart;
    t->restart_data[0] = fds.addr;
    t->restart_data[1] = nfds;
    t->restart_data[2] = deadline;
    return -ERESTART_RESTARTBLOCK;
}

/* The end of the calls that write their timeout back. A timeout that cannot be written is left alone, and then a call that
 * was interrupted cannot be restarted, since it would wait too long. */
static long timeout_end(bool written, long result)
{
    return !written && result == -ERESTARTNOHAND ? -EINTR : result;
}

static bool timeout_sticky(void)
{
    return thread_current()->personality & STICKY_TIMEOUTS;
}

static bool write_timespec(user_timespec_inout_t timeout, uint64_t deadline)
{
    struct abi_timespec left = timeout_left(deadline);
    return !timeout_sticky() && (!deadline || !user_put(timeout, &left, 1));
}

static bool write_timeval(user_timeval_inout_t timeout, uint64_t deadline)
{
    struct abi_timespec left = timeout_left(deadline);
    struct abi_timeval tv = { left.tv_sec, left.tv_nsec / 1000 };
    return !timeout_sticky() && (!deadline || !user_put(timeout, &tv, 1));
}

static int read_timespec(user_timespec_inout_t timeout, uint64_t *ret)
{
    struct abi_timespec ts;
    *ret = NO_DEADLINE;
    if (user_is_null(timeout))
        return 0;
    int err = user_get(&ts, user_cast(user_timespec_in_t, timeout), 1);
    return err ? err : timeout_timespec(&ts, ret);
}

long sys_ppoll(user_pollfd_inout_t fds, unsigned nfds, user_timespec_inout_t timeout,
               user_sigset_in_t sigmask, size_t sigsetsize)
{
    uint64_t deadline;
    int err = read_timespec(timeout, &deadline);
    if (!err)
        err = mask_use(sigmask, sigsetsize);
    if (err)
        return err;
    long result = poll_user(fds, nfds, deadline);
    if (result == -EINTR)
        result = -ERESTARTNOHAND;
    return user_is_null(timeout) ? result : timeout_end(write_timespec(timeout, deadline), result);
}

static bool in_set(const uint64_t *set, size_t i)
{
    return set && set[i / WORD_BITS] >> i % WORD_BITS & 1;
}

/* Fill list (when not NULL) with the descriptors of the sets; how many. */
static size_t sets_list(const struct sets *s, struct abi_pollfd *list)
{
    size_t n = 0;
    for (size_t w = 0; w < s->words; w++) {
        uint64_t any =
            (s->in ? s->in[w] : 0) | (s->out ? s->out[w] : 0) | (s->except ? s->except[w] : 0);
        for (; any; any &= any - 1, n++) {
            size_t fd = w * WORD_BITS + (size_t)__builtin_ctzll(any);
            if (!list)
                continue;
            int events = (in_set(s->in, fd) ? SELECT_IN : 0) |
                         (in_set(s->out, fd) ? SELECT_OUT : 0) |
                         (in_set(s->except, fd) ? SELECT_EXCEPT : 0);
            list[n] = (struct abi_pollfd){ .fd = (int)fd, .events = (int16_t)events };
        }
    }
    return n;
}

static int set_answer(uint64_t *set, const struct abi_pollfd *p, int events)
{
    size_t fd = (size_t)p->fd;
    if (!in_set(set, fd) || p->revents & events)
        return set && in_set(set, fd);
    set[fd / WORD_BITS] &= ~(1ull << fd % WORD_BITS);
    return 0;
}

/* Turn the answers into sets. How many bits are set; -EBADF: one of the descriptors is not open. */
static long sets_answer(struct sets *s, const struct abi_pollfd *list, size_t n)
{
    long count = 0;
    for (size_t i = 0; i < n; i++) {
        if (list[i].revents == POLLNVAL)
            return -EBADF;
        count += set_answer(s->in, &list[i], SELECT_IN);
        count += set_answer(s->out, &list[i], SELECT_OUT);
        count += set_answer(s->except, &list[i], SELECT_EXCEPT);
    }
    return count;
}

static long sets_wait(struct sets *s, uint64_t deadline_ns)
{
    struct abi_pollfd near[NEAR_FDS], *list = near;
    size_t n = sets_list(s, NULL);
    if (n > NEAR_FDS && !(list = heap_alloc(n * sizeof(*list))))
        return -ENOMEM;
    sets_list(s, list);
    long result = poll_files(list, n, 0, deadline_ns);
    if (result >= 0)
        result = sets_answer(s, list, n);
    if (list != near)
        heap_free(list);
    return result;
}

static int set_get(uint64_t **set, user_ulong_inout_t from, size_t words, int nfds)
{
    if (user_is_null(from)) {
        *set = NULL;
        return 0;
    }
    int err = user_get((unsigned long *)*set, user_cast(user_ulong_in_t, from), words);
    if (!err && nfds % WORD_BITS)
        (*set)[words - 1] &= (1ull << nfds % WORD_BITS) - 1;
    return err;
}

static int set_put(user_ulong_inout_t to, const uint64_t *set, size_t words)
{
    return set ? user_put(to, (const unsigned long *)set, words) : 0;
}

/* select with its sets in user memory. Interrupted: -EINTR. */
static long select_user(int nfds, user_ulong_inout_t in, user_ulong_inout_t out,
                        user_ulong_inout_t except, uint64_t deadline_ns)
{
    uint64_t near[3 * NEAR_WORDS], *bits = near;
    if (nfds < 0)
        return -EINVAL;
    int limit = (int)thread_current()->fds->size;
    nfds = nfds < limit ? nfds : limit;
    struct sets s = { .words = ((size_t)nfds + WORD_BITS - 1) / WORD_BITS };
    if (s.words > NEAR_WORDS && !(bits = heap_alloc(3 * s.words * sizeof(*bits))))
        return -ENOMEM;
    s.in = bits;
    s.out = bits + s.words;
    s.except = bits + 2 * s.words;
    long result = set_get(&s.in, in, s.words, nfds);
    if (!result)
        result = set_get(&s.out, out, s.words, nfds);
    if (!result)
        result = set_get(&s.except, except, s.words, nfds);
    if (!result)
        result = sets_wait(&s, deadline_ns);
    if (result >= 0 && (set_put(in, s.in, s.words) || set_put(out, s.out, s.words) ||
                        set_put(except, s.except, s.words)))
        result = -EFAULT;
    if (bits != near)
        heap_free(bits);
    return result == -EINTR ? -ERESTARTNOHAND : result;
}

long sys_select(int nfds, user_ulong_inout_t readfds, user_ulong_inout_t writefds,
                user_ulong_inout_t exceptfds, user_timeval_inout_t timeout)
{
    uint64_t deadline = NO_DEADLINE;
    struct abi_timeval tv;
    if (!user_is_null(timeout)) {
        int err = user_get(&tv, user_cast(user_timeval_in_t, timeout), 1);
        if (!err)
            err = timeout_timespec(&(struct abi_timespec){ tv.tv_sec + tv.tv_usec / 1000000,
                                                           tv.tv_usec % 1000000 * 1000 },
                                   &deadline);
        if (err)
            return err;
    }
    long result = select_user(nfds, readfds, writefds, exceptfds, deadline);
    return user_is_null(timeout) ? result : timeout_end(write_timeval(timeout, deadline), result);
}

long sys_pselect6(int nfds, user_ulong_inout_t readfds, user_ulong_inout_t writefds,
                  user_ulong_inout_t exceptfds, user_timespec_inout_t timeout,
                  user_sigset_arg_in_t sig)
{
    uint64_t deadline;
    struct abi_sigset_arg arg = { .set.addr = 0 };
    int err = user_is_null(sig) ? 0 : user_get(&arg, sig, 1);
    if (!err)
        err = read_timespec(timeout, &deadline);
    if (!err)
        err = mask_use(user_at(user_sigset_in_t, arg.set.addr), arg.size);
    if (err)
        return err;
    long result = select_user(nfds, readfds, writefds, exceptfds, deadline);
    return user_is_null(timeout) ? result : timeout_end(write_timespec(timeout, deadline), result);
}
