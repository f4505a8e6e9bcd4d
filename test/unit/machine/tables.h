/* SPDX-License-Identifier: MIT */
/* Builds the ACPI tables of each VMM, as reference/vmm-boot.md found them, in a piece of pretended physical memory. */
#ifndef TABLES_H
#define TABLES_H

#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include "vm/acpi.h"

#define MEMORY_BASE 0x80000ull
enum { MEMORY_SIZE = 0x80000 };

/* Memory from MEMORY_BASE on; next: where the next table goes. */
struct machine {
    uint8_t *bytes;
    uint64_t next, rsdp;
    uint64_t tables[16];
    unsigned count;
};

static inline uint8_t *at(struct machine *m, uint64_t pa)
{
    return m->bytes + (pa - MEMORY_BASE);
}

static inline void put(uint8_t *p, uint64_t v, unsigned n)
{
    for (unsigned i = 0; i < n; i++)
        p[i] = (uint8_t)(v >> 8 * i);
}

/* Make the n bytes at p add up to 0 by the one at offset where. */
static inline void fix_sum(uint8_t *p, size_t n, size_t where)
{
    uint8_t s = 0;

    p[where] = 0;
    for (size_t i = 0; i < n; i++)
        s = (uint8_t)(s + p[i]);
    p[where] = (uint8_t)-s;
}

/* A table of size bytes, header filled, body zero; its address. finish() when the body is there. */
static inline uint64_t table(struct machine *m, const char *signature, size_t size,
                             uint8_t revision)
{
    uint64_t pa = m->next;
    uint8_t *p = at(m, pa);

    memset(p, 0, size);
    memcpy(p, signature, 4);
    put(p + 4, size, 4);
    p[8] = revision;
    m->next = (pa + size + 15) & ~15ull;
    return pa;
}

static inline void finish(struct machine *m, uint64_t pa)
{
    uint8_t *p = at(m, pa);
    uint32_t size;

    memcpy(&size, p + 4, 4);
    fix_sum(p, size, 9);
}

static inline void add(struct machine *m, uint64_t pa)
{
    finish(m, pa);
    m->tables[m->count++] = pa;
}

static inline void generic_address(uint8_t *p, uint8_t space, uint64_t address)
{
    p[0] = space;
    p[1] = 8;
    put(p + 4, address, 8);
}

static inline uint64_t dsdt(struct machine *m, const uint8_t *aml, size_t size)
{
    uint64_t pa = table(m, "DSDT", 36 + size, 2);

    memcpy(at(m, pa) + 36, aml, size);
    finish(m, pa);
    return pa;
}

/* Root table and RSDP: revision 0 with an RSDT, 2 with an XSDT (and RSDT address 0, as VMMs do). */
static inline void root(struct machine *m, uint64_t rsdp, uint8_t revision)
{
    unsigned entry = revision ? 8 : 4;
    uint64_t pa = table(m, revision ? "XSDT" : "RSDT", 36 + m->count * entry, 1);
    uint8_t *p = at(m, rsdp);

    for (unsigned i = 0; i < m->count; i++)
        put(at(m, pa) + 36 + i * entry, m->tables[i], entry);
    finish(m, pa);
    memset(p, 0, 36);
    memcpy(p, "RSD PTR ", 8);
    p[15] = revision;
    if (revision) {
        put(p + 20, 36, 4);
        put(p + 24, pa, 8);
        fix_sum(p, 20, 8);
        fix_sum(p, 36, 32);
    } else {
        put(p + 16, pa, 4);
        fix_sum(p, 20, 8);
    }
    m->rsdp = rsdp;
}

static inline void build_q35(struct machine *m)
{
    static const uint8_t aml[] = { 0x10, 0x0b, 0x5f, 0x53, 0x42, 0x5f, 0x08, '_',  'S',
                                   '5',  '_',  0x12, 0x06, 0x04, 0x00, 0x00, 0x00, 0x00 };
    static const uint8_t madt[] = { 0, 8, 0, 0, 1, 0,  0,   0, 0, 8,  1,    1, 1, 0, 0,    0,
                                    0, 8, 2, 2, 0, 0,  0,   0, 1, 12, 0,    0, 0, 0, 0xc0, 0xfe,
                                    0, 0, 0, 0, 2, 10, 0,   0, 2, 0,  0,    0, 0, 0, 2,    10,
                                    0, 9, 9, 0, 0, 0,  0xd, 0, 4, 6,  0xff, 0, 0, 1 };
    uint64_t d, t;

    m->next = 0xf0100;
    d = dsdt(m, aml, sizeof(aml));
    t = table(m, "FACP", 0xf4, 3);
    put(at(m, t) + 40, d, 4);
    put(at(m, t) + 64, 0x604, 4);
    put(at(m, t) + 76, 0x608, 4);
    put(at(m, t) + 112, 0x84a5, 4);
    generic_address(at(m, t) + 116, 1, 0xcf9);
    at(m, t)[128] = 0x0f;
    add(m, t);
    t = table(m, "APIC", 44 + sizeof(madt), 1);
    put(at(m, t) + 36, 0xfee00000, 4);
    at(m, t)[40] = 1;
    memcpy(at(m, t) + 44, madt, sizeof(madt));
    add(m, t);
    t = table(m, "HPET", 56, 1);
    generic_address(at(m, t) + 40, 0, 0xfed00000);
    add(m, t);
    t = table(m, "MCFG", 60, 1);
    put(at(m, t) + 44, 0xb0000000, 8);
    at(m, t)[55] = 255;
    add(m, t);
    root(m, 0xf59d0, 0);
}

