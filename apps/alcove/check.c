/* SPDX-License-Identifier: MIT */
/* `alcove check`: which system calls a program and its libraries can make, and which of those the libOS has in part or not
 * at all, from the same table that the libOS is generated from. */
#include "commands.h"

#include "options.h"
#include "scan.h"

#include <stdio.h>
#include <string.h>
#include <sys_list.h>

struct checked {
    struct scan all;
    struct list where[SCAN_NUMBERS]; /* files that can make the call */
    struct list computed;            /* files with a call whose number is not visible */
};

struct object_file {
    const char *path;
    struct elf_file elf;
    bool library;
};

static bool read_object(const struct packed *p, const char *path, bool library,
                        struct object_file *ret)
{
    const uint8_t *data;
    size_t size;
    *ret = (struct object_file){ .path = path, .library = library };
    struct stage_found found;
    struct stage *s = (struct stage *)&p->stage;
    return stage_walk(s, path, STAGE_PROBE | STAGE_IMAGE_ONLY, &found) == 0 &&
           file_map(found.source, &data, &size) == 0 && elf_read(data, size, &ret->elf) == NULL;
}

static void scan_object(const struct object_file *o, const struct list *wanted, struct checked *c)
{
    struct scan found = { 0 };
    /* The dynamic linker is entered by itself, not through names. */
    bool whole = !o->library || strncmp(path_base(o->path), "ld-", 3) == 0;
    scan_file(&o->elf, whole ? NULL : wanted, &found);
    for (size_t nr = 0; nr < SCAN_NUMBERS; nr++)
        if (found.number[nr]) {
            c->all.number[nr] = true;
            list_add(&c->where[nr], o->path);
        }
    if (found.computed)
        list_add(&c->computed, o->path);
}

static void check(const struct packed *p, struct checked *c)
{
    size_t n = p->programs.n + p->libraries.n, count = 0;
    struct object_file *o = xcalloc(n, sizeof(*o));
    struct list wanted = { 0 };
    for (size_t i = 0; i < n; i++) {
        bool library = i >= p->programs.n;
        const char *path = library ? p->libraries.v[i - p->programs.n] : p->programs.v[i];
        count += read_object(p, path, library, &o[count]);
    }
    for (size_t i = 0; i < count; i++)
        scan_imports(&o[i].elf, &wanted);
    list_sort(&wanted);
    for (size_t i = 0; i < count; i++)
        scan_object(&o[i], &wanted, c);
}

static const struct sys_list_entry *entry_of(size_t nr)
{
    for (size_t i = 0; i < sizeof(sys_list) / sizeof(*sys_list); i++)
        if (sys_list[i].nr == nr)
            return &sys_list[i];
    return NULL;
}

static void print_json(const char *program, const struct checked *c)
{
    struct buf b = { 0 };
    buf_str(&b, "{\"program\":");
    buf_json(&b, program);
    buf_str(&b, ",\"calls\":[");
    const char *comma = "";
    for (size_t nr = 0; nr < SCAN_NUMBERS; nr++) {
        const struct sys_list_entry *e = entry_of(nr);
        if (!c->all.number[nr] || !e)
            continue;
        buf_printf(&b, "%s{\"nr\":%zu,\"name\":\"%s\",\"status\":\"%s\",\"note\":", comma, nr,
                   e->name, e->status);
        buf_json(&b, e->note);
        buf_str(&b, ",\"files\":[");
        for (size_t i = 0; i < c->where[nr].n; i++) {
            buf_str(&b, i ? "," : "");
            buf_json(&b, c->where[nr].v[i]);
        }
        buf_str(&b, "]}");
        comma = ",";
    }
    buf_str(&b, "],\"computed\":[");
    for (size_t i = 0; i < c->computed.n; i++) {
        buf_str(&b, i ? "," : "");
        buf_json(&b, c->computed.v[i]);
    }
    printf("%s]}\n", b.s);
}

static void print_text(const char *program, const struct checked *c)
{
    size_t full = 0, listed = 0;
    for (size_t nr = 0; nr < SCAN_NUMBERS; nr++) {
        const struct sys_list_entry *e = entry_of(nr);
        if (!c->all.number[nr] || !e)
            continue;
        if (strcmp(e->status, "full") == 0) {
            full++;
            continue;
        }
        listed++;
        printf("%3zu %-24s %-14s %s%s(%s%s)\n", nr, e->name, e->status, e->note,
               *e->note ? " " : "", path_base(c->where[nr].v[0]),
               c->where[nr].n > 1 ? ", ..." : "");
    }
    printf("%s can make %zu system calls: %zu are complete, %zu are listed above\n", program,
           full + listed, full, listed);
    for (size_t i = 0; i < c->computed.n; i++)
        printf("%s also makes calls whose numbers are not visible in it\n", c->computed.v[i]);
}

int command_check(int argc, char **argv)
{
    struct options o = { 0 };
    struct packed p = { 0 };
    int at = options_read("check", OPT_PACK | OPT_JSON, argc, argv, &o);
    if (at >= argc)
        fail("check", "no program; write alcove check PROGRAM");
    if (at + 1 < argc)
        fail("check", "takes one program, '%s' is left over", argv[at + 1]);
    o.pack.program = argv[at];
    pack_files(&o.pack, &p);
    struct checked *c = xcalloc(1, sizeof(*c));
    check(&p, c);
    if (o.given & OPT_JSON)
        print_json(argv[at], c);
    else
        print_text(argv[at], c);
    return 0;
}
