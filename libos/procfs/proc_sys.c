/* SPDX-License-Identifier: MIT */
/* /proc/sys: limits and switches, most of them facts that do not change. sysctl(2), proc_sys_kernel(5) and its siblings. */
#include "proc.h"
#include <abi/errno.h>
#include <libos/core.h>
#include <libos/file.h>
#include <libos/inotify.h>
#include <libos/mm.h>
#include <libos/page.h>
#include <libos/pagemap.h>
#include <libos/pipe.h>
#include <libos/process.h>
#include <libos/random.h>
#include <libos/sched.h>
#include <libos/sysinfo.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { UUID_SIZE = 37, PID_LIMIT = 32768, CAP_SYS_PTRACE = 19, CAP_SYS_ADMIN = 21 };

static void make_uuid(char out[UUID_SIZE])
{
    uint8_t b[16];
    random_bytes(b, sizeof(b));
    b[6] = (uint8_t)((b[6] & 0x0f) | 0x40); /* RFC 4122, 4.4: version 4 */
    b[8] = (uint8_t)((b[8] & 0x3f) | 0x80);
    char *p = out;
    for (unsigned i = 0; i < sizeof(b); i++) {
        if (i == 4 || i == 6 || i == 8 || i == 10)
            *p++ = '-';
        p += snprintf(p, 3, "%02x", b[i]);
    }
}

static int show_uuid(struct text *t, const struct gen_ctx *c)
{
    char uuid[UUID_SIZE];
    make_uuid(uuid);
    text_printf(t, "%s\n", uuid);
    return 0;
}

static struct spin boot_id_lock = SPIN_INIT(RANK_FILE);
static char boot_id[UUID_SIZE]; /* guarded by boot_id_lock until it is made */

static int show_boot_id(struct text *t, const struct gen_ctx *c)
{
    char fresh[UUID_SIZE];
    make_uuid(fresh);
    spin_lock(&boot_id_lock);
    if (!boot_id[0])
        memcpy(boot_id, fresh, sizeof(boot_id));
    spin_unlock(&boot_id_lock);
    text_printf(t, "%s\n", boot_id);
    return 0;
}

static int show_entropy(struct text *t, const struct gen_ctx *c)
{
    text_printf(t, "%d\n", random_ready() ? 256 : 0);
    return 0;
}

#define NAME_FILE(member)                                                                          \
    static int show_##member(struct text *t, const struct gen_ctx *c)                              \
    {                                                                                              \
        struct abi_utsname u;                                                                      \
        system_names(&u);                                                                          \
        text_printf(t, "%s\n", u.member);                                                          \
        return 0;                                                                                  \
    }

NAME_FILE(sysname)
NAME_FILE(release)
NAME_FILE(version)
NAME_FILE(nodename)
NAME_FILE(domainname)

static int store_name(char *value, bool domain)
{
    if (!cred_capable(CAP_SYS_ADMIN))
        return -EPERM;
    value[strcspn(value, "\n")] = '\0';
    if (strlen(value) > 64)
        value[64] = '\0';
    system_set_name(value, domain);
    return 0;
}

static int store_nodename(const struct gen_ctx *c, char *value, size_t len)
{
    return store_name(value, false);
}

static int store_domainname(const struct gen_ctx *c, char *value, size_t len)
{
    return store_name(value, true);
}

static int show_threads_max(struct text *t, const struct gen_ctx *c)
{
    struct page_stats s;
    page_stats(&s);
    uint64_t n = s.total / 8; /* as Linux: threads may use an eighth of memory, 8 pages each */
    text_printf(t, "%llu\n", (unsigned long long)(n < PID_LIMIT ? n : PID_LIMIT));
    return 0;
}

static int show_file_nr(struct text *t, const struct gen_ctx *c)
{
    text_printf(t, "%u\t0\t%u\n", files_open(), (unsigned)FILES_MAX);
    return 0;
}

#define NUMBER_FILE(name, value)                                                                   \
    static int show_##name(struct text *t, const struct gen_ctx *c)                                \
    {                                                                                              \
        text_printf(t, "%lld\n", (long long)(value));                                              \
        return 0;                                                                                  \
    }

NUMBER_FILE(pid_max, PID_LIMIT)
NUMBER_FILE(map_count, MM_AREAS_MAX)
NUMBER_FILE(min_addr, MM_MIN_ADDR)
NUMBER_FILE(file_max, FILES_MAX)
NUMBER_FILE(nr_open, FD_LIMIT_MAX)
NUMBER_FILE(pipe_max, PIPE_MAX_SIZE)

