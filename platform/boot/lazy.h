/* SPDX-License-Identifier: MIT */
#ifndef BOOT_LAZY_H
#define BOOT_LAZY_H

#include <base/compiler.h>
#include <base/types.h>

/* RAM in [start, end), page aligned and not accepted: what does not make up whole large pages is accepted now, the rest when
 * plat_mem_accept asks for it. */
void lazy_add(uint64_t start, uint64_t end);

#endif
