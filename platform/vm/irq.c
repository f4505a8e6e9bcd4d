/* SPDX-License-Identifier: MIT */
/* Interrupt lines: the IOAPICs' inputs, each with a vector of its own from the moment a driver attaches. An input is
 * edge-triggered and active high unless the MADT overrides it. Everything runs with interrupts off.
 * Spec: Intel 82093AA data sheet; ACPI 6.5, 5.2.12.5. */
#include "vm/vm.h"
#include "cc/cc.h"
#include "cc/doorbell.h"
#include "x86_64/cpu.h"
#include "x86_64/kmap.h"
#include "x86_64/relink.h"
#include "x86_64/trap.h"
#include "x86_64/x86.h"

#include <abi/errno.h>
#include <base/log.h>
#include <plat/irq.h>
#include <plat/upcall.h>
#include <stdatomic.h>

enum {
    IOAPIC_VERSION = 1,
    IOAPIC_REDIRECT = 0x10,
    REDIRECT_LOW = 1 << 13,
    REDIRECT_LEVEL = 1 << 15,
    REDIRECT_MASKED = 1 << 16,
};
#define IOAPIC_DEFAULT 0xfec00000ull

struct ioapic {
    volatile uint32_t *mmio;
    uint32_t gsi_base, inputs;
};
static struct ioapic ioapics[ACPI_IOAPIC_MAX];
static unsigned ioapic_count;
static uint32_t destination; /* this CPU's APIC id */

static struct line {
    void (*fn)(void *arg);
    void *arg;
    unsigned gsi;
} lines[VEC_LINE_END - VEC_LINE];
static unsigned line_count;

static uint32_t io_read(const struct ioapic *a, uint32_t reg)
{
    a->mmio[0] = reg;
    return a->mmio[4];
}

static void io_write(const struct ioapic *a, uint32_t reg, uint32_t value)
{
    a->mmio[0] = reg;
    a->mmio[4] = value;
}

static void add_ioapic(uint64_t address, uint32_t gsi_base)
{
    struct ioapic *a = &ioapics[ioapic_count];
    uint32_t version;

    a->mmio = kmap_device(address, 32);
    if (!a->mmio)
        return;
    version = io_read(a, IOAPIC_VERSION);
    if (version == UINT32_MAX || !version)
        return; /* nothing there */
    a->gsi_base = gsi_base;
    a->inputs = (version >> 16 & 0xff) + 1;
    for (uint32_t i = 0; i < a->inputs; i++)
        io_write(a, IOAPIC_REDIRECT + 2 * i, REDIRECT_MASKED);
    ioapic_count++;
}

void vm_ioapic_init(uint32_t apic_id)
{
    const struct acpi_facts *f = vm_acpi();

    destination = apic_id;
    if (!f->madt)
        add_ioapic(IOAPIC_DEFAULT, 0);
    for (unsigned i = 0; i < f->ioapic_count; i++)
        add_ioapic(f->ioapics[i].address, f->ioapics[i].gsi_base);
}

unsigned vm_isa_gsi(unsigned irq)
{
    const struct acpi_facts *f = vm_acpi();

    for (unsigned i = 0; i < f->override_count; i++)
        if (f->overrides[i].irq == irq)
            return f->overrides[i].gsi;
    return irq;
}

uint32_t vm_cpu_apic_id(unsigned cpu)
{
    return cpu < plat_cpu_count() ? x86_cpus[cpu]->apic_id : UINT32_MAX;
}

int plat_irq_attach(unsigned gsi, void (*fn)(void *arg), void *arg)
{
    const struct acpi_facts *f = vm_acpi();
    const struct ioapic *a = NULL;
    uint32_t low;

    for (unsigned i = 0; i < ioapic_count; i++)
        if (gsi >= ioapics[i].gsi_base && gsi - ioapics[i].gsi_base < ioapics[i].inputs)
            a = &ioapics[i];
    if (!a || line_count == ARRAY_SIZE(lines) || destination > 0xff)
        return -ENODEV;
    for (unsigned i = 0; i < line_count; i++)
        if (lines[i].gsi == gsi)
            return -EBUSY;
    low = VEC_LINE + line_count;
    for (unsigned i = 0; i < f->override_count; i++)
        if (f->overrides[i].gsi == gsi)
            low |= (f->overrides[i].level ? REDIRECT_LEVEL : 0) |
                   (f->overrides[i].low ? REDIRECT_LOW : 0);
    lines[line_count++] = (struct line){ fn, arg, gsi };
    gsi -= a->gsi_base;
    io_write(a, IOAPIC_REDIRECT + 2 * gsi + 1, destination << 24);
    io_write(a, IOAPIC_REDIRECT + 2 * gsi, low);
    return 0;
}

/* Was the program running when the timer fell due? SYSRET leaves the address and the flags that it returns to in rcx and r11,
 * and an interrupt that ring 0 held back comes before the program's first instruction there. */
static bool in_program(const struct plat_frame *f)
{
    if (CONFIG_RELINK)
        return x86_relink_runs();
    return (f->cs & 3) && !(f->rip == f->rcx && f->rflags == f->r11);
}

void x86_interrupt(long stub, const struct plat_frame *f)
{
    unsigned vector = (uint8_t)(stub + 128);

    if (vector == VEC_TIMER) {
        vm_apic_eoi();
        vm_timer_interrupt(in_program(f));
    } else if (vector >= VEC_MSI && vector < VEC_MSI_END) {
        /* Edge-triggered: acknowledged first, so that one that comes meanwhile is not lost. */
        vm_apic_eoi();
        vm_msi_interrupt(vector);
    } else if (vector >= VEC_LINE && vector - VEC_LINE < line_count) {
        const struct line *l = &lines[vector - VEC_LINE];
        l->fn(l->arg);
        vm_apic_eoi();
    } else if (vector == VEC_TLB) {
        vm_apic_eoi();
        x86_tlb_serve();
    } else if (vector == VEC_KICK) {
        vm_apic_eoi();
        upcall_kick();
    } else if (vector != VEC_SPURIOUS && vector >= VEC_LINE) {
        vm_apic_eoi(); /* nobody's: served by ignoring it */
    }
}

void plat_idle(void)
{
    if (cc_halt() || doorbell_halt())
        return;
    /* STI takes effect after the next instruction: no interrupt is missed between the two. */
    __asm__ volatile("sti; hlt; cli" : : : "memory");
}

void plat_irq_window(void)
{
    if (doorbell_serve(NULL))
        return;
    __asm__ volatile("sti; nop; cli" : : : "memory");
}

void plat_cpu_kick(unsigned cpu)
{
    if (cpu == plat_cpu_id())
        upcall_kick();
    else if (atomic_load_explicit(&x86_online, memory_order_relaxed) >> cpu & 1)
        vm_apic_send(x86_cpus[cpu]->apic_id, VEC_KICK);
}
