/* SPDX-License-Identifier: MIT */
/* Ways to end the machine, as it announces them: ACPI sleep registers (hardware-reduced) or PM1 control, the FADT's
 * reset register, the keyboard controller, and the triple fault that always works. Each gets a moment to take effect.
 * A VMM that announces no power-off (Firecracker, microvm without ACPI) ends at the reset. */
#include "vm/vm.h"
#include "cc/cc.h"
#include "x86_64/kmap.h"
#include "x86_64/x86.h"

#include <plat/boot.h>

enum {
    SLP_EN_PM1 = 1 << 13,
    SLP_EN_REDUCED = 1 << 5,
    I8042 = 0x64,
    I8042_RESET = 0xfe,
    PVPANIC_PANICKED = 1
};

/* Memory-mapped registers that were found; NULL: none. */
static volatile uint8_t *sleep_mmio, *reset_mmio;

void vm_power_init(void)
{
    const struct acpi_facts *f = vm_acpi();

    if (f->reduced && f->sleep_control.address && f->sleep_control.space == 0)
        sleep_mmio = kmap_device(f->sleep_control.address, 1);
    if (f->reset.address && f->reset.space == 0)
        reset_mmio = kmap_device(f->reset.address, 1);
}

/* The VMM may need time after the write. Bounded by port reads, which are slow on every machine. */
static void moment(void)
{
    for (unsigned i = 0; i < 300000; i++)
        (void)x86_in8(0x80);
}

static void write8(const struct acpi_register *r, volatile uint8_t *mmio, uint8_t value)
{
    if (mmio)
        *mmio = value;
    else if (r->address && r->space == 1 && r->address <= 0xffff)
        x86_out8((uint16_t)r->address, value);
    else
        return;
    moment();
}

static NORETURN void triple_fault(void)
{
    struct PACKED {
        uint16_t limit;
        uint64_t base;
    } none = { 0, 0 };

    __asm__ volatile("lidt %0; int3" : : "m"(none));
    for (;;)
        __asm__ volatile("cli; hlt");
}

void vm_power_panicked(void)
{
    uint16_t port = vm_acpi()->pvpanic;

    if (port && cc_kind() == CC_NONE && x86_in8(port) & PVPANIC_PANICKED) {
        x86_out8(port, PVPANIC_PANICKED);
        moment();
    }
}

void plat_reset(void)
{
    const struct acpi_facts *f = vm_acpi();

    __asm__ volatile("cli");
    write8(&f->reset, reset_mmio, f->reset_value);
    if (f->present) {
        x86_out8(I8042, I8042_RESET);
        moment();
    }
    triple_fault();
}

void plat_power_off(bool failed)
{
    const struct acpi_facts *f = vm_acpi();

    (void)
        failed; /* none of these machines has a way to say so: libOS has told the control channel */
    __asm__ volatile("cli");
    if (f->have_s5 && f->reduced) {
        write8(&f->sleep_control, sleep_mmio, (uint8_t)(f->s5_a << 2 | SLP_EN_REDUCED));
    } else if (f->have_s5 && f->pm1a.address && f->pm1a.space == 1 && f->pm1a.address <= 0xffff) {
        x86_out16((uint16_t)f->pm1a.address, (uint16_t)(f->s5_a << 10 | SLP_EN_PM1));
        if (f->pm1b.address && f->pm1b.space == 1 && f->pm1b.address <= 0xffff)
            x86_out16((uint16_t)f->pm1b.address, (uint16_t)(f->s5_b << 10 | SLP_EN_PM1));
        moment();
    }
    plat_reset();
}
