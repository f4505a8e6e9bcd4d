/* SPDX-License-Identifier: MIT */
/* The platform's boot, top to bottom: from the entry code to upcall_boot. What a loader has to say comes as PVH's start
 * info, from the UEFI stub too. Spec: Xen's public/arch-x86/hvm/start_info.h; the loader's data is hostile: sizes are
 * bounded and everything is copied before it is used. */
#include "boot/boot.h"
#include "boot/lazy.h"
#include "boot/memory.h"
#include "cc/cc.h"
#include "vm/vm.h"
#include "x86_64/cpu.h"
#include "x86_64/kmap.h"
#include "x86_64/x86.h"

#include "boot/image.h"
#include <base/log.h>
#include <plat/boot.h>
#include <plat/console.h>
#include <plat/mem.h>
#include <plat/time.h>
#include <plat/upcall.h>

enum { START_MAGIC = 0x336ec578, CMDLINE_MAX = 16 * 4096, MARKS_MAX = 24 };

struct start_module {
    uint64_t pa, size, cmdline_pa, reserved;
};

static struct start_module event_log;

static struct plat_boot boot = { .vmm_cmdline = "", .machine = "pvh" };
static struct {
    const char *step;
    uint64_t tsc;
} marks[MARKS_MAX];
static unsigned mark_count;

const struct plat_boot *plat_boot_info(void)
{
    return &boot;
}

void plat_boot_mark(const char *step)
{
    if (mark_count < MARKS_MAX) {
        marks[mark_count].step = step;
        marks[mark_count++].tsc = x86_rdtsc();
    }
}

bool plat_boot_step(size_t i, const char **ret_step, uint64_t *ret_ns)
{
    struct plat_clock c;

    if (i >= mark_count)
        return false;
    plat_clock(&c);
    *ret_step = marks[i].step;
    *ret_ns = (marks[i].tsc - c.tsc_base) * 1000000 / (c.tsc_hz / 1000);
    return true;
}

NORETURN void boot_fail(const char *text)
{
    plat_console_write(text, __builtin_strlen(text));
    plat_console_write("\r\n", 2);
    plat_power_off(true);
}

/* Copy what lies at pa out of the loader's memory. */
static bool copy_in(void *dst, uint64_t pa, size_t size)
{
    const void *p = boot_window(pa, size);

    if (p)
        x86_copy(dst, p, size);
    return p != NULL;
}

/* The command line into pages of ours; empty where it is absent or longer than the longest of any VMM. */
static void copy_cmdline(uint64_t pa)
{
    const char *p = pa ? boot_window(pa, CMDLINE_MAX) : NULL;
    size_t n = 0;
    char *copy;

    while (p && n < CMDLINE_MAX && p[n])
        n++;
    if (!n || n == CMDLINE_MAX)
        return;
    copy = boot_keep(n + 1);
    if (!copy)
        return;
    x86_copy(copy, p, n);
    copy[n] = 0;
    boot.vmm_cmdline = copy;
}

/* RAM that the host has not given to this guest so far is asked for when it is needed. */
static void accept_memory(struct memmap_entry *map, size_t count)
{
    for (size_t i = 0; i < count && cc_kind() != CC_NONE; i++) {
        uint64_t start = align_up(map[i].addr, PAGE_SIZE);
        uint64_t end = align_down(map[i].addr + map[i].size, PAGE_SIZE);

        if (map[i].type != ALCOVE_MEMORY_UNACCEPTED)
            continue;
        if (map[i].addr + map[i].size < map[i].addr || end > x86_facts.phys_limit)
            boot_fail("alcove: the loader's memory map is out of reach");
        if (start < end)
            lazy_add(start, end);
        map[i] = (struct memmap_entry){ start, end > start ? end - start : 0, MEMMAP_RAM, 0 };
    }
}

static void read_start_info(uint64_t pa, struct boot_start_info *ret)
{
    struct memmap_entry map[MEMMAP_RAW_MAX]; /* 6 KiB of the boot stack */
    struct memmap_range module = { 0 };
    struct start_module m;
    size_t count, modules = 1;

    if (!copy_in(ret, pa, sizeof(*ret)) || ret->magic != START_MAGIC)
        boot_fail("alcove: no PVH start info");
    if (ret->version < 1 || !ret->memmap_pa || !ret->memmap_entries)
        boot_fail("alcove: the loader gave no memory map (PVH start info version 0)");
    count = min_u64(ret->memmap_entries, MEMMAP_RAW_MAX);
    if (!copy_in(map, ret->memmap_pa, count * sizeof(map[0])))
        boot_fail("alcove: the loader's memory map is out of reach");
    accept_memory(map, count);
    if (ret->flags & ALCOVE_START_UEFI)
        modules = 2; /* the event log behind the payload: boot/efi/stub.h */
    if (ret->modules && ret->modules <= modules && copy_in(&m, ret->modules_pa, sizeof(m)) &&
        m.pa + m.size >= m.pa)
        module = (struct memmap_range){ m.pa, m.pa + m.size };
    if (ret->modules == 2 && modules == 2 &&
        !copy_in(&event_log, ret->modules_pa + sizeof(m), sizeof(event_log)))
        event_log.size = 0;
    if (ret->flags & ALCOVE_START_UEFI) {
        boot.machine = "uefi";
        /* Firmware writes on the same line; a terminal forgets what it set, and `alcove run` all that came before. */
        plat_console_write(ALCOVE_UEFI_MARK, sizeof(ALCOVE_UEFI_MARK) - 1);
        if (ret->modules && ret->modules <= modules)
            vm_clock_began(m.reserved);
    } else if (cc_kind() != CC_NONE) {
        boot.machine = cc_name();
    }
    boot.confidential = cc_kind() != CC_NONE;
    boot_memory_init(map, count, module);
}

bool boot_event_log(uint64_t *ret_pa, uint64_t *ret_size)
{
    *ret_pa = event_log.pa;
    *ret_size = event_log.size;
    return event_log.size;
}

static void log_write(enum log_level level, const char *text, size_t len)
{
    (void)level;
    plat_console_write(text, len);
}

static void log_stop(void)
{
    vm_smp_stop_others();
}

static NORETURN void log_finish(void)
{
    vm_smp_say_others();
    vm_power_panicked();
    plat_power_off(true);
}

static size_t log_backtrace(unsigned long *addrs, size_t max)
{
    return plat_backtrace(addrs, max);
}

static const struct log_backend backend = { log_write, log_stop, log_backtrace, log_finish };

void boot_main(uint64_t info)
{
    struct boot_start_info start;

    vm_clock_begin();
    log_set_backend(&backend);
    x86_facts_init();
    x86_cpu_init_first(); /* from here on traps work */
    cc_init();            /* and ports, MSRs and devices of a confidential guest */
    kmap_drop_identity();
    vm_uart_init(); /* and messages */
    cc_report();
    read_start_info(info, &start);
    plat_boot_mark("memory");
    copy_cmdline(start.cmdline_pa);
    boot.payload = boot_payload(&boot.payload_max);
    vm_acpi_init(start.rsdp_pa);
    vm_power_init(); /* and ending the machine as it wants it */
    plat_boot_mark("acpi");
    vm_apic_init();
    vm_clock_init();
    vm_timer_init();
    vm_events_init();
    plat_boot_mark("clock");
    vm_smp_reserve();
    boot_memory_done();
    kmap_boot_done();
    upcall_boot();
}
