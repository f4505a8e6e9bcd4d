/* SPDX-License-Identifier: MIT */
/* The power button, by which clouds and VMMs ask for an orderly end: PM1 event registers where there are some, QEMU's
 * generic event device on hardware-reduced machines. A confidential guest does not listen: its host can stop it anyway,
 * and these are registers fewer to trust. Spec: ACPI 6.5, 4.8.3.1, 5.6.9. */
#include "vm/vm.h"
#include "cc/cc.h"
#include "x86_64/kmap.h"
#include "x86_64/x86.h"

#include <base/log.h>
#include <plat/irq.h>
#include <plat/upcall.h>

enum { PM1_BUTTON = 1 << 8, PM1_CONTROL_SCI = 1, GED_POWER_DOWN = 2 };

static volatile uint32_t *ged;

static bool is_port(const struct acpi_register *r)
{
    return r->address && r->space == 1 && r->address <= 0xffff - 8;
}

static void pm1_interrupt(void *arg)
{
    const struct acpi_register *r[] = { &vm_acpi()->pm1a_event, &vm_acpi()->pm1b_event };
    bool pressed = false;

    (void)arg;
    for (unsigned i = 0; i < 2; i++) {
        if (!is_port(r[i]) || !(x86_in16((uint16_t)r[i]->address) & PM1_BUTTON))
            continue;
        x86_out16((uint16_t)r[i]->address, PM1_BUTTON); /* writing a one clears it */
        pressed = true;
    }
    if (pressed)
        upcall_power_button();
}

static void ged_interrupt(void *arg)
{
    (void)arg;
    if (*ged & GED_POWER_DOWN) /* reading clears it */
        upcall_power_button();
}

/* Where firmware still owns the registers, ask for them; it answers at once or not at all. */
static void take_over(const struct acpi_facts *f)
{
    if (!f->smi_command || !f->acpi_enable || !is_port(&f->pm1a))
        return;
    if (x86_in16((uint16_t)f->pm1a.address) & PM1_CONTROL_SCI)
        return;
    x86_out8(f->smi_command, f->acpi_enable);
}

static void enable(const struct acpi_facts *f, const struct acpi_register *r)
{
    if (!is_port(r))
        return;
    x86_out16((uint16_t)r->address, PM1_BUTTON);
    x86_out16((uint16_t)(r->address + f->pm1_event_bytes / 2), PM1_BUTTON);
}

void vm_button_init(void)
{
    const struct acpi_facts *f = vm_acpi();

    if (!f->present || cc_kind() != CC_NONE)
        return;
    if (f->ged) {
        ged = kmap_device(f->ged, 4);
        if (!ged || plat_irq_attach(f->ged_gsi, ged_interrupt, NULL) != 0)
            log_warn("acpi: the event device cannot be used; no power button");
        return;
    }
    if (f->reduced || !is_port(&f->pm1a_event) ||
        (f->pm1_event_bytes != 4 && f->pm1_event_bytes != 8))
        return;
    take_over(f);
    if (plat_irq_attach(vm_isa_gsi(f->sci), pm1_interrupt, NULL) == 0) {
        enable(f, &f->pm1a_event);
        enable(f, &f->pm1b_event);
    }
}
