/* SPDX-License-Identifier: MIT */
/* POSIX access control lists: their attributes, what they permit, how they and the mode change each other, and how a
 * directory's default list is inherited. acl(5). */
#define _GNU_SOURCE
#include <t_file.h>

#include <grp.h>
#include <sys/wait.h>
#include <sys/xattr.h>
#include <unistd.h>

#define ACCESS  "system.posix_acl_access"
#define DEFAULT "system.posix_acl_default"

enum { USER_OBJ = 1, USER = 2, GROUP_OBJ = 4, GROUP = 8, MASK = 16, OTHER = 32 };

struct entry {
    uint16_t tag, perm;
    uint32_t id;
};
struct list {
    uint32_t version;
    struct entry e[8];
};
#define NOBODY  0xffffffffu
#define SIZE(n) (4 + (n) * sizeof(struct entry))

/* u::rw-, u:1000:r--, g::r--, g:2000:rw-, m::rw-, o::--- */
static const struct list mixed = { 2,
                                   { { USER_OBJ, 6, NOBODY },
                                     { USER, 4, 1000 },
                                     { GROUP_OBJ, 4, NOBODY },
                                     { GROUP, 6, 2000 },
                                     { MASK, 6, NOBODY },
                                     { OTHER, 0, NOBODY } } };

static long mode_of(const char *path)
{
    struct stat st;
    return stat(path, &st) ? -errno : (long)(st.st_mode & 07777);
}

static long set(const char *path, const char *name, const struct list *l, size_t n)
{
    return setxattr(path, name, l, SIZE(n), 0) ? -errno : 0;
}

static long get(const char *path, const char *name, struct list *l)
{
    memset(l, 0, sizeof(*l));
    ssize_t n = getxattr(path, name, l, sizeof(*l));
    return n < 0 ? -errno : n;
}

/* What open says to uid, gid and one more group. */
static long try(const char *path, uid_t uid, gid_t gid, gid_t more, int flags)
{
    int status = 0;
    pid_t pid = fork();
    if (pid == 0) {
        if (setgroups(more != 0, &more) || setresgid(gid, gid, gid) || setresuid(uid, uid, uid))
            _exit(255);
        int fd = open(path, flags);
        _exit(fd < 0 ? errno : 0);
    }
    waitpid(pid, &status, 0);
    return WEXITSTATUS(status);
}

static void attributes(void)
{
    struct list l, bad = mixed;
    char names[256];
    t_write("f", "x");
    CHECK(0, chmod("f", 0640));
    CHECK(-ENODATA, get("f", ACCESS, &l));
    CHECK(0, set("f", ACCESS, &mixed, 6));
    CHECK(0660, mode_of("f")); /* the group bits show the mask */
    CHECK((long)SIZE(6), get("f", ACCESS, &l));
    CHECK(0, memcmp(&l, &mixed, SIZE(6)));
    CHECK(-1, getxattr("f", ACCESS, &l, 10));
    CHECK(ERANGE, errno);
    CHECK((long)SIZE(6), getxattr("f", ACCESS, NULL, 0));
    ssize_t n = listxattr("f", names, sizeof(names));
    CHECK((long)sizeof(ACCESS), n);
    CHECK(0, strcmp(names, ACCESS));
    bad.version = 1;
    CHECK(-EOPNOTSUPP, set("f", ACCESS, &bad, 6));
    bad = mixed;
    CHECK(-EINVAL, set("f", ACCESS, &bad, 5)); /* no OTHER */
    bad.e[1].perm = 9;
    CHECK(-EINVAL, set("f", ACCESS, &bad, 6));
    bad = mixed;
    bad.e[4].tag = OTHER; /* named entries need a mask */
    CHECK(-EINVAL, set("f", ACCESS, &bad, 5));
    bad = mixed;
    bad.e[0].tag = USER; /* out of order, none for the owner */
    CHECK(-EINVAL, set("f", ACCESS, &bad, 6));
    bad.e[0].tag = 3;
    CHECK(-EINVAL, set("f", ACCESS, &bad, 6));
    CHECK(-1, setxattr("f", ACCESS, &mixed, 3, 0));
    CHECK(EINVAL, errno);
    CHECK(-1, setxattr("f", ACCESS, &mixed, SIZE(6) - 1, 0));
    CHECK(EINVAL, errno);
    CHECK(-EACCES, set("f", DEFAULT, &mixed, 6)); /* directories only */
    CHECK(-ENODATA, get("f", DEFAULT, &l));
    CHECK(0, removexattr("f", ACCESS));
    CHECK(-ENODATA, get("f", ACCESS, &l));
    CHECK(0660, mode_of("f")); /* the mode stays as it was */
    CHECK(0, removexattr("f", ACCESS));
    CHECK(0, set("f", ACCESS, &mixed, 6));
    CHECK(0, setxattr("f", ACCESS, NULL, 0, 0)); /* an empty value removes it */
    CHECK(-ENODATA, get("f", ACCESS, &l));
    CHECK(0, symlink("f", "l"));
    CHECK(-1, (long)lsetxattr("l", ACCESS, &mixed, SIZE(6), 0));
    CHECK(EOPNOTSUPP, errno);
    CHECK(-1, (long)lgetxattr("l", ACCESS, names, sizeof(names)));
    CHECK(EOPNOTSUPP, errno);
    /* One that says no more than a mode becomes one. */
    const struct list plain = {
        2, { { USER_OBJ, 7, NOBODY }, { GROUP_OBJ, 5, NOBODY }, { OTHER, 1, NOBODY } }
    };
    CHECK(0, set("f", ACCESS, &plain, 3));
    CHECK(0751, mode_of("f"));
    CHECK(-ENODATA, get("f", ACCESS, &l));
    unlink("l");
    unlink("f");
}

