/* SPDX-License-Identifier: MIT */
/* The programs that alcove calls, and the files it was installed with. */
#ifndef ALCOVE_CMD_TOOLS_H
#define ALCOVE_CMD_TOOLS_H

#include "util.h"

/* Path of a program in $PATH, then in /usr/sbin and /sbin; NULL when there is none. */
char *tool_find(const char *name);

/* Run argv (argv[0] is looked for by tool_find; when it is not there the line says to install package) with env ("K=V")
 * added to the environment, and wait. Its standard output goes to *ret_out; when it fails, the command ends with the last
 * line of what it said. */
void tool_run(const char *const argv[], const char *env, const char *package, struct buf *ret_out);

/* A file that came with the command. In the build directory: build_name beside the directory of this program; installed:
 * PREFIX/share/alcove/NAME. $variable overrides both. NULL when there is none. */
char *tool_data(const char *variable, const char *build_name, const char *name);

#endif
