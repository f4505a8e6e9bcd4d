/* SPDX-License-Identifier: MIT */
/* `alcove measure`: what a verifier shall expect of an image, before it is deployed. */
#include "commands.h"

#include "disk.h"
#include "image.h"
#include "kernels.h"
#include "lint.h"
#include "options.h"
#include "snp.h"
#include "tcg.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* The image and everything that was asked of it. */
struct subject {
    const struct options *o;
    const char *path;
    struct pe pe;
    struct tcg_image boot;
    struct buf json;
};

static void print(struct subject *s, const char *name, const uint8_t *digest, size_t n)
{
    char *hex = hash_hex(digest, n);
    if (s->o->given & OPT_JSON)
        buf_printf(&s->json, "%s\"%s\":\"%s\"", s->json.len ? "," : "", name, hex);
    else
        printf("%-16s %s\n", name, hex);
}

static void print_extended(struct subject *s, const char *name, const struct extended *e)
{
    print(s, name, e->value, e->size);
}

static void read_image(struct subject *s)
{
    const uint8_t *data;
    size_t size;
    uint64_t at = 0, efi_size;
    int err = file_map(s->path, &data, &size);
    if (err < 0)
        fail_errno(s->path, -err, "cannot read the image");
    efi_size = size;
    if (disk_find_efi(data, size, &at, &efi_size))
        s->boot = (struct tcg_image){ .disk = data, .disk_size = size };
    if (pe_read(data + at, efi_size, &s->pe) || !pe_find(&s->pe, ".linux"))
        fail(s->path, "is neither app.efi nor app.img; only UEFI measures what it starts (alcove "
                      "build --format efi)");
    const char *wrong = lint_pe(&s->pe);
    if (wrong)
        fail(s->path, "is damaged (%s); build it again", wrong);
    s->boot.pe = &s->pe;
    struct image image;
    bool is;
    if (s->o->given & (OPT_SNP | OPT_TDX) && !image_read(data, size, &image, &is))
        kernel_need(kernel_of_image(&image), KERNEL_CC, s->o->given & OPT_SNP ? "--snp" : "--tdx");
}

static void measure_snp(struct subject *s)
{
    struct firmware f;
    struct snp_hashes hashes;
    uint8_t digest[SNP_DIGEST];
    uint32_t signature;
    const struct options *o = s->o;
    const char *type = o->cpu_type ? o->cpu_type : "EPYC-v4";
    const struct snp_vmm *vmm = snp_vmm_find(o->vmm ? o->vmm : "qemu");
    if (!vmm)
        fail("--vmm", "'%s' is not known; one of: qemu, ec2, gce", o->vmm);
    if (!snp_cpu_signature(type, &signature))
        fail("--cpu-type", "'%s' is not known; one of: %s", type, snp_cpu_types());
    firmware_read(firmware_find(o->firmware), &f);
    if (!f.snp_count)
        fail(f.path, "has no SEV-SNP metadata; name one that has: --firmware FILE");
    bool direct = !s->boot.disk && vmm->cpu_signature;
    if (direct && !f.hashes_at)
        fail(f.path,
             "has no place for hashes, so it would start any kernel; take one of the AmdSev "
             "build, or measure a disk (app.img) with --vtpm too");
    if (direct) {
        const char *append = o->append ? o->append : "";
        (void)hash_bytes("SHA256", s->pe.data, s->pe.size, hashes.kernel);
        (void)hash_bytes("SHA256", "", 0, hashes.initrd);
        (void)hash_bytes("SHA256", append, strlen(append) + 1, hashes.cmdline);
    }
    snp_firmware_digest(&f, digest);
    snp_launch_digest(&f, vmm, signature, o->cpus ? o->cpus : 1, direct ? &hashes : NULL, digest);
    print(s, "snp-measurement", digest, sizeof(digest));
    if (!direct && !(o->given & OPT_JSON))
        say("the SNP measurement covers the firmware alone; what it starts is in the vTPM's PCRs "
            "(--vtpm)");
}

static void measure_tdx(struct subject *s)
{
    struct firmware f;
    struct extended rtmr1, rtmr2;
    uint8_t mrtd[HASH_MAX];
    firmware_read(firmware_find(s->o->firmware), &f);
    tcg_mrtd(&f, mrtd);
    extended_init(&rtmr1, "SHA384");
    extended_init(&rtmr2, "SHA384");
    tcg_rtmrs(&s->boot, &rtmr1, &rtmr2);
    print(s, "mrtd", mrtd, 48);
    print_extended(s, "rtmr1", &rtmr1);
    print_extended(s, "rtmr2", &rtmr2);
}

static void measure_vtpm(struct subject *s)
{
    static const char *const algorithms[] = { "SHA256", "SHA384" };
    static const char *const names[2][3] = { { "sha256-pcr4", "sha256-pcr5", "sha256-pcr11" },
                                             { "sha384-pcr4", "sha384-pcr5", "sha384-pcr11" } };
    for (size_t i = 0; i < 2; i++) {
        struct extended pcr[3];
        for (size_t k = 0; k < 3; k++)
            extended_init(&pcr[k], algorithms[i]);
        tcg_pcrs(&s->boot, &pcr[0], &pcr[1], &pcr[2]);
        for (size_t k = 0; k < 3; k++)
            print_extended(s, names[i][k], &pcr[k]);
    }
}

int command_measure(int argc, char **argv)
{
    enum { WHAT = OPT_SNP | OPT_TDX | OPT_VTPM };
    enum {
        KNOWN = WHAT | OPT_JSON | OPT_CPUS | OPT_CPU_TYPE | OPT_VMM | OPT_FIRMWARE | OPT_APPEND
    };
    struct options o = { 0 };
    struct subject *s = xcalloc(1, sizeof(*s));
    int at = options_read("measure", KNOWN, argc, argv, &o);
    argc = options_read_tail(KNOWN, at + 1, argc, argv, &o);
    if (at >= argc)
        fail("measure", "no image; write alcove measure IMAGE --snp|--tdx|--vtpm");
    if (at + 1 < argc)
        fail("measure", "takes one image, '%s' is left over", argv[at + 1]);
    if (!(o.given & WHAT))
        fail("measure", "for what? add --snp, --tdx or --vtpm");
    s->o = &o;
    s->path = argv[at];
    read_image(s);
    if (o.given & OPT_SNP)
        measure_snp(s);
    if (o.given & OPT_TDX)
        measure_tdx(s);
    if (o.given & OPT_VTPM)
        measure_vtpm(s);
    if (o.given & OPT_JSON)
        printf("{%s}\n", s->json.s);
    return 0;
}
