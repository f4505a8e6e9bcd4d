/* SPDX-License-Identifier: MIT */
/* PR_SET_MM of prctl(2). */
#ifndef ABI_PRCTL_MM_H
#define ABI_PRCTL_MM_H

#include <base/types.h>

#define PR_SET_MM_START_CODE  1
#define PR_SET_MM_END_CODE    2
#define PR_SET_MM_START_DATA  3
#define PR_SET_MM_END_DATA    4
#define PR_SET_MM_START_STACK 5
#define PR_SET_MM_START_BRK   6
#define PR_SET_MM_BRK         7
#define PR_SET_MM_ARG_START   8
#define PR_SET_MM_ARG_END     9
#define PR_SET_MM_ENV_START   10
#define PR_SET_MM_ENV_END     11
#define PR_SET_MM_AUXV        12
#define PR_SET_MM_EXE_FILE    13
#define PR_SET_MM_MAP         14
#define PR_SET_MM_MAP_SIZE    15

/* All of it at once. */
struct abi_prctl_mm_map {
    uint64_t start_code, end_code, start_data, end_data, start_brk, brk, start_stack;
    uint64_t arg_start, arg_end, env_start, env_end;
    uint64_t auxv; /* address of auxv_size bytes; 0 bytes: it stays */
    uint32_t auxv_size;
    uint32_t exe_fd; /* -1: the file stays */
};

#endif
