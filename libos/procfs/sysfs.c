/* SPDX-License-Identifier: MIT */
/* /sys: CPUs, memory nodes, large pages. Only facts that programs ask for and that libOS knows. The topology is the
 * flat one that every VMM shows: one package, each CPU a core of its own. sysfs(5), Documentation/ABI/. */
#include "gen.h"
#include <abi/errno.h>
#include <abi/statfs.h>
#include <libos/mount.h>
#include <libos/node.h>
#include <libos/page.h>
#include <libos/sysfs.h>
#include <plat/cc.h>
#include <plat/cpu.h>
#include <plat/node.h>

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

/* The bits of a mask as ranges: 0-3,6 */
static void show_bits(struct text *t, uint64_t bits)
{
    const char *comma = "";
    for (int from = 0; from < 64 && bits >> from; from++) {
        if (!(bits >> from & 1))
            continue;
        int to = from;
        while (to < 63 && bits >> (to + 1) & 1)
            to++;
        text_printf(t, to > from ? "%s%d-%d" : "%s%d", comma, from, to);
        comma = ",";
        from = to;
    }
    text_printf(t, "\n");
}

static uint64_t node_cpus(unsigned node)
{
    uint64_t mask = 0;
    for (unsigned i = 0; i < plat_cpu_count() && i < 64; i++)
        mask |= (uint64_t)(plat_node_of_cpu(i) == node) << i;
    return mask;
}

static int show_node_cpus(struct text *t, const struct gen_ctx *c)
{
    show_bits(t, node_cpus((unsigned)c->number));
    return 0;
}

static int show_node_mask(struct text *t, const struct gen_ctx *c)
{
    show_mask(t, node_cpus((unsigned)c->number));
    return 0;
}

static int show_node_distance(struct text *t, const struct gen_ctx *c)
{
    for (unsigned i = 0; i < node_count(); i++)
        text_printf(t, "%s%u", i ? " " : "", plat_node_distance((unsigned)c->number, i));
    text_printf(t, "\n");
    return 0;
}

static int show_nodes(struct text *t, const struct gen_ctx *c)
{
    show_bits(t, node_all());
    return 0;
}

static int show_nodes_with_cpus(struct text *t, const struct gen_ctx *c)
{
    uint64_t mask = 0;
    for (unsigned i = 0; i < node_count(); i++)
        mask |= (uint64_t)(node_cpus(i) != 0) << i;
    show_bits(t, mask);
    return 0;
}

static int show_nodes_with_memory(struct text *t, const struct gen_ctx *c)
{
    uint64_t mask = 0;
    struct node_memory m;
    for (unsigned i = 0; i < node_count(); i++) {
        node_memory(i, &m);
        mask |= (uint64_t)(m.total != 0) << i;
    }
    show_bits(t, mask);
    return 0;
}

static int show_node_memory(struct text *t, const struct gen_ctx *c)
{
    struct page_stats s;
    struct node_memory m;
    page_stats(&s);
    node_memory((unsigned)c->number, &m);
    if (!node_many)
        m = (struct node_memory){ s.total, s.free };
    const struct {
        const char *name;
        uint64_t pages;
    } rows[] = { { "MemTotal:", m.total },         { "MemFree:", m.free },
                 { "MemUsed:", m.total - m.free }, { "FilePages:", s.file },
                 { "AnonPages:", s.anon },         { "Shmem:", s.file } };
    /* What pages are used for is not counted by node. */
    for (size_t i = 0; i < (node_many ? 3 : ARRAY_SIZE(rows)); i++)
        text_printf(t, "Node %d %-15s %8llu kB\n", c->number, rows[i].name,
                    (unsigned long long)(rows[i].pages * (PAGE_SIZE / 1024)));
    return 0;
}

static int show_node_vmstat(struct text *t, const struct gen_ctx *c)
{
    struct page_stats s;
    (void)c;
    page_stats(&s);
    text_printf(t, "nr_free_pages %llu\nnr_anon_pages %llu\nnr_file_pages %llu\n",
                (unsigned long long)s.free, (unsigned long long)s.anon, (unsigned long long)s.file);
    return 0;
}

/* All memory is local. */
static int show_node_numastat(struct text *t, const struct gen_ctx *c)
{
    struct page_stats s;
    (void)c;
    page_stats(&s);
    unsigned long long n = s.total - s.free;
    text_printf(t,
                "numa_hit %llu\nnuma_miss 0\nnuma_foreign 0\ninterleave_hit 0\nlocal_node %llu\n"
                "other_node 0\n",
                n, n);
    return 0;
}

