/* SPDX-License-Identifier: MIT */
/* The local APIC, by MMIO or as x2APIC by MSR, and the 8259 that is only masked. Spec: Intel SDM volume 3, chapter 11. */
#include "cc/doorbell.h"
#include "vm/vm.h"
#include "x86_64/cpu.h"
#include "x86_64/kmap.h"
#include "x86_64/x86.h"

#include <base/log.h>

enum {
    REG_ID = 0x20,
    REG_COMMAND = 0x300, /* ICR; as x2APIC one register of 64 bits */
    REG_COMMAND_HIGH = 0x310,
    REG_TPR = 0x80,
    REG_EOI = 0xb0,
    REG_SPURIOUS = 0xf0,
    REG_LVT_TIMER = 0x320,
    REG_LVT_LINT0 = 0x350,
    REG_LVT_LINT1 = 0x360,
    REG_LVT_ERROR = 0x370,
    REG_TIMER_INIT = 0x380,
    REG_TIMER_COUNT = 0x390,
    REG_TIMER_DIVIDE = 0x3e0,
    LVT_MASKED = 1 << 16,
    LVT_NMI = 4 << 8,
    LVT_TSC_DEADLINE = 2 << 17,
    DIVIDE_BY_1 = 0xb,
    SPURIOUS_ENABLE = 1 << 8,
    COMMAND_BUSY = 1 << 12,
    COMMAND_ASSERT = 1 << 14,
};
#define APIC_BASE_DEFAULT 0xfee00000ull
#define APIC_BASE_ENABLE  (1u << 11)
#define APIC_BASE_X2      (1u << 10)

static volatile uint32_t *mmio; /* NULL: x2APIC */
static bool ready;

static uint32_t reg_read(unsigned reg)
{
    return mmio ? mmio[reg / 4] : (uint32_t)x86_rdmsr(MSR_X2APIC + reg / 16);
}

static void reg_write(unsigned reg, uint32_t value)
{
    if (mmio)
        mmio[reg / 4] = value;
    else
        x86_wrmsr(MSR_X2APIC + reg / 16, value);
}

/* Point an 8259 pair away from the exception vectors and mask it. Without ACPI it is not announced either way: the
 * writes then go nowhere. */
static void mask_pic(void)
{
    static const struct {
        uint8_t port, value;
    } steps[] = {
        { 0x20, 0x11 }, { 0xa0, 0x11 }, { 0x21, VEC_PIC }, { 0xa1, VEC_PIC + 8 }, { 0x21, 4 },
        { 0xa1, 2 },    { 0x21, 1 },    { 0xa1, 1 },       { 0x21, 0xff },        { 0xa1, 0xff },
    };

    if (vm_acpi()->madt && !vm_acpi()->pic)
        return;
    for (size_t i = 0; i < ARRAY_SIZE(steps); i++)
        x86_out8(steps[i].port, steps[i].value);
}

static void setup(void)
{
    reg_write(REG_TPR, 0);
    reg_write(REG_LVT_TIMER, LVT_MASKED);
    reg_write(REG_LVT_LINT0, LVT_MASKED);
    reg_write(REG_LVT_LINT1, LVT_NMI);
    reg_write(REG_LVT_ERROR, LVT_MASKED);
    reg_write(REG_SPURIOUS, SPURIOUS_ENABLE | VEC_SPURIOUS);
}

void vm_apic_init(void)
{
    uint64_t base = x86_rdmsr(MSR_APIC_BASE);

    mask_pic();
    if (base & APIC_BASE_X2 || x86_facts.x2apic) {
        x86_wrmsr(MSR_APIC_BASE, base | APIC_BASE_ENABLE);
        x86_wrmsr(MSR_APIC_BASE, base | APIC_BASE_ENABLE | APIC_BASE_X2);
    } else {
        /* Where the CPU says, not a table: the two cannot differ without one being wrong. */
        x86_wrmsr(MSR_APIC_BASE, base | APIC_BASE_ENABLE);
        base &= (x86_facts.phys_limit - 1) & PAGE_MASK;
        mmio = kmap_device(base ? base : APIC_BASE_DEFAULT, PAGE_SIZE);
        must(mmio);
    }
    setup();
    ready = true;
    x86_this_cpu()->apic_id = vm_apic_id();
    vm_ioapic_init(vm_apic_id());
}

void vm_apic_init_cpu(void)
{
    uint64_t base = x86_rdmsr(MSR_APIC_BASE);

    x86_wrmsr(MSR_APIC_BASE, base | APIC_BASE_ENABLE);
    if (!mmio)
        x86_wrmsr(MSR_APIC_BASE, base | APIC_BASE_ENABLE | APIC_BASE_X2);
    setup();
}

uint32_t vm_apic_id(void)
{
    return mmio ? reg_read(REG_ID) >> 24 : reg_read(REG_ID);
}

bool vm_apic_reaches(uint32_t apic_id)
{
    return !mmio || apic_id < 0xff; /* that one is everybody's */
}

void vm_apic_send(uint32_t apic_id, uint32_t command)
{
    command |= COMMAND_ASSERT;
    if (!mmio) {
        /* Not ordered with stores by itself (SDM 11.12.3): what the other CPU will look at is written before. */
        __asm__ volatile("mfence; lfence" : : : "memory");
        x86_wrmsr(MSR_X2APIC + REG_COMMAND / 16, (uint64_t)apic_id << 32 | command);
        return;
    }
    for (unsigned i = 0; i < 100000 && reg_read(REG_COMMAND) & COMMAND_BUSY; i++)
        x86_pause();
    reg_write(REG_COMMAND_HIGH, apic_id << 24);
    reg_write(REG_COMMAND, command);
}

void vm_apic_eoi(void)
{
    if (!ready)
        return; /* a host can inject what no controller has sent */
    if (doorbell_ended())
        return;
    reg_write(REG_EOI, 0);
}

void vm_apic_timer_mode(bool tsc_deadline)
{
    reg_write(REG_TIMER_DIVIDE, DIVIDE_BY_1);
    reg_write(REG_LVT_TIMER, VEC_TIMER | (tsc_deadline ? LVT_TSC_DEADLINE : 0));
    /* The mode is in effect before the first deadline (SDM 11.5.4.1). */
    __asm__ volatile("mfence" : : : "memory");
}

void vm_apic_timer_count(uint32_t count)
{
    reg_write(REG_TIMER_INIT, count);
}

uint32_t vm_apic_timer_left(void)
{
    return reg_read(REG_TIMER_COUNT);
}

void vm_apic_timer_probe(void)
{
    reg_write(REG_TIMER_DIVIDE, DIVIDE_BY_1);
    reg_write(REG_LVT_TIMER, LVT_MASKED);
    reg_write(REG_TIMER_INIT, UINT32_MAX);
}
