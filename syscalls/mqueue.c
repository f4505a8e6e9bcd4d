/* SPDX-License-Identifier: MIT */
/* POSIX message queues: mq_open(2) and its family. */
#include "sys_proto.h"
#include <abi/ipc.h>
#include <libos/file.h>
#include <libos/heap.h>
#include <libos/mqueue.h>
#include <libos/netlink_note.h>
#include <libos/time.h>
#include <libos/user.h>
#include <libos/waitq.h>

enum { NOTIFY_COOKIE_LEN = 32 };

/* Fetch a name; the caller frees it. */
static long get_name(user_str_t name, char **ret)
{
    char *buf = path_buf_alloc();
    if (!buf)
        return -ENOMEM;
    long n = user_str(buf, ABI_PATH_MAX, name);
    if (n < 0) {
        path_buf_free(buf);
        return n;
    }
    *ret = buf;
    return 0;
}

long sys_mq_open(user_str_t name, unsigned flags, unsigned mode, user_void_in_t attr)
{
    struct abi_mq_attr a;
    struct file *f;
    char *text;
    bool given = flags & O_CREAT && !user_is_null(attr);
    if (given && user_get(&a, user_cast(user_mq_attr_in_t, attr), 1))
        return -EFAULT;
    long err = get_name(name, &text);
    if (err)
        return err;
    err = mq_open_file(text, flags, mode, given ? &a : NULL, &f);
    path_buf_free(text);
    return err ? err : fd_install(f, true);
}

long sys_mq_unlink(user_str_t name)
{
    char *text;
    long err = get_name(name, &text);
    if (err)
        return err;
    err = mq_remove(text);
    path_buf_free(text);
    return err;
}

/* The absolute time at which to give up. -EFAULT, -EINVAL. */
static long get_deadline(user_timespec_in_t timeout, uint64_t *ret)
{
    struct abi_timespec ts;
    uint64_t ns;
    *ret = NO_DEADLINE;
    if (user_is_null(timeout))
        return 0;
    if (user_get(&ts, timeout, 1))
        return -EFAULT;
    int err = timespec_to_ns(&ts, &ns);
    return err ? err : clock_deadline(CLOCK_REALTIME, ns, ret);
}

long sys_mq_timedsend(int mqdes, user_u8_in_t msg, size_t len, unsigned prio,
                      user_timespec_in_t timeout)
{
    struct fd_ref ref;
    uint64_t deadline;
    long err = get_deadline(timeout, &deadline);
    if (err)
        return err;
    if (prio >= MQ_PRIO_MAX)
        return -EINVAL;
    err = fd_borrow(mqdes, &ref);
    if (err)
        return err;
    err = mq_check_send(ref.file, len);
    struct msg *m = err ? NULL : msg_alloc(len);
    if (!err && !m)
        err = -ENOMEM;
    if (!err) {
        m->type = prio;
        err = user_get(m->text, msg, len);
        if (!err)
            err = mq_send(ref.file, m, deadline);
        if (err)
            msg_free(m);
    }
    fd_return(&ref);
    return err;
}

long sys_mq_timedreceive(int mqdes, user_u8_out_t msg, size_t len, user_uint_out_t prio,
                         user_timespec_in_t timeout)
{
    struct fd_ref ref;
    struct msg *m;
    uint64_t deadline;
    long err = get_deadline(timeout, &deadline);
    if (!err)
        err = fd_borrow(mqdes, &ref);
    if (err)
        return err;
    err = mq_receive(ref.file, len, deadline, &m);
    fd_return(&ref);
    if (err)
        return err;
    unsigned p = (unsigned)m->type;
    err = (long)m->size;
    if ((!user_is_null(prio) && user_put(prio, &p, 1)) || user_put(msg, m->text, m->size))
        err = -EFAULT;
    msg_free(m);
    return err;
}

/* What a thread is told by: the bytes at sigev_value, of which the last says why, in a message to the socket sigev_signo. */
static int note_for(const struct abi_sigevent *ev, struct netlink_note **ret_note)
{
    uint8_t cookie[NOTIFY_COOKIE_LEN];
    struct fd_ref ref;
    if (user_get(cookie, user_at(user_u8_in_t, (uintptr_t)ev->sigev_value.sival_ptr),
                 sizeof(cookie)))
        return -EFAULT;
    int err = fd_borrow(ev->sigev_signo, &ref);
    if (err)
        return err;
    err = netlink_note_create(ref.file, cookie, sizeof(cookie), ret_note);
    fd_return(&ref);
    return err;
}

static int check_event(const struct abi_sigevent *ev, struct netlink_note **ret_note)
{
    switch (ev->sigev_notify) {
    case SIGEV_NONE:
        return 0;
    case SIGEV_SIGNAL:
        return ev->sigev_signo < 0 || ev->sigev_signo > ABI_NSIG ? -EINVAL : 0;
    case SIGEV_THREAD:
        return note_for(ev, ret_note);
    default:
        return -EINVAL;
    }
}

long sys_mq_notify(int mqdes, user_sigevent_in_t sev)
{
    struct abi_sigevent ev;
    struct fd_ref ref;
    struct netlink_note *note = NULL;
    bool end = user_is_null(sev);
    if (!end && user_get(&ev, sev, 1))
        return -EFAULT;
    long err = end ? 0 : check_event(&ev, &note);
    if (err)
        return err;
    err = fd_borrow(mqdes, &ref);
    if (err) {
        netlink_note_destroy(note);
        return err;
    }
    err = mq_set_notify(ref.file, end ? NULL : &ev, note);
    fd_return(&ref);
    return err;
}

long sys_mq_getsetattr(int mqdes, user_void_in_t new, user_void_out_t old)
{
    struct abi_mq_attr a, before;
    struct fd_ref ref;
    if (!user_is_null(new) && user_get(&a, user_cast(user_mq_attr_in_t, new), 1))
        return -EFAULT;
    long err = fd_borrow(mqdes, &ref);
    if (err)
        return err;
    err = mq_attributes(ref.file, user_is_null(new) ? NULL : &a, &before);
    fd_return(&ref);
    if (!err && !user_is_null(old) && user_put(user_cast(user_mq_attr_out_t, old), &before, 1))
        err = -EFAULT;
    return err;
}
