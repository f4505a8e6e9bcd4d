/* SPDX-License-Identifier: MIT */
/* What a VMM that puts app.elf's own pages into a guest measures, by the code of `alcove measure`: SEV-SNP's launch digest, or
 * TDX's MRTD. The simulator is such a VMM. usage: digest snp|tdx APP.ELF; the address of SNP's own two pages is the simulator's. */
#include "firmware.h"
#include "snp.h"
#include "tcg.h"
#include "util.h"

#include <elf.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { PAGE = 4096, EXTEND = 1, TYPE_NORMAL = 1, TYPE_SECRETS = 5, TYPE_CPUID = 6 };
#define SECRETS_AT 0x80000
#define CPUID_AT   0x81000

/* The pages of the loaded segments, in order of address; those between segments belong to none. */
static uint8_t *pages;
static struct firmware memory;

static void add_segment(const uint8_t *elf, const Elf64_Phdr *p)
{
    uint64_t base = p->p_paddr & -(uint64_t)PAGE;
    uint64_t end = (p->p_paddr + p->p_memsz + PAGE - 1) & -(uint64_t)PAGE;

    memory.tdx[memory.tdx_count].base = base;
    memory.tdx[memory.tdx_count].size = end - base;
    memory.tdx[memory.tdx_count].data_at = (uint32_t)memory.size;
    memory.tdx[memory.tdx_count].data_size = (uint32_t)(end - base);
    memory.tdx[memory.tdx_count++].flags = EXTEND;
    pages = realloc(pages, memory.size + (end - base));
    memset(pages + memory.size, 0, end - base);
    memcpy(pages + memory.size + (p->p_paddr - base), elf + p->p_offset, p->p_filesz);
    memory.size += end - base;
}

static void snp(uint8_t digest[SNP_DIGEST])
{
    memset(digest, 0, SNP_DIGEST);
    for (size_t i = 0; i < memory.tdx_count; i++)
        for (uint64_t at = 0; at < memory.tdx[i].size; at += PAGE)
            snp_page(digest, TYPE_NORMAL, memory.tdx[i].base + at,
                     pages + memory.tdx[i].data_at + at);
    snp_page(digest, TYPE_SECRETS, SECRETS_AT, NULL);
    snp_page(digest, TYPE_CPUID, CPUID_AT, NULL);
}

int main(int argc, char **argv)
{
    uint8_t digest[HASH_MAX];
    size_t size;

    if (argc != 3)
        fail("digest", "usage: digest snp|tdx APP.ELF");
    const uint8_t *elf;
    if (file_map(argv[2], &elf, &size))
        fail(argv[2], "cannot be read");
    const Elf64_Ehdr *h = (const Elf64_Ehdr *)elf;
    for (unsigned i = 0; i < h->e_phnum && memory.tdx_count < FIRMWARE_RANGES_MAX; i++) {
        const Elf64_Phdr *p = (const Elf64_Phdr *)(elf + h->e_phoff) + i;
        if (p->p_type == PT_LOAD)
            add_segment(elf, p);
    }
    memory.path = argv[2];
    memory.data = pages;
    if (strcmp(argv[1], "snp") == 0)
        snp(digest);
    else
        tcg_mrtd(&memory, digest);
    for (int i = 0; i < SNP_DIGEST; i++)
        printf("%02x", digest[i]);
    printf("\n");
    return 0;
}
