/* SPDX-License-Identifier: MIT */
/* Open files and descriptor tables. */
#ifndef LIBOS_FILE_H
#define LIBOS_FILE_H

#include <abi/errno.h>
#include <abi/fcntl.h>
#include <libos/hold.h>
#include <libos/iter.h>
#include <libos/lock.h>
#include <libos/thread.h>
#include <libos/vfs.h>

struct epoll_item;
struct file;
struct lock_range;
struct pagemap;
struct poll_table;

/* Called by getdents for each entry; false: the caller's buffer is full, stop without consuming the entry. */
struct dir_sink {
    bool (*emit)(struct dir_sink *s, const char *name, size_t len, uint64_t ino, uint64_t next_pos,
                 unsigned type);
};

/* The end of a transfer that was started: bytes or a negative errno. From any context; does not sleep. */
typedef void file_done_fn(void *arg, ssize_type result);

/* What a kind of file does. A NULL member gives the errno said at it. Transfers return bytes or a negative errno, and
 * -ERESTARTSYS when a signal ends their sleep with nothing transferred. */
struct file_ops {
    ssize_type (*read)(struct file *f, struct iter *it,
                       uint64_t *pos); /* -EINVAL; pos: in and out */
    ssize_type (*write)(struct file *f, struct iter *it, uint64_t *pos); /* -EINVAL */
    int64_t (*seek)(struct file *f, int64_t off, int whence);            /* -ESPIPE; new position */
    unsigned (*poll)(struct file *f, struct poll_table *pt); /* NULL: always EPOLLIN | EPOLLOUT */
    long (*ioctl)(struct file *f, unsigned cmd, unsigned long arg); /* -ENOTTY; arg hostile */
    /* Before pagemap is asked: may size bytes from offset be mapped with these AREA_* flags, to which more can be added? NULL: yes.
     * -EINVAL, -ENOMEM. */
    int (*may_map)(struct file *f, uint64_t offset, size_t size, uint32_t *flags);
    struct pagemap *(*pagemap)(struct file *f); /* -ENODEV: cannot be mapped */
    /* May bytes [*offset, + size) be mapped, and where in the page map do they lie? NULL: all, there. -EINVAL */
    int (*map)(struct file *f, uint64_t *offset, size_t size);
    int (*readdir)(struct file *f, struct dir_sink *s, uint64_t *pos); /* -ENOTDIR */
    /* Bring bytes [from, end), and what it takes to find them again, to the medium; not data_only: the inode's other metadata too.
     * -EINVAL */
    int (*sync)(struct file *f, uint64_t from, uint64_t end, bool data_only);
    /* Write what is dirty of bytes [from, end), neither metadata nor the disk's cache. how: SYNC_FILE_RANGE_*; with a WAIT bit, wait
     * for what others write of them, and tell an error. NULL: 0 */
    int (*write_back)(struct file *f, uint64_t from, uint64_t end, unsigned how);
    /* Start a transfer of all of it at pos without the page cache (O_DIRECT). > 0: done(arg, ...) will be called, perhaps it
     * was already. -EAGAIN: do it by read or write, nothing has happened. NULL: -EAGAIN. -EINVAL (alignment), -EFAULT */
    ssize_type (*direct)(struct file *f, struct iter *it, uint64_t pos, bool write,
                         file_done_fn *done, void *arg);
    int (*fallocate)(struct file *f, int mode, uint64_t off,
                     uint64_t len); /* -EOPNOTSUPP (files), -ENODEV */
    int (*flush)(struct file *f);   /* each close(2); may be NULL */
    /* A record or flock lock that holds in this machine already: have whoever shares the file keep it too. wait: until others let go.
     * F_UNLCK: it went. NULL: nobody shares it. -EAGAIN, -ERESTARTSYS, -ENOLCK, -EIO */
    int (*lock)(struct file *f, const struct lock_range *r, bool wait);
    /* Nobody of this machine is in the way of r: *r becomes what others have there; F_UNLCK: nothing. NULL: nothing. -ENOLCK, -EIO */
    int (*getlock)(struct file *f, struct lock_range *r);
    void (*release)(struct file *f); /* last reference gone; may be NULL */
    void (*unmap)(struct file *f);   /* an area that maps it goes; no sleep; may be NULL */
    /* O_ASYNC is about to be set: its poll queues are to signal, and an owner may be named. NULL: the flag does nothing */
    int (*async)(struct file *f);
    void (*fdinfo)(struct file *f, char *buf,
                   size_t size); /* extra lines of /proc/self/fdinfo; may be NULL */
    bool nowait; /* read and write heed iter.nowait; else RWF_NOWAIT is -EOPNOTSUPP */
};

