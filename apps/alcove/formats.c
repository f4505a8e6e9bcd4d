/* SPDX-License-Identifier: MIT */
/* One row for each format: how it is called, how its files are, who writes it. */
#include "formats.h"

#include "disk.h"
#include "efi.h"
#include "oci_write.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

static const struct {
    const char *name, *suffix;
    void (*write)(const struct image_parts *parts, const char *path);
} rows[FORMAT_COUNT] = {
    [FORMAT_ELF] = { "elf", ".elf", image_write },
    [FORMAT_EFI] = { "efi", ".efi", efi_write },
    [FORMAT_IMG] = { "img", ".img", disk_write },
    [FORMAT_QCOW2] = { "qcow2", ".qcow2", disk_write_qcow2 },
    [FORMAT_VHD] = { "vhd", ".vhd", disk_write_vhd },
    [FORMAT_GCP_TAR] = { "gcp-tar", ".tar.gz", disk_write_gcp },
    [FORMAT_OCI] = { "oci", ".oci.tar", oci_write },
};

unsigned formats_parse(const char *list)
{
    unsigned bits = 0;
    for (const char *s = list;; s++) {
        size_t n = strcspn(s, ","), i = 0;
        while (i < FORMAT_COUNT && (strncmp(rows[i].name, s, n) != 0 || rows[i].name[n]))
            i++;
        if (i == FORMAT_COUNT) {
            struct buf all = { 0 };
            for (i = 0; i < FORMAT_COUNT; i++)
                buf_printf(&all, "%s%s", i ? ", " : "", rows[i].name);
            fail("--format", "'%.*s' is not known; one or more of: %s", (int)n, s, all.s);
        }
        bits |= 1u << i;
        s += n;
        if (!*s)
            return bits;
    }
}

enum format format_of_name(const char *name, size_t *ret_stem)
{
    size_t n = strlen(name);
    for (size_t i = 0; i < FORMAT_COUNT; i++)
        if (ends_with(name, rows[i].suffix) &&
            path_base(name) != name + n - strlen(rows[i].suffix)) {
            *ret_stem = n - strlen(rows[i].suffix);
            return (enum format)i;
        }
    *ret_stem = n;
    return FORMAT_COUNT;
}

const char *format_suffix(enum format f)
{
    return rows[f].suffix;
}

/* A name beside path for the file while it is written: a rename inside one directory is atomic. */
static char *unfinished_name(const char *path)
{
    size_t dir = (size_t)(path_base(path) - path);
    return xprintf("%.*s.%s.%d.tmp", (int)dir, path, path_base(path), (int)getpid());
}

void format_write(enum format f, const struct image_parts *parts, const char *path)
{
    char *unfinished = unfinished_name(path);
    remove_at_exit(unfinished);
    rows[f].write(parts, unfinished);
    if (rename(unfinished, path) < 0)
        fail_errno(path, errno, "cannot write");
}
