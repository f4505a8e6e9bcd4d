/* SPDX-License-Identifier: MIT */
/* Loads the image and hands over as a measured loader (an IGVM file, a small firmware) does: 64-bit mode at the
 * image's entry for it, the first GiB mapped one to one as private memory, rdi = PVH start info. Only what
 * was loaded is validated; the rest of RAM has type 15 in the memory map. A file for UEFI is not entered itself but given to
 * a small firmware (firmware/), which is entered in the same way and starts the file. */
#include "ccsim.h"
#include "handoff.h"
#include "vmcb.h"
#include "x86_64/x86.h"

#include <abi/elf.h>
#include <alcove/image.h>
#include <mbedtls/sha512.h>
#include <string.h>

enum {
    START_MAGIC = 0x336ec578,
    RAM = 1,
    RESERVED = 2,
    DIGEST = 48,
    TDX_PIECE = 256,
    PAGE_NORMAL = 1, /* kinds of pages in the launch digest */
    PAGE_SECRETS = 5,
    PAGE_CPUID = 6,
    UNACCEPTED = ALCOVE_MEMORY_UNACCEPTED,
    MAP_MAX = 32,
    BLOB_MAGIC = 0x45444d41,
    LAUNCHED_MORE = 8 << 20,
};

struct start_info {
    uint32_t magic, version, flags, modules;
    uint64_t modules_pa, cmdline_pa, rsdp_pa, memmap_pa;
    uint32_t memmap_entries, cc_blob;
};
struct module {
    uint64_t pa, size, cmdline, reserved;
};
struct map_entry {
    uint64_t addr, size;
    uint32_t type, reserved;
};
/* struct cc_blob_sev_info */
struct PACKED blob {
    uint32_t magic;
    uint16_t version, reserved0;
    uint64_t secrets_pa;
    uint32_t secrets_size, reserved1;
    uint64_t cpuid_pa;
    uint32_t cpuid_size, reserved2;
};

static uint8_t digest[DIGEST];

unsigned sim_vmpl(void)
{
    return sim_options.svsm ? 2 : 0;
}

/* One step of SNP's launch digest: LD = SHA-384(LD || what the page is). Spec: SEV-SNP firmware ABI 1.55, 8.17.2. */
static void extend(uint8_t type, uint64_t gpa, const void *page)
{
    struct PACKED {
        uint8_t digest[DIGEST], contents[DIGEST];
        uint16_t length;
        uint8_t type, imi, permissions[4];
        uint64_t gpa;
    } info = { .length = 0x70, .type = type, .gpa = gpa };
    uint8_t hash[64];

    memcpy(info.digest, digest, DIGEST);
    if (page) {
        mbedtls_sha512_ret(page, PAGE_SIZE, hash, 1);
        memcpy(info.contents, hash, DIGEST);
    }
    mbedtls_sha512_ret((const uint8_t *)&info, sizeof(info), hash, 1);
    memcpy(digest, hash, DIGEST);
}

static void tdx_block(mbedtls_sha512_context *c, const char *step, uint64_t gpa)
{
    uint8_t block[128] = { 0 };

    memcpy(block, step, strlen(step));
    memcpy(block + 16, &gpa, sizeof(gpa));
    mbedtls_sha512_update_ret(c, block, sizeof(block));
}

/* One page of MRTD: TDH.MEM.PAGE.ADD, and TDH.MR.EXTEND for each of its pieces. Spec: TDX module 1.5, 12.2. */
static void tdx_add(mbedtls_sha512_context *c, uint64_t gpa)
{
    const uint8_t *page = sim_host(sim_private(gpa));

    tdx_block(c, "MEM.PAGE.ADD", gpa);
    for (unsigned at = 0; at < PAGE_SIZE; at += TDX_PIECE) {
        tdx_block(c, "MR.EXTEND", gpa + at);
        mbedtls_sha512_update_ret(c, page + at, TDX_PIECE);
    }
}

