/* SPDX-License-Identifier: MIT */
/* Programs of classic BPF: what the check takes runs to its end and touches nothing but its memory and its data. The input
 * is a list of instructions, six bytes each, most of which are made to be known codes. */
#include <libos/bpf.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t size);

enum { MOST = 200, DATA = 64 };

static const uint16_t codes[] = {
    BPF_LD | BPF_W | BPF_ABS,
    BPF_LD | BPF_H | BPF_ABS,
    BPF_LD | BPF_B | BPF_ABS,
    BPF_LD | BPF_W | BPF_IND,
    BPF_LD | BPF_B | BPF_IND,
    BPF_LD | BPF_W | BPF_LEN,
    BPF_LD | BPF_IMM,
    BPF_LD | BPF_MEM,
    BPF_LDX | BPF_IMM,
    BPF_LDX | BPF_MEM,
    BPF_LDX | BPF_W | BPF_LEN,
    BPF_LDX | BPF_B | BPF_MSH,
    BPF_ST,
    BPF_STX,
    BPF_ALU | BPF_ADD | BPF_X,
    BPF_ALU | BPF_DIV | BPF_X,
    BPF_ALU | BPF_MOD | BPF_X,
    BPF_ALU | BPF_DIV | BPF_K,
    BPF_ALU | BPF_LSH | BPF_X,
    BPF_ALU | BPF_RSH | BPF_X,
    BPF_ALU | BPF_MUL | BPF_K,
    BPF_ALU | BPF_XOR | BPF_K,
    BPF_ALU | BPF_NEG,
    BPF_ALU | BPF_LSH | BPF_K,
    BPF_JMP | BPF_JA,
    BPF_JMP | BPF_JEQ | BPF_K,
    BPF_JMP | BPF_JGT | BPF_X,
    BPF_JMP | BPF_JSET | BPF_K,
    BPF_MISC | BPF_TAX,
    BPF_MISC | BPF_TXA,
    BPF_RET | BPF_A,
    BPF_RET | BPF_K,
};

static size_t make(const uint8_t *bytes, size_t size, struct abi_sock_filter *prog)
{
    size_t n = 0;
    for (size_t i = 0; i + 6 <= size && n < MOST; i += 6) {
        const uint8_t *b = bytes + i;
        uint16_t code = b[0] < 250 ? codes[b[0] % 32] : (uint16_t)(b[0] << 8 | b[1]);
        uint32_t k = b[1] < 128   ? b[2] % 20
                     : b[1] < 200 ? b[2] % 17 * 4u
                                  : (uint32_t)b[2] << 24 | b[3];
        prog[n++] = (struct abi_sock_filter){ code, b[4] % 8, b[5] % 8, k };
    }
    if (n && bytes[0] % 16)
        prog[n - 1] = (struct abi_sock_filter){ BPF_RET | BPF_K, 0, 0, 1 };
    return n;
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t size)
{
    struct abi_sock_filter some[MOST], *prog;
    if (size < 6)
        return 0;
    size_t n =
        make(bytes, size < 7 * 6 + bytes[0] % 64u * 6 ? size : 7 * 6 + bytes[0] % 64u * 6, some);
    uint16_t *scratch = malloc(n * sizeof(*scratch) + 1);
    uint32_t *data = malloc(DATA);
    prog = malloc(n * sizeof(*prog));
    memcpy(prog, some, n * sizeof(*prog));
    memset(data, bytes[1], DATA);
    if (bpf_check(prog, n, DATA, scratch) == 0)
        (void)bpf_run(prog, data, DATA);
    for (uint32_t have = 0; have <= DATA; have += 31) {
        uint8_t *packet = malloc(have + 1);
        memcpy(packet, data, have);
        struct bpf_packet p = { .data = packet, .have = have, .len = have + bytes[2] };
        if (bpf_check_packet(prog, n, scratch) == 0)
            (void)bpf_run_packet(prog, &p);
        free(packet);
    }
    free(scratch);
    free(data);
    free(prog);
    return 0;
}
