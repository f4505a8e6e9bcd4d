/* SPDX-License-Identifier: MIT */
/* A hypervisor for tests: it runs an Alcove image as an AMD SEV, SEV-ES, SEV-SNP or Intel TDX guest on a machine that is none, QEMU's
 * emulation of AMD SVM with nested paging. It plays the host and the security processor, or the host and the TDX module.
 *
 * Memory. Guest physical addresses have two aliases, told apart by bit 47: one private, one shared. A private
 * page lives at another host address (+ PRIVATE_OFFSET) than its shared namesake, so that devices, whose addresses are not
 * translated, see shared memory only, as the hardware would have it. The nested tables map the private alias of a page only
 * while it is assigned and validated, the shared one only while it is not assigned. SEV and SEV-ES have no such states: both
 * aliases are always there, and what was written through one is not read through the other. A CPU that starts in real mode
 * uses private memory alone until it loads page tables with the C-bit.
 *
 * Interrupts of the machine reach the guest by themselves, but with restricted injection: then they end its run, and it is told by its
 * doorbell page (doorbell.c).
 *
 * What this cannot show: encryption, cache effects, RMP entries of 2 MiB, timing, and whatever of the architecture the
 * emulator does not have (x2APIC, TSC deadline, RDSEED). Spec: AMD APM volume 2, chapter 15; GHCB specification 2.03. */
#ifndef CCSIM_H
#define CCSIM_H

#include <base/compiler.h>
#include <base/types.h>

#define ALIAS_BIT      (1ull << 47)  /* SNP: the C-bit, set = private. TDX: the shared bit */
#define GUEST_MEMORY   0x20000000ull /* bytes of guest RAM, from 0 */
#define PRIVATE_OFFSET GUEST_MEMORY
#define SIM_PAGES      (GUEST_MEMORY / PAGE_SIZE)

/* What the loader puts into the guest's first megabyte, all private. */
#define GPA_TABLES 0x70000ull /* page tables: root, pdpt, pd */
#define GPA_MAILBOX                                                                                \
    0x73000ull /* TDX: where further CPUs wait, SEV-ES: where they are told to go, SVSM: its memory; this and the tables are the firmware's for good */
#define GPA_SECRETS 0x80000ull
#define GPA_CPUID   0x81000ull
#define GPA_BLOB    0x82000ull
#define GPA_INFO    0x83000ull /* start info, memory map behind it */
#define GPA_CMDLINE 0x84000ull
#define GPA_STACK   0x90000ull
#define GPA_ACPI                                                                                   \
    0xc0000ull /* copies of the machine's tables; nothing below 1 MiB is RAM from 0x9f000 on */
#define GPA_ACPI_END 0x100000ull

/* General registers that the VMCB does not hold, in the order of sim_vmrun. */
struct regs {
    uint64_t rcx, rdx, rbx, rbp, rsi, rdi, r8, r9, r10, r11, r12, r13, r14, r15;
};

struct vmcb;

enum { CPUS_MAX = 8 };

/* One virtual CPU; it runs on the machine's CPU of the same number. */
struct vcpu {
    struct vmcb *vmcb;
    struct regs regs;
    uint64_t ghcb_msr;  /* C001_0130 */
    uint64_t ghcb_page; /* guest address registered by the guest, 0: none */
    uint64_t svsm_area; /* its calling area */
    uint32_t apic_id;
    bool flush;    /* page states changed: flush at the next entry */
    bool running;  /* it has a state to run from */
    bool in_guest; /* set and cleared by its CPU; the others look at it */
    bool kicked;   /* the next NMI is the simulator's own */
    /* TDX: the last #VE; pending: the guest has not taken what is known about it. */
    struct {
        bool pending;
        uint64_t reason, qualification, gpa, length;
    } ve;
    /* Restricted injection: the doorbell page; interrupts that have come, and those of them that were ended; one of them is
     * announced and not done with, and whether it wants an end. */
    struct {
        uint64_t page, vectors[4], ended[4];
        bool nmi, serving, needs_no_end, again, done;
        unsigned steps;
    } bell;
};

/* What the simulator does wrong on purpose, by name on its command line: attack=NAME. */
struct sim_options {
    const char *attack; /* "" : none */
    bool trace;         /* every exit on the console */
    bool measure;    /* a launch digest of the image's pages, and not a constant: takes seconds */
    bool count;      /* say how many exits there were when the machine ends */
    bool scan;       /* say that shared memory was looked at when the machine ends */
    bool tdx;        /* else SEV */
    bool sev;        /* no page states: SEV or SEV-ES */
    bool es;         /* of these, SEV-ES */
    bool svsm;       /* SNP: the guest is at VMPL 2, below a module */
    bool accept_all; /* UEFI: the firmware leaves no memory to be accepted */
    bool secure_tsc; /* SNP: the counter is the processor's, with an offset */
    bool rinj;       /* SNP: restricted injection */
};
extern struct sim_options sim_options;

