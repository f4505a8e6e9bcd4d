/* SPDX-License-Identifier: MIT */
/* One function for each table that is used. size bytes are there; each field is looked at only if it lies within them.
 * Pure. Spec: ACPI 6.5, 5.2.9 (FADT), 5.2.12 (MADT), IA-PC HPET 1.0a, PCI firmware 3.3 (MCFG), TCG ACPI 1.3 (TPM2), 20.2 (AML encoding). */
#include "vm/acpi.h"
#include "vm/acpi_bytes.h"

enum { HEADER = 36 };

enum {
    MADT_LAPIC = 0,
    MADT_IOAPIC = 1,
    MADT_OVERRIDE = 2,
    MADT_LAPIC_ADDRESS = 5,
    MADT_X2APIC = 9,
    MADT_WAKEUP = 0x10,
};

static void add_cpu(struct acpi_facts *f, uint32_t id, uint32_t flags)
{
    if (!(flags & 1) || f->cpu_count == ACPI_CPU_MAX)
        return;
    for (unsigned i = 0; i < f->cpu_count; i++)
        if (f->cpus[i] == id)
            return;
    f->cpus[f->cpu_count++] = id;
}

static void add_override(struct acpi_facts *f, const uint8_t *e)
{
    uint16_t flags = get16(e + 8);

    if (e[2] != 0 || e[3] > 15 || f->override_count == ACPI_OVERRIDE_MAX)
        return;
    f->overrides[f->override_count++] = (struct acpi_override){
        .irq = e[3],
        .gsi = get32(e + 4),
        .low = (flags & 3) == 3,
        .level = (flags >> 2 & 3) == 3,
    };
}

static void madt_entry(const uint8_t *e, uint8_t length, struct acpi_facts *f)
{
    switch (e[0]) {
    case MADT_LAPIC:
        if (length >= 8 && e[3] != 0xff)
            add_cpu(f, e[3], get32(e + 4));
        break;
    case MADT_X2APIC:
        if (length >= 16)
            add_cpu(f, get32(e + 4), get32(e + 8));
        break;
    case MADT_WAKEUP:
        if (length >= 16 && get16(e + 2) == 0 && get64(e + 8) % 4096 == 0)
            f->mailbox = get64(e + 8);
        break;
    case MADT_IOAPIC:
        if (length >= 12 && f->ioapic_count < ACPI_IOAPIC_MAX && get32(e + 4) % 4096 <= 4096 - 32)
            f->ioapics[f->ioapic_count++] = (struct acpi_ioapic){ get32(e + 4), get32(e + 8) };
        break;
    case MADT_OVERRIDE:
        if (length >= 10)
            add_override(f, e);
        break;
    case MADT_LAPIC_ADDRESS:
        if (length >= 12)
            f->lapic = get64(e + 4);
        break;
    default:
        break;
    }
}

void acpi_parse_madt(const uint8_t *t, size_t size, struct acpi_facts *f)
{
    if (size < HEADER + 8 || f->madt)
        return;
    f->madt = true;
    f->lapic = get32(t + 36);
    f->pic = get32(t + 40) & 1;
    for (size_t at = HEADER + 8; at + 2 <= size;) {
        uint8_t length = t[at + 1];

        if (length < 2 || length > size - at)
            return; /* nothing after a wrong length can be trusted */
        madt_entry(t + at, length, f);
        at += length;
    }
}

/* The 12-byte generic address at offset at. */
static struct acpi_register generic(const uint8_t *t, size_t size, size_t at)
{
    if (at + 12 > size)
        return (struct acpi_register){ 0 };
    return (
        struct acpi_register){ .space = t[at], .bits = t[at + 1], .address = get64(t + at + 4) };
}

/* A block that has an old I/O port field and a newer generic address, which wins if not 0. */
static struct acpi_register block(const uint8_t *t, size_t size, size_t old, size_t new)
{
    struct acpi_register r = generic(t, size, new);

    if (!r.address && old + 4 <= size)
        r = (struct acpi_register){ .space = 1, .address = get32(t + old) };
    return r;
}

