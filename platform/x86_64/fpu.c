/* SPDX-License-Identifier: MIT */
/* XSAVE with all components up to AVX-512, FXSAVE where there is no XSAVE. Areas have the standard (not compacted)
 * layout, which is also that of Linux signal frames. Spec: Intel SDM volume 1, chapter 13. */
#include "x86_64/fpu.h"

#include <base/compiler.h>
#include "x86_64/x86.h"

#define XCR0_X87    0x1u
#define XCR0_SSE    0x2u
#define XCR0_AVX512 0xe0u

struct fpu_area {
    uint16_t fcw, fsw;
    uint8_t ftw, reserved0;
    uint16_t fop;
    uint64_t fip, fdp;
    uint32_t mxcsr, mxcsr_mask;
    uint8_t registers[FPU_SW_BYTES - 32];
    uint8_t software[48];
    uint64_t xstate_bv, xcomp_bv;
    uint64_t reserved[6];
};
_Static_assert(sizeof(struct fpu_area) == FPU_LEGACY_SIZE + FPU_HEADER_SIZE, "XSAVE layout");

struct x86_fpu_facts x86_fpu;

/* What a new program starts with. Nothing of xstate_bv is set: all components are initial. */
static const ALIGNED(64) struct fpu_area initial = { .fcw = 0x37f, .mxcsr = 0x1f80 };

static void set_xcr0(uint64_t v)
{
    __asm__ volatile("xsetbv" : : "c"(0), "a"((uint32_t)v), "d"((uint32_t)(v >> 32)));
}

static uint64_t get_xcr0(void)
{
    uint32_t lo, hi;
    __asm__ volatile("xgetbv" : "=a"(lo), "=d"(hi) : "c"(0));
    return lo | (uint64_t)hi << 32;
}

void x86_fpu_init(void)
{
    if (x86_cpuid(1, 0).ecx & 1u << 26) {
        struct x86_cpuid d = x86_cpuid(0xd, 0);
        uint64_t have = d.eax | (uint64_t)d.edx << 32, use = XCR0_X87 | XCR0_SSE;

        if (have & XCR0_AVX)
            use |= XCR0_AVX;
        if ((have & XCR0_AVX) && (have & XCR0_AVX512) == XCR0_AVX512)
            use |= XCR0_AVX512;
        set_xcr0(use);
        /* With XCR0 set, ebx is the size that this set takes. */
        while (use > (XCR0_X87 | XCR0_SSE) && x86_cpuid(0xd, 0).ebx > FPU_AREA_MAX - 64) {
            use = use & XCR0_AVX512 ? use & ~(uint64_t)XCR0_AVX512 : XCR0_X87 | XCR0_SSE;
            set_xcr0(use);
        }
    }
    x86_fpu_facts_init();
}

void x86_fpu_init_further(void)
{
    if (x86_fpu.xsave)
        set_xcr0(x86_fpu.xcr0);
}

void x86_fpu_facts_init(void)
{
    static ALIGNED(64) struct fpu_area area;
    struct x86_fpu_facts *f = &x86_fpu;

    f->xcr0 = XCR0_X87 | XCR0_SSE;
    f->size = FPU_LEGACY_SIZE;
    if (x86_cpuid(1, 0).ecx & 1u << 27) {
        uint32_t size = x86_cpuid(0xd, 0).ebx;

        f->xsave = true;
        f->xsaveopt = x86_cpuid(0xd, 1).eax & 1;
        f->xcr0 = get_xcr0() & (XCR0_X87 | XCR0_SSE | XCR0_AVX | XCR0_AVX512);
        f->size = size > FPU_AREA_MAX ? FPU_AREA_MAX : size;
    }
    __asm__ volatile("fxsave64 %0" : "=m"(area));
    f->mxcsr_mask = area.mxcsr_mask ? area.mxcsr_mask : 0xffbf;
}

void x86_fpu_save_all(void *area)
{
    uint32_t lo = (uint32_t)x86_fpu.xcr0, hi = (uint32_t)(x86_fpu.xcr0 >> 32);

    if (x86_fpu.xsave)
        __asm__ volatile("xsave64 (%0)" : : "r"(area), "a"(lo), "d"(hi) : "memory");
    else
        __asm__ volatile("fxsave64 (%0)" : : "r"(area) : "memory");
}

void x86_fpu_reset(void *p)
{
    x86_copy(p, &initial, sizeof(initial));
}

const void *x86_fpu_initial(void)
{
    return &initial;
}

/* What XSAVE left out because it has its initial value. */
static void fill_extended(struct fpu_area *a, char *buf)
{
    for (unsigned i = 2; i < 63; i++) {
        if (!(x86_fpu.xcr0 >> i & 1) || a->xstate_bv >> i & 1)
            continue;
        struct x86_cpuid d = x86_cpuid(0xd, i);
        if (d.ebx + d.eax <= x86_fpu.size)
            x86_clear(buf + d.ebx, d.eax);
    }
}

void x86_fpu_export(const void *area, void *buf)
{
    struct fpu_area *a = buf;

    x86_copy(buf, area, x86_fpu.size);
    x86_clear(a->software, sizeof(a->software));
    a->mxcsr_mask = x86_fpu.mxcsr_mask;
    if (!x86_fpu.xsave)
        return;
    if (!(a->xstate_bv & XCR0_X87)) {
        x86_clear(a, 24);
        x86_clear(a->registers, 128);
        a->fcw = 0x37f;
    }
    if (!(a->xstate_bv & (XCR0_SSE | XCR0_AVX)))
        a->mxcsr = 0x1f80;
    if (!(a->xstate_bv & XCR0_SSE))
        x86_clear(a->registers + 128, 256);
    fill_extended(a, buf);
    x86_copy(a->software, &x86_fpu.xcr0, sizeof(x86_fpu.xcr0));
}

bool x86_fpu_import_legacy(void *area, const void *legacy)
{
    struct fpu_area *a = area;
    const struct fpu_area *from = legacy;

    if (from->mxcsr & ~x86_fpu.mxcsr_mask)
        return false;
    x86_copy(a, from, FPU_SW_BYTES - 48); /* what is reserved behind the registers stays */
    if (x86_fpu.xsave)
        a->xstate_bv |= XCR0_X87 | XCR0_SSE;
    return true;
}

void x86_fpu_keep(void *p, uint64_t wanted)
{
    struct fpu_area *a = p;

    a->xstate_bv &= wanted | ~x86_fpu.xcr0; /* bits that do not exist stay, to be refused */
}

bool x86_fpu_sanitise(void *p, size_t size)
{
    struct fpu_area *a = p;

    if (a->mxcsr & ~x86_fpu.mxcsr_mask)
        return false;
    if (!x86_fpu.xsave)
        return true;
    if (size < x86_fpu.size) {
        /* A frame without extended state: x87 and SSE from the legacy part, the rest initial. */
        x86_clear(&a->xstate_bv, FPU_HEADER_SIZE);
        a->xstate_bv = XCR0_X87 | XCR0_SSE;
        return true;
    }
    if (a->xstate_bv & ~x86_fpu.xcr0 || a->xcomp_bv)
        return false;
    return !(a->reserved[0] | a->reserved[1] | a->reserved[2] | a->reserved[3] | a->reserved[4] |
             a->reserved[5]);
}
