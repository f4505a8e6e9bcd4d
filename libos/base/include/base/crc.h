/* SPDX-License-Identifier: MIT */
/* Checksums of disk formats. */
#ifndef BASE_CRC_H
#define BASE_CRC_H

#include <base/types.h>

/* Continue a CRC-32 (reflected polynomial 0xedb88320) over len bytes, without the inversions at both ends. */
uint32_t crc32_add(uint32_t crc, const void *buf, size_t len);
/* The same with the Castagnoli polynomial (reflected 0x82f63b78), in plain C; plat_crc32c uses the CPU. */
uint32_t crc32c_add(uint32_t crc, const void *buf, size_t len);
/* Continue a CRC-16 (reflected polynomial 0xa001). */
uint16_t crc16_add(uint16_t crc, const void *buf, size_t len);

#endif
