/* SPDX-License-Identifier: MIT */
/* Wall time from the CMOS clock, read when first asked for. A machine without one (microvm rtc=off, Firecracker)
 * answers all-ones, which is no date; under KVM the host tells the time by another way then. Spec: Motorola MC146818. */
#include "vm/clockmath.h"
#include "vm/vm.h"
#include "x86_64/x86.h"

#include <plat/time.h>

enum {
    INDEX = 0x70,
    DATA = 0x71,
    REG_A = 10,
    REG_B = 11,
    UPDATING = 0x80,
    BINARY = 4,
    HOURS_24 = 2
};

struct reading {
    uint8_t second, minute, hour, day, month, year, century;
};

static uint8_t cmos(uint8_t reg)
{
    x86_out8(INDEX, 0x80 | reg);
    return x86_in8(DATA);
}

static struct reading read_all(void)
{
    struct reading r = { cmos(0), cmos(2), cmos(4), cmos(7), cmos(8), cmos(9), cmos(0x32) };
    return r;
}

static unsigned number(uint8_t v, bool binary)
{
    return binary ? v : (v >> 4) * 10u + (v & 15);
}

static uint64_t convert(const struct reading *r, uint8_t mode)
{
    bool binary = mode & BINARY, pm = !(mode & HOURS_24) && r->hour & 0x80;
    unsigned hour = number(mode & HOURS_24 ? r->hour : r->hour & 0x7f, binary),
             year = number(r->year, binary);
    unsigned century = number(r->century, binary);

    if (!(mode & HOURS_24))
        hour = hour % 12 + (pm ? 12 : 0);
    year += century >= 19 && century <= 21 ? century * 100 : 2000;
    return clock_date(year, number(r->month, binary), number(r->day, binary), hour,
                      number(r->minute, binary), number(r->second, binary));
}

uint64_t vm_rtc_seconds(void)
{
    uint8_t mode = cmos(REG_B);

    /* Two equal readings outside an update are good; an update takes at most 2 ms of them. */
    for (unsigned i = 0; i < 200; i++) {
        struct reading a, b;

        if (cmos(REG_A) & UPDATING)
            continue;
        a = read_all();
        b = read_all();
        if (__builtin_memcmp(&a, &b, sizeof(a)) == 0)
            return convert(&a, mode);
    }
    return 0;
}

uint64_t plat_wall_again_ns(uint64_t *ret_doubt_ns)
{
    uint64_t seconds = vm_rtc_seconds();

    *ret_doubt_ns = seconds ? NS_PER_SEC : 10000000;
    return seconds ? seconds * NS_PER_SEC - plat_time_ns() : vm_kvm_wall_at_boot_ns();
}

uint64_t plat_wall_at_boot_ns(void)
{
    static uint64_t at_boot, doubt;
    static bool known;

    if (!known) {
        at_boot = plat_wall_again_ns(&doubt);
        known = true;
    }
    return at_boot;
}
