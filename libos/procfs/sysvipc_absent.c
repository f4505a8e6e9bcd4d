/* SPDX-License-Identifier: MIT */
/* In place of /proc/sysvipc in a libOS that is linked without System V objects. */
#include "proc.h"

const struct gen_entry proc_sysvipc_entries[] = { { .name = NULL } };