struct file {
    _Atomic uint32_t refs;
    _Atomic uint32_t flags; /* O_* without creation flags; O_PATH files have only path */
    const struct file_ops *ops;
    struct path path; /* dentry may be NULL for pipes, eventfds, ... (anonymous inodes have one) */
    struct inode
        *inode;   /* = path.dentry->inode, or what that stands for (real_inode); may be NULL */
    uint64_t pos; /* guarded by pos_lock when the file can seek */
    struct mutex pos_lock;
    void *data;                     /* of the kind */
    struct epoll_item *epoll_items; /* that watch this file; guarded by epoll's lock */
    struct cred *cred;              /* of the opener */
    struct file_owner *owner;       /* F_SETOWN, F_SETSIG; NULL: never set. Set once */
    const char *name; /* of a file without a dentry: "anon_inode:[eventfd]", "pipe", "socket" */
    bool can_read, can_write, seekable;
    bool
        one_by_one; /* read and write of several threads take turns: regular files and directories, not devices */
    _Atomic uint32_t wb_seen,
        sb_seen;         /* errseq of the inode (its file system's business), of the file system */
    bool counted_writer; /* holds one of inode->writers */
    bool real_inode;     /* inode is another than path's, with a reference: a file of an overlay */
    void *dir_cursor;    /* directories: where the last listing stopped; guarded by pos_lock */
};

/* A file with one reference; takes no reference on anything in path (path is copied with references). -ENFILE. */
NODISCARD int file_create(const struct file_ops *ops, const struct path *path, unsigned flags,
                          void *data, struct file **ret_file);
/* The same without a place in the tree: shows as "anon_inode:NAME" or "NAME" in /proc. -ENFILE, -ENOMEM. */
NODISCARD int file_create_anon(const struct file_ops *ops, const char *name, unsigned flags,
                               void *data, struct file **ret_file);
/* The same on an inode of its own (anon_inode_create), which takes a reference: pipes ("pipe") and sockets ("socket"),
 * shown as "NAME:[INO]". -ENFILE, -ENOMEM. */
NODISCARD int file_create_inode(const struct file_ops *ops, struct inode *inode, const char *name,
                                unsigned flags, void *data, struct file **ret_file);
/* An inode of no file system with one reference; mode has the type bits. NULL. */
struct inode *anon_inode_create(uint32_t mode);
static inline void file_get(struct file *f)
{
    /* Relaxed: whoever has a reference may add one. */
    __atomic_fetch_add((uint32_t *)&f->refs, 1, __ATOMIC_RELAXED);
}
void file_put(struct file *f);

enum { FILES_MAX = 1 << 20 }; /* open files in all */
/* How many there are now. */
unsigned files_open(void);

enum { FD_LIMIT_MAX = 1024 * 1024 };

struct fd_table {
    _Atomic uint32_t refs;
    struct spin lock;
    struct file **files;      /* guarded by lock (readers: see fd.c); size entries */
    uint64_t *open, *cloexec; /* guarded by lock: bit maps */
    uint32_t size;
    uint32_t next_free; /* guarded by lock: no free descriptor below */
};

struct fd_table *fd_table_create(void); /* NULL */
/* A private copy of src, each file with one more reference. -ENOMEM. fd_table_put drops a reference; the last one
 * closes every descriptor and may sleep. */
NODISCARD int fd_table_copy(struct fd_table *src, struct fd_table **ret_table);
void fd_table_put(struct fd_table *t);
/* Give the current thread another table, and drop its reference to the one it has. Locks: takes RANK_SIGNAL. May sleep. */
void fd_table_swap(struct fd_table *take_table);
/* execve: close what is marked close-on-exec. */
void fd_table_exec(struct fd_table *t);

/* The file of descriptor fd of the current thread with a reference; -EBADF (also for O_PATH unless allowed). */
NODISCARD int fd_get(int fd, struct file **ret_file);
NODISCARD int fd_get_any(int fd, struct file **ret_file); /* O_PATH too */
/* The file of descriptor fd of table t with a reference, O_PATH too; NULL. For /proc. fd_table_next:
 * the first open descriptor from fd on, or -1. */
