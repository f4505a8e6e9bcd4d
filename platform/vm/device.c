/* SPDX-License-Identifier: MIT */
/* Devices' registers: ports, memory, and the virtio-mmio slots that are announced. A range that is RAM or one of ours is
 * never mapped for a driver, whatever the host says lies there. One CPU, at boot. */
#include "boot/boot.h"
#include "cc/cc.h"
#include "vm/announce.h"
#include "vm/vm.h"
#include "x86_64/kmap.h"
#include "x86_64/x86.h"

#include <plat/boot.h>
#include <plat/mmio.h>

/* Local APICs and the messages that devices send to them. */
#define APIC_RANGE 0xfee00000ull

enum { APIC_RANGE_SIZE = 1 << 20, IOAPIC_SIZE = 32, HPET_SIZE = 1024, LOG_MAX = 1 << 20 };

static struct plat_virtio_mmio slots[ANNOUNCE_SLOTS_MAX];
static size_t slot_count;
static bool slots_read;

static bool overlaps(uint64_t pa, uint64_t size, uint64_t own, uint64_t own_size)
{
    uint64_t first = align_down(pa, PAGE_SIZE), end = align_up(pa + size, PAGE_SIZE);

    return own && first < align_up(own + own_size, PAGE_SIZE) && align_down(own, PAGE_SIZE) < end;
}

/* Does the range share a page with what the platform itself drives? */
static bool is_ours(uint64_t pa, uint64_t size)
{
    const struct acpi_facts *f = vm_acpi();
    const struct acpi_register *regs[] = { &f->sleep_control, &f->reset };

    if (overlaps(pa, size, APIC_RANGE, APIC_RANGE_SIZE) || overlaps(pa, size, f->lapic, 1) ||
        overlaps(pa, size, f->hpet, HPET_SIZE))
        return true;
    if (overlaps(pa, size, f->ecam, (f->ecam_last - f->ecam_first + 1ull) << 20))
        return true;
    for (unsigned i = 0; i < f->ioapic_count; i++)
        if (overlaps(pa, size, f->ioapics[i].address, IOAPIC_SIZE))
            return true;
    for (unsigned i = 0; i < ARRAY_SIZE(regs); i++)
        if (regs[i]->space == 0 && overlaps(pa, size, regs[i]->address, 1))
            return true;
    return false;
}

volatile void *plat_mmio_map(uint64_t pa, size_t size)
{
    if (!size || pa + size < pa || pa + size > UINT64_MAX - PAGE_SIZE || is_ours(pa, size))
        return NULL;
    return kmap_device(pa, size);
}

/* By the DSDT where there is one, else by the command line: both name the same ones on Firecracker. */
bool plat_virtio_mmio(size_t i, struct plat_virtio_mmio *ret)
{
    const struct acpi_facts *f = vm_acpi();

    if (!slots_read) {
        for (unsigned k = 0; k < f->slot_count; k++)
            announce_slot(slots, &slot_count, f->slots[k].pa, f->slots[k].size, f->slots[k].gsi);
        announce_slots(plat_boot_info()->vmm_cmdline, slots, &slot_count);
        slots_read = true;
    }
    if (i >= slot_count)
        return false;
    *ret = slots[i];
    return true;
}

bool plat_tpm(struct plat_tpm *ret)
{
    *ret = (struct plat_tpm){ .pa = vm_acpi()->tpm, .crb = vm_acpi()->tpm_crb };
    return ret->pa;
}

/* The loader's own list is better than the place that the host's tables name: UEFI firmware does not write there. Private memory
 * that nobody accepted could lie there in a confidential guest. */
size_t plat_tpm_log(void *ret, size_t max)
{
    static uint64_t pa, size;
    static const volatile uint8_t *log;

    if (!log && !boot_event_log(&pa, &size) && cc_kind() == CC_NONE) {
        pa = vm_acpi()->tpm_log;
        size = min_u64(vm_acpi()->tpm_log_size, LOG_MAX);
    }
    if (!log && size)
        log = kmap_firmware(pa, size);
    if (!log)
        return 0;
    for (size_t i = 0; i < max && i < size; i++)
        ((uint8_t *)ret)[i] = log[i];
    return size;
}

uint8_t plat_io_read8(uint16_t port)
{
    return x86_in8(port);
}

uint16_t plat_io_read16(uint16_t port)
{
    return x86_in16(port);
}

uint32_t plat_io_read32(uint16_t port)
{
    return x86_in32(port);
}

void plat_io_write8(uint16_t port, uint8_t value)
{
    x86_out8(port, value);
}

void plat_io_write16(uint16_t port, uint16_t value)
{
    x86_out16(port, value);
}

void plat_io_write32(uint16_t port, uint32_t value)
{
    x86_out32(port, value);
}
