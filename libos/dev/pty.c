/* SPDX-License-Identifier: MIT */
/* Pseudo-terminals: opening /dev/ptmx makes a pair, whose slave is a terminal under /dev/pts and whose master is the
 * other end of its line. What the slave writes waits in the pair's ring for the master to read; what the master writes is
 * input of the slave.
 *
 * Locks: the slave's t->lock comes before pty->lock, which guards the ring and the packet state. pts_lock guards the table;
 * a pair is in it from ptmx_open, and found once it is whole, until the master is closed, and lives on while the slave is open. pty(7), ioctl_tty(2). */
#include "dev.h"
#include "tty_int.h"
#include <abi/errno.h>
#include <abi/fcntl.h>
#include <abi/poll.h>
#include <abi/signal.h>
#include <abi/stat.h>
#include <abi/statfs.h>
#include <libos/file.h>
#include <libos/heap.h>
#include <libos/poll.h>
#include <libos/process.h>
#include <libos/signal.h>
#include <libos/user.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { RING_SIZE = 8192, PIECE = 256, TTY_GID = 5, ROOT_MODE = 0755 };

struct pty {
    _Atomic uint32_t refs; /* the master's file; the slave */
    struct spin lock;
    struct tty *slave; /* counted by the master */
    uint32_t index;
    struct inode *inode; /* of /dev/pts/INDEX */
    bool whole;          /* guarded by pts_lock: it has its inode and slave, and can be found */
    /* guarded by lock */
    uint32_t head, tail; /* ring: bytes put, bytes taken */
    bool locked;         /* TIOCSPTLCK: the slave cannot be opened */
    bool packet;
    uint8_t status;                     /* TIOCPKT_* not told yet */
    bool slave_closed;                  /* opened and closed again */
    struct waitq read_wait, write_wait; /* of the master */
    uint8_t ring[RING_SIZE];
};

static struct spin pts_lock = SPIN_INIT(RANK_PTS);
static struct pty *table[PTS_MAX]; /* guarded by pts_lock */
static struct superblock *devpts;
static const struct inode_ops pts_inode_ops;
static const struct file_ops master_ops;

static void pty_put(struct pty *p)
{
    if (atomic_fetch_sub(&p->refs, 1) == 1) {
        inode_put(p->inode);
        heap_free(p);
    }
}

/* The pair with this index, with a reference; NULL. */
static struct pty *pty_find(uint32_t index)
{
    spin_lock(&pts_lock);
    struct pty *p = index < PTS_MAX ? table[index] : NULL;
    if (p && !p->whole)
        p = NULL;
    if (p)
        p->refs++;
    spin_unlock(&pts_lock);
    return p;
}

static size_t slave_room(struct tty *t)
{
    struct pty *p = t->data;
    return RING_SIZE - (*(volatile uint32_t *)&p->head - *(volatile uint32_t *)&p->tail);
}

static void slave_write(struct tty *t, const uint8_t *buf, size_t n)
{
    struct pty *p = t->data;
    spin_lock(&p->lock);
    for (size_t i = 0; i < n; i++)
        p->ring[p->head++ % RING_SIZE] = buf[i];
    spin_unlock(&p->lock);
    if (waitq_active(&p->read_wait))
        waitq_wake(&p->read_wait, WAITQ_ALL, EPOLLIN | EPOLLRDNORM);
}

static size_t slave_pending(struct tty *t)
{
    return 0; /* what the master has not read counts as sent */
}

static void slave_discard(struct tty *t)
{
    struct pty *p = t->data;
    spin_lock(&p->lock);
    p->tail = p->head;
    spin_unlock(&p->lock);
}

static void slave_resume(struct tty *t)
{
    struct pty *p = t->data;
    waitq_wake(&p->write_wait, WAITQ_ALL, EPOLLOUT | EPOLLWRNORM);
}

