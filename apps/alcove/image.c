/* SPDX-License-Identifier: MIT */
/* Composition and reading of app.elf. The libOS executable is a template: its bytes are kept as they are, except for
 * the program header table, which grows by one entry, in place where nothing is behind it, else at the end of the file.
 * Nothing of the machine or the time gets in: same parts, same bytes. */
#include "image.h"

#include "disk.h"
#include "efi.h"
#include "lint.h"
#include "payload.h"

#include <elf.h>
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define LINEAR_MAP                                                                                 \
    0xffff800000000000ULL /* where libOS sees physical memory: ARCHITECTURE.md, "Memory map" */

static uint64_t align_up(uint64_t n, uint64_t to)
{
    return (n + to - 1) / to * to;
}

static bool fits(uint64_t offset, uint64_t n, uint64_t size)
{
    return offset <= size && n <= size - offset;
}

struct template
{
    const uint8_t *data;
    size_t size;
    const Elf64_Ehdr *h;
    const Elf64_Phdr *p;
    uint64_t end_paddr;
};

static void template_read(const char *path, struct template *t)
{
    int err = file_map(path, &t->data, &t->size);
    if (err < 0)
        fail_errno(path, -err, "cannot read the libOS");
    const char *wrong = lint_elf(t->data, t->size);
    if (wrong)
        fail(path, "is not a usable libOS: %s; build it again", wrong);
    t->h = (const void *)t->data;
    t->p = (const void *)(t->data + t->h->e_phoff);
    t->end_paddr = 0;
    for (size_t i = 0; i < t->h->e_phnum; i++)
        if (t->p[i].p_type == PT_LOAD && t->p[i].p_paddr + t->p[i].p_memsz > t->end_paddr)
            t->end_paddr = t->p[i].p_paddr + t->p[i].p_memsz;
}

/* Is [from, from + n) of the template used by a segment or section? */
static bool used(const struct template *t, uint64_t from, uint64_t n)
{
    if (from + n > t->size)
        return true;
    for (size_t i = 0; i < t->h->e_phnum; i++) {
        /* A first segment that begins with the headers itself has free room behind them only if it is padding. */
        const Elf64_Phdr *p = &t->p[i];
        if (p->p_type != PT_NULL && p->p_filesz && p->p_offset < from + n &&
            from < p->p_offset + p->p_filesz)
            return true;
    }
    if (t->h->e_shoff && t->h->e_shoff < from + n)
        return true;
    for (size_t i = 0;
         t->h->e_shoff && t->h->e_shentsize == sizeof(Elf64_Shdr) && i < t->h->e_shnum; i++) {
        Elf64_Shdr s;
        if (!fits(t->h->e_shoff + i * sizeof(s), sizeof(s), t->size))
            return true;
        memcpy(&s, t->data + t->h->e_shoff + i * sizeof(s), sizeof(s));
        if (s.sh_type != SHT_NULL && s.sh_type != SHT_NOBITS && s.sh_offset < from + n &&
            from < s.sh_offset + s.sh_size)
            return true;
    }
    return false;
}

/* The program header table with the payload's segment in it. */
static void write_headers(const struct template *t, const Elf64_Phdr *payload, uint64_t table_at,
                          int out, const char *path)
{
    Elf64_Ehdr h = *t->h;
    struct buf table = { 0 };
    buf_add(&table, t->p, h.e_phnum * sizeof(Elf64_Phdr));
    buf_add(&table, payload, sizeof(*payload));
    h.e_phoff = table_at;
    h.e_phnum++;
    write_at(out, &h, sizeof(h), 0, path);
    write_at(out, table.s, table.len, table_at, path);
}

static void lint_file(const char *path)
{
    const uint8_t *data;
    size_t size;
    int err = file_map(path, &data, &size);
    if (err < 0)
        fail_errno(path, -err, "cannot read it back");
    const char *wrong = lint_elf(data, size);
    if (wrong)
        fail("image", "breaks %s", wrong);
}

