/* SPDX-License-Identifier: MIT */
/* Layout of the payload (alcove/image.h): a page of header, then the parts, each from a page on. */
#include "payload.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

static uint64_t part_add(struct alcove_image_part *part, uint64_t at, uint64_t size)
{
    part->offset = size ? at : 0;
    part->size = size;
    return at + (size + ALCOVE_IMAGE_ALIGN - 1) / ALCOVE_IMAGE_ALIGN * ALCOVE_IMAGE_ALIGN;
}

static uint64_t file_size(const char *path, int *ret_fd)
{
    struct stat st;
    *ret_fd = -1;
    if (!path) /* on a disk */
        return 0;
    *ret_fd = open(path, O_RDONLY | O_CLOEXEC);
    if (*ret_fd < 0 || fstat(*ret_fd, &st) < 0)
        fail_errno(path, errno, "cannot read");
    return (uint64_t)st.st_size;
}

void payload_plan(const struct image_parts *parts, struct payload_plan *ret)
{
    if (parts->cmdline.len > ALCOVE_CMDLINE_MAX)
        fail(NULL, "arguments and environment need %zu bytes, an image takes %d; pass less",
             parts->cmdline.len, ALCOVE_CMDLINE_MAX);
    *ret = (struct payload_plan){ .head = { .version = ALCOVE_IMAGE_VERSION,
                                            .header_size = sizeof(ret->head) } };
    memcpy(ret->head.magic, ALCOVE_IMAGE_MAGIC, sizeof(ret->head.magic));
    uint64_t at = part_add(&ret->head.cmdline, ALCOVE_IMAGE_ALIGN, parts->cmdline.len);
    at = part_add(&ret->head.root, at, file_size(parts->root, &ret->root));
    at = part_add(&ret->head.hash, at, file_size(parts->hash, &ret->hash));
    ret->head.total_size = part_add(&ret->head.info, at, parts->info.len);
}

void payload_write(struct payload_plan *plan, const struct image_parts *parts, int out, uint64_t at,
                   const char *path)
{
    const struct alcove_image *head = &plan->head;
    write_at(out, head, sizeof(*head), at, path);
    write_at(out, parts->cmdline.s, parts->cmdline.len, at + head->cmdline.offset, path);
    if (head->root.size)
        copy_range(plan->root, out, at + head->root.offset, head->root.size, path);
    if (head->hash.size)
        copy_range(plan->hash, out, at + head->hash.offset, head->hash.size, path);
    if (parts->info.len)
        write_at(out, parts->info.s, parts->info.len, at + head->info.offset, path);
    if (plan->root >= 0)
        close(plan->root);
    if (plan->hash >= 0)
        close(plan->hash);
}

static bool part_sound(const struct alcove_image_part *p, uint64_t total)
{
    return p->size == 0 ||
           (p->offset % ALCOVE_IMAGE_ALIGN == 0 && p->offset >= ALCOVE_IMAGE_ALIGN &&
            p->offset <= total && p->size <= total - p->offset);
}

const char *payload_check(const struct alcove_image *head, uint64_t total)
{
    if (head->version != ALCOVE_IMAGE_VERSION)
        return xprintf("has image format %u, this alcove reads %d; use the alcove that built it",
                       head->version, ALCOVE_IMAGE_VERSION);
    if (head->total_size != total || !part_sound(&head->cmdline, total) ||
        !part_sound(&head->root, total) || !part_sound(&head->hash, total) ||
        !part_sound(&head->info, total) || head->cmdline.size > ALCOVE_CMDLINE_MAX)
        return "has a damaged payload header; build it again";
    return NULL;
}
