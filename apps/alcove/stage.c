/* SPDX-License-Identifier: MIT */
/* The staging directory. Invariant: no component of a path in `entries` is a link, so a staged path is opened without
 * following any; host paths are opened with O_NOFOLLOW after their own walk. Every entry but "/" has its parent.
 *
 * Time stamps: what the build itself makes, programs and libraries have SOURCE_DATE_EPOCH (or 0), so that the same bytes
 * give the same image; trees of recipes and --root keep theirs, which for example Python's .pyc files depend on. */
#include "stage.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <fnmatch.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { LINKS_MAX = 40 };

void stage_init(struct stage *s, const char *dir)
{
    *s = (struct stage){ .dir = xstrdup(dir) };
    umask_clear();
    const char *sde = getenv("SOURCE_DATE_EPOCH");
    if (sde && *sde) {
        char *end;
        errno = 0;
        long long v = strtoll(sde, &end, 10);
        if (errno || *end || v < 0)
            fail("SOURCE_DATE_EPOCH",
                 "'%s' is not a number of seconds since 1970; unset it or mend it", sde);
        s->have_epoch = true;
        s->epoch = v;
    }
    struct stat st = { .st_mode = S_IFDIR | 0755 };
    stage_note(s, "/", &st, 0);
}

char *stage_host(const struct stage *s, const char *path)
{
    return path_join(s->dir, path);
}

/* Open addressing would be faster, but a tree has at most some ten thousand entries and lookups by path go through
 * lstat() of the staging directory; this list is only searched by its users below. */
struct stage_entry *stage_find(const struct stage *s, const char *path)
{
    for (size_t i = s->n; i-- > 0;)
        if (strcmp(s->entries[i].path, path) == 0)
            return &s->entries[i];
    return NULL;
}

bool stage_has(const struct stage *s, const char *path)
{
    struct stat st;
    return lstat(stage_host(s, path), &st) == 0;
}

struct stage_entry *stage_note(struct stage *s, const char *path, const struct stat *st,
                               unsigned flags)
{
    if (s->n == s->cap) {
        s->cap = s->cap ? s->cap * 2 : 256;
        s->entries = xrealloc(s->entries, s->cap, sizeof(*s->entries));
    }
    struct stage_entry *e = &s->entries[s->n++];
    *e = (struct stage_entry){ .path = xstrdup(path),
                               .mode = st->st_mode,
                               .size = (uint64_t)st->st_size };
    e->mtime.tv_sec = (time_t)s->epoch;
    if (flags & STAGE_KEEP_TIME && (!s->have_epoch || st->st_mtim.tv_sec < s->epoch))
        e->mtime = st->st_mtim;
    if (e->mtime.tv_sec < 0)
        e->mtime = (struct timespec){ 0 };
    return e;
}

/* A file is complete: it has its permission bits since open() (stage_init cleared the umask), its time is set here while
 * it is open, since finding it again costs more. */
static void finish_file(int fd, const struct stage_entry *e, const char *host)
{
    struct timespec times[2] = { e->mtime, e->mtime };
    if (futimens(fd, times) < 0)
        fail_errno(host, errno, "cannot set the time");
    if (close(fd) < 0)
        fail_errno(host, errno, "cannot write");
}

void stage_unlink(struct stage *s, const char *path)
{
    char *host = stage_host(s, path);
    if (unlink(host) < 0 && errno != ENOENT)
        fail_errno(host, errno, "cannot remove");
    size_t out = 0;
    for (size_t i = 0; i < s->n; i++)
        if (strcmp(s->entries[i].path, path) != 0)
            s->entries[out++] = s->entries[i];
    s->n = out;
}

void stage_mkdir(struct stage *s, const char *path, mode_t mode)
{
    struct stage_found found;
    if (strcmp(path, "/") == 0 || stage_walk(s, path, STAGE_PROBE | STAGE_IMAGE_ONLY, &found) == 0)
        return;
    char *parent = xstrndup(path, (size_t)(path_base(path) - path));
    size_t n = strlen(parent);
    while (n > 1 && parent[n - 1] == '/')
        parent[--n] = 0;
    stage_mkdir(s, parent, 0755);
    if (stage_walk(s, parent, STAGE_PROBE | STAGE_IMAGE_ONLY, &found) < 0 ||
        !S_ISDIR(found.st.st_mode))
        fail(parent, "must be a directory in the image, but --root has something else there");
    char *real = path_join(found.path, path_base(path));
    char *host = stage_host(s, real);
    if (mkdir(host, 0700) < 0)
        fail_errno(real, errno, "cannot make the directory");
    struct stat st = { .st_mode = S_IFDIR | mode };
    stage_note(s, real, &st, 0);
}

/* Make the parent of path; the path with the links of its parent resolved. */
static char *resolve_parent(struct stage *s, const char *path)
{
    size_t n = (size_t)(path_base(path) - path);
    char *parent = n > 1 ? xstrndup(path, n - 1) : xstrdup("/");
    struct stage_found found;
    stage_mkdir(s, parent, 0755);
    int err = stage_walk(s, parent, STAGE_PROBE | STAGE_IMAGE_ONLY, &found);
    if (err < 0 || !S_ISDIR(found.st.st_mode))
        fail(parent, "must be a directory in the image, but --root has something else there");
    return path_join(found.path, path_base(path));
}

