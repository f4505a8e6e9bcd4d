/* SPDX-License-Identifier: MIT */
/* Every way from ring 3 into ring 0 and back, and that ring 3 learns nothing of ring 0 by it. */
#include "plat_test.h"

#include <plat/cpu.h>
#include <plat/upcall.h>

#define USER(name) extern const char user_##name[]
USER(registers);
USER(cost);
USER(cost_fault);
USER(read);
USER(write);
USER(jump);
USER(int80);
USER(int3);
USER(into);
USER(int14);
USER(int2);
USER(ud);
USER(divide);
USER(hlt);
USER(step);
USER(step_syscall);
USER(flags);
USER(selectors);
USER(gsbase);

static bool raised(const char *label, unsigned vector, unsigned long error)
{
    struct outcome o = run(label, 0);

    if (o.kind == RAN_EXCEPTION && o.vector == vector && o.error == error)
        return true;
    log_error("kind %d vector %u error %#lx address %#lx", o.kind, o.vector, o.error, o.addr);
    return false;
}

static void test_kernel_addresses(void)
{
    static const uintptr_t addresses[] = { 0xffff800000000000, 0xffffc00000000000,
                                           0xffffffff80100000, 0xffffffffffffff00,
                                           0x00007ffffffff000, 0x00007fffffffff00 };
    uintptr_t own = (uintptr_t)test_kernel_addresses;

    for (unsigned i = 0; i < 6; i++) {
        struct outcome o = run(user_read, addresses[i]);
        CHECK(o.kind == RAN_EXCEPTION && o.vector == 14 && o.addr == addresses[i]);
        o = run(user_write, addresses[i]);
        CHECK(o.kind == RAN_EXCEPTION && o.vector == 14 && o.addr == addresses[i]);
        o = run(user_jump, addresses[i]);
        CHECK(o.kind == RAN_EXCEPTION && o.vector == 14 && o.addr == addresses[i]);
    }
    CHECK(run(user_read, own).vector == 14);
    CHECK(run(user_jump, own).vector == 14);
    CHECK(run(user_read, 0x0000800000000000).vector == 13); /* not canonical */
    CHECK(run(user_jump, 0x0000800000000000).vector == 13);
}

void test_traps(void)
{
    struct outcome o = run(user_registers, 0);

    CHECK(o.kind == RAN_EXIT && o.code == 0);
    CHECK(run(user_cost, 0).kind == RAN_EXIT);
    CHECK(run(user_cost_fault, 0).faults == 128);
    o = run(user_read, LAZY_AT);
    CHECK(o.kind == RAN_EXIT && o.faults == 1);
    o = run(user_read, 0x20000000);
    CHECK(o.kind == RAN_FAULT && o.addr == 0x20000000 && o.error == PLAT_ACCESS_READ);
    o = run(user_write, CODE_AT);
    CHECK(o.kind == RAN_FAULT && o.error == PLAT_ACCESS_WRITE);
    o = run(user_jump, STACK_AT - 64);
    CHECK(o.kind == RAN_FAULT && o.error == PLAT_ACCESS_EXEC);
    CHECK(run(user_int80, 0).vector == 13); /* emulators differ in the error code */
    CHECK(raised(user_int3, 3, 0));
    CHECK(raised(user_into, 4, 0));
    CHECK(run(user_int14, 0).vector == 13);
    CHECK(run(user_int2, 0).vector == 13);
    CHECK(raised(user_ud, 6, 0));
    CHECK(raised(user_divide, 0, 0));
    CHECK(raised(user_hlt, 13, 0));
    CHECK(raised(user_step, 1, 0));
    CHECK(raised(user_step_syscall, 1, 0));
    o = run(user_flags, 0);
    CHECK(o.kind == RAN_EXIT && o.code == 0);
    o = run(user_selectors, 0);
    CHECK(o.kind == RAN_EXCEPTION && o.vector == 6);
    test_kernel_addresses();
    if (plat_hwcap2() & 2)
        CHECK(raised(user_gsbase, 1, 0));
    else
        CHECK(raised(user_gsbase, 6, 0));
    CHECK(traced_calls == 0);
    plat_syscall_trace(); /* for good, so it comes last */
    o = run(user_registers, 0);
    CHECK(o.kind == RAN_EXIT && o.code == 0 && traced_calls == 2);
}
