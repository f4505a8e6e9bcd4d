/* SPDX-License-Identifier: MIT */
/* inotify: which events come, in which order, with which names. */
#define _GNU_SOURCE
#include <t_file.h>

#include <poll.h>
#include <sys/inotify.h>
#include <sys/ioctl.h>

static long in;
static char buf[4096];
static long at, got;

/* The next event is this one. */
static void expect(int wd, uint32_t mask, const char *name)
{
    if (at >= got) {
        at = 0;
        got = call(SYS_read, in, buf, sizeof(buf));
    }
    struct inotify_event *e = (struct inotify_event *)(buf + at);
    if (!CHECK(true, got > 0))
        return;
    CHECK(wd, e->wd);
    CHECK(mask, e->mask);
    CHECK(0, strcmp(e->len ? e->name : "", name));
    CHECK(0, e->len % 16);
    at += (long)sizeof(*e) + e->len;
}

static void nothing_more(void)
{
    CHECK(got, at);
    CHECK(-EAGAIN, call(SYS_read, in, buf, sizeof(buf)));
}

static void directory(void)
{
    int wd = (int)call(SYS_inotify_add_watch, in, "d", IN_ALL_EVENTS);
    CHECK(1, wd);
    t_write("d/f", "x");
    expect(wd, IN_CREATE, "f");
    expect(wd, IN_OPEN, "f");
    expect(wd, IN_MODIFY, "f");
    expect(wd, IN_CLOSE_WRITE, "f");
    CHECK(1, t_holds("d/f", "x"));
    expect(wd, IN_OPEN, "f");
    expect(wd, IN_ACCESS, "f");
    expect(wd, IN_CLOSE_NOWRITE, "f");
    CHECK(0, call(SYS_chmod, "d/f", 0600));
    expect(wd, IN_ATTRIB, "f");
    CHECK(0, call(SYS_rename, "d/f", "d/g"));
    expect(wd, IN_MOVED_FROM, "f");
    uint32_t cookie = ((struct inotify_event *)buf)->cookie;
    expect(wd, IN_MOVED_TO, "g");
    CHECK(cookie, ((struct inotify_event *)(buf + 32))->cookie);
    CHECK(1, cookie != 0);
    CHECK(0, call(SYS_unlink, "d/g"));
    expect(wd, IN_DELETE, "g");
    CHECK(0, call(SYS_mkdir, "d/sub", 0700));
    expect(wd, IN_CREATE | IN_ISDIR, "sub");
    CHECK(0, call(SYS_rmdir, "d/sub"));
    expect(wd, IN_DELETE | IN_ISDIR, "sub");
    nothing_more();
    CHECK(0, call(SYS_inotify_rm_watch, in, wd));
    expect(wd, IN_IGNORED, "");
    CHECK(-EINVAL, call(SYS_inotify_rm_watch, in, wd));
    nothing_more();
}

static void file(void)
{
    t_write("d/f", "x");
    int wd = (int)call(SYS_inotify_add_watch, in, "d/f", IN_MODIFY | IN_DELETE_SELF | IN_MOVE_SELF);
    CHECK(2, wd);
    CHECK(wd, call(SYS_inotify_add_watch, in, "d/f", IN_ATTRIB | IN_MASK_ADD));
    CHECK(-EEXIST, call(SYS_inotify_add_watch, in, "d/f", IN_ATTRIB | IN_MASK_CREATE));
    CHECK(0, call(SYS_rename, "d/f", "d/h"));
    expect(wd, IN_MOVE_SELF, "");
    CHECK(0, call(SYS_truncate, "d/h", 0));
    expect(wd, IN_MODIFY, "");
    CHECK(0, call(SYS_truncate, "d/h", 5));
    CHECK(0, call(SYS_truncate, "d/h", 6));
    expect(wd, IN_MODIFY, ""); /* the same event twice in a row is told once */
    nothing_more();
    CHECK(0, call(SYS_unlink, "d/h"));
    expect(wd, IN_ATTRIB, "");
    expect(wd, IN_DELETE_SELF, "");
    expect(wd, IN_IGNORED, "");
    nothing_more();
    t_write("d/f", "x");
    wd = (int)call(SYS_inotify_add_watch, in, "d/f", IN_OPEN | IN_ONESHOT);
    CHECK(1, t_holds("d/f", "x"));
    expect(wd, IN_OPEN, "");
    expect(wd, IN_IGNORED, "");
    nothing_more();
}

static void checks(void)
{
    struct pollfd p = { (int)in, POLLIN, 0 };
    CHECK(0, call(SYS_poll, &p, 1, 0));
    long wd = call(SYS_inotify_add_watch, in, "d", IN_CREATE);
    t_write("d/n", "x");
    CHECK(1, call(SYS_poll, &p, 1, 0));
    int waiting = 0;
    CHECK(0, call(SYS_ioctl, in, FIONREAD, &waiting));
    CHECK(32, waiting);
    CHECK(-EINVAL, call(SYS_read, in, buf, 31)); /* no room for it */
    CHECK(32, call(SYS_read, in, buf, 32));
    CHECK(0, call(SYS_inotify_rm_watch, in, wd));
    CHECK(16, call(SYS_read, in, buf, 100));
    CHECK(-EINVAL, call(SYS_inotify_add_watch, in, "d", 0));
    CHECK(-ENOENT, call(SYS_inotify_add_watch, in, "none", IN_OPEN));
    CHECK(-ENOTDIR, call(SYS_inotify_add_watch, in, "d/n", IN_OPEN | IN_ONLYDIR));
    CHECK(-EBADF, call(SYS_inotify_add_watch, 999, "d", IN_OPEN));
    long fd = call(SYS_open, "d/n", O_RDONLY);
    CHECK(-EINVAL, call(SYS_inotify_add_watch, fd, "d", IN_OPEN));
    CHECK(-EINVAL, call(SYS_inotify_rm_watch, fd, 1));
    call(SYS_close, fd);
    CHECK(-EBADF, call(SYS_write, in, buf, 1));
    CHECK(-EINVAL, call(SYS_inotify_init1, 1));
    fd = call(SYS_inotify_init);
    CHECK(0, call(SYS_fcntl, fd, F_GETFD));
    CHECK(O_RDONLY, call(SYS_fcntl, fd, F_GETFL));
    call(SYS_close, fd);
}

int main(void)
{
    t_enter();
    CHECK(0, call(SYS_mkdir, "d", 0755));
    in = call(SYS_inotify_init1, IN_NONBLOCK | IN_CLOEXEC);
    CHECK(FD_CLOEXEC, call(SYS_fcntl, in, F_GETFD));
    directory();
    file();
    checks();
    call(SYS_close, in);
    return t_leave();
}
