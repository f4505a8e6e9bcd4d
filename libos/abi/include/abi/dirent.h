/* SPDX-License-Identifier: MIT */
/* Directory entries (linux/dirent.h). */
#ifndef ABI_DIRENT_H
#define ABI_DIRENT_H

#include <stdint.h>

#define DT_UNKNOWN 0
#define DT_FIFO    1
#define DT_CHR     2
#define DT_DIR     4
#define DT_BLK     6
#define DT_REG     8
#define DT_LNK     10
#define DT_SOCK    12
#define DT_WHT     14

/* getdents64: d_name and its NUL follow; d_reclen is a multiple of 8. */
struct abi_dirent64 {
    uint64_t d_ino;
    int64_t d_off; /* for lseek: the entry after this one */
    uint16_t d_reclen;
    uint8_t d_type; /* DT_* */
    char d_name[];
};

/* getdents: d_type is the last byte of the record. */
struct abi_dirent {
    uint64_t d_ino;
    uint64_t d_off;
    uint16_t d_reclen;
    char d_name[];
};

#endif