#define STORED(n, fn, put)                                                                         \
    {                                                                                              \
        .name = (n), .mode = S_IFREG | 0644, .show = (fn), .store = (put)                          \
    }

static const struct gen_entry random_entries[] = {
    GEN_FILE("boot_id", show_boot_id),
    GEN_FILE("entropy_avail", show_entropy),
    GEN_FIXED("poolsize", "256\n"),
    GEN_FILE("uuid", show_uuid),
    GEN_FIXED("urandom_min_reseed_secs", "60\n"),
    GEN_FIXED("write_wakeup_threshold", "256\n"),
    { .name = NULL },
};

static int show_scope(struct text *t, const struct gen_ctx *c)
{
    text_printf(t, "%d\n", access_scope());
    return 0;
}

static int store_scope(const struct gen_ctx *c, char *value, size_t len)
{
    char *end;
    long scope = strtol(value, &end, 10);
    if (!cred_capable(CAP_SYS_PTRACE))
        return -EPERM;
    return end == value || scope < 0 || scope > 3 ? -EINVAL : access_set_scope((int)scope);
}

static int show_core_pattern(struct text *t, const struct gen_ctx *c)
{
    char pattern[CORE_PATTERN_MAX];
    core_pattern_get(pattern);
    text_printf(t, "%s\n", pattern);
    return 0;
}

static int store_core_pattern(const struct gen_ctx *c, char *value, size_t len)
{
    return core_pattern_set(value, len);
}

static int show_core_uses_pid(struct text *t, const struct gen_ctx *c)
{
    text_printf(t, "%d\n", core_uses_pid(false, false));
    return 0;
}

static int store_core_uses_pid(const struct gen_ctx *c, char *value, size_t len)
{
    char *end;
    long v = strtol(value, &end, 10);
    if (end == value)
        return -EINVAL;
    core_uses_pid(true, v != 0);
    return 0;
}

static const struct gen_entry yama_entries[] = {
    STORED("ptrace_scope", show_scope, store_scope),
    { .name = NULL },
};

static const struct gen_entry kernel_entries[] = {
    GEN_DIR("random", random_entries),
    GEN_FIXED("cap_last_cap", "40\n"),
    STORED("core_pattern", show_core_pattern, store_core_pattern),
    STORED("core_uses_pid", show_core_uses_pid, store_core_uses_pid),
    GEN_FIXED("dmesg_restrict", "1\n"),
    STORED("domainname", show_domainname, store_domainname),
    STORED("hostname", show_nodename, store_nodename),
    GEN_FIXED("io_uring_disabled", "2\n"),
    GEN_FIXED("kptr_restrict", "2\n"),
    GEN_FIXED("ngroups_max", "65536\n"),
    GEN_FILE("osrelease", show_release),
    GEN_FILE("ostype", show_sysname),
    GEN_FIXED("overflowgid", "65534\n"),
    GEN_FIXED("overflowuid", "65534\n"),
    GEN_FIXED("perf_event_paranoid", "3\n"),
    GEN_FILE("pid_max", show_pid_max),
    GEN_FIXED("printk", "4\t4\t1\t7\n"),
    GEN_FIXED("randomize_va_space", "2\n"),
    GEN_FIXED("sched_child_runs_first", "0\n"),
    GEN_FIXED("sched_rr_timeslice_ms", "100\n"),
    GEN_FIXED("sched_rt_period_us", "1000000\n"),
    GEN_FIXED("sched_rt_runtime_us", "950000\n"),
    GEN_FIXED("tainted", "0\n"),
    GEN_FILE("threads-max", show_threads_max),
    GEN_FIXED("unprivileged_bpf_disabled", "2\n"),
    GEN_FILE("version", show_version),
    GEN_DIR("yama", yama_entries),
    { .name = NULL },
};

/* Bytes kept for libOS, in KiB. */
static int show_min_free(struct text *t, const struct gen_ctx *c)
{
    (void)c;
    uint64_t kept = page_free_count() - page_available_count();
    text_printf(t, "%llu\n", (unsigned long long)(kept * (PAGE_SIZE / 1024)));
    return 0;
}

static int show_zero(struct text *t, const struct gen_ctx *c)
{
    (void)c;
    text_printf(t, "0\n");
    return 0;
}

