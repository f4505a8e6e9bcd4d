/* SPDX-License-Identifier: MIT */
/* `alcove build`: pack a program and write the image, whole or not at all. */
#include "commands.h"

#include "options.h"
#include "sha256.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

/* NAME or NAME.elf -> NAME.elf */
static char *output_name(const char *given)
{
    return ends_with(given, ".elf") ? xstrdup(given) : xprintf("%s.elf", given);
}

/* A name beside path for the file while it is written: a rename inside one directory is atomic. */
static char *unfinished_name(const char *path)
{
    size_t dir = (size_t)(path_base(path) - path);
    return xprintf("%.*s.%s.%d.tmp", (int)dir, path, path_base(path), (int)getpid());
}

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

static void print_json(const struct packed *p, const char *path, uint64_t size, const char *sum)
{
    struct buf b = { 0 };
    buf_str(&b, "{\"image\":");
    buf_json(&b, path);
    buf_printf(&b, ",\"size\":%llu,\"sha256\":\"%s\",\"roothash\":\"%s\"", (unsigned long long)size,
               sum, p->roothash);
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

void image_finish(struct packed *p, const char *path)
{
    char *unfinished = unfinished_name(path);
    remove_at_exit(unfinished);
    image_write(&p->parts, unfinished);
    if (rename(unfinished, path) < 0)
        fail_errno(path, errno, "cannot write");
}

int command_build(int argc, char **argv)
{
    enum { KNOWN = OPT_OUTPUT | OPT_PACK | OPT_FORMAT | OPT_JSON };
    struct options o = { 0 };
    struct packed p = { 0 };
    int at = options_read("build", KNOWN, argc, argv, &o);
    argc = options_read_tail(KNOWN, at + 1, argc, argv, &o);
    if (at >= argc)
        fail("build", "no program; write alcove build PROGRAM -o FILE");
    if (!o.output)
        fail("build", "no output file; add -o FILE");
    o.pack.program = argv[at];
    for (int i = at + 1; i < argc; i++)
        list_add(&o.pack.args, argv[i]);
    char *path = output_name(o.output), sum[65];
    check_output(path);
    pack(&o.pack, &p);
    image_finish(&p, path);
    uint64_t size;
    sum_file(path, &size, sum);
    if (o.given & OPT_JSON) {
        print_json(&p, path, size, sum);
        return 0;
    }
    if (isatty(STDOUT_FILENO))
        print_packed(&p);
    printf("%s  %llu bytes  sha256:%s\n", path, (unsigned long long)size, sum);
    return 0;
}
