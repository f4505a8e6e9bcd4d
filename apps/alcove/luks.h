/* SPDX-License-Identifier: MIT */
/* LUKS2 volumes on the host, without root and without the device mapper: cryptsetup makes and reads the header, and what lies behind it is
 * encrypted and decrypted here. */
#ifndef ALCOVE_CMD_LUKS_H
#define ALCOVE_CMD_LUKS_H

#include "util.h"

enum { LUKS_SECTOR = 4096, LUKS_DATA_AT = 16 << 20 };

/* How a volume is made. */
struct luks_spec {
    const char *key_file; /* NULL: cryptsetup asks for the passphrase */
    const char *
        iter_time; /* milliseconds that one try of a passphrase is to take; NULL: cryptsetup's choice */
};

/* Make the file at path, which is there, a volume of its size, whose content is that of the file plain. Ends the command with a line on
 * failure. */
void luks_make(const char *path, const char *plain, const struct luks_spec *spec);
/* Decrypt what is in the volume at path into the file plain, which is made. */
void luks_extract(const char *path, const char *plain, const char *key_file);

#endif
