/* SPDX-License-Identifier: MIT */
/* The few facts taken from ACPI tables. The readers are pure functions over bytes that the host wrote: every length is
 * bounded, nothing is executed. Spec: ACPI 6.5, chapter 5. */
#ifndef VM_ACPI_H
#define VM_ACPI_H

#include <base/types.h>

enum {
    ACPI_IOAPIC_MAX = 4,
    ACPI_OVERRIDE_MAX = 16,
    ACPI_CPU_MAX = 64,
    ACPI_SLOT_MAX = 32,
    ACPI_GED_MAX = 4,
    ACPI_NODE_MAX = 8,
    ACPI_NUMA_RANGES = 16,
    ACPI_TABLE_MAX = 64,           /* tables looked at */
    ACPI_TABLE_SIZE_MAX = 1 << 20, /* bytes of one table */
};

/* A register in I/O or memory space; address 0: none. */
struct acpi_register {
    uint64_t address;
    uint8_t space; /* 0 memory, 1 I/O */
    uint8_t bits;
};

struct acpi_ioapic {
    uint64_t address;
    uint32_t gsi_base;
};

struct acpi_override {
    uint32_t gsi;
    uint8_t irq;
    bool level, low;
};

/* A virtio-mmio device. */
struct acpi_slot {
    uint64_t pa;
    uint32_t size, gsi;
};

/* Memory of a node; a CPU in a domain. */
struct acpi_numa_range {
    uint64_t start, end;
    uint8_t node;
};
struct acpi_numa_cpu {
    uint32_t apic_id, domain;
};

struct acpi_numa {
    uint8_t nodes, ranges, cpus, slit; /* how many; slit: rows of distance, by domain */
    uint32_t domains[ACPI_NODE_MAX];   /* of each node */
    struct acpi_numa_range range[ACPI_NUMA_RANGES];
    struct acpi_numa_cpu cpu[ACPI_CPU_MAX];
    uint8_t distance[ACPI_NODE_MAX][ACPI_NODE_MAX];
};

struct acpi_facts {
    bool present; /* an RSDP and a root table were found */
    bool madt;
    bool pic;           /* 8259s are there: MADT PCAT_COMPAT */
    uint64_t lapic;     /* address, 0: not said */
    unsigned cpu_count; /* enabled ones */
    uint32_t cpus[ACPI_CPU_MAX];
    uint64_t mailbox; /* of the multiprocessor wake-up structure, 0: none */
    unsigned ioapic_count, override_count;
    struct acpi_ioapic ioapics[ACPI_IOAPIC_MAX];
    struct acpi_override overrides[ACPI_OVERRIDE_MAX];
    struct acpi_register pm_timer;
    bool pm_timer_32; /* it counts 32 bits, else 24 */
    bool reduced;     /* hardware-reduced: sleep registers, not PM1 */
    struct acpi_register sleep_control, pm1a, pm1b, reset;
    uint8_t reset_value;
    struct acpi_register pm1a_event,
        pm1b_event; /* status; half of pm1_event_bytes further: enable */
    uint8_t pm1_event_bytes;
    uint16_t sci; /* the ISA interrupt that tells of them */
    uint16_t smi_command;
    uint8_t
        acpi_enable; /* written to the port smi_command it hands the registers over; 0: they are */
    uint64_t ged;    /* address of the generic event device's register, 0: none */
    uint8_t ged_bytes, ged_power; /* its width, and the bit that says power button */
    unsigned ged_gsi_count;       /* its interrupts: one, or with Firecracker one for each event */
    uint32_t ged_gsis[ACPI_GED_MAX];
    struct acpi_register
        gpe0; /* general-purpose events: status, half of gpe0_bytes further: enable */
    uint8_t gpe0_bytes;
    uint64_t
        generation; /* address of the 16 bytes that name this run of the machine (VMGenID), 0: none */
    uint64_t vmclock; /* address of the vmclock page, 0: none */
    uint32_t vmclock_size;
    uint16_t pvpanic;     /* port, 0: none */
    uint16_t cpu_hotplug; /* first port of QEMU's CPU hot-plug registers, 0: none */
    bool keyboard;        /* an i8042 with a keyboard on interrupt 1 */
    bool have_s5;
    uint8_t s5_a, s5_b;             /* SLP_TYP values of \_S5 */
    uint64_t dsdt;                  /* address */
    uint64_t hpet;                  /* address, 0: none */
    uint64_t tpm;                   /* address of a TPM 2.0's registers, 0: none */
    uint64_t tpm_log, tpm_log_size; /* where the firmware may have left its log; 0: nowhere */
    bool tpm_crb;                   /* they are a command response buffer, else a FIFO (TIS) */
    uint64_t ecam; /* first MCFG entry of segment 0, or what the DSDT says; 0: none */
    uint8_t ecam_first, ecam_last;
    uint64_t pci_window, pci_window_end; /* where BARs may be put, below 4 GiB; 0: not said */
    struct acpi_numa numa;
    unsigned slot_count;
    struct acpi_slot slots[ACPI_SLOT_MAX];
};

/* How the readers reach physical memory: copy size bytes at pa to dst; false: not readable. */
struct acpi_memory {
    bool (*read)(void *context, void *dst, uint64_t pa, size_t size);
    void *context;
};

/* Find the RSDP: at hint if not 0, else through the EBDA and the BIOS area. Its address, 0: none. */
uint64_t acpi_find_rsdp(const struct acpi_memory *m, uint64_t hint);

/* Read everything from the RSDP on. scratch: ACPI_TABLE_SIZE_MAX bytes or as many as there are. */
void acpi_read(const struct acpi_memory *m, uint64_t rsdp, void *scratch, size_t scratch_size,
               struct acpi_facts *ret);

/* One table each; size bytes at table, whose header was checked. */
void acpi_parse_madt(const uint8_t *table, size_t size, struct acpi_facts *ret);
void acpi_parse_fadt(const uint8_t *table, size_t size, struct acpi_facts *ret);
void acpi_parse_hpet(const uint8_t *table, size_t size, struct acpi_facts *ret);
void acpi_parse_tpm2(const uint8_t *table, size_t size, struct acpi_facts *ret);
void acpi_parse_mcfg(const uint8_t *table, size_t size, struct acpi_facts *ret);
void acpi_parse_srat(const uint8_t *table, size_t size, struct acpi_facts *ret);
void acpi_parse_slit(const uint8_t *table, size_t size, struct acpi_facts *ret);

/* The node of an address, and where that may end; of a CPU; and the distance of two nodes. */
unsigned acpi_node_of(const struct acpi_numa *n, uint64_t pa, uint64_t *ret_end);
unsigned acpi_node_of_cpu(const struct acpi_numa *n, uint32_t apic_id);
unsigned acpi_node_distance(const struct acpi_numa *n, unsigned from, unsigned to);

/* \_S5 in a DSDT's byte code: a Name of a Package of constants. */
void acpi_parse_s5(const uint8_t *table, size_t size, struct acpi_facts *ret);
/* All that is taken from a DSDT: \_S5, virtio-mmio slots, the PCI window where there was no MCFG, and what an SSDT may have. */
void acpi_parse_dsdt(const uint8_t *table, size_t size, struct acpi_facts *ret);
/* What tells of snapshots: VMGenID and vmclock. */
void acpi_parse_ssdt(const uint8_t *table, size_t size, struct acpi_facts *ret);

#endif