struct file *fd_table_file(struct fd_table *t, int fd);
int fd_table_next(struct fd_table *t, int fd);

/* The same as fd_get for the time of one system call that does not close descriptors: no reference is counted when no
 * other thread can close it meanwhile, nor while this thread stays on its CPU (libos/hold.h). Each fd_borrow that gave 0 is
 * ended by fd_return. */
enum fd_how { FD_OWN, FD_HELD, FD_COUNTED };
struct fd_ref {
    struct file *file;
    enum fd_how how;
};
/* fd_borrow when t, the current thread's table, is shared. */
NODISCARD int fd_borrow_shared(struct fd_table *t, int fd, struct fd_ref *ret_ref);
NODISCARD int fd_borrow_any(int fd, struct fd_ref *ret_ref); /* O_PATH too */
void fd_return_shared(struct fd_ref *r);                     /* fd_return only */
static inline void fd_return(struct fd_ref *r)
{
    if (r->how != FD_OWN)
        fd_return_shared(r);
}
/* -EBADF, for O_PATH too. */
NODISCARD static inline int fd_borrow(int fd, struct fd_ref *ret_ref)
{
    struct fd_table *t = thread_current()->fds;
    struct file *f;
    if (UNLIKELY(atomic_load_explicit(&t->refs, memory_order_relaxed) != 1))
        return fd_borrow_shared(t, fd, ret_ref);
    /* One user: this thread. Nobody else changes the table meanwhile. */
    if (UNLIKELY((unsigned)fd >= t->size || !(f = t->files[fd]) || f->flags & O_PATH))
        return -EBADF;
    ret_ref->file = f;
    ret_ref->how = FD_OWN;
    return 0;
}
/* Install take_file at the lowest free descriptor >= min. The descriptor; on error the file is released too.
 * -EMFILE, -ENOMEM, -EINVAL (min past the limit). */
int fd_install(struct file *take_file, bool cloexec);
int fd_install_from(struct file *take_file, int min, bool cloexec);
/* dup2 and dup3: replace fd. -EBADF (out of range), -ENOMEM. Takes the file. */
int fd_replace(int fd, struct file *take_file, bool cloexec);
/* Reserve two, for pipe(2): both or none. Takes both files. */
NODISCARD int fd_install_pair(struct file *take_a, struct file *take_b, bool cloexec,
                              int ret_fds[2]);
int fd_close(int fd); /* -EBADF, or what flush said */
int fd_close_range(unsigned first, unsigned last, unsigned flags);
int fd_get_cloexec(int fd);
int fd_set_cloexec(int fd, bool on);

/* Does the current thread own f's inode, or has it CAP_FOWNER? */
bool file_owned(const struct file *f);

/* Take f->pos_lock unless nobody else can have the file; true if it was taken, for file_pos_unlock. */
bool file_pos_lock(struct file *f);
void file_pos_unlock(struct file *f, bool locked);

/* For file_ops.async of files that name no owner: 0. */
int file_async_plain(struct file *f);
/* F_SETFL: the flags in mask become those of flags, by descriptor fd. -ENOMEM, or what the kind says. */
NODISCARD int file_set_flags(struct file *f, int fd, unsigned mask, unsigned flags);

/* For file_ops.seek of files that have no position but let lseek pass: 0. */
int64_t file_seek_nowhere(struct file *f, int64_t off, int whence);

/* Must a transfer of f not wait? */
static inline bool file_nowait(const struct file *f, const struct iter *it)
{
    return f->flags & O_NONBLOCK || it->nowait;
}

/* Generic transfers with all checks (mode, position, limits, O_APPEND) on an open file. pos NULL: the file's own. */
ssize_type file_read(struct file *f, struct iter *it, uint64_t *pos);
ssize_type file_write(struct file *f, struct iter *it, uint64_t *pos);
/* fsync(2) and fdatasync(2) of bytes [from, end); UINT64_MAX: to the end. -EINVAL, -EIO, -ENOSPC, -EROFS. May sleep. */
NODISCARD int file_sync(struct file *f, uint64_t from, uint64_t end, bool data_only);
/* sync_file_range(2) with a known how. -EINVAL (numbers out of range), -ESPIPE, -EIO, -ENOSPC. May sleep. */
NODISCARD int file_write_back(struct file *f, uint64_t from, uint64_t len, unsigned how);

#endif
