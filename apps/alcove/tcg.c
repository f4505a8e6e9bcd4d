/* SPDX-License-Identifier: MIT */
/* Spec: TCG PC Client Platform Firmware Profile (which event goes into which PCR); UEFI 2.10, 38.4.1 (which PCR is which
 * RTMR); Microsoft's "Windows Authenticode Portable Executable Signature Format"; Intel's "TDX Module Base Architecture"
 * (the measurement of pages that are added); systemd-stub(7) (PCR 11). */
#include "tcg.h"

#include "util.h"

#include <string.h>

enum {
    CHECKSUM_AT = 24 + 64, /* from the PE signature */
    SECURITY_AT = 24 + 112 + 8 * PE_DIRECTORY_SECURITY,
    GPT_HEADER = 92,
    GPT_ENTRY = 128,
    SECTOR = 512,
    TDX_PAGE = 4096,
    TDX_CHUNK = 256,
    TDX_EXTEND = 1, /* section flags */
    TDX_AUGMENT = 2,
};

size_t tcg_authenticode(const struct pe *pe, const char *algorithm, uint8_t ret[HASH_MAX])
{
    struct hash h;
    uint32_t at;
    size_t end = pe->size;
    memcpy(&at, pe->data + 0x3c, sizeof(at));
    if (pe->h.directory[PE_DIRECTORY_SECURITY].size)
        end = pe->h.directory[PE_DIRECTORY_SECURITY].address;
    size_t checksum = at + CHECKSUM_AT, security = at + SECURITY_AT;
    if (security + 8 > end || end > pe->size)
        fail("image", "has a damaged signature");
    /* Lint made sure that sections follow each other: the file without the fields that a signer sets. */
    hash_begin(&h, algorithm);
    hash_add(&h, pe->data, checksum);
    hash_add(&h, pe->data + checksum + 4, security - checksum - 4);
    hash_add(&h, pe->data + security + 8, end - security - 8);
    return hash_end(&h, ret);
}

static void text(struct extended *e, const char *s)
{
    extended_bytes(e, s, strlen(s));
}

static void separator(struct extended *e)
{
    extended_bytes(e, "\0\0\0", 4);
}

static void file(struct extended *e, const struct tcg_image *i)
{
    uint8_t sum[HASH_MAX];
    (void)tcg_authenticode(i->pe, e->algorithm, sum);
    extended_digest(e, sum);
}

/* The partition table's header and used entries: here one. */
static void partition_table(struct extended *e, const struct tcg_image *i)
{
    uint8_t data[GPT_HEADER + 8 + GPT_ENTRY] = { 0 };
    if (i->disk_size < 3 * SECTOR)
        fail("image", "is no disk");
    memcpy(data, i->disk + SECTOR, GPT_HEADER);
    data[GPT_HEADER] = 1;
    memcpy(data + GPT_HEADER + 8, i->disk + 2 * SECTOR, GPT_ENTRY);
    extended_bytes(e, data, sizeof(data));
}

static void sections(struct extended *e, const struct tcg_image *i)
{
    static const char *const names[] = { ".linux",  ".osrel", ".cmdline",
                                         ".initrd", ".uname", ".sbat" };
    for (size_t k = 0; k < sizeof(names) / sizeof(*names); k++) {
        const struct pe_section *s = pe_find(i->pe, names[k]);
        if (!s)
            continue;
        extended_bytes(e, names[k], strlen(names[k]) + 1);
        extended_bytes(e, i->pe->data + s->file_at, s->size);
    }
}

static const char calling[] = "Calling EFI Application from Boot Option";
static const char leaving[] = "Exit Boot Services Invocation";
static const char left[] = "Exit Boot Services Returned with Success";

void tcg_pcrs(const struct tcg_image *i, struct extended *ret_4, struct extended *ret_5,
              struct extended *ret_11)
{
    /* OVMF loads the kernel that QEMU passes before it is ready to boot. */
    if (!i->disk)
        file(ret_4, i);
    text(ret_4, calling);
    separator(ret_4);
    if (i->disk)
        file(ret_4, i);
    separator(ret_5);
    if (i->disk)
        partition_table(ret_5, i);
    text(ret_5, leaving);
    text(ret_5, left);
    sections(ret_11, i);
}

void tcg_rtmrs(const struct tcg_image *i, struct extended *ret_1, struct extended *ret_2)
{
    if (!i->disk)
        file(ret_1, i);
    text(ret_1, calling);
    separator(ret_1);
    if (i->disk) {
        partition_table(ret_1, i);
        file(ret_1, i);
    }
    text(ret_1, leaving);
    text(ret_1, left);
    sections(ret_2, i);
}

static void tdx_step(struct hash *h, const char *what, uint64_t gpa)
{
    uint8_t block[128] = { 0 };
    memcpy(block, what, strlen(what));
    for (int i = 0; i < 8; i++)
        block[16 + i] = (uint8_t)(gpa >> (8 * i));
    hash_add(h, block, sizeof(block));
}

void tcg_mrtd(const struct firmware *f, uint8_t ret[HASH_MAX])
{
    struct hash h;
    if (!f->tdx_count)
        fail(f->path, "has no TDX metadata; name one that has: --firmware FILE");
    hash_begin(&h, "SHA384");
    for (size_t i = 0; i < f->tdx_count; i++) {
        if (f->tdx[i].flags & TDX_AUGMENT)
            continue;
        if (f->tdx[i].size % TDX_PAGE || f->tdx[i].size > 1u << 30 || f->tdx[i].data_at > f->size ||
            f->tdx[i].data_size > f->size - f->tdx[i].data_at)
            fail(f->path, "has damaged metadata (TDVF)");
        for (uint64_t at = 0; at < f->tdx[i].size; at += TDX_PAGE) {
            tdx_step(&h, "MEM.PAGE.ADD", f->tdx[i].base + at);
            for (uint64_t c = at; f->tdx[i].flags & TDX_EXTEND && c < at + TDX_PAGE;
                 c += TDX_CHUNK) {
                uint8_t chunk[TDX_CHUNK] = { 0 };
                if (c < f->tdx[i].data_size)
                    memcpy(chunk, f->data + f->tdx[i].data_at + c,
                           f->tdx[i].data_size - c < TDX_CHUNK ? f->tdx[i].data_size - c
                                                               : TDX_CHUNK);
                tdx_step(&h, "MR.EXTEND", f->tdx[i].base + c);
                hash_add(&h, chunk, sizeof(chunk));
            }
        }
    }
    (void)hash_end(&h, ret);
}
