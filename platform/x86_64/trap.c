/* SPDX-License-Identifier: MIT */
/* Exceptions: from ring 3 they are the program's affair and go up; in ring 0 only a page fault at an instruction of
 * .ex_table is expected, anything else is a bug of ours and ends the machine with registers and backtrace. */
#include "x86_64/trap.h"
#include "cc/cc.h"
#include "cc/doorbell.h"
#include "vm/vm.h"
#include "x86_64/cpu.h"
#include "x86_64/fpu.h"
#include "x86_64/relink.h"
#include "x86_64/thread.h"
#include "x86_64/debug.h"
#include "x86_64/x86.h"

#include <plat/boot.h>
#include <plat/console.h>
#include <plat/upcall.h>

struct ex_entry {
    int32_t from, to; /* relative to their own places */
};
extern const struct ex_entry __ex_table_start[], __ex_table_end[];
extern const char __image_start[], __text_end[];

enum { PF_PRESENT = 1, PF_WRITE = 2, PF_USER = 4, PF_RESERVED = 8, PF_FETCH = 16 };

void x86_say(const char *text)
{
    plat_console_write(text, __builtin_strlen(text));
}

void x86_say_hex(const char *name, uint64_t value)
{
    char digits[17];

    for (int i = 15; i >= 0; i--, value >>= 4)
        digits[i] = "0123456789abcdef"[value & 15];
    digits[16] = 0;
    x86_say(name);
    x86_say(digits);
}

/* Return addresses of the frames from rbp up, on the stack whose lowest used address is floor. */
static size_t walk(uintptr_t floor, uintptr_t rbp, uintptr_t *addrs, size_t max)
{
    uintptr_t limit = floor + STACK_SIZE;
    size_t n = 0;

    /* Frame pointers of one stack ascend; the first that does not belongs to ring 3 or to another stack. */
    while (n < max && rbp >= floor && rbp < limit && rbp % 8 == 0) {
        const uintptr_t *p = (const uintptr_t *)rbp;
        if (p[1] < (uintptr_t)__image_start || p[1] >= (uintptr_t)__text_end)
            break;
        addrs[n++] = p[1] - x86_facts.slide;
        floor = rbp + 16;
        rbp = p[0];
    }
    return n;
}

size_t plat_backtrace(uintptr_t *addrs, size_t max)
{
    return walk((uintptr_t)__builtin_frame_address(0), (uintptr_t)__builtin_frame_address(0), addrs,
                max);
}

static const char *const names[32] = {
    "divide error",
    "debug trap",
    "NMI",
    "breakpoint",
    "overflow",
    "bound range",
    "invalid opcode",
    "no FPU",
    "double fault",
    "",
    "invalid TSS",
    "segment not present",
    "stack fault",
    "general protection fault",
    "page fault",
    "",
    "x87 error",
    "alignment check",
    "machine check",
    "SIMD error",
};

/* As the linker gave it, if it is of the image. */
static uintptr_t link_address(uintptr_t rip)
{
    return rip >= (uintptr_t)__image_start && rip < (uintptr_t)__text_end ? rip - x86_facts.slide
                                                                          : rip;
}

static void say_frame_number(unsigned n)
{
    char text[6] = "  #  ";

    if (n < 10)
        text[3] = (char)('0' + n);
    else
        text[3] = (char)('0' + n / 10), text[4] = (char)('0' + n % 10);
    x86_say(text);
    x86_say(n < 10 ? "0x" : " 0x");
}

void x86_say_stack(const struct plat_frame *f)
{
    uintptr_t addrs[24];
    size_t n;

    if (f->cs & 3) {
        x86_say_hex(": in ring 3, rip 0x", f->rip);
        x86_say("\r\n");
        return;
    }
    x86_say(":\r\n");
    say_frame_number(0);
    x86_say_hex("", link_address(f->rip));
    x86_say("\r\n");
    n = walk(f->rsp, f->rbp, addrs, ARRAY_SIZE(addrs));
    for (unsigned i = 0; i < n; i++) {
        say_frame_number(i + 1);
        x86_say_hex("", addrs[i]);
        x86_say("\r\n");
    }
}

static NORETURN COLD void die(unsigned vector, unsigned long error, const struct plat_frame *f)
{
    static const char *const reg_names[] = { "r15 ", "r14 ", "r13 ", "r12 ", "rbp ",
                                             "rbx ", "r11 ", "r10 ", "r9  ", "r8  ",
                                             "rax ", "rcx ", "rdx ", "rsi ", "rdi " };
    static bool dying;
    const uint64_t *regs = &f->r15;

    if (vector == VEC_NMI)
        vm_smp_stopped(f);
    vm_smp_stop_others();
    if (__atomic_exchange_n(&dying, true, __ATOMIC_RELAXED))
        plat_power_off(true);
    x86_say("\r\npanic: ");
    x86_say(vector < 32 && names[vector] && *names[vector] ? names[vector] : "exception");
    x86_say_hex(f->cs & 3 ? " in ring 3, rip 0x" : " in ring 0, rip 0x", link_address(f->rip));
    if (vector == VEC_PF)
        x86_say_hex(", address 0x", x86_cr2());
    x86_say_hex(", error 0x", error);
    x86_say("\r\n");
    for (unsigned i = 0; i < ARRAY_SIZE(reg_names); i++) {
        x86_say_hex(reg_names[i], regs[i]);
        x86_say(i % 3 == 2 ? "\r\n" : "  ");
    }
    x86_say_hex("rsp ", f->rsp);
    x86_say_hex("  flags ", f->rflags);
    x86_say_hex("  cr2 ", x86_cr2());
    x86_say("\r\n");
    x86_say_hex("CPU 0x", plat_cpu_id());
    x86_say_stack(f);
    vm_smp_say_others();
    vm_power_panicked();
    plat_power_off(true);
}