/* The pool of huge pages for MAP_HUGETLB: there is none, and none can be made. */
static const struct gen_entry node_huge_2m_entries[] = {
    GEN_FIXED("free_hugepages", "0\n"),
    GEN_FIXED("nr_hugepages", "0\n"),
    GEN_FIXED("surplus_hugepages", "0\n"),
    { .name = NULL },
};
static const struct gen_entry node_hugepages_entries[] = {
    GEN_DIR("hugepages-2048kB", node_huge_2m_entries), { .name = NULL }
};
static const struct gen_entry huge_2m_entries[] = {
    GEN_FIXED("free_hugepages", "0\n"),
    GEN_FIXED("nr_hugepages", "0\n"),
    GEN_FIXED("nr_hugepages_mempolicy", "0\n"),
    GEN_FIXED("nr_overcommit_hugepages", "0\n"),
    GEN_FIXED("resv_hugepages", "0\n"),
    GEN_FIXED("surplus_hugepages", "0\n"),
    { .name = NULL },
};
static const struct gen_entry hugepages_entries[] = { GEN_DIR("hugepages-2048kB", huge_2m_entries),
                                                      { .name = NULL } };

static const struct gen_entry node_entries[] = {
    GEN_FILE("cpulist", show_node_cpus),          GEN_FILE("cpumap", show_node_mask),
    GEN_FILE("distance", show_node_distance),     GEN_FILE("meminfo", show_node_memory),
    GEN_FILE("vmstat", show_node_vmstat),         GEN_FILE("numastat", show_node_numastat),
    GEN_DIR("hugepages", node_hugepages_entries), { .name = NULL },
};

static bool node_exists(const struct gen_ctx *dir, int n)
{
    return n >= 0 && (unsigned)n < node_count();
}

static int node_next(const struct gen_ctx *dir, int from)
{
    from = from < 0 ? 0 : from;
    return node_exists(dir, from) ? from : -1;
}

static const struct gen_names nodes = { .prefix = "node",
                                        .exists = node_exists,
                                        .next = node_next,
                                        .enter = enter,
                                        .entry = { .mode = S_IFDIR | 0755,
                                                   .children = node_entries } };

static const struct gen_entry node_dir[] = {
    GEN_FILE("has_cpu", show_nodes_with_cpus),
    GEN_FILE("has_memory", show_nodes_with_memory),
    GEN_FILE("has_normal_memory", show_nodes_with_memory),
    GEN_FILE("online", show_nodes),
    GEN_FILE("possible", show_nodes),
    { .name = NULL },
};

static const struct gen_entry system_entries[] = {
    { .name = "cpu", .mode = S_IFDIR | 0755, .children = cpu_dir, .names = &cpus },
    { .name = "node", .mode = S_IFDIR | 0755, .children = node_dir, .names = &nodes },
    { .name = NULL },
};

static const struct gen_entry none[] = { { .name = NULL } };

#define NAMES_DIR(n, entries, which)                                                               \
    {                                                                                              \
        .name = (n), .mode = S_IFDIR | 0755, .children = (entries), .names = (which)               \
    }
#define DEVICES                                                                                    \
    NAMES_DIR("platform", none, &sysfs_platform_names), GEN_DIR("system", system_entries)
#define CLASSES                                                                                    \
    NAMES_DIR("block", none, &sysfs_class_block_links),                                            \
        NAMES_DIR("net", sysfs_net_entries, &sysfs_net_names),                                     \
        NAMES_DIR("tpm", none, &sysfs_tpm_names), NAMES_DIR("tpmrm", none, &sysfs_tpmrm_names)

static const struct gen_entry plain_virtual_entries[] = { NAMES_DIR("block", none, &sysfs_disks),
                                                          { .name = NULL } };
static const struct gen_entry dev_entries[] = { NAMES_DIR("block", none, &sysfs_dev_block_links),
                                                { .name = NULL } };
static const struct gen_entry devices_entries[] = { DEVICES,
                                                    GEN_DIR("virtual", plain_virtual_entries),
                                                    { .name = NULL } };
static const struct gen_entry class_entries[] = { CLASSES, { .name = NULL } };

static const struct gen_entry thp_entries[] = {
    GEN_FIXED("defrag", "always defer defer+madvise [madvise] never\n"),
    GEN_FIXED("enabled", "[always] madvise never\n"),
    GEN_FIXED("hpage_pmd_size", "2097152\n"),
    GEN_FIXED("use_zero_page", "0\n"),
    GEN_FIXED("shmem_enabled", "always within_size advise [never] deny force\n"),
    { .name = NULL },
};

static const struct gen_entry mm_entries[] = { GEN_DIR("hugepages", hugepages_entries),
                                               GEN_DIR("transparent_hugepage", thp_entries),
                                               { .name = NULL } };
static const struct gen_entry kernel_entries[] = {
    GEN_DIR("config", none), GEN_DIR("mm", mm_entries), GEN_DIR("security", none), { .name = NULL }
};

/* The measurements of a TDX guest, as Linux 6.16 and later has them (Documentation/ABI/testing/
 * sysfs-devices-virtual-misc-tdx_guest): where they lie in the module's report, binary. Writing to an RTMR extends it. */
enum { MRTD = 528, MRCONFIGID = 576, MROWNER = 624, MROWNERCONFIG = 672, RTMR = 720 };

