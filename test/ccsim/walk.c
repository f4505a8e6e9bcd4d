/* SPDX-License-Identifier: MIT */
/* The guest's address space as the simulator sees it, and the exception frame of #VC: the emulator's event injection
 * pushes no error code for vector 29, so the frame is built here. Page tables are read privately, as the CPU does. */
#include "ccsim.h"
#include "vmcb.h"
#include "x86_64/x86.h"

#include <string.h>

enum { IST_SHIFT = 32, TYPE_INTERRUPT = 14 };

bool sim_translate(struct vcpu *c, uint64_t va, uint64_t *ret_gpa)
{
    uint64_t entry = c->vmcb->cr3;

    for (unsigned level = 4; level > 0; level--) {
        unsigned shift = 12 + 9 * (level - 1);
        uint64_t *table = sim_host(sim_private(entry & PTE_ADDR & ~ALIAS_BIT));

        if (!table)
            return false;
        entry = table[va >> shift & 511];
        if (!(entry & PTE_P))
            return false;
        if (level == 1 || (level < 4 && entry & PTE_LARGE)) {
            uint64_t mask = (1ull << shift) - 1;
            *ret_gpa = (entry & PTE_ADDR & ~mask) | (va & mask);
            return true;
        }
    }
    return false;
}

/* The host's address of guest address va and the bytes up to the end of its page. */
static void *reach(struct vcpu *c, uint64_t va, size_t *ret_left)
{
    uint64_t gpa;

    if (!sim_translate(c, va, &gpa))
        return NULL;
    *ret_left = PAGE_SIZE - va % PAGE_SIZE;
    return sim_host(gpa);
}

size_t sim_guest_read(struct vcpu *c, uint64_t va, void *buf, size_t n)
{
    size_t done = 0, left;

    while (done < n) {
        const void *p = reach(c, va + done, &left);
        if (!p)
            break;
        left = min_u64(left, n - done);
        memcpy((char *)buf + done, p, left);
        done += left;
    }
    return done;
}

bool sim_guest_write(struct vcpu *c, uint64_t va, const void *buf, size_t n)
{
    size_t done = 0, left;

    while (done < n) {
        void *p = reach(c, va + done, &left);
        if (!p)
            return false;
        left = min_u64(left, n - done);
        memcpy(p, (const char *)buf + done, left);
        done += left;
    }
    return true;
}

void sim_raise_ve(struct vcpu *c, uint64_t reason, uint64_t qualification, uint64_t gpa,
                  uint64_t length)
{
    if (c->ve.pending || c->vmcb->event_inject)
        sim_fail("#VE %lu at 0x%lx before the last one was taken", reason, c->vmcb->rip);
    c->ve.pending = true;
    c->ve.reason = reason;
    c->ve.qualification = qualification;
    c->ve.gpa = gpa;
    c->ve.length = length;
    c->vmcb->event_inject = VEC_VE | 3 << 8 | 1u << 31;
    sim_counts.vc++;
}

void sim_raise(struct vcpu *c, unsigned vector, uint64_t error)
{
    struct vmcb *v = c->vmcb;
    uint64_t gate[2], sp, frame[6], ist_sp;
    unsigned words = vector == VEC_VC ? 6 : 5; /* with an error code */
    unsigned ist, type;

    if (v->event_inject)
        sim_fail("exception %u, 0x%lx at 0x%lx while another event is being delivered", vector,
                 error, v->rip);
    if (v->idtr.limit < 16 * vector + 15 ||
        sim_guest_read(c, v->idtr.base + 16 * vector, gate, 16) != 16 || !(gate[0] & 1ull << 47))
        sim_fail("exception %u, 0x%lx at 0x%lx without a handler", vector, error, v->rip);
    ist = gate[0] >> IST_SHIFT & 7;
    type = gate[0] >> 40 & 15;
    sp = v->rsp;
    if (ist) {
        if (sim_guest_read(c, v->tr.base + 36 + 8 * (ist - 1), &ist_sp, 8) != 8)
            sim_fail("the TSS cannot be read");
        sp = ist_sp;
    } else if (v->cpl && sim_guest_read(c, v->tr.base + 4, &sp, 8) != 8) {
        sim_fail("the TSS cannot be read");
    }
    sp &= ~15ull;
    frame[5] = v->ss.selector;
    frame[4] = v->rsp;
    frame[3] = v->rflags & ~(uint64_t)(c->bell.steps ? RFLAGS_TF : 0);
    frame[2] = v->cs.selector;
    frame[1] = v->rip;
    frame[0] = error;
    sp -= 8 * words;
    if (!sim_guest_write(c, sp, frame + 6 - words, 8 * words))
        sim_fail("exception %u at 0x%lx: the handler's stack 0x%lx is not there", vector, v->rip,
                 sp);
    if (v->cpl) {
        memset(&v->ss, 0, sizeof(v->ss));
        v->cpl = 0;
    }
    v->rsp = sp;
    v->cs = (struct vmcb_segment){ (uint16_t)(gate[0] >> 16), 0x29b, 0xffffffff, 0 };
    v->rip = (gate[0] & 0xffff) | (gate[0] >> 32 & 0xffff0000) | gate[1] << 32;
    v->rflags &= ~(uint64_t)(RFLAGS_TF | RFLAGS_NT | RFLAGS_RF);
    if (type == TYPE_INTERRUPT)
        v->rflags &= ~(uint64_t)RFLAGS_IF;
}

void sim_raise_vc(struct vcpu *c, uint64_t error)
{
    sim_raise(c, VEC_VC, error);
    sim_counts.vc++;
}
