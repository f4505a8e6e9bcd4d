/* SPDX-License-Identifier: MIT */
/* Whether this machine still is the one it was: VMGenID's 16 bytes are others when it goes on from a snapshot or was cloned, and
 * vmclock counts disruptions of its time. Both are memory of the VMM's, read as a whole, whenever somebody asks: an interrupt
 * (events.c) comes later than the machine's first instruction. The host could write anything there, which costs a
 * reseeding and a look at the clock. Spec: Microsoft's "Virtual Machine Generation ID"; vmclock-abi.h of Linux. */
#include "vm/vm.h"
#include "x86_64/kmap.h"

#include <base/log.h>
#include <plat/boot.h>
#include <plat/upcall.h>

#define VMCLOCK_MAGIC 0x4b4c4356u

/* The part of vmclock's page that is used. */
struct vmclock {
    uint32_t magic, size;
    uint16_t version;
    uint8_t counter_id, time_type;
    uint32_t seq;
    uint64_t disruptions;
};

static const volatile uint64_t *name; /* VMGenID's two words, NULL: none */
static const volatile struct vmclock *vmclock;
static uint64_t last[2]; /* at boot, and whenever the VMM told of a change */

void vm_generation_init(void)
{
    const struct acpi_facts *f = vm_acpi();
    const volatile struct vmclock *v = NULL;

    if (f->generation)
        name = kmap_firmware(f->generation, 16);
    if (f->vmclock && f->vmclock_size >= sizeof(struct vmclock))
        v = kmap_firmware(f->vmclock, sizeof(struct vmclock));
    if (v && v->magic == VMCLOCK_MAGIC && v->version == 1 && v->size >= sizeof(struct vmclock))
        vmclock = v;
    if ((f->generation && !name) || (f->vmclock && !vmclock))
        log_warn("acpi: %s cannot be used; a snapshot that goes on twice may repeat random numbers",
                 f->generation && !name ? "VMGenID" : "vmclock");
    plat_generation(last);
}

void plat_generation(uint64_t ret[2])
{
    ret[0] = name ? name[0] : 0;
    ret[1] = name ? name[1] : 0;
    if (vmclock)
        ret[1] += vmclock->disruptions * 0x9e3779b97f4a7c15ull;
}

void vm_generation_look(void)
{
    uint64_t now[2];

    plat_generation(now);
    if (now[0] != last[0] || now[1] != last[1])
        vm_generation_told();
}

void vm_generation_told(void)
{
    uint64_t now[2];

    plat_generation(now);
    log_info("acpi: the machine goes on from a snapshot%s",
             now[0] == last[0] && now[1] == last[1] ? "" : ", as another one");
    last[0] = now[0];
    last[1] = now[1];
    upcall_resumed();
}
