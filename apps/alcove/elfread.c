/* SPDX-License-Identifier: MIT */
/* ELF64 as the kernel's loader and ld.so read it: the header, the program headers, the dynamic section. Section headers
 * are only looked at to notice a truncated file. Spec: System V ABI, chapters 4 and 5; x86-64 psABI. */
#include "elfread.h"

#include <string.h>

#define USER_END 0x7ffffffff000ULL

bool elf_magic(const uint8_t *data, size_t size)
{
    return size >= SELFMAG && memcmp(data, ELFMAG, SELFMAG) == 0;
}

static bool fits(uint64_t offset, uint64_t n, uint64_t size)
{
    return offset <= size && n <= size - offset;
}

static const char *truncated(uint64_t need, size_t have)
{
    return xprintf("is truncated: it should have at least %llu bytes but has %zu; copy it again",
                   (unsigned long long)need, have);
}

static const char *check_header(const uint8_t *data, size_t size)
{
    if (size == 0)
        return "is empty; name a program";
    if (size < SELFMAG && memcmp(data, ELFMAG, size) == 0)
        return truncated(sizeof(Elf64_Ehdr), size);
    if (!elf_magic(data, size))
        return "is not an ELF program or a #! script; name a Linux program for x86-64";
    if (size < EI_NIDENT)
        return truncated(sizeof(Elf64_Ehdr), size);
    if (data[EI_CLASS] == ELFCLASS32)
        return "is a 32-bit program; Alcove runs 64-bit x86-64 programs only";
    if (data[EI_CLASS] != ELFCLASS64 || data[EI_DATA] != ELFDATA2LSB)
        return "is an ELF file for another machine; Alcove runs x86-64 programs only";
    if (size < sizeof(Elf64_Ehdr))
        return truncated(sizeof(Elf64_Ehdr), size);
    const Elf64_Ehdr *h = (const void *)data;
    if (h->e_machine != EM_X86_64)
        return xprintf(
            "is an ELF file for another machine (number %u); Alcove runs x86-64 programs only",
            h->e_machine);
    if (h->e_type == ET_REL)
        return "is an object file, not a program; link it first";
    if (h->e_type == ET_CORE)
        return "is a core dump, not a program";
    if (h->e_type != ET_EXEC && h->e_type != ET_DYN)
        return xprintf("is not a program (ELF type %u)", h->e_type);
    if (h->e_phnum == 0 || h->e_phentsize != sizeof(Elf64_Phdr) || h->e_phnum == PN_XNUM)
        return "has no usable program headers; it is not a program, or damaged";
    uint64_t n = (uint64_t)h->e_phnum * sizeof(Elf64_Phdr);
    if (h->e_phoff % 8)
        return "has a misaligned program header table; it is damaged";
    if (!fits(h->e_phoff, n, size))
        return h->e_phoff > UINT64_MAX - n
                   ? "has an overflowing program header table; it is damaged"
                   : truncated(h->e_phoff + n, size);
    /* Not needed to run it, but a table that lies past the end says that the end is missing. */
    uint64_t sections = (uint64_t)h->e_shnum * h->e_shentsize;
    if (h->e_shoff && !fits(h->e_shoff, sections, size))
        return h->e_shoff > UINT64_MAX - sections
                   ? "has an overflowing section header table; it is damaged"
                   : truncated(h->e_shoff + sections, size);
    return NULL;
}

static const char *check_load(const Elf64_Phdr *p, size_t size)
{
    if (p->p_filesz > p->p_memsz)
        return "has a segment with more bytes in the file than in memory; it is damaged";
    if (p->p_offset > UINT64_MAX - p->p_filesz)
        return "has a segment whose file range overflows; it is damaged";
    if (!fits(p->p_offset, p->p_filesz, size))
        return truncated(p->p_offset + p->p_filesz, size);
    if (p->p_vaddr > USER_END || p->p_memsz > USER_END - p->p_vaddr)
        return "has a segment whose address range overflows user memory; it is damaged";
    if ((p->p_offset ^ p->p_vaddr) % 4096)
        return "has a segment whose offset and address disagree; it is damaged";
    return NULL;
}

static const char *check_segments(const struct elf_file *e)
{
    size_t loads = 0;
    for (size_t i = 0; i < e->ehdr->e_phnum; i++) {
        const Elf64_Phdr *p = &e->phdrs[i];
        if (p->p_type != PT_LOAD)
            continue;
        const char *wrong = check_load(p, e->size);
        if (wrong)
            return wrong;
        loads++;
        for (size_t j = 0; j < i; j++) {
            const Elf64_Phdr *q = &e->phdrs[j];
            if (q->p_type == PT_LOAD && p->p_memsz && q->p_memsz &&
                p->p_vaddr < q->p_vaddr + q->p_memsz && q->p_vaddr < p->p_vaddr + p->p_memsz)
                return "has overlapping segments; it is damaged";
        }
    }
    return loads ? NULL : "has nothing to load; it is not a program, or damaged";
}

