/* SPDX-License-Identifier: MIT */
/* A `syscall` instruction is found by its bytes, its number by the nearest instruction before it that sets eax to a
 * constant. The functions of a library are told apart by .eh_frame_hdr (LSB, "Exception Frames"), which stripped files
 * have, too. Nothing is disassembled, so bytes inside of other instructions may look like a call: what is reported
 * is more than what happens, rarely less (a number that comes from elsewhere is reported as such). */
#include "scan.h"

#include <stdlib.h>
#include <string.h>

enum { LOOK_BACK = 96, FUNCTIONS_MAX = 1 << 20, TAG_RELRSZ = 35, TAG_RELR = 36 };

/* A sorted table of where functions begin, and which of them were reached. */
struct functions {
    uint64_t *start;
    bool *reached;
    size_t n;
    size_t *todo, todo_n;
};

static int32_t get32(const uint8_t *p)
{
    int32_t v;
    memcpy(&v, p, sizeof(v));
    return v;
}

/* Does p (room bytes before the call) set register reg to a constant? The constant, else -1. rex: an REX byte before p. */
static int constant(const uint8_t *p, size_t room, unsigned reg, unsigned rex)
{
    bool high = rex & 1, both = (rex & 5) == 5;
    if (room >= 5 && p[0] == (0xb8 | (reg & 7)) && high == (reg > 7) && get32(p + 1) >= 0 &&
        get32(p + 1) < SCAN_NUMBERS)
        return get32(p + 1);
    if (room >= 6 && p[0] == 0xc7 && p[1] == (0xc0 | (reg & 7)) && high == (reg > 7) &&
        get32(p + 2) >= 0 && get32(p + 2) < SCAN_NUMBERS)
        return get32(p + 2);
    if (room >= 2 && (p[0] == 0x31 || p[0] == 0x33) && p[1] == (0xc0 | (reg & 7) * 9) &&
        (reg > 7 ? both : !both))
        return 0;
    if (reg == 0 && room >= 3 && p[0] == 0x6a && p[2] == 0x58 && p[1] < 0x80)
        return p[1];
    return -1;
}

/* The constant in eax before code[at], looking back to from; -1: not visible. One move between registers is followed. */
static int number_before(const uint8_t *code, size_t from, size_t at)
{
    size_t low = at > from + LOOK_BACK ? at - LOOK_BACK : from;
    unsigned reg = 0;
    bool moved = false;
    for (size_t i = at; i-- > low;) {
        const uint8_t *p = code + i;
        size_t room = at - i;
        unsigned rex = i > low && (p[-1] & 0xf0) == 0x40 ? p[-1] & 15 : 0;
        if (room >= 2 && p[0] == 0x0f && p[1] == 0x05 && !moved)
            return -1; /* an earlier call: eax is its result */
        int nr = constant(p, room, reg, rex);
        if (nr >= 0)
            return nr;
        if (!moved && room >= 2 && p[0] == 0x89 && (p[1] & 0xc7) == 0xc0 && !(rex & 1)) {
            reg = (p[1] >> 3 & 7) | (rex & 4) << 1;
            moved = true;
        }
    }
    return -1;
}

static void scan_calls(const uint8_t *code, size_t from, size_t to, struct scan *ret)
{
    for (size_t i = from; i + 2 <= to; i++) {
        if (code[i] != 0x0f || code[i + 1] != 0x05)
            continue;
        int nr = number_before(code, from, i);
        if (nr >= 0)
            ret->number[nr] = true;
        else
            ret->computed = true;
    }
}

/* Index of the function that begins at vaddr, or n. */
static size_t function_at(const struct functions *f, uint64_t vaddr)
{
    size_t low = 0, high = f->n;
    while (low < high) {
        size_t mid = (low + high) / 2;
        if (f->start[mid] < vaddr)
            low = mid + 1;
        else
            high = mid;
    }
    return low < f->n && f->start[low] == vaddr ? low : f->n;
}

static void reach(struct functions *f, uint64_t vaddr)
{
    size_t i = function_at(f, vaddr);
    if (i < f->n && !f->reached[i]) {
        f->reached[i] = true;
        f->todo[f->todo_n++] = i;
    }
}

