/* SPDX-License-Identifier: MIT */
/* The rest of the machine that the host platform plays: one CPU, messages to standard error, the end. */
#define _GNU_SOURCE
#include "host.h"

#include <plat/boot.h>
#include <plat/console.h>
#include <plat/cpu.h>
#include <plat/host.h>

#include <base/crc.h>
#include <base/log.h>
#include <cpuid.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/auxv.h>
#include <sys/random.h>
#include <unistd.h>

void host_mem_init(void);

void x86_sha256(uint32_t state[8], const void *data, size_t blocks);

bool plat_sha256(uint32_t state[8], const void *data, size_t blocks)
{
    unsigned a, b, c, d;

    if (!__get_cpuid_count(7, 0, &a, &b, &c, &d) || !(b & 1u << 29))
        return false;
    x86_sha256(state, data, blocks);
    return true;
}

void x86_aes_xts(const struct plat_aes_xts *x, const uint8_t iv[16], const void *in, void *out,
                 size_t blocks);

/* Without ALCOVE_NO_AES in the environment: tests run both ways. */
bool plat_has_aes(void)
{
    unsigned a, b, c, d;

    return __get_cpuid(1, &a, &b, &c, &d) && c & 1u << 25 && !getenv("ALCOVE_NO_AES");
}

bool plat_aes_xts(const struct plat_aes_xts *x, const uint8_t iv[16], const void *in, void *out,
                  size_t blocks)
{
    if (!plat_has_aes())
        return false;
    x86_aes_xts(x, iv, in, out, blocks);
    return true;
}

void x86_sha256_lanes(uint32_t state[8][PLAT_SHA256_LANES],
                      const void *const data[PLAT_SHA256_LANES], size_t blocks);

bool plat_sha256_lanes(uint32_t state[8][PLAT_SHA256_LANES],
                       const void *const data[PLAT_SHA256_LANES], size_t blocks)
{
    if (!__builtin_cpu_supports("avx2"))
        return false;
    x86_sha256_lanes(state, data, blocks);
    return true;
}

static void write_log(enum log_level level, const char *text, size_t len)
{
    (void)level;
    plat_console_write(text, len);
}

static void stop_nobody(void)
{
}

static size_t no_backtrace(unsigned long *addrs, size_t max)
{
    (void)addrs, (void)max;
    return 0; /* the sanitizer prints a better one */
}

static NORETURN void finish(void)
{
    abort();
}

void plat_host_init(void)
{
    static const struct log_backend backend = { write_log, stop_nobody, no_backtrace, finish };

    log_set_backend(&backend);
    host_mem_init();
    host_traps_init();
}

void plat_host_enter(void (*fn)(void))
{
    struct plat_thread *t = plat_host_cpu.current;
    char *stack = aligned_alloc(4096, 1 << 20);

    must(stack);
    t->frame->rip = (uint64_t)(uintptr_t)fn;
    t->frame->rsp = (uint64_t)(uintptr_t)(stack + (1 << 20) - 8);
    t->frame->rflags = 0x202;
}

const struct plat_boot *plat_boot_info(void)
{
    static const struct plat_boot info = { .vmm_cmdline = "", .machine = "host" };

    return &info;
}

unsigned plat_random(void *buf, size_t n)
{
    return getrandom(buf, n, 0) == (ssize_t)n ? (unsigned)n * 8 : 0;
}

static uint64_t generation[2];

void plat_host_generation_set(uint64_t a, uint64_t b)
{
    generation[0] = a;
    generation[1] = b;
}

void plat_generation(uint64_t ret[2])
{
    ret[0] = generation[0];
    ret[1] = generation[1];
}

void plat_boot_mark(const char *step)
{
    (void)step;
}

bool plat_boot_step(size_t i, const char **ret_step, uint64_t *ret_ns)
{
    (void)i, (void)ret_step, (void)ret_ns;
    return false;
}

void plat_power_off(bool failed)
{
    exit(failed);
}

void plat_reset(void)
{
    exit(0);
}

size_t plat_backtrace(uintptr_t *addrs, size_t max)
{
    (void)addrs, (void)max;
    return 0;
}

void plat_console_off(void)
{
}

void plat_console_write(const char *text, size_t len)
{
    while (len) {
        ssize_t n = write(STDERR_FILENO, text, len);
        if (n <= 0)
            return;
        text += n;
        len -= (size_t)n;
    }
}

bool plat_uart(size_t i, struct plat_uart *ret)
{
    (void)i, (void)ret;
    return false;
}

unsigned plat_cpu_count(void)
{
    return 1;
}

void plat_cpu_start_all(void)
{
}

void plat_cpu_kick(unsigned cpu)
{
    (void)cpu; /* only this one, which is in libOS already */
}

void plat_membarrier(struct plat_aspace *as)
{
    (void)as;
    __atomic_thread_fence(__ATOMIC_SEQ_CST);
}

uint32_t plat_crc32c(uint32_t crc, const void *buf, size_t len)
{
    return crc32c_add(crc, buf, len);
}

size_t plat_cpu_describe(unsigned cpu, char *buf, size_t size)
{
    int n = snprintf(buf, size, "processor\t: %u\nvendor_id\t: host\n\n", cpu);

    return n < 0 ? 0 : (size_t)n < size ? (size_t)n : size - 1;
}

unsigned long plat_hwcap(void)
{
    return getauxval(AT_HWCAP);
}

unsigned long plat_hwcap2(void)
{
    return getauxval(AT_HWCAP2);
}
