/* SPDX-License-Identifier: MIT */
/* newlib numbers some errors differently from Linux, so only its own sources may see its numbers. */
#ifdef ALCOVE_LIBK
#include_next <sys/errno.h>
#else
#error "newlib's error numbers are not Linux's: include abi/errno.h"
#endif
