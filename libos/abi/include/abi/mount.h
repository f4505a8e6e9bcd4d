/* SPDX-License-Identifier: MIT */
/* mount(2) and its successors: linux/mount.h. */
#ifndef ABI_MOUNT_H
#define ABI_MOUNT_H

#include <base/user_ptr.h>
#include <stdint.h>

#define MS_RDONLY      1
#define MS_NOSUID      2
#define MS_NODEV       4
#define MS_NOEXEC      8
#define MS_SYNCHRONOUS 16
#define MS_REMOUNT     32
#define MS_NOSYMFOLLOW 256
#define MS_NOATIME     1024
#define MS_NODIRATIME  2048
#define MS_BIND        4096
#define MS_MOVE        8192
#define MS_REC         16384
#define MS_SILENT      32768
#define MS_UNBINDABLE  (1 << 17)
#define MS_PRIVATE     (1 << 18)
#define MS_SLAVE       (1 << 19)
#define MS_SHARED      (1 << 20)
#define MS_RELATIME    (1 << 21)
#define MS_STRICTATIME (1 << 24)
#define ABI_MS_NOUSER  (1u << 31)
#define MS_MGC_VAL     0xc0ed0000u
#define MS_MGC_MSK     0xffff0000u

#define OPEN_TREE_CLONE   1
#define OPEN_TREE_CLOEXEC 02000000

#define MOVE_MOUNT_F_SYMLINKS   0x1
#define MOVE_MOUNT_F_EMPTY_PATH 0x4
#define MOVE_MOUNT_T_SYMLINKS   0x10
#define MOVE_MOUNT_T_EMPTY_PATH 0x40
#define MOVE_MOUNT_SET_GROUP    0x100
#define MOVE_MOUNT_BENEATH      0x200
#define ABI_MOVE_MOUNT_VALID    0x377

#define FSOPEN_CLOEXEC          1
#define FSMOUNT_CLOEXEC         1
#define FSPICK_CLOEXEC          1
#define FSPICK_SYMLINK_NOFOLLOW 2
#define FSPICK_NO_AUTOMOUNT     4
#define FSPICK_EMPTY_PATH       8

#define FSCONFIG_SET_FLAG        0
#define FSCONFIG_SET_STRING      1
#define FSCONFIG_SET_BINARY      2
#define FSCONFIG_SET_PATH        3
#define FSCONFIG_SET_PATH_EMPTY  4
#define FSCONFIG_SET_FD          5
#define FSCONFIG_CMD_CREATE      6
#define FSCONFIG_CMD_RECONFIGURE 7
#define FSCONFIG_CMD_CREATE_EXCL 8

#define MOUNT_ATTR_RDONLY      0x1
#define MOUNT_ATTR_NOSUID      0x2
#define MOUNT_ATTR_NODEV       0x4
#define MOUNT_ATTR_NOEXEC      0x8
#define MOUNT_ATTR__ATIME      0x70
#define MOUNT_ATTR_RELATIME    0
#define MOUNT_ATTR_NOATIME     0x10
#define MOUNT_ATTR_STRICTATIME 0x20
#define MOUNT_ATTR_NODIRATIME  0x80
#define MOUNT_ATTR_NOSYMFOLLOW 0x200000
#define ABI_MOUNT_ATTR_VALID   0x2000ff

struct abi_mount_attr {
    uint64_t attr_set, attr_clr, propagation, userns_fd;
};
USER_TYPES(mount_attr, struct abi_mount_attr);

/* What statmount(2) and listmount(2) are asked (linux/mount.h). */
struct abi_mnt_id_req {
    uint32_t size, mnt_ns_fd;
    uint64_t mnt_id, param, mnt_ns_id;
};

#define LSMT_ROOT                0xffffffffffffffffull
#define LISTMOUNT_REVERSE        1u
#define STATMOUNT_SB_BASIC       0x1u
#define STATMOUNT_MNT_BASIC      0x2u
#define STATMOUNT_PROPAGATE_FROM 0x4u
#define STATMOUNT_MNT_ROOT       0x8u
#define STATMOUNT_MNT_POINT      0x10u
#define STATMOUNT_FS_TYPE        0x20u
#define STATMOUNT_MNT_NS_ID      0x40u
#define STATMOUNT_MNT_OPTS       0x80u
#define STATMOUNT_FS_SUBTYPE     0x100u
#define STATMOUNT_SB_SOURCE      0x200u
#define STATMOUNT_OPT_ARRAY      0x400u
#define STATMOUNT_SUPPORTED_MASK 0x1000u

/* What statmount(2) answers; strings lie behind, at offsets from str. */
struct abi_statmount {
    uint32_t size, mnt_opts;
    uint64_t mask; /* STATMOUNT_*: what is filled in */
    uint32_t sb_dev_major, sb_dev_minor;
    uint64_t sb_magic;
    uint32_t sb_flags, fs_type;
    uint64_t mnt_id, mnt_parent_id;
    uint32_t mnt_id_old, mnt_parent_id_old;
    uint64_t mnt_attr, mnt_propagation, mnt_peer_group, mnt_master, propagate_from;
    uint32_t mnt_root, mnt_point;
    uint64_t mnt_ns_id;
    uint32_t fs_subtype, sb_source, opt_num, opt_array, opt_sec_num, opt_sec_array;
    uint64_t supported_mask;
    uint64_t spare[45]; /* then strings, each with a zero */
};

#endif