/* Counted for the report at the end: see sim_end. */
struct sim_counts {
    uint64_t exits, vc, vmgexits, psc_pages, pvalidates, cpuid, io, msr, mmio, messages, ticks,
        rings, late;
};
extern struct sim_counts sim_counts;

/* smp.c: send an interrupt to a CPU of the machine, by a command of the local APIC. */
void sim_send(uint32_t apic_id, uint32_t command);

/* io.c */
PRINTF(1, 2) void sim_say(const char *format, ...);
/* A byte that the firmware says; it is shown when the machine ends. */
void sim_hear(uint8_t byte);
/* The run has failed: say why and what the guest was doing, end the machine. */
NORETURN PRINTF(1, 2) void sim_fail(const char *format, ...);
/* Exits so far, by kind. */
void sim_say_counts(const char *how);
/* The guest is over as it wanted. */
NORETURN void sim_end(const char *how);
/* The guest ended itself. */
NORETURN void sim_end_terminated(unsigned set, unsigned reason);
bool sim_attack(const char *name);
/* Look for secrets of the guest in all shared memory; one ends the run. Before the machine ends. */
void sim_scan_shared(void);
/* The same in one page, by which the guest talks to its host. At each call. */
void sim_scan_page(uint64_t gpa);

/* memory.c: page states and nested tables. PAGE_VMSA: validated, and the state of a CPU, which nobody else may touch. */
enum page_state { PAGE_SHARED = 0, PAGE_ASSIGNED = 1, PAGE_VMSA = 2, PAGE_VALID = 3 };
void sim_memory_init(void);
uint64_t sim_nested_root(void);
/* Both aliases private: of a CPU without the C-bit in its root. */
uint64_t sim_nested_root_private(void);
enum page_state sim_page_state(uint64_t gpa);
void sim_page_set(uint64_t gpa, enum page_state s);
/* The nested table names another page for this one: the processor compares that with its own, and refuses. */
void sim_page_refuse(uint64_t gpa);
bool sim_page_refused(uint64_t gpa);
/* Which alias a guest address is of; the two aliases of an address without ALIAS_BIT. */
bool sim_is_private(uint64_t gpa);
uint64_t sim_private(uint64_t plain);
uint64_t sim_shared(uint64_t plain);
/* Host address of a guest address in its alias; NULL: no RAM. */
void *sim_host(uint64_t gpa);

/* walk.c: the guest's own address space. */
bool sim_translate(struct vcpu *c, uint64_t va, uint64_t *ret_gpa);
size_t sim_guest_read(struct vcpu *c, uint64_t va, void *buf, size_t n);
bool sim_guest_write(struct vcpu *c, uint64_t va, const void *buf, size_t n);
/* Make the guest take vector with an error code, which the emulator's event injection does not push for 29. */
void sim_raise_vc(struct vcpu *c, uint64_t error);
/* The same of any vector, 0: without an error code; the run ends when another event is being delivered. */
void sim_raise(struct vcpu *c, unsigned vector, uint64_t error);

/* Make the guest take #VE. Ends the run when it has not taken the information of the last one. */
void sim_raise_ve(struct vcpu *c, uint64_t reason, uint64_t qualification, uint64_t gpa,
                  uint64_t length);

/* tdx.c: the module. sim_tdx_work: what the host does at its leisure. */
void sim_tdcall(struct vcpu *c);
void sim_tdx_work(void);
/* CPUID and MSRs that the module or the processor serves without the host; false: #VE. */
bool sim_tdx_cpuid(struct vcpu *c);
bool sim_tdx_msr(struct vcpu *c, bool write);

/* load.c. sim_boot_state: as a firmware hands over, at entry. */
void sim_load(struct vcpu *c, uint64_t info_pa);
void sim_boot_state(struct vmcb *v, uint64_t entry);

/* sev.c: what the host of a SEV guest does by itself. False: this exit is none of these. */
bool sim_sev_exit(struct vcpu *c);
/* The APIC's command register: CPUs of a SEV or SEV-ES guest start by it. True: that was it. */
bool sim_sev_command(uint64_t pa, uint64_t value);

/* cpuid.c: the table that the security processor has checked. */
void sim_cpuid_page(void *page);
void sim_secrets_page(void *page);
/* SecureTSC: the frequency's register, in MHz rounded up, and by how many 1/100000 that is too much; the offset of the
 * counters. */
uint64_t sim_tsc_mhz(void);
uint32_t sim_tsc_factor(void);
#define SIM_TSC_OFFSET 0x123456789aull

