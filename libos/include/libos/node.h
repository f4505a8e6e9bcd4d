/* SPDX-License-Identifier: MIT */
/* Memory by node: what policies of programs choose from. */
#ifndef LIBOS_NODE_H
#define LIBOS_NODE_H

#include <base/compiler.h>
#include <base/types.h>
#include <libos/page.h>

struct mempolicy;
struct mm;

/* There is more than one node. */
extern bool node_many;
/* Nodes: they have the numbers from 0 on. */
unsigned node_count(void);
/* All of them, a bit for each. */
uint64_t node_all(void);
/* The node that p is on. */
unsigned page_node(const struct page *p);

/* Pages of one node. */
struct node_memory {
    uint64_t total, free;
};
void node_memory(unsigned node, struct node_memory *ret);

/* A page as of page_alloc, of the node in allowed that is nearest to node. NULL: there is none, and nothing was reclaimed. */
struct page *page_alloc_on(unsigned node, uint64_t allowed, enum page_kind kind, unsigned flags);

/* The nodes that a policy with nodes (not MPOL_DEFAULT, not MPOL_LOCAL) means on this machine. */
uint64_t mempolicy_nodes(const struct mempolicy *policy);
/* The node where page index (of the address space) is to be by policy; allowed, if not NULL, gets those that it may be on. */
unsigned mempolicy_node(const struct mempolicy *policy, uint64_t index, uint64_t *ret_allowed);
/* Up to n cleared anonymous pages by policy, the first for page index; how many. */
size_t mempolicy_alloc(const struct mempolicy *policy, uint64_t index, struct page **out, size_t n);

/* The next part of the map at or above addr. False: there is none. */
bool mm_next_range(struct mm *mm, uintptr_t addr, uintptr_t *ret_start, uintptr_t *ret_end);
/* Have the page at addr on node: where it is afterwards. -EFAULT, -ENOENT as above; -EBUSY: others have it too, or a device, or it
 * is a file's; -ENOMEM: nothing is free there. Sleeps. */
NODISCARD int mm_move_page(struct mm *mm, uintptr_t addr, unsigned node);

#endif
