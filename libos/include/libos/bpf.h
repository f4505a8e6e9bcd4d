/* SPDX-License-Identifier: MIT */
/* Classic BPF programs over a small block of 32-bit words, as seccomp(2) has them. No state, no allocation. */
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

#endif
