/* SPDX-License-Identifier: MIT */
/* Which memory is near to which CPU, as the machine tells. */
#ifndef PLAT_NODE_H
#define PLAT_NODE_H

#include <base/types.h>

enum { PLAT_NODE_MAX = 8 };

/* Nodes: 1 to PLAT_NODE_MAX. */
unsigned plat_node_count(void);
/* The node of the page at pa; 0 where nothing is said. *ret_end: from pa to there it is the same one. */
unsigned plat_node_of(paddr_t pa, uint64_t *ret_end);
/* The node of a CPU. */
unsigned plat_node_of_cpu(unsigned cpu);
/* How far memory of node to is from node from: 10 is local. */
unsigned plat_node_distance(unsigned from, unsigned to);

#endif
