/* SPDX-License-Identifier: MIT */
/* What an image itself says of its volumes: `alcove build -v DISK:/DIR --key /DIR=attest:URL`, and the disks that `alcove run -v` gives
 * to an image that was built so. */
#include "seal.h"

#include "cmdline.h"
#include "volume.h"

#include <alcove/keyrelease.h>
#include <string.h>

static const char *const disks[] = { "UUID=", "LABEL=", "PARTUUID=", "PARTLABEL=", "SERIAL=" };

static bool disk_named(const char *s)
{
    for (size_t i = 0; i < sizeof(disks) / sizeof(*disks); i++)
        if (strncmp(s, disks[i], strlen(disks[i])) == 0)
            return s[strlen(disks[i])] != 0;
    return strncmp(s, "vd", 2) == 0 || strncmp(s, "nvme", 4) == 0;
}

/* attest:http://A.B.C.D[:PORT]#FINGERPRINT, as the library OS will read it. */
static void check_server(const char *option, const char *s)
{
    const char *hash = strchr(s, '#');
    if (strncmp(s, "attest:http://", 14) != 0 || !hash || strlen(hash + 1) != 64 ||
        strspn(hash + 1, "0123456789abcdef") != 64 ||
        strspn(s + 14, "0123456789.:/") != (size_t)(hash - s) - 14)
        fail("--key",
             "'%s' is not /DIR=attest:http://A.B.C.D[:PORT]#FINGERPRINT (the fingerprint "
             "is what alcove keyserver prints)",
             option);
}

/* The server that --key names for point; NULL: none does. */
static const char *server_of(const struct list *keys, const char *point, bool *used)
{
    size_t n = strlen(point);
    for (size_t i = 0; i < keys->n; i++)
        if (strncmp(keys->v[i], point, n) == 0 && keys->v[i][n] == '=') {
            check_server(keys->v[i], keys->v[i] + n + 1);
            used[i] = true;
            return keys->v[i] + n + 1;
        }
    return NULL;
}

static void add_mount(const char *text, const struct list *keys, bool *used, struct list *mounts)
{
    char *disk = xstrdup(text);
    bool ro = ends_with(disk, ":ro");
    if (ro || ends_with(disk, ":rw"))
        disk[strlen(disk) - 3] = 0;
    char *point = strrchr(disk, ':');
    if (!point || point[1] != '/' || !point[2] || strpbrk(text, " \""))
        fail("-v", "'%s' is not DISK:/DIRECTORY[:ro]", text);
    *point++ = 0;
    if (!disk_named(disk))
        fail("-v",
             "'%s' names no disk of a VM: UUID=, LABEL=, PARTUUID=, PARTLABEL=, SERIAL=, vda, "
             "nvme0n1 ...",
             disk);
    const char *key = server_of(keys, point, used);
    list_add(mounts, xprintf("%s:%s:%s%s%s%s%s", disk, key ? "luks2+ext4" : "ext4", point,
                             ro || key ? ":" : "", ro ? (key ? "ro," : "ro") : "",
                             key ? "key=" : "", key ? key : ""));
}

void seal_mounts(const struct list *volumes, const struct list *keys, struct list *mounts)
{
    bool *used = xcalloc(keys->n + 1, sizeof(*used));
    for (size_t i = 0; i < volumes->n; i++)
        add_mount(volumes->v[i], keys, used, mounts);
    for (size_t i = 0; i < keys->n; i++)
        if (!used[i])
            fail("--key", "'%s' names no volume of -v", keys->v[i]);
}

void seal_check(const struct pack_spec *spec)
{
    if (spec->sealed && spec->verity && strcmp(spec->verity, "off") == 0)
        fail("--sealed", "needs the root to be verified; leave --verity off out");
    for (size_t i = 0; spec->sealed && i < spec->mounts.n; i++)
        if (!strstr(spec->mounts.v[i], ":ro") && !strstr(spec->mounts.v[i], "key=attest:"))
            say("warning: %s is written without encryption", spec->mounts.v[i]);
}

void seal_attach(const char *path, const struct image *image, const struct list *volumes,
                 struct vm_spec *vm)
{
    struct list tokens = { 0 };
    const struct alcove_image_part *part = &image->head.cmdline;
    if (!image->payload ||
        !cmdline_split((const char *)image_part(image, part), part->size, &tokens))
        fail(path, "is a relinked program: it mounts nothing, leave -v out");
    for (size_t i = 0; i < volumes->n; i++) {
        char *file = xstrdup(volumes->v[i]), *point = strrchr(file, ':');
        bool ro = ends_with(file, ":ro");
        if (ro && point) {
            *point = 0;
            point = strrchr(file, ':');
        }
        if (!point || point[1] != '/')
            fail("-v", "'%s' is not FILE:/DIRECTORY[:ro]", volumes->v[i]);
        *point++ = 0;
        char *source =
            vm->vmm ? xprintf("vd%c", (int)('a' + i)) : xprintf("SERIAL=alcove-vol%zu", i);
        char *want = xprintf("mount=%s:", source), *end = xprintf(":%s", point);
        bool found = false;
        for (size_t k = 0; k < tokens.n && !found; k++) {
            const char *at =
                strncmp(tokens.v[k], want, strlen(want)) == 0 ? strstr(tokens.v[k], end) : NULL;
            found = at && (!at[strlen(end)] || at[strlen(end)] == ':');
        }
        if (!found)
            fail(path,
                 "does not mount disk %zu at %s; what an image mounts is measured (alcove build -v "
                 "%s:%s)",
                 i, point, source, point);
        volume_attach(file, ro, point, vm);
    }
}
