/* SPDX-License-Identifier: MIT */
/* Start: options, memory, the first virtual CPU, the image, and off. */
#include "ccsim.h"
#include "vmcb.h"
#include "x86_64/x86.h"

#include <base/log.h>
#include <string.h>

enum {
    MSR_VM_HSAVE = 0xc0010117u,
    INTERCEPT_1 =
        1u << 1 | 1u << 18 | 1u << 27 | 1u << 28 | 1u << 31, /* NMI, CPUID, IOIO, MSR, shutdown */
    INTERCEPT_2 = 1u << 0 | 1u << 1 | 1u << 9 | 1u << 10 |
                  1u << 11, /* VMRUN, VMMCALL, WBINVD, MONITOR, MWAIT */
    INTERCEPT_SEV = 1u << 0 | 1u << 1,
};

static ALIGNED(PAGE_SIZE) uint8_t host_save[CPUS_MAX][PAGE_SIZE], io_map[3 * PAGE_SIZE],
    msr_map[2 * PAGE_SIZE];

void sim_main(uint64_t info_pa);

/* MSRs of the save area: the processor keeps them encrypted for the guest and the host does not see them. */
static void pass_msr(uint32_t msr)
{
    unsigned bit = msr < 0x2000 ? msr * 2 : (0x2000 + (msr - 0xc0000000u)) * 2;

    msr_map[bit / 8] &= (uint8_t) ~(3u << bit % 8);
}

void sim_intercepts(struct vmcb *v)
{
    static const uint32_t pass[] = { MSR_EFER,    MSR_STAR,        MSR_LSTAR,   MSR_CSTAR,
                                     MSR_SFMASK,  MSR_FS_BASE,     MSR_GS_BASE, MSR_KERNEL_GS_BASE,
                                     MSR_TSC_AUX, MSR_SYSENTER_CS, 0x175,       0x176,
                                     0x277 };

    memset(io_map, 0xff, sizeof(io_map));
    memset(msr_map, 0xff, sizeof(msr_map));
    for (size_t i = 0; i < ARRAY_SIZE(pass); i++)
        pass_msr(pass[i]);
    v->intercept_1 = INTERCEPT_1;
    v->intercept_2 = sim_options.sev && !sim_options.es ? INTERCEPT_SEV : INTERCEPT_2;
    v->intercept_exceptions = 1u << VEC_UD;
    v->iopm = (uintptr_t)io_map;
    v->msrpm = (uintptr_t)msr_map;
    v->asid = 1;
    v->np_enable = 1;
    v->nested_cr3 = sim_nested_root();
    if (sim_options.rinj)
        sim_doorbell_intercepts(v);
}

void sim_cpu_init(unsigned index)
{
    x86_wrmsr(MSR_VM_HSAVE, (uintptr_t)host_save[index]);
    sim_load_idt();
    if (sim_options.rinj)
        sim_doorbell_init();
}

/* ccsim.mode=sev|sev-es|snp|snp+securetsc|snp+svsm|snp+rinj|tdx, ccsim.attack=NAME, ccsim.measure, ccsim.scan, ccsim.count, ccsim.accept-all and ccsim.trace; the rest is the guest's, which ignores these. */
static void options(const char *line)
{
    static char attack[32];
    const char *p = strstr(line, "ccsim.attack=");

    if (p) {
        p += strlen("ccsim.attack=");
        for (size_t i = 0; i < sizeof(attack) - 1 && *p && *p != ' '; i++)
            attack[i] = *p++;
        sim_options.attack = attack;
    }
    sim_options.count = strstr(line, "ccsim.count") != NULL;
    sim_options.scan = strstr(line, "ccsim.scan") != NULL;
    sim_options.measure = strstr(line, "ccsim.measure") != NULL;
    sim_options.trace = strstr(line, "ccsim.trace") != NULL;
    sim_options.tdx = strstr(line, "ccsim.mode=tdx") != NULL;
    sim_options.sev = strstr(line, "ccsim.mode=sev") != NULL;
    sim_options.svsm = strstr(line, "+svsm") != NULL;
    sim_options.accept_all = strstr(line, "ccsim.accept-all") != NULL;
    sim_options.secure_tsc = strstr(line, "+securetsc") != NULL;
    sim_options.rinj = strstr(line, "+rinj") != NULL;
    sim_options.es = strstr(line, "ccsim.mode=sev-es") != NULL;
}

void sim_main(uint64_t info_pa)
{
    const char *line = (const char *)*(const uint64_t *)(info_pa + 24);

    if (x86_cpuid_raw(0x80000008, 0).eax % 256 != 48 || !(x86_cpuid_raw(0x8000000a, 0).edx & 1))
        sim_fail("this CPU has no nested paging or not 48 address bits: -cpu max,phys-bits=48");
    options(line);
    sim_cpu_init(0);
    sim_memory_init();
    sim_add_cpu(0);
    sim_lock();
    sim_load(&sim_cpus[0], info_pa);
    sim_cpus[0].running = true;
    sim_start_cpus();
    sim_run(&sim_cpus[0]);
}