static void slave_status(struct tty *t, unsigned bits)
{
    struct pty *p = t->data;
    bool tell = false;
    spin_lock(&p->lock);
    if (p->packet) {
        unsigned undone = bits & TIOCPKT_STOP     ? TIOCPKT_START
                          : bits & TIOCPKT_START  ? TIOCPKT_STOP
                          : bits & TIOCPKT_NOSTOP ? TIOCPKT_DOSTOP
                          : bits & TIOCPKT_DOSTOP ? TIOCPKT_NOSTOP
                                                  : 0;
        p->status = (uint8_t)((p->status & ~undone) | bits);
        tell = true;
    }
    spin_unlock(&p->lock);
    if (tell)
        waitq_wake(&p->read_wait, WAITQ_ALL, EPOLLIN | EPOLLPRI | EPOLLRDNORM);
}

static void slave_set_closed(struct tty *t, bool closed)
{
    struct pty *p = t->data;
    spin_lock(&p->lock);
    p->slave_closed = closed;
    spin_unlock(&p->lock);
    if (closed)
        waitq_wake(&p->read_wait, WAITQ_ALL, EPOLLIN | EPOLLHUP | EPOLLRDNORM);
}

static void slave_opened(struct tty *t)
{
    slave_set_closed(t, false);
}

static void slave_closed(struct tty *t)
{
    slave_set_closed(t, true);
}

static void slave_release(struct tty *t)
{
    pty_put(t->data);
}

static const struct tty_ops slave_ops = { .room = slave_room,
                                          .write = slave_write,
                                          .pending = slave_pending,
                                          .discard = slave_discard,
                                          .resume = slave_resume,
                                          .status = slave_status,
                                          .opened = slave_opened,
                                          .closed = slave_closed,
                                          .release = slave_release };

static bool pty_enter_table(struct pty *p)
{
    spin_lock(&pts_lock);
    for (uint32_t i = 0; i < PTS_MAX; i++) {
        if (table[i])
            continue;
        table[i] = p;
        p->index = i;
        spin_unlock(&pts_lock);
        return true;
    }
    spin_unlock(&pts_lock);
    return false;
}

static void pty_leave_table(struct pty *p)
{
    spin_lock(&pts_lock);
    table[p->index] = NULL;
    spin_unlock(&pts_lock);
}

/* The slave and its inode, once the pair has its index. */
static int pty_make_slave(struct pty *p)
{
    char name[16];
    uint32_t rdev = (uint32_t)abi_makedev(MAJOR_PTS, p->index);
    p->inode = inode_create(devpts, S_IFCHR | 0620, &pts_inode_ops);
    if (!p->inode)
        return -ENOMEM;
    p->inode->rdev = rdev;
    p->inode->ino = p->index + 3;
    p->inode->uid = thread_current()->cred->fsuid;
    p->inode->gid = TTY_GID;
    snprintf(name, sizeof(name), "pts/%u", (unsigned)p->index);
    p->slave = tty_create(&slave_ops, p, name, rdev, false);
    if (!p->slave)
        return -ENOMEM;
    p->refs++; /* the slave's, until slave_release */
    return 0;
}

int ptmx_open(struct file *f)
{
    struct pty *p = heap_zalloc(sizeof(*p));
    if (!p)
        return -ENOMEM;
    p->refs = 1;
    p->locked = true;
    spin_init(&p->lock, RANK_PTY_MASTER);
    waitq_init(&p->read_wait);
    waitq_init(&p->write_wait);
    if (!pty_enter_table(p)) {
        heap_free(p);
        return -ENOSPC;
    }
    int err = pty_make_slave(p);
    if (err) {
        pty_leave_table(p);
        if (p->inode)
            inode_put(p->inode);
        heap_free(p);
        return err;
    }
    spin_lock(&pts_lock);
    p->whole = true;
    spin_unlock(&pts_lock);
    f->ops = &master_ops;
    f->data = p;
    return 0;
}

