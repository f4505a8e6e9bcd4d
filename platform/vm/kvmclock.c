/* SPDX-License-Identifier: MIT */
/* The clock that KVM keeps in a page of ours: a frequency, and time that the counter is only a part of. The host writes the
 * page: read once, version checked, bounded. It is the first CPU's and read there. Who the hypervisor is, too.
 * Spec: Linux's Documentation/virt/kvm/x86/msr.rst. */
#include "vm/kvmclock.h"
#include "cc/cc.h"
#include "vm/clockmath.h"
#include "vm/vm.h"
#include "x86_64/cpu.h"
#include "x86_64/x86.h"

#include <base/compiler.h>
#include <plat/time.h>

enum { GUEST_STOPPED = 1 << 1 };

static ALIGNED(64) volatile struct {
    uint32_t version, pad;
    uint64_t tsc, ns;
    uint32_t mult;
    int8_t shift;
    uint8_t flags, pad2[2];
} page;

uint32_t vm_hypervisor(char signature[13])
{
    struct x86_cpuid r;

    signature[0] = 0;
    if (!(x86_cpuid(1, 0).ecx & 1u << 31))
        return 0;
    r = x86_cpuid(0x40000000, 0);
    __builtin_memcpy(signature, &r.ebx, 4);
    __builtin_memcpy(signature + 4, &r.ecx, 4);
    __builtin_memcpy(signature + 8, &r.edx, 4);
    signature[12] = 0;
    return r.eax;
}

bool vm_is(const char *signature, const char *name)
{
    return __builtin_memcmp(signature, name, 9) == 0;
}

bool vm_kvm_has_clock(void)
{
    char signature[13];

    /* A confidential guest's host can say anything by it, and cannot read where the page is. */
    return cc_kind() == CC_NONE && vm_hypervisor(signature) >= 0x40000001 &&
           vm_is(signature, "KVMKVMKVM") && x86_cpuid(0x40000001, 0).eax & 1u << 3;
}

void vm_kvm_clock_start(void)
{
    x86_wrmsr(MSR_KVM_CLOCK, x86_image_phys(&page) | 1);
}

bool vm_kvm_read(struct vm_kvm_time *ret)
{
    for (unsigned i = 0; i < 100; i++) {
        uint32_t version = page.version;

        __atomic_thread_fence(__ATOMIC_ACQUIRE);
        ret->tsc = page.tsc;
        ret->ns = page.ns;
        ret->mult = page.mult;
        ret->shift = page.shift;
        ret->stopped = page.flags & GUEST_STOPPED;
        __atomic_thread_fence(__ATOMIC_ACQUIRE);
        if (version && !(version & 1) && version == page.version)
            return true;
    }
    return false;
}

void vm_kvm_stop_seen(void)
{
    page.flags &= (uint8_t)~GUEST_STOPPED;
}

uint64_t vm_kvm_hz(void)
{
    struct vm_kvm_time t;

    if (!vm_kvm_has_clock())
        return 0;
    vm_kvm_clock_start();
    return vm_kvm_read(&t) ? clock_kvm_hz(t.mult, t.shift) : 0;
}

uint64_t vm_kvm_ns(const struct vm_kvm_time *t, uint64_t tsc)
{
    return t->ns + (tsc > t->tsc ? clock_kvm_ns(tsc - t->tsc, t->mult, t->shift) : 0);
}

uint64_t vm_kvm_wall_at_boot_ns(void)
{
    static ALIGNED(16) volatile struct {
        uint32_t version, seconds, ns;
    } wall;
    struct vm_kvm_time t;
    uint64_t at;

    if (!vm_kvm_has_clock())
        return 0;
    vm_kvm_clock_start();
    if (!vm_kvm_read(&t))
        return 0;
    x86_wrmsr(MSR_KVM_WALL, x86_image_phys(&wall));
    for (unsigned i = 0; i < 100; i++) {
        uint32_t version = wall.version;

        __atomic_thread_fence(__ATOMIC_ACQUIRE);
        at = wall.seconds * NS_PER_SEC + wall.ns;
        __atomic_thread_fence(__ATOMIC_ACQUIRE);
        if (wall.seconds && !(version & 1) && version == wall.version)
            /* Wall time when the host's clock for this machine was 0; that clock now, less ours now. */
            return at + vm_kvm_ns(&t, x86_rdtsc()) - plat_time_ns();
    }
    return 0;
}
