/* SPDX-License-Identifier: MIT */
/* Classic BPF programs over a small block of 32-bit words, as seccomp(2) has them, or over a packet, as sockets do. No state,
 * no allocation. */
#ifndef LIBOS_BPF_H
#define LIBOS_BPF_H

#include <abi/seccomp.h>
#include <base/compiler.h>
#include <base/types.h>

/* Is this a program that ends after at most n steps, whatever it reads, and touches nothing but its 16 words of memory and
 * size bytes (a multiple of 4) of data? n: 1 to BPF_MAXINSNS. scratch: n words for the check. -EINVAL. */
NODISCARD int bpf_check(const struct abi_sock_filter *prog, size_t n, size_t size,
                        uint16_t *scratch);
/* Run a program that bpf_check took on data; what it returns. Division by zero ends it with 0. */
uint32_t bpf_run(const struct abi_sock_filter *prog, const uint32_t *data, size_t size);

/* A packet: the first have bytes of len, and facts about it. */
struct bpf_packet {
    const uint8_t *data;
    uint32_t have, len;
    uint16_t protocol; /* Ethernet's, host order */
    uint8_t type;      /* PACKET_* */
    unsigned ifindex;
};
/* The same for a program over packets, which a place outside of the packet ends with 0. -EINVAL. */
NODISCARD int bpf_check_packet(const struct abi_sock_filter *prog, size_t n, uint16_t *scratch);
/* Run one that bpf_check_packet took; how many bytes are let through. */
uint32_t bpf_run_packet(const struct abi_sock_filter *prog, const struct bpf_packet *p);

#endif
