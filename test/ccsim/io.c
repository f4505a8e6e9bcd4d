/* SPDX-License-Identifier: MIT */
/* The simulator's console (COM1, which the guest uses too), its options, and the ways a run ends. */
#include "ccsim.h"
#include "vmcb.h"
#include "x86_64/x86.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

enum { COM1 = 0x3f8, DEBUG_EXIT = 0xf4, WAIT_MAX = 100000 };

struct sim_options sim_options = { .attack = "" };
struct sim_counts sim_counts;

static void put(const char *s)
{
    for (; *s; s++) {
        for (unsigned i = 0; i < WAIT_MAX && !(x86_in8(COM1 + 5) & 0x20); i++)
            x86_pause();
        x86_out8(COM1, (uint8_t)*s);
    }
}

void sim_say(const char *format, ...)
{
    char text[256];
    va_list ap;

    va_start(ap, format);
    vsnprintf(text, sizeof(text), format, ap);
    va_end(ap);
    put("ccsim: ");
    put(text);
    put("\r\n");
}

static char heard[1024];
static unsigned heard_bytes;

void sim_hear(uint8_t byte)
{
    if (heard_bytes < sizeof(heard) - 1)
        heard[heard_bytes++] = (char)byte;
}

/* Before an image for UEFI has taken the console over, `alcove run` shows nothing. */
static void show_heard(void)
{
    if (!heard_bytes)
        return;
    put("\033[!p\r\nfirmware: ");
    for (unsigned i = 0; i < heard_bytes; i++) {
        put((char[]){ heard[i], 0 });
        if (heard[i] == '\n' && heard[i + 1])
            put("\rfirmware: ");
    }
    heard_bytes = 0;
}

/* QEMU ends with (value << 1) | 1. */
static NORETURN void leave(uint8_t value)
{
    x86_out8(DEBUG_EXIT, value);
    for (;;)
        __asm__ volatile("cli; hlt");
}

void sim_fail(const char *format, ...)
{
    char text[256];
    va_list ap;

    va_start(ap, format);
    vsnprintf(text, sizeof(text), format, ap);
    va_end(ap);
    show_heard();
    put("\r\nccsim: FAILED: ");
    put(text);
    put("\r\n");
    leave(1);
}

/* Nothing was ever written to it, which is most of it. */
static bool empty(const uint64_t *page)
{
    for (unsigned i = 0; i < PAGE_SIZE / 8; i++)
        if (page[i])
            return false;
    return true;
}

static bool holds_secret(const uint8_t *p)
{
    for (unsigned i = 0; i + 16 <= PAGE_SIZE; i++) {
        unsigned n = 0;

        while (n < 16 && p[i + n] == 0xa0 + n)
            n++;
        if (n == 16)
            return true;
    }
    return false;
}

void sim_scan_page(uint64_t gpa)
{
    if (sim_options.scan && gpa < GUEST_MEMORY && holds_secret(sim_host(sim_shared(gpa))))
        sim_fail("a secret of the guest lies in shared page 0x%lx", gpa);
}

/* Shared memory in which a key of the secrets page lies: the guest has let it out. The pattern is cpuid.c's. */
void sim_scan_shared(void)
{
    unsigned pages = 0;

    for (uint64_t gpa = 0; gpa < GUEST_MEMORY; gpa += PAGE_SIZE) {
        const uint8_t *p = sim_host(sim_shared(gpa));

        if (!sim_options.sev && sim_page_state(gpa) != PAGE_SHARED)
            continue;
        if (empty((const uint64_t *)p))
            continue;
        pages++;
        if (holds_secret(p))
            sim_fail("a secret of the guest lies in shared page 0x%lx", gpa);
    }
    show_heard();
    if (sim_options.scan)
        sim_say("%u shared pages hold no secret", pages);
}

void sim_say_counts(const char *how)
{
    const struct sim_counts *n = &sim_counts;

    sim_say("%s; exits %lu, host calls %lu, traps %lu (cpuid %lu, io %lu, msr %lu, mmio %lu), "
            "pages changed %lu, acceptances %lu, messages %lu, ticks %lu, rings %lu",
            how, n->exits, n->vmgexits, n->vc, n->cpuid, n->io, n->msr, n->mmio, n->psc_pages,
            n->pvalidates, n->messages, n->ticks, n->rings);
}

void sim_end(const char *how)
{
    sim_scan_shared();
    sim_say_counts(how);
    leave(0x10);
}

void sim_end_terminated(unsigned set, unsigned reason)
{
    char how[64];

    snprintf(how, sizeof(how), "terminated by the guest: set %u, reason %02u", set, reason);
    sim_end(how);
}

bool sim_attack(const char *name)
{
    return !strcmp(sim_options.attack, name);
}