static enum plat_access access_of(unsigned long error)
{
    if (error & PF_FETCH)
        return PLAT_ACCESS_EXEC;
    return error & PF_WRITE ? PLAT_ACCESS_WRITE : PLAT_ACCESS_READ;
}

/* Which unmasked exceptions the x87 (0 to 5 as in its status word) or SSE unit has pending. */
static unsigned long fpu_cause(unsigned vector)
{
    uint16_t fsw, fcw;
    uint32_t mxcsr;

    if (vector == VEC_MF) {
        __asm__ volatile("fnstsw %0; fnstcw %1" : "=m"(fsw), "=m"(fcw));
        return fsw & ~fcw & 0x3f;
    }
    __asm__ volatile("stmxcsr %0" : "=m"(mxcsr));
    return mxcsr & ~(mxcsr >> 7) & 0x3f;
}

static void user_page_fault(unsigned long error)
{
    uintptr_t addr = x86_cr2();

    if (UNLIKELY(addr >= PLAT_USER_MAX || !(error & PF_USER))) {
        /* Nothing of ring 0 shows, not even whether something is there. Nor is an access resolved that ring 3 caused
         * but did not make itself: emulators read the stack of a far return with ring 0's rights, so that resolving
         * it would fault for ever. */
        upcall_exception(VEC_PF, error | PF_PRESENT, addr);
        return;
    }
    (void)upcall_fault(addr, access_of(error), error & PF_PRESENT,
                       true); /* on failure a signal is queued */
}

void x86_trap_user(unsigned vector, unsigned long error, struct plat_frame *f)
{
    if (LIKELY(vector == VEC_PF)) {
        if (UNLIKELY(error & PF_RESERVED))
            die(vector, error, f);
        user_page_fault(error);
        return;
    }
    switch (vector) {
    case VEC_NMI:
    case VEC_DF:
    case VEC_MC:
        die(vector, error, f);
    case VEC_DB:
        x86_debug_trap(f);
        break;
    case VEC_MF:
    case VEC_XM:
        upcall_exception(vector, fpu_cause(vector), f->rip);
        break;
    case VEC_DE:
    case VEC_UD:
        upcall_exception(vector, error, f->rip);
        break;
    case VEC_HV:
        if (!doorbell_rings(f, true))
            upcall_exception(vector, error, 0);
        break;
    case VEC_VE:
    case VEC_VC:
        if (!cc_trap(error, f, true))
            upcall_exception(VEC_GP, 0, 0);
        break;
    default:
        upcall_exception(vector, error, 0);
        break;
    }
}

static uintptr_t fixup(uintptr_t rip)
{
    for (const struct ex_entry *e = __ex_table_start; e < __ex_table_end; e++)
        if ((uintptr_t)&e->from + (intptr_t)e->from == rip)
            return (uintptr_t)&e->to + (uintptr_t)(intptr_t)e->to;
    return 0;
}

void x86_trap_kernel(unsigned vector, unsigned long error, struct plat_frame *f)
{
    uintptr_t to, addr;

    if (CONFIG_RELINK && x86_relink_trap(vector, error, f))
        return;
    if (LIKELY(vector == VEC_PF) && !(error & (PF_RESERVED | PF_FETCH))) {
        addr = x86_cr2();
        to = fixup(f->rip);
        /* The page behind user memory too: a copy may run into it (usercopy.S). */
        if (to && (CONFIG_RELINK || addr < PLAT_USER_MAX + PAGE_SIZE)) {
            if (addr >= PLAT_USER_MAX ||
                upcall_fault(addr, access_of(error), error & PF_PRESENT, false) != 0)
                f->rip = to;
            return;
        }
    }
    if ((vector == VEC_VC || vector == VEC_VE) && cc_trap(error, f, false))
        return;
    if (vector == VEC_HV && doorbell_rings(f, false))
        return;
    if (vector == VEC_DB) {
        x86_debug_trap_kernel();
        return;
    }
    die(vector, error, f);
}

void x86_user_exit_work(struct plat_frame *frame)
{
    struct plat_thread *t = plat_current();

    for (;;) {
        if (UNLIKELY(t->flags & X86_THREAD_DOORBELL)) {
            x86_thread_flags_clear(t, X86_THREAD_DOORBELL);
            (void)doorbell_serve(
                frame); /* one that another CPU's doorbell rang for has nothing here */
        }
        while (t->work)
            upcall_user_return(frame);
        /* IRET of a non-canonical rip would fault in ring 0: raise here what ring 3 would get. */
        if (LIKELY(frame->rip < 1ull << 47 || frame->rip >= ~0ull << 47))
            break;
        upcall_exception(VEC_GP, 0, 0);
        if (!t->work)
            frame->rip = 0;
    }
    x86_thread_flags_clear(t, X86_THREAD_SLOW);
}
