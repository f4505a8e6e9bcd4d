/* SPDX-License-Identifier: MIT */
/* CPUs and interrupts. Interrupts are off in ring 0 except inside the two functions that say so. */
#ifndef PLAT_CPU_H
#define PLAT_CPU_H

#include <base/compiler.h>
#include <base/types.h>

enum { PLAT_CPU_MAX = 64 };

/* unsigned plat_cpu_id(void) comes inline from plat_arch/thread.h: 0 to plat_cpu_count() - 1. */

/* CPUs that run. */
unsigned plat_cpu_count(void);

/* Start the other CPUs; each calls upcall_cpu_start on its own stack. */
void plat_cpu_start_all(void);

/* Wait for an interrupt, with interrupts on; handlers have run when it returns. */
void plat_idle(void);

/* Take pending interrupts now: interrupts are on for an instant. */
void plat_irq_window(void);

/* In a spin loop: a pause, and TLB shoot-down requests of other CPUs are served. */
void plat_relax(void);

/* Make another CPU call upcall_kick (to reschedule, or to look at a thread's work flags). */
void plat_cpu_kick(unsigned cpu);

/* Make every running thread of an address space, on every CPU, pass a full memory barrier and a serialising instruction
 * (membarrier(2)). NULL: of every one. */
struct plat_aspace;
void plat_membarrier(struct plat_aspace *as);

/* From now on system calls go to upcall_syscall_traced. Once, at boot, before plat_cpu_start_all. */
void plat_syscall_trace(void);

/* Add blocks of 64 bytes to a SHA-256 state (FIPS 180-4, 6.2.2) by the CPU's own instructions. False: it has none, and
 * nothing was done. Any context that may use the CPU for as long as the data takes. */
bool plat_sha256(uint32_t state[8], const void *data, size_t blocks);

/* The same for several messages at once, blocks of each: state[w][m] is word w of message m. False: the CPU would not be
 * faster by it than with one message after another, and nothing was done. Takes as long as about two messages in C. */
enum { PLAT_SHA256_LANES = 8 };
bool plat_sha256_lanes(uint32_t state[8][PLAT_SHA256_LANES],
                       const void *const data[PLAT_SHA256_LANES], size_t blocks);

/* A key of AES in XTS mode, expanded as FIPS 197 says (words in memory order); for decryption key is the equivalent inverse
 * cipher's. */
struct plat_aes_xts {
    const uint32_t *key, *tweak;
    uint32_t rounds; /* 10, 12, 14 */
    bool decrypt;
};

/* Encrypt or decrypt blocks of 16 bytes of one sector, whose number iv is, from in to out (may be the same), by the CPU's own instructions.
 * False: it has none, and nothing was done. Any context that may use the CPU for as long as the data takes. */
bool plat_aes_xts(const struct plat_aes_xts *x, const uint8_t iv[16], const void *in, void *out,
                  size_t blocks);
/* Does plat_aes_xts do anything here? */
bool plat_has_aes(void);

/* Continue a CRC-32C (reflected, no inversions) over len bytes, by the CPU's instruction where it has one. */
uint32_t plat_crc32c(uint32_t crc, const void *buf, size_t len);

/* Facts about the CPU for /proc/cpuinfo and AT_HWCAP, zero-terminated text; one block for all CPUs. */
size_t plat_cpu_describe(unsigned cpu, char *buf, size_t size);
unsigned long plat_hwcap(void);  /* CPUID 1 edx */
unsigned long plat_hwcap2(void); /* bit 1: fsgsbase usable in ring 3 */

#endif
