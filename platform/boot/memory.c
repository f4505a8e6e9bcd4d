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

static uint64_t image_start(void)
{
    return x86_image_phys(__image_start);
}

static uint64_t image_end(void)
{
    return align_up(x86_image_phys(__image_end), PAGE_SIZE);
}

static void take(uint64_t start, uint64_t end)
{
    run_count = memmap_remove(runs, run_count, MEMMAP_MAX, start, end);
}

/* Bytes of RAM from start on, 0: none. */
static uint64_t ram_from(uint64_t start)
{
    for (size_t i = 0; i < run_count; i++)
        if (start >= runs[i].start && start < runs[i].end)
            return runs[i].end - start;
    return 0;
}

/* The payload lies right after the image. Its size is what it says, at most to the end of the RAM there. */
static bool find_appended(void)
{
    const struct alcove_image *image = plat_phys_to_virt(PADDR(image_end()));
    uint64_t max = ram_from(image_end());

    if (max < PAGE_SIZE ||
        __builtin_memcmp(image->magic, ALCOVE_IMAGE_MAGIC, sizeof(image->magic)) != 0)
        return false;
    payload = image;
    payload_max = max;
    take(image_end(), image_end() + align_up(min_u64(image->total_size, max), PAGE_SIZE));
    return true;
}

/* What the loader announces is used whole where it is, if that is RAM: the UEFI stub announces the sections of its file. */
static void take_module(struct memmap_range module)
{
    uint64_t max = ram_from(module.start);

    if (module.start % PAGE_SIZE || module.start < LOW_END || module.start >= module.end ||
        max < module.end - module.start)
        return;
    payload = plat_phys_to_virt(PADDR(module.start));
    payload_max = module.end - module.start;
    take(module.start, align_up(module.end, PAGE_SIZE));
}

static void map_linear(uint64_t from, uint64_t to)
{
    for (size_t i = 0; i < ram_count; i++)
        if (ram[i].start < to && ram[i].end > from)
            kmap_linear(max_u64(ram[i].start, from), min_u64(ram[i].end, to));
}

static void take_image(void)
{
    if (ram_from(image_start()) < image_end() - image_start() + 16 * PAGE_SIZE)
        boot_fail("alcove: too little memory for the image");
    take(0, LOW_END);
    take(image_start(), image_end());
}

void boot_memory_init(const struct memmap_entry *raw, size_t count, struct memmap_range module)
{
    uint64_t *low_pd = plat_phys_to_virt(PADDR(kmap_root_phys() + 2 * PAGE_SIZE));

    run_count =
        memmap_build(raw, count, min_u64(x86_facts.phys_limit, RAM_LIMIT), runs, MEMMAP_MAX);
    if (!run_count)
        boot_fail("alcove: the loader's memory map has no usable memory");
    ram_end = runs[run_count - 1].end;
    ram_count = run_count;
    x86_copy(ram, runs, sizeof(ram));
    for (size_t i = 0; i < run_count; i++)
        if (runs[i].start < LOW_END)
            low = (struct memmap_range){ max_u64(runs[i].start, LOW_FIRST),
                                         min_u64(runs[i].end, LOW_LAST) };

    /* What the entry code mapped without knowing goes, but for the image itself. */
    for (uint64_t pa = align_up(image_end(), LARGE_SIZE);
         pa < MAPPED_END && low_pd[pa >> LARGE_SHIFT]; pa += LARGE_SIZE)
        low_pd[pa >> LARGE_SHIFT] = 0;
    map_linear(0, MAPPED_END);
    take_image();
    if (!find_appended())
        take_module(module);
    /* From here on table pages are taken, from what is left below 1 GiB. */
    kmap_linear_readonly(image_start(), x86_image_phys(__rodata_end));
    map_linear(MAPPED_END, RAM_LIMIT);
}

const void *boot_payload(uint64_t *ret_max)
{
    *ret_max = payload_max;
    return payload;
}

/* The highest run that has more than size bytes below 1 GiB. */
static struct memmap_range *highest(uint64_t size)
{
    struct memmap_range *r = NULL;

    for (size_t i = 0; i < run_count; i++)
        if (runs[i].start < MAPPED_END && min_u64(runs[i].end, MAPPED_END) - runs[i].start > size)
            r = &runs[i];
    return r;
}

void *boot_keep(size_t size)
{
    struct memmap_range *r;
    uint64_t pa, end;
    void *p;

    size = align_up(size, PAGE_SIZE);
    r = highest(size);
    if (!r)
        return NULL;
    end = min_u64(r->end, MAPPED_END);
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
    plat_mem_accept(PADDR(pa), size);
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
    struct memmap_range *r = highest(size);

    if (!r)
        return NULL;
    plat_mem_accept(PADDR(r->start), size);
    return plat_phys_to_virt(PADDR(r->start));
}

uint64_t boot_low_pages(size_t n)
{
    if (low.start >= low.end || (low.end - low.start) / PAGE_SIZE < n)
        return 0;
    low.end -= n * PAGE_SIZE;
    x86_clear(plat_phys_to_virt(PADDR(low.end)), n * PAGE_SIZE);
    return low.end;
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
