/* SPDX-License-Identifier: MIT */
/* Makes damaged ELF files for the tests: damage KIND IN OUT, or damage flip OFFSET FILE. */
#include <elf.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

static unsigned char data[64 << 20];
static size_t size;

static void load(const char *path)
{
    FILE *f = fopen(path, "rb");
    if (!f)
        exit(2);
    size = fread(data, 1, sizeof(data), f);
    fclose(f);
}

static void store(const char *path)
{
    FILE *f = fopen(path, "wb");
    if (!f || fwrite(data, 1, size, f) != size || fclose(f) != 0)
        exit(2);
    if (chmod(path, 0755) != 0)
        exit(2);
}

/* The n-th segment of a type. */
static Elf64_Phdr *segment(unsigned type, int n)
{
    Elf64_Ehdr *h = (void *)data;
    Elf64_Phdr *p = (void *)(data + h->e_phoff);
    for (int i = 0; i < h->e_phnum; i++)
        if (p[i].p_type == type && n-- == 0)
            return &p[i];
    exit(2);
}

static void damage(const char *kind)
{
    Elf64_Ehdr *h = (void *)data;
    if (!strcmp(kind, "class32")) {
        data[EI_CLASS] = ELFCLASS32;
    } else if (!strcmp(kind, "machine")) {
        h->e_machine = EM_AARCH64;
    } else if (!strcmp(kind, "relocatable")) {
        h->e_type = ET_REL;
    } else if (!strcmp(kind, "overlap")) {
        segment(PT_LOAD, 1)->p_vaddr =
            segment(PT_LOAD, 0)->p_vaddr + (segment(PT_LOAD, 1)->p_offset & 4095);
        segment(PT_LOAD, 1)->p_memsz += 4096;
    } else if (!strcmp(kind, "overflow-file")) {
        segment(PT_LOAD, 1)->p_offset = -4096ULL + (segment(PT_LOAD, 1)->p_vaddr & 4095);
    } else if (!strcmp(kind, "overflow-memory")) {
        segment(PT_LOAD, 1)->p_memsz = -4096ULL;
    } else if (!strcmp(kind, "overflow-phoff")) {
        h->e_phoff = -8ULL;
    } else if (!strcmp(kind, "misaligned")) {
        segment(PT_LOAD, 1)->p_vaddr += 8;
    } else if (!strcmp(kind, "filesz")) {
        segment(PT_LOAD, 1)->p_memsz = segment(PT_LOAD, 1)->p_filesz - 1;
    } else if (!strcmp(kind, "no-load")) {
        Elf64_Phdr *p = (void *)(data + h->e_phoff);
        for (int i = 0; i < h->e_phnum; i++)
            p[i].p_type = PT_NULL;
    } else if (!strcmp(kind, "interp")) {
        data[segment(PT_INTERP, 0)->p_offset + 5] = '5'; /* /lib64 -> /lib65 */
    } else {
        exit(2);
    }
}

int main(int argc, char **argv)
{
    if (argc != 4)
        return 2;
    if (!strcmp(argv[1], "flip")) {
        load(argv[3]);
        data[strtoul(argv[2], NULL, 0) % size] ^= 0x10;
    } else {
        load(argv[2]);
        damage(argv[1]);
    }
    store(argv[3]);
    return 0;
}
