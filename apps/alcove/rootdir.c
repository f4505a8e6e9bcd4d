/* SPDX-License-Identifier: MIT */
/* --root DIR: merge a directory of the user's over the tree. Links mean what they will mean in the image, where DIR is
 * the root: an absolute link starts at DIR. What an image cannot hold, or what would silently mean something else
 * there, ends the command with one line that names it. */
#include "stage.h"

#include <dirent.h>
#include <errno.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

struct root {
    struct stage *stage;
    bool keep_ids;
};

static void merge(const struct root *r, const char *source, const char *path, int depth);

/* A relative link with more ".." than there are directories above it would name a file outside of DIR. */
static bool leaves_root(const char *target, const char *path)
{
    int depth = 0;
    if (target[0] != '/')
        for (const char *c = path; *c; c++)
            depth += *c == '/';
    depth -= target[0] != '/';
    while (*target) {
        size_t n = strcspn(target, "/");
        if (n == 2 && target[0] == '.' && target[1] == '.')
            depth--;
        else if (n && !(n == 1 && target[0] == '.'))
            depth++;
        if (depth < 0)
            return true;
        target += n;
        target += strspn(target, "/");
    }
    return false;
}

static void merge_link(const struct root *r, const char *source, const char *path,
                       const struct stat *st)
{
    char target[PATH_MAX];
    ssize_t n = readlink(source, target, sizeof(target) - 1);
    if (n < 0)
        fail_errno(source, errno, "cannot read the link");
    target[n] = 0;
    if (leaves_root(target, path))
        fail(source, "is a link to '%s', which is outside of the root directory; copy the file in",
             target);
    if (symlink(target, stage_host(r->stage, path)) < 0)
        fail_errno(source, errno, "cannot copy the link");
    stage_note(r->stage, path, st, STAGE_KEEP_TIME)->from_root = xstrdup(source);
}

static const char *odd_kind(mode_t mode)
{
    return S_ISCHR(mode) || S_ISBLK(mode) ? "a device"
           : S_ISFIFO(mode)               ? "a FIFO"
           : S_ISSOCK(mode)               ? "a socket"
                                          : "odd";
}

/* What an earlier --root put at this path gives way, unless only one of the two is a directory. */
static void make_room(const struct root *r, const char *source, const char *path,
                      const struct stat *st)
{
    struct stat old;
    if (lstat(stage_host(r->stage, path), &old) < 0)
        return;
    if (S_ISDIR(old.st_mode) != S_ISDIR(st->st_mode))
        fail(source, "is %s, but an earlier --root has %s there; make them agree",
             S_ISDIR(st->st_mode) ? "a directory" : "not a directory",
             S_ISDIR(old.st_mode) ? "a directory" : "none");
    if (!S_ISDIR(st->st_mode))
        stage_unlink(r->stage, path);
}

static void set_entry(const struct root *r, const char *path, const struct stat *st)
{
    struct stage_entry *e = stage_find(r->stage, path);
    if (S_ISDIR(st->st_mode)) {
        e->mode = st->st_mode;
        e->mtime = st->st_mtim;
        if (r->stage->have_epoch && e->mtime.tv_sec >= r->stage->epoch)
            e->mtime = (struct timespec){ .tv_sec = (time_t)r->stage->epoch };
        if (e->mtime.tv_sec < 0)
            e->mtime = (struct timespec){ 0 };
    }
    if (r->keep_ids) {
        e->uid = st->st_uid;
        e->gid = st->st_gid;
    }
}

static void merge_one(const struct root *r, const char *source, const char *path, int depth)
{
    struct stat st;
    if (lstat(source, &st) < 0)
        fail_errno(source, errno, "cannot read");
    if (!S_ISDIR(st.st_mode) && !S_ISREG(st.st_mode) && !S_ISLNK(st.st_mode))
        fail(source,
             "is %s; --root takes files, directories and links only: leave it out (the image has "
             "its own /dev)",
             odd_kind(st.st_mode));
    make_room(r, source, path, &st);
    if (S_ISLNK(st.st_mode))
        merge_link(r, source, path, &st);
    else if (S_ISREG(st.st_mode))
        stage_copy(r->stage, source, path, STAGE_KEEP_TIME);
    else
        stage_mkdir(r->stage, path, st.st_mode & 07777);
    set_entry(r, path, &st);
    if (S_ISDIR(st.st_mode))
        merge(r, source, path, depth + 1);
}

static void merge(const struct root *r, const char *source, const char *path, int depth)
{
    struct dirent **names;
    if (depth > 128)
        fail(source, "is more than 128 directories deep");
    int n = scandir(source, &names, NULL, alphasort);
    if (n < 0)
        fail_errno(source, errno, "cannot read the directory");
    for (int i = 0; i < n; i++) {
        if (strcmp(names[i]->d_name, ".") != 0 && strcmp(names[i]->d_name, "..") != 0)
            merge_one(r, path_join(source, names[i]->d_name), path_join(path, names[i]->d_name),
                      depth);
        free(names[i]);
    }
    free(names);
}

void stage_root(struct stage *s, const char *root, bool keep_ids)
{
    struct stat st;
    struct root r = { .stage = s, .keep_ids = keep_ids };
    if (stat(root, &st) < 0)
        fail_errno(root, errno, "cannot read the root directory");
    if (!S_ISDIR(st.st_mode))
        fail(root, "is not a directory; --root takes a directory");
    set_entry(&r, "/", &st);
    merge(&r, root, "/", 0);
}

/* Directories whose content only exists in the running system. */
static bool made_at_run_time(const char *path)
{
    static const char *const dirs[] = { "/proc",    "/sys", "/dev",    "/run",
                                        "/var/run", "/tmp", "/var/tmp" };
    for (size_t i = 0; i < sizeof(dirs) / sizeof(*dirs); i++)
        if (path_under(path, dirs[i]))
            return true;
    return false;
}

void stage_check_links(struct stage *s)
{
    for (size_t i = 0; i < s->n; i++) {
        struct stage_found found;
        const struct stage_entry *e = &s->entries[i];
        if (!e->from_root || stage_walk(s, e->path, STAGE_PROBE | STAGE_IMAGE_ONLY, &found) == 0)
            continue;
        char target[PATH_MAX];
        ssize_t n = readlink(e->from_root, target, sizeof(target) - 1);
        target[n < 0 ? 0 : n] = 0;
        if (!made_at_run_time(target))
            fail(e->from_root,
                 "is a link to '%s', which is not in the image; add the file or remove the link",
                 target);
    }
}