static void permissions(void)
{
    t_write("f", "x");
    CHECK(0, chmod(".", 0755));
    CHECK(0, chown("f", 500, 600));
    CHECK(0, set("f", ACCESS, &mixed, 6));
    CHECK(0, try("f", 500, 1, 0, O_RDWR));    /* the owner */
    CHECK(0, try("f", 1000, 1, 0, O_RDONLY)); /* the named user */
    CHECK(EACCES, try("f", 1000, 1, 0, O_RDWR));
    CHECK(EACCES, try("f", 1000, 2000, 0, O_RDWR)); /* for whom no group counts */
    CHECK(0, try("f", 501, 600, 0, O_RDONLY));      /* the group */
    CHECK(EACCES, try("f", 501, 600, 0, O_WRONLY));
    CHECK(0, try("f", 501, 2000, 0, O_RDWR)); /* a named group */
    CHECK(0, try("f", 501, 1, 2000, O_RDWR));
    CHECK(0, try("f", 501, 600, 2000, O_RDWR));   /* the better of two */
    CHECK(EACCES, try("f", 501, 1, 0, O_RDONLY)); /* all others */
    CHECK(0, chmod("f", 0644));                   /* the mask, not the group's entry */
    struct list l;
    CHECK((long)SIZE(6), get("f", ACCESS, &l));
    CHECK(4, l.e[4].perm);
    CHECK(4, l.e[2].perm);
    CHECK(6, l.e[3].perm);
    CHECK(4, l.e[5].perm);
    CHECK(EACCES, try("f", 501, 2000, 0, O_RDWR));
    CHECK(0, try("f", 501, 2000, 0, O_RDONLY));
    CHECK(0, try("f", 501, 1, 0, O_RDONLY));
    CHECK(0, chmod("f", 0604)); /* an empty mask: nothing for the named */
    CHECK(EACCES, try("f", 501, 600, 0, O_RDONLY));
    /* A named group that permits less than others have. */
    struct list none = mixed;
    none.e[3].perm = 0;
    none.e[5].perm = 6;
    CHECK(0, set("f", ACCESS, &none, 6));
    CHECK(EACCES, try("f", 501, 2000, 0, O_RDONLY));
    CHECK(0, try("f", 501, 1, 0, O_RDWR));
    /* Only the owner changes it. */
    pid_t pid = fork();
    int status = 0;
    if (pid == 0) {
        setresuid(501, 501, 501);
        _exit(set("f", ACCESS, &mixed, 6) == -EPERM && removexattr("f", ACCESS) == -1 &&
                      errno == EPERM
                  ? 0
                  : 1);
    }
    waitpid(pid, &status, 0);
    CHECK(0, status);
    unlink("f");
}