static int open_slave(struct pty *p, struct file *f)
{
    return p->locked ? -EIO : tty_open(p->slave, f, true);
}

int pts_open(struct file *f, uint32_t minor)
{
    struct pty *p = pty_find(minor);
    if (!p)
        return -EIO;
    int err = open_slave(p, f);
    pty_put(p);
    return err;
}

int tty_device_open(struct file *f, uint32_t minor)
{
    if (minor == MINOR_CONSOLE)
        return console_device_open(f, minor);
    if (minor == MINOR_PTMX)
        return ptmx_open(f);
    spin_lock(&process_lock);
    struct tty *t = process_current()->tty;
    if (t)
        tty_get(t);
    spin_unlock(&process_lock);
    if (!t)
        return -ENXIO;
    int err = tty_open(t, f, false);
    tty_put(t);
    return err;
}

static bool master_has_input(const struct pty *p)
{
    return *(const volatile uint32_t *)&p->head != *(const volatile uint32_t *)&p->tail ||
           (p->packet && *(const volatile uint8_t *)&p->status);
}

/* Bytes for the master into buf; in packet mode behind a byte that says what they are. */
static size_t master_take(struct pty *p, uint8_t *buf, size_t max)
{
    size_t n = 0;
    spin_lock(&p->lock);
    if (p->packet && p->status) {
        buf[n++] = p->status;
        p->status = 0;
    } else if (p->tail != p->head) {
        if (p->packet)
            buf[n++] = TIOCPKT_DATA;
        while (n < max && p->tail != p->head)
            buf[n++] = p->ring[p->tail++ % RING_SIZE];
    }
    spin_unlock(&p->lock);
    return n;
}

static int master_wait(struct pty *p, struct file *f)
{
    if (p->slave_closed)
        return -EIO;
    if (f->flags & O_NONBLOCK)
        return -EAGAIN;
    int err = WAIT_EVENT(&p->read_wait, SLEEP_INTERRUPTIBLE, NO_DEADLINE,
                         master_has_input(p) || *(volatile bool *)&p->slave_closed);
    return err ? -ERESTARTSYS : 0;
}

static ssize_type master_read(struct file *f, struct iter *it, uint64_t *pos)
{
    struct pty *p = f->data;
    uint8_t buf[PIECE];
    ssize_type done = 0;
    while (it->left) {
        size_t n = master_take(p, buf, it->left < PIECE ? it->left : PIECE);
        if (!n && done)
            break;
        if (!n) {
            int err = master_wait(p, f);
            if (err)
                return err;
            continue;
        }
        if (iter_put(it, buf, n) < n) { /* what was taken is lost, but there is room now */
            done = done ? done : -EFAULT;
            break;
        }
        done += (ssize_type)n;
        if (p->packet)
            break;
    }
    tty_output_ready(p->slave);
    return done;
}

/* Give n bytes to the slave, as many as it takes at once; another writer may be faster than room was seen. How many, -EAGAIN,
 * -ERESTARTSYS. */
static ssize_type master_give(struct pty *p, struct file *f, const uint8_t *buf, size_t n)
{
    for (;;) {
        size_t room = tty_receive_room(p->slave);
        if (room)
            room = tty_receive(p->slave, buf, n < room ? n : room, SERIAL_OK);
        if (room)
            return (ssize_type)room;
        if (f->flags & O_NONBLOCK)
            return -EAGAIN;
        if (WAIT_EVENT(&p->write_wait, SLEEP_INTERRUPTIBLE, NO_DEADLINE,
                       tty_receive_room(p->slave)))
            return -ERESTARTSYS;
    }
}

