/* SPDX-License-Identifier: MIT */
/* lwIP's core/tcp_out.c, with the macros of replace.h in place of its own. */
#include "replace.h"
#include <tcp_out.c>
