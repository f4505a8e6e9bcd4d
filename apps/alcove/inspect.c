/* SPDX-License-Identifier: MIT */
/* `alcove inspect`: what is in an image, and whether its root is what the root hash promises. */
#include "commands.h"

#include "cmdline.h"
#include "options.h"
#include "sha256.h"
#include "verity.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct report {
    const char *path;
    struct image image;
    struct list cmdline;
    struct list info; /* key=value lines */
    const char *roothash;
    const char *root_disk; /* the file with the root; NULL: it is in the image */
    uint64_t root_size, hash_size;
    char sum[65];
};

static bool unhex(const char *s, uint8_t ret[32])
{
    static const char digits[] = "0123456789abcdef";
    if (!s || strlen(s) != 64 || strspn(s, digits) != 64)
        return false;
    for (int i = 0; i < 32; i++)
        ret[i] = (uint8_t)((strchr(digits, s[2 * i]) - digits) << 4 |
                           (strchr(digits, s[2 * i + 1]) - digits));
    return true;
}

static void read_info(struct report *r)
{
    const struct alcove_image_part *p = &r->image.head.info;
    const char *s = (const char *)image_part(&r->image, p), *end = s + p->size;
    while (s < end) {
        const char *nl = memchr(s, '\n', (size_t)(end - s));
        size_t n = (size_t)((nl ? nl : end) - s);
        list_add(&r->info, xstrndup(s, n));
        s += n + 1;
    }
}

/* The root is on a disk: the file beside the image, as it was built. */
static void read_root_disk(struct report *r, const uint8_t want[32])
{
    const uint8_t *data;
    size_t size;
    const char *name = "";
    for (size_t i = 0; i < r->info.n; i++)
        if (strncmp(r->info.v[i], "root_disk=", 10) == 0)
            name = path_base(r->info.v[i] + 10);
    r->root_disk = xprintf("%.*s%s", (int)(path_base(r->path) - r->path), r->path, name);
    r->root_size = strtoull(cmdline_option(&r->cmdline, "rootdisk"), NULL, 10);
    int err = file_map(r->root_disk, &data, &size);
    if (err < 0)
        fail_errno(r->root_disk, -err, "cannot read the disk with the root");
    if (size < r->root_size)
        fail(r->root_disk, "is too small for the root; build it again");
    r->hash_size = size - r->root_size;
    const char *wrong = verity_check(data, r->root_size, data + r->root_size, r->hash_size, want);
    if (wrong)
        fail(r->root_disk, "is damaged: %s; build it again", wrong);
}

static void report_read(struct report *r)
{
    const uint8_t *data;
    size_t size;
    bool is_image;
    int err = file_map(r->path, &data, &size);
    if (err < 0)
        fail_errno(r->path, -err, "cannot read the image");
    const char *wrong = image_read(data, size, &r->image, &is_image);
    if (wrong)
        fail(r->path, "%s",
             is_image ? wrong : "is not an Alcove image; build one with alcove build");
    if (!r->image.payload)
        fail(r->path, "is a program linked by alcove-cc; nothing is packed into it");
    const struct alcove_image *h = &r->image.head;
    if (!cmdline_split((const char *)image_part(&r->image, &h->cmdline), h->cmdline.size,
                       &r->cmdline))
        fail(r->path, "has a damaged command line; build it again");
    read_info(r);
    struct sha256 s;
    uint8_t sum[32], want[32];
    sha256_init(&s);
    sha256_add(&s, data, size);
    sha256_done(&s, sum);
    sha256_hex(sum, r->sum);
    r->roothash = cmdline_option(&r->cmdline, "roothash");
    if (!unhex(r->roothash, want))
        fail(r->path, "has no usable root hash in its command line; build it again");
    if (cmdline_option(&r->cmdline, "rootdisk")) {
        read_root_disk(r, want);
        return;
    }
    r->root_size = h->root.size;
    r->hash_size = h->hash.size;
    wrong = verity_check(image_part(&r->image, &h->root), h->root.size,
                         image_part(&r->image, &h->hash), h->hash.size, want);
    if (wrong)
        fail(r->path, "is damaged: %s; build it again", wrong);
}

