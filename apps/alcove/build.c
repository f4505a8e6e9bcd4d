/* SPDX-License-Identifier: MIT */
/* `alcove build`: pack a program and write the image, whole or not at all. */
#include "commands.h"

#include "formats.h"
#include "kernels.h"
#include "options.h"
#include "seal.h"
#include "sha256.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

/* A file to write. */
struct output {
    enum format format;
    char *path;
    uint64_t size;
    char sum[65];
};

static void check_output(const char *path)
{
    struct stat st;
    if (stat(path, &st) == 0 && !S_ISREG(st.st_mode))
        fail(path, "is there and not a regular file; choose another name");
    size_t dir = (size_t)(path_base(path) - path);
    char *parent = dir ? xstrndup(path, dir) : xstrdup(".");
    if (access(parent, W_OK | X_OK) < 0)
        fail_errno(parent, errno, "cannot write there; choose another directory");
}

/* The files: NAME.SUFFIX for each format; by what NAME ends as when none was asked for, elf when that says nothing. */
static size_t plan_outputs(const struct options *o, struct output *ret)
{
    size_t stem, n = 0;
    enum format by_name = format_of_name(o->output, &stem);
    unsigned bits = o->formats;
    if (!bits)
        bits = 1u << (by_name == FORMAT_COUNT ? FORMAT_ELF : by_name);
    for (unsigned f = 0; f < FORMAT_COUNT; f++)
        if (bits & 1u << f) {
            ret[n].format = f;
            ret[n].path = xprintf("%.*s%s", (int)stem, o->output, format_suffix(f));
            check_output(ret[n++].path);
        }
    return n;
}

static void sum_file(const char *path, uint64_t *ret_size, char ret_hex[65])
{
    const uint8_t *data;
    size_t size;
    struct sha256 s;
    uint8_t sum[32];
    int err = file_map(path, &data, &size);
    if (err < 0)
        fail_errno(path, -err, "cannot read it back");
    sha256_init(&s);
    sha256_add(&s, data, size);
    sha256_done(&s, sum);
    sha256_hex(sum, ret_hex);
    *ret_size = size;
}

static void json_list(struct buf *b, const char *name, const struct list *l)
{
    buf_printf(b, ",\"%s\":[", name);
    for (size_t i = 0; i < l->n; i++) {
        if (i)
            buf_str(b, ",");
        buf_json(b, l->v[i]);
    }
    buf_str(b, "]");
}

static void print_json(const struct packed *p, const struct output *out, size_t count)
{
    struct buf b = { 0 };
    buf_str(&b, "{\"image\":");
    buf_json(&b, out->path);
    buf_printf(&b, ",\"size\":%llu,\"sha256\":\"%s\",\"images\":[", (unsigned long long)out->size,
               out->sum);
    for (size_t i = 0; i < count; i++) {
        buf_str(&b, i ? ",{\"image\":" : "{\"image\":");
        buf_json(&b, out[i].path);
        buf_printf(&b, ",\"size\":%llu,\"sha256\":\"%s\"}", (unsigned long long)out[i].size,
                   out[i].sum);
    }
    buf_printf(&b, "],\"roothash\":\"%s\"", p->roothash);
    buf_printf(&b, ",\"root_size\":%llu,\"hash_size\":%llu,\"files\":%zu",
               (unsigned long long)p->root_size, (unsigned long long)p->hash_size, p->stage.n);
    json_list(&b, "programs", &p->programs);
    json_list(&b, "libraries", &p->libraries);
    json_list(&b, "recipes", &p->recipes);
    printf("%s}\n", b.s);
}

/* What went in: on a terminal only. */
static void print_packed(const struct packed *p)
{
    for (size_t i = 0; i < p->programs.n; i++)
        printf("program  %s\n", p->programs.v[i]);
    for (size_t i = 0; i < p->libraries.n; i++)
        printf("library  %s\n", p->libraries.v[i]);
    for (size_t i = 0; i < p->recipes.n; i++)
        printf("recipe   %s\n", p->recipes.v[i]);
    printf("root     %zu entries, %llu bytes, hash %s\n", p->stage.n,
           (unsigned long long)p->root_size, p->roothash);
}

int command_build(int argc, char **argv)
{
    enum {
        KNOWN = OPT_OUTPUT | OPT_PACK | OPT_FORMAT | OPT_JSON | OPT_OCI | OPT_SEALED | OPT_CONSOLE |
                OPT_VOLUME | OPT_KEY | OPT_ROOT_DISK
    };
    struct options o = { 0 };
    struct packed p = { 0 };
    int at = options_read("build", KNOWN, argc, argv, &o);
    /* After --oci IMAGE, what follows are its arguments. */
    const int first = o.pack.oci ? at : at + 1;
    argc = options_read_tail(KNOWN, first, argc, argv, &o);
    if (at >= argc && !o.pack.oci)
        fail("build", "no program; write alcove build PROGRAM -o FILE");
    if (!o.output)
        fail("build", "no output file; add -o FILE");
    o.pack.program = o.pack.oci ? NULL : argv[at];
    for (int i = first; i < argc; i++)
        list_add(&o.pack.args, argv[i]);
    o.pack.sealed = (o.given & OPT_SEALED) != 0;
    o.pack.silent = o.pack.sealed && !(o.given & OPT_CONSOLE);
    seal_mounts(&o.volumes, &o.keys, &o.pack.mounts);
    if (o.given & OPT_CONSOLE && !o.pack.sealed)
        fail("--console", "is for --sealed; other images have a console");
    seal_check(&o.pack);
    const struct kernel *libos = o.pack.kernel ? o.pack.kernel : kernel_full();
    if (o.volumes.n)
        kernel_need(libos, KERNEL_DISK, "-v");
    if (o.pack.root_disk)
        kernel_need(libos, KERNEL_DISK, "--root-disk");
    if (o.keys.n)
        kernel_need(libos, KERNEL_NET, "--key");
    if (o.pack.sealed)
        kernel_need(libos, KERNEL_CC, "--sealed");
    struct output out[FORMAT_COUNT];
    size_t count = plan_outputs(&o, out);
    pack(&o.pack, &p);
    for (size_t i = 0; i < count; i++) {
        format_write(out[i].format, &p.parts, out[i].path);
        sum_file(out[i].path, &out[i].size, out[i].sum);
    }
    if (o.given & OPT_JSON) {
        print_json(&p, out, count);
        return 0;
    }
    if (isatty(STDOUT_FILENO))
        print_packed(&p);
    if (o.pack.root_disk)
        printf("%s  %llu bytes  the root's disk\n", o.pack.root_disk,
               (unsigned long long)(p.root_size + p.hash_size));
    for (size_t i = 0; i < count; i++)
        printf("%s  %llu bytes  sha256:%s\n", out[i].path, (unsigned long long)out[i].size,
               out[i].sum);
    return 0;
}
