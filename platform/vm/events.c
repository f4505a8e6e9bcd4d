/* SPDX-License-Identifier: MIT */
/* What the machine tells by ACPI: the power button, that it goes on from a snapshot, that a CPU shall go. It comes by PM1 and
 * general-purpose event registers where there are some, by a generic event device on hardware-reduced machines, and
 * Ctrl-Alt-Del by a keyboard controller (Firecracker's only way to ask for an orderly end). A confidential guest does not
 * listen: its host can stop it anyway, and these are registers fewer to trust.
 * Spec: ACPI 6.5, 4.8.3.1, 4.8.4.1, 5.6.9; QEMU's docs/specs/acpi_cpu_hotplug. */
#include "vm/vm.h"
#include "cc/cc.h"
#include "vm/keys.h"
#include "x86_64/kmap.h"
#include "x86_64/x86.h"

#include <base/log.h>
#include <plat/irq.h>
#include <plat/upcall.h>

enum {
    PM1_BUTTON = 1 << 8,
    PM1_CONTROL_SCI = 1,
    /* General-purpose events by number, which QEMU's tables fix. */
    GPE_CPU = 2,
    GPE_GENERATION = 5,
    GPE_BYTES_MAX = 32,
    I8042_DATA = 0x60,
    I8042_STATUS = 0x64,
    I8042_HAS_DATA = 1,
    KEYBOARD_IRQ = 1,
    KEYS_MAX = 32, /* bytes taken in one interrupt */
};

static volatile uint8_t *ged;
static uint8_t gpe_enabled; /* of the first byte */

static bool is_port(const struct acpi_register *r)
{
    return r->address && r->space == 1 && r->address <= 0xffff - GPE_BYTES_MAX;
}

/* QEMU's registers: select a CPU with an event, say no to what it asks for. Only a request to remove a CPU is answered; one
 * that was added is not used, and nobody waits for it. */
static void refuse_cpu_events(uint16_t base)
{
    enum { SELECT = 0, FLAGS = 4, COMMAND = 5, DATA = 8 };
    enum { NEXT_EVENT = 0, OST_EVENT = 1, OST_STATUS = 2, INSERTED = 1 << 1, REMOVE = 1 << 2 };
    enum { EJECT_REQUEST = 3, DEVICE_IN_USE = 0x80 };

    for (unsigned i = 0; i < ACPI_CPU_MAX; i++) {
        uint8_t flags;

        x86_out8((uint16_t)(base + COMMAND), NEXT_EVENT);
        flags = x86_in8((uint16_t)(base + FLAGS));
        if (!(flags & (INSERTED | REMOVE)))
            return;
        x86_out8((uint16_t)(base + FLAGS), flags & (INSERTED | REMOVE)); /* ones clear */
        if (!(flags & REMOVE))
            continue;
        log_warn("acpi: the VMM wants CPU %u back; a CPU in use stays",
                 x86_in32((uint16_t)(base + DATA)));
        x86_out8((uint16_t)(base + COMMAND), OST_EVENT);
        x86_out32((uint16_t)(base + DATA), EJECT_REQUEST);
        x86_out8((uint16_t)(base + COMMAND), OST_STATUS);
        x86_out32((uint16_t)(base + DATA), DEVICE_IN_USE);
    }
}

static void general_events(const struct acpi_facts *f)
{
    uint16_t port = (uint16_t)f->gpe0.address;
    uint8_t told;

    if (!gpe_enabled)
        return;
    told = x86_in8(port) & gpe_enabled;
    if (!told)
        return;
    x86_out8(port, told); /* writing a one clears it */
    if (told & 1 << GPE_GENERATION)
        vm_generation_told();
    if (told & 1 << GPE_CPU)
        refuse_cpu_events(f->cpu_hotplug);
}

static void sci_interrupt(void *arg)
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
    general_events(vm_acpi());
}

static void ged_interrupt(void *arg)
{
    const struct acpi_facts *f = vm_acpi();
    uint32_t told = 0;

    (void)arg;
    if (ged) /* reading clears it */
        told = f->ged_bytes == 4 ? *(volatile uint32_t *)ged : *ged;
    if (told & f->ged_power)
        upcall_power_button();
    if (!ged)
        vm_generation_told(); /* Firecracker's: the only events it has are those */
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

static void enable_general(const struct acpi_facts *f)
{
    uint8_t events =
        (f->generation ? 1 << GPE_GENERATION : 0) | (f->cpu_hotplug ? 1 << GPE_CPU : 0);
    uint16_t port = (uint16_t)f->gpe0.address, half = f->gpe0_bytes / 2;

    if (!events || !is_port(&f->gpe0) || !half || f->gpe0_bytes > GPE_BYTES_MAX)
        return;
    if (f->cpu_hotplug) /* from the old interface, of a bit map only, to the one with events */
        x86_out32(f->cpu_hotplug, 0);
    for (uint16_t i = 0; i < half; i++)
        x86_out8((uint16_t)(port + half + i), i ? 0 : events);
    x86_out8(port, events); /* what came before is no news */
    gpe_enabled = events;
}

static void keyboard_interrupt(void *arg)
{
    static struct keys held;

    (void)arg;
    for (unsigned i = 0; i < KEYS_MAX && x86_in8(I8042_STATUS) & I8042_HAS_DATA; i++)
        if (keys_ctrl_alt_del(&held, x86_in8(I8042_DATA)))
            upcall_power_button();
}

static void keyboard_init(void)
{
    for (unsigned i = 0; i < KEYS_MAX && x86_in8(I8042_STATUS) & I8042_HAS_DATA; i++)
        (void)x86_in8(I8042_DATA); /* a byte that waits would hold the interrupt back for good */
    if (plat_irq_attach(vm_isa_gsi(KEYBOARD_IRQ), keyboard_interrupt, NULL) != 0)
        log_warn("the keyboard controller's interrupt cannot be used");
}

static void ged_init(const struct acpi_facts *f)
{
    bool good = true;

    if (f->ged) {
        ged = kmap_device(f->ged, f->ged_bytes);
        good = ged != NULL;
    }
    for (unsigned i = 0; i < f->ged_gsi_count && good; i++)
        good = plat_irq_attach(f->ged_gsis[i], ged_interrupt, NULL) == 0;
    if (!good)
        log_warn("acpi: the event device cannot be used; no power button");
}

void vm_events_init(void)
{
    const struct acpi_facts *f = vm_acpi();

    if (!f->present || cc_kind() != CC_NONE)
        return;
    vm_generation_init();
    if (f->keyboard)
        keyboard_init();
    if (f->ged_gsi_count) {
        ged_init(f);
        return;
    }
    if (f->reduced || !is_port(&f->pm1a_event) ||
        (f->pm1_event_bytes != 4 && f->pm1_event_bytes != 8))
        return;
    take_over(f);
    if (plat_irq_attach(vm_isa_gsi(f->sci), sci_interrupt, NULL) == 0) {
        enable(f, &f->pm1a_event);
        enable(f, &f->pm1b_event);
        enable_general(f);
    }
}
