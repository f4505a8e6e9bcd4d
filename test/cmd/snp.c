/* SPDX-License-Identifier: MIT */
/* The SNP launch digest against figures that virtee/sev-snp-measure's tests publish. They begin with the digest after the
 * pages of an AmdSev build of OVMF, whose ranges are below, and are of a KVM that did not yet set the FPU's registers (nor,
 * on EC2, rdx), so the rows of the table of VMMs are changed in these fields. */
#include "snp.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

static const struct firmware amdsev = {
    .path = "AmdSev",
    .snp = { { 0x800000, 0x9000, SNP_SEC_MEMORY },
             { 0x80a000, 0x3000, SNP_SEC_MEMORY },
             { 0x80d000, 0x1000, SNP_SECRETS },
             { 0x80e000, 0x1000, SNP_CPUID },
             { 0x80f000, 0x1000, SNP_KERNEL_HASHES },
             { 0x810000, 0x10000, SNP_SEC_MEMORY } },
    .snp_count = 6,
    .hashes_at = 0x80fc00,
    .ap_entry = 0x80b004,
};

static const char firmware_a[] = "edcf6d1c57ce868a167c990f58c8667c698269ef9e0803246419eea914186343"
                                 "054d557e1f17acd93b032c106bc70d25";
static const char firmware_b[] = "cab7e085874b3acfdbe2d96dcaa3125111f00c35c6fc9708464c2ae74bfdb048"
                                 "a198cb9a9ccae0b3e5e1a33f5f249819";

static const struct vector {
    const char *from, *vmm, *append; /* append NULL: no kernel */
    unsigned cpus;
    const char *want;
} vectors[] = {
    { firmware_b, "qemu", "", 1,
      "db06fb267824b1ccb56edbe2a9c2ce88841bca5090dc6dac91d9cd30f3c2c0bf42daccb30d55d6625bfbf0dae5c5"
      "0c6d" },
    { firmware_a, "qemu", "console=ttyS0 loglevel=7", 1,
      "f07864303ad8243132029e8110b92805c78d1135a15da75f67abb9a711d78740347f24ee76f603e650ec4adf3611"
      "cc1e" },
    { firmware_a, "ec2", "", 1,
      "760b6e51039d2d6c1fc6d38ca5c387967d158e0294883e4522c36f89bd61bfc9cdb975cd1ceedffbe1b23b1daf4e"
      "3f42" },
    { firmware_a, "qemu", NULL, 1,
      "e5e6be5a8fa6256f0245666bb237e2d028b7928148ce78d51b8a64dc9506c377709a5b5d7ab75554593bced304fc"
      "ff93" },
    { firmware_a, "qemu", "", 4,
      "1c784beb8c49aa604b7fd57fbc73b36ec53a3f5fb48a2b895ad6cc2ea15d18ee7cc15e3e57c792766b45f944c3e8"
      "1cfe" },
};

static void unhex(const char *hex, uint8_t *ret, size_t n)
{
    for (size_t i = 0; i < n; i++) {
        char pair[3] = { hex[2 * i], hex[2 * i + 1], 0 };
        ret[i] = (uint8_t)strtoul(pair, NULL, 16);
    }
}

static void test_vectors(void **state)
{
    for (size_t i = 0; i < sizeof(vectors) / sizeof(*vectors); i++) {
        const struct vector *v = &vectors[i];
        struct snp_vmm vmm = *snp_vmm_find(v->vmm);
        struct snp_hashes hashes;
        uint8_t digest[SNP_DIGEST];
        uint32_t signature;
        vmm.mxcsr = vmm.fcw = 0;
        vmm.rdx = 0;
        assert_true(snp_cpu_signature("EPYC-v4", &signature));
        unhex(v->from, digest, sizeof(digest));
        /* The kernel and the initial RAM disk are empty files there. */
        (void)hash_bytes("SHA256", "", 0, hashes.kernel);
        (void)hash_bytes("SHA256", "", 0, hashes.initrd);
        (void)hash_bytes("SHA256", v->append ? v->append : "",
                         v->append ? strlen(v->append) + 1 : 0, hashes.cmdline);
        snp_launch_digest(&amdsev, &vmm, signature, v->cpus, v->append ? &hashes : NULL, digest);
        assert_string_equal(hash_hex(digest, sizeof(digest)), v->want);
    }
}

static void test_names(void **state)
{
    uint32_t signature;
    assert_true(snp_cpu_signature("EPYC-Milan", &signature));
    assert_int_equal(signature, 0xa00f11);
    assert_true(snp_cpu_signature("EPYC-Genoa", &signature));
    assert_int_equal(signature, 0xa10f10);
    assert_false(snp_cpu_signature("486", &signature));
    assert_null(snp_vmm_find("xen"));
}

int main(void)
{
    const struct CMUnitTest tests[] = { cmocka_unit_test(test_vectors),
                                        cmocka_unit_test(test_names) };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
