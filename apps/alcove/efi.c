/* SPDX-License-Identifier: MIT */
/* Composition and reading of app.efi. The stub's sections come first, at the addresses they were linked for; behind them
 * what the UAPI group's "Unified Kernel Image" names: .osrel .uname .sbat .cmdline .initrd .linux, where .linux is the libOS
 * executable, byte for byte the one in app.elf, and .initrd the root with its hash tree. The payload's sections follow each
 * other in memory and in the file as the parts of the payload do, so that nothing is copied at boot.
 * Nothing of the machine or the time gets in: same parts, same bytes. */
#include "efi.h"

#include "lint.h"
#include "payload.h"
#include "pe.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

enum {
    LARGEST_MIB = 2000
}; /* sizes and addresses of PE files have 32 bits, firmware takes them as signed */

static const char sbat[] =
    "sbat,1,SBAT Version,sbat,1,https://github.com/rhboot/shim/blob/main/SBAT.md\n"
    "alcove,1,Alcove,alcove," ALCOVE_VERSION ",https://uapi-group.org/specifications/\n";

static uint64_t align_up(uint64_t n, uint64_t to)
{
    return (n + to - 1) / to * to;
}

/* The file while it is put together. */
struct maker {
    struct pe pe;          /* headers of the file to be */
    uint64_t file, memory; /* ends of what is laid out so far */
};

/* One more section of size bytes; the file has it up to a multiple of align. */
static struct pe_section *add(struct maker *m, const char *name, uint64_t size, uint64_t align)
{
    if (m->pe.h.sections == PE_SECTIONS_MAX || m->memory + size > (uint64_t)LARGEST_MIB << 20)
        fail("image", "is larger than %d MiB, which UEFI cannot load; use --format elf",
             LARGEST_MIB);
    struct pe_section *s = &m->pe.s[m->pe.h.sections++];
    *s = (struct pe_section){ .size = (uint32_t)size,
                              .address = (uint32_t)m->memory,
                              .file_size = (uint32_t)align_up(size, align),
                              .file_at = (uint32_t)m->file,
                              .flags = PE_SCN_DATA | PE_SCN_READ };
    memcpy(s->name, name, strnlen(name, sizeof(s->name)));
    m->file += s->file_size;
    m->memory = align_up(m->memory + size, PE_PAGE);
    return s;
}

/* The next section's bytes begin at a multiple of align in the file: the one before grows. */
static void pad(struct maker *m, uint64_t align)
{
    struct pe_section *last = &m->pe.s[m->pe.h.sections - 1];
    uint64_t at = align_up(m->file, align);
    last->file_size += (uint32_t)(at - m->file);
    m->file = at;
}

static void read_stub(const char *path, struct pe *ret)
{
    const uint8_t *data;
    size_t size;
    if (!path)
        fail("alcove-stub.efi",
             "the UEFI stub is missing; build it (./dev build), or set ALCOVE_STUB to its path");
    int err = file_map(path, &data, &size);
    if (err < 0)
        fail_errno(path, -err, "cannot read the UEFI stub");
    const char *wrong = pe_read(data, size, ret);
    if (wrong || !ret->h.directory[PE_DIRECTORY_RELOC].size)
        fail(path, "is not a usable UEFI stub: %s; build it again",
             wrong ? wrong : "no relocations");
}

/* Headers from the stub's, which says where it wants to be entered; everything else is set here. */
static void begin(struct maker *m, const struct pe *stub)
{
    m->pe.h = stub->h;
    m->pe.h.sections = 0;
    m->pe.h.time = m->pe.h.symbols_at = m->pe.h.symbols = m->pe.h.checksum = 0;
    m->pe.h.image_base = 0;
    m->pe.h.section_align = PE_PAGE;
    m->pe.h.file_align = PE_FILE_ALIGN;
    m->pe.h.subsystem = PE_SUBSYSTEM_EFI_APPLICATION;
    m->pe.h.dll_characteristics = PE_NX_COMPAT | PE_DYNAMIC_BASE | PE_HIGH_ENTROPY_VA;
    m->pe.h.characteristics &= (uint16_t)~PE_RELOCS_STRIPPED;
    m->pe.h.headers_size =
        (uint32_t)align_up(PE_HEADER_AT + sizeof(m->pe.h) + sizeof(m->pe.s), PE_FILE_ALIGN);
    m->file = m->pe.h.headers_size;
    for (size_t i = 0; i < stub->h.sections; i++) {
        const struct pe_section *from = &stub->s[i];
        m->memory = from->address;
        struct pe_section *s = add(m, from->name, from->size, PE_FILE_ALIGN);
        /* The linker's alignment bits and the like mean nothing in an image. */
        s->flags = from->flags & (PE_SCN_EXEC | PE_SCN_READ | PE_SCN_WRITE | 0xe0);
    }
}

static void write_headers(struct maker *m, int out, const char *path)
{
    uint8_t dos[PE_HEADER_AT] = "MZ";
    uint32_t at = PE_HEADER_AT;
    struct pe_header *h = &m->pe.h;
    memcpy(dos + 0x3c, &at, sizeof(at));
    h->code_size = h->data_size = h->bss_size = 0;
    for (size_t i = 0; i < h->sections; i++)
        if (m->pe.s[i].flags & PE_SCN_EXEC)
            h->code_size += m->pe.s[i].file_size;
        else
            h->data_size += m->pe.s[i].file_size;
    h->image_size = (uint32_t)m->memory;
    write_at(out, dos, sizeof(dos), 0, path);
    write_at(out, h, sizeof(*h), PE_HEADER_AT, path);
    write_at(out, m->pe.s, h->sections * sizeof(m->pe.s[0]), PE_HEADER_AT + sizeof(*h), path);
}

