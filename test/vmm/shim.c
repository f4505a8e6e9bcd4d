/* SPDX-License-Identifier: MIT */
/* The personality shim: a loader that QEMU boots, and that lays memory, tables and registers out as Cloud Hypervisor
 * ("chv" as the first word of the command line) or Firecracker ("fc") do, then enters the image that it was given as
 * initrd. The machine underneath is microvm, whose memory has no hole below 1 MiB. What follows the first word is the
 * image's command line. Facts of the two monitors: start_info at 0x6000, memory map at 0x7000, command line at 0x20000;
 * Cloud Hypervisor has its RSDP at 0xa0000, in memory that its map leaves out, and only x2APIC entries, some of CPUs that
 * are not there; Firecracker has it at 0xe0000 and does not say so, and an unsorted map. "mailbox" is Cloud Hypervisor
 * with a firmware that has parked the other CPUs (entry.S). */
#include <stddef.h>
#include <stdint.h>

enum {
    START_MAGIC = 0x336ec578,
    START_INFO = 0x6000,
    MEMMAP = 0x7000,
    CMDLINE = 0x20000,
    GDT = 0x500,
    IDT = 0x520
};
enum { PARK = 0x91000, TABLES = 0x92000, MAILBOX = 0x95000 }; /* as in entry.S */
enum { RAM = 1, RESERVED = 2, CPUS_POSSIBLE = 6 };

struct start_info {
    uint32_t magic, version, flags, nr_modules;
    uint64_t modlist, cmdline, rsdp, memmap;
    uint32_t memmap_entries, reserved;
};
struct module {
    uint64_t paddr, size, cmdline, reserved;
};
struct range {
    uint64_t addr, size;
    uint32_t type, reserved;
};
struct ehdr {
    uint8_t ident[16];
    uint16_t type, machine;
    uint32_t version;
    uint64_t entry, phoff, shoff;
    uint32_t flags;
    uint16_t ehsize, phentsize, phnum, shentsize, shnum, shstrndx;
};
struct phdr {
    uint32_t type, flags;
    uint64_t offset, vaddr, paddr, filesz, memsz, align;
};

uint32_t shim_main(const struct start_info *s);

static void out8(uint16_t port, uint8_t v)
{
    __asm__ volatile("outb %0, %1" : : "a"(v), "Nd"(port));
}

static void say(const char *text)
{
    while (*text)
        out8(0x3f8, (uint8_t)*text++);
}

static __attribute__((noreturn)) void die(const char *why)
{
    say("shim: ");
    say(why);
    say("\r\n");
    __asm__ volatile("lidt (0); int3");
    for (;;)
        ;
}

void *memcpy(void *dst, const void *src, size_t n);
void *memset(void *dst, int c, size_t n);

void *memcpy(void *dst, const void *src, size_t n)
{
    void *ret = dst;
    __asm__ volatile("rep movsb" : "+D"(dst), "+S"(src), "+c"(n) : : "memory");
    return ret;
}

void *memset(void *dst, int c, size_t n)
{
    void *ret = dst;
    __asm__ volatile("rep stosb" : "+D"(dst), "+c"(n) : "a"(c) : "memory");
    return ret;
}

/* The table being written: bytes are appended. */
static uint8_t *at;

static void put(uint64_t v, unsigned bytes)
{
    memcpy(at, &v, bytes);
    at += bytes;
}

static void begin(uint8_t *table, const char *name, uint8_t revision)
{
    memset(table, 0, 512);
    memcpy(table, name, 4);
    table[8] = revision;
    memcpy(table + 10, "ALCOVE", 6);
    memcpy(table + 16, "SHIMSHIM", 8);
    at = table + 36;
}

static void checksum(uint8_t *p, size_t size, size_t field)
{
    uint8_t sum = 0;

    p[field] = 0;
    for (size_t i = 0; i < size; i++)
        sum = (uint8_t)(sum + p[i]);
    p[field] = (uint8_t)-sum;
}

static void finish(uint8_t *table)
{
    uint32_t size = (uint32_t)(at - table);

    memcpy(table + 4, &size, 4);
    checksum(table, size, 9);
}

