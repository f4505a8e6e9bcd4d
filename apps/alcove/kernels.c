/* SPDX-License-Identifier: MIT */
/* Which libOS an image gets. The linker makes them (apps/kernel/meson.build); this is what the command knows of them. */
#include "kernels.h"

#include "image.h"
#include "tools.h"
#include "util.h"

#include <string.h>

static const struct kernel kernels[] = {
    { "full", "alcove-kernel", 0 },
    { "net", "alcove-kernel-net", KERNEL_DISK | KERNEL_CC | KERNEL_DECODER },
    { "disk", "alcove-kernel-disk", KERNEL_NET | KERNEL_CC | KERNEL_DECODER },
    { "small", "alcove-kernel-small",
      KERNEL_NET | KERNEL_DISK | KERNEL_CC | KERNEL_DECODER | KERNEL_DEVICES },
};
enum { KERNELS = sizeof(kernels) / sizeof(*kernels) };

const struct kernel *kernel_full(void)
{
    return &kernels[0];
}

static const struct kernel *find(const char *name, size_t n)
{
    for (size_t i = 0; i < KERNELS; i++)
        if (strlen(kernels[i].name) == n && memcmp(kernels[i].name, name, n) == 0)
            return &kernels[i];
    return NULL;
}

const struct kernel *kernel_find(const char *name)
{
    const struct kernel *k = find(name, strlen(name));
    struct buf all = { 0 };
    if (k)
        return k;
    for (size_t i = 0; i < KERNELS; i++)
        buf_printf(&all, "%s%s", i ? ", " : "", kernels[i].name);
    fail("--libos", "'%s' is not known; one of: %s", name, all.s);
}

const struct kernel *kernel_of_image(const struct image *i)
{
    static const char key[] = "\nlibos=";
    if (!i->payload)
        return kernel_full();
    const char *s = (const char *)image_part(i, &i->head.info);
    const char *found = memmem(s, i->head.info.size, key, sizeof(key) - 1);
    if (!found)
        return kernel_full();
    found += sizeof(key) - 1;
    const char *end = memchr(found, '\n', (size_t)(s + i->head.info.size - found));
    const struct kernel *k = end ? find(found, (size_t)(end - found)) : NULL;
    return k ? k : kernel_full();
}

const char *kernel_path(const struct kernel *k)
{
    const char *file = xprintf("%s.elf", k->file);
    return tool_data("ALCOVE_KERNEL", xprintf("kernel/%s", file), file);
}

const char *kernel_debug_path(const struct kernel *k)
{
    const char *file = xprintf("%s.debug", k->file);
    return tool_data("ALCOVE_KERNEL_DEBUG", xprintf("kernel/%s", file), file);
}

void kernel_need(const struct kernel *k, enum kernel_part part, const char *option)
{
    const char *what = part == KERNEL_NET    ? "the network"
                       : part == KERNEL_DISK ? "disks"
                       : part == KERNEL_CC   ? "confidential guests"
                                             : "the decoder of system calls";
    if (k->lacks & part)
        fail(option, "needs %s, which libOS '%s' does not have; build with --libos full", what,
             k->name);
}
