/* SPDX-License-Identifier: MIT */
/* What the drivers trust. */
#ifndef DRIVERS_POLICY_H
#define DRIVERS_POLICY_H

#include <stdbool.h>

/* The VMM is an adversary (hostile-vmm): modern virtio over PCI with ACCESS_PLATFORM only, configuration space by ports
 * only, device memory from a pool. */
bool policy_hostile(void);

#endif