/* Options NAME=... of the command line, or the arguments when name is NULL, or "NAME=" lines of the info. */
static void collect(const struct report *r, const char *name, struct list *ret)
{
    size_t args = cmdline_args(&r->cmdline), n = name ? strlen(name) : 0;
    for (size_t i = name ? 0 : args; i < (name ? args : r->cmdline.n); i++)
        if (!name || (strncmp(r->cmdline.v[i], name, n) == 0 && r->cmdline.v[i][n] == '='))
            list_add(ret, r->cmdline.v[i] + (name ? n + 1 : 0));
    for (size_t i = 0; name && i < r->info.n; i++)
        if (strncmp(r->info.v[i], name, n) == 0 && r->info.v[i][n] == '=')
            list_add(ret, r->info.v[i] + n + 1);
}

static const struct {
    const char *label, *key;
    bool many;
} facts[] = {
    { "libos", "alcove", false },
    { "variant", "libos", false },
    { "exe", "exe", false },
    { "argv", NULL, true },
    { "env", "env", true },
    { "cwd", "cwd", false },
    { "user", "user", false },
    { "hostname", "hostname", false },
    { "programs", "program", true },
    { "libraries", "library", true },
    { "recipes", "recipe", true },
    { "ports", "port", true },
    { "volumes", "volume", true },
    { "labels", "label", true },
    { "roothash", "roothash", false },
};

static void print_text(const struct report *r)
{
    printf("%-10s %s\n%-10s %zu bytes\n%-10s %s\n", "image", r->path, "size", r->image.size,
           "sha256", r->sum);
    for (size_t i = 0; i < sizeof(facts) / sizeof(*facts); i++) {
        struct list l = { 0 };
        collect(r, facts[i].key, &l);
        for (size_t j = 0; j < l.n; j++)
            printf("%-10s %s\n", facts[i].label, l.v[j]);
    }
    printf("%-10s %llu bytes, matches its hash tree (%llu bytes)%s%s\n", "root",
           (unsigned long long)r->root_size, (unsigned long long)r->hash_size,
           r->root_disk ? "; on the disk " : "", r->root_disk ? r->root_disk : "");
}

static void print_json(const struct report *r)
{
    struct buf b = { 0 };
    buf_str(&b, "{\"image\":");
    buf_json(&b, r->path);
    buf_printf(&b, ",\"size\":%zu,\"sha256\":\"%s\"", r->image.size, r->sum);
    for (size_t i = 0; i < sizeof(facts) / sizeof(*facts); i++) {
        struct list l = { 0 };
        collect(r, facts[i].key, &l);
        buf_printf(&b, ",\"%s\":%s", facts[i].label, facts[i].many ? "[" : "");
        for (size_t j = 0; j < l.n && (facts[i].many || j == 0); j++) {
            buf_str(&b, j ? "," : "");
            buf_json(&b, l.v[j]);
        }
        buf_str(&b, facts[i].many ? "]" : l.n ? "" : "null");
    }
    printf("%s,\"root_size\":%llu,\"hash_size\":%llu,\"intact\":true}\n", b.s,
           (unsigned long long)r->root_size, (unsigned long long)r->hash_size);
}

int command_inspect(int argc, char **argv)
{
    struct options o = { 0 };
    struct report r = { 0 };
    int at = options_read("inspect", OPT_JSON, argc, argv, &o);
    if (at + 1 < argc && strcmp(argv[argc - 1], "--json") == 0) {
        o.given |= OPT_JSON;
        argc--;
    }
    if (at >= argc)
        fail("inspect", "no image; write alcove inspect IMAGE.elf");
    if (at + 1 < argc)
        fail("inspect", "takes one image, '%s' is left over", argv[at + 1]);
    r.path = argv[at];
    report_read(&r);
    if (o.given & OPT_JSON)
        print_json(&r);
    else
        print_text(&r);
    return 0;
}