static ssize_type master_write(struct file *f, struct iter *it, uint64_t *pos)
{
    struct pty *p = f->data;
    uint8_t buf[PIECE];
    ssize_type done = 0;
    while (it->left) {
        size_t want = it->left < PIECE ? it->left : PIECE, n = iter_get(it, buf, want);
        for (size_t at = 0; at < n;) {
            ssize_type took = master_give(p, f, buf + at, n - at);
            if (took < 0)
                return done ? done : took;
            at += (size_t)took;
            done += took;
        }
        if (n < want)
            return done ? done : -EFAULT;
    }
    return done;
}

static unsigned master_poll(struct file *f, struct poll_table *pt)
{
    struct pty *p = f->data;
    unsigned events = 0;
    poll_wait(pt, &p->read_wait);
    poll_wait(pt, &p->write_wait);
    if (master_has_input(p))
        events |= EPOLLIN | EPOLLRDNORM;
    if (p->packet && p->status)
        events |= EPOLLPRI;
    if (p->slave_closed)
        events |= EPOLLHUP;
    if (tty_receive_room(p->slave))
        events |= EPOLLOUT | EPOLLWRNORM;
    return events;
}

/* TIOCGPTPEER: the slave as a new descriptor, without its name. */
static long open_peer(struct pty *p, unsigned long flags)
{
    struct file *f;
    int err = file_create_inode(&tty_file_ops, p->inode, "pts",
                                (unsigned)flags & (O_ACCMODE | O_NONBLOCK | O_NOCTTY), NULL, &f);
    if (err)
        return err;
    err = open_slave(p, f);
    if (err) {
        f->ops = &master_ops; /* not a terminal yet: release nothing */
        f->data = NULL;
        file_put(f);
        return err;
    }
    f->flags &= ~(uint32_t)O_NOCTTY;
    return fd_install(f, flags & O_CLOEXEC);
}

static long set_int(bool *flag, unsigned long arg)
{
    int value;
    int err = user_get(&value, user_at(user_int_in_t, arg), 1);
    if (!err)
        *flag = value;
    return err;
}

static long set_packet(struct pty *p, unsigned long arg)
{
    bool on = false;
    long err = set_int(&on, arg);
    if (err)
        return err;
    spin_lock(&p->lock);
    if (on && !p->packet)
        p->status = 0;
    p->packet = on;
    spin_unlock(&p->lock);
    return 0;
}

static long master_int(struct pty *p, unsigned cmd, unsigned long arg)
{
    int value = cmd == TIOCGPTN     ? (int)p->index
                : cmd == TIOCGPTLCK ? p->locked
                : cmd == TIOCGPKT   ? p->packet
                                    : (int)(p->head - p->tail);
    return user_put(user_at(user_int_out_t, arg), &value, 1);
}

static long send_to_slave(struct pty *p, unsigned long sig)
{
    if (sig != SIGINT && sig != SIGQUIT && sig != SIGTSTP)
        return -EINVAL;
    spin_lock(&p->slave->lock);
    tty_signal(p->slave, (int)sig);
    spin_unlock(&p->slave->lock);
    return 0;
}

/* TCFLSH of a master: what it has not read goes; what it wrote is the slave's already. */
static long discard(struct pty *p, unsigned long arg)
{
    if (arg > TCIOFLUSH)
        return -EINVAL;
    if (arg != TCOFLUSH) {
        spin_lock(&p->lock);
        p->tail = p->head;
        spin_unlock(&p->lock);
        tty_output_ready(p->slave);
    }
    return 0;
}

static long master_ioctl(struct file *f, unsigned cmd, unsigned long arg)
{
    struct pty *p = f->data;
    switch (cmd) {
    case TIOCGPTN:
    case TIOCGPTLCK:
    case TIOCGPKT:
    case FIONREAD:
        return master_int(p, cmd, arg);
    case TIOCSPTLCK:
        return set_int(&p->locked, arg);
    case TIOCPKT:
        return set_packet(p, arg);
    case TIOCGPTPEER:
        return open_peer(p, arg);
    case TIOCSIG:
        return send_to_slave(p, arg);
    case TIOCNOTTY:
        return -ENOTTY;
    case TCFLSH:
        return discard(p, arg);
    }
    long result = tty_session_ioctl(p->slave, cmd, arg, true);
    if (result == -TTY_NO_IOCTL)
        result = tty_ioctl(p->slave, cmd, arg);
    return result == -TTY_NO_IOCTL ? -ENOTTY : result;
}