static void measure_tdx(uint64_t end)
{
    mbedtls_sha512_context c;
    uint8_t hash[64];

    mbedtls_sha512_init(&c);
    mbedtls_sha512_starts_ret(&c, 1);
    for (uint64_t gpa = 0x100000; gpa < end; gpa += PAGE_SIZE)
        if (sim_page_state(gpa) == PAGE_VALID)
            tdx_add(&c, gpa);
    mbedtls_sha512_finish_ret(&c, hash);
    memcpy(digest, hash, DIGEST);
}

/* The image's pages, then the two that the security processor makes. What the machine's firmware left below 1 MiB and the
 * first CPU's state are not in it. */
static void measure(uint64_t end)
{
    memset(digest, sim_options.measure ? 0 : 0x4d, DIGEST);
    if (!sim_options.measure)
        return;
    if (sim_options.tdx) {
        measure_tdx(end);
        return;
    }
    for (uint64_t gpa = 0x100000; gpa < end; gpa += PAGE_SIZE)
        if (sim_page_state(gpa) == PAGE_VALID)
            extend(PAGE_NORMAL, gpa, sim_host(sim_private(gpa)));
    extend(PAGE_SECRETS, GPA_SECRETS, NULL);
    extend(PAGE_CPUID, GPA_CPUID, NULL);
}

void sim_measurement(uint8_t *out)
{
    memcpy(out, digest, DIGEST);
}

static void *private(uint64_t gpa)
{
    return sim_host(sim_private(gpa));
}

static void launch_page(uint64_t gpa)
{
    sim_page_set(gpa, PAGE_VALID);
}

/* The pages of [start, end) become private with the content that the machine's firmware left there. */
static void take_over(uint64_t start, uint64_t end)
{
    for (uint64_t gpa = align_down(start, PAGE_SIZE); gpa < end && gpa < GUEST_MEMORY;
         gpa += PAGE_SIZE) {
        memcpy(private(gpa), sim_host(sim_shared(gpa)), PAGE_SIZE);
        launch_page(gpa);
    }
}

/* The note of alcove/image.h: where 64-bit mode enters, relative to the note's own word. */
static uint64_t find_entry(const uint8_t *file, uint64_t size, const struct abi_elf64_ehdr *h)
{
    for (unsigned i = 0; i < h->e_phnum; i++) {
        const struct abi_elf64_phdr *p = (const void *)(file + h->e_phoff + i * h->e_phentsize);
        uint64_t at = p->p_offset;

        while (p->p_type == PT_NOTE && at + 12 < p->p_offset + p->p_filesz && at + 12 < size) {
            const uint32_t *note = (const void *)(file + at);
            uint64_t desc = at + 12 + align_up(note[0], 4);

            if (note[2] == ALCOVE_NOTE_ENTRY64 && !memcmp(note + 3, "Alcove", 7))
                return p->p_paddr + (desc - p->p_offset) +
                       (uint64_t)(int64_t) * (const int32_t *)(file + desc);
            at = desc + align_up(note[1], 4);
        }
    }
    sim_fail("the image has no 64-bit entry");
}

/* Returns the first address after the image. */
static uint64_t load_elf(const uint8_t *file, uint64_t size, uint64_t *ret_entry)
{
    const struct abi_elf64_ehdr *h = (const void *)file;
    uint64_t end = 0;

    if (size < sizeof(*h) || memcmp(h->e_ident, "\177ELF", 4) != 0)
        sim_fail("the module is no ELF file");
    for (unsigned i = 0; i < h->e_phnum; i++) {
        const struct abi_elf64_phdr *p = (const void *)(file + h->e_phoff + i * h->e_phentsize);
        uint64_t last = align_up(p->p_paddr + p->p_memsz, PAGE_SIZE);

        if (p->p_type != 1)
            continue;
        if (last > GUEST_MEMORY || p->p_offset + p->p_filesz > size)
            sim_fail("the image does not fit into the guest's memory");
        for (uint64_t gpa = align_down(p->p_paddr, PAGE_SIZE); gpa < last; gpa += PAGE_SIZE) {
            memset(private(gpa), 0, PAGE_SIZE);
            launch_page(gpa);
        }
        memcpy(private(p->p_paddr), file + p->p_offset, p->p_filesz);
        end = max_u64(end, last);
    }
    *ret_entry = find_entry(file, size, h);
    return end;
}

