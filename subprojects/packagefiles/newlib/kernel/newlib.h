/* SPDX-License-Identifier: MIT */
/* newlib's configuration for the kernel; for the complete library newlib's own configure writes this file. */
#ifndef __NEWLIB_H__
#define __NEWLIB_H__ 1

#include <_newlib_version.h>

#define _WANT_IO_C99_FORMATS 1
#define _WANT_IO_LONG_LONG   1
#define _WANT_REENT_SMALL    1
#define _NANO_FORMATTED_IO   1
#define _LITE_EXIT           1
#define _MB_LEN_MAX          1
#define _REENT_CHECK_VERIFY  1

#endif
