/* SPDX-License-Identifier: MIT */
/* The end of boot services. After it only memory of the types below is free; libOS takes what the list does not have for
 * reserved. The descriptors' size is the firmware's to say. Memory that a confidential guest has not accepted so far stays so:
 * libOS does it when it needs some. Spec: UEFI 2.10, 7.2; EDK II, MdePkg/Include/Protocol/Bz3987AcceptAllMemory. */
#include "stub.h"

#include "boot/image.h"

enum { TRIES = 8, SLACK = 16 };

enum { RAM = 1, EFI_UNACCEPTED = 15 };

#define SPECIFIC_PURPOSE 0x40000ull /* EFI_MEMORY_SP: meant for somebody else */

/* What libOS shall take the range for; 0: not for its own. */
static uint32_t type_of(const EFI_MEMORY_DESCRIPTOR *d)
{
    if (d->Attribute & SPECIFIC_PURPOSE)
        return 0;
    if (d->Type == EFI_UNACCEPTED)
        return ALCOVE_MEMORY_UNACCEPTED;
    return d->Type == EfiConventionalMemory || d->Type == EfiLoaderCode ||
                   d->Type == EfiLoaderData || d->Type == EfiBootServicesCode ||
                   d->Type == EfiBootServicesData
               ? RAM
               : 0;
}

/* Of a full list, the smallest one. */
static size_t smallest(const struct start_memory *runs, size_t count)
{
    size_t least = 0;

    for (size_t i = 1; i < count; i++)
        if (runs[i].size < runs[least].size)
            least = i;
    return least;
}

static size_t add(struct start_memory *runs, size_t count, uint64_t start, uint64_t size,
                  uint32_t type)
{
    for (size_t i = 0; i < count; i++) {
        if (runs[i].type != type)
            continue;
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
    size_t at = count < RUNS_MAX ? count : smallest(runs, count);
    if (count < RUNS_MAX || runs[at].size < size)
        runs[at] = (struct start_memory){ start, size, type, 0 };
    return count < RUNS_MAX ? count + 1 : count;
}

static void describe(const uint8_t *map, size_t size, size_t step, struct boot_info *info)
{
    size_t count = 0;

    for (size_t at = 0; step >= sizeof(EFI_MEMORY_DESCRIPTOR) && at + step <= size; at += step) {
        EFI_MEMORY_DESCRIPTOR d;

        memcpy(&d, map + at, sizeof(d));
        if (type_of(&d) && d.NumberOfPages && d.NumberOfPages < 1ull << 52)
            count = add(info->map, count, d.PhysicalStart, d.NumberOfPages * PAGE, type_of(&d));
    }
    info->start.memmap_entries = (uint32_t)count;
}

/* Firmware accepts all memory when boot services end, for systems that do not know of it, unless it is asked not to. */
static void leave_unaccepted(EFI_BOOT_SERVICES *bs)
{
    static const EFI_GUID acceptance = {
        0xc5a010fe, 0x38a7, 0x4531, { 0x8a, 0x4a, 0x05, 0x00, 0xd2, 0xfd, 0x16, 0x49 }
    };
    struct protocol {
        EFI_STATUS(EFIAPI *allow_unaccepted)(struct protocol *);
    } *p = NULL;
    EFI_GUID guid = acceptance;

    if (bs->LocateProtocol(&guid, NULL, (void **)&p) == EFI_SUCCESS && p)
        (void)p->allow_unaccepted(p); /* refused: there is nothing left to accept */
}

EFI_STATUS memory_take(EFI_BOOT_SERVICES *bs, EFI_HANDLE image, struct boot_info *info)
{
    UINTN size = 0, capacity, key, step = 0;
    UINT32 version;
    void *map = NULL;

    leave_unaccepted(bs);
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