void stage_text(struct stage *s, const char *path, const char *text)
{
    stage_bytes(s, path, text, strlen(text));
}

void stage_bytes(struct stage *s, const char *path, const void *p, size_t n)
{
    char *real = resolve_parent(s, path);
    if (stage_has(s, real))
        return;
    char *host = stage_host(s, real);
    int fd = open(host, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0644);
    if (fd < 0)
        fail_errno(real, errno, "cannot write");
    write_all(fd, p, n, host);
    struct stat st = { .st_mode = S_IFREG | 0644, .st_size = (off_t)n };
    finish_file(fd, stage_note(s, real, &st, 0), host);
}

void stage_link(struct stage *s, const char *path, const char *target)
{
    char *real = resolve_parent(s, path);
    if (stage_has(s, real))
        return;
    if (symlink(target, stage_host(s, real)) < 0)
        fail_errno(real, errno, "cannot make the link");
    struct stat st = { .st_mode = S_IFLNK | 0777, .st_size = (off_t)strlen(target) };
    stage_note(s, real, &st, 0);
}

/* Copy a regular file to a staged path whose parent exists and which does not. */
static void copy_file(struct stage *s, const char *source, const char *real, unsigned flags)
{
    struct stat st;
    int in = open(source, O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOFOLLOW);
    if (in < 0 || fstat(in, &st) < 0)
        fail_errno(source, errno, "cannot read");
    if (!S_ISREG(st.st_mode))
        fail(source, "changed while it was read; try again");
    char *host = stage_host(s, real);
    int out = open(host, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, st.st_mode & 0777);
    if (out < 0)
        fail_errno(host, errno, "cannot write");
    copy_range(in, out, 0, (uint64_t)st.st_size, host);
    close(in);
    finish_file(out, stage_note(s, real, &st, flags), host);
}

void stage_copy(struct stage *s, const char *source, const char *dest, unsigned flags)
{
    char *real = resolve_parent(s, dest);
    char *from = realpath(source, NULL);
    if (!from)
        fail_errno(source, errno, "cannot read");
    if (stage_has(s, real))
        stage_unlink(s, real);
    copy_file(s, from, real, flags);
}

/* Target of a link, or NULL with errno. */
static char *read_link(const char *path)
{
    char target[PATH_MAX];
    ssize_t n = readlink(path, target, sizeof(target) - 1);
    return n < 0 ? NULL : xstrndup(target, (size_t)n);
}

/* Add what lies at source on the host under the clean image path path. */
static int add_from_host(struct stage *s, const char *path, const char *source,
                         const struct stat *st, unsigned flags)
{
    char *host = stage_host(s, path);
    if (S_ISDIR(st->st_mode)) {
        if (mkdir(host, 0700) < 0)
            return -errno;
        struct stat made = { .st_mode = S_IFDIR | (st->st_mode & 07777) };
        stage_note(s, path, &made, 0);
    } else if (S_ISLNK(st->st_mode)) {
        char *target = read_link(source);
        if (!target || symlink(target, host) < 0)
            return -errno;
        stage_note(s, path, st, 0);
    } else {
        copy_file(s, source, path, flags);
    }
    return 0;
}

/* The state of one walk. */
struct walk {
    char *at;   /* where it is: clean, "" is the root */
    char *rest; /* what remains */
    int links;
    bool on_host;
    struct stat st;
    char *source;
};

/* Look up one name in w->at. 0 or -errno. */
static int lookup(struct stage *s, struct walk *w, const char *path, unsigned flags)
{
    w->source = stage_host(s, path);
    w->on_host = false;
    if (lstat(w->source, &w->st) == 0)
        return 0;
    if (errno != ENOENT || flags & STAGE_IMAGE_ONLY)
        return -errno;
    w->source = xstrdup(path);
    w->on_host = true;
    if (lstat(path, &w->st) < 0)
        return -errno;
    if (!S_ISREG(w->st.st_mode) && !S_ISDIR(w->st.st_mode) && !S_ISLNK(w->st.st_mode))
        return -EINVAL;
    return 0;
}

static char *parent_of(const char *path)
{
    const char *slash = strrchr(path, '/');
    return slash ? xstrndup(path, (size_t)(slash - path)) : xstrdup("");
}

