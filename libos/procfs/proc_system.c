/* SPDX-License-Identifier: MIT */
/* The files at the top of /proc: memory, CPUs, load, time, and the lists of what there is. */
#include "proc.h"
#include <abi/errno.h>
#include <libos/dev/blk.h>
#include <libos/heap.h>
#include <libos/page.h>
#include <libos/pagemap.h>
#include <libos/process.h>
#include <libos/sched.h>
#include <libos/sysinfo.h>
#include <libos/timer.h>
#include <plat/boot.h>
#include <plat/cpu.h>
#include <plat/time.h>
#include <string.h>

enum { CPU_TEXT = 8192 };

static void kb(struct text *t, const char *name, uint64_t pages)
{
    text_printf(t, "%-15s %8llu kB\n", name, (unsigned long long)(pages * (PAGE_SIZE / 1024)));
}

static int show_meminfo(struct text *t, const struct gen_ctx *c)
{
    struct page_stats s;
    struct pagemap_stats cache;
    page_stats(&s);
    pagemap_stats(&cache);
    uint64_t files = min_u64(cache.cached, s.file), shmem = s.file - files;
    kb(t, "MemTotal:", s.total);
    kb(t, "MemFree:", s.free);
    kb(t, "MemAvailable:", page_available_count() + files);
    kb(t, "Buffers:", 0);
    kb(t, "Cached:", s.file);
    kb(t, "SwapCached:", 0);
    kb(t, "Active:", s.anon + s.file);
    kb(t, "Inactive:", 0);
    kb(t, "Active(anon):", s.anon + shmem);
    kb(t, "Inactive(anon):", 0);
    kb(t, "Active(file):", files);
    kb(t, "Inactive(file):", 0);
    kb(t, "Unevictable:", 0);
    kb(t, "Mlocked:", 0);
    kb(t, "SwapTotal:", 0);
    kb(t, "SwapFree:", 0);
    kb(t, "Dirty:", cache.dirty);
    kb(t, "Writeback:", cache.writeback);
    kb(t, "AnonPages:", s.anon);
    kb(t, "Mapped:", s.file);
    kb(t, "Shmem:", shmem);
    kb(t, "KReclaimable:", 0);
    kb(t, "Slab:", s.kernel);
    kb(t, "SReclaimable:", 0);
    kb(t, "SUnreclaim:", s.kernel);
    kb(t, "CommitLimit:", s.total);
    kb(t, "Committed_AS:", s.anon);
    text_printf(
        t, "HugePages_Total:       0\nHugePages_Free:        0\nHugePages_Rsvd:        0\n"
           "HugePages_Surp:        0\nHugepagesize:       2048 kB\nHugetlb:               0 kB\n");
    return 0;
}

static int show_cpuinfo(struct text *t, const struct gen_ctx *c)
{
    char *buf = heap_alloc(CPU_TEXT);
    if (!buf)
        return -ENOMEM;
    for (unsigned i = 0; i < plat_cpu_count(); i++) {
        size_t n = plat_cpu_describe(i, buf, CPU_TEXT);
        text_add(t, buf, n < CPU_TEXT ? n : CPU_TEXT - 1);
    }
    heap_free(buf);
    return 0;
}

static void show_cpu(struct text *t, const struct cpu_told *busy, uint64_t idle_ns)
{
    text_printf(t, " %llu 0 %llu %llu 0 0 0 0 0 0\n",
                (unsigned long long)(busy->user_ns / NS_PER_TICK),
                (unsigned long long)(busy->system_ns / NS_PER_TICK),
                (unsigned long long)(idle_ns / NS_PER_TICK));
}

static int show_stat(struct text *t, const struct gen_ctx *c)
{
    struct cpu_told busy[PLAT_CPU_MAX], all = { 0, 0 };
    uint64_t idle = 0, switches = 0, avg[3];
    unsigned n = plat_cpu_count(), running, total;
    for (unsigned i = 0; i < n; i++) {
        uint64_t mine;
        sched_busy(i, &busy[i], &mine);
        all.user_ns += busy[i].user_ns;
        all.system_ns += busy[i].system_ns;
        idle += sched_idle_ns(i);
        switches += mine;
    }
    text_printf(t, "cpu ");
    show_cpu(t, &all, idle);
    for (unsigned i = 0; i < n; i++) {
        text_printf(t, "cpu%u", i);
        show_cpu(t, &busy[i], sched_idle_ns(i));
    }
    sched_load(avg, &running, &total);
    text_printf(
        t, "intr 0\nctxt %llu\nbtime %llu\nprocesses %u\nprocs_running %u\nprocs_blocked 0\n",
        (unsigned long long)switches, (unsigned long long)(clock_realtime_offset() / NS_PER_SEC),
        process_count(), running);
    return 0;
}

static void show_seconds(struct text *t, uint64_t ns, const char *end)
{
    text_printf(t, "%llu.%02llu%s", (unsigned long long)(ns / NS_PER_SEC),
                (unsigned long long)(ns % NS_PER_SEC / NS_PER_TICK), end);
}

static int show_uptime(struct text *t, const struct gen_ctx *c)
{
    uint64_t idle = 0;
    for (unsigned i = 0; i < plat_cpu_count(); i++)
        idle += sched_idle_ns(i);
    show_seconds(t, plat_time_ns(), " ");
    show_seconds(t, idle, "\n");
    return 0;
}

