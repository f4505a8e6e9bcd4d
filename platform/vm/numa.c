/* SPDX-License-Identifier: MIT */
/* Nodes of memory, as SRAT and SLIT have them. A machine without these is one node. */
#include "vm/vm.h"

#include <plat/cpu.h>
#include <plat/node.h>

_Static_assert((int)PLAT_NODE_MAX == (int)ACPI_NODE_MAX, "nodes are the tables'");

unsigned plat_node_count(void)
{
    unsigned n = vm_acpi()->numa.nodes;

    return n ? n : 1;
}

unsigned plat_node_of(paddr_t pa, uint64_t *ret_end)
{
    return acpi_node_of(&vm_acpi()->numa, pa.v, ret_end);
}

unsigned plat_node_of_cpu(unsigned cpu)
{
    return acpi_node_of_cpu(&vm_acpi()->numa, vm_cpu_apic_id(cpu));
}

unsigned plat_node_distance(unsigned from, unsigned to)
{
    return acpi_node_distance(&vm_acpi()->numa, from, to);
}