/* The firmware, and behind the file that it starts so much memory that the file can be loaded. */
static uint64_t load_firmware(const uint8_t *file, uint64_t size)
{
    uint64_t end = align_up(FIRMWARE_FILE + 2 * size + LAUNCHED_MORE, LARGE_SIZE);

    if (end > GUEST_MEMORY)
        sim_fail("the file is too long for the guest's memory");
    for (uint64_t gpa = 0x100000; gpa < end; gpa += PAGE_SIZE) {
        memset(private(gpa), 0, PAGE_SIZE);
        launch_page(gpa);
    }
    if (!sim_file("opt/ccsim/firmware", private(FIRMWARE_PA), FIRMWARE_SIZE))
        sim_fail("a file for UEFI, and no firmware: give it as opt/ccsim/firmware");
    memcpy(private(FIRMWARE_FILE), file, size);
    return end;
}

static uint32_t handoff_kind(void)
{
    if (sim_options.tdx)
        return HANDOFF_TDX;
    if (!sim_options.sev)
        return HANDOFF_SNP;
    return sim_options.es ? HANDOFF_SEV_ES : HANDOFF_SEV;
}

static unsigned memory_map(const struct start_info *host, uint64_t image_end, struct map_entry *out)
{
    const struct map_entry *in = (const void *)host->memmap_pa;
    unsigned n = 0;

    out[n++] = (struct map_entry){ 0, GPA_TABLES, RAM, 0 };
    out[n++] = (struct map_entry){ GPA_TABLES, GPA_MAILBOX + PAGE_SIZE - GPA_TABLES, RESERVED, 0 };
    out[n++] =
        (struct map_entry){ GPA_MAILBOX + PAGE_SIZE, 0x9f000 - GPA_MAILBOX - PAGE_SIZE, RAM, 0 };
    out[n++] = (struct map_entry){ 0x100000, image_end - 0x100000, RAM, 0 };
    out[n++] = (struct map_entry){ image_end, GUEST_MEMORY - image_end,
                                   sim_options.sev ? RAM : UNACCEPTED, 0 };
    for (unsigned i = 0; i < host->memmap_entries && n < MAP_MAX; i++)
        if (in[i].type != RAM && in[i].addr >= GUEST_MEMORY)
            out[n++] = in[i];
    return n;
}

static void make_tables(void)
{
    uint64_t *tables = private(GPA_TABLES);

    tables[0] = sim_private(GPA_TABLES + 0x1000) | PTE_P | PTE_W;
    tables[512] = sim_private(GPA_TABLES + 0x2000) | PTE_P | PTE_W;
    for (unsigned i = 0; i < 512; i++)
        tables[1024 + i] = sim_private((uint64_t)i << LARGE_SHIFT) | PTE_P | PTE_W | PTE_LARGE;
}

void sim_boot_state(struct vmcb *v, uint64_t entry)
{
    v->cs = (struct vmcb_segment){ 0x8, 0x29b, 0xffffffff, 0 };
    v->ds = v->es = v->ss = v->fs = v->gs = (struct vmcb_segment){ 0x10, 0xc93, 0xffffffff, 0 };
    v->tr = (struct vmcb_segment){ 0, 0x8b, 0xffff, 0 };
    v->ldtr = (struct vmcb_segment){ 0, 0x82, 0xffff, 0 };
    v->efer = 0x1d00 & ~0x800u; /* LME, LMA, SVME */
    v->cr0 = 0x80010033;
    v->cr4 = CR4_PAE | CR4_OSFXSR;
    v->cr3 = sim_private(GPA_TABLES);
    v->dr6 = 0xffff0ff0;
    v->dr7 = 0x400;
    v->rflags = 2;
    v->pat = 0x0007040600070406;
    v->rip = entry;
    v->rsp = 0; /* nothing is promised */
}

