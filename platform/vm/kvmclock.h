/* SPDX-License-Identifier: MIT */
/* KVM's clock, and the hypervisor's name. */
#ifndef VM_KVMCLOCK_H
#define VM_KVMCLOCK_H

#include <base/compiler.h>
#include <base/types.h>

/* The host's clock was ns when the counter was tsc. */
struct vm_kvm_time {
    uint64_t tsc, ns;
    uint32_t mult;
    int8_t shift;
    bool stopped; /* the host has stopped this machine for a while */
};

/* The hypervisor's name, twelve bytes and a zero, and its last leaf; 0: there is none. */
uint32_t vm_hypervisor(char signature[13]);
/* Compare the first nine bytes, which tell them apart. */
bool vm_is(const char *signature, const char *name);

bool vm_kvm_has_clock(void);
/* Give the host the page, on the first CPU; where there is a clock. */
void vm_kvm_clock_start(void);
/* What the page says. False: it changes all the time, or nothing was written. */
NODISCARD bool vm_kvm_read(struct vm_kvm_time *ret);
/* The host need not say any more that it stopped the machine. */
void vm_kvm_stop_seen(void);
/* The counter's frequency; 0: there is no clock, or it says nonsense. */
uint64_t vm_kvm_hz(void);
/* The host's clock at the counter's value tsc. */
uint64_t vm_kvm_ns(const struct vm_kvm_time *t, uint64_t tsc);

#endif
