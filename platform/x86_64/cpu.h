/* SPDX-License-Identifier: MIT */
/* One CPU as the platform keeps it: descriptor tables, stacks, what is loaded; and what the CPU can do. */
#ifndef X86_64_CPU_H
#define X86_64_CPU_H

#include "boot/boot.h"
#include "x86_64/tlb.h"

#include <base/compiler.h>
#include <base/types.h>
#include <plat/cpu.h>
#include <plat/mmu.h>
#include <plat/thread.h>
#include <plat/time.h>

/* Facts found at boot, read-mostly. */
struct x86_facts {
    bool smap, fsgsbase, xsave, xsaveopt, smep, umip, x2apic, tsc_deadline, rdrand, rdseed, sha,
        aes, avx2, crc32;
    bool giant; /* 1 GiB pages */
    uint32_t
        quick_switch; /* 1: FSGSBASE and XSAVEOPT are there, all that thread.c uses at most switches */
    uint32_t hwcap, hwcap2;
    uint64_t
        enc_mask; /* memory encryption: set in every page-table entry that maps private memory */
    uint64_t
        shared_mask;     /* the reverse: set in every entry that maps memory shared with the host */
    uint64_t phys_limit; /* first address that the CPU cannot form */
    uintptr_t slide;     /* address the image runs at minus the one it is linked at */
    uint64_t load;       /* physical address of the image minus the one it is linked for */
};
extern struct x86_facts x86_facts;

/* Physical address of something in the image. */
static inline uint64_t x86_image_phys(const volatile void *p)
{
    return (uintptr_t)p - x86_facts.slide - BOOT_LINK_BASE + x86_facts.load;
}

struct PACKED x86_tss {
    uint32_t reserved0;
    uint64_t rsp[3];
    uint64_t reserved1;
    uint64_t ist[7];
    uint64_t reserved2;
    uint16_t reserved3, iomap;
};

enum {
    STACK_SIZE = 16 * 1024,
    IST_SIZE =
        4096, /* each aligned to its size; its first word holds the CPU's percpu address: see entry.S */
    IST_NMI = 1,
    IST_DF,
    IST_MC,
    IST_DB,
    IST_VC,
    IST_HV,
    IST_COUNT = IST_HV,
};

struct x86_cpu {
    struct plat_percpu p; /* first: %gs points here */
    _Atomic uint8_t rung; /* #HV came while it could not be served (cc/doorbell.h) */
    struct x86_tss tss;
    uint64_t gdt[10];
    struct plat_aspace *aspace;    /* loaded; NULL: the kernel's own */
    struct plat_thread *fpu_owner; /* whose FPU state is in the registers */
    uint32_t special; /* MSR_LSTAR and DR7 are those of a thread that is debugged: X86_SPECIAL_* */
    uint64_t *spare_tables[4]; /* zeroed page-table pages, kept back for the next need */
    unsigned spare_count;
    uint32_t apic_id;
    void *ghcb; /* an SEV-SNP guest's page for talking to the host, and its physical address */
    uint64_t ghcb_pa;
    void *doorbell; /* where its host says which interrupts are pending, if it may only ring */
    uint64_t doorbell_pa;
    uint64_t timer_deadline; /* ns; UINT64_MAX: none */
    /* What others write lies in lines of its own. */
    ALIGNED(64) _Atomic uint64_t tlb_from;    /* CPUs whose requests wait for this one */
    _Atomic uint32_t start;                   /* enum in smp.c */
    _Atomic uint64_t start_tsc;               /* for the comparison of counters at start */
    const struct plat_frame *_Atomic stopped; /* where a panic of another CPU stopped this one */
    ALIGNED(64) struct tlb_request request;
};

/* The CPUs by number; those that do not run are NULL. Only x86_online's may be asked for anything. */
extern struct x86_cpu *x86_cpus[PLAT_CPU_MAX];
extern _Atomic uint64_t x86_online;

static inline struct x86_cpu *x86_this_cpu(void)
{
    struct x86_cpu *c;
    __asm__("movq %%gs:0, %0" : "=r"(c));
    return c;
}

/* Find out what this CPU can do; the first CPU only. */
void x86_facts_init(void);

/* Load descriptor tables and control registers of the first CPU, and make %gs valid. */
void x86_cpu_init_first(void);

/* Memory for a further CPU: its block, with stacks. NULL: there is none. And its return, while it has not run. */
struct x86_cpu *x86_cpu_create(void);
void x86_cpu_destroy(struct x86_cpu *c);

/* The same as x86_cpu_init_first, on the further CPU that c is of. */
void x86_cpu_init(struct x86_cpu *c);

/* Tell the CPU its number, which is in c by now: ring 3 can read it (RDTSCP, RDPID). */
void x86_cpu_set_number(const struct x86_cpu *c);

/* How ring 3 gets that number. */
enum plat_cpu_by x86_cpu_number_by(void);

#endif
