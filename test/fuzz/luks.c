/* SPDX-License-Identifier: MIT */
/* The reader of LUKS2 headers on damaged ones, as somebody would make them who wants to be believed: the input changes a header that
 * cryptsetup made, and the checksum is made right again. Three bytes a change: two of the place, one of what. */
#include "blk/luks/header.h"

#include <base/log.h>
#include <libos/page.h>
#include <libos/process.h>
#include <libos/sched.h>
#include <libos/sha256.h>
#include <plat/host.h>
#include <plat/upcall.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t size);

enum { HEADER = 16384, JSON_AT = 4096, CHECKSUM_AT = 0x1c0, SECTORS = 65536 };

static uint8_t good[HEADER], *header;
static size_t text; /* bytes of JSON */

void machine_exit(int wait_status)
{
    (void)wait_status;
    abort();
}

void upcall_boot(void)
{
    abort();
}

static void quiet(enum log_level level, const char *line, size_t len)
{
    (void)level, (void)line, (void)len; /* every damage is told; thousands of them are no help */
}

static void begin(void)
{
    char name[] = "/tmp/fuzz-luks-XXXXXX", command[800];
    int fd = mkstemp(name);
    snprintf(
        command, sizeof(command),
        "PATH=$PATH:/usr/sbin; printf secret >%s.key && cryptsetup luksFormat -q --type luks2 "
        "--pbkdf "
        "argon2id --pbkdf-memory 64 --pbkdf-parallel 1 --pbkdf-force-iterations 4 --key-file "
        "%s.key %s && cryptsetup "
        "luksAddKey -q --pbkdf pbkdf2 --pbkdf-force-iterations 1000 --key-file %s.key %s %s.key",
        name, name, name, name, name, name);
    if (fd < 0 || ftruncate(fd, SECTORS * 512) || system(command) ||
        pread(fd, good, sizeof(good), 0) != sizeof(good))
        abort();
    unlink(name);
    unlink(strcat(strcpy(command, name), ".key"));
    close(fd);
    text = strnlen((char *)good + JSON_AT, HEADER - JSON_AT);
    plat_host_init();
    page_init();
    sched_init_cpu(0);
    log_set_sink(quiet);
    header = malloc(HEADER); /* its bounds are watched */
    struct luks_header *h = malloc(sizeof(*h));
    if (luks_header_parse(good, sizeof(good), 0, SECTORS, h) || h->nslots != 2)
        abort();
    free(h);
}

static void seal(void)
{
    struct sha256 s;
    memset(header + CHECKSUM_AT, 0, 64);
    sha256_init(&s);
    sha256_add(&s, header, HEADER);
    sha256_end(&s, header + CHECKSUM_AT);
}

/* What a reader may rely on. */
static void check(const struct luks_header *h)
{
    if (h->offset + h->length > SECTORS || h->nslots > LUKS_SLOTS_MAX ||
        h->digest_size > sizeof(h->digest))
        abort();
    for (uint32_t i = 0; i < h->nslots; i++) {
        const struct luks_slot *s = &h->slots[i];
        if (s->area + (uint64_t)s->stripes * s->key_size > h->offset * 512 ||
            s->salt.n > LUKS_SALT_MAX || s->key_size > LUKS_KEY_MAX ||
            s->area_key_size > LUKS_KEY_MAX)
            abort();
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t size)
{
    /* Parts of JSON that a single changed byte hardly makes. */
    static const char *const pieces[] = {
        "18446744073709551615", "\"\"", "{}", "[]", "null", "-1", "4096", "\"0\"", "\\"
    };
    if (!header)
        begin();
    struct luks_header *h = malloc(sizeof(*h));
    memcpy(header, good, HEADER);
    for (size_t i = 0; i + 3 <= size; i += 3) {
        size_t at = bytes[i] | (size_t)bytes[i + 1] << 8, what = bytes[i + 2];
        if (at & 0x8000 && what < 9) {
            size_t place = JSON_AT + at % (text - 32);
            memcpy(header + place, pieces[what], strlen(pieces[what]));
        } else if (at & 0x4000) {
            header[at % 512] = (uint8_t)what;
        } else {
            header[JSON_AT + at % text] = (uint8_t)what;
        }
    }
    seal();
    if (luks_header_parse(header, HEADER, 0, SECTORS, h) == 0)
        check(h);
    free(h);
    return 0;
}
