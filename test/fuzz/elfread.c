/* SPDX-License-Identifier: MIT */
/* The command's reader of programs on damaged ones. The input is a list of changes to a program that runs here: four bytes
 * each, three of them the place (its lower half is the first 4 KiB), or, where the first byte says so, the program's size. */
#include <elfread.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t size);

/* What util.c calls before it gives up; there is nothing to remove. */
void remove_finish(void)
{
}

/* The command keeps what it says of an error, and ends with it. */
const char *__asan_default_options(void);
const char *__asan_default_options(void)
{
    return "detect_leaks=0";
}

static uint8_t *good;
static size_t good_size;

static void load(void)
{
    FILE *f = fopen("/bin/true", "rb");
    if (!f || fseek(f, 0, SEEK_END))
        abort();
    good_size = (size_t)ftell(f);
    good = malloc(good_size);
    rewind(f);
    if (fread(good, 1, good_size, f) != good_size)
        abort();
    fclose(f);
}

/* Everything that was found lies in the file. */
static void look(const struct elf_file *e)
{
    volatile uint8_t sum = 0;
    for (unsigned i = 0; i < e->ehdr->e_phnum; i++) {
        const Elf64_Phdr *p = &e->phdrs[i];
        uint64_t n = p->p_filesz < 64 ? p->p_filesz : 64;
        const uint8_t *at = elf_at(e, p->p_vaddr, n);
        for (uint64_t k = 0; at && k < n; k++)
            sum = (uint8_t)(sum + at[k]);
    }
    if (e->interp)
        sum = (uint8_t)(sum + strlen(e->interp));
    for (size_t i = 0; i < e->needed.n; i++)
        sum = (uint8_t)(sum + strlen(e->needed.v[i]));
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t size)
{
    struct elf_file e;
    if (!good)
        load();
    size_t n = good_size;
    if (size > 400) /* few changes leave something to read */
        size %= 400;
    if (size >= 4 && bytes[0] % 4 == 0)
        n = (size_t)(bytes[1] | bytes[2] << 8 | bytes[3] << 16) % (good_size + 1);
    uint8_t *copy = malloc(n + 1);
    memcpy(copy, good, n);
    for (size_t i = 4; i + 4 <= size; i += 4) {
        size_t at = (size_t)(bytes[i] | bytes[i + 1] << 8 | (bytes[i + 2] & 0x7f) << 16);
        at = bytes[i + 2] & 0x80 ? at % 4096 : at;
        if (n)
            copy[at % n] = bytes[i + 3];
    }
    memset(&e, 0, sizeof(e));
    if (!elf_read(copy, n, &e))
        look(&e);
    free(e.interp);
    free(e.soname);
    free(e.rpath);
    free(e.runpath);
    for (size_t i = 0; i < e.needed.n; i++)
        free(e.needed.v[i]);
    free(e.needed.v);
    free(copy);
    return 0;
}