struct sim_cpuid {
    uint32_t eax, ebx, ecx, edx;
};
/* Put into *r what the guest's own CR4 and XCR0 say in a leaf, as a processor has it. */
void sim_os_features(const struct vcpu *c, uint32_t leaf, uint32_t sub, struct sim_cpuid *r);
/* The sizes of what XCR0 has on, leaf 0xd. XSETBV is not intercepted, so that the register is the guest's. */
void sim_xsave_size(uint32_t leaf, uint32_t sub, struct sim_cpuid *r);
bool sim_cpuid_find(uint32_t leaf, uint32_t sub, struct sim_cpuid *ret);

/* devices.c: what the host does for its guest. */
uint64_t sim_port_in(uint16_t port, unsigned size);
void sim_port_out(uint16_t port, unsigned size, uint64_t value);
uint64_t sim_mmio_read(uint64_t pa, unsigned size);
void sim_mmio_write(uint64_t pa, unsigned size, uint64_t value);

/* fwcfg.c: a file that the test gave to the simulator; its size, 0: there is none. */
size_t sim_file(const char *name, void *buf, size_t max);

/* psp.c: the security processor. Key n of guest messages; r and s over data as reports have them (144 bytes); a message of
 * the guest, which the host carries: 0, or the error for exitinfo2. */
void sim_key(unsigned n, uint8_t key[32]);
void sim_sign(const uint8_t *data, size_t n, uint8_t *out);
/* By the quoting enclave (opt/ccsim/qe-key): signature and public key, 128 bytes. */
void sim_sign_quote(const uint8_t *data, size_t n, uint8_t *out);
/* attack=message-late: it changes an answer that was read. */
void sim_psp_work(void);
uint64_t sim_guest_request(uint64_t request, uint64_t answer, uint64_t certs, uint64_t *pages);

/* A report of the guest at this level, 0x4a0 bytes with its signature. */
void sim_report(const uint8_t data[64], unsigned vmpl, uint8_t *out);

/* svsm.c: the guest wants the module at this level to run. */
void sim_svsm(struct vcpu *c, unsigned level);

/* acpi.c: the guest's own copies of the machine's tables; where the first one is. */
uint64_t sim_acpi(uint64_t rsdp_pa);

/* load.c: the launch measurement, 48 bytes. */
void sim_measurement(uint8_t *out);
/* The privilege level that the guest runs at. */
unsigned sim_vmpl(void);

/* smp.c: the machine's CPUs. All that is not the guest runs under one lock. */
extern struct vcpu sim_cpus[CPUS_MAX];
extern unsigned sim_cpu_count;
void sim_lock(void);
void sim_unlock(void);
/* The first CPU's, and each further one that the tables name, before the others are started. */
void sim_add_cpu(uint32_t apic_id);
void sim_start_cpus(void);
/* c changed page states: no CPU goes on with what it had cached. */
void sim_flush_others(struct vcpu *c);
/* Have the CPU with this APIC id run from the page at gpa, which holds its state. False: there is none that waits. */
bool sim_create_cpu(uint32_t apic_id, uint64_t gpa);
/* The calling area of a CPU that does not run so far. False: there is none. */
bool sim_set_area(uint32_t apic_id, uint64_t gpa);
/* A start-up IPI's work: real mode at cs:ip, unless the CPU runs. */
void sim_start_cpu(uint32_t apic_id, uint16_t cs, uint16_t ip);
/* The machine's CPU that this runs on; the one with this APIC id, or NULL. */
struct vcpu *sim_this_cpu(void);
struct vcpu *sim_find_cpu(uint32_t apic_id);

/* doorbell.c: on each CPU of the machine, and of the guest. */
void sim_doorbell_init(void);
void sim_doorbell_intercepts(struct vmcb *v);
/* The guest's request about its page: what goes to exitinfo2. */
uint64_t sim_doorbell_request(struct vcpu *c, uint64_t what, uint64_t gpa);
void sim_doorbell_halt(struct vcpu *c);
/* A write to the interrupt controller; true: it is done. */
bool sim_doorbell_apic(struct vcpu *c, uint64_t gpa, uint64_t value);
/* Before the guest runs on: announce and ring. */
void sim_doorbell_enter(struct vcpu *c);

/* main.c: what of the guest's instructions the simulator wants to see. */
void sim_intercepts(struct vmcb *v);
/* On each CPU: it can run guests, and takes NMIs. */
void sim_cpu_init(unsigned index);

/* attack.c: before an exit is dealt with; true: it is not any more. */
bool sim_attack_running(struct vcpu *c);

/* ghcb.c */
void sim_vmgexit(struct vcpu *c);

/* exits.c */
/* Called with the lock, which is held whenever the guest does not run. */
NORETURN void sim_run(struct vcpu *c);

/* start.S: the code for further CPUs, to be copied below 1 MiB; where they come out. */
extern const char sim_ap_start[], sim_ap_end[];
NORETURN void sim_ap_main(void);
void sim_load_idt(void);
void sim_vmrun(uint64_t vmcb_pa, struct regs *r);

#endif