/* Calls, jumps and addresses of functions in code[from, to), whose first byte is at vaddr + from. */
static void scan_edges(struct functions *f, const uint8_t *code, uint64_t vaddr, size_t from,
                       size_t to)
{
    for (size_t i = from; i + 5 <= to; i++) {
        const uint8_t *p = code + i;
        if (p[0] == 0xe8 || p[0] == 0xe9)
            reach(f, vaddr + i + 5 + (uint64_t)(int64_t)get32(p + 1));
        if (i + 6 <= to && p[0] == 0x0f && (p[1] & 0xf0) == 0x80)
            reach(f, vaddr + i + 6 + (uint64_t)(int64_t)get32(p + 2));
        if (i + 7 <= to && (p[0] & 0xfb) == 0x48 && p[1] == 0x8d && (p[2] & 0xc7) == 0x05)
            reach(f, vaddr + i + 7 + (uint64_t)(int64_t)get32(p + 3));
    }
}

static const Elf64_Phdr *segment_of(const struct elf_file *e, uint64_t vaddr)
{
    for (size_t i = 0; i < e->ehdr->e_phnum; i++) {
        const Elf64_Phdr *p = &e->phdrs[i];
        if (p->p_type == PT_LOAD && p->p_flags & PF_X && vaddr >= p->p_vaddr &&
            vaddr - p->p_vaddr < p->p_filesz)
            return p;
    }
    return NULL;
}

/* Read .eh_frame_hdr's search table in the form that every linker writes; false when it is another. */
static bool read_functions(const struct elf_file *e, struct functions *f)
{
    const Elf64_Phdr *h = NULL;
    for (size_t i = 0; i < e->ehdr->e_phnum; i++)
        if (e->phdrs[i].p_type == PT_GNU_EH_FRAME)
            h = &e->phdrs[i];
    const uint8_t *p = h ? elf_at(e, h->p_vaddr, h->p_filesz) : NULL;
    static const uint8_t usual[] = { 1, 0x1b, 0x03, 0x3b };
    if (!p || h->p_filesz < 12 || memcmp(p, usual, sizeof(usual)) != 0)
        return false;
    uint32_t n = (uint32_t)get32(p + 8);
    if (n == 0 || n > FUNCTIONS_MAX || n > (h->p_filesz - 12) / 8)
        return false;
    *f = (struct functions){ xcalloc(n, sizeof(uint64_t)), xcalloc(n, sizeof(bool)), n,
                             xcalloc(n, sizeof(size_t)), 0 };
    for (uint32_t i = 0; i < n; i++) {
        f->start[i] = h->p_vaddr + (uint64_t)(int64_t)get32(p + 12 + 8 * i);
        if (i && f->start[i] <= f->start[i - 1])
            return false;
    }
    return true;
}

struct symbols {
    const Elf64_Sym *sym;
    size_t n;
    const char *str;
    uint64_t strsz;
    const Elf64_Rela *rela;
    const uint64_t *relr; /* packed relative relocations */
    size_t rela_n, relr_n;
};

/* The dynamic symbol table; its length is where the string table begins, which follows it in every linker's output, and
 * each entry is bounded on its own. */
static bool read_symbols(const struct elf_file *e, struct symbols *s)
{
    uint64_t symtab = 0, strtab = 0, strsz = 0, rela = 0, relasz = 0, relr = 0, relrsz = 0;
    for (size_t i = 0; i < e->ehdr->e_phnum; i++) {
        const Elf64_Phdr *p = &e->phdrs[i];
        if (p->p_type != PT_DYNAMIC)
            continue;
        const Elf64_Dyn *d = (const void *)(e->data + p->p_offset);
        for (size_t j = 0; j < p->p_filesz / sizeof(*d) && d[j].d_tag != DT_NULL; j++) {
            uint64_t v = d[j].d_un.d_val;
            symtab = d[j].d_tag == DT_SYMTAB ? v : symtab;
            strtab = d[j].d_tag == DT_STRTAB ? v : strtab;
            strsz = d[j].d_tag == DT_STRSZ ? v : strsz;
            rela = d[j].d_tag == DT_RELA ? v : rela;
            relasz = d[j].d_tag == DT_RELASZ ? v : relasz;
            relr = d[j].d_tag == TAG_RELR ? v : relr;
            relrsz = d[j].d_tag == TAG_RELRSZ ? v : relrsz;
        }
    }
    memset(s, 0, sizeof(*s));
    s->str = (const char *)(strsz ? elf_at(e, strtab, strsz) : NULL);
    s->strsz = strsz;
    if (!s->str || symtab >= strtab || symtab % 8)
        return false;
    s->n = (strtab - symtab) / sizeof(Elf64_Sym);
    s->sym = (const void *)elf_at(e, symtab, s->n * sizeof(Elf64_Sym));
    s->rela_n = rela % 8 ? 0 : relasz / sizeof(Elf64_Rela);
    s->rela = (const void *)elf_at(e, rela, s->rela_n * sizeof(Elf64_Rela));
    s->rela_n = s->rela ? s->rela_n : 0;
    s->relr_n = relr % 8 ? 0 : relrsz / sizeof(uint64_t);
    s->relr = (const void *)elf_at(e, relr, s->relr_n * sizeof(uint64_t));
    s->relr_n = s->relr ? s->relr_n : 0;
    return s->sym && (uintptr_t)s->sym % 8 == 0 && (uintptr_t)s->rela % 8 == 0 &&
           (uintptr_t)s->relr % 8 == 0;
}

