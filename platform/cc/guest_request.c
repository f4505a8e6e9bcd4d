/* SPDX-License-Identifier: MIT */
/* The channel between an SEV-SNP guest and the security processor: keys from the secrets page, which the processor has
 * filled and the host cannot read, and the exit that hands an encrypted message over. What is in a message, and its
 * encryption, is libOS's. Spec: AMD SEV-SNP firmware ABI 1.55, 7.3 and 8.14.2.5; GHCB specification 2.03, 4.1.7 and 4.1.8. */
#include "boot/boot.h"
#include "cc/cc_int.h"
#include "cc/ghcb.h"
#include "x86_64/x86.h"

#include <abi/errno.h>
#include <plat/cc.h>

enum { KEYS = 4 };

/* struct snp_secrets_page of Linux as far as it is used. */
struct PACKED secrets {
    uint32_t version;
    uint8_t other[28];
    uint8_t key[KEYS][PLAT_SNP_KEY];
    uint32_t sequence
        [KEYS]; /* messages that earlier software of this guest has sent, each with an answer */
    uint8_t rest[0x140 - 0xb0];
    uint64_t svsm_base, svsm_size, svsm_caa;
    uint32_t svsm_max_version;
    uint8_t svsm_guest_vmpl, reserved[3];
    uint32_t tsc_factor;
};
_Static_assert(offsetof(struct secrets, sequence) == 0xa0, "struct snp_secrets_page");
_Static_assert(offsetof(struct secrets, tsc_factor) == 0x160, "struct snp_secrets_page");

static struct secrets secrets; /* keys: zero once they were taken */

void snp_secrets_read(uint64_t pa)
{
    struct secrets *loaded = (struct secrets *)pa;

    x86_copy(&secrets, loaded, sizeof(secrets));
    x86_clear(loaded->key, sizeof(loaded->key));
}

void snp_find_svsm(void)
{
    if (secrets.svsm_size)
        svsm_init(secrets.svsm_base, secrets.svsm_size, secrets.svsm_caa, secrets.svsm_max_version,
                  secrets.svsm_guest_vmpl);
}

uint32_t snp_tsc_factor(void)
{
    return min_u64(secrets.tsc_factor, 100000);
}

bool plat_snp(void)
{
    return cc_kind() == CC_SNP;
}

int plat_snp_take_key(uint8_t ret_key[PLAT_SNP_KEY], uint64_t *ret_sequence, unsigned *ret_vmpl)
{
    unsigned vmpl = secrets.svsm_size ? secrets.svsm_guest_vmpl : 0;
    bool there = false;

    if (!plat_snp() || vmpl >= KEYS)
        return -ENODEV;
    for (unsigned i = 0; i < PLAT_SNP_KEY; i++)
        there |= secrets.key[vmpl][i] != 0;
    if (!there)
        return -ENODEV;
    x86_copy(ret_key, secrets.key[vmpl], PLAT_SNP_KEY);
    x86_clear(secrets.key, sizeof(secrets.key));
    *ret_sequence = secrets.sequence[vmpl];
    *ret_vmpl = vmpl;
    return 0;
}

int plat_snp_request(uint64_t request, uint64_t response, uint64_t certs, uint64_t *pages,
                     uint64_t *ret_verdict)
{
    struct ghcb_regs r = { .rax = certs, .rbx = *pages };
    unsigned in = certs ? GHCB_RAX | GHCB_RBX : 0;

    if (!plat_snp())
        return -ENODEV;
    if (!ghcb_exit(certs ? GHCB_EXIT_REQUEST_CERTS : GHCB_EXIT_REQUEST, request, response, in,
                   GHCB_INFO2 | GHCB_RBX, &r))
        return -EIO;
    *ret_verdict = r.info2;
    *pages = r.rbx;
    return 0;
}
