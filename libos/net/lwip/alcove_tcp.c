/* SPDX-License-Identifier: MIT */
/* lwIP's core/tcp.c, with the macros of replace.h in place of its own. */
#include "replace.h"
#define tcp_output            net_tcp_output
#define tcp_rexmit_rto_commit net_tcp_rexmit
/* Only where the window is smaller than a segment: what the clock asks for. */
#define tcp_split_unsent_seg(pcb, n) (net_tcp_split((pcb), (n)), ERR_OK)
#include <tcp.c>
