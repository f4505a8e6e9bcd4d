/* SPDX-License-Identifier: MIT */
/* Talking to the host of an SEV-ES or SEV-SNP guest: the GHCB MSR and the GHCB page, one for each CPU. Everything that
 * comes back is the host's: read once, checked, then used. Spec: GHCB specification 2.03, 2.3 and 4.1. */
#ifndef CC_GHCB_H
#define CC_GHCB_H

#include <base/compiler.h>
#include <base/types.h>

#define MSR_GHCB 0xc0010130u

struct PACKED ghcb {
    uint8_t save0[0x1f8];
    uint64_t rax;
    uint8_t save1[0x308 - 0x200];
    uint64_t rcx, rdx, rbx;
    uint8_t save2[0x390 - 0x320];
    uint64_t exitcode, exitinfo1, exitinfo2, scratch;
    uint8_t save3[0x3e8 - 0x3b0];
    uint64_t xcr0;
    uint8_t valid[16];
    uint8_t save4[0x800 - 0x400];
    uint8_t buffer[0x7f0];
    uint8_t save5[0xffa - 0xff0];
    uint16_t version;
    uint32_t usage;
};

enum {
    GHCB_SIZE = 4096,
    GHCB_BUFFER = 0x7f0,
    GHCB_MSR_SEV_INFO = 0x002,
    GHCB_MSR_SEV_INFO_ANSWER = 0x001,
    GHCB_MSR_CPUID = 0x004,
    GHCB_MSR_CPUID_ANSWER = 0x005,
    GHCB_MSR_REGISTER = 0x012,
    GHCB_MSR_REGISTER_ANSWER = 0x013,
    GHCB_MSR_PSC = 0x014,
    GHCB_MSR_PSC_ANSWER = 0x015,
    GHCB_MSR_FEATURES = 0x080,
    GHCB_MSR_FEATURES_ANSWER = 0x081,
    GHCB_MSR_TERMINATE = 0x100,
    GHCB_EXIT_CPUID = 0x72,
    GHCB_EXIT_IOIO = 0x7b,
    GHCB_EXIT_MSR = 0x7c,
    GHCB_EXIT_WBINVD = 0x89,
    GHCB_EXIT_RDTSC = 0x6e,
    GHCB_EXIT_RDTSCP = 0x87,
    GHCB_EXIT_DR7_READ = 0x27,
    GHCB_EXIT_DR7_WRITE = 0x37,
};
#define GHCB_EXIT_MMIO_READ     0x80000001ull
#define GHCB_EXIT_MMIO_WRITE    0x80000002ull
#define GHCB_EXIT_AP_JUMP_TABLE 0x80000005ull
#define GHCB_EXIT_PSC           0x80000010ull
#define GHCB_EXIT_REQUEST       0x80000011ull
#define GHCB_EXIT_AP_CREATION   0x80000013ull
#define GHCB_EXIT_REQUEST_CERTS 0x80000012ull

/* A request by MSR; the answer. Works before any page is shared. */
uint64_t ghcb_msr(uint64_t request);

/* One exit through this CPU's page. The fields named by mask go in from r and, where answer has them too, come back into
 * it. */
enum ghcb_field {
    GHCB_RAX = 1,
    GHCB_RCX = 2,
    GHCB_RDX = 4,
    GHCB_RBX = 8,
    GHCB_SCRATCH = 16,
    GHCB_INFO2 = 32,    /* answers only */
    GHCB_MUST_RBX = 64, /* answers only: rbx, which GHCB_RBX takes where the host gives it */
    GHCB_XCR0 = 128,
};
/* info2: what the host left in exitinfo2, for exits that answer there. */
struct ghcb_regs {
    uint64_t rax, rcx, rdx, rbx, xcr0, info2;
};
/* False: the host asks for a general protection fault (an MSR that is not there). A malformed answer ends the guest. */
NODISCARD bool ghcb_exit(uint64_t code, uint64_t info1, uint64_t info2, unsigned in, unsigned out,
                         struct ghcb_regs *r);

/* The buffer of this CPU's page: what a request says goes in first, an answer is copied out after. */
void ghcb_buffer_put(const void *p, size_t n);
void ghcb_buffer_get(void *p, size_t n);

struct x86_cpu;

/* c's page, which has been shared: its address as shared memory, and the physical one. */
void ghcb_set(struct x86_cpu *c, void *page, uint64_t pa);
/* The protocol's version that pages are written in, 1 or 2. */
void ghcb_speak(unsigned version);
/* On CPU c: from now on exits go by its page, which SEV-SNP's host is told. False: it will not have it. */
NODISCARD bool ghcb_register(const struct x86_cpu *c);
/* Whether this CPU has a page to exit by. */
bool ghcb_ready(void);

#endif