static int show_loadavg(struct text *t, const struct gen_ctx *c)
{
    uint64_t avg[3];
    unsigned running, total;
    sched_load(avg, &running, &total);
    for (int i = 0; i < 3; i++) {
        uint64_t v = avg[i] + 65536 / 200; /* rounded to hundredths */
        text_printf(t, "%llu.%02llu ", (unsigned long long)(v >> 16),
                    (unsigned long long)((v & 0xffff) * 100 >> 16));
    }
    text_printf(t, "%u/%u %d\n", running, total, thread_current()->tid);
    return 0;
}

static int show_version(struct text *t, const struct gen_ctx *c)
{
    struct abi_utsname u;
    system_names(&u);
    text_printf(t, "%s version %s (alcove) %s\n", u.sysname, u.release, u.version);
    return 0;
}

static int show_boot_cmdline(struct text *t, const struct gen_ctx *c)
{
    const char *line = plat_boot_info()->vmm_cmdline;
    text_printf(t, "%s\n", line ? line : "");
    return 0;
}

static int show_vmstat(struct text *t, const struct gen_ctx *c)
{
    struct page_stats s;
    struct pagemap_stats cache;
    (void)c;
    page_stats(&s);
    pagemap_stats(&cache);
    const struct {
        const char *name;
        uint64_t value;
    } rows[] = { { "nr_free_pages", s.free },
                 { "nr_anon_pages", s.anon },
                 { "nr_mapped", s.file },
                 { "nr_file_pages", s.file },
                 { "nr_dirty", cache.dirty },
                 { "nr_writeback", cache.writeback },
                 { "nr_slab_reclaimable", 0 },
                 { "nr_slab_unreclaimable", s.kernel },
                 { "nr_shmem", s.file > cache.cached ? s.file - cache.cached : 0 },
                 { "pswpin", 0 },
                 { "pswpout", 0 } };
    for (size_t i = 0; i < ARRAY_SIZE(rows); i++)
        text_printf(t, "%s %llu\n", rows[i].name, (unsigned long long)rows[i].value);
    return 0;
}

static int show_partitions(struct text *t, const struct gen_ctx *c)
{
    text_printf(t, "major minor  #blocks  name\n\n");
    for (struct blk_device *d = blk_next(NULL); d; d = blk_next(d))
        text_printf(t, "%4u  %7u %10llu %s\n", abi_major(d->rdev), abi_minor(d->rdev),
                    (unsigned long long)(d->sectors / 2), d->name);
    return 0;
}

static int show_diskstats(struct text *t, const struct gen_ctx *c)
{
    for (struct blk_device *d = blk_next(NULL); d; d = blk_next(d)) {
        text_printf(t, "%4u %7u %s ", abi_major(d->rdev), abi_minor(d->rdev), d->name);
        gen_show_disk(t, d, 1);
    }
    return 0;
}

/* Lines are not counted; the columns are there. */
static int show_interrupts(struct text *t, const struct gen_ctx *c)
{
    text_printf(t, "           ");
    for (unsigned i = 0; i < plat_cpu_count(); i++)
        text_printf(t, "CPU%-8u", i);
    text_add(t, "\n", 1);
    return 0;
}

static int show_self(struct text *t, const struct gen_ctx *c)
{
    text_printf(t, "%d", process_current()->pid);
    return 0;
}

static int show_thread_self(struct text *t, const struct gen_ctx *c)
{
    text_printf(t, "%d/task/%d", process_current()->pid, thread_current()->tid);
    return 0;
}

const struct gen_entry proc_system_entries[] = {
    { .name = "self", .mode = S_IFLNK | 0777, .show = show_self },
    { .name = "thread-self", .mode = S_IFLNK | 0777, .show = show_thread_self },
    { .name = "mounts", .mode = S_IFLNK | 0777, .fixed = "self/mounts" },
    GEN_DIR("sys", proc_sys_entries),
    GEN_DIR("sysvipc", proc_sysvipc_entries),
    GEN_FILE("cmdline", show_boot_cmdline),
    GEN_FILE("cpuinfo", show_cpuinfo),
    GEN_FIXED("devices", "Character devices:\n  1 mem\n  4 ttyS\n  5 /dev/tty\n  5 /dev/console\n  "
                         "5 /dev/ptmx\n136 pts\n"
                         "\nBlock devices:\n"),
    GEN_FILE("diskstats", show_diskstats),
    GEN_FILE("filesystems", proc_show_filesystems),
    GEN_FILE("interrupts", show_interrupts),
    GEN_FILE("loadavg", show_loadavg),
    GEN_FILE("meminfo", show_meminfo),
    { .name = "net", .mode = S_IFLNK | 0777, .fixed = "self/net" },
    GEN_FILE("partitions", show_partitions),
    GEN_FILE("stat", show_stat),
    GEN_FIXED("swaps", "Filename\t\t\t\tType\t\tSize\t\tUsed\t\tPriority\n"),
    GEN_FILE("uptime", show_uptime),
    GEN_FILE("version", show_version),
    GEN_FILE("vmstat", show_vmstat),
    { .name = NULL },
};
