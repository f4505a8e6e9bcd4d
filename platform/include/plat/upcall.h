/* SPDX-License-Identifier: MIT */
/* The functions that the platform calls. Declared here by the platform, defined above it (libos; upcall_syscall by
 * the generated dispatcher). All run with interrupts off. */
#ifndef PLAT_UPCALL_H
#define PLAT_UPCALL_H

#include <base/compiler.h>
#include <base/types.h>
#include <plat/thread.h>

/* The machine is up on the first CPU's boot stack: page tables, traps, clock and console work. Does not return. */
NORETURN void upcall_boot(void);

/* A further CPU is up. Does not return. */
NORETURN void upcall_cpu_start(unsigned cpu);

/* A system call of the current thread; the result. Registers are in plat_current()->frame too, complete.
 * Defined by the generated dispatcher in syscalls/. The parameter order is what the entry code has in registers. */
long upcall_syscall(unsigned long a0, unsigned long a1, unsigned long a2, unsigned long a3,
                    unsigned long a4, unsigned long a5, unsigned long nr);
/* The same, called in its place after plat_syscall_trace. */
long upcall_syscall_traced(unsigned long a0, unsigned long a1, unsigned long a2, unsigned long a3,
                           unsigned long a4, unsigned long a5, unsigned long nr);

/* plat_current()->work is not 0 and the thread is about to go to ring 3: signals, rescheduling, tracing. Clears what
 * it served; called again until work is 0. */
void upcall_user_return(struct plat_frame *frame);

enum plat_access { PLAT_ACCESS_READ, PLAT_ACCESS_WRITE, PLAT_ACCESS_EXEC };

/* A page fault on a user address, from ring 3 or from a user copy in ring 0; interrupts are off, it may sleep.
 * present: a leaf was there and forbade it. 0: try again. Else a negative errno: a copy in ring 0 then gives -EFAULT;
 * from ring 3 libOS has queued the signal itself. */
int upcall_fault(uintptr_t addr, enum plat_access access, bool present, bool from_user);

/* Why a debug exception came, as its error code. */
enum { PLAT_DEBUG_STEP, PLAT_DEBUG_HARDWARE, PLAT_DEBUG_INSTRUCTION };

/* Any other exception of ring 3 (trap_nr: the CPU's vector, error: its code, addr: the address it concerns or 0).
 * libOS queues the signal that Linux would. */
void upcall_exception(unsigned trap_nr, unsigned long error, uintptr_t addr);

/* This CPU's timer is due. in_program: the program was running when it fell due, rather than ring 0, which takes no
 * interrupts: one that it holds back comes right after it. */
void upcall_timer(bool in_program);

/* plat_cpu_kick was called for this CPU. */
void upcall_kick(void);

/* The machine's power button was pressed: the VMM wants an orderly end. In an interrupt. */
void upcall_power_button(void);

/* The machine goes on from a snapshot, or was stopped for a while: what is known of wall time is stale, and another machine may
 * have the same state of the random generator. In an interrupt. */
void upcall_resumed(void);

/* plat_clock's facts are others than before; plat_time_ns went on without a step back. In an interrupt. */
void upcall_clock_changed(void);

/* Page-table pages: one zeroed page, or v == 0; and its return. Must not sleep. */
paddr_t upcall_page_alloc(void);
void upcall_page_free(paddr_t pa);
/* The same from what is kept for work that frees memory. */
paddr_t upcall_page_alloc_reserve(void);
/* Memory for devices: 1 << order pages in a row, cleared, or v == 0; and their return. Must not sleep. */
paddr_t upcall_block_alloc(unsigned order);
void upcall_block_free(paddr_t pa);

/* A page table gets one more user. */
void upcall_table_get(paddr_t pa);
/* Whether it has more than one. */
bool upcall_table_shared(paddr_t pa);
/* It loses a user, if there is another one. False: there is none, the table is the caller's alone. */
bool upcall_table_put(paddr_t pa);

/* n pages (at most 64) get one more leaf each. Bit i of the result: pages[i] is copied on write, so neither leaf may be
 * writable. */
uint64_t upcall_leaves_get(const paddr_t *pages, size_t n);
/* They lose one. */
void upcall_leaves_put(const paddr_t *pages, size_t n);

/* The 2 MiB page at pa gets one more large leaf. */
void upcall_large_get(paddr_t pa);
/* Whether anybody else shows the page, or a part of it. */
bool upcall_large_shared(paddr_t pa);
/* It loses one. */
void upcall_large_put(paddr_t pa);

#endif