static void write_text(const struct pe_section *s, const char *text, int out, const char *path)
{
    write_at(out, text, strlen(text), s->file_at, path);
}

/* The value of a line key=... of the info, for the name that a boot menu shows. */
static char *info_value(const struct buf *info, const char *key)
{
    size_t n = strlen(key);
    for (const char *s = info->s; s && *s; s = strchr(s, '\n') ? strchr(s, '\n') + 1 : NULL)
        if (strncmp(s, key, n) == 0 && s[n] == '=')
            return xstrndup(s + n + 1, strcspn(s + n + 1, "\n\"\\$`"));
    return xstrdup("");
}

static char *os_release(const struct image_parts *parts)
{
    return xprintf("ID=alcove\nNAME=Alcove\nVERSION_ID=%s\nPRETTY_NAME=\"Alcove %s %s\"\n",
                   ALCOVE_VERSION, ALCOVE_VERSION, info_value(&parts->info, "program"));
}

static void lint_file(const char *path)
{
    const uint8_t *data;
    size_t size;
    struct pe pe;
    int err = file_map(path, &data, &size);
    if (err < 0)
        fail_errno(path, -err, "cannot read it back");
    const char *wrong = pe_read(data, size, &pe);
    if (!wrong)
        wrong = lint_pe(&pe);
    if (wrong)
        fail("image", "breaks %s", wrong);
}

static int create(const char *path, uint64_t size)
{
    int out = open(path, O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC, file_mode());
    if (out < 0 || ftruncate(out, (off_t)size) < 0)
        fail_errno(path, errno, "cannot write");
    return out;
}

void efi_write(const struct image_parts *parts, const char *path)
{
    struct maker m = { 0 };
    struct payload_plan plan;
    struct pe stub;
    const uint8_t *kernel;
    size_t kernel_size;
    char *osrel = os_release(parts);
    read_stub(parts->stub, &stub);
    int err = file_map(parts->kernel, &kernel, &kernel_size);
    if (err < 0)
        fail_errno(parts->kernel, -err, "cannot read the libOS");
    payload_plan(parts, &plan);
    begin(&m, &stub);
    const size_t stub_sections = m.pe.h.sections;
    const struct pe_section *text = add(&m, ".osrel", strlen(osrel), PE_FILE_ALIGN);
    add(&m, ".uname", strlen(ALCOVE_VERSION), PE_FILE_ALIGN);
    add(&m, ".sbat", strlen(sbat), PE_FILE_ALIGN);
    const struct pe_section *libos = add(&m, ".linux", kernel_size, PE_FILE_ALIGN);
    pad(&m, PE_PAGE);
    const struct alcove_image *head = &plan.head;
    uint64_t rest = head->info.size ? head->info.offset : head->total_size;
    const struct pe_section *payload = add(&m, ".alcove", PE_PAGE, PE_PAGE);
    add(&m, ".cmdline", head->cmdline.size, PE_PAGE);
    if (head->root.size) /* else it is on a disk */
        add(&m, ".initrd", rest - head->root.offset, PE_PAGE);
    add(&m, ".alcinfo", head->info.size, PE_PAGE);

    int out = create(path, m.file);
    write_headers(&m, out, path);
    for (size_t i = 0; i < stub_sections; i++) {
        uint32_t n = stub.s[i].size < stub.s[i].file_size ? stub.s[i].size : stub.s[i].file_size;
        write_at(out, stub.data + stub.s[i].file_at, n, m.pe.s[i].file_at, path);
    }
    write_text(text, osrel, out, path);
    write_text(text + 1, ALCOVE_VERSION, out, path);
    write_text(text + 2, sbat, out, path);
    write_at(out, kernel, kernel_size, libos->file_at, path);
    payload_write(&plan, parts, out, payload->file_at, path);
    if (close(out) < 0)
        fail_errno(path, errno, "cannot write");
    lint_file(path);
}

const char *efi_read(const uint8_t *data, size_t size, struct image *ret, bool *ret_is_image)
{
    struct pe pe;
    *ret_is_image = false;
    if (pe_read(data, size, &pe) || !pe_find(&pe, ".alcove") || !pe_find(&pe, ".linux"))
        return "is not an Alcove image";
    *ret_is_image = true;
    const char *wrong = lint_pe(&pe);
    if (wrong)
        return xprintf("is damaged (%s); build it again", wrong);
    const struct pe_section *s = pe_find(&pe, ".alcove"), *end = pe_find(&pe, ".alcinfo");
    *ret =
        (struct image){ .data = data,
                        .size = size,
                        .efi = true,
                        .payload = data + s->file_at,
                        /* The file is read into memory, then loaded, then the libOS is copied. */
                        .end_paddr = 2 * (uint64_t)size + pe.h.image_size };
    memcpy(&ret->head, ret->payload, sizeof(ret->head));
    return payload_check(&ret->head,
                         end->file_at + align_up(end->size, ALCOVE_IMAGE_ALIGN) - s->file_at);
}
