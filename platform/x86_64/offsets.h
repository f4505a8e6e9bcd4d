/* SPDX-License-Identifier: MIT */
/* Offsets and constants that assembly needs; thread.c and cpu.c assert each against the C declarations. */
#ifndef X86_64_OFFSETS_H
#define X86_64_OFFSETS_H

#define PERCPU_CURRENT    8
#define PERCPU_USER_SP    16
#define PERCPU_KERNEL_TOP 24
#define PERCPU_RUNG       48 /* struct x86_cpu, behind struct plat_percpu */

#define THREAD_WORK     0
#define THREAD_FLAGS    4
#define THREAD_SLOW     1
#define THREAD_DOORBELL 4

#define FRAME_RAX      80
#define FRAME_R10      56
#define FRAME_R9       64
#define FRAME_R8       72
#define FRAME_RDX      96
#define FRAME_RSI      104
#define FRAME_RDI      112
#define FRAME_ORIG_RAX 120
#define FRAME_RIP      128
#define FRAME_CS       136
#define FRAME_RFLAGS   144
#define FRAME_RSP      152
#define FRAME_SIZE     168

#define USER_MAX    0x7ffffffff000 /* PLAT_USER_MAX */
#define USER_EFAULT 14
#define USER_EINVAL 22

#ifdef __ASSEMBLER__
#define SEL_USER_DATA 0x2b
#define SEL_USER_CODE 0x33
#define MSR_GS_BASE   0xc0000101
#define IST_SIZE      4096
#endif

#endif