const uint8_t *elf_at(const struct elf_file *e, uint64_t vaddr, uint64_t n)
{
    for (size_t i = 0; i < e->ehdr->e_phnum; i++) {
        const Elf64_Phdr *p = &e->phdrs[i];
        if (p->p_type == PT_LOAD && vaddr >= p->p_vaddr && fits(vaddr - p->p_vaddr, n, p->p_filesz))
            return e->data + p->p_offset + (vaddr - p->p_vaddr);
    }
    return NULL;
}

static const char *read_interp(struct elf_file *e, const Elf64_Phdr *p)
{
    if (e->interp)
        return "names two ELF interpreters; it is damaged";
    if (!fits(p->p_offset, p->p_filesz, e->size))
        return p->p_offset > UINT64_MAX - p->p_filesz
                   ? "has an overflowing interpreter segment; it is damaged"
                   : truncated(p->p_offset + p->p_filesz, e->size);
    const char *s = (const char *)e->data + p->p_offset;
    if (p->p_filesz < 2 || p->p_filesz > 4096 || s[p->p_filesz - 1] || s[0] != '/')
        return "has a bad ELF interpreter path; it is damaged";
    e->interp = xstrdup(s);
    return NULL;
}

/* A string of the dynamic string table, NULL when it leaves the table. */
static char *dyn_string(const uint8_t *strtab, uint64_t strsz, uint64_t at)
{
    if (!strtab || at >= strsz || !memchr(strtab + at, 0, strsz - at))
        return NULL;
    return xstrdup((const char *)strtab + at);
}

static const char *read_dynamic_strings(struct elf_file *e, const Elf64_Dyn *dyn, size_t n,
                                        const uint8_t *strtab, uint64_t strsz)
{
    for (size_t i = 0; i < n && dyn[i].d_tag != DT_NULL; i++) {
        int64_t tag = dyn[i].d_tag;
        if (tag == DT_FLAGS_1 && dyn[i].d_un.d_val & DF_1_NODEFLIB)
            e->no_default_dirs = true;
        if (tag != DT_NEEDED && tag != DT_SONAME && tag != DT_RPATH && tag != DT_RUNPATH)
            continue;
        char *s = dyn_string(strtab, strsz, dyn[i].d_un.d_val);
        if (!s)
            return "has a dynamic section with a string outside its table; it is damaged";
        if (tag == DT_NEEDED)
            list_add(&e->needed, s);
        else
            *(tag == DT_SONAME ? &e->soname : tag == DT_RPATH ? &e->rpath : &e->runpath) = s;
    }
    return NULL;
}

static const char *read_dynamic(struct elf_file *e, const Elf64_Phdr *p)
{
    if (!fits(p->p_offset, p->p_filesz, e->size))
        return p->p_offset > UINT64_MAX - p->p_filesz
                   ? "has an overflowing dynamic section; it is damaged"
                   : truncated(p->p_offset + p->p_filesz, e->size);
    if (p->p_offset % 8)
        return "has a misaligned dynamic section; it is damaged";
    const Elf64_Dyn *dyn = (const void *)(e->data + p->p_offset);
    size_t n = p->p_filesz / sizeof(*dyn);
    uint64_t strtab = 0, strsz = 0;
    for (size_t i = 0; i < n && dyn[i].d_tag != DT_NULL; i++) {
        if (dyn[i].d_tag == DT_STRTAB)
            strtab = dyn[i].d_un.d_val;
        if (dyn[i].d_tag == DT_STRSZ)
            strsz = dyn[i].d_un.d_val;
    }
    return read_dynamic_strings(e, dyn, n, strsz ? elf_at(e, strtab, strsz) : NULL, strsz);
}

const char *elf_read(const uint8_t *data, size_t size, struct elf_file *ret)
{
    struct elf_file e = { .data = data, .size = size };
    const char *wrong = check_header(data, size);
    if (wrong)
        return wrong;
    e.ehdr = (const void *)data;
    e.phdrs = (const void *)(data + e.ehdr->e_phoff);
    wrong = check_segments(&e);
    for (size_t i = 0; !wrong && i < e.ehdr->e_phnum; i++) {
        if (e.phdrs[i].p_type == PT_INTERP)
            wrong = read_interp(&e, &e.phdrs[i]);
        else if (e.phdrs[i].p_type == PT_DYNAMIC)
            wrong = read_dynamic(&e, &e.phdrs[i]);
    }
    if (wrong)
        return wrong;
    *ret = e;
    return NULL;
}
