/* SPDX-License-Identifier: MIT */
/* ext4 on disk: Documentation/filesystems/ext4 of Linux. Little-endian, like every machine that libOS runs on. */
#ifndef EXT4_DISK_H
#define EXT4_DISK_H

#include <base/compiler.h>
#include <base/types.h>

enum { EXT4_SUPER_OFFSET = 1024, EXT4_MAGIC = 0xef53 };

enum ext4_compat {
    COMPAT_DIR_PREALLOC = 1,
    COMPAT_HAS_JOURNAL = 4,
    COMPAT_EXT_ATTR = 8,
    COMPAT_RESIZE_INODE = 0x10,
    COMPAT_DIR_INDEX = 0x20,
    COMPAT_SPARSE_SUPER2 = 0x200,
    COMPAT_FAST_COMMIT = 0x400,
    COMPAT_ORPHAN_FILE = 0x1000
};
enum ext4_incompat {
    INCOMPAT_COMPRESSION = 1,
    INCOMPAT_FILETYPE = 2,
    INCOMPAT_RECOVER = 4,
    INCOMPAT_JOURNAL_DEV = 8,
    INCOMPAT_META_BG = 0x10,
    INCOMPAT_EXTENTS = 0x40,
    INCOMPAT_64BIT = 0x80,
    INCOMPAT_MMP = 0x100,
    INCOMPAT_FLEX_BG = 0x200,
    INCOMPAT_EA_INODE = 0x400,
    INCOMPAT_DIRDATA = 0x1000,
    INCOMPAT_CSUM_SEED = 0x2000,
    INCOMPAT_LARGEDIR = 0x4000,
    INCOMPAT_INLINE_DATA = 0x8000,
    INCOMPAT_ENCRYPT = 0x10000,
    INCOMPAT_CASEFOLD = 0x20000
};
enum ext4_ro_compat {
    RO_SPARSE_SUPER = 1,
    RO_LARGE_FILE = 2,
    RO_HUGE_FILE = 8,
    RO_GDT_CSUM = 0x10,
    RO_DIR_NLINK = 0x20,
    RO_EXTRA_ISIZE = 0x40,
    RO_QUOTA = 0x100,
    RO_BIGALLOC = 0x200,
    RO_METADATA_CSUM = 0x400,
    RO_READONLY = 0x1000,
    RO_PROJECT = 0x2000,
    RO_VERITY = 0x8000,
    RO_ORPHAN_PRESENT = 0x10000
};
enum { STATE_VALID = 1, STATE_ERROR = 2, STATE_ORPHAN = 4 };

