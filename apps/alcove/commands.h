/* SPDX-License-Identifier: MIT */
/* The commands. Each gets its own name as argv[0] and returns the exit status. */
#ifndef ALCOVE_CMD_COMMANDS_H
#define ALCOVE_CMD_COMMANDS_H

#include "pack.h"

int command_build(int argc, char **argv);
int command_run(int argc, char **argv);
int command_trace(int argc, char **argv);
int command_check(int argc, char **argv);
int command_inspect(int argc, char **argv);
int command_measure(int argc, char **argv);
int command_deploy(int argc, char **argv);
int command_keyserver(int argc, char **argv);
int command_volume(int argc, char **argv);

#endif