static void master_release(struct file *f)
{
    struct pty *p = f->data;
    if (!p)
        return;
    pty_leave_table(p);
    spin_lock(&p->slave->lock);
    p->slave->other_closed = true;
    spin_unlock(&p->slave->lock);
    tty_hangup(p->slave);
    tty_put(p->slave);
    pty_put(p);
}

static const struct file_ops master_ops = { .read = master_read,
                                            .write = master_write,
                                            .poll = master_poll,
                                            .ioctl = master_ioctl,
                                            .async = tty_async,
                                            .release = master_release };

/* --- the file system of /dev/pts: one name per pair, and ptmx --- */

/* The inode may outlive its pair, so the pair is asked for it, not the other way round. */
static bool pts_valid(struct inode *inode)
{
    spin_lock(&pts_lock);
    const struct pty *p = table[abi_minor(inode->rdev)];
    bool valid = p && p->inode == inode;
    spin_unlock(&pts_lock);
    return valid;
}

static int devpts_lookup(struct inode *dir, const char *name, size_t len, struct inode **ret_inode)
{
    char text[8], *end;
    if (len >= sizeof(text) || !len || name[0] < '0' || name[0] > '9' ||
        (name[0] == '0' && len > 1))
        return -ENOENT;
    memcpy(text, name, len);
    text[len] = '\0';
    unsigned long index = strtoul(text, &end, 10);
    struct pty *p = *end ? NULL : pty_find((uint32_t)index);
    if (!p)
        return -ENOENT;
    inode_get(p->inode);
    *ret_inode = p->inode;
    pty_put(p);
    return 0;
}

static int devpts_readdir(struct file *f, struct dir_sink *s, uint64_t *pos)
{
    enum { DT_CHR = 2, DT_DIR = 4, FIRST = 2 }; /* positions of "." and ".." are 0 and 1 */
    char name[16];
    for (; *pos < FIRST; ++*pos)
        if (!s->emit(s, "..", 1 + *pos, f->inode->ino, *pos + 1, DT_DIR))
            return 0;
    for (; *pos - FIRST < PTS_MAX; ++*pos) {
        uint64_t i = *pos - FIRST;
        if (!*(struct pty *volatile *)&table[i])
            continue;
        int n = snprintf(name, sizeof(name), "%u", (unsigned)i);
        if (!s->emit(s, name, (size_t)n, i + 3, *pos + 1, DT_CHR))
            return 0;
    }
    return 0;
}

static int pts_setattr(struct inode *inode, const struct inode_attr *attr)
{
    if (attr->set & ATTR_MODE)
        inode->mode = (inode->mode & S_IFMT) | (attr->mode & 07777);
    if (attr->set & ATTR_UID)
        inode->uid = attr->uid;
    if (attr->set & ATTR_GID)
        inode->gid = attr->gid;
    return 0;
}

static const struct inode_ops pts_inode_ops = { .setattr = pts_setattr };
static const struct inode_ops devpts_inode_ops = { .lookup = devpts_lookup, .valid = pts_valid };
static const struct file_ops devpts_dir_ops = { .readdir = devpts_readdir };

int devpts_create(struct superblock **ret_sb)
{
    devpts = heap_zalloc(sizeof(*devpts));
    if (!devpts)
        return -ENOMEM;
    int err = superblock_init(devpts, "devpts", DEVPTS_SUPER_MAGIC, ROOT_MODE, &devpts_inode_ops);
    if (err)
        return err;
    devpts->root->inode->fops = &devpts_dir_ops;
    *ret_sb = devpts;
    return 0;
}
