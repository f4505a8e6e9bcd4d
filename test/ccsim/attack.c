/* SPDX-License-Identifier: MIT */
/* What the host does to a guest that runs, on request (attack=NAME): pages, events and time. What it answers wrongly is done where
 * it answers. Pages are taken as the hardware lets a host take them: RMPUPDATE, after which a page is not validated. */
#include "ccsim.h"
#include "vmcb.h"
#include "x86_64/x86.h"

#include <string.h>

enum {
    EVENT_VALID = 1u << 31,
    EVENT_EXCEPTION = 3 << 8,
    EVENT_CODE = 1 << 11,
    EVENT_NMI = 2 << 8,
    WITH_CODE = 1 << 8 | 0x1f << 10 | 1 << 17 | 1 << 21, /* exceptions that have an error code */
    AFTER = 700, /* exits: the guest is past its boot code */
    STORM = 8,
    LATER = 50, /* exits between two of the same attack */
    INTERCEPT_RDTSC = 1 << 14,
    VECTOR_FIRST = 32,
    VECTOR_END = 256,
    IMAGE = 0x100000, /* a page of the guest that is always there */
    STEP_BACK = 300000000,
    SCRIBBLE_AFTER = 4000, /* exits: the devices are at work */
    SCRIBBLE_NEAR = 4096,  /* pages looked at */
    SCRIBBLE_WORDS = 4,
};

static uint8_t kept[PAGE_SIZE]; /* of a page, for replay */

static void swap_pages(uint64_t a, uint64_t b)
{
    uint8_t *pa = sim_host(sim_private(a)), *pb = sim_host(sim_private(b));

    for (unsigned i = 0; i < PAGE_SIZE; i++) {
        uint8_t t = pa[i];
        pa[i] = pb[i];
        pb[i] = t;
    }
    sim_page_set(a, PAGE_ASSIGNED);
    sim_page_set(b, PAGE_ASSIGNED);
}

/* The page of the stack. True: done for good. */
static bool take_page(struct vcpu *c)
{
    static uint64_t page;
    uint64_t gpa;

    if (!page && !sim_translate(c, c->vmcb->rsp, &gpa))
        return false;
    if (!page)
        page = gpa & ~ALIAS_BIT & PAGE_MASK;
    if (sim_attack("replay") && !kept[PAGE_SIZE - 1]) {
        memcpy(kept, sim_host(sim_private(page)), PAGE_SIZE);
        kept[PAGE_SIZE - 1] |= 1;
        return false;
    }
    if (sim_attack("replay"))
        memcpy(sim_host(sim_private(page)), kept, PAGE_SIZE);
    if (sim_attack("swap"))
        swap_pages(page, IMAGE);
    else if (sim_attack("remap"))
        sim_page_refuse(page); /* the nested table says another page, whose RMP entry does not */
    else
        sim_page_set(page, PAGE_ASSIGNED);
    c->flush = true;
    return true;
}

static uint32_t any(void)
{
    static uint64_t seed = 88172645463325252ull;

    seed ^= seed << 13;
    seed ^= seed >> 7;
    seed ^= seed << 17;
    return (uint32_t)seed;
}

/* The exception or NMI whose number follows name in the attack's name; false: the attack has another name. */
static bool inject_exception(struct vcpu *c, const char *name)
{
    size_t n = strlen(name);
    const char *p = sim_options.attack + n;
    unsigned vector = 0;

    if (strncmp(sim_options.attack, name, n) != 0 || *p < '0' || *p > '9')
        return false;
    for (; *p >= '0' && *p <= '9'; p++)
        vector = vector * 10 + (unsigned)(*p - '0');
    if (vector == VEC_NMI)
        c->vmcb->event_inject = VEC_NMI | EVENT_NMI | EVENT_VALID;
    else
        c->vmcb->event_inject =
            vector | EVENT_EXCEPTION | EVENT_VALID | (WITH_CODE >> vector & 1 ? EVENT_CODE : 0);
    return true;
}