void acpi_parse_fadt(const uint8_t *t, size_t size, struct acpi_facts *f)
{
    uint32_t flags;

    if (size < 116 || f->dsdt)
        return;
    flags = get32(t + 112);
    f->dsdt = size >= 148 ? get64(t + 140) : 0;
    if (!f->dsdt)
        f->dsdt = get32(t + 40);
    f->pm1a = block(t, size, 64, 172);
    f->pm1b = block(t, size, 68, 184);
    f->pm1a_event = block(t, size, 56, 148);
    f->pm1b_event = block(t, size, 60, 160);
    f->pm1_event_bytes = t[88];
    f->gpe0 = block(t, size, 80, 220);
    f->gpe0_bytes = t[92];
    f->sci = (uint16_t)get16(t + 46);
    f->smi_command = get32(t + 48) <= 0xffff ? (uint16_t)get32(t + 48) : 0;
    f->acpi_enable = t[52];
    f->pm_timer = block(t, size, 76, 208);
    f->pm_timer_32 = flags & 1u << 8;
    f->reduced = t[8] >= 5 && flags & 1u << 20;
    if (flags & 1u << 10 && size >= 129) {
        f->reset = generic(t, size, 116);
        f->reset_value = t[128];
    }
    if (f->reduced)
        f->sleep_control = generic(t, size, 244);
}

void acpi_parse_hpet(const uint8_t *t, size_t size, struct acpi_facts *f)
{
    struct acpi_register r = generic(t, size, 40);

    if (r.space == 0 && r.address % 4096 <= 4096 - 1024)
        f->hpet = r.address;
}

/* TCG ACPI specification 1.3, table 7. The start method says how a command is started: by the registers of a FIFO at the
 * address that every PC has, or by a control area, which lies in the page of its locality. Others are not driven. */
void acpi_parse_tpm2(const uint8_t *t, size_t size, struct acpi_facts *f)
{
    enum {
        CONTROL = 40,
        METHOD = 48,
        METHOD_TIS = 6,
        METHOD_CRB = 7,
        IN_PAGE = 0x40,
        LOG_SIZE = 64,
        LOG = 68
    };
    uint64_t area;

    if (size < METHOD + 4 || f->tpm)
        return;
    area = get64(t + CONTROL);
    if (get32(t + METHOD) == METHOD_TIS)
        f->tpm = 0xfed40000;
    else if (get32(t + METHOD) == METHOD_CRB && area % 4096 == IN_PAGE)
        f->tpm = area - IN_PAGE;
    if (f->tpm && size >= LOG + 8 && get64(t + LOG) && get32(t + LOG_SIZE)) {
        f->tpm_log = get64(t + LOG);
        f->tpm_log_size = get32(t + LOG_SIZE);
    }
    f->tpm_crb = f->tpm && get32(t + METHOD) == METHOD_CRB;
}

void acpi_parse_mcfg(const uint8_t *t, size_t size, struct acpi_facts *f)
{
    for (size_t at = 44; at + 16 <= size; at += 16) {
        uint64_t base = get64(t + at);

        if (get16(t + at + 8) != 0 || base % (1 << 20) || t[at + 10] > t[at + 11])
            continue;
        f->ecam = base;
        f->ecam_first = t[at + 10];
        f->ecam_last = t[at + 11];
        return;
    }
}

void acpi_parse_s5(const uint8_t *t, size_t size, struct acpi_facts *f)
{
    /* NameOp "_S5_" (or "\_S5_") PackageOp PkgLength NumElements constants... */
    for (size_t i = HEADER; i + 8 <= size; i++) {
        size_t at = i + 4;
        uint64_t a, b;

        if (t[i] != '_' || !same(t + i, "_S5_", 4) || t[at] != 0x12)
            continue;
        if (t[i - 1] != 0x08 && !(t[i - 1] == '\\' && t[i - 2] == 0x08))
            continue;
        at += 1;
        at += 1u +
              (t[at] >> 6); /* PkgLength: the top bits of its first byte count the bytes after it */
        if (at >= size || t[at] < 1)
            continue;
        at++;
        if (!get_constant(t, size, &at, &a))
            continue;
        if (!get_constant(t, size, &at, &b))
            b = a;
        if (a > 7 || b > 7)
            continue;
        f->have_s5 = true;
        f->s5_a = (uint8_t)a;
        f->s5_b = (uint8_t)b;
        return;
    }
}
