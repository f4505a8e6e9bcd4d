/* SPDX-License-Identifier: MIT */
/* The user that the program runs as, and the few files of /etc that libc asks for. A file that --root brought stays. */
#include "pack.h"

#include <errno.h>
#include <grp.h>
#include <pwd.h>
#include <stdlib.h>
#include <string.h>

enum { PASSWD_MAX = 1 << 20 };

struct identity {
    uint32_t uid, gid;
    const char *name, *group, *home, *shell;
};

static bool number(const char *s, uint32_t *ret)
{
    char *end;
    errno = 0;
    unsigned long v = strtoul(s, &end, 10);
    if (*s < '0' || *s > '9' || *end || errno || v >= UINT32_MAX)
        return false;
    *ret = (uint32_t)v;
    return true;
}

/* The fields of the line of a passwd or group file whose field 0 is name, or field 2 is id when name is NULL. */
static bool file_entry(struct stage *s, const char *path, const char *name, uint32_t id,
                       char *fields[7])
{
    struct stage_found found;
    struct buf b = { 0 };
    if (stage_walk(s, path, STAGE_PROBE | STAGE_IMAGE_ONLY, &found) < 0 ||
        file_read(found.source, PASSWD_MAX, &b) < 0)
        return false;
    for (char *line = b.s, *next; line; line = next) {
        next = strchr(line, '\n');
        if (next)
            *next++ = 0;
        size_t n = 0;
        uint32_t v;
        for (char *f; n < 7 && (f = strsep(&line, ":"));)
            fields[n++] = f;
        while (n < 7)
            fields[n++] = (char *)"";
        if (name ? strcmp(fields[0], name) == 0 : number(fields[2], &v) && v == id)
            return true;
    }
    return false;
}

static void lookup_user(struct stage *s, const char *user, bool here, struct identity *id)
{
    char *f[7];
    bool numeric = number(user, &id->uid);
    if (file_entry(s, "/etc/passwd", numeric ? NULL : user, id->uid, f)) {
        if (!number(f[2], &id->uid) || !number(f[3], &id->gid))
            fail("/etc/passwd", "of --root has a bad line for user '%s'", user);
        id->name = f[0];
        id->home = *f[5] ? f[5] : "/";
        return;
    }
    const struct passwd *pw = !here ? NULL : numeric ? getpwuid(id->uid) : getpwnam(user);
    if (pw) {
        *id = (struct identity){ pw->pw_uid, pw->pw_gid,          xstrdup(pw->pw_name),
                                 NULL,       xstrdup(pw->pw_dir), NULL };
    } else if (numeric) {
        id->gid = here ? id->uid : 0; /* what container engines take */
        id->name = xprintf("user%u", id->uid);
        id->home = "/";
    } else {
        fail(user, "is not a user of %sthe image; give a number: --user UID[:GID]",
             here ? "this machine or of " : "");
    }
}

static void lookup_group(struct stage *s, const char *group, bool here, struct identity *id)
{
    char *f[7];
    if (number(group, &id->gid))
        return;
    if (file_entry(s, "/etc/group", group, 0, f) && number(f[2], &id->gid))
        return;
    const struct group *gr = here ? getgrnam(group) : NULL;
    if (!gr)
        fail(group, "is not a group of %sthe image; give a number: --user UID:GID",
             here ? "this machine or of " : "");
    id->gid = gr->gr_gid;
}

static void etc_files(struct stage *s, const struct identity *id, const char *hostname)
{
    struct buf passwd = { 0 }, group = { 0 };
    buf_str(&passwd, "root:x:0:0:root:/root:/bin/sh\n");
    buf_str(&group, "root:x:0:\n");
    if (id->uid != 0 && id->uid != 65534)
        buf_printf(&passwd, "%s:x:%u:%u:%s:%s:/bin/sh\n", id->name, id->uid, id->gid, id->name,
                   id->home);
    if (id->gid != 0 && id->gid != 65534)
        buf_printf(&group, "%s:x:%u:\n", id->name, id->gid);
    /* As which servers run their workers; Debian's number for it never changes. */
    if (id->uid != 33)
        buf_str(&passwd, "www-data:x:33:33:www-data:/var/www:/usr/sbin/nologin\n");
    if (id->gid != 33)
        buf_str(&group, "www-data:x:33:\n");
    buf_str(&passwd, "nobody:x:65534:65534:nobody:/nonexistent:/usr/sbin/nologin\n");
    buf_str(&group, "nogroup:x:65534:\n");
    stage_text(s, "/etc/passwd", passwd.s);
    stage_text(s, "/etc/group", group.s);
    stage_text(s, "/etc/hostname", xprintf("%s\n", hostname));
    stage_text(s, "/etc/hosts",
               xprintf("127.0.0.1 localhost%s%s\n::1 localhost\n",
                       strcmp(hostname, "localhost") ? " " : "",
                       strcmp(hostname, "localhost") ? hostname : ""));
    stage_text(s, "/etc/nsswitch.conf",
               "passwd: files\ngroup: files\nhosts: files dns\nnetworks: files\n"
               "protocols: files\nservices: files\n");
}

static struct identity find_identity(struct stage *s, const char *user, bool here)
{
    struct identity id = { .name = "root", .home = "/root" };
    if (user) {
        char *name = xstrdup(user), *group = strchr(name, ':');
        if (group)
            *group++ = 0;
        if (!*name || (group && !*group))
            fail(user, "is not a user; write --user UID[:GID] or --user NAME[:GROUP]");
        lookup_user(s, name, here, &id);
        if (group)
            lookup_group(s, group, here, &id);
    }
    return id;
}

void identity_add(struct stage *s, const char *user, const char *hostname, uint32_t *ret_uid,
                  uint32_t *ret_gid, char **ret_home)
{
    struct identity id = find_identity(s, user, true);
    etc_files(s, &id, hostname);
    *ret_uid = id.uid;
    *ret_gid = id.gid;
    *ret_home = xstrdup(id.home);
}

void identity_of_image(struct stage *s, const char *user, const char *hostname, uint32_t *ret_uid,
                       uint32_t *ret_gid, char **ret_home)
{
    struct identity id = find_identity(s, user ? user : "0", false);
    etc_files(s, &id, hostname);
    *ret_uid = id.uid;
    *ret_gid = id.gid;
    *ret_home = xstrdup(id.home);
}
