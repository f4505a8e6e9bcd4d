/* SPDX-License-Identifier: MIT */
/* The GHCB page and MSR. Each CPU has a page of its own; ring 0 runs with interrupts off.
 * The page is shared: the host can change it at any time, so the valid bits and each field are read once into locals. */
#include "cc/ghcb.h"
#include "cc/cc.h"
#include "x86_64/cpu.h"
#include "x86_64/x86.h"

_Static_assert(sizeof(struct ghcb) == GHCB_SIZE, "");
_Static_assert(offsetof(struct ghcb, valid) == 0x3f0, "");
_Static_assert(offsetof(struct ghcb, exitcode) == 0x390, "");

enum { USAGE_STANDARD = 0, EVENT_GP = 13 | 3 << 8, EVENT_MASK = 0x7ff };

static uint16_t version = 2; /* of the protocol */
static bool started;         /* the first CPU has its page: %gs is valid */

void ghcb_speak(unsigned v)
{
    version = (uint16_t)v;
}

void ghcb_set(struct x86_cpu *c, void *page, uint64_t pa)
{
    c->ghcb = page;
    c->ghcb_pa = pa;
}

bool ghcb_register(const struct x86_cpu *c)
{
    if (cc_kind() == CC_SNP &&
        ghcb_msr(c->ghcb_pa | GHCB_MSR_REGISTER) != (c->ghcb_pa | GHCB_MSR_REGISTER_ANSWER))
        return false;
    started = true;
    return true;
}

bool ghcb_ready(void)
{
    return started && x86_this_cpu()->ghcb;
}

/* rep vmmcall. Memory may have changed: the host wrote to the page. */
static void vmgexit(void)
{
    __asm__ volatile(".byte 0xf3, 0x0f, 0x01, 0xd9" : : : "memory");
}

uint64_t ghcb_msr(uint64_t request)
{
    x86_wrmsr(MSR_GHCB, request);
    vmgexit();
    return x86_rdmsr(MSR_GHCB);
}

#define BIT_OF(field)     (offsetof(struct ghcb, field) / 8)
#define MARK(bits, field) ((bits)[BIT_OF(field) / 64] |= 1ull << BIT_OF(field) % 64)
#define HAS(bits, field)  ((bits)[BIT_OF(field) / 64] >> BIT_OF(field) % 64 & 1)

static void request(volatile struct ghcb *ghcb, uint64_t code, uint64_t info1, uint64_t info2,
                    unsigned in, const struct ghcb_regs *r)
{
    volatile uint64_t *valid = (volatile uint64_t *)ghcb->valid;
    uint64_t bits[2] = { 0, 0 };

    ghcb->exitcode = code;
    ghcb->exitinfo1 = info1;
    ghcb->exitinfo2 = info2;
    MARK(bits, exitcode);
    MARK(bits, exitinfo1);
    MARK(bits, exitinfo2);
    if (in & GHCB_RAX) {
        ghcb->rax = r->rax;
        MARK(bits, rax);
    }
    if (in & GHCB_RCX) {
        ghcb->rcx = r->rcx;
        MARK(bits, rcx);
    }
    if (in & GHCB_RDX) {
        ghcb->rdx = r->rdx;
        MARK(bits, rdx);
    }
    if (in & GHCB_RBX) {
        ghcb->rbx = r->rbx;
        MARK(bits, rbx);
    }
    if (in & GHCB_XCR0) {
        ghcb->xcr0 = r->xcr0;
        MARK(bits, xcr0);
    }
    if (in & GHCB_SCRATCH) {
        ghcb->scratch = x86_this_cpu()->ghcb_pa + offsetof(struct ghcb, buffer);
        MARK(bits, scratch);
    }
    ghcb->version = version;
    ghcb->usage = USAGE_STANDARD;
    valid[0] = bits[0];
    valid[1] = bits[1];
}

/* Fields that the host must have marked; its verdict. */
static bool answer(volatile struct ghcb *ghcb, unsigned out, struct ghcb_regs *r)
{
    const volatile uint64_t *valid = (const volatile uint64_t *)ghcb->valid;
    uint64_t bits[2] = { valid[0], valid[1] }, verdict = ghcb->exitinfo1, event;

    r->info2 = ghcb->exitinfo2;
    if (!HAS(bits, exitinfo1))
        cc_terminate(CC_GHCB_ANSWER);
    switch ((uint32_t)verdict) {
    case 0:
        break;
    case 1:
        /* An event to take: only the one that we can have caused, and no other that the host would like. */
        event = r->info2;
        if (!HAS(bits, exitinfo2) || (event & EVENT_MASK) != EVENT_GP || !(event & 1ull << 31))
            cc_terminate(CC_GHCB_ANSWER);
        return false;
    default:
        cc_terminate(CC_GHCB_ANSWER);
    }
    if ((out & GHCB_RAX && !HAS(bits, rax)) || (out & GHCB_RDX && !HAS(bits, rdx)) ||
        (out & GHCB_RCX && !HAS(bits, rcx)) || (out & GHCB_MUST_RBX && !HAS(bits, rbx)) ||
        (out & GHCB_INFO2 && !HAS(bits, exitinfo2)))
        cc_terminate(CC_GHCB_ANSWER);
    if (out & GHCB_RAX)
        r->rax = ghcb->rax;
    if (out & GHCB_RDX)
        r->rdx = ghcb->rdx;
    if (out & GHCB_RCX)
        r->rcx = ghcb->rcx;
    if (out & (GHCB_RBX | GHCB_MUST_RBX) && HAS(bits, rbx)) /* given with some errors only */
        r->rbx = ghcb->rbx;
    return true;
}

/* This CPU's; there is nothing to be done without one. */
static volatile struct ghcb *page(void)
{
    if (!ghcb_ready())
        cc_terminate(CC_VC_UNSUPPORTED);
    return x86_this_cpu()->ghcb;
}

bool ghcb_exit(uint64_t code, uint64_t info1, uint64_t info2, unsigned in, unsigned out,
               struct ghcb_regs *r)
{
    volatile struct ghcb *ghcb = page();
    bool ok;

    request(ghcb, code, info1, info2, in, r);
    x86_wrmsr(MSR_GHCB, x86_this_cpu()->ghcb_pa);
    vmgexit();
    ok = answer(ghcb, out, r);
    /* Nothing of ours stays where the host reads. */
    ghcb->rax = 0;
    ghcb->rcx = 0;
    ghcb->rdx = 0;
    ghcb->rbx = 0;
    return ok;
}

void ghcb_buffer_put(const void *p, size_t n)
{
    volatile struct ghcb *ghcb = page();
    const uint8_t *from = p;

    if (n > GHCB_BUFFER)
        cc_terminate(CC_VC_UNSUPPORTED);
    for (size_t i = 0; i < n; i++)
        ghcb->buffer[i] = from[i];
}

void ghcb_buffer_get(void *p, size_t n)
{
    volatile struct ghcb *ghcb = page();
    uint8_t *to = p;

    if (n > GHCB_BUFFER)
        cc_terminate(CC_VC_UNSUPPORTED);
    for (size_t i = 0; i < n; i++)
        to[i] = ghcb->buffer[i];
}
