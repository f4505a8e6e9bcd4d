/* SPDX-License-Identifier: MIT */
/* The CPU's facts as Linux's /proc/cpuinfo shows them: programs parse the names of the flags. */
#include "x86_64/cpu.h"
#include "x86_64/x86.h"

#include <plat/time.h>
#include <stdio.h>
#include <string.h>

/* Where a flag stands in CPUID: leaf 1 edx, leaf 1 ecx, leaf 0x80000001 edx and ecx, leaf 7 ebx and ecx. */
static const char flag_names[] =
    "fpu vme de pse tsc msr pae mce cx8 apic sep mtrr pge mca cmov pat pse36 clflush mmx fxsr "
    "sse sse2 ss ht syscall nx mmxext fxsr_opt pdpe1gb rdtscp lm 3dnowext 3dnow pni pclmulqdq "
    "ssse3 fma cx16 pcid sse4_1 sse4_2 x2apic movbe popcnt aes xsave avx f16c rdrand hypervisor "
    "lahf_lm svm abm sse4a 3dnowprefetch xop fma4 tbm fsgsbase bmi1 avx2 smep bmi2 erms avx512f "
    "avx512dq rdseed adx smap clflushopt clwb avx512cd sha_ni avx512bw avx512vl avx512vbmi umip "
    "gfni vaes vpclmulqdq rdpid ";
/* The place of each of them: 32 * word + bit; words as above. */
static const uint8_t flag_places[] = {
    0,   1,   2,   3,   4,   5,   6,   7,   8,   9,   11,  12,  13,  14,  15,  16,  17,
    19,  23,  24,  25,  26,  27,  28,  75,  84,  86,  89,  90,  91,  93,  94,  95,  32,
    33,  41,  44,  45,  49,  51,  52,  53,  54,  55,  57,  58,  60,  61,  62,  63,  96,
    98,  101, 102, 104, 107, 112, 117, 128, 131, 133, 135, 136, 137, 144, 145, 146, 147,
    148, 151, 152, 156, 157, 158, 159, 161, 162, 168, 169, 170, 182,
};

/* Text appended to buf, cut at its end. */
struct out {
    char *buf;
    size_t size, len;
};

static COLD void put(struct out *o, const char *text)
{
    size_t n = strlen(text), room = o->size - o->len - 1;

    if (n > room)
        n = room;
    memcpy(o->buf + o->len, text, n);
    o->len += n;
    o->buf[o->len] = 0;
}

static COLD void put_number(struct out *o, const char *name, unsigned long value)
{
    char text[48];

    snprintf(text, sizeof(text), "%s: %lu\n", name, value);
    put(o, text);
}

static COLD void put_names(struct out *o)
{
    struct x86_cpuid r = x86_cpuid(0, 0);
    char vendor[13] = "", brand[49] = "";

    memcpy(vendor, &r.ebx, 4);
    memcpy(vendor + 4, &r.edx, 4);
    memcpy(vendor + 8, &r.ecx, 4);
    put(o, "vendor_id\t: ");
    put(o, vendor);
    if (x86_cpuid(0x80000000, 0).eax >= 0x80000004)
        for (unsigned i = 0; i < 3; i++) {
            r = x86_cpuid(0x80000002 + i, 0);
            memcpy(brand + i * 16, &r, 16);
        }
    put(o, "\nmodel name\t: ");
    put(o, brand);
    put(o, "\n");
}

static COLD void put_flags(struct out *o, struct x86_cpuid one, struct x86_cpuid ext,
                           struct x86_cpuid seven)
{
    const uint32_t words[6] = { one.edx, one.ecx, ext.edx, ext.ecx, seven.ebx, seven.ecx };
    const char *p = flag_names;

    for (size_t i = 0; i < ARRAY_SIZE(flag_places); i++) {
        char name[20] = " ";
        size_t n = 1;

        while (*p != ' ')
            name[n++] = *p++;
        p++;
        name[n] = 0;
        if (words[flag_places[i] / 32] >> flag_places[i] % 32 & 1)
            put(o, name);
    }
}

COLD size_t plat_cpu_describe(unsigned cpu, char *buf, size_t size)
{
    struct x86_cpuid one = x86_cpuid(1, 0), seven = { 0 }, ext = x86_cpuid(0x80000001, 0);
    struct out o = { buf, size, 0 };
    struct plat_clock clock;
    unsigned family = one.eax >> 8 & 15, model = one.eax >> 4 & 15;
    char mhz[32];

    if (!size)
        return 0;
    buf[0] = 0;
    if (x86_cpuid(0, 0).eax >= 7)
        seven = x86_cpuid(7, 0);
    if (family == 15 || family == 6)
        model |= one.eax >> 12 & 0xf0;
    if (family == 15)
        family += one.eax >> 20 & 0xff;
    plat_clock(&clock);
    put_number(&o, "processor\t", cpu);
    put_names(&o);
    put_number(&o, "cpu family\t", family);
    put_number(&o, "model\t\t", model);
    put_number(&o, "stepping\t", one.eax & 15);
    snprintf(mhz, sizeof(mhz), "cpu MHz\t\t: %lu.%03lu\n", (unsigned long)(clock.tsc_hz / 1000000),
             (unsigned long)(clock.tsc_hz / 1000 % 1000));
    put(&o, mhz);
    put_number(&o, "physical id\t", 0);
    put_number(&o, "siblings\t", plat_cpu_count());
    put_number(&o, "core id\t\t", cpu);
    put_number(&o, "cpu cores\t", plat_cpu_count());
    put(&o, "fpu\t\t: yes\nwp\t\t: yes\nflags\t\t:");
    put_flags(&o, one, ext, seven);
    put(&o, "\nbogomips\t: 0.00\nclflush size\t: 64\ncache_alignment\t: 64\naddress sizes\t: 48 "
            "bits virtual\n\n");
    return o.len;
}
