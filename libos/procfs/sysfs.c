/* SPDX-License-Identifier: MIT */
/* /sys: CPUs, one memory node, large pages. Only facts that programs ask for and that libOS knows. The topology is the
 * flat one that every VMM shows: one package, each CPU a core of its own. sysfs(5), Documentation/ABI/. */
#include "gen.h"
#include <abi/errno.h>
#include <abi/statfs.h>
#include <libos/page.h>
#include <libos/sysfs.h>
#include <plat/cpu.h>

enum { FILE_SIZE = 4096 }; /* what stat says of each file */

static void show_list(struct text *t)
{
    unsigned n = plat_cpu_count();
    text_printf(t, n > 1 ? "0-%u\n" : "0\n", n - 1);
}

static int show_cpu_list(struct text *t, const struct gen_ctx *c)
{
    show_list(t);
    return 0;
}

/* A mask of CPUs as Linux prints it: words of 32 bits, the highest first. */
static void show_mask(struct text *t, uint64_t mask)
{
    if (plat_cpu_count() > 32)
        text_printf(t, "%08x,%08x\n", (unsigned)(mask >> 32), (unsigned)mask);
    else
        text_printf(t, "%x\n", (unsigned)mask);
}

static uint64_t all_cpus(void)
{
    unsigned n = plat_cpu_count();
    return n < 64 ? (1ull << n) - 1 : UINT64_MAX;
}

static int show_all_mask(struct text *t, const struct gen_ctx *c)
{
    show_mask(t, all_cpus());
    return 0;
}

static int show_own_mask(struct text *t, const struct gen_ctx *c)
{
    show_mask(t, 1ull << c->number);
    return 0;
}

static int show_own_number(struct text *t, const struct gen_ctx *c)
{
    text_printf(t, "%d\n", c->number);
    return 0;
}

static int show_kernel_max(struct text *t, const struct gen_ctx *c)
{
    text_printf(t, "%d\n", PLAT_CPU_MAX - 1);
    return 0;
}

static const struct gen_entry topology_entries[] = {
    GEN_FILE("core_id", show_own_number),
    GEN_FILE("core_cpus", show_own_mask),
    GEN_FILE("core_cpus_list", show_own_number),
    GEN_FILE("core_siblings", show_all_mask),
    GEN_FILE("core_siblings_list", show_cpu_list),
    GEN_FIXED("die_id", "0\n"),
    GEN_FILE("package_cpus", show_all_mask),
    GEN_FILE("package_cpus_list", show_cpu_list),
    GEN_FIXED("physical_package_id", "0\n"),
    GEN_FILE("thread_siblings", show_own_mask),
    GEN_FILE("thread_siblings_list", show_own_number),
    { .name = NULL },
};

static const struct gen_entry cpu_entries[] = { GEN_DIR("topology", topology_entries),
                                                { .name = NULL } };

static bool cpu_exists(const struct gen_ctx *dir, int n)
{
    return (unsigned)n < plat_cpu_count();
}

static int cpu_next(const struct gen_ctx *dir, int from)
{
    return cpu_exists(dir, from) ? from : -1;
}

static void enter(struct gen_ctx *c, int n)
{
    c->number = n;
}

static const struct gen_names cpus = { .prefix = "cpu",
                                       .exists = cpu_exists,
                                       .next = cpu_next,
                                       .enter = enter,
                                       .entry = { .mode = S_IFDIR | 0755,
                                                  .children = cpu_entries } };

static const struct gen_entry cpu_dir[] = {
    GEN_FILE("kernel_max", show_kernel_max), GEN_FIXED("offline", "\n"),
    GEN_FILE("online", show_cpu_list),       GEN_FILE("possible", show_cpu_list),
    GEN_FILE("present", show_cpu_list),      { .name = NULL },
};

static int show_node_memory(struct text *t, const struct gen_ctx *c)
{
    struct page_stats s;
    page_stats(&s);
    const struct {
        const char *name;
        uint64_t pages;
    } rows[] = { { "MemTotal:", s.total },         { "MemFree:", s.free },
                 { "MemUsed:", s.total - s.free }, { "FilePages:", s.file },
                 { "AnonPages:", s.anon },         { "Shmem:", s.file } };
    for (size_t i = 0; i < ARRAY_SIZE(rows); i++)
        text_printf(t, "Node 0 %-15s %8llu kB\n", rows[i].name,
                    (unsigned long long)(rows[i].pages * (PAGE_SIZE / 1024)));
    return 0;
}

static const struct gen_entry node_entries[] = {
    GEN_FILE("cpulist", show_cpu_list),
    GEN_FILE("cpumap", show_all_mask),
    GEN_FIXED("distance", "10\n"),
    GEN_FILE("meminfo", show_node_memory),
    { .name = NULL },
};

static bool node_exists(const struct gen_ctx *dir, int n)
{
    return n == 0;
}

static int node_next(const struct gen_ctx *dir, int from)
{
    return from <= 0 ? 0 : -1;
}

static const struct gen_names nodes = { .prefix = "node",
                                        .exists = node_exists,
                                        .next = node_next,
                                        .enter = enter,
                                        .entry = { .mode = S_IFDIR | 0755,
                                                   .children = node_entries } };

static const struct gen_entry node_dir[] = {
    GEN_FIXED("has_cpu", "0\n"),           GEN_FIXED("has_memory", "0\n"),
    GEN_FIXED("has_normal_memory", "0\n"), GEN_FIXED("online", "0\n"),
    GEN_FIXED("possible", "0\n"),          { .name = NULL },
};

static const struct gen_entry system_entries[] = {
    { .name = "cpu", .mode = S_IFDIR | 0755, .children = cpu_dir, .names = &cpus },
    { .name = "node", .mode = S_IFDIR | 0755, .children = node_dir, .names = &nodes },
    { .name = NULL },
};

static const struct gen_entry devices_entries[] = { GEN_DIR("system", system_entries),
                                                    { .name = NULL } };

static const struct gen_entry thp_entries[] = {
    GEN_FIXED("defrag", "always defer defer+madvise [madvise] never\n"),
    GEN_FIXED("enabled", "[always] madvise never\n"),
    GEN_FIXED("hpage_pmd_size", "2097152\n"),
    GEN_FIXED("shmem_enabled", "always within_size advise [never] deny force\n"),
    { .name = NULL },
};

static const struct gen_entry mm_entries[] = { GEN_DIR("transparent_hugepage", thp_entries),
                                               { .name = NULL } };
static const struct gen_entry kernel_entries[] = { GEN_DIR("mm", mm_entries), { .name = NULL } };
static const struct gen_entry none[] = { { .name = NULL } };

static const struct gen_entry root_entries[] = {
    GEN_DIR("class", sysfs_class_entries),
    GEN_DIR("devices", devices_entries),
    GEN_DIR("fs", none),
    GEN_DIR("kernel", kernel_entries),
    { .name = NULL },
};

static const struct gen_entry root = { .mode = S_IFDIR | 0555, .children = root_entries };

int sysfs_init(void)
{
    struct superblock *sb;
    int err = gen_create("sysfs", SYSFS_MAGIC, &root, FILE_SIZE, &sb);
    return err ? err : vfs_mount(sb, "/sys", "sysfs", ST_RDONLY | ST_NOSUID | ST_NODEV | ST_NOEXEC);
}
