/* SPDX-License-Identifier: MIT */
/* What the CPU can do, and its tables: GDT, TSS, IDT, control registers, system call registers. Everything but the IDT
 * is per CPU. Spec: Intel SDM volume 3, chapters 2, 3 and 6. */
#include "x86_64/cpu.h"
#include "x86_64/debug.h"
#include "boot/boot.h"
#include "x86_64/fpu.h"
#include "x86_64/offsets.h"
#include "x86_64/stack.h"
#include "x86_64/x86.h"

#include <plat/mem.h>
#include <plat/upcall.h>

_Static_assert(offsetof(struct plat_percpu, current) == PERCPU_CURRENT, "offsets.h");
_Static_assert(offsetof(struct plat_percpu, user_sp) == PERCPU_USER_SP, "offsets.h");
_Static_assert(offsetof(struct plat_percpu, kernel_top) == PERCPU_KERNEL_TOP, "offsets.h");
_Static_assert(offsetof(struct x86_cpu, p) == 0, "%gs points at it");
_Static_assert(sizeof(struct x86_cpu) <= PAGE_SIZE, "x86_cpu_create");

struct x86_facts x86_facts;
struct x86_cpu *x86_cpus[PLAT_CPU_MAX];
_Atomic uint64_t x86_online;

static struct x86_cpu first_cpu;
static ALIGNED(IST_SIZE) uint64_t first_ist[IST_COUNT][IST_SIZE / 8];

struct PACKED gate {
    uint16_t offset_low, selector;
    uint8_t ist, type;
    uint16_t offset_mid;
    uint32_t offset_high, reserved;
};
static struct gate idt[256];

struct PACKED table_pointer {
    uint16_t limit;
    uint64_t base;
};

extern const char x86_stubs[], boot_stack_top[];
void x86_syscall_entry(void);
void x86_syscall_entry_traced(void);
static void (*syscall_entry)(void) = x86_syscall_entry;

void x86_facts_init(void)
{
    struct x86_facts *f = &x86_facts;
    uint32_t top = x86_cpuid(0, 0).eax;
    struct x86_cpuid one = x86_cpuid(1, 0), seven = { 0 };
    uint32_t extended = x86_cpuid(0x80000000, 0).eax;
    uint32_t bits = 36;

    if (top >= 7)
        seven = x86_cpuid(7, 0);
    f->hwcap = one.edx;
    f->xsave = one.ecx & 1u << 26;
    f->x2apic = one.ecx & 1u << 21;
    f->tsc_deadline = one.ecx & 1u << 24;
    f->rdrand = one.ecx & 1u << 30;
    f->crc32 = one.ecx & 1u << 20;
    f->fsgsbase = seven.ebx & 1u << 0;
    f->smep = seven.ebx & 1u << 7;
    f->avx2 = (seven.ebx & 1u << 5) != 0;
    f->rdseed = seven.ebx & 1u << 18;
    f->smap = (seven.ebx & 1u << 20) != 0;
    f->sha = (seven.ebx & 1u << 29) != 0 && (one.ecx & 1u << 19) != 0; /* and SSE4.1, SSSE3 */
    f->aes = (one.ecx & 1u << 25) != 0;
    f->umip = seven.ecx & 1u << 2;
    f->hwcap2 = f->fsgsbase ? 2 : 0;
    /* Parts of the linear map become shared: no pages that would have to be split. */
    f->giant = (x86_cpuid(0x80000001, 0).edx & 1u << 26) != 0 && !(f->enc_mask | f->shared_mask);
    if (extended >= 0x80000008)
        bits = x86_cpuid(0x80000008, 0).eax & 0xff;
    f->phys_limit = 1ull << (bits < 36 ? 36 : bits > 52 ? 52 : bits);
    if (f->enc_mask | f->shared_mask)
        f->phys_limit = min_u64(f->phys_limit, f->enc_mask | f->shared_mask);
}

static void load_gdt(struct x86_cpu *c)
{
    uint64_t tss = (uintptr_t)&c->tss;
    struct table_pointer gp = { sizeof(c->gdt) - 1, (uintptr_t)c->gdt };

    c->gdt[SEL_KERNEL_CODE / 8] = 0x00af9b000000ffff;
    c->gdt[SEL_KERNEL_DATA / 8] = 0x00cf93000000ffff;
    c->gdt[SEL_USER_DATA / 8] = 0x00cff3000000ffff;
    c->gdt[SEL_USER_CODE / 8] = 0x00affb000000ffff;
    c->gdt[SEL_TSS / 8] =
        (sizeof(c->tss) - 1) | (tss & 0xffffff) << 16 | 0x89ull << 40 | (tss >> 24 & 0xff) << 56;
    c->gdt[SEL_TSS / 8 + 1] = tss >> 32;
    c->tss.iomap = sizeof(c->tss); /* no port is ring 3's */

    __asm__ volatile("lgdt %0\n\t"
                     "pushq %1\n\t"
                     "leaq 1f(%%rip), %%rax\n\t"
                     "pushq %%rax\n\t"
                     "lretq\n"
                     "1:\tmovl %2, %%eax\n\t"
                     "movl %%eax, %%ss\n\t"
                     "movl %3, %%eax\n\t"
                     "movl %%eax, %%ds\n\t"
                     "movl %%eax, %%es\n\t"
                     "xorl %%eax, %%eax\n\t"
                     "movl %%eax, %%fs\n\t"
                     "movl %%eax, %%gs\n\t"
                     "movl %4, %%eax\n\t"
                     "ltr %%ax"
                     :
                     : "m"(gp), "i"(SEL_KERNEL_CODE), "i"(SEL_KERNEL_DATA), "i"(SEL_USER_DATA),
                       "i"(SEL_TSS)
                     : "rax", "memory");
}