/* 1: give the page cache back; 2, which is about inodes and names, has nothing to add. */
static int store_drop_caches(const struct gen_ctx *c, char *value, size_t len)
{
    char *end;
    long what = strtol(value, &end, 10);
    (void)c, (void)len;
    if (end == value || what < 1 || what > 4)
        return -EINVAL;
    if (!cred_capable(CAP_SYS_ADMIN))
        return -EPERM;
    while (what & 1 && pagemap_reclaim(256) && !thread_preempt_point())
        ;
    return 0;
}

static const struct gen_entry vm_entries[] = {
    GEN_FIXED("admin_reserve_kbytes", "0\n"),
    GEN_FIXED("dirty_background_bytes", "0\n"),
    GEN_FIXED("dirty_background_ratio", "20\n"),
    GEN_FIXED("dirty_bytes", "0\n"),
    GEN_FIXED("dirty_expire_centisecs", "500\n"),
    GEN_FIXED("dirty_ratio", "20\n"),
    GEN_FIXED("dirty_writeback_centisecs", "500\n"),
    STORED("drop_caches", show_zero, store_drop_caches),
    GEN_FIXED("hugetlb_shm_group", "0\n"),
    GEN_FIXED("laptop_mode", "0\n"),
    GEN_FILE("min_free_kbytes", show_min_free),
    GEN_FIXED("nr_hugepages_mempolicy", "0\n"),
    GEN_FIXED("nr_overcommit_hugepages", "0\n"),
    GEN_FIXED("oom_dump_tasks", "0\n"),
    GEN_FIXED("overcommit_kbytes", "0\n"),
    GEN_FIXED("page-cluster", "0\n"),
    GEN_FIXED("user_reserve_kbytes", "0\n"),
    GEN_FIXED("vfs_cache_pressure", "100\n"),
    GEN_FIXED("zone_reclaim_mode", "0\n"),
    GEN_FIXED("legacy_va_layout", "0\n"),
    GEN_FILE("max_map_count", show_map_count),
    GEN_FIXED("memfd_noexec", "0\n"),
    GEN_FILE("mmap_min_addr", show_min_addr),
    GEN_FIXED("mmap_rnd_bits", "28\n"),
    GEN_FIXED("nr_hugepages", "0\n"),
    GEN_FIXED("oom_kill_allocating_task", "0\n"),
    GEN_FIXED("overcommit_memory", "1\n"),
    GEN_FIXED("overcommit_ratio", "50\n"),
    GEN_FIXED("panic_on_oom", "0\n"),
    GEN_FIXED("swappiness", "0\n"),
    GEN_FIXED("unprivileged_userfaultfd", "0\n"),
    { .name = NULL },
};

static const struct gen_entry inotify_entries[] = {
    GEN_FIXED("max_queued_events", "16384\n"),
    GEN_FIXED("max_user_instances", "128\n"),
    GEN_FIXED("max_user_watches", "65536\n"),
    { .name = NULL },
};

static const struct gen_entry epoll_entries[] = {
    GEN_FIXED("max_user_watches", "9223372036854775807\n"), { .name = NULL }
};

static const struct gen_entry fs_entries[] = {
    GEN_DIR("epoll", epoll_entries),          GEN_DIR("inotify", inotify_entries),
    GEN_FILE("file-max", show_file_max),      GEN_FILE("file-nr", show_file_nr),
    GEN_FILE("nr_open", show_nr_open),        GEN_FIXED("overflowgid", "65534\n"),
    GEN_FIXED("overflowuid", "65534\n"),      GEN_FILE("pipe-max-size", show_pipe_max),
    GEN_FIXED("pipe-user-pages-hard", "0\n"), GEN_FIXED("pipe-user-pages-soft", "0\n"),
    GEN_FIXED("protected_hardlinks", "1\n"),  GEN_FIXED("protected_symlinks", "1\n"),
    GEN_FIXED("suid_dumpable", "0\n"),        { .name = NULL },
};

static const struct gen_entry tty_entries[] = { GEN_FIXED("legacy_tiocsti", "0\n"),
                                                { .name = NULL } };
static const struct gen_entry dev_entries[] = { GEN_DIR("tty", tty_entries), { .name = NULL } };

const struct gen_entry proc_sys_entries[] = {
    GEN_DIR("dev", dev_entries),       GEN_DIR("fs", fs_entries),
    GEN_DIR("kernel", kernel_entries), GEN_DIR("net", proc_sys_net_entries),
    GEN_DIR("vm", vm_entries),         { .name = NULL },
};
