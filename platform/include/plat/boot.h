/* SPDX-License-Identifier: MIT */
/* What the boot protocol handed over, entropy, and the ways to end the machine. */
#ifndef PLAT_BOOT_H
#define PLAT_BOOT_H

#include <base/compiler.h>
#include <base/types.h>

struct plat_boot {
    const void *payload;  /* struct alcove_image, page aligned, in the linear map; NULL: none */
    uint64_t payload_max; /* bytes of RAM from there to the end of its region */
    const char *
        vmm_cmdline; /* of the loader: not measured, so not trusted; zero-terminated, may be empty */
    bool
        confidential; /* the host is not trusted: devices reach a pool only, what they say proves nothing */
    const char *machine; /* short name of what was found, for messages: "pvh" */
};

/* What the boot protocol handed over; valid from upcall_boot on, copied out of memory that is reused. */
const struct plat_boot *plat_boot_info(void);

/* Fill buf with n random bytes from the CPU (RDSEED, RDRAND). Bits of entropy to credit, 0 when there is none. */
unsigned plat_random(void *buf, size_t n);

/* Two words that stay as they are for as long as the machine goes on from where it was, and change when it is continued from a
 * snapshot: the VMM's, so no secret. All zero where nothing tells. */
void plat_generation(uint64_t ret[2]);

/* Record a boot step's time for --boot-trace; steps past the 24th are not recorded. step is kept, not copied. */
void plat_boot_mark(const char *step);
/* The i-th recorded step and when it ended, ns since boot; false past the last one. */
bool plat_boot_step(size_t i, const char **ret_step, uint64_t *ret_ns);

/* End the machine. failed: tell the VMM where it can be told. Does not return. */
NORETURN void plat_power_off(bool failed);
NORETURN void plat_reset(void);

/* Walk the frame pointers of the caller into addrs, innermost first, as link-time addresses (what addr2line takes). Count. */
size_t plat_backtrace(uintptr_t *addrs, size_t max);

#endif
