/* SPDX-License-Identifier: MIT */
/* SRAT and SLIT: which memory and which CPUs belong together, and how far apart they are. A proximity domain is a node when it
 * has memory; numbers are given in the order of appearance. What does not fit is left out, which costs speed only.
 * Pure. Spec: ACPI 6.5, 5.2.16, 5.2.17. */
#include "vm/acpi.h"
#include "vm/acpi_bytes.h"

enum {
    SRAT_ENTRIES = 48,
    SLIT_MATRIX = 44,
    SRAT_LAPIC = 0,
    SRAT_MEMORY = 1,
    SRAT_X2APIC = 2,
    ENABLED = 1
};

/* The node of a domain; made if there is room and make is set. -1: none. */
static int node_of(struct acpi_numa *n, uint32_t domain, bool make)
{
    for (unsigned i = 0; i < n->nodes; i++)
        if (n->domains[i] == domain)
            return (int)i;
    if (!make || n->nodes == ACPI_NODE_MAX)
        return -1;
    n->domains[n->nodes] = domain;
    return (int)n->nodes++;
}

static void add_memory(const uint8_t *e, struct acpi_numa *n)
{
    uint64_t start = get64(e + 8), size = get64(e + 16);
    int node;

    if (!(get32(e + 28) & ENABLED) || !size || start + size < start ||
        n->ranges == ACPI_NUMA_RANGES)
        return;
    node = node_of(n, get32(e + 2), true);
    if (node >= 0)
        n->range[n->ranges++] = (struct acpi_numa_range){ start, start + size, (uint8_t)node };
}

static void add_cpu(uint32_t apic_id, uint32_t domain, struct acpi_numa *n)
{
    if (n->cpus < ACPI_CPU_MAX)
        n->cpu[n->cpus++] = (struct acpi_numa_cpu){ apic_id, domain };
}

void acpi_parse_srat(const uint8_t *t, size_t size, struct acpi_facts *f)
{
    struct acpi_numa *n = &f->numa;

    if (n->ranges)
        return;
    for (size_t at = SRAT_ENTRIES; at + 2 <= size;) {
        const uint8_t *e = t + at;
        uint8_t length = e[1];

        if (length < 2 || length > size - at)
            return; /* nothing after a wrong length can be trusted */
        if (e[0] == SRAT_MEMORY && length >= 40)
            add_memory(e, n);
        else if (e[0] == SRAT_LAPIC && length >= 16 && get32(e + 4) & ENABLED)
            add_cpu(e[3], e[2] | (uint32_t)e[9] << 8 | (uint32_t)get16(e + 10) << 16, n);
        else if (e[0] == SRAT_X2APIC && length >= 24 && get32(e + 12) & ENABLED)
            add_cpu(get32(e + 8), get32(e + 4), n);
        at += length;
    }
}

void acpi_parse_slit(const uint8_t *t, size_t size, struct acpi_facts *f)
{
    uint64_t count = size >= SLIT_MATRIX ? get64(t + 36) : 0;

    if (!count || count > 256 || count * count > size - SLIT_MATRIX)
        return;
    f->numa.slit = (uint8_t)min_u64(count, ACPI_NODE_MAX);
    for (unsigned i = 0; i < f->numa.slit; i++)
        for (unsigned k = 0; k < f->numa.slit; k++)
            f->numa.distance[i][k] = t[SLIT_MATRIX + i * count + k];
}

unsigned acpi_node_of(const struct acpi_numa *n, uint64_t pa, uint64_t *ret_end)
{
    uint64_t end = UINT64_MAX;

    for (unsigned i = 0; i < n->ranges; i++) {
        if (pa >= n->range[i].start && pa < n->range[i].end) {
            *ret_end = n->range[i].end;
            return n->range[i].node;
        }
        if (n->range[i].start > pa)
            end = min_u64(end, n->range[i].start);
    }
    *ret_end = end;
    return 0;
}

unsigned acpi_node_of_cpu(const struct acpi_numa *n, uint32_t apic_id)
{
    for (unsigned i = 0; i < n->cpus; i++)
        for (unsigned k = 0; k < n->nodes && n->cpu[i].apic_id == apic_id; k++)
            if (n->domains[k] == n->cpu[i].domain)
                return k;
    return 0;
}

unsigned acpi_node_distance(const struct acpi_numa *n, unsigned from, unsigned to)
{
    uint32_t a = n->domains[from], b = n->domains[to];

    if (a < n->slit && b < n->slit && n->distance[a][b] >= 10)
        return n->distance[a][b];
    return from == to ? 10 : 20;
}
