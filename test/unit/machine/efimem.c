/* SPDX-License-Identifier: MIT */
/* The end of boot services, against firmware that is played here: which memory libOS is told of, and that unaccepted memory is left
 * to it where the firmware can. */
#include "stub.h"

#include <alcove/image.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

enum { STEP = sizeof(EFI_MEMORY_DESCRIPTOR) + 8, MOST = 64 };

static EFI_MEMORY_DESCRIPTOR now[MOST];
static size_t count;
static unsigned stale, asked;
static bool knows;
static uint8_t pool[(MOST + 16) * STEP];

static EFI_STATUS EFIAPI get_map(UINTN *size, EFI_MEMORY_DESCRIPTOR *map, UINTN *key, UINTN *step,
                                 UINT32 *version)
{
    UINTN need = count * STEP, room = *size;
    *size = need;
    *step = STEP;
    *version = 1;
    *key = 7;
    if (room < need || !map)
        return EFI_BUFFER_TOO_SMALL;
    for (size_t i = 0; i < count; i++)
        memcpy((uint8_t *)map + i * STEP, &now[i], sizeof(now[i]));
    return EFI_SUCCESS;
}

static EFI_STATUS EFIAPI allocate(EFI_MEMORY_TYPE type, UINTN size, void **ret)
{
    (void)type;
    assert_true(size <= sizeof(pool));
    *ret = pool;
    return EFI_SUCCESS;
}

static EFI_STATUS EFIAPI leave(EFI_HANDLE image, UINTN key)
{
    (void)image;
    assert_int_equal(key, 7);
    return stale && stale-- ? EFI_INVALID_PARAMETER : EFI_SUCCESS;
}

struct acceptance {
    EFI_STATUS(EFIAPI *allow)(struct acceptance *);
};
static EFI_STATUS EFIAPI allow(struct acceptance *p)
{
    (void)p;
    asked++;
    return EFI_SUCCESS;
}
static struct acceptance acceptance = { allow };

static EFI_STATUS EFIAPI locate(EFI_GUID *guid, void *registration, void **ret)
{
    (void)registration;
    if (!knows || guid->Data1 != 0xc5a010fe)
        return EFI_NOT_FOUND;
    *ret = &acceptance;
    return EFI_SUCCESS;
}

static EFI_BOOT_SERVICES services = { .GetMemoryMap = get_map,
                                      .AllocatePool = allocate,
                                      .ExitBootServices = leave,
                                      .LocateProtocol = locate };

static void add(uint32_t type, uint64_t start, uint64_t pages, uint64_t attribute)
{
    now[count++] = (EFI_MEMORY_DESCRIPTOR){
        .Type = type, .PhysicalStart = start, .NumberOfPages = pages, .Attribute = attribute
    };
}

static struct boot_info *take(void)
{
    static struct boot_info info;
    memset(&info, 0, sizeof(info));
    assert_int_equal(memory_take(&services, NULL, &info), EFI_SUCCESS);
    return &info;
}

static void kinds(void **state)
{
    (void)state;
    count = 0;
    knows = true;
    asked = 0;
    stale = 3;
    add(EfiBootServicesCode, 0x1000, 0x9f, 0);
    add(EfiConventionalMemory, 0x100000, 0x700, 0);
    add(EfiBootServicesData, 0x800000, 0x10, 0);         /* joined with the one before */
    add(EfiRuntimeServicesData, 0x810000, 0x10, 0);      /* the firmware's */
    add(EfiConventionalMemory, 0x900000, 0x10, 0x40000); /* somebody else's */
    add(15, 0xa00000, 0x200, 0);
    add(15, 0xc00000, 0x200, 0);
    add(EfiConventionalMemory, 0xe00000, 0x200, 0); /* not joined: accepted already */
    add(EfiConventionalMemory, 0x2000000, 0, 0);
    const struct boot_info *i = take();
    assert_int_equal(asked, 1);
    assert_int_equal(i->start.memmap_entries, 4);
    assert_true(i->map[0].addr == 0x1000 && i->map[0].size == 0x9f000 && i->map[0].type == 1);
    assert_true(i->map[1].addr == 0x100000 && i->map[1].size == 0x710000 && i->map[1].type == 1);
    assert_true(i->map[2].addr == 0xa00000 && i->map[2].size == 0x400000 &&
                i->map[2].type == ALCOVE_MEMORY_UNACCEPTED);
    assert_true(i->map[3].addr == 0xe00000 && i->map[3].size == 0x200000 && i->map[3].type == 1);
}

static void plain_firmware(void **state)
{
    (void)state;
    count = 0;
    knows = false;
    asked = 0;
    add(EfiConventionalMemory, 0x100000, 0x100, 0);
    assert_int_equal(take()->start.memmap_entries, 1);
    assert_int_equal(asked, 0);
    stale = 100; /* a map that changes for ever */
    static struct boot_info info;
    assert_int_equal(memory_take(&services, NULL, &info), EFI_INVALID_PARAMETER);
    stale = 0;
}

/* More runs than there is room for: the smallest are not told of. */
static void many(void **state)
{
    (void)state;
    count = 0;
    for (unsigned k = 0; k < MOST; k++)
        add(EfiConventionalMemory, 0x100000ull * (2 * k + 1), 1 + k % 50, 0);
    const struct boot_info *i = take();
    assert_int_equal(i->start.memmap_entries, RUNS_MAX);
    for (unsigned k = 0; k < RUNS_MAX; k++)
        assert_true(i->map[k].size >= 13 * PAGE);
}

int main(void)
{
    const struct CMUnitTest tests[] = { cmocka_unit_test(kinds), cmocka_unit_test(plain_firmware),
                                        cmocka_unit_test(many) };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
