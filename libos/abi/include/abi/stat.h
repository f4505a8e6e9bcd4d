/* SPDX-License-Identifier: MIT */
/* File types, modes, struct stat and struct statx (asm/stat.h, linux/stat.h). */
#ifndef ABI_STAT_H
#define ABI_STAT_H

#include <abi/time.h>
#include <base/user_ptr.h>
#include <stdint.h>

#define S_IFMT      0170000
#define S_IFSOCK    0140000
#define S_IFLNK     0120000
#define S_IFREG     0100000
#define S_IFBLK     060000
#define S_IFDIR     040000
#define S_IFCHR     020000
#define S_IFIFO     010000
#define S_ISUID     04000
#define S_ISGID     02000
#define S_ISVTX     01000
#define S_IRWXU     0700
#define S_IRUSR     0400
#define S_IWUSR     0200
#define S_IXUSR     0100
#define S_IRWXG     070
#define S_IRGRP     040
#define S_IWGRP     020
#define S_IXGRP     010
#define S_IRWXO     07
#define S_IROTH     04
#define S_IWOTH     02
#define S_IXOTH     01
#define S_ISSOCK(m) (((m)&S_IFMT) == S_IFSOCK)
#define S_ISLNK(m)  (((m)&S_IFMT) == S_IFLNK)
#define S_ISREG(m)  (((m)&S_IFMT) == S_IFREG)
#define S_ISBLK(m)  (((m)&S_IFMT) == S_IFBLK)
#define S_ISDIR(m)  (((m)&S_IFMT) == S_IFDIR)
#define S_ISCHR(m)  (((m)&S_IFMT) == S_IFCHR)
#define S_ISFIFO(m) (((m)&S_IFMT) == S_IFIFO)

#define STATX_TYPE            0x1
#define STATX_MODE            0x2
#define STATX_NLINK           0x4
#define STATX_UID             0x8
#define STATX_GID             0x10
#define STATX_ATIME           0x20
#define STATX_MTIME           0x40
#define STATX_CTIME           0x80
#define STATX_INO             0x100
#define STATX_SIZE            0x200
#define STATX_BLOCKS          0x400
#define STATX_BASIC_STATS     0x7ff
#define STATX_BTIME           0x800
#define STATX_ALL             0xfff
#define STATX_MNT_ID_UNIQUE   0x4000u
#define STATX_MNT_ID          0x1000
#define STATX_DIOALIGN        0x2000
#define STATX__RESERVED       0x80000000u
#define STATX_ATTR_COMPRESSED 0x4
#define STATX_ATTR_IMMUTABLE  0x10
#define STATX_ATTR_APPEND     0x20
#define STATX_ATTR_NODUMP     0x40
#define STATX_ATTR_ENCRYPTED  0x800
#define STATX_ATTR_AUTOMOUNT  0x1000
#define STATX_ATTR_MOUNT_ROOT 0x2000
#define STATX_ATTR_VERITY     0x100000
#define STATX_ATTR_DAX        0x200000

/* Times are struct timespec in three parts, as Linux has them. */
struct abi_stat {
    uint64_t st_dev;
    uint64_t st_ino;
    uint64_t st_nlink;
    uint32_t st_mode;
    uint32_t st_uid;
    uint32_t st_gid;
    uint32_t pad0;
    uint64_t st_rdev;
    int64_t st_size;
    int64_t st_blksize;
    int64_t st_blocks; /* of 512 bytes */
    struct abi_timespec st_atim;
    struct abi_timespec st_mtim;
    struct abi_timespec st_ctim;
    int64_t reserved[3];
};

struct abi_statx_timestamp {
    int64_t tv_sec;
    uint32_t tv_nsec;
    int32_t reserved;
};

struct abi_statx {
    uint32_t stx_mask; /* STATX_*: what is filled in */
    uint32_t stx_blksize;
    uint64_t stx_attributes;
    uint32_t stx_nlink;
    uint32_t stx_uid;
    uint32_t stx_gid;
    uint16_t stx_mode;
    uint16_t pad0;
    uint64_t stx_ino;
    uint64_t stx_size;
    uint64_t stx_blocks;
    uint64_t stx_attributes_mask; /* STATX_ATTR_*: which bits of stx_attributes mean something */
    struct abi_statx_timestamp stx_atime;
    struct abi_statx_timestamp stx_btime;
    struct abi_statx_timestamp stx_ctime;
    struct abi_statx_timestamp stx_mtime;
    uint32_t stx_rdev_major;
    uint32_t stx_rdev_minor;
    uint32_t stx_dev_major;
    uint32_t stx_dev_minor;
    uint64_t stx_mnt_id;
    uint32_t stx_dio_mem_align;
    uint32_t stx_dio_offset_align;
    uint64_t spare[12];
};
USER_TYPES(stat, struct abi_stat);
USER_TYPES(statx, struct abi_statx);

/* A device number as stat(2) shows it: 12 bits of major, 20 of minor, as glibc's makedev(3) packs them. */
static inline uint64_t abi_makedev(uint32_t major, uint32_t minor)
{
    return (uint64_t)(major & 0xfff) << 8 | (minor & 0xff) | (uint64_t)(minor & 0xfff00) << 12;
}

static inline uint32_t abi_major(uint64_t dev)
{
    return (dev >> 8) & 0xfff;
}

static inline uint32_t abi_minor(uint64_t dev)
{
    return (dev & 0xff) | ((dev >> 12) & 0xfff00);
}

#endif
