/* SPDX-License-Identifier: MIT */
/* Measures this file's sections as systemd-stub does, so that systemd-measure(1) predicts the result: into PCR 11 of a TPM,
 * and of a confidential guest into the register that stands for it. The firmware measured the whole file before. Spec: TCG
 * EFI Protocol 2.0; UEFI 2.10, 38.2; the UAPI group's "Unified Kernel Image". */
#include "stub.h"

enum { PCR = 11, EVENT_IPL = 13, HEADER_VERSION = 1, NAME_SPACE = 9 };

struct __attribute__((packed)) event {
    uint32_t size, header_size;
    uint16_t header_version;
    uint32_t index, type;
    CHAR16 text[NAME_SPACE];
};

/* Both protocols have the function at the same place, with the same arguments. */
struct measurement {
    void *get_capability;
    void *others[1];
    EFI_STATUS(EFIAPI *hash_log_extend)
    (struct measurement *, UINT64 flags, EFI_PHYSICAL_ADDRESS data, UINT64 size, struct event *);
    EFI_STATUS(EFIAPI *map_pcr)(struct measurement *, uint32_t pcr, uint32_t *ret_register);
};

static const EFI_GUID tcg2 = {
    0x607f766c, 0x7455, 0x42be, { 0x93, 0x0b, 0xe4, 0xd7, 0x6d, 0xb2, 0x72, 0x0f }
};
static const EFI_GUID confidential = {
    0x96751a3d, 0x72f4, 0x41a6, { 0xa7, 0x94, 0xed, 0x5d, 0x0e, 0x67, 0xae, 0x6b }
};

static void extend(struct measurement *m, uint32_t index, const char *name, const void *data,
                   size_t size)
{
    struct event e = { .size = sizeof(e),
                       .header_size = sizeof(e) - sizeof(e.text) - sizeof(e.size),
                       .header_version = HEADER_VERSION,
                       .index = index,
                       .type = EVENT_IPL };

    for (size_t i = 0; i < NAME_SPACE - 1 && name[i]; i++)
        e.text[i] = (uint8_t)name[i];
    (void)m->hash_log_extend(m, 0, (uintptr_t)data, size, &e);
}

/* Name with its zero, then content, of each section, in the order of the specification. */
static void measure(struct measurement *m, uint32_t index, const EFI_LOADED_IMAGE *li)
{
    static const char names[][NAME_SPACE] = { ".linux",  ".osrel", ".cmdline",
                                              ".initrd", ".uname", ".sbat" };

    for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
        struct section s = section_find(li->ImageBase, li->ImageSize, names[i]);
        size_t n = 0;

        if (!s.data)
            continue;
        while (names[i][n])
            n++;
        extend(m, index, names[i], names[i], n + 1);
        extend(m, index, names[i], s.data, s.size);
    }
}

void measure_sections(EFI_BOOT_SERVICES *bs, const EFI_LOADED_IMAGE *li)
{
    struct measurement *m;
    EFI_GUID guid = tcg2;
    uint32_t index;

    if (bs->LocateProtocol(&guid, NULL, (void **)&m) == EFI_SUCCESS)
        measure(m, PCR, li);
    guid = confidential;
    if (bs->LocateProtocol(&guid, NULL, (void **)&m) == EFI_SUCCESS &&
        m->map_pcr(m, PCR, &index) == EFI_SUCCESS)
        measure(m, index, li);
}
