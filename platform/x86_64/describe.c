/* SPDX-License-Identifier: MIT */
/* The CPU's facts as Linux's /proc/cpuinfo shows them: programs parse the names of the flags. */
#include "x86_64/cpu.h"
#include "x86_64/x86.h"

#include <plat/time.h>
#include <stdio.h>
#include <string.h>

/* Where a flag stands in CPUID: leaf 1 edx, leaf 1 ecx, leaf 0x80000001 edx and ecx, leaf 7 ebx and ecx. */
static const struct {
    uint8_t word, bit;
    char name[14];
} flags[] = {
    { 0, 0, "fpu" },           { 0, 1, "vme" },         { 0, 2, "de" },
    { 0, 3, "pse" },           { 0, 4, "tsc" },         { 0, 5, "msr" },
    { 0, 6, "pae" },           { 0, 7, "mce" },         { 0, 8, "cx8" },
    { 0, 9, "apic" },          { 0, 11, "sep" },        { 0, 12, "mtrr" },
    { 0, 13, "pge" },          { 0, 14, "mca" },        { 0, 15, "cmov" },
    { 0, 16, "pat" },          { 0, 17, "pse36" },      { 0, 19, "clflush" },
    { 0, 23, "mmx" },          { 0, 24, "fxsr" },       { 0, 25, "sse" },
    { 0, 26, "sse2" },         { 0, 27, "ss" },         { 0, 28, "ht" },
    { 2, 11, "syscall" },      { 2, 20, "nx" },         { 2, 22, "mmxext" },
    { 2, 25, "fxsr_opt" },     { 2, 26, "pdpe1gb" },    { 2, 27, "rdtscp" },
    { 2, 29, "lm" },           { 2, 30, "3dnowext" },   { 2, 31, "3dnow" },
    { 1, 0, "pni" },           { 1, 1, "pclmulqdq" },   { 1, 9, "ssse3" },
    { 1, 12, "fma" },          { 1, 13, "cx16" },       { 1, 17, "pcid" },
    { 1, 19, "sse4_1" },       { 1, 20, "sse4_2" },     { 1, 21, "x2apic" },
    { 1, 22, "movbe" },        { 1, 23, "popcnt" },     { 1, 25, "aes" },
    { 1, 26, "xsave" },        { 1, 28, "avx" },        { 1, 29, "f16c" },
    { 1, 30, "rdrand" },       { 1, 31, "hypervisor" }, { 3, 0, "lahf_lm" },
    { 3, 2, "svm" },           { 3, 5, "abm" },         { 3, 6, "sse4a" },
    { 3, 8, "3dnowprefetch" }, { 3, 11, "xop" },        { 3, 16, "fma4" },
    { 3, 21, "tbm" },          { 4, 0, "fsgsbase" },    { 4, 3, "bmi1" },
    { 4, 5, "avx2" },          { 4, 7, "smep" },        { 4, 8, "bmi2" },
    { 4, 9, "erms" },          { 4, 16, "avx512f" },    { 4, 17, "avx512dq" },
    { 4, 18, "rdseed" },       { 4, 19, "adx" },        { 4, 20, "smap" },
    { 4, 23, "clflushopt" },   { 4, 24, "clwb" },       { 4, 28, "avx512cd" },
    { 4, 29, "sha_ni" },       { 4, 30, "avx512bw" },   { 4, 31, "avx512vl" },
    { 5, 1, "avx512vbmi" },    { 5, 2, "umip" },        { 5, 8, "gfni" },
    { 5, 9, "vaes" },          { 5, 10, "vpclmulqdq" }, { 5, 22, "rdpid" },
};

/* Text appended to buf, cut at its end. */
struct out {
    char *buf;
    size_t size, len;
};

static void put(struct out *o, const char *text)
{
    size_t n = strlen(text), room = o->size - o->len - 1;

    if (n > room)
        n = room;
    memcpy(o->buf + o->len, text, n);
    o->len += n;
    o->buf[o->len] = 0;
}

static void put_number(struct out *o, const char *name, unsigned long value)
{
    char text[48];

    snprintf(text, sizeof(text), "%s: %lu\n", name, value);
    put(o, text);
}

static void put_names(struct out *o)
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

size_t plat_cpu_describe(unsigned cpu, char *buf, size_t size)
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
    for (size_t i = 0; i < ARRAY_SIZE(flags); i++) {
        const uint32_t words[6] = { one.edx, one.ecx, ext.edx, ext.ecx, seven.ebx, seven.ecx };
        char name[sizeof(flags[0].name) + 2] = " ";

        if (!(words[flags[i].word] >> flags[i].bit & 1))
            continue;
        memcpy(name + 1, flags[i].name, sizeof(flags[0].name));
        put(&o, name);
    }
    put(&o, "\nbogomips\t: 0.00\nclflush size\t: 64\ncache_alignment\t: 64\naddress sizes\t: 48 "
            "bits virtual\n\n");
    return o.len;
}
