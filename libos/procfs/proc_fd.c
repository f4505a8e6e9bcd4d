/* SPDX-License-Identifier: MIT */
/* /proc/PID/fd, fdinfo, cwd, root, exe: links that lead to the open file or directory itself. */
#include "proc.h"
#include <abi/errno.h>
#include <abi/fcntl.h>
#include <abi/stat.h>
#include <libos/file.h>
#include <libos/heap.h>
#include <libos/mm.h>
#include <libos/mm_bounds.h>
#include <libos/process.h>
#include <stdio.h>
#include <string.h>

enum { PATH_SIZE = 4096, FDINFO_SIZE = 4096 };

/* The open file that c is about, with a reference; NULL. */
static struct file *proc_file(const struct gen_ctx *c)
{
    struct thread *t = proc_thread(c);
    struct fd_table *fds = t ? thread_fds_get(t) : NULL;
    struct file *f = fds ? fd_table_file(fds, c->number) : NULL;
    if (fds)
        fd_table_put(fds);
    if (t)
        thread_put(t);
    return f;
}

static bool fd_exists(const struct gen_ctx *dir, int n)
{
    struct gen_ctx c = *dir;
    c.number = n;
    struct file *f = proc_file(&c);
    if (f)
        file_put(f);
    return f;
}

static int fd_next(const struct gen_ctx *dir, int from)
{
    struct thread *t = proc_thread(dir);
    struct fd_table *fds = t ? thread_fds_get(t) : NULL;
    int n = fds ? fd_table_next(fds, from) : -1;
    if (fds)
        fd_table_put(fds);
    if (t)
        thread_put(t);
    return n;
}

static void fd_enter(struct gen_ctx *c, int n)
{
    c->number = n;
}

/* Print what write says, which gets a buffer and its size and gives a length with the NUL or an errno. */
static int show_text(struct text *t, const void *what,
                     int (*write)(const void *what, char *buf, size_t size))
{
    char *buf = heap_alloc(PATH_SIZE);
    if (!buf)
        return -ENOMEM;
    int n = write(what, buf, PATH_SIZE);
    if (n > 0)
        text_add(t, buf, strnlen(buf, PATH_SIZE));
    heap_free(buf);
    return n < 0 ? n : 0;
}

static int write_file(const void *what, char *buf, size_t size)
{
    return file_text(what, buf, size);
}

static int write_path(const void *what, char *buf, size_t size)
{
    return path_text(what, buf, size);
}

static int fd_show_link(struct text *t, const struct gen_ctx *c)
{
    int err = proc_may_look(c);
    if (err)
        return err;
    struct file *f = proc_file(c);
    if (!f)
        return -ENOENT;
    err = show_text(t, f, write_file);
    file_put(f);
    return err;
}

static int fd_follow(const struct gen_ctx *c, struct path *ret)
{
    int err = proc_may_look(c);
    if (err)
        return err;
    struct file *f = proc_file(c);
    if (!f)
        return -ENOENT;
    *ret = f->path;
    path_get(ret);
    file_put(f);
    return 0;
}

static uint32_t fd_link_mode(const struct gen_ctx *c)
{
    struct file *f = proc_file(c);
    uint32_t mode = 0;
    if (f) {
        mode = (f->can_read || f->flags & O_PATH ? 0500 : 0) |
               (f->can_write || f->flags & O_PATH ? 0300 : 0);
        file_put(f);
    }
    return mode;
}

static int fdinfo_show(struct text *t, const struct gen_ctx *c)
{
    struct file *f = proc_file(c);
    char *more = heap_alloc(FDINFO_SIZE);
    if (!f || !more) {
        heap_free(more);
        if (f)
            file_put(f);
        return f ? -ENOMEM : -ENOENT;
    }
    text_printf(t, "pos:\t%lli\nflags:\t0%o\nmnt_id:\t%i\nino:\t%llu\n",
                f->seekable ? (long long)f->pos : 0ll, (unsigned)(f->flags | O_LARGEFILE),
                f->path.mount ? f->path.mount->id : 0,
                (unsigned long long)(f->inode ? f->inode->ino : 0));
    more[0] = '\0';
    if (f->ops->fdinfo)
        f->ops->fdinfo(f, more, FDINFO_SIZE);
    text_add(t, more, strlen(more));
    heap_free(more);
    file_put(f);
    return 0;
}

/* A process's own descriptors are its own, whoever owns the directory. */
int proc_enter_fd(const struct gen_ctx *c)
{
    return c->pid == process_current()->pid;
}

int proc_enter_fdinfo(const struct gen_ctx *c)
{
    return proc_may_look(c);
}

static int fdinfo_open(struct gen_ctx *c)
{
    return proc_may_look(c);
}

const struct gen_names proc_fd_names = {
    .prefix = "",
    .may_go = true,
    .exists = fd_exists,
    .next = fd_next,
    .enter = fd_enter,
    .entry = { .mode = S_IFLNK | 0700,
               .show = fd_show_link,
               .follow = fd_follow,
               .link_mode = fd_link_mode },
};

const struct gen_names proc_fdinfo_names = {
    .prefix = "",
    .may_go = true,
    .exists = fd_exists,
    .next = fd_next,
    .enter = fd_enter,
    .entry = { .mode = S_IFREG | 0444, .show = fdinfo_show, .open = fdinfo_open },
};

/* The current or root directory of a thread. */
static int directory(const struct gen_ctx *c, bool is_root, struct path *ret)
{
    int err = proc_may_look(c);
    if (err)
        return err;
    struct thread *t = proc_thread(c);
    struct fs_context *fs = t ? thread_fs_get(t) : NULL;
    if (fs) {
        spin_lock(&fs->lock);
        *ret = is_root ? fs->root : fs->cwd;
        path_get(ret);
        spin_unlock(&fs->lock);
        fs_context_put(fs);
    }
    if (t)
        thread_put(t);
    return fs ? 0 : t ? -ENOENT : -ESRCH;
}

/* The program's file. */
static int program(const struct gen_ctx *c, struct path *ret)
{
    int err = proc_may_look(c);
    if (err)
        return err;
    struct thread *t = proc_thread(c);
    struct mm *mm = t ? thread_mm_get(t) : NULL;
    struct file *exe = mm ? mm_exe_get(mm) : NULL;
    if (exe) {
        *ret = exe->path;
        path_get(ret);
        file_put(exe);
    }
    if (mm)
        mm_put(mm);
    if (t)
        thread_put(t);
    return exe ? 0 : t ? -ENOENT : -ESRCH;
}

static int show_path(struct text *t, struct path *p, int err)
{
    if (err)
        return err;
    err = show_text(t, p, write_path);
    path_put(p);
    return err;
}

int proc_follow_cwd(const struct gen_ctx *c, struct path *ret)
{
    return directory(c, false, ret);
}

int proc_follow_root(const struct gen_ctx *c, struct path *ret)
{
    return directory(c, true, ret);
}

int proc_follow_exe(const struct gen_ctx *c, struct path *ret)
{
    return program(c, ret);
}

int proc_link_cwd(struct text *t, const struct gen_ctx *c)
{
    struct path p;
    return show_path(t, &p, directory(c, false, &p));
}

int proc_link_root(struct text *t, const struct gen_ctx *c)
{
    struct path p;
    return show_path(t, &p, directory(c, true, &p));
}

int proc_link_exe(struct text *t, const struct gen_ctx *c)
{
    struct path p;
    return show_path(t, &p, program(c, &p));
}
