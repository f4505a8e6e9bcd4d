/* SPDX-License-Identifier: MIT */
/* The confidential side of the firmware. Spec: AMD APM volume 2, 15.34 to 15.36; GHCB specification 2.03; Intel GHCI 1.5. */
#include "firmware.h"

enum {
    VEC_VE = 20,
    VEC_VC = 29,
    VC_CPUID = 0x72,
    VC_IOIO = 0x7b,
    VE_CPUID = 10,
    VE_IO = 30,
    OUT_DX_AL = 0xee,
    DEBUG_PORT = 0x402,
};
#define MSR_GHCB 0xc0010130u
#define ENTRY    3ull /* present, writable */
#define LEAF     0x80ull

struct handoff firmware_handoff;

static __attribute__((aligned(PAGE))) uint64_t root[TABLE], pdpt[TABLE], directory[TABLE],
    low[TABLE];
static __attribute__((aligned(16))) uint64_t gates[2 * 32];
static const uint64_t gdt[] = { 0, 0x00af9b000000ffff, 0x00cf93000000ffff };

void firmware_vc(void);
void firmware_ve(void);

static uint32_t kind(void)
{
    return firmware_handoff.kind;
}

static uint64_t c_bit(void)
{
    return kind() == HANDOFF_TDX ? 0 : 1ull << 47;
}

static uint64_t ghcb_msr(uint64_t request)
{
    uint32_t lo = (uint32_t)request, hi = (uint32_t)(request >> 32);

    __asm__ volatile("wrmsr; .byte 0xf3, 0x0f, 0x01, 0xd9; rdmsr"
                     : "+a"(lo), "+d"(hi)
                     : "c"(MSR_GHCB)
                     : "memory");
    return lo | (uint64_t)hi << 32;
}

/* Until there is a way to say why, the processor's shutdown is it. */
void stop(const char *why)
{
    say("FAILED: ");
    say(why);
    say("\n");
    cc_leave();
    for (;;)
        __asm__ volatile("ud2");
}

static void put(char c)
{
    __asm__ volatile("outb %0, %1" : : "a"(c), "d"((uint16_t)DEBUG_PORT));
}

void say(const char *text)
{
    while (*text)
        put(*text++);
}

void say_number(uint64_t n)
{
    if (n >= 10)
        say_number(n / 10);
    put((char)('0' + n % 10));
}

/* OUT of a byte through the GHCB page. */
static void ghcb_out(uint16_t port, uint8_t value)
{
    volatile uint8_t *g = (volatile uint8_t *)FIRMWARE_GHCB;
    uint64_t request[] = { VC_IOIO, (uint64_t)port << 16 | 1 << 4, 0 };

    *(volatile uint64_t *)(g + 0x1f8) = value;
    for (unsigned i = 0; i < 3; i++)
        ((volatile uint64_t *)(g + 0x390))[i] = request[i];
    *(volatile uint64_t *)(g + 0x3f0) = 1ull << 63;               /* rax */
    *(volatile uint64_t *)(g + 0x3f8) = 7ull << (0x390 / 8 - 64); /* code, info 1 and 2 */
    *(volatile uint16_t *)(g + 0xffa) = kind() == HANDOFF_SEV_ES ? 1 : 2;
    *(volatile uint32_t *)(g + 0xffc) = 0;
    if ((uint32_t)ghcb_msr(FIRMWARE_GHCB) != FIRMWARE_GHCB)
        stop("the host changed the GHCB's address");
}

static void vc_cpuid(struct frame *f)
{
    uint64_t leaf = f->rax << 32 | 4;
    uint64_t *out[] = { &f->rax, &f->rbx, &f->rcx, &f->rdx };

    for (uint64_t i = 0; i < 4; i++)
        *out[i] = ghcb_msr(leaf | i << 30) >> 32;
    f->rip += 2;
}

static void vc(struct frame *f)
{
    if (f->error == VC_CPUID) {
        vc_cpuid(f);
    } else if (f->error == VC_IOIO && *(const uint8_t *)f->rip == OUT_DX_AL) {
        ghcb_out((uint16_t)f->rdx, (uint8_t)f->rax);
        f->rip++;
    } else {
        stop("#VC");
    }
}

/* Leaf 0 (to the host) or another (to the module); r10 to r15 in call, rcx beside. */
static uint64_t tdcall(uint64_t leaf, uint64_t *rcx, uint64_t *rdx, uint64_t call[4])
{
    register uint64_t r10 __asm__("r10") = 0, r11 __asm__("r11") = call[0],
                          r12 __asm__("r12") = call[1], r13 __asm__("r13") = call[2],
                          r14 __asm__("r14") = call[3], r15 __asm__("r15") = *rdx;

    __asm__ volatile(".byte 0x66, 0x0f, 0x01, 0xcc"
                     : "+a"(leaf), "+c"(*rcx), "+d"(*rdx), "+r"(r10), "+r"(r11), "+r"(r12),
                       "+r"(r13), "+r"(r14), "+r"(r15)
                     :
                     : "memory", "rbx", "rsi", "rdi", "r8", "r9");
    call[0] = r10;
    return leaf;
}