/* Go one component on. 1: there is more to do, 0: done, -errno. */
static int step(struct stage *s, struct walk *w, unsigned flags)
{
    w->rest += strspn(w->rest, "/");
    if (!*w->rest)
        return 0;
    size_t n = strcspn(w->rest, "/");
    char *name = xstrndup(w->rest, n);
    w->rest += n;
    if (strcmp(name, ".") == 0)
        return 1;
    if (strcmp(name, "..") == 0) {
        w->at = parent_of(w->at);
        return 1;
    }
    char *path = xprintf("%s/%s", w->at, name);
    bool last = w->rest[strspn(w->rest, "/")] == 0;
    int err = lookup(s, w, path, flags);
    if (!err && w->on_host && !(flags & STAGE_PROBE))
        err = add_from_host(s, path, w->source, &w->st, flags);
    if (err)
        return err;
    if (S_ISLNK(w->st.st_mode) && !(last && flags & STAGE_NOFOLLOW)) {
        char *target = read_link(w->source);
        if (!target)
            return -errno;
        if (++w->links > LINKS_MAX)
            return -ELOOP;
        w->rest = xprintf("%s/%s", target, w->rest);
        if (target[0] == '/')
            w->at = xstrdup("");
        return 1;
    }
    if (!last && !S_ISDIR(w->st.st_mode))
        return -ENOTDIR;
    w->at = path;
    return 1;
}

int stage_walk(struct stage *s, const char *path, unsigned flags, struct stage_found *ret)
{
    struct walk w = { .at = xstrdup(""), .rest = xstrdup(path) };
    int more;
    while ((more = step(s, &w, flags)) > 0)
        ;
    if (more < 0)
        return more;
    if (!*w.at)
        w.at = xstrdup("/");
    /* After ".." or for the root, st is of another place. */
    struct walk end = { 0 };
    int err = lookup(s, &end, w.at, flags);
    if (err)
        return err;
    *ret = (struct stage_found){
        .path = w.at, .source = end.source, .st = end.st, .on_host = w.on_host
    };
    return 0;
}

static bool skipped(const struct list *skip, const char *path)
{
    for (size_t i = 0; skip && i < skip->n; i++)
        if (fnmatch(skip->v[i], path, 0) == 0)
            return true;
    return false;
}

static void tree_below(struct stage *s, const char *dir, const struct list *skip);

/* One name of a directory of a tree, whose path has no links. A link is added with what it names, but does not lead into
 * another tree. */
static void tree_child(struct stage *s, const char *child, const struct list *skip)
{
    struct stage_found found;
    struct stat st, staged;
    if (lstat(child, &st) < 0 || skipped(skip, child))
        return;
    if (lstat(stage_host(s, child), &staged) == 0)
        st = staged;
    else if (S_ISREG(st.st_mode) || S_ISDIR(st.st_mode) || S_ISLNK(st.st_mode))
        (void)add_from_host(s, child, child, &st, STAGE_KEEP_TIME);
    if (S_ISDIR(st.st_mode))
        tree_below(s, child, skip);
    else if (S_ISLNK(st.st_mode))
        (void)stage_walk(s, child, STAGE_KEEP_TIME, &found);
}

static void tree_below(struct stage *s, const char *dir, const struct list *skip)
{
    struct dirent **names;
    int n = scandir(dir, &names, NULL, alphasort);
    for (int i = 0; i < n; i++) {
        if (strcmp(names[i]->d_name, ".") != 0 && strcmp(names[i]->d_name, "..") != 0)
            tree_child(s, path_join(dir, names[i]->d_name), skip);
        free(names[i]);
    }
    if (n >= 0)
        free(names);
}

void stage_tree(struct stage *s, const char *path, const struct list *skip)
{
    struct stage_found found;
    if (!skipped(skip, path) && stage_walk(s, path, STAGE_KEEP_TIME, &found) == 0 &&
        S_ISDIR(found.st.st_mode))
        tree_below(s, found.path, skip);
}

static void finish_one(const struct stage *s, const struct stage_entry *e, bool later)
{
    char *host = stage_host(s, e->path);
    struct timespec times[2] = { e->mtime, e->mtime };
    if (later) {
        if (utimensat(AT_FDCWD, host, times, AT_SYMLINK_NOFOLLOW) < 0)
            fail_errno(host, errno, "cannot set the time");
        return;
    }
    if ((e->uid || e->gid) && lchown(host, e->uid, e->gid) < 0)
        fail_errno(host, errno, "cannot set the owner");
    /* Files were finished when they were written, but for the bits that a write or a new owner takes away. */
    if ((S_ISDIR(e->mode) || e->mode & 07000) && !S_ISLNK(e->mode) &&
        chmod(host, e->mode & 07777) < 0)
        fail_errno(host, errno, "cannot set the mode");
    if (!S_ISREG(e->mode) && utimensat(AT_FDCWD, host, times, AT_SYMLINK_NOFOLLOW) < 0)
        fail_errno(host, errno, "cannot set the time");
}

static int deepest_first(const void *a, const void *b)
{
    return strcmp(((const struct stage_entry *)b)->path, ((const struct stage_entry *)a)->path);
}

void stage_finish(struct stage *s, bool later, int64_t *ret_newest)
{
    int64_t newest = 0;
    /* By path, backwards: a directory comes after what is in it, since it may be left without write permission. */
    qsort(s->entries, s->n, sizeof(*s->entries), deepest_first);
    for (size_t i = 0; i < s->n; i++) {
        finish_one(s, &s->entries[i], later);
        int64_t t = s->entries[i].mtime.tv_sec + (s->entries[i].mtime.tv_nsec != 0);
        newest = t > newest ? t : newest;
    }
    *ret_newest = newest;
}
