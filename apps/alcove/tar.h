/* SPDX-License-Identifier: MIT */
/* Reading tar archives: ustar, GNU's long names, pax headers. Spec: pax(1) of POSIX, GNU tar's manual. */
#ifndef ALCOVE_CMD_TAR_H
#define ALCOVE_CMD_TAR_H

#include "blob.h"

#include <time.h>

enum tar_kind { TAR_FILE, TAR_LINK, TAR_SYMLINK, TAR_DIR, TAR_OTHER };

/* One member. Strings live until the next one is read. */
struct tar_entry {
    enum tar_kind kind;
    char *path, *link; /* as they stand in the archive, without a final slash */
    uint32_t mode, uid, gid;
    uint64_t size; /* of its data, in bytes */
    struct timespec mtime;
};

struct tar {
    struct blob_reader *r;
    const char *name;   /* for messages */
    uint64_t at;        /* bytes read so far */
    uint64_t left, pad; /* of the current member's data */
    struct tar_entry e;
    struct buf global; /* pax records that hold for all that follows */
};

/* Read a stream as an archive; the caller closes r. */
void tar_init(struct tar *t, struct blob_reader *r, const char *name);

/* The next member; NULL at the end. Data that was not read is skipped. Damage ends the command. */
const struct tar_entry *tar_next(struct tar *t);

/* At most n bytes of the member's data: how many, 0 at its end. */
size_t tar_data(struct tar *t, void *p, size_t n);

#endif