/* One event; true: it was the last one. */
static bool inject(struct vcpu *c)
{
    static unsigned vector = VECTOR_FIRST;
    struct vmcb *v = c->vmcb;

    if (sim_attack("inject-ve"))
        v->event_inject = VEC_VE | EVENT_EXCEPTION | EVENT_VALID; /* the module knows of no #VE */
    else if (sim_attack("inject-vc"))
        sim_raise_vc(c, EXIT_CPUID); /* at an instruction that is none */
    else if (sim_attack("inject-80"))
        v->event_inject = 0x80 | EVENT_VALID; /* an interrupt where int 0x80 would be */
    else if (sim_attack("inject-gp"))
        v->event_inject = VEC_GP | EVENT_EXCEPTION | EVENT_CODE | EVENT_VALID;
    else if (sim_attack("inject-storm"))
        v->event_inject = (VECTOR_FIRST + any() % (VECTOR_END - VECTOR_FIRST)) | EVENT_VALID;
    else if (vector < VECTOR_END)
        v->event_inject = vector++ | EVENT_VALID;
    if (sim_attack("inject-storm"))
        return false;
    return !sim_attack("inject-all") || vector == VECTOR_END;
}

/* A shared page from a place of chance on that something was written to, and that is no GHCB; NULL: none near. */
static uint32_t *used_shared_page(void)
{
    uint64_t gpa = (uint64_t)(any() % SIM_PAGES) << PAGE_SHIFT;

    for (unsigned i = 0; i < SCRIBBLE_NEAR; i++, gpa = (gpa + PAGE_SIZE) % GUEST_MEMORY) {
        uint32_t *words = sim_host(sim_shared(gpa));
        bool ghcb = false;

        for (unsigned k = 0; k < sim_cpu_count; k++)
            ghcb |= sim_cpus[k].ghcb_page == gpa;
        if (sim_page_state(gpa) != PAGE_SHARED || ghcb)
            continue;
        for (unsigned k = 0; k < PAGE_SIZE / 4; k++)
            if (words[k])
                return words;
    }
    return NULL;
}

/* Rings, buffers, whatever is shared: other bytes each time that the guest looks. */
static void scribble(void)
{
    uint32_t *words = used_shared_page();

    for (unsigned i = 0; words && i < SCRIBBLE_WORDS; i++) {
        unsigned at =
            any() % (any() & 1 ? 16 : PAGE_SIZE / 4); /* what a page begins with matters most */
        words[at] = any() & 1 ? any() : words[at] + (any() & 1 ? 1 : 1u << 16);
    }
}

bool sim_attack_running(struct vcpu *c)
{
    static bool done;
    static uint64_t next = AFTER;
    struct vmcb *v = c->vmcb;

    if (sim_counts.exits > SCRIBBLE_AFTER && sim_attack("scribble"))
        scribble();
    if (!done && v->cpl == 3 && !v->event_inject && inject_exception(c, "vector-user-")) {
        done = true;
        return true;
    }
    if (done || !*sim_options.attack || sim_counts.exits < next || v->exit_code != EXIT_IOIO ||
        v->cpl || v->event_inject)
        return false;
    if (!strncmp(sim_options.attack, "inject-", 7)) {
        done = inject(c);
        if (sim_attack("inject-storm")) /* the guest shall get on with the instruction in between */
            next = sim_counts.exits + STORM;
        return true;
    }
    if (inject_exception(c, "vector-")) {
        done = true;
        return true;
    }
    next = sim_counts.exits + LATER;
    if (sim_attack("steal") || sim_attack("swap") || sim_attack("replay") || sim_attack("remap")) {
        done = take_page(c);
        return done;
    }
    if (sim_attack("counter")) {
        v->intercept_1 |= INTERCEPT_RDTSC;
        done = true;
    }
    if (sim_attack("time-back"))
        v->tsc_offset -= STEP_BACK;
    return false;
}
