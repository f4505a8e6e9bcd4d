/* SPDX-License-Identifier: MIT */
/* The end of boot services. After it only memory of the types below is free; libOS takes what the list does not have for
 * reserved. The descriptors' size is the firmware's to say. */
#include "stub.h"

enum { TRIES = 8, SLACK = 16 };

#define SPECIFIC_PURPOSE 0x40000ull /* EFI_MEMORY_SP: meant for somebody else */

static bool is_free(const EFI_MEMORY_DESCRIPTOR *d)
{
    if (d->Attribute & SPECIFIC_PURPOSE)
        return false;
    return d->Type == EfiConventionalMemory || d->Type == EfiLoaderCode ||
           d->Type == EfiLoaderData || d->Type == EfiBootServicesCode ||
           d->Type == EfiBootServicesData;
}

/* Room for one more: the smallest goes. */
static size_t drop_smallest(struct start_memory *runs, size_t count)
{
    size_t least = 0;

    for (size_t i = 1; i < count; i++)
        if (runs[i].size < runs[least].size)
            least = i;
    runs[least] = runs[count - 1];
    return count - 1;
}

static size_t add(struct start_memory *runs, size_t count, uint64_t start, uint64_t size)
{
    for (size_t i = 0; i < count; i++) {
        if (runs[i].addr + runs[i].size == start) {
            runs[i].size += size;
            return count;
        }
        if (start + size == runs[i].addr) {
            runs[i].addr = start;
            runs[i].size += size;
            return count;
        }
    }
    if (count == RUNS_MAX)
        count = drop_smallest(runs, count);
    runs[count] = (struct start_memory){ start, size, 1, 0 };
    return count + 1;
}

static void describe(const uint8_t *map, size_t size, size_t step, struct boot_info *info)
{
    size_t count = 0;

    for (size_t at = 0; step >= sizeof(EFI_MEMORY_DESCRIPTOR) && at + step <= size; at += step) {
        EFI_MEMORY_DESCRIPTOR d;

        memcpy(&d, map + at, sizeof(d));
        if (is_free(&d) && d.NumberOfPages && d.NumberOfPages < 1ull << 52)
            count = add(info->map, count, d.PhysicalStart, d.NumberOfPages * PAGE);
    }
    info->start.memmap_entries = (uint32_t)count;
}

EFI_STATUS memory_take(EFI_BOOT_SERVICES *bs, EFI_HANDLE image, struct boot_info *info)
{
    UINTN size = 0, capacity, key, step = 0;
    UINT32 version;
    void *map = NULL;
    EFI_STATUS status = bs->GetMemoryMap(&size, NULL, &key, &step, &version);

    if (status != EFI_BUFFER_TOO_SMALL || !step)
        return EFI_LOAD_ERROR;
    capacity = size + SLACK * step;
    status = bs->AllocatePool(EfiLoaderData, capacity, &map);
    if (status != EFI_SUCCESS)
        return status;
    /* The key is stale when a timer of the firmware changed the map in between. Nothing may be allocated after the first
     * try. */
    for (int i = 0; i < TRIES; i++) {
        size = capacity;
        status = bs->GetMemoryMap(&size, map, &key, &step, &version);
        if (status != EFI_SUCCESS)
            return status;
        status = bs->ExitBootServices(image, key);
        if (status == EFI_SUCCESS) {
            describe(map, size, step, info);
            return status;
        }
        if (status != EFI_INVALID_PARAMETER)
            return status;
    }
    return status;
}
