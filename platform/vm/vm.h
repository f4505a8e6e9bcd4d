/* SPDX-License-Identifier: MIT */
/* What the virtual machine announces, and the steps of boot that find it. */
#ifndef VM_VM_H
#define VM_VM_H

#include <base/compiler.h>
#include <base/types.h>
#include <plat/thread.h>

#include "vm/acpi.h"

/* Find COM1 and COM2. */
void vm_uart_init(void);

/* Read the ACPI tables. rsdp: physical address from the boot protocol, 0: look for it. */
void vm_acpi_init(uint64_t rsdp);
/* What they said; all zero without them. */
const struct acpi_facts *vm_acpi(void);

/* Mask the 8259, map and enable the local APIC, map the IOAPICs. */
void vm_apic_init(void);
/* Enable this CPU's local APIC as vm_apic_init did that of the first. */
void vm_apic_init_cpu(void);
/* This CPU's APIC id. */
uint32_t vm_apic_id(void);
/* Whether an interrupt can be sent to the CPU with this id. */
bool vm_apic_reaches(uint32_t apic_id);
/* Send an interrupt: what the command register's low half says (a vector, APIC_INIT, APIC_STARTUP | page, APIC_NMI). */
enum { APIC_NMI = 4 << 8, APIC_INIT = 5 << 8, APIC_STARTUP = 6 << 8 };
void vm_apic_send(uint32_t apic_id, uint32_t command);
/* Tell the local APIC that the interrupt is served. */
void vm_apic_eoi(void);
/* The local APIC's counter: set it (0 stops it), read it, and say which vector it raises, once. */
void vm_apic_timer_count(uint32_t count);
uint32_t vm_apic_timer_left(void);
void vm_apic_timer_mode(bool tsc_deadline);
/* Let it count down from UINT32_MAX without an interrupt. */
void vm_apic_timer_probe(void);

/* Map the IOAPICs and mask every input; interrupts go to the CPU apic_id. */
void vm_ioapic_init(uint32_t apic_id);
/* The local APIC's id of a CPU that runs, or will; UINT32_MAX: there is none of that number. */
uint32_t vm_cpu_apic_id(unsigned cpu);
/* A vector from VEC_MSI on came. */
void vm_msi_interrupt(unsigned vector);
/* The line of an ISA interrupt, after the MADT's overrides. */
unsigned vm_isa_gsi(unsigned irq);

/* Note the counter at the start of boot, where time begins. */
void vm_clock_begin(void);
/* The boot began earlier: at this value of the time stamp counter, which is a loader's word. */
void vm_clock_began(uint64_t tsc);
uint64_t vm_clock_boot_tsc(void);
/* The local APIC timer's frequency where the emulator fixes it, else 0. */
uint64_t vm_lapic_hz(void);
/* What it should be by the hypervisor's name, to check another source against; 0: unknown. */
uint64_t vm_lapic_promise(void);
/* Find the counter's frequency; start time. */
void vm_clock_init(void);
/* The counter's ticks for ns, at most a minute. */
uint64_t vm_clock_ticks(uint64_t ns);
/* Go on from ns at the counter's value tsc with another frequency. distrust: the counter went back, so from now on the highest
 * value counts. At most once a second: readers on other CPUs may still be at the facts before. */
void vm_clock_rebase(uint64_t tsc, uint64_t ns, uint64_t hz, bool distrust);
/* Choose a clock to compare with; after vm_clock_init. */
void vm_clock_check_init(void);
/* Compare, when it is time for it. In a timer interrupt. */
void vm_clock_check(void);
/* Wall time at boot by KVM's clock, nanoseconds since 1970; 0: there is none. */
uint64_t vm_kvm_wall_at_boot_ns(void);
/* Seconds since 1970 of the CMOS clock, 0: none. */
uint64_t vm_rtc_seconds(void);
/* Enable this CPU's timer; after vm_clock_init and vm_apic_init. */
void vm_timer_init(void);
/* The same on a further CPU. */
void vm_timer_init_cpu(void);
void vm_timer_interrupt(bool in_program);

/* Take the pages that starting other CPUs needs; before boot_memory_done. */
void vm_smp_reserve(void);
/* A panic: halt every other CPU where it is. False: another CPU's panic stops this one, which does not return then. */
void vm_smp_stop_others(void);
/* This CPU got an NMI with frame f: if a panic stops it, do not return. */
void vm_smp_stopped(const struct plat_frame *f);
/* Print where each CPU was stopped. */
void vm_smp_say_others(void);

/* Map what ending the machine needs. */
void vm_power_init(void);
/* Tell the VMM of a panic, after everything about it was printed: it may end the machine at once. */
void vm_power_panicked(void);
/* Listen for the power button, snapshots and what else ACPI tells; after vm_apic_init. Not in a confidential guest. */
void vm_events_init(void);
/* Find VMGenID and vmclock. */
void vm_generation_init(void);
/* The VMM says that the machine goes on from a snapshot. */
void vm_generation_told(void);
/* See whether it does, where nobody says so. */
void vm_generation_look(void);

#endif
