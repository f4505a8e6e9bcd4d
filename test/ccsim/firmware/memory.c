/* SPDX-License-Identifier: MIT */
/* The firmware's memory map and its allocator: from the top of the highest range that fits, as OVMF does it. */
#include "firmware.h"

enum {
    RANGES = 64,
    STEP = 48,
    POOL = 16
}; /* a descriptor is longer here than its structure, as in OVMF */

static struct {
    uint64_t start, end;
    uint32_t type;
} ranges[RANGES];
static unsigned count;
static UINTN version = 1;

static void add(uint64_t start, uint64_t end, uint32_t type)
{
    if (start == end)
        return;
    if (count == RANGES)
        stop("the memory map is full");
    ranges[count].start = start;
    ranges[count].end = end;
    ranges[count++].type = type;
}

void memory_init(void)
{
    const struct handoff *h = &firmware_handoff;
    bool accepts = h->kind == HANDOFF_SNP || h->kind == HANDOFF_TDX;

    add(0, 0x70000, EfiConventionalMemory);
    add(0x70000, 0x73000, EfiBootServicesData);   /* the loader's page tables */
    add(0x73000, 0x75000, EfiReservedMemoryType); /* mailbox or jump table; the GHCB */
    add(0x75000, 0x80000, EfiConventionalMemory);
    add(0x80000, 0x82000, EfiReservedMemoryType); /* secrets, CPUID */
    add(0x82000, 0x9f000, EfiBootServicesData);
    add(0xc0000, 0x100000, EfiACPIReclaimMemory);
    add(0x100000, FIRMWARE_PA, EfiConventionalMemory);
    add(FIRMWARE_PA, FIRMWARE_PA + FIRMWARE_SIZE, EfiBootServicesCode);
    add(FIRMWARE_PA + FIRMWARE_SIZE, FIRMWARE_FILE, EfiConventionalMemory);
    add(FIRMWARE_FILE, FIRMWARE_FILE + (h->file_size + PAGE - 1) / PAGE * PAGE,
        EfiBootServicesData);
    add(ranges[count - 1].end, h->launched, EfiConventionalMemory);
    add(h->launched, h->ram_end, accepts ? UNACCEPTED : EfiConventionalMemory);
}

EFI_STATUS EFIAPI memory_pages(EFI_ALLOCATE_TYPE how, EFI_MEMORY_TYPE type, UINTN pages,
                               EFI_PHYSICAL_ADDRESS *at)
{
    uint64_t size = pages * PAGE, most = how == AllocateMaxAddress ? *at + 1 : UINT64_MAX, best = 0;
    unsigned from = RANGES;

    if (how == AllocateAddress)
        return EFI_UNSUPPORTED;
    for (unsigned i = 0; i < count; i++) {
        uint64_t end = ranges[i].end < most ? ranges[i].end & ~(uint64_t)(PAGE - 1) : most & -PAGE;

        if (ranges[i].type != EfiConventionalMemory || end < ranges[i].start + size)
            continue;
        if (from == RANGES || end > best) {
            from = i;
            best = end;
        }
    }
    if (from == RANGES)
        return EFI_OUT_OF_RESOURCES;
    add(best, ranges[from].end, EfiConventionalMemory);
    add(best - size, best, (uint32_t)type);
    ranges[from].end = best - size;
    *at = best - size;
    version++;
    return EFI_SUCCESS;
}

EFI_STATUS EFIAPI memory_pool(EFI_MEMORY_TYPE type, UINTN size, void **ret)
{
    EFI_PHYSICAL_ADDRESS at = 0;
    EFI_STATUS status = memory_pages(AllocateAnyPages, type, (size + PAGE - 1) / PAGE, &at);

    *ret = (void *)at;
    return status;
}

EFI_STATUS EFIAPI memory_get(UINTN *size, EFI_MEMORY_DESCRIPTOR *map, UINTN *key, UINTN *step,
                             UINT32 *ret_version)
{
    UINTN room = *size;

    *size = count * STEP;
    *step = STEP;
    *ret_version = EFI_MEMORY_DESCRIPTOR_VERSION;
    if (room < *size)
        return EFI_BUFFER_TOO_SMALL;
    *key = version;
    memset(map, 0, *size);
    for (unsigned i = 0; i < count; i++) {
        EFI_MEMORY_DESCRIPTOR *d = (void *)((uint8_t *)map + i * STEP);

        d->Type = ranges[i].type;
        d->PhysicalStart = ranges[i].start;
        d->NumberOfPages = (ranges[i].end - ranges[i].start) / PAGE;
        d->Attribute = 0xf; /* cacheable in every way */
    }
    return EFI_SUCCESS;
}

uint64_t memory_unaccepted(void)
{
    uint64_t pages = 0;

    for (unsigned i = 0; i < count; i++)
        if (ranges[i].type == UNACCEPTED)
            pages += (ranges[i].end - ranges[i].start) / PAGE;
    return pages;
}

uint64_t memory_accept_all(void)
{
    uint64_t pages = memory_unaccepted();

    for (unsigned i = 0; i < count; i++)
        if (ranges[i].type == UNACCEPTED) {
            cc_accept(ranges[i].start, ranges[i].end);
            ranges[i].type = EfiConventionalMemory;
            version++;
        }
    return pages;
}

bool memory_is_current(UINTN key)
{
    return key == version;
}
