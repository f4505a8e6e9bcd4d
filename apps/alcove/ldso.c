/* SPDX-License-Identifier: MIT */
/* The search of ld.so(8), in its order: DT_RPATH of the object and its loaders (only where there is no DT_RUNPATH),
 * LD_LIBRARY_PATH (of the image's environment, not of this shell), DT_RUNPATH, the cache, the default directories.
 * musl: LD_LIBRARY_PATH, rpath or runpath of the object and its loaders, the directories of its path file. */
#include "ldso.h"

#include <errno.h>
#include <string.h>

enum { OBJECTS_MAX = 4096, PATH_FILE_MAX = 65536 };

static const char *const glibc_dirs[] = { "/lib/x86_64-linux-gnu",
                                          "/usr/lib/x86_64-linux-gnu",
                                          "/lib64",
                                          "/usr/lib64",
                                          "/lib",
                                          "/usr/lib",
                                          NULL };
static const char *const lib_names[] = { "lib/x86_64-linux-gnu", "lib64", "lib", NULL };

static struct object *add_object(struct ldso *l, const char *name, const char *path,
                                 const struct elf_file *elf, struct object *loader)
{
    if (l->n == OBJECTS_MAX)
        fail(l->objects[0]->path, "needs more than %d libraries", OBJECTS_MAX);
    if (l->n == l->cap) {
        l->cap = l->cap ? l->cap * 2 : 32;
        l->objects = xrealloc(l->objects, l->cap, sizeof(*l->objects));
    }
    struct object *o = xcalloc(1, sizeof(*o));
    size_t dir = (size_t)(path_base(path) - path);
    *o = (struct object){
        .name = xstrdup(name), .path = xstrdup(path), .elf = *elf, .loader = loader
    };
    o->dir = xstrndup(path, dir > 1 ? dir - 1 : 1);
    l->objects[l->n++] = o;
    return o;
}

/* Replace $NAME or ${NAME} by value; NULL when there is none. */
static char *replace_token(const char *s, const char *name, const char *value)
{
    for (const char *c = strchr(s, '$'); c; c = strchr(c + 1, '$')) {
        bool brace = c[1] == '{';
        size_t n = strlen(name);
        const char *at = c + 1 + brace;
        if (strncmp(at, name, n) == 0 && (!brace || at[n] == '}'))
            return xprintf("%.*s%s%s", (int)(c - s), s, value, at + n + brace);
    }
    return NULL;
}

/* Expand $ORIGIN, $LIB and $PLATFORM for one of the values that $LIB can have. */
static char *expand(const char *s, const struct object *o, const char *lib)
{
    char *out = xstrdup(s), *next;
    for (int i = 0; i < 16 && (next = replace_token(out, "ORIGIN", o->dir)); i++)
        out = next;
    for (int i = 0; i < 16 && (next = replace_token(out, "LIB", lib)); i++)
        out = next;
    for (int i = 0; i < 16 && (next = replace_token(out, "PLATFORM", "x86_64")); i++)
        out = next;
    return out;
}

/* Is there a library for this machine at path? The loader passes over others. Adds it when so. */
static bool try_path(struct ldso *l, const char *name, const char *path, struct object *loader)
{
    struct stage_found found;
    if (path[0] != '/' || stage_walk(l->stage, path, STAGE_PROBE, &found) < 0 ||
        !S_ISREG(found.st.st_mode))
        return false;
    struct elf_file elf;
    const uint8_t *data;
    size_t size;
    if (file_map(found.source, &data, &size) < 0)
        return false;
    if (elf_magic(data, size) && size > EI_CLASS && data[EI_CLASS] == ELFCLASS32)
        return false;
    const char *wrong = elf_read(data, size, &elf);
    if (wrong && strstr(wrong, "another machine"))
        return false;
    if (wrong && loader && loader->extra)
        return false;
    if (wrong)
        fail(path, "%s (library '%s' of %s)", wrong, name, loader ? loader->path : "the program");
    int err = stage_walk(l->stage, path, 0, &found);
    if (err < 0)
        fail_errno(path, -err, "cannot add the library");
    struct object *o = add_object(l, name, path, &elf, loader);
    o->extra = loader && loader->extra;
    return true;
}

/* Search a list of directories separated by any of separators. */
static bool try_dirs(struct ldso *l, const char *name, const char *dirs, const char *separators,
                     const struct object *origin, struct object *loader)
{
    for (const char *d = dirs; d && *d;) {
        size_t n = strcspn(d, separators);
        char *dir = xstrndup(d, n);
        d += n;
        d += *d != 0;
        for (size_t i = 0; n && lib_names[i]; i++) {
            if (try_path(l, name, path_join(expand(dir, origin, lib_names[i]), name), loader))
                return true;
            if (!strstr(dir, "LIB"))
                break;
        }
    }
    return false;
}

/* Found there without a cache? */
static bool in_default_dir(const char *path)
{
    for (size_t i = 0; glibc_dirs[i]; i++) {
        size_t n = strlen(glibc_dirs[i]);
        if (strncmp(path, glibc_dirs[i], n) == 0 && path + n + 1 == path_base(path))
            return true;
    }
    return false;
}