static void set_gate(unsigned vector, uintptr_t entry)
{
    uint8_t ist = 0, type = 0x8e;

    if (vector == VEC_NMI)
        ist = IST_NMI;
    else if (vector == VEC_DF)
        ist = IST_DF;
    else if (vector == VEC_MC)
        ist = IST_MC;
    else if (vector == VEC_DB)
        ist = IST_DB;
    else if (vector == VEC_VC)
        ist = IST_VC;
    else if (vector == VEC_HV)
        ist = IST_HV;
    else if (vector == VEC_BP || vector == VEC_OF)
        type = 0xee; /* int3 and into are ring 3's; any other int n is #GP */
    idt[vector] = (struct gate){
        .offset_low = (uint16_t)entry,
        .selector = SEL_KERNEL_CODE,
        .ist = ist,
        .type = type,
        .offset_mid = (uint16_t)(entry >> 16),
        .offset_high = (uint32_t)(entry >> 32),
    };
}

static void make_idt(void)
{
    for (unsigned v = 0; v < 256; v++)
        set_gate(v, (uintptr_t)x86_stubs + (v < 32 ? v * 16 : 512 + (v - 32) * 8));
}

static void load_idt(void)
{
    struct table_pointer ip = { sizeof(idt) - 1, (uintptr_t)idt };

    __asm__ volatile("lidt %0" : : "m"(ip));
}

static void load_control(void)
{
    uint64_t cr4 = CR4_PAE | CR4_PGE | CR4_OSFXSR | CR4_OSXMMEXCPT;

    if (x86_facts.hwcap & 1u << 7)
        cr4 |= CR4_MCE; /* else a machine check ends the machine without a word */
    if (x86_facts.xsave)
        cr4 |= CR4_OSXSAVE;
    if (x86_facts.fsgsbase)
        cr4 |= CR4_FSGSBASE;
    if (x86_facts.smep)
        cr4 |= CR4_SMEP;
    if (x86_facts.smap)
        cr4 |= CR4_SMAP;
    if (x86_facts.umip)
        cr4 |= CR4_UMIP;
    x86_set_cr4(cr4);

    /* What firmware may have left: breakpoints, a SYSENTER target, another CPU number for RDTSCP (x86_cpu_set_number). */
    __asm__ volatile("movq %0, %%dr7" : : "r"(0x400ull));
    if (x86_facts.hwcap & 1u << 11)
        x86_wrmsr(MSR_SYSENTER_CS, 0);

    /* SYSCALL: kernel selectors from bit 32, SYSRET's base from bit 48. Cleared flags: all that ring 3 could use to
     * disturb ring 0. */
    x86_wrmsr(MSR_STAR, (uint64_t)SEL_USER_BASE << 48 | (uint64_t)SEL_KERNEL_CODE << 32);
    x86_wrmsr(MSR_LSTAR, (uintptr_t)syscall_entry);
    x86_wrmsr(MSR_CSTAR, 0);
    x86_wrmsr(MSR_SFMASK,
              RFLAGS_TF | RFLAGS_IF | RFLAGS_DF | RFLAGS_IOPL | RFLAGS_NT | RFLAGS_RF | RFLAGS_AC);
}

void x86_set_syscall_entry(bool traced)
{
    x86_wrmsr(MSR_LSTAR, (uintptr_t)(traced ? x86_syscall_entry_traced : syscall_entry));
}

void plat_syscall_trace(void)
{
    syscall_entry = x86_syscall_entry_traced;
    x86_wrmsr(MSR_LSTAR, (uintptr_t)syscall_entry);
}

static void set_ist(struct x86_cpu *c, unsigned i, uint64_t *stack)
{
    stack[0] = (uintptr_t)c;
    c->tss.ist[i] = (uintptr_t)stack + IST_SIZE;
}

static void init(struct x86_cpu *c)
{
    c->p.self = &c->p;
    c->tss.rsp[0] = c->p.kernel_top;
    c->timer_deadline = UINT64_MAX;
    load_gdt(c);
    x86_wrmsr(MSR_GS_BASE, (uintptr_t)c);
    x86_wrmsr(MSR_KERNEL_GS_BASE, 0);
    load_idt();
    load_control();
}

