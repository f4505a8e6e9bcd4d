/* SPDX-License-Identifier: MIT */
/* Restartable sequences (linux/rseq.h). */
#ifndef ABI_RSEQ_H
#define ABI_RSEQ_H

#include <stdint.h>

#define RSEQ_FLAG_UNREGISTER               0x1
#define RSEQ_CPU_ID_UNINITIALIZED          (-1)
#define RSEQ_CPU_ID_REGISTRATION_FAILED    (-2)
#define RSEQ_CS_FLAG_NO_RESTART_ON_PREEMPT 0x1
#define RSEQ_CS_FLAG_NO_RESTART_ON_SIGNAL  0x2
#define RSEQ_CS_FLAG_NO_RESTART_ON_MIGRATE 0x4

/* The area that a thread registers, 32-byte aligned. node_id and mm_cid are Linux 6.3's. */
struct abi_rseq {
    uint32_t cpu_id_start;
    uint32_t cpu_id;
    uint64_t rseq_cs; /* address of a struct abi_rseq_cs, or 0 */
    uint32_t flags;
    uint32_t node_id;
    uint32_t mm_cid;
    uint32_t pad0;
};

struct abi_rseq_cs {
    uint32_t version;
    uint32_t flags;
    uint64_t start_ip;
    uint64_t post_commit_offset;
    uint64_t abort_ip;
};

#endif