static const char *symbol_name(const struct symbols *s, const Elf64_Sym *sym)
{
    if (sym->st_name >= s->strsz || !memchr(s->str + sym->st_name, 0, s->strsz - sym->st_name))
        return "";
    return s->str + sym->st_name;
}

void scan_imports(const struct elf_file *e, struct list *ret)
{
    struct symbols s;
    if (!read_symbols(e, &s))
        return;
    for (size_t i = 1; i < s.n; i++)
        if (s.sym[i].st_shndx == SHN_UNDEF && *symbol_name(&s, &s.sym[i]))
            list_add(ret, symbol_name(&s, &s.sym[i]));
}

/* What the pointer at vaddr is before it is relocated. */
static void reach_pointer(const struct elf_file *e, struct functions *f, uint64_t vaddr)
{
    const uint8_t *p = elf_at(e, vaddr, 8);
    uint64_t v;
    if (!p)
        return;
    memcpy(&v, p, sizeof(v));
    reach(f, v);
}

/* An even entry is the address of a pointer, an odd one a bit map of the 63 pointers after the last. */
static void reach_packed(const struct elf_file *e, const struct symbols *s, struct functions *f)
{
    uint64_t at = 0;
    for (size_t i = 0; i < s->relr_n; i++) {
        uint64_t entry = s->relr[i];
        if (!(entry & 1)) {
            reach_pointer(e, f, entry);
            at = entry + 8;
            continue;
        }
        for (unsigned bit = 1; bit < 64; bit++)
            if (entry >> bit & 1)
                reach_pointer(e, f, at + 8 * (bit - 1));
        at += 63 * 8;
    }
}

static int by_name(const void *a, const void *b)
{
    return strcmp(a, *(char *const *)b);
}

static void add_roots(const struct elf_file *e, const struct list *wanted, struct functions *f)
{
    struct symbols s;
    if (!read_symbols(e, &s))
        return;
    for (size_t i = 1; i < s.n; i++)
        if (s.sym[i].st_shndx != SHN_UNDEF && wanted->n &&
            bsearch(symbol_name(&s, &s.sym[i]), wanted->v, wanted->n, sizeof(*wanted->v), by_name))
            reach(f, s.sym[i].st_value);
    for (size_t i = 0; i < s.rela_n; i++) {
        uint32_t type = ELF64_R_TYPE(s.rela[i].r_info);
        if (type == R_X86_64_RELATIVE || type == R_X86_64_IRELATIVE)
            reach(f, (uint64_t)s.rela[i].r_addend);
    }
    reach_packed(e, &s, f);
}

static void scan_reached(const struct elf_file *e, struct functions *f, struct scan *ret)
{
    while (f->todo_n) {
        size_t i = f->todo[--f->todo_n];
        const Elf64_Phdr *p = segment_of(e, f->start[i]);
        if (!p)
            continue;
        size_t from = f->start[i] - p->p_vaddr, to = p->p_filesz;
        if (i + 1 < f->n && f->start[i + 1] - p->p_vaddr < to)
            to = f->start[i + 1] - p->p_vaddr;
        const uint8_t *code = e->data + p->p_offset;
        scan_calls(code, from, to, ret);
        scan_edges(f, code, p->p_vaddr, from, to);
    }
}

void scan_file(const struct elf_file *e, const struct list *wanted, struct scan *ret)
{
    struct functions f = { 0 };
    if (wanted && read_functions(e, &f)) {
        add_roots(e, wanted, &f);
        scan_reached(e, &f, ret);
        return;
    }
    for (size_t i = 0; i < e->ehdr->e_phnum; i++) {
        const Elf64_Phdr *p = &e->phdrs[i];
        if (p->p_type == PT_LOAD && p->p_flags & PF_X)
            scan_calls(e->data + p->p_offset, 0, p->p_filesz, ret);
    }
}