void image_write(const struct image_parts *parts, const char *path)
{
    struct template t;
    struct payload_plan plan;
    int out;
    template_read(parts->kernel, &t);
    payload_plan(parts, &plan);

    uint64_t table_at = t.h->e_phoff, table_end = table_at + t.h->e_phnum * sizeof(Elf64_Phdr),
             end = t.size;
    if (used(&t, table_end, sizeof(Elf64_Phdr))) {
        table_at = align_up(t.size, 8);
        end = table_at + (t.h->e_phnum + 1) * sizeof(Elf64_Phdr);
    }
    Elf64_Phdr seg = { .p_type = PT_LOAD, .p_flags = PF_R, .p_align = ALCOVE_IMAGE_ALIGN };
    seg.p_offset = align_up(end, ALCOVE_IMAGE_ALIGN);
    seg.p_paddr = align_up(t.end_paddr, ALCOVE_IMAGE_ALIGN);
    seg.p_vaddr = LINEAR_MAP + seg.p_paddr;
    seg.p_filesz = seg.p_memsz = plan.head.total_size;

    out = open(path, O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC, file_mode());
    if (out < 0)
        fail_errno(path, errno, "cannot write");
    if (ftruncate(out, (off_t)(seg.p_offset + plan.head.total_size)) < 0)
        fail_errno(path, errno, "cannot write");
    write_at(out, t.data, t.size, 0, path);
    write_headers(&t, &seg, table_at, out, path);
    payload_write(&plan, parts, out, seg.p_offset, path);
    if (close(out) < 0)
        fail_errno(path, errno, "cannot write");
    lint_file(path);
}

/* The last PT_LOAD, which is the payload if there is one. */
static const Elf64_Phdr *last_load(const uint8_t *data)
{
    const Elf64_Ehdr *h = (const void *)data;
    const Elf64_Phdr *p = (const void *)(data + h->e_phoff), *last = NULL;
    for (size_t i = 0; i < h->e_phnum; i++)
        if (p[i].p_type == PT_LOAD && (!last || p[i].p_paddr > last->p_paddr))
            last = &p[i];
    return last;
}

const char *image_read(const uint8_t *data, size_t size, struct image *ret, bool *ret_is_image)
{
    *ret_is_image = false;
    if (size > 2 && memcmp(data, "MZ", 2) == 0)
        return efi_read(data, size, ret, ret_is_image);
    uint64_t at, efi_size;
    if (disk_find_efi(data, size, &at, &efi_size)) {
        const char *wrong = efi_read(data + at, efi_size, ret, ret_is_image);
        ret->disk = *ret_is_image;
        ret->data = data;
        ret->size = size;
        return wrong;
    }
    const Elf64_Ehdr *h = (const void *)data;
    if (size < sizeof(*h) || memcmp(data, ELFMAG, SELFMAG) != 0 || data[EI_CLASS] != ELFCLASS64 ||
        h->e_phentsize != sizeof(Elf64_Phdr) || h->e_phoff % 8 ||
        !fits(h->e_phoff, (uint64_t)h->e_phnum * sizeof(Elf64_Phdr), size))
        return "is not an Alcove image";
    const Elf64_Phdr *p = last_load(data);
    const char *wrong = lint_elf(data, size);
    if (!p || p->p_offset % 8 || !fits(p->p_offset, sizeof(ret->head), size) ||
        memcmp(data + p->p_offset, ALCOVE_IMAGE_MAGIC, 8) != 0) {
        if (!p || wrong)
            return "is not an Alcove image";
        /* What a loader takes, and nothing packed into it: alcove-cc made it. */
        *ret_is_image = true;
        *ret = (struct image){ .data = data, .size = size, .end_paddr = p->p_paddr + p->p_memsz };
        return NULL;
    }
    *ret_is_image = true;
    if (wrong)
        return xprintf("is damaged (%s); build it again", wrong);
    *ret = (struct image){ .data = data,
                           .size = size,
                           .payload = data + p->p_offset,
                           .end_paddr = p->p_paddr + p->p_memsz };
    memcpy(&ret->head, ret->payload, sizeof(ret->head));
    return payload_check(&ret->head, p->p_filesz);
}

const uint8_t *image_part(const struct image *i, const struct alcove_image_part *part)
{
    return i->payload + part->offset;
}

const char *image_root_disk(const struct image *image, const char *path, const char *given)
{
    const struct alcove_image_part *part = &image->head.info;
    static const char key[] = "root_disk=";
    if (!image->payload)
        return NULL;
    char *info = xstrndup((const char *)image_part(image, part), part->size), *save = NULL;
    for (char *line = strtok_r(info, "\n", &save); line; line = strtok_r(NULL, "\n", &save)) {
        if (strncmp(line, key, sizeof(key) - 1) != 0)
            continue;
        if (!given)
            given = xprintf("%.*s%s", (int)(path_base(path) - path), path,
                            path_base(line + sizeof(key) - 1));
        if (access(given, R_OK) < 0)
            fail(given, "cannot be read, and has the root of %s; give --root-disk FILE", path);
        return given;
    }
    if (given)
        fail("--root-disk", "%s has its root in itself", path);
    return NULL;
}