static bool try_cache(struct ldso *l, const char *name, struct object *loader)
{
    if (!l->cache_read) {
        l->cache_read = true;
        struct stage_found found;
        if (stage_walk(l->stage, "/etc/ld.so.cache", STAGE_PROBE, &found) == 0 &&
            !ldcache_read(found.source, &l->cache))
            say("/etc/ld.so.cache: not readable as a cache of glibc; libraries are looked for "
                "without it");
    }
    size_t n = strlen(name);
    for (size_t i = 0; i < l->cache.n; i++) {
        const char *entry = l->cache.v[i];
        if (strncmp(entry, name, n) != 0 || entry[n] != '\n' ||
            !try_path(l, name, entry + n + 1, loader))
            continue;
        if (!in_default_dir(entry + n + 1)) {
            list_add(&l->from_cache, name);
            list_add(&l->from_cache, entry + n + 1);
        }
        return true;
    }
    return false;
}

static bool find_glibc(struct ldso *l, const char *name, struct object *o)
{
    if (!o->elf.runpath)
        for (struct object *at = o; at; at = at->loader)
            if (!at->elf.runpath && try_dirs(l, name, at->elf.rpath, ":", at, o))
                return true;
    if (try_dirs(l, name, l->library_path, ":;", l->objects[0], o) ||
        try_dirs(l, name, o->elf.runpath, ":", o, o))
        return true;
    if (o->elf.no_default_dirs)
        return false;
    if (try_cache(l, name, o))
        return true;
    for (size_t i = 0; glibc_dirs[i]; i++)
        if (try_path(l, name, path_join(glibc_dirs[i], name), o))
            return true;
    return false;
}

/* Names that musl answers with itself. */
static bool musl_itself(const char *name)
{
    static const char *const own[] = { "c.", "pthread.", "rt.", "m.", "dl.", "util.", "xnet." };
    if (strncmp(name, "lib", 3) != 0)
        return false;
    for (size_t i = 0; i < sizeof(own) / sizeof(*own); i++)
        if (strncmp(name + 3, own[i], strlen(own[i])) == 0)
            return true;
    return false;
}

static bool find_musl(struct ldso *l, const char *name, struct object *o)
{
    if (try_dirs(l, name, l->library_path, ":\n", o, o))
        return true;
    for (struct object *at = o; at; at = at->loader)
        if (try_dirs(l, name, at->elf.runpath ? at->elf.runpath : at->elf.rpath, ":\n", at, o))
            return true;
    struct stage_found found;
    struct buf dirs = { 0 };
    if (stage_walk(l->stage, "/etc/ld-musl-x86_64.path", 0, &found) == 0 &&
        file_read(found.source, PATH_FILE_MAX, &dirs) == 0)
        return try_dirs(l, name, dirs.s, ":\n", o, o);
    return try_dirs(l, name, "/lib:/usr/local/lib:/usr/lib", ":", o, o);
}

/* Already loaded under this name, or as the file with this soname? */
static bool loaded(const struct ldso *l, const char *name)
{
    for (size_t i = 1; i < l->n; i++) {
        const struct object *o = l->objects[i];
        if (strcmp(o->name, name) == 0 || (o->elf.soname && strcmp(o->elf.soname, name) == 0))
            return true;
    }
    return l->musl && musl_itself(name);
}

static bool find(struct ldso *l, const char *name, struct object *o)
{
    if (loaded(l, name))
        return true;
    if (strchr(name, '/')) {
        for (size_t i = 0; lib_names[i]; i++)
            if (try_path(l, name, expand(name, o, lib_names[i]), o))
                return true;
        return false;
    }
    return l->musl ? find_musl(l, name, o) : find_glibc(l, name, o);
}

/* Breadth first, as the loader does, from object number first on. */
static void add_needed(struct ldso *l, size_t first)
{
    for (size_t i = first; i < l->n; i++) {
        struct object *o = l->objects[i];
        for (size_t j = 0; j < o->elf.needed.n; j++) {
            const char *name = o->elf.needed.v[j];
            if (find(l, name, o) || o->extra)
                continue;
            fail(o->path,
                 "needs the library '%s', which is not found; install it or give its directory "
                 "with --root",
                 name);
        }
    }
}

void ldso_program(struct ldso *l, const char *path, const struct elf_file *elf)
{
    struct object *program = add_object(l, path, path, elf, NULL);
    if (!elf->interp)
        return;
    l->musl = strncmp(path_base(elf->interp), "ld-musl-", 8) == 0;
    if (!try_path(l, path_base(elf->interp), elf->interp, program))
        fail(
            path,
            "needs the ELF interpreter '%s', which is not found; install it or give it with --root",
            elf->interp);
    add_needed(l, 0);
    /* pthread_exit() and pthread_cancel() load it when they are first called. */
    if (!l->musl && loaded(l, "libc.so.6"))
        (void)ldso_add(l, "libgcc_s.so.1");
}

bool ldso_add(struct ldso *l, const char *name)
{
    size_t first = l->n;
    bool ok = l->n && find(l, name, l->objects[0]);
    for (size_t i = first; i < l->n; i++)
        l->objects[i]->extra = true;
    add_needed(l, first);
    return ok;
}

void ldso_object(struct ldso *l, const char *path, const char *source)
{
    struct elf_file elf;
    const uint8_t *data;
    size_t size, first = l->n;
    if (!l->n || !l->objects[0]->elf.interp)
        return;
    for (size_t i = 0; i < l->n; i++)
        if (strcmp(l->objects[i]->path, path) == 0)
            return;
    if (file_map(source, &data, &size) < 0 || elf_read(data, size, &elf) != NULL)
        return;
    struct object *o = add_object(l, path, path, &elf, l->objects[0]);
    o->extra = true;
    add_needed(l, first);
}

void ldso_finish(struct ldso *l)
{
    struct buf b = { 0 };
    if (!l->from_cache.n)
        return;
    ldcache_make(&l->from_cache, &b);
    stage_bytes(l->stage, "/etc/ld.so.cache", b.s, b.len);
}