void x86_cpu_init_first(void)
{
    struct x86_cpu *c = &first_cpu;

    c->p.kernel_top = (uintptr_t)boot_stack_top;
    for (unsigned i = 0; i < IST_COUNT; i++)
        set_ist(c, i, first_ist[i]);
    make_idt();
    init(c);
    x86_fpu_init();
    x86_facts.quick_switch = x86_facts.fsgsbase && x86_fpu.xsaveopt;
    x86_cpu_set_number(c);
    x86_cpus[0] = c;
    x86_online = 1;
}

void x86_cpu_init(struct x86_cpu *c)
{
    init(c);
    x86_fpu_init_further();
}

/* A bit per enum plat_cpu_by: the instructions that read MSR_TSC_AUX in ring 3. */
static unsigned number_readers(void)
{
    bool rdpid = x86_cpuid(0, 0).eax >= 7 && x86_cpuid(7, 0).ecx & 1u << 22,
         rdtscp = x86_cpuid(0x80000001, 0).edx & 1u << 27;

    return (rdpid ? 1u << PLAT_CPU_BY_RDPID : 0) | (rdtscp ? 1u << PLAT_CPU_BY_RDTSCP : 0);
}

enum plat_cpu_by x86_cpu_number_by(void)
{
    unsigned readers = number_readers();

    /* Programs index arrays with the number: a host that is not trusted must not give it. */
    if (x86_facts.enc_mask | x86_facts.shared_mask)
        return PLAT_CPU_BY_CALL;
    return readers >> PLAT_CPU_BY_RDPID & 1    ? PLAT_CPU_BY_RDPID
           : readers >> PLAT_CPU_BY_RDTSCP & 1 ? PLAT_CPU_BY_RDTSCP
                                               : PLAT_CPU_BY_CALL;
}

void x86_cpu_set_number(const struct x86_cpu *c)
{
    if (number_readers())
        x86_wrmsr(MSR_TSC_AUX, c->p.cpu);
}

struct x86_cpu *x86_cpu_create(void)
{
    paddr_t pa = upcall_page_alloc();
    struct x86_cpu *c;
    uintptr_t slot;

    if (!pa.v)
        return NULL;
    c = plat_phys_to_virt(pa);
    slot = x86_slot_get();
    c->p.kernel_top = slot ? x86_slot_top(slot) : 0;
    for (unsigned i = 0; slot && i < IST_COUNT; i++) {
        pa = upcall_page_alloc();
        if (!pa.v)
            break;
        set_ist(c, i, plat_phys_to_virt(pa));
    }
    if (slot && pa.v)
        return c;
    x86_cpu_destroy(c);
    return NULL;
}

void x86_cpu_destroy(struct x86_cpu *c)
{
    for (unsigned i = 0; i < IST_COUNT; i++)
        if (c->tss.ist[i])
            upcall_page_free(plat_virt_to_phys((const void *)(c->tss.ist[i] - IST_SIZE)));
    if (c->p.kernel_top)
        x86_slot_put(c->p.kernel_top - x86_slot_top(0));
    upcall_page_free(plat_virt_to_phys(c));
}

void x86_sha256(uint32_t state[8], const void *data, size_t blocks);

bool plat_sha256(uint32_t state[8], const void *data, size_t blocks)
{
    if (!x86_facts.sha)
        return false;
    x86_sha256(state, data, blocks);
    return true;
}

void x86_aes_xts(const struct plat_aes_xts *x, const uint8_t iv[16], const void *in, void *out,
                 size_t blocks);

bool plat_has_aes(void)
{
    return x86_facts.aes;
}

bool plat_aes_xts(const struct plat_aes_xts *x, const uint8_t iv[16], const void *in, void *out,
                  size_t blocks)
{
    if (x86_facts.aes)
        x86_aes_xts(x, iv, in, out, blocks);
    return x86_facts.aes;
}

void x86_sha256_lanes(uint32_t state[8][PLAT_SHA256_LANES],
                      const void *const data[PLAT_SHA256_LANES], size_t blocks);

bool plat_sha256_lanes(uint32_t state[8][PLAT_SHA256_LANES],
                       const void *const data[PLAT_SHA256_LANES], size_t blocks)
{
    struct plat_thread *owner = x86_this_cpu()->fpu_owner;

    if (x86_facts.sha || !x86_facts.avx2 || !(x86_fpu.xcr0 & XCR0_AVX))
        return false;
    if (owner)
        x86_fpu_save(owner->fpu);
    x86_sha256_lanes(state, data, blocks);
    if (owner)
        x86_fpu_load(owner->fpu);
    return true;
}

unsigned long plat_hwcap(void)
{
    return x86_facts.hwcap;
}

unsigned long plat_hwcap2(void)
{
    return x86_facts.hwcap2;
}