static int show_measurement(struct text *t, size_t offset)
{
    static const uint8_t no_data[PLAT_TDX_DATA];
    uint8_t report[PLAT_TDX_REPORT];
    int err = plat_tdx_report(no_data, report);

    if (!err)
        text_add(t, report + offset, PLAT_TDX_DIGEST);
    return err;
}

static int extend(unsigned n, const char *value, size_t len)
{
    return len == PLAT_TDX_DIGEST ? plat_tdx_extend(n, (const uint8_t *)value) : -EINVAL;
}

#define MEASUREMENT(name, offset)                                                                  \
    static int show_##name(struct text *t, const struct gen_ctx *c)                                \
    {                                                                                              \
        return show_measurement(t, (offset));                                                      \
    }
#define REGISTER(n)                                                                                \
    MEASUREMENT(rtmr##n, RTMR + (n)*PLAT_TDX_DIGEST)                                               \
    static int extend_rtmr##n(const struct gen_ctx *c, char *value, size_t len)                    \
    {                                                                                              \
        return extend((n), value, len);                                                            \
    }
MEASUREMENT(mrtd, MRTD)
MEASUREMENT(mrconfigid, MRCONFIGID)
MEASUREMENT(mrowner, MROWNER)
MEASUREMENT(mrownerconfig, MROWNERCONFIG)
REGISTER(0)
REGISTER(1)
REGISTER(2)
REGISTER(3)

#define MEASUREMENT_FILE(n, fn)                                                                    \
    {                                                                                              \
        .name = (n), .mode = S_IFREG | 0444, .show = (fn), .size = PLAT_TDX_DIGEST                 \
    }
#define REGISTER_FILE(n)                                                                           \
    {                                                                                              \
        .name = "rtmr" #n ":sha384", .mode = S_IFREG | 0644, .show = show_rtmr##n,                 \
        .store = extend_rtmr##n, .size = PLAT_TDX_DIGEST                                           \
    }
static const struct gen_entry measurement_entries[] = {
    MEASUREMENT_FILE("mrconfigid", show_mrconfigid),
    MEASUREMENT_FILE("mrowner", show_mrowner),
    MEASUREMENT_FILE("mrownerconfig", show_mrownerconfig),
    MEASUREMENT_FILE("mrtd:sha384", show_mrtd),
    REGISTER_FILE(0),
    REGISTER_FILE(1),
    REGISTER_FILE(2),
    REGISTER_FILE(3),
    { .name = NULL },
};
static const struct gen_entry tdx_guest_entries[] = { GEN_DIR("measurements", measurement_entries),
                                                      { .name = NULL } };
static const struct gen_entry virtual_misc_entries[] = { GEN_DIR("tdx_guest", tdx_guest_entries),
                                                         { .name = NULL } };
static const struct gen_entry virtual_entries[] = { NAMES_DIR("block", none, &sysfs_disks),
                                                    GEN_DIR("misc", virtual_misc_entries),
                                                    { .name = NULL } };
static const struct gen_entry class_misc_entries[] = {
    { .name = "tdx_guest",
      .mode = S_IFLNK | 0777,
      .fixed = "../../devices/virtual/misc/tdx_guest" },
    { .name = NULL },
};
static const struct gen_entry tdx_class_entries[] = { GEN_DIR("misc", class_misc_entries),
                                                      CLASSES,
                                                      { .name = NULL } };
static const struct gen_entry tdx_devices_entries[] = {
    DEVICES,
    GEN_DIR("virtual", virtual_entries),
    { .name = NULL },
};
static const struct gen_entry tdx_root_entries[] = {
    NAMES_DIR("block", none, &sysfs_block_links),
    GEN_DIR("class", tdx_class_entries),
    GEN_DIR("dev", dev_entries),
    GEN_DIR("devices", tdx_devices_entries),
    GEN_DIR("fs", none),
    GEN_DIR("kernel", kernel_entries),
    { .name = NULL },
};
static const struct gen_entry tdx_root = { .mode = S_IFDIR | 0555, .children = tdx_root_entries };

static const struct gen_entry root_entries[] = {
    NAMES_DIR("block", none, &sysfs_block_links),
    GEN_DIR("class", class_entries),
    GEN_DIR("dev", dev_entries),
    GEN_DIR("devices", devices_entries),
    GEN_DIR("fs", none),
    GEN_DIR("kernel", kernel_entries),
    { .name = NULL },
};

static const struct gen_entry root = { .mode = S_IFDIR | 0555, .children = root_entries };

static const struct gen_tree tree = { .file_size = FILE_SIZE };

static struct superblock *the_super;

struct superblock *sysfs_super(void)
{
    return the_super;
}

int sysfs_init(void)
{
    unsigned flags = ST_NOSUID | ST_NODEV | ST_NOEXEC;
    int err = gen_create("sysfs", SYSFS_MAGIC, plat_tdx() ? &tdx_root : &root, &tree, &the_super);

    if (!plat_tdx()) /* nothing to write to */
        flags |= ST_RDONLY;
    if (err || !superblock_get(the_super)) /* which stays, mounted or not */
        return err;
    return vfs_mount(the_super, "/sys", "sysfs", flags);
}