static void make_madt(uint8_t *t, int chv, int mailbox, unsigned cpus)
{
    begin(t, "APIC", 5);
    put(0xfee00000, 4);
    put(0, 4); /* no 8259 */
    for (unsigned i = 0; i < (chv ? CPUS_POSSIBLE : cpus); i++) {
        if (chv) {
            put(9, 1), put(16, 1), put(0, 2), put(i, 4), put(i < cpus, 4), put(i, 4);
        } else {
            put(0, 1), put(8, 1), put(i, 1), put(i, 1), put(1, 4);
        }
    }
    if (mailbox)
        put(0x10, 1), put(16, 1), put(0, 2), put(0, 4), put(MAILBOX, 8);
    put(1, 1), put(12, 1), put(0, 2), put(0xfec00000, 4), put(0, 4);
    put(2, 1), put(10, 1), put(0, 1), put(4, 1), put(4, 4), put(0, 2);
    finish(t);
}

static void make_fadt(uint8_t *t, int chv, uint32_t dsdt)
{
    begin(t, "FACP", 6);
    at = t + 0x114;
    uint32_t flags = chv ? 0x00100500 : 0x00100030;
    uint64_t wide = dsdt;
    memcpy(t + 112, &flags, 4);
    memcpy(t + 140, &wide, 8);
    if (chv) { /* reset and sleep at I/O 0x600, PM timer at 0x608 */
        memcpy(t + 116, "\1\10\0\1\0\6\0\0\0\0\0\0\1", 13);
        memcpy(t + 208, "\1\40\0\3\10\6\0\0\0\0\0\0", 12);
        memcpy(t + 244, "\1\10\0\1\0\6\0\0\0\0\0\0", 12);
        memcpy(t + 256, "\1\10\0\1\0\6\0\0\0\0\0\0", 12);
    }
    memcpy(t + 268, chv ? "CLOUDHYP" : "FIRECKVM", 8);
    finish(t);
}

/* Every table from rsdp on. */
static void make_acpi(uint8_t *rsdp, int chv, int mailbox, unsigned cpus)
{
    uint8_t *dsdt = rsdp + 0x100, *fadt = dsdt + 0x200, *madt = fadt + 0x200, *mcfg = madt + 0x200,
            *xsdt = mcfg + 0x200;
    uint64_t root = (uintptr_t)xsdt;
    uint32_t size = 36;

    begin(dsdt, "DSDT", 6);
    if (chv) { /* Name (_S5_, Package (1) {5}) */
        memcpy(at, "\10_S5_\22\4\1\12\5", 10);
        at += 10;
    }
    finish(dsdt);
    make_fadt(fadt, chv, (uint32_t)(uintptr_t)dsdt);
    make_madt(madt, chv, mailbox, cpus);
    begin(mcfg, "MCFG", 1);
    put(0, 8), put(chv ? 0xe8000000u : 0xeec00000u, 8), put(0, 8);
    finish(mcfg);
    begin(xsdt, "XSDT", 1);
    put((uintptr_t)fadt, 8), put((uintptr_t)madt, 8), put((uintptr_t)mcfg, 8);
    finish(xsdt);
    memset(rsdp, 0, 36);
    memcpy(rsdp, "RSD PTR ", 8);
    rsdp[15] = 2;
    memcpy(rsdp + 20, &size, 4);
    memcpy(rsdp + 24, &root, 8);
    checksum(rsdp, 20, 8);
    checksum(rsdp, 36, 32);
}

static unsigned make_memmap(int chv, int mailbox, uint64_t end)
{
    struct range *m = (struct range *)MEMMAP;
    uint64_t low = mailbox ? 0x90000 : 0xa0000;

    if (chv) {
        m[0] = (struct range){ 0, low, RAM, 0 };
        m[1] = (struct range){ 0x100000, end - 0x100000, RAM, 0 };
        m[2] = (struct range){ 0xe8000000, 0x10000000, RESERVED, 0 };
        return 3;
    }
    m[0] = (struct range){ 0, 0x9fc00, RAM, 0 };
    m[1] = (struct range){ 0x9fc00, 0x40400, RESERVED, 0 };
    m[2] = (struct range){ 0xeec00000, 0x10000000, RESERVED, 0 };
    m[3] = (struct range){ 0x100000, end - 0x100000, RAM, 0 };
    return 4;
}

extern const char park_start[], park_end[];

