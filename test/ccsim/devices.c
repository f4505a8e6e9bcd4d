/* SPDX-License-Identifier: MIT */
/* What the host does for its guest: the machine's ports and device memory, at the addresses that the guest names. */
#include "ccsim.h"
#include "x86_64/x86.h"

enum { FIRMWARE_PORT = 0x402 }; /* OVMF's too */

uint64_t sim_port_in(uint16_t port, unsigned size)
{
    sim_counts.io++;
    switch (size) {
    case 1:
        return x86_in8(port);
    case 2:
        return x86_in16(port);
    case 4:
        return x86_in32(port);
    default:
        sim_fail("port 0x%x is read with %u bytes", port, size);
    }
}

/* Does this write end the machine, as the guests of QEMU do it: PM1 control of q35, a reset by the keyboard controller? */
static bool ends_machine(uint16_t port, uint64_t value)
{
    enum { PM1_CONTROL = 0x604, SLEEP = 1 << 13, KEYBOARD = 0x64, RESET = 0xfe };

    return (port == PM1_CONTROL && value & SLEEP) || (port == KEYBOARD && value == RESET);
}

static void off(void)
{
    sim_scan_shared();
    if (sim_counts.late)
        sim_say("rang %lu times at the last instruction of ring 0", sim_counts.late);
    if (sim_options.count)
        sim_say_counts("off");
}

void sim_port_out(uint16_t port, unsigned size, uint64_t value)
{
    sim_counts.io++;
    if (port == FIRMWARE_PORT) {
        sim_hear((uint8_t)value);
        return;
    }
    if (ends_machine(port, value))
        off();
    switch (size) {
    case 1:
        x86_out8(port, (uint8_t)value);
        break;
    case 2:
        x86_out16(port, (uint16_t)value);
        break;
    case 4:
        __asm__ volatile("outl %0, %1" : : "a"((uint32_t)value), "Nd"(port));
        break;
    default:
        sim_fail("port 0x%x is written with %u bytes", port, size);
    }
}

/* Each tick of the guest's timer writes these; how many there are is a matter of time. */
#define APIC_COUNT 0xfee00380ull
#define APIC_EOI   0xfee000b0ull
/* The microvm is turned off by a register of its event device. */
#define GED_SLEEP 0xfea00200ull
enum { GED_OFF = 1 << 5 };

static volatile void *device(uint64_t pa)
{
    sim_counts.mmio++;
    if (pa < GUEST_MEMORY || pa >= 512ull << 30)
        sim_fail("device access at 0x%lx", pa);
    return (volatile void *)pa;
}

uint64_t sim_mmio_read(uint64_t pa, unsigned size)
{
    volatile void *at = device(pa);

    switch (size) {
    case 1:
        return *(volatile uint8_t *)at;
    case 2:
        return *(volatile uint16_t *)at;
    case 4:
        return *(volatile uint32_t *)at;
    case 8:
        return *(volatile uint64_t *)at;
    default:
        sim_fail("device access of %u bytes", size);
    }
}

void sim_mmio_write(uint64_t pa, unsigned size, uint64_t value)
{
    volatile void *at = device(pa);

    if (pa == GED_SLEEP && value & GED_OFF)
        off();
    sim_counts.ticks += pa == APIC_COUNT || pa == APIC_EOI;
    if (sim_options.sev && sim_sev_command(pa, value))
        return;
    switch (size) {
    case 1:
        *(volatile uint8_t *)at = (uint8_t)value;
        break;
    case 2:
        *(volatile uint16_t *)at = (uint16_t)value;
        break;
    case 4:
        *(volatile uint32_t *)at = (uint32_t)value;
        break;
    case 8:
        *(volatile uint64_t *)at = value;
        break;
    default:
        sim_fail("device access of %u bytes", size);
    }
}
