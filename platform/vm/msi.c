/* SPDX-License-Identifier: MIT */
/* Message-signalled interrupts: a vector each, the same on every CPU, so that a message names its handler wherever it is
 * sent. A slot's handler is written before its vector can come, and read by the interrupt without a lock.
 * Spec: Intel SDM volume 3, 11.11. */
#include "vm/vm.h"
#include "x86_64/x86.h"

#include <abi/errno.h>
#include <plat/cpu.h>
#include <plat/irq.h>

#define MSI_ADDRESS 0xfee00000ull

static struct msi {
    void (*fn)(void *arg);
    void *arg;
    bool taken;
} slots[VEC_MSI_END - VEC_MSI];

int plat_msi_attach(unsigned cpu, void (*fn)(void *arg), void *arg, struct plat_msi *ret)
{
    uint32_t apic = vm_cpu_apic_id(cpu);

    if (apic > 0xff)
        return -ENODEV; /* the address has eight bits for it */
    for (unsigned i = 0; i < ARRAY_SIZE(slots); i++) {
        if (__atomic_exchange_n(&slots[i].taken, true, __ATOMIC_ACQUIRE))
            continue;
        slots[i].arg = arg;
        __atomic_store_n(&slots[i].fn, fn, __ATOMIC_RELEASE);
        *ret = (struct plat_msi){ .address = MSI_ADDRESS | apic << 12,
                                  .data = VEC_MSI + i,
                                  .slot = i };
        return 0;
    }
    return -ENOSPC;
}

void plat_msi_detach(struct plat_msi *m)
{
    __atomic_store_n(&slots[m->slot].fn, NULL, __ATOMIC_RELEASE);
    __atomic_store_n(&slots[m->slot].taken, false, __ATOMIC_RELEASE);
}

void vm_msi_interrupt(unsigned vector)
{
    struct msi *m = &slots[vector - VEC_MSI];
    void (*fn)(void *) = __atomic_load_n(&m->fn, __ATOMIC_ACQUIRE);

    if (fn)
        fn(m->arg); /* else nobody's: the host sends what it likes */
}