/* INIT and start-up IPI to all others, who come to the mailbox. */
static void park_others(void)
{
    volatile uint32_t *apic = (volatile uint32_t *)0xfee00000;
    uint64_t *root = (uint64_t *)TABLES, *pdpt = root + 512, *pd = pdpt + 512;

    memset(root, 0, MAILBOX + 4096 - TABLES);
    root[0] = (uintptr_t)pdpt | 3;
    pdpt[0] = (uintptr_t)pd | 3;
    for (unsigned i = 0; i < 512; i++)
        pd[i] = (uint64_t)i << 21 | 0x83;
    memcpy((void *)PARK, park_start, (size_t)(park_end - park_start));
    apic[0xf0 / 4] = 0x1ff;
    apic[0x300 / 4] = 0xc4500;
    apic[0x300 / 4] = 0xc4600 | PARK >> 12;
}

static void make_descriptors(void)
{
    static const uint64_t gdt[4] = { 0, 0x00cf9b000000ffff, 0x00cf93000000ffff,
                                     0x0000890000000067 }; /* a TSS at 0; LTR makes it busy */

    memcpy((void *)GDT, gdt, sizeof(gdt));
    memset((void *)IDT, 0, 8);
}

/* Load the image as linux-loader does: segments to their physical addresses, what the file does not fill is left as it
 * was (here: garbage); the entry is in the last PT_NOTE. */
static uint32_t load(const uint8_t *file)
{
    const struct ehdr *e = (const struct ehdr *)file;
    uint32_t entry = 0;

    if (file[0] != 0x7f || file[1] != 'E' || file[4] != 2)
        die("the initrd is no ELF file");
    for (unsigned i = 0; i < e->phnum; i++) {
        const struct phdr *p = (const struct phdr *)(file + (uint32_t)e->phoff) + i;
        uint8_t *to = (uint8_t *)(uint32_t)p->paddr;

        if (p->type == 1) {
            memset(to, 0xa5, (uint32_t)p->memsz);
            memcpy(to, file + (uint32_t)p->offset, (uint32_t)p->filesz);
        } else if (p->type == 4) {
            const uint32_t *note = (const uint32_t *)(file + (uint32_t)p->offset);
            entry = note[2] == 18 ? note[4] : 0;
        }
    }
    return entry;
}

uint32_t shim_main(const struct start_info *s)
{
    struct start_info *to = (struct start_info *)START_INFO;
    const struct range *map = (const struct range *)(uint32_t)s->memmap;
    const struct module *mod = (const struct module *)(uint32_t)s->modlist;
    const char *line = (const char *)(uint32_t)s->cmdline;
    uint64_t end = 0;
    uint32_t entry;
    int mailbox = line[0] == 'm', chv = line[0] == 'c' || mailbox;
    unsigned cpus = 0;
    static char rest[2048];

    if (s->magic != START_MAGIC || !s->nr_modules)
        die("no start info, or no image as initrd");
    for (unsigned i = 0; i < s->memmap_entries; i++)
        if (map[i].type == RAM && map[i].addr == 0x100000)
            end = map[i].addr + map[i].size;
    while (*line && *line != ' ')
        line++;
    for (line += *line == ' '; *line >= '0' && *line <= '9'; line++)
        cpus = cpus * 10 + (unsigned)(*line - '0');
    for (size_t i = 0; line[i] && i + 1 < sizeof(rest); i++)
        rest[i] = line[i];
    entry = load((const uint8_t *)(uint32_t)mod->paddr);
    if (!entry || !end || !cpus)
        die("no PVH entry, no memory, or no number of CPUs");
    memset((void *)0x500, 0, 0x9f000 - 0x500);
    memcpy((void *)CMDLINE, rest, sizeof(rest));
    make_acpi((uint8_t *)(chv ? 0xa0000 : 0xe0000), chv, mailbox, cpus);
    if (mailbox)
        park_others();
    *(volatile uint16_t *)0x40e = chv ? 0xa000 : 0;
    *to = (struct start_info){ .magic = START_MAGIC,
                               .version = 1,
                               .cmdline = CMDLINE,
                               .rsdp = chv ? 0xa0000 : 0,
                               .memmap = MEMMAP,
                               .memmap_entries = make_memmap(chv, mailbox, end) };
    make_descriptors();
    return entry;
}