struct ext4_super {
    uint32_t inodes_count, blocks_count_lo, r_blocks_count_lo, free_blocks_count_lo;
    uint32_t free_inodes_count, first_data_block, log_block_size, log_cluster_size;
    uint32_t blocks_per_group, clusters_per_group, inodes_per_group, mtime;
    uint32_t wtime;
    uint16_t mnt_count, max_mnt_count;
    uint16_t magic, state, errors, minor_rev_level;
    uint32_t lastcheck, checkinterval, creator_os, rev_level;
    uint16_t def_resuid, def_resgid;
    uint32_t first_ino;
    uint16_t inode_size, block_group_nr;
    uint32_t feature_compat, feature_incompat, feature_ro_compat;
    uint8_t uuid[16];
    char volume_name[16], last_mounted[64];
    uint32_t algorithm_usage_bitmap;
    uint8_t prealloc_blocks, prealloc_dir_blocks;
    uint16_t reserved_gdt_blocks;
    uint8_t journal_uuid[16];
    uint32_t journal_inum, journal_dev, last_orphan, hash_seed[4];
    uint8_t def_hash_version, jnl_backup_type;
    uint16_t desc_size;
    uint32_t default_mount_opts, first_meta_bg, mkfs_time, jnl_blocks[17];
    uint32_t blocks_count_hi, r_blocks_count_hi, free_blocks_count_hi;
    uint16_t min_extra_isize, want_extra_isize;
    uint32_t flags;
    uint16_t raid_stride, mmp_interval;
    uint64_t mmp_block;
    uint32_t raid_stripe_width;
    uint8_t log_groups_per_flex, checksum_type, encryption_level, reserved_pad;
    uint64_t kbytes_written;
    uint32_t snapshot_inum, snapshot_id;
    uint64_t snapshot_r_blocks_count;
    uint32_t snapshot_list, error_count, first_error_time, first_error_ino;
    uint64_t first_error_block;
    uint8_t first_error_func[32];
    uint32_t first_error_line, last_error_time, last_error_ino, last_error_line;
    uint64_t last_error_block;
    uint8_t last_error_func[32];
    uint8_t mount_opts[64];
    uint32_t usr_quota_inum, grp_quota_inum, overhead_blocks, backup_bgs[2];
    uint8_t encrypt_algos[4], encrypt_pw_salt[16];
    uint32_t lpf_ino, prj_quota_inum, checksum_seed;
    uint8_t wtime_hi, mtime_hi, mkfs_time_hi, lastcheck_hi, first_error_time_hi, last_error_time_hi;
    uint8_t first_error_errcode, last_error_errcode;
    uint16_t encoding, encoding_flags;
    uint32_t orphan_file_inum, reserved[94], checksum;
} PACKED;
_Static_assert(sizeof(struct ext4_super) == 1024, "the superblock is 1024 bytes");

enum { BG_INODE_UNINIT = 1, BG_BLOCK_UNINIT = 2, BG_INODE_ZEROED = 4 };
struct ext4_group {
    uint32_t block_bitmap_lo, inode_bitmap_lo, inode_table_lo;
    uint16_t free_blocks_lo, free_inodes_lo, used_dirs_lo, flags;
    uint32_t exclude_bitmap_lo;
    uint16_t block_bitmap_csum_lo, inode_bitmap_csum_lo, itable_unused_lo, checksum;
    /* From here on with 64bit. */
    uint32_t block_bitmap_hi, inode_bitmap_hi, inode_table_hi;
    uint16_t free_blocks_hi, free_inodes_hi, used_dirs_hi, itable_unused_hi;
    uint32_t exclude_bitmap_hi;
    uint16_t block_bitmap_csum_hi, inode_bitmap_csum_hi;
    uint32_t reserved;
};
_Static_assert(sizeof(struct ext4_group) == 64, "a group descriptor is 32 or 64 bytes");

enum ext4_inode_flags {
    FL_SYNC = 8,
    FL_IMMUTABLE = 0x10,
    FL_APPEND = 0x20,
    FL_INDEX = 0x1000,
    FL_HUGE_FILE = 0x40000,
    FL_EXTENTS = 0x80000,
    FL_VERITY = 0x100000,
    FL_EA_INODE = 0x200000,
    FL_INLINE_DATA = 0x10000000,
    FL_CASEFOLD = 0x40000000,
    FL_ENCRYPT = 0x800
};
enum { INODE_BLOCK_BYTES = 60, INO_ROOT = 2, INO_JOURNAL = 8, INODE_GOOD_OLD = 128 };
struct ext4_dinode {
    uint16_t mode, uid_lo;
    uint32_t size_lo, atime, ctime, mtime, dtime;
    uint16_t gid_lo, links;
    uint32_t blocks_lo, flags, version_lo;
    uint8_t block[INODE_BLOCK_BYTES];
    uint32_t generation, file_acl_lo, size_hi, obso_faddr;
    uint16_t blocks_hi, file_acl_hi, uid_hi, gid_hi, checksum_lo, reserved;
    /* From here on with inode_size > 128. */
    uint16_t extra_isize, checksum_hi;
    uint32_t ctime_extra, mtime_extra, atime_extra, crtime, crtime_extra, version_hi, projid;
};
_Static_assert(sizeof(struct ext4_dinode) == 160, "an inode's known fields are 160 bytes");

