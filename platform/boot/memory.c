/* SPDX-License-Identifier: MIT */
/* What RAM there is and what libOS gets of it: everything but the first megabyte (given at the end of boot, without
 * the pages that firmware or a start of further CPUs may need), the image, the payload, and pages that the platform
 * took from the end of the highest run below 1 GiB. */
#include "boot/memory.h"
#include "boot/boot.h"
#include "x86_64/cpu.h"
#include "x86_64/kmap.h"
#include "x86_64/x86.h"

#include "boot/image.h"
#include <plat/boot.h>
#include <plat/mem.h>

#define LOW_END 0x100000ull /* real-mode memory */
#define LOW_FIRST                                                                                  \
    0x10000ull /* of it, libOS gets these: below are vectors, BIOS data, the place for CPU start */
#define LOW_LAST   0x9f000ull
#define MAPPED_END (1ull << 30)
#define RAM_LIMIT  (4ull << 40) /* more is ignored */

extern const char __image_start[], __rodata_end[], __image_end[];

static struct memmap_range runs[MEMMAP_MAX];
static size_t run_count;
static struct memmap_range ram[MEMMAP_MAX]; /* all there is, as the loader said */
static size_t ram_count;
static struct memmap_range low; /* run below 1 MiB, for the end */
static uint64_t ram_end;
static const void *payload;
static uint64_t payload_max;

static uint64_t image_phys(const char *p)
{
    return (uintptr_t)p - x86_facts.slide - BOOT_LINK_BASE;
}

static uint64_t image_end(void)
{
    return image_phys(__image_end);
}

/* The payload lies right after the image. Its size is what it says, at most to the end of the RAM there. */
static void find_payload(void)
{
    uint64_t start = align_up(image_end(), PAGE_SIZE), size;
    const struct alcove_image *image = plat_phys_to_virt(PADDR(start));

    for (size_t i = 0; i < run_count; i++)
        if (start >= runs[i].start && start + PAGE_SIZE <= runs[i].end)
            payload_max = runs[i].end - start;
    if (!payload_max ||
        __builtin_memcmp(image->magic, ALCOVE_IMAGE_MAGIC, sizeof(image->magic)) != 0) {
        payload_max = 0;
        return;
    }
    payload = image;
    size = min_u64(image->total_size, payload_max);
    run_count =
        memmap_remove(runs, run_count, MEMMAP_MAX, start, align_up(size, PAGE_SIZE) + start);
}

void boot_memory_init(const struct memmap_entry *raw, size_t count)
{
    uint64_t *low_pd = plat_phys_to_virt(PADDR(kmap_root_phys() + 2 * PAGE_SIZE));

    run_count =
        memmap_build(raw, count, min_u64(x86_facts.phys_limit, RAM_LIMIT), runs, MEMMAP_MAX);
    if (!run_count)
        boot_fail("alcove: the loader's memory map has no usable memory");
    ram_end = runs[run_count - 1].end;
    ram_count = run_count;
    x86_copy(ram, runs, sizeof(ram));

    /* What the entry code mapped without knowing goes, but for the image itself. */
    for (uint64_t pa = align_up(image_end(), LARGE_SIZE); low_pd[pa >> LARGE_SHIFT];
         pa += LARGE_SIZE)
        low_pd[pa >> LARGE_SHIFT] = 0;
    for (size_t i = 0; i < run_count; i++)
        if (runs[i].start < MAPPED_END)
            kmap_linear(runs[i].start, min_u64(runs[i].end, MAPPED_END));

    for (size_t i = 0; i < run_count; i++)
        if (runs[i].start < LOW_END)
            low = (struct memmap_range){ max_u64(runs[i].start, LOW_FIRST),
                                         min_u64(runs[i].end, LOW_LAST) };
    for (size_t i = 0;; i++) {
        if (i == run_count)
            boot_fail("alcove: too little memory for the image");
        if (runs[i].start <= LOW_END && runs[i].end >= image_end() + 16 * PAGE_SIZE)
            break;
    }
    run_count = memmap_remove(runs, run_count, MEMMAP_MAX, 0, align_up(image_end(), PAGE_SIZE));
    kmap_linear_readonly(image_phys(__image_start), image_phys(__rodata_end));
    find_payload();
    for (size_t i = 0; i < run_count; i++)
        if (runs[i].end > MAPPED_END)
            kmap_linear(max_u64(runs[i].start, MAPPED_END), runs[i].end);
}

const void *boot_payload(uint64_t *ret_max)
{
    *ret_max = payload_max;
    return payload;
}

/* The highest run that lies below 1 GiB with its first page. */
static struct memmap_range *highest(void)
{
    struct memmap_range *r = NULL;

    for (size_t i = 0; i < run_count; i++)
        if (runs[i].start < MAPPED_END && runs[i].end - runs[i].start > PAGE_SIZE)
            r = &runs[i];
    return r;
}

void *boot_keep(size_t size)
{
    struct memmap_range *r = highest();
    uint64_t pa, end;
    void *p;

    size = align_up(size, PAGE_SIZE);
    if (!r)
        return NULL;
    end = min_u64(r->end, MAPPED_END);
    if (end - r->start <= size)
        return NULL;
    pa = end - size;
    if (r->end > MAPPED_END) {
        /* Cut out of the middle: the part above becomes a run of its own. */
        size_t before = run_count;
        run_count = memmap_remove(runs, run_count, MEMMAP_MAX, pa, end);
        if (run_count == before)
            return NULL;
    } else {
        r->end = pa;
    }
    p = plat_phys_to_virt(PADDR(pa));
    x86_clear(p, size);
    return p;
}

uint64_t boot_page(void)
{
    void *p = boot_keep(PAGE_SIZE);

    return p ? plat_virt_to_phys(p).v : 0;
}

void *boot_scratch(size_t size)
{
    struct memmap_range *r = highest();

    if (!r || min_u64(r->end, MAPPED_END) - r->start < size)
        return NULL;
    return plat_phys_to_virt(PADDR(r->start));
}

void boot_memory_done(void)
{
    if (low.start >= low.end || run_count == MEMMAP_MAX)
        return;
    for (size_t i = run_count; i > 0; i--)
        runs[i] = runs[i - 1];
    runs[0] = low;
    run_count++;
}

bool boot_is_ram(uint64_t pa, uint64_t size)
{
    for (size_t i = 0; i < ram_count; i++)
        if (pa < ram[i].end && pa + size > ram[i].start)
            return true;
    return false;
}

bool plat_mem_region(size_t i, struct plat_mem_region *ret)
{
    if (i >= run_count)
        return false;
    *ret = (struct plat_mem_region){ PADDR(runs[i].start), runs[i].end - runs[i].start };
    return true;
}

paddr_t plat_mem_end(void)
{
    return PADDR(ram_end);
}
