/* SPDX-License-Identifier: MIT */
/* Switching, FPU state, preemption by the timer, signal frames with good and with hostile content. */
#include "plat_test.h"

#include <abi/errno.h>
#include <plat/time.h>
#include <plat/user.h>
#include <string.h>

extern const char user_fpu[], user_spin[], user_signal[], user_handler[], user_restorer[];

static uintptr_t place(const char *label)
{
    return CODE_AT + (uintptr_t)(label - user_code);
}

static void put16(uintptr_t at, uint16_t v)
{
    CHECK(plat_user_write(at, &v, 2) == 0);
}

static void put64(uintptr_t at, uint64_t v)
{
    CHECK(plat_user_write(at, &v, 8) == 0);
}

/* The frame: restorer 0, uc 8: flags, link, stack (24), context at 48, whose members follow. */
enum {
    CONTEXT = 48,
    C_RIP = CONTEXT + 128,
    C_FLAGS = C_RIP + 8,
    C_CS = C_FLAGS + 8,
    C_SS = C_CS + 6,
    C_FP = C_CS + 40
};

static uint64_t fp_of(uintptr_t frame)
{
    uint64_t fp = 0;

    CHECK(plat_user_read(&fp, frame + C_FP, 8) == 0);
    return fp;
}

static void spoil_nothing(uintptr_t frame)
{
    uint64_t flags, fp = fp_of(frame);
    uint32_t magic[3] = { 0 };
    uint16_t cs;

    CHECK(frame % 16 == 8 && frame + 128 < signal_test.sp);
    CHECK(plat_user_read(&flags, frame + 8, 8) == 0 && (flags & 6) == 6);
    CHECK(plat_user_read(&cs, frame + C_CS, 2) == 0 && cs == 0x33);
    CHECK(fp % 64 == 0 && fp >= frame + 440 && fp + 512 <= signal_test.sp - 128);
    CHECK(plat_user_read(magic, fp + 464, 8) == 0);
    if (flags & 1) {
        CHECK(magic[0] == 0x46505853);
        CHECK(plat_user_read(&magic[2], fp + magic[1] - 4, 4) == 0 && magic[2] == 0x46505845);
    } else {
        CHECK(magic[0] == 0);
    }
}

static void spoil_cs(uintptr_t frame)
{
    put16(frame + C_CS, 0x08);
}

static void spoil_ss(uintptr_t frame)
{
    put16(frame + C_SS, 0x10);
}

static void spoil_flags(uintptr_t frame)
{
    uint64_t flags;

    CHECK(plat_user_read(&flags, frame + C_FLAGS, 8) == 0);
    put64(frame + C_FLAGS,
          (flags | 0x3000 | 0x20000 | 0x100000) & ~0x200ull); /* IOPL 3, VM, VIP; IF off */
}

static void spoil_rip(uintptr_t frame)
{
    put64(frame + C_RIP, 0x8000000000000000);
}

static void spoil_kernel_rip(uintptr_t frame)
{
    put64(frame + C_RIP, (uintptr_t)spoil_kernel_rip);
}

static void spoil_mxcsr(uintptr_t frame)
{
    uint32_t bad = 0xffff1f80;

    CHECK(plat_user_write(fp_of(frame) + 24, &bad, 4) == 0);
}

static void spoil_xcomp(uintptr_t frame)
{
    put64(fp_of(frame) + 520, 1ull << 63);
}

static void spoil_features(uintptr_t frame)
{
    put64(fp_of(frame) + 512, ~0ull);
}

static void spoil_reserved(uintptr_t frame)
{
    put64(fp_of(frame) + 528 + 40, 1);
}

static void spoil_pointer(uintptr_t frame)
{
    put64(frame + C_FP, 0xffff800000000000);
}

static bool xsaved(void)
{
    uint32_t a, b, c, d;

    __asm__("cpuid" : "=a"(a), "=b"(b), "=c"(c), "=d"(d) : "a"(1), "c"(0));
    return c & 1u << 27;
}