enum { EXTENT_MAGIC = 0xf30a, EXTENT_DEPTH_MAX = 5, EXTENT_LEN_MAX = 32768 };
struct ext4_extent_header {
    uint16_t magic, entries, max, depth;
    uint32_t generation;
};
struct ext4_extent_index {
    uint32_t block, leaf_lo;
    uint16_t leaf_hi, unused;
};
struct ext4_extent {
    uint32_t block;
    uint16_t len; /* above EXTENT_LEN_MAX: unwritten, by so much */
    uint16_t start_hi;
    uint32_t start_lo;
};

struct ext4_dirent {
    uint32_t inode;
    uint16_t rec_len;
    uint8_t name_len, type;
    char name[];
};
enum { DIRENT_HEADER = 8, DIRENT_TAIL = 12, DIRENT_TAIL_TYPE = 0xde };
struct ext4_dirent_tail {
    uint32_t zero1;
    uint16_t rec_len;
    uint8_t zero2, type;
    uint32_t checksum;
};

enum { HASH_LEGACY, HASH_HALF_MD4, HASH_TEA, HASH_LEGACY_U, HASH_HALF_MD4_U, HASH_TEA_U, HASH_SIP };
struct ext4_dx_root_info {
    uint32_t zero;
    uint8_t hash_version, info_length, indirect_levels, unused_flags;
};
struct ext4_dx_entry {
    uint32_t hash, block;
};
struct ext4_dx_countlimit { /* over the first entry's hash */
    uint16_t limit, count;
};
struct ext4_dx_tail {
    uint32_t reserved, checksum;
};
enum { DX_ROOT_INFO_AT = 24, DX_NODE_AT = 8 };

enum { XATTR_MAGIC = 0xea020000 };
struct ext4_xattr_header { /* of a block */
    uint32_t magic, refcount, blocks, hash, checksum, reserved[3];
};
struct ext4_xattr_entry {
    uint8_t name_len, name_index;
    uint16_t value_offs;
    uint32_t value_inum, value_size, hash;
    char name[];
};

/* The journal, jbd2; big-endian. */
enum { JBD_MAGIC = 0xc03b3998 };
enum { JBD_DESCRIPTOR = 1, JBD_COMMIT = 2, JBD_SUPER_V1 = 3, JBD_SUPER_V2 = 4, JBD_REVOKE = 5 };
enum {
    JBD_INCOMPAT_REVOKE = 1,
    JBD_INCOMPAT_64BIT = 2,
    JBD_INCOMPAT_ASYNC_COMMIT = 4,
    JBD_INCOMPAT_CSUM_V2 = 8,
    JBD_INCOMPAT_CSUM_V3 = 16,
    JBD_INCOMPAT_FAST_COMMIT = 32
};
enum { JBD_TAG_ESCAPE = 1, JBD_TAG_SAME_UUID = 2, JBD_TAG_DELETED = 4, JBD_TAG_LAST = 8 };
struct jbd_header {
    uint32_t magic, blocktype, sequence;
};
struct jbd_super {
    struct jbd_header header;
    uint32_t blocksize, maxlen, first, sequence, start, error;
    uint32_t feature_compat, feature_incompat, feature_ro_compat;
    uint8_t uuid[16];
    uint32_t nr_users, dynsuper, max_transaction, max_trans_data;
    uint8_t checksum_type, padding2[3];
    uint32_t num_fc_blocks, head, padding[40], checksum;
    uint8_t users[16 * 48];
};
_Static_assert(sizeof(struct jbd_super) == 1024, "the journal's superblock is 1024 bytes");
struct jbd_tag3 {
    uint32_t blocknr, flags, blocknr_hi, checksum;
};
struct jbd_commit {
    struct jbd_header header;
    uint8_t chksum_type, chksum_size, padding[2];
    uint32_t chksum[8];
    uint64_t commit_sec;
    uint32_t commit_nsec;
};

#endif
