/* SPDX-License-Identifier: MIT */
/* F_NOTIFY of fcntl(2), which inotify replaced: the owner of an open directory is told of what happens to the directory's
 * entries. A watch belongs to an open file and a descriptor table and ends when any descriptor of the two is closed. They are
 * few, so one list has them all. Lock: dnotify_lock. */
#include "vfs_int.h"
#include <abi/errno.h>
#include <abi/fcntl.h>
#include <abi/signal.h>
#include <libos/file.h>
#include <libos/heap.h>
#include <libos/inotify.h>
#include <libos/owner.h>
#include <libos/process.h>
#include <utlist.h>

struct dnotify {
    struct dnotify *next;
    struct inode *inode;
    struct file *file;      /* open as long as this watch is there, since table has it */
    struct fd_table *table; /* likewise */
    uint32_t mask;          /* DN_* */
    int fd;
};

static struct spin dnotify_lock = SPIN_INIT(RANK_FILE);
static struct dnotify *watches; /* guarded by dnotify_lock */
_Atomic uint32_t dnotify_count;

/* What each of Linux's bits means in those of inotify: each that fits tells once. */
static const struct {
    uint32_t dn, in;
} kinds[] = {
    { DN_ACCESS, IN_ACCESS },
    { DN_MODIFY, IN_MODIFY },
    { DN_CREATE, IN_CREATE | IN_MOVED_TO },
    { DN_DELETE, IN_DELETE | IN_MOVED_FROM },
    { DN_RENAME, IN_MOVED_FROM },
    { DN_ATTRIB, IN_ATTRIB },
};

static void end(struct dnotify *w)
{
    LL_DELETE(watches, w);
    heap_free(w);
    atomic_fetch_sub_explicit(&dnotify_count, 1, memory_order_relaxed);
    atomic_fetch_sub_explicit(&inotify_watch_count, 1, memory_order_relaxed);
}

void dnotify_tell(struct inode *inode, uint32_t mask)
{
    struct dnotify *w, *next;
    spin_lock(&dnotify_lock);
    LL_FOREACH_SAFE(watches, w, next)
    {
        bool told = false;
        for (unsigned i = 0; i < sizeof(kinds) / sizeof(kinds[0]) && w->inode == inode; i++)
            if (w->mask & kinds[i].dn && mask & kinds[i].in) {
                file_owner_tell(w->file, POLL_MSG, w->fd);
                told = true;
            }
        if (told && !(w->mask & DN_MULTISHOT))
            end(w);
    }
    spin_unlock(&dnotify_lock);
}

void dnotify_close(struct file *f, struct fd_table *t)
{
    struct dnotify *w, *next;
    spin_lock(&dnotify_lock);
    LL_FOREACH_SAFE(watches, w, next)
    if (w->file == f && w->table == t)
        end(w);
    spin_unlock(&dnotify_lock);
}

int dnotify_set(struct file *f, int fd, uint32_t mask)
{
    struct fd_table *t = thread_current()->fds;
    if (!(mask & ~DN_MULTISHOT)) {
        dnotify_close(f, t);
        return 0;
    }
    if (!S_ISDIR(f->inode->mode))
        return -ENOTDIR;
    int err = file_set_owner_first(f, F_OWNER_PID, process_current()->pid);
    struct dnotify *fresh = err ? NULL : heap_zalloc(sizeof(*fresh)), *w;
    if (!fresh)
        return err ? err : -ENOMEM;
    spin_lock(&dnotify_lock);
    LL_FOREACH(watches, w)
    if (w->file == f && w->table == t)
        break;
    if (w) {
        w->mask |= mask;
        w->fd = fd;
    } else {
        *fresh = (struct dnotify){ NULL, f->inode, f, t, mask, fd };
        LL_PREPEND(watches, fresh);
        atomic_fetch_add_explicit(&dnotify_count, 1, memory_order_relaxed);
        atomic_fetch_add_explicit(&inotify_watch_count, 1, memory_order_relaxed);
        fresh = NULL;
    }
    spin_unlock(&dnotify_lock);
    heap_free(fresh);
    struct file *now = fd_table_file(t, fd);
    if (now != f)
        dnotify_close(f, t); /* another thread has closed it meanwhile */
    if (now)
        file_put(now);
    return now == f ? 0 : -EBADF;
}
