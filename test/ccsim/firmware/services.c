/* SPDX-License-Identifier: MIT */
/* Boot services as far as the stub calls them, and the start. Spec: UEFI 2.10; EDK II, OvmfPkg/CocoDxe. */
#include "firmware.h"

enum { CMDLINE_MAX = 4096 };

struct acceptance {
    EFI_STATUS(EFIAPI *allow_unaccepted)(struct acceptance *);
};

static const EFI_GUID loaded_image_guid = EFI_LOADED_IMAGE_PROTOCOL_GUID;
static const EFI_GUID acceptance_guid = {
    0xc5a010fe, 0x38a7, 0x4531, { 0x8a, 0x4a, 0x05, 0x00, 0xd2, 0xfd, 0x16, 0x49 }
};
static const EFI_GUID blob_guid = {
    0x067b1f5f, 0xcf26, 0x44c5, { 0x85, 0x54, 0x93, 0xd7, 0x77, 0x91, 0x2d, 0x42 }
};
static const EFI_GUID acpi_guid = ACPI_20_TABLE_GUID;

static EFI_LOADED_IMAGE loaded;
static CHAR16 options[CMDLINE_MAX];
static bool allowed; /* the system accepts memory itself */

static EFI_STATUS EFIAPI handle_protocol(EFI_HANDLE handle, EFI_GUID *guid, void **ret)
{
    if (handle != &loaded || memcmp(guid, &loaded_image_guid, sizeof(*guid)))
        return EFI_UNSUPPORTED;
    *ret = &loaded;
    return EFI_SUCCESS;
}

static EFI_STATUS EFIAPI allow(struct acceptance *this)
{
    (void)this;
    allowed = true;
    return EFI_SUCCESS;
}

static EFI_STATUS EFIAPI locate_protocol(EFI_GUID *guid, void *registration, void **ret)
{
    static struct acceptance acceptance = { allow };
    uint32_t kind = firmware_handoff.kind;

    (void)registration;
    if (firmware_handoff.all || kind == HANDOFF_SEV || kind == HANDOFF_SEV_ES ||
        memcmp(guid, &acceptance_guid, sizeof(*guid)))
        return EFI_NOT_FOUND;
    *ret = &acceptance;
    return EFI_SUCCESS;
}

/* Memory that nobody will accept is accepted now; the map is another one then, and the key is old. */
static EFI_STATUS EFIAPI exit_boot_services(EFI_HANDLE handle, UINTN key)
{
    uint64_t pages;

    (void)handle;
    if (!allowed && (pages = memory_accept_all())) {
        say_number(pages);
        say(" pages accepted at the end of boot services\n");
    }
    if (!memory_is_current(key))
        return EFI_INVALID_PARAMETER;
    say("boot services end with ");
    say_number(memory_unaccepted());
    say(" pages left to accept\n");
    cc_leave();
    return EFI_SUCCESS;
}

static void give_options(void)
{
    const char *text = (const char *)firmware_handoff.cmdline_pa;
    unsigned n = 0;

    while (text[n] && n < CMDLINE_MAX - 1) {
        options[n] = (uint8_t)text[n];
        n++;
    }
    loaded.LoadOptions = options;
    loaded.LoadOptionsSize = (n + 1) * sizeof(*options);
}

void firmware_main(const struct handoff *h)
{
    static EFI_BOOT_SERVICES services;
    static EFI_SYSTEM_TABLE system;
    static EFI_CONFIGURATION_TABLE tables[2];
    uint64_t base, size;

    firmware_handoff = *h;
    cc_init();
    memory_init();
    EFI_IMAGE_ENTRY_POINT entry =
        pe_load((const uint8_t *)FIRMWARE_FILE, h->file_size, &base, &size);
    services.AllocatePages = memory_pages;
    services.AllocatePool = memory_pool;
    services.GetMemoryMap = memory_get;
    services.HandleProtocol = handle_protocol;
    services.LocateProtocol = locate_protocol;
    services.ExitBootServices = exit_boot_services;
    tables[0] = (EFI_CONFIGURATION_TABLE){ acpi_guid, (void *)h->rsdp_pa };
    tables[1] = (EFI_CONFIGURATION_TABLE){ blob_guid, (void *)h->blob_pa };
    system.BootServices = &services;
    system.ConfigurationTable = tables;
    system.NumberOfTableEntries = h->kind == HANDOFF_SNP ? 2 : 1;
    loaded.ImageBase = (void *)base;
    loaded.ImageSize = size;
    give_options();
    say("UEFI starts the file\n");
    (void)entry(&loaded, &system);
    stop("the file came back");
}
