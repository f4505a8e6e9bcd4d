/* SPDX-License-Identifier: MIT */
/* The doorbell page (doorbell.h). All of it is the host's: the pending word is taken as a whole by one exchange, the mark that an
 * interrupt needs no end by another; nothing is read twice. An honest host does not ring again before the word has been taken,
 * so #HV on its own stack is none of its doing. */
#include "cc/doorbell.h"
#include "cc/cc_int.h"
#include "cc/ghcb.h"
#include "x86_64/cpu.h"
#include "x86_64/kmap.h"
#include "x86_64/offsets.h"
#include "x86_64/thread.h"
#include "x86_64/trap.h"
#include "x86_64/x86.h"

#include <plat/dma.h>
#include <stdatomic.h>

struct doorbell {
    _Atomic uint16_t pending;
    _Atomic uint8_t ended;
    uint8_t reserved[PAGE_SIZE - 3];
};
_Static_assert(sizeof(struct doorbell) == PAGE_SIZE, "");
_Static_assert(offsetof(struct x86_cpu, rung) == PERCPU_RUNG, "offsets.h");
_Static_assert(X86_THREAD_DOORBELL == THREAD_DOORBELL, "offsets.h");

enum { PENDING_NMI = 1 << 8, PENDING_MC = 1 << 9, EXCEPTIONS = 32, SET = 1 };
#define GHCB_EXIT_DOORBELL 0x80000014ull

/* doorbell.S, entry.S: [start, end) where #HV changes how things go on. */
extern const char doorbell_wait_start[], doorbell_wait_end[], x86_syscall_window[],
    x86_syscall_window_end[], x86_syscall_again[], x86_syscall_again_swapped[], x86_user_window[],
    x86_user_window_end[], x86_user_again_swapped[], x86_user_iret[], x86_sysret[];
void x86_user_exit(void);
/* Interrupts on and a halt, unless it has rung since c->rung was cleared. */
void doorbell_wait(struct x86_cpu *c);

static ALIGNED(PAGE_SIZE) struct doorbell first;

bool doorbell_prepare(struct x86_cpu *c)
{
    struct plat_dma page;

    if (!snp_restricted())
        return true;
    if (!plat_dma_is_pooled() || plat_dma_alloc(sizeof(struct doorbell), &page))
        return false;
    c->doorbell = page.ptr;
    c->doorbell_pa = page.addr;
    return true;
}

void doorbell_register(struct x86_cpu *c)
{
    struct ghcb_regs r = { 0 };

    if (!snp_restricted())
        return;
    if (!c->doorbell) {
        c->doorbell_pa = x86_image_phys((const char *)&first);
        snp_share_page((uintptr_t)&first, c->doorbell_pa);
        c->doorbell = &first;
    }
    if (!ghcb_exit(GHCB_EXIT_DOORBELL, SET, c->doorbell_pa, 0, 0, &r) || r.info2 != c->doorbell_pa)
        cc_terminate(CC_DOORBELL);
}

/* What is no interrupt: NMI and machine check, which no flag holds back, and what a host may not announce. */
static void serve_others(uint16_t pending, struct plat_frame *f)
{
    unsigned vector = pending & 0xff;

    if (pending & PENDING_MC)
        x86_trap_kernel(VEC_MC, 0, f);
    if (pending & PENDING_NMI)
        x86_trap_kernel(VEC_NMI, 0, f);
    if (vector && vector < EXCEPTIONS)
        cc_terminate(CC_DOORBELL);
}

bool doorbell_serve(struct plat_frame *f)
{
    static const struct plat_frame ring0 = { .cs = SEL_KERNEL_CODE };
    struct x86_cpu *c = x86_this_cpu();
    struct doorbell *d = c->doorbell;
    struct plat_frame none = ring0;
    uint16_t pending;

    if (!d)
        return false;
    if (!f)
        f = &none;
    do {
        /* Before the word is taken: whatever rings after that is seen. */
        atomic_store_explicit(&c->rung, 0, memory_order_relaxed);
        pending = atomic_exchange_explicit(&d->pending, 0, memory_order_seq_cst);
        serve_others(pending, f);
        if (pending & 0xff)
            x86_interrupt((long)(pending & 0xff) - 128, f);
    } while (pending);
    return true;
}

bool doorbell_ended(void)
{
    struct doorbell *d = x86_this_cpu()->doorbell;

    return d && atomic_exchange_explicit(&d->ended, 0, memory_order_seq_cst) & 1;
}

bool doorbell_halt(void)
{
    struct x86_cpu *c = x86_this_cpu();

    if (!c->doorbell)
        return false;
    doorbell_wait(c);
    return doorbell_serve(NULL);
}

static bool within(const struct plat_frame *f, const char *start, const char *end)
{
    return f->rip >= (uintptr_t)start && f->rip < (uintptr_t)end;
}

/* The return to ring 3 begins again from where it looks for work: what it loads lies below its stack, still whole. */
static void look_again(struct x86_cpu *c, struct plat_frame *f)
{
    uintptr_t frame = c->p.kernel_top - sizeof(struct plat_frame);

    if (within(f, x86_syscall_window, x86_syscall_window_end)) {
        f->rip = (uintptr_t)(f->rip == (uintptr_t)x86_sysret ? x86_syscall_again_swapped
                                                             : x86_syscall_again);
        f->rsp = frame - 8; /* the seventh argument's place */
    } else if (within(f, x86_user_window, x86_user_window_end)) {
        f->rip = f->rip == (uintptr_t)x86_user_iret ? (uintptr_t)x86_user_again_swapped
                                                    : (uintptr_t)x86_user_exit;
        f->rsp = frame;
    }
}

bool doorbell_rings(struct plat_frame *f, bool from_user)
{
    struct x86_cpu *c = x86_this_cpu();
    struct doorbell *d = c->doorbell;
    uintptr_t stack = c->tss.ist[IST_HV - 1] - IST_SIZE;

    if (!d)
        return false;
    if (from_user)
        return doorbell_serve(f);
    if (f->rsp >= stack && f->rsp < stack + IST_SIZE)
        cc_terminate(CC_DOORBELL);
    serve_others(atomic_fetch_and_explicit(&d->pending, (uint16_t) ~(PENDING_NMI | PENDING_MC),
                                           memory_order_seq_cst) &
                     (PENDING_NMI | PENDING_MC),
                 f);
    atomic_store_explicit(&c->rung, 1, memory_order_relaxed);
    if (c->p.current)
        x86_thread_flags_set(c->p.current, X86_THREAD_DOORBELL);
    if (within(f, doorbell_wait_start, doorbell_wait_end))
        f->rip = (uintptr_t)doorbell_wait_end;
    look_again(c, f);
    return true;
}
