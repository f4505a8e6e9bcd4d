/* SPDX-License-Identifier: MIT */
/* Page states, as the hardware's reverse map keeps them, and the nested page tables that follow from them. */
#include "ccsim.h"
#include "x86_64/x86.h"

enum { TABLES = SIM_PAGES / 512 };

static ALIGNED(PAGE_SIZE) uint64_t root[512], root_private[512];
static ALIGNED(PAGE_SIZE) uint64_t pdpt[2][512], pd[2][512]; /* [1]: the private alias */
static ALIGNED(PAGE_SIZE) uint64_t pt[2][TABLES][512];
static uint8_t states[SIM_PAGES];

#define NPT_TABLE (PTE_P | PTE_W | PTE_U)
#define NPT_LEAF  (PTE_P | PTE_W | PTE_U | PTE_A | PTE_D)

static uint64_t address(const void *p)
{
    return (uintptr_t)p;
}

void sim_memory_init(void)
{
    root[0] = address(pdpt[sim_is_private(0)]) | NPT_TABLE;
    root[ALIAS_BIT >> 39] = address(pdpt[sim_is_private(ALIAS_BIT)]) | NPT_TABLE;
    root_private[0] = root_private[ALIAS_BIT >> 39] = address(pdpt[1]) | NPT_TABLE;
    for (unsigned alias = 0; alias < 2; alias++) {
        pdpt[alias][0] = address(pd[alias]) | NPT_TABLE;
        for (unsigned i = 0; i < TABLES; i++)
            pd[alias][i] = address(pt[alias][i]) | NPT_TABLE;
    }
    for (uint64_t gpa = 0; gpa < GUEST_MEMORY; gpa += PAGE_SIZE)
        sim_page_set(gpa, PAGE_SHARED);
}

uint64_t sim_nested_root(void)
{
    return address(root);
}

uint64_t sim_nested_root_private(void)
{
    return address(root_private);
}

enum page_state sim_page_state(uint64_t gpa)
{
    return (enum page_state)states[gpa >> PAGE_SHIFT];
}

void sim_page_set(uint64_t gpa, enum page_state s)
{
    uint64_t page = gpa >> PAGE_SHIFT;

    states[page] = (uint8_t)s;
    if (sim_options.sev) {
        pt[0][page / 512][page % 512] = (page << PAGE_SHIFT) | NPT_LEAF;
        pt[1][page / 512][page % 512] = ((page << PAGE_SHIFT) + PRIVATE_OFFSET) | NPT_LEAF;
        return;
    }
    pt[0][page / 512][page % 512] = s == PAGE_SHARED ? (page << PAGE_SHIFT) | NPT_LEAF : 0;
    pt[1][page / 512][page % 512] =
        s == PAGE_VALID ? ((page << PAGE_SHIFT) + PRIVATE_OFFSET) | NPT_LEAF : 0;
}

static uint64_t refused = UINT64_MAX;

void sim_page_refuse(uint64_t gpa)
{
    uint64_t page = gpa >> PAGE_SHIFT;

    refused = page;
    pt[1][page / 512][page % 512] = 0;
}

bool sim_page_refused(uint64_t gpa)
{
    return gpa >> PAGE_SHIFT == refused;
}

bool sim_is_private(uint64_t gpa)
{
    return sim_options.tdx ? !(gpa & ALIAS_BIT) : (gpa & ALIAS_BIT) != 0;
}

uint64_t sim_private(uint64_t plain)
{
    return sim_options.tdx ? plain : plain | ALIAS_BIT;
}

uint64_t sim_shared(uint64_t plain)
{
    return sim_options.tdx ? plain | ALIAS_BIT : plain;
}

void *sim_host(uint64_t gpa)
{
    uint64_t plain = gpa & ~ALIAS_BIT;

    if (plain >= GUEST_MEMORY)
        return NULL;
    return (void *)(plain + (sim_is_private(gpa) ? PRIVATE_OFFSET : 0));
}