static void inheritance(void)
{
    struct list l;
    /* d:u::rwx, d:u:1000:rwx, d:g::r-x, d:m::rwx, d:o::--- */
    const struct list def = { 2,
                              { { USER_OBJ, 7, NOBODY },
                                { USER, 7, 1000 },
                                { GROUP_OBJ, 5, NOBODY },
                                { MASK, 7, NOBODY },
                                { OTHER, 0, NOBODY } } };
    umask(077);
    CHECK(0, mkdir("d", 0777));
    CHECK(0700, mode_of("d"));
    CHECK(0, set("d", DEFAULT, &def, 5));
    CHECK(0700, mode_of("d")); /* it says nothing about the directory itself */
    CHECK(-ENODATA, get("d", ACCESS, &l));
    CHECK((long)SIZE(5), get("d", DEFAULT, &l));
    int fd = open("d/f", O_CREAT | O_RDWR, 0666); /* the mask of the process does not count */
    CHECK(true, fd >= 0);
    close(fd);
    CHECK(0660, mode_of("d/f"));
    CHECK((long)SIZE(5), get("d/f", ACCESS, &l));
    CHECK(6, l.e[0].perm);
    CHECK(7, l.e[1].perm);
    CHECK(5, l.e[2].perm);
    CHECK(6, l.e[3].perm); /* what open asked for limits the mask */
    CHECK(0, l.e[4].perm);
    CHECK(-ENODATA, get("d/f", DEFAULT, &l));
    CHECK(0, mkdir("d/sub", 0755));
    CHECK(0750, mode_of("d/sub"));
    CHECK((long)SIZE(5), get("d/sub", ACCESS, &l));
    CHECK(5, l.e[3].perm);
    CHECK((long)SIZE(5), get("d/sub", DEFAULT, &l));
    CHECK(7, l.e[3].perm);
    CHECK(0, mknod("d/p", S_IFIFO | 0600, 0));
    CHECK(0600, mode_of("d/p"));
    CHECK((long)SIZE(5), get("d/p", ACCESS, &l));
    CHECK(0, l.e[3].perm);
    CHECK(0, symlink("x", "d/l"));
    CHECK(0, removexattr("d", DEFAULT));
    CHECK(-ENODATA, get("d", DEFAULT, &l));
    fd = open("d/g", O_CREAT | O_RDWR, 0666);
    close(fd);
    CHECK(0600, mode_of("d/g"));
    /* A default list that is no more than a mode. */
    const struct list plain = {
        2, { { USER_OBJ, 7, NOBODY }, { GROUP_OBJ, 4, NOBODY }, { OTHER, 4, NOBODY } }
    };
    CHECK(0, set("d", DEFAULT, &plain, 3));
    fd = open("d/h", O_CREAT | O_RDWR, 0666);
    close(fd);
    CHECK(0644, mode_of("d/h"));
    CHECK(-ENODATA, get("d/h", ACCESS, &l));
    fd = open("d", O_TMPFILE | O_RDWR, 0666);
    if (fd >= 0) {
        struct stat st;
        fstat(fd, &st);
        CHECK(S_IFREG | 0644, st.st_mode);
        close(fd);
    }
    char names[256];
    ssize_t n = listxattr("d", names, sizeof(names));
    CHECK((long)sizeof(DEFAULT), n);
    umask(022);
    for (const char *const *p = (const char *const[]){ "f", "p", "l", "g", "h", NULL }; *p; p++) {
        char path[16];
        snprintf(path, sizeof(path), "d/%s", *p);
        unlink(path);
    }
    rmdir("d/sub");
    rmdir("d");
}

int main(int argc, char **argv)
{
    if (argc > 1) { /* another file system */
        CHECK(0, chdir(argv[1]));
        snprintf(t_dir, sizeof(t_dir), "%s", argv[1]);
    } else {
        t_enter();
    }
    attributes();
    permissions();
    inheritance();
    return argc > 1 ? t_end() : t_leave();
}