static void ve(struct frame *f)
{
    uint64_t reason = 0, what = 0, call[4] = { 0 }, length, mask = 0xfc00, value;

    if (tdcall(3, &reason, &what, call))
        stop("no information about #VE");
    length = call[0] & 0xffffffff;
    if ((uint32_t)reason == VE_CPUID) {
        f->rax = f->rbx = f->rcx = f->rdx = 0;
    } else if ((uint32_t)reason == VE_IO && (what & 0xf) == 0) { /* OUT of a byte */
        uint64_t out[4] = { VE_IO, 1, 1, what >> 16 & 0xffff };
        value = f->rax & 0xff;
        (void)tdcall(0, &mask, &value, out);
    } else {
        stop("#VE");
    }
    f->rip += length;
}

void firmware_trap(struct frame *f)
{
    if (kind() == HANDOFF_TDX)
        ve(f);
    else
        vc(f);
}

static void gate(unsigned vector, void (*handler)(void))
{
    uint64_t at = (uintptr_t)handler;

    gates[2 * vector] = (at & 0xffff) | 8ull << 16 | 0x8eull << 40 | (at >> 16 & 0xffff) << 48;
    gates[2 * vector + 1] = at >> 32;
}

struct __attribute__((packed)) pointer {
    uint16_t limit;
    uint64_t base;
};

static void load_tables(void)
{
    struct pointer g = { sizeof(gdt) - 1, (uintptr_t)gdt },
                   i = { sizeof(gates) - 1, (uintptr_t)gates };

    gate(VEC_VC, firmware_vc);
    gate(VEC_VE, firmware_ve);
    __asm__ volatile("lgdt %0; lidt %1; pushq $8; leaq 1f(%%rip), %%rax; pushq %%rax; lretq; 1:\n"
                     "movl $16, %%eax; movl %%eax, %%ds; movl %%eax, %%es; movl %%eax, %%ss"
                     :
                     : "m"(g), "m"(i)
                     : "rax", "memory");
}

/* The first GiB one to one and private, but for the GHCB. */
static void map(void)
{
    uint64_t c = c_bit();

    root[0] = (uintptr_t)pdpt | c | ENTRY;
    pdpt[0] = (uintptr_t)directory | c | ENTRY;
    directory[0] = (uintptr_t)low | c | ENTRY;
    for (uint64_t i = 0; i < TABLE; i++) {
        low[i] = i * PAGE | c | ENTRY;
        if (i)
            directory[i] = i * LARGE | c | LEAF | ENTRY;
    }
    if (c)
        low[FIRMWARE_GHCB / PAGE] &= ~c;
    __asm__ volatile("mov %0, %%cr3" : : "r"((uintptr_t)root | c) : "memory");
}

static void pvalidate(uint64_t va, bool on)
{
    uint32_t result;
    bool unchanged;

    __asm__ volatile(".byte 0xf2, 0x0f, 0x01, 0xff"
                     : "=a"(result), "=@ccc"(unchanged)
                     : "a"(va), "c"(0), "d"((uint32_t)on)
                     : "memory");
    if (result || unchanged)
        stop("PVALIDATE");
}

static void page_state(uint64_t pa, uint64_t operation)
{
    if (ghcb_msr(operation << 52 | pa | 0x14) != 0x15)
        stop("the host did not change a page's state");
}

static void share_ghcb(void)
{
    if (kind() == HANDOFF_SNP) {
        pvalidate(FIRMWARE_GHCB, false);
        page_state(FIRMWARE_GHCB, 2);
    }
    map();
    memset((void *)FIRMWARE_GHCB, 0, PAGE);
    if (kind() == HANDOFF_SNP && ghcb_msr(FIRMWARE_GHCB | 0x12) != (FIRMWARE_GHCB | 0x13))
        stop("the host does not take the GHCB");
}

void cc_init(void)
{
    load_tables();
    if (kind() == HANDOFF_SNP || kind() == HANDOFF_SEV_ES)
        share_ghcb();
    else
        map();
}

void cc_accept(uint64_t start, uint64_t end)
{
    for (uint64_t pa = start; pa < end; pa += PAGE) {
        uint64_t rcx = pa, rdx = 0, none[4] = { 0 };

        if (kind() == HANDOFF_TDX) {
            if (tdcall(6, &rcx, &rdx, none))
                stop("a page is not accepted");
        } else if (kind() == HANDOFF_SNP) {
            page_state(pa, 1);
            pvalidate(pa, true);
        }
        memset((void *)pa, 0, PAGE);
    }
}

void cc_leave(void)
{
    memset(gates, 0, sizeof(gates));
}
