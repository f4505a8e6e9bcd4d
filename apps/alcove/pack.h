/* SPDX-License-Identifier: MIT */
/* From a program to everything that an image is made of. */
#ifndef ALCOVE_CMD_PACK_H
#define ALCOVE_CMD_PACK_H

#include "image.h"
#include "stage.h"

/* What the user asked for. */
struct kernel;

struct pack_spec {
    const char *program;               /* as typed */
    struct list args;                  /* after argv[0] */
    struct list roots;                 /* --root, in order */
    struct list with;                  /* --with: more programs, as typed */
    struct list env;                   /* -e, "K=V" */
    const char *cwd, *user, *hostname; /* NULL: not given */
    bool fixed_addresses;              /* no address space randomisation: for a debugger */
    struct list mounts;                /* SOURCE:TYPE:POINT[:ro], for mount= */
    bool init;                   /* a process 1 of our own starts the program and reaps orphans */
    const struct kernel *kernel; /* the libOS; NULL: the full one */
    bool sealed;                 /* for a confidential guest only; no word of the loader is taken */
    bool silent;                 /* no console */
    const char *
        verity; /* "off": pages are used unchecked, the tree is packed all the same; "panic": a wrong one ends the VM; NULL: "on" */
    const char *
        root_disk; /* the root goes there, as a disk's content, not into the image; NULL: it does not */
    bool lz4;      /* files are compressed */
    const char *
        oci; /* a container image instead of a program; args, when there are any, take the place of its CMD */
};

/* What became of it. */
struct packed {
    char *dir; /* temporary directory */
    struct stage stage;
    char *exe;             /* image path that is executed */
    struct list programs;  /* image paths: the program, a script's interpreter, those of --with */
    struct list libraries; /* image paths */
    struct list recipes;
    struct list facts; /* further info lines, "key=value" */
    uint64_t root_size, hash_size;
    char roothash[65];
    struct image_parts parts;
};

/* Stage the files, make the root image and its hash tree. Ends the command with one line on any error. */
void pack(const struct pack_spec *spec, struct packed *ret);

/* The staging alone: files, programs, libraries and recipes of *ret. Same errors. */
void pack_files(const struct pack_spec *spec, struct packed *ret);

/* pack_oci.c: the tree of a container image instead of all the staging. */
struct oci_program {
    struct list argv, env;
    const char *cwd;
    char *exe; /* image path */
    uint32_t uid, gid;
};
void pack_oci(const struct pack_spec *spec, struct packed *out, struct oci_program *ret);

/* identity.c: who runs the program. Adds /etc/passwd and so on to the stage; *ret_home is the user's home. */
void identity_add(struct stage *s, const char *user, const char *hostname, uint32_t *ret_uid,
                  uint32_t *ret_gid, char **ret_home);

/* The same for a container image: its own files say who a name is, and are left as they are. */
void identity_of_image(struct stage *s, const char *user, const char *hostname, uint32_t *ret_uid,
                       uint32_t *ret_gid, char **ret_home);

#endif
