/* SPDX-License-Identifier: MIT */
/* app.img and what is made of it: a GPT disk whose only partition is an EFI system partition with app.efi. */
#ifndef ALCOVE_CMD_DISK_H
#define ALCOVE_CMD_DISK_H

#include "image.h"

enum { DISK_SECTOR = 512 };

/* A file system of this many sectors that holds one file, EFI/BOOT/BOOTX64.EFI. */
struct esp {
    uint32_t sectors, cluster_sectors, fat_sectors, clusters;
    uint64_t file_size;
    uint32_t serial;
};

/* The smallest ESP for a file of that size; ends the command when it is too large for FAT32. */
struct esp esp_plan(uint64_t file_size, uint32_t serial);

/* Write it to out from offset at on, with the file's content from in. What is not written must read as zero. */
void esp_write(const struct esp *e, int in, int out, uint64_t at, const char *path);

/* Write the partition tables of a disk of that many sectors with one ESP; ids: 32 random bytes. */
void gpt_write(int out, uint64_t disk_sectors, uint64_t first, uint64_t sectors,
               const uint8_t ids[32], const char *path);

/* Writers of the formats: raw, qcow2, fixed VHD (Azure), tar.gz with disk.raw in it (Google). */
void disk_write(const struct image_parts *parts, const char *path);
void disk_write_qcow2(const struct image_parts *parts, const char *path);
void disk_write_vhd(const struct image_parts *parts, const char *path);
void disk_write_gcp(const struct image_parts *parts, const char *path);
/* The last of them of a disk that is there: from is copied, with zeros behind. */
void disk_copy_gcp(const char *from, const char *path);

/* Where the file BOOTX64.EFI of a disk that disk_write made lies in its bytes; false: it is no such disk. */
bool disk_find_efi(const uint8_t *data, size_t size, uint64_t *ret_at, uint64_t *ret_size);

#endif
