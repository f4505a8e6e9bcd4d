/* SPDX-License-Identifier: MIT */
/* The host platform's additions to the seam, for test programs. */
#ifndef PLAT_HOST_H
#define PLAT_HOST_H

#include <base/compiler.h>
#include <plat/mmio.h>

/* Set the machine up: memory arena, traps, messages to standard error. Called first, once. */
void plat_host_init(void);

/* Make the current libOS thread go on at fn, on a stack of its own, when it returns to "ring 3". For the start function
 * of a test's first thread, in the place where a program would be loaded. fn does not return. */
void plat_host_enter(void (*fn)(void));

/* A system call from "ring 3"; the result or a negative errno. */
long plat_host_syscall(long nr, long a0, long a1, long a2, long a3, long a4, long a5);

/* A device of the test's own, which answers every access of a driver. A NULL member: reads give all ones, writes are
 * ignored. Register memory that plat_mmio_map "maps" is at the address MMIO_BASE + pa and cannot be followed. */
struct plat_host_bus {
    uint64_t (*mmio_read)(uint64_t pa, unsigned bytes);
    void (*mmio_write)(uint64_t pa, unsigned bytes, uint64_t value);
    uint32_t (*io_read)(uint16_t port, unsigned bytes);
    void (*io_write)(uint16_t port, unsigned bytes, uint32_t value);
    uint32_t (*pci_read)(uint16_t function, unsigned offset, unsigned bytes);
    void (*pci_write)(uint16_t function, unsigned offset, unsigned bytes, uint32_t value);
    bool (*slot)(size_t i, struct plat_virtio_mmio *ret);
    bool (*tpm)(struct plat_tpm *ret);
    size_t (*tpm_log)(void *ret, size_t max);
    /* A driver reads memory that it shares with its device: value is what is there. The answer, which may be a lie. */
    uint64_t (*shared_read)(const volatile void *p, unsigned bytes, uint64_t value);
};
/* NULL: no devices, as at the start. Forgets all interrupts that were attached. */
void plat_host_bus_set(const struct plat_host_bus *bus);
/* Raise what a driver attached: a line by number, a message by what was written for it. False: nobody's. */
bool plat_host_irq(unsigned gsi);
/* What was given to plat_irq_attach for line gsi; NULL. */
void *plat_host_irq_arg(unsigned gsi);
bool plat_host_msi(uint64_t address, uint32_t data);

/* Let memory be n nodes; before page_init. */
void plat_host_nodes(unsigned n);
/* What plat_generation says from now on. */
void plat_host_generation_set(uint64_t a, uint64_t b);
/* Let the platform's wall time be ns later than it was, as plat_wall_again_ns tells. */
void plat_host_wall_step(int64_t ns);

#endif
