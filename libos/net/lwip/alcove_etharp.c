/* SPDX-License-Identifier: MIT */
/* lwIP's core/ipv4/etharp.c, and its clock for many ticks at once. */
#include "replace.h"
#include <ipv4/etharp.c>

void net_arp_ticks(uint32_t n)
{
    for (int i = 0; n > 1 && i < ARP_TABLE_SIZE; i++)
        if (arp_table[i].state == ETHARP_STATE_PENDING)
            for (; n > 1; n--)
                etharp_tmr(); /* it asks again with each tick */
    for (int i = 0; n > 1 && i < ARP_TABLE_SIZE; i++)
        if (arp_table[i].state != ETHARP_STATE_EMPTY && arp_table[i].state != ETHARP_STATE_STATIC)
            arp_table[i].ctime =
                (u16_t)(arp_table[i].ctime + n - 1 < ARP_MAXAGE ? arp_table[i].ctime + n - 1
                                                                : ARP_MAXAGE);
    etharp_tmr();
}
