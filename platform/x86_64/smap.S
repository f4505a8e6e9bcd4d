/* SPDX-License-Identifier: MIT */
/* Included by the others: STAC and CLAC. Each place is noted, and where the CPU has no SMAP, boot_place makes it a NOP. */

.macro smap_site
    .pushsection .smap_sites, "a", @progbits
    .balign 4
    .long 779f - .
    .popsection
779:
.endm

/* Ring 3's pages can be touched from here on, and no longer. */
.macro user_on
    smap_site
    stac
.endm

.macro user_off
    smap_site
    clac
.endm
