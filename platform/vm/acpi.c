/* SPDX-License-Identifier: MIT */
/* ACPI tables read from the machine's memory, and what they said. The readers are in acpi_read.c and acpi_parse.c. */
#include "vm/acpi.h"
#include "boot/boot.h"
#include "boot/memory.h"
#include "vm/vm.h"
#include "x86_64/x86.h"

#include <base/log.h>

static struct acpi_facts facts;

const struct acpi_facts *vm_acpi(void)
{
    return &facts;
}

static bool read_memory(void *context, void *dst, uint64_t pa, size_t size)
{
    const void *p = boot_window(pa, size);

    (void)context;
    if (!p)
        return false;
    x86_copy(dst, p, size);
    return true;
}

void vm_acpi_init(uint64_t rsdp)
{
    const struct acpi_memory m = { read_memory, NULL };
    size_t size = ACPI_TABLE_SIZE_MAX;
    void *scratch = NULL;

    rsdp = acpi_find_rsdp(&m, rsdp);
    if (!rsdp)
        return;
    while (!scratch && size >= 4 * PAGE_SIZE) {
        scratch = boot_scratch(size);
        if (!scratch)
            size /= 2;
    }
    if (scratch)
        acpi_read(&m, rsdp, scratch, size, &facts);
}
