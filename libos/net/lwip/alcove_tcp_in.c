/* SPDX-License-Identifier: MIT */
/* lwIP's core/tcp_in.c, with the macros of replace.h in place of its own. */
#include "replace.h"
#define tcp_output net_tcp_output
#include <tcp_in.c>
