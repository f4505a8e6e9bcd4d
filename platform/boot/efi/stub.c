/* SPDX-License-Identifier: MIT */
/* From the firmware's call to libOS: sections, libOS, tables, command line, end of boot services. Spec: UEFI 2.10. The
 * firmware is trusted as far as it started this file; what Secure Boot or a measurement covers is the file. */
#include "stub.h"

#include "boot/image.h"

enum { START_MAGIC = 0x336ec578 };

EFI_STATUS efi_main(EFI_HANDLE handle, EFI_SYSTEM_TABLE *st);

static uint64_t entered; /* time stamp counter at the hand-over, for --boot-trace */

static bool guid_is(const EFI_GUID *a, const EFI_GUID *b)
{
    return memcmp(a, b, sizeof(*a)) == 0;
}

static EFI_STATUS give_up(EFI_SYSTEM_TABLE *st, const CHAR16 *why, EFI_STATUS status)
{
    static CHAR16 prefix[] = L"alcove: ", end[] = L"\r\n";

    if (st->ConOut) {
        (void)st->ConOut->OutputString(st->ConOut, prefix);
        (void)st->ConOut->OutputString(st->ConOut, (CHAR16 *)why);
        (void)st->ConOut->OutputString(st->ConOut, end);
    }
    return status;
}

static uint64_t find_rsdp(const EFI_SYSTEM_TABLE *st)
{
    static const EFI_GUID acpi2 = ACPI_20_TABLE_GUID, acpi1 = ACPI_TABLE_GUID;
    uint64_t rsdp = 0;

    for (UINTN i = 0; i < st->NumberOfTableEntries; i++) {
        const EFI_CONFIGURATION_TABLE *t = &st->ConfigurationTable[i];

        if (guid_is(&t->VendorGuid, &acpi2))
            return (uintptr_t)t->VendorTable;
        if (guid_is(&t->VendorGuid, &acpi1))
            rsdp = (uintptr_t)t->VendorTable;
    }
    return rsdp;
}

/* The load options as text. Boot entries that a firmware made by itself carry binary data: no command line then. */
static void copy_cmdline(const EFI_LOADED_IMAGE *li, char *dst)
{
    const CHAR16 *s = li->LoadOptions;
    size_t n = li->LoadOptionsSize / sizeof(*s), i = 0;

    for (; s && i < n && i < CMDLINE_SPACE - 1 && s[i]; i++) {
        if (s[i] < ' ' || s[i] > '~')
            break;
        dst[i] = (char)s[i];
    }
    if (!s || (i < n && s[i]))
        i = 0;
    dst[i] = 0;
}

/* The payload's parts are sections that follow each other in memory as they do in app.elf. */
static bool find_payload(const EFI_LOADED_IMAGE *li, struct start_module *ret)
{
    const uint8_t *base = li->ImageBase;
    struct section s = section_find(base, li->ImageSize, ".alcove");
    struct alcove_image head;

    if (!s.data)
        return false;
    if (s.size < sizeof(head))
        return false;
    memcpy(&head, s.data, sizeof(head));
    if (memcmp(head.magic, ALCOVE_IMAGE_MAGIC, sizeof(head.magic)) ||
        head.total_size > li->ImageSize - (size_t)(s.data - base))
        return false;
    *ret = (struct start_module){
        .pa = (uintptr_t)s.data, .size = head.total_size, .cmdline_pa = 0, .reserved = entered
    };
    return true;
}

static struct boot_info *make_info(EFI_SYSTEM_TABLE *st, const EFI_LOADED_IMAGE *li)
{
    EFI_PHYSICAL_ADDRESS pa = 0xffffffff;
    struct boot_info *info;

    /* Memory that no type above "reserved" covers stays out of the map: libOS never gives it out. */
    if (st->BootServices->AllocatePages(AllocateMaxAddress, EfiReservedMemoryType,
                                        (sizeof(*info) + PAGE - 1) / PAGE, &pa) != EFI_SUCCESS)
        return NULL;
    info = (void *)(uintptr_t)pa;
    memset(info, 0, sizeof(*info));
    info->start = (struct start_info){ .magic = START_MAGIC,
                                       .version = 1,
                                       .flags = ALCOVE_START_UEFI,
                                       .modules_pa = (uintptr_t)&info->payload,
                                       .cmdline_pa = (uintptr_t)info->cmdline,
                                       .rsdp_pa = find_rsdp(st),
                                       .memmap_pa = (uintptr_t)info->map };
    info->start.modules = find_payload(li, &info->payload);
    if (blob_copy(st, &info->blob)) {
        info->start.flags |= ALCOVE_START_CC;
        info->start.cc_blob = (uint32_t)(uintptr_t)&info->blob;
    } else if (sev_active()) {
        info->start.flags |= ALCOVE_START_CC;
    }
    copy_cmdline(li, info->cmdline);
    if (!info->cmdline[0])
        smbios_cmdline(st, info->cmdline);
    return info;
}

EFI_STATUS efi_main(EFI_HANDLE handle, EFI_SYSTEM_TABLE *st)
{
    EFI_GUID loaded_image = EFI_LOADED_IMAGE_PROTOCOL_GUID;
    EFI_BOOT_SERVICES *bs = st->BootServices;
    EFI_LOADED_IMAGE *li = NULL;
    const CHAR16 *why = NULL;
    struct eventlog log;

    entered = __builtin_ia32_rdtsc();
    EFI_STATUS status = bs->HandleProtocol(handle, &loaded_image, (void **)&li);

    if (status != EFI_SUCCESS || !li)
        return give_up(st, L"the firmware does not say where this image is", status);
    measure_sections(bs, li);
    libos_entry entry = libos_load(bs, section_find(li->ImageBase, li->ImageSize, ".linux"), &why);
    if (!entry)
        return give_up(st, why, EFI_LOAD_ERROR);
    struct boot_info *info = make_info(st, li);
    if (!info)
        return give_up(st, L"no memory below 4 GiB", EFI_OUT_OF_RESOURCES);
    eventlog_keep(st, &log);
    status = memory_take(bs, handle, info);
    if (status != EFI_SUCCESS)
        return give_up(st, L"the firmware does not end boot services", status);
    eventlog_end(&log);
    if (log.data && info->start.modules) {
        info->log = (struct start_module){ .pa = (uintptr_t)log.data, .size = log.size };
        info->start.modules = 2;
    }
    entry(info);
}
