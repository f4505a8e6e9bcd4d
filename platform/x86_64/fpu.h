/* SPDX-License-Identifier: MIT */
/* FPU, SSE and AVX state of ring 3. Ring 0 uses none of these registers. No instruction here is privileged but those
 * of x86_fpu_init. */
#ifndef X86_64_FPU_H
#define X86_64_FPU_H

#include <base/compiler.h>
#include <base/types.h>

enum {
    FPU_AREA_MAX =
        2816, /* AVX-512 takes 2688 and signal.c 4 behind; more state than fits is not enabled */
    FPU_LEGACY_SIZE = 512,
    FPU_HEADER_SIZE = 64, /* of XSAVE, after the legacy part */
    FPU_SW_BYTES = 464,   /* what software may use in the legacy part, 48 bytes */
};

#define XCR0_AVX 0x4u

struct x86_fpu_facts {
    uint64_t xcr0;       /* state components in use; 3 (x87, SSE) without XSAVE */
    uint32_t size;       /* bytes of an area */
    uint32_t mxcsr_mask; /* bits that may be set in MXCSR */
    bool xsave, xsaveopt;
};
extern struct x86_fpu_facts x86_fpu;

/* Enable what the CPU has and the area can hold. Privileged: once per CPU. */
void x86_fpu_init(void);
/* The same on a further CPU, with what the first one found. */
void x86_fpu_init_further(void);

/* Learn what is enabled (by whomever): everything in x86_fpu. */
void x86_fpu_facts_init(void);

/* Write the registers to area (64-byte aligned), or load them from it; load wants a valid image. */
static inline void x86_fpu_save(void *area)
{
    uint32_t lo = (uint32_t)x86_fpu.xcr0, hi = (uint32_t)(x86_fpu.xcr0 >> 32);

    if (LIKELY(x86_fpu.xsaveopt))
        __asm__ volatile("xsaveopt64 (%0)" : : "r"(area), "a"(lo), "d"(hi) : "memory");
    else if (x86_fpu.xsave)
        __asm__ volatile("xsave64 (%0)" : : "r"(area), "a"(lo), "d"(hi) : "memory");
    else
        __asm__ volatile("fxsave64 (%0)" : : "r"(area) : "memory");
}

static inline void x86_fpu_load(const void *area)
{
    uint32_t lo = (uint32_t)x86_fpu.xcr0, hi = (uint32_t)(x86_fpu.xcr0 >> 32);

    if (LIKELY(x86_fpu.xsave))
        __asm__ volatile("xrstor64 (%0)" : : "r"(area), "a"(lo), "d"(hi) : "memory");
    else
        __asm__ volatile("fxrstor64 (%0)" : : "r"(area) : "memory");
}

/* x86_fpu_save with every component written out, also those in their initial state: for others to read. */
void x86_fpu_save_all(void *area);

/* Make area the state that a new program starts with. And: that state, to load. */
void x86_fpu_reset(void *area);
const void *x86_fpu_initial(void);

/* Copy area to buf (both x86_fpu.size bytes), with every component written out and XCR0 where Linux shows it. */
void x86_fpu_export(const void *area, void *buf);
/* Take the x87 and SSE state of area from a hostile legacy image. False: reserved bits are set. */
bool x86_fpu_import_legacy(void *area, const void *legacy);

/* Take the components not in wanted for initial ones. */
void x86_fpu_keep(void *area, uint64_t wanted);

/* Make an area of hostile content loadable, or say that it cannot be: reserved bits. size: bytes that are valid,
 * at least FPU_LEGACY_SIZE; state past it is the initial one. */
bool x86_fpu_sanitise(void *area, size_t size);

#endif