/* What the image is told at GPA_INFO: PVH's start info. */
static void give_info(const struct start_info *host, uint64_t end, uint64_t rsdp)
{
    struct start_info *info = private(GPA_INFO);

    *info = (struct start_info){ START_MAGIC,
                                 1,
                                 sim_options.tdx ? 0 : ALCOVE_START_CC,
                                 0,
                                 0,
                                 GPA_CMDLINE,
                                 rsdp,
                                 GPA_INFO + 0x100,
                                 0,
                                 GPA_BLOB };
    info->memmap_entries = memory_map(host, end, private(GPA_INFO + 0x100));
    if (sim_options.tdx || sim_options.sev)
        info->cc_blob = 0;
}

/* The pages that the security processor fills in, and the blob that says where they are. */
static void make_pages(struct vcpu *c)
{
    struct blob *blob = private(GPA_BLOB);

    *blob = (struct blob){ BLOB_MAGIC, 0, 0, GPA_SECRETS, PAGE_SIZE, 0, GPA_CPUID, PAGE_SIZE, 0 };
    if (sim_attack("blob-cpuid"))
        blob->cpuid_pa++;
    if (sim_attack("blob-secrets"))
        blob->secrets_pa = 1ull << 40;
    if (sim_attack("blob-size"))
        blob->cpuid_size = 16;
    sim_cpuid_page(private(GPA_CPUID)); /* first: it finds the counter's frequency */
    sim_secrets_page(private(GPA_SECRETS));
    if (sim_options.secure_tsc)
        c->vmcb->tsc_offset = SIM_TSC_OFFSET;
    memset(private(GPA_MAILBOX), 0, PAGE_SIZE);
    if (sim_options.svsm)
        c->svsm_area = GPA_MAILBOX;
    make_tables();
}

void sim_load(struct vcpu *c, uint64_t info_pa)
{
    const struct start_info *host = (const void *)info_pa;
    const struct module *m = (const void *)host->modules_pa;
    uint64_t entry = FIRMWARE_PA, end, rsdp;
    size_t length = strlen((const char *)host->cmdline_pa);
    bool uefi;

    if (host->magic != START_MAGIC || !host->modules)
        sim_fail("no image: give it as -initrd");
    if (m->pa < 2 * GUEST_MEMORY || length >= 0x8000)
        sim_fail("the machine needs more memory, or the command line less");
    uefi = memcmp((const void *)m->pa, "MZ", 2) == 0;
    take_over(0, 0x100000);
    end = uefi ? load_firmware((const void *)m->pa, m->size)
               : load_elf((const void *)m->pa, m->size, &entry);
    measure(end);
    rsdp = sim_acpi(host->rsdp_pa);
    memcpy(private(GPA_CMDLINE), (const void *)host->cmdline_pa, length + 1);
    if (uefi)
        *(struct handoff *)private(GPA_INFO) = (struct handoff){ .kind = handoff_kind(),
                                                                 .all = sim_options.accept_all,
                                                                 .file_size = m->size,
                                                                 .cmdline_pa = GPA_CMDLINE,
                                                                 .rsdp_pa = rsdp,
                                                                 .blob_pa = GPA_BLOB,
                                                                 .launched = end,
                                                                 .ram_end = GUEST_MEMORY };
    else
        give_info(host, end, rsdp);
    make_pages(c);
    sim_boot_state(c->vmcb, entry);
    c->regs.rdi = GPA_INFO;
}
