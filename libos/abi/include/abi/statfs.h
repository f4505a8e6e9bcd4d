/* SPDX-License-Identifier: MIT */
/* File system statistics (asm-generic/statfs.h) and magic numbers (linux/magic.h). */
#ifndef ABI_STATFS_H
#define ABI_STATFS_H

#include <base/user_ptr.h>
#include <stdint.h>

#define TMPFS_MAGIC           0x1021994
#define PROC_SUPER_MAGIC      0x9fa0
#define SYSFS_MAGIC           0x62656572
#define SECURITYFS_MAGIC      0x73636673
#define EXT4_SUPER_MAGIC      0xef53
#define EROFS_SUPER_MAGIC_V1  0xe0f5e1e2u
#define DEVPTS_SUPER_MAGIC    0x1cd1
#define RAMFS_MAGIC           0x858458f6u
#define PIPEFS_MAGIC          0x50495045
#define SOCKFS_MAGIC          0x534f434b
#define ANON_INODE_FS_MAGIC   0x9041934
#define OVERLAYFS_SUPER_MAGIC 0x794c7630
#define ST_RDONLY             0x1
#define ST_NOSUID             0x2
#define ST_NODEV              0x4
#define ST_NOEXEC             0x8
#define ST_SYNCHRONOUS        0x10
#define ST_NOATIME            0x400
#define ST_NODIRATIME         0x800
#define ST_RELATIME           0x1000
#define ST_NOSYMFOLLOW        0x2000

#define ABI_ST_VALID 0x20 /* f_flags was filled in by the kernel */

struct abi_statfs {
    int64_t f_type;
    int64_t f_bsize;
    uint64_t f_blocks;
    uint64_t f_bfree;
    uint64_t f_bavail;
    uint64_t f_files;
    uint64_t f_ffree;
    int32_t f_fsid[2];
    int64_t f_namelen;
    int64_t f_frsize;
    int64_t f_flags; /* ST_* */
    int64_t f_spare[4];
};
USER_TYPES(statfs, struct abi_statfs);

#endif