static struct outcome with_signal(void (*spoil)(uintptr_t frame))
{
    static const uint8_t info[128] = { 10 };

    memset(&signal_test, 0, sizeof(signal_test));
    signal_test.spoil = spoil;
    signal_test.signal = (struct plat_signal){
        .number = 10,
        .handler = place(user_handler),
        .restorer = place(user_restorer),
        .siginfo = true,
        .info = info,
        .mask = 0x1234,
        .alt_flags = 2,
    };
    return run(user_signal, 0);
}

static void test_signals(void)
{
    static void (*const fatal[])(uintptr_t) = { spoil_cs, spoil_ss, spoil_mxcsr, spoil_pointer };
    static void (*const fatal_xsave[])(uintptr_t) = { spoil_xcomp, spoil_features, spoil_reserved };
    struct outcome o = with_signal(spoil_nothing);

    CHECK(o.kind == RAN_EXIT && o.code == 0 && o.reported == 10);
    CHECK(signal_test.popped.mask == 0x1234 && signal_test.popped.alt_flags == 2);
    o = with_signal(spoil_flags);
    CHECK(o.kind == RAN_EXIT && o.code == 0);
    o = with_signal(spoil_rip);
    CHECK(o.kind == RAN_EXCEPTION && o.vector == 13);
    o = with_signal(spoil_kernel_rip);
    CHECK(o.kind == RAN_EXCEPTION && o.vector == 14);
    for (unsigned i = 0; i < 4; i++) {
        o = with_signal(fatal[i]);
        CHECK(o.kind == RAN_FAULT && signal_test.pop_result == -EFAULT);
    }
    for (unsigned i = 0; i < 3 && xsaved(); i++) {
        o = with_signal(fatal_xsave[i]);
        CHECK(o.kind == RAN_FAULT && signal_test.pop_result == -EFAULT);
    }
}

static int progress;

static void kernel_thread(void *arg)
{
    struct plat_thread *self = plat_current();

    CHECK(*(int *)arg == 42);
    for (;;) {
        progress++;
        plat_thread_switch(self, &test_main);
    }
}

static void test_kernel_threads(void)
{
    static struct plat_thread t[40];
    unsigned long before = pages_out;
    int arg = 42;

    /* More than are kept, so that stacks are given back too. */
    for (unsigned i = 0; i < 40; i++)
        CHECK(plat_thread_init(&t[i], kernel_thread, &arg) == 0);
    for (unsigned i = 0; i < 120; i++)
        plat_thread_switch(&test_main, &t[i % 40]);
    CHECK(progress == 120);
    for (unsigned i = 0; i < 40; i++)
        plat_thread_fini(&t[i]);
    before = pages_out;
    for (unsigned i = 0; i < 40; i++)
        CHECK(plat_thread_init(&t[i], kernel_thread, &arg) == 0);
    for (unsigned i = 0; i < 40; i++)
        plat_thread_fini(&t[i]);
    CHECK(pages_out == before);

    /* Past what is kept, a stack needs pages: with each refused in turn, nothing is lost. */
    for (unsigned i = 0; i < 39; i++)
        CHECK(plat_thread_init(&t[i], kernel_thread, &arg) == 0);
    for (unsigned n = 1; n < 6; n++) {
        before = pages_out;
        fail_after = n;
        if (plat_thread_init(&t[39], kernel_thread, &arg) == 0)
            plat_thread_fini(&t[39]);
        else
            CHECK(pages_out == before);
        fail_after = 0;
    }
    for (unsigned i = 0; i < 39; i++)
        plat_thread_fini(&t[i]);
}

void test_threads(void)
{
    struct outcome o;

    test_kernel_threads();
    CHECK(run_pair(user_fpu, 0x1111111111111111, 0x2222222222222222) == 0);
    plat_timer_set(plat_time_ns() + 2000000);
    o = run(user_spin, 0);
    CHECK(o.kind == RAN_EXIT && o.code == 99);
    test_signals();
}