static inline void build_microvm(struct machine *m)
{
    static const uint8_t aml[] = { 0x08, '_',  'S',  '5',  '_',  0x12, 0x07,
                                   0x04, 0x0a, 0x05, 0x00, 0x00, 0x00 };
    static const uint8_t madt[] = { 0, 8, 0, 0, 1, 0,  0, 0, 1, 12, 0,    0,    0,  0, 0xc0, 0xfe,
                                    0, 0, 0, 0, 1, 12, 1, 0, 0, 0,  0xc1, 0xfe, 24, 0, 0,    0 };
    uint64_t d, t;

    m->next = 0xf0100;
    d = dsdt(m, aml, sizeof(aml));
    t = table(m, "FACP", 0x10c, 5);
    put(at(m, t) + 40, d, 4);
    put(at(m, t) + 112, 0x00100400, 4);
    generic_address(at(m, t) + 116, 0, 0xfea00202);
    at(m, t)[128] = 0x42;
    generic_address(at(m, t) + 244, 0, 0xfea00200);
    add(m, t);
    t = table(m, "APIC", 44 + sizeof(madt), 3);
    put(at(m, t) + 36, 0xfee00000, 4);
    memcpy(at(m, t) + 44, madt, sizeof(madt));
    add(m, t);
    root(m, 0xf34d0, 2);
}

static inline void build_cloud_hypervisor(struct machine *m)
{
    static const uint8_t aml[] = { 0x08, '_', 'S', '5', '_', 0x12, 0x04, 0x01, 0x0a, 0x05 };
    static const uint8_t madt[] = { 9, 16, 0,    0,    0, 0, 0, 0, 1, 0,  0, 0, 0, 0, 0, 0,  9, 16,
                                    0, 0,  1,    0,    0, 0, 0, 0, 0, 0,  1, 0, 0, 0, 1, 12, 0, 0,
                                    0, 0,  0xc0, 0xfe, 0, 0, 0, 0, 2, 10, 0, 4, 4, 0, 0, 0,  0, 0 };
    uint64_t d, t;

    m->next = 0xa0100;
    d = dsdt(m, aml, sizeof(aml));
    t = table(m, "FACP", 0x114, 6);
    put(at(m, t) + 140, d, 8);
    put(at(m, t) + 112, 0x00100500, 4);
    generic_address(at(m, t) + 116, 1, 0x600);
    at(m, t)[128] = 1;
    generic_address(at(m, t) + 208, 1, 0x608);
    generic_address(at(m, t) + 244, 1, 0x600);
    memcpy(at(m, t) + 268, "CLOUDHYP", 8);
    add(m, t);
    t = table(m, "APIC", 44 + sizeof(madt), 5);
    put(at(m, t) + 36, 0xfee00000, 4);
    memcpy(at(m, t) + 44, madt, sizeof(madt));
    add(m, t);
    t = table(m, "MCFG", 60, 1);
    put(at(m, t) + 44, 0xe8000000, 8);
    add(m, t);
    root(m, 0xa0000, 2);
}

static inline void build_firecracker(struct machine *m)
{
    static const uint8_t aml[] = { 0x5b, 0x82, 0x1e, 'V', '0', '0', '0', 0x08, '_', 'H', 'I', 'D' };
    static const uint8_t madt[] = { 0, 8, 0, 0, 1,    0,    0, 0, 1, 12,
                                    0, 0, 0, 0, 0xc0, 0xfe, 0, 0, 0, 0 };
    uint64_t d, t;

    m->next = 0xe0100;
    d = dsdt(m, aml, sizeof(aml));
    t = table(m, "FACP", 0x114, 6);
    put(at(m, t) + 140, d, 8);
    put(at(m, t) + 112, 0x00100030, 4);
    memcpy(at(m, t) + 268, "FIRECKVM", 8);
    add(m, t);
    t = table(m, "APIC", 44 + sizeof(madt), 6);
    put(at(m, t) + 36, 0xfee00000, 4);
    at(m, t)[40] = 1;
    memcpy(at(m, t) + 44, madt, sizeof(madt));
    add(m, t);
    root(m, 0xe0000, 2);
}

static inline bool read_machine(void *context, void *dst, uint64_t pa, size_t size)
{
    const struct machine *m = context;

    if (pa < MEMORY_BASE || size > MEMORY_SIZE || pa - MEMORY_BASE > MEMORY_SIZE - size)
        return false;
    memcpy(dst, m->bytes + (pa - MEMORY_BASE), size);
    return true;
}

#endif
