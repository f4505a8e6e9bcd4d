/* SPDX-License-Identifier: MIT */
/* Which files a dynamic program needs, found as its loader would find them in the image: ld.so(8) for glibc, and musl's
 * rules for an interpreter named ld-musl-*. What dlopen() asks for later is not known here: recipes name it. */
#ifndef ALCOVE_CMD_LDSO_H
#define ALCOVE_CMD_LDSO_H

#include "elfread.h"
#include "stage.h"

/* One loaded object; the first one is the program. */
struct object {
    char *name; /* as asked for, for messages */
    char *path; /* in the image */
    char *dir;  /* directory of path, for $ORIGIN */
    struct elf_file elf;
    struct object *loader; /* who asked for it; NULL for the program */
    bool extra;            /* from a recipe: what it lacks is not an error */
};

struct ldso {
    struct stage *stage;
    const char *library_path; /* LD_LIBRARY_PATH as the image will have it, or NULL */
    bool musl;
    struct object **objects;
    size_t n, cap;
    struct list cache; /* "name\npath" of /etc/ld.so.cache for x86-64, read on first use */
    bool cache_read;
    struct list
        from_cache; /* soname, path of what only the cache knew: the image needs a cache for them */
};

/* Add the program's interpreter and libraries to the stage. elf was read from source and will be at path in the image.
 * Ends the command with a line that names what is missing. */
void ldso_program(struct ldso *l, const char *path, const struct elf_file *elf);

/* Add one more library by name, as dlopen() in the program would find it. False when there is none. */
bool ldso_add(struct ldso *l, const char *name);

/* Add what the shared object at this image path needs; what is not found is left out. */
void ldso_object(struct ldso *l, const char *path, const char *source);

/* Write the image's /etc/ld.so.cache when one is needed. */
void ldso_finish(struct ldso *l);

/* ldcache.c: the entries for x86-64 of a cache file ("name\npath" each); false when it is not one or damaged. */
bool ldcache_read(const char *path, struct list *ret);
/* ldcache.c: content of a new-format cache with these entries: soname, path, alternating. */
void ldcache_make(const struct list *entries, struct buf *ret);

#endif
