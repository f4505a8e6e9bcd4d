/* SPDX-License-Identifier: MIT */
/* /proc/sysvipc: what System V objects there are, for ipcs(1). sysvipc(7). */
#include "proc.h"

#include <abi/ipc.h>
#include <libos/ipc.h>

enum { PAGE = 4096 };

static int show_msg(struct text *t, const struct gen_ctx *c)
{
    struct abi_msginfo info;
    struct abi_msqid q;
    int highest = ipc_msg_info(true, &info);
    text_printf(
        t, "       key      msqid perms      cbytes       qnum lspid lrpid   uid   gid  cuid  cgid"
           "      stime      rtime      ctime\n");
    for (int i = 0; i <= highest; i++) {
        int id = ipc_msg_stat(IPC_BY_INDEX_ANY, i, &q);
        if (id >= 0)
            text_printf(
                t, "%10d %10d  %4o  %10llu %10llu %5u %5u %5u %5u %5u %5u %10lld %10lld %10lld\n",
                (int)q.perm.key, id, (unsigned)q.perm.mode, (unsigned long long)q.cbytes,
                (unsigned long long)q.qnum, (unsigned)q.lspid, (unsigned)q.lrpid,
                (unsigned)q.perm.uid, (unsigned)q.perm.gid, (unsigned)q.perm.cuid,
                (unsigned)q.perm.cgid, (long long)q.stime, (long long)q.rtime, (long long)q.ctime);
    }
    return 0;
}

static int show_sem(struct text *t, const struct gen_ctx *c)
{
    struct abi_seminfo info;
    struct abi_semid s;
    int highest = ipc_sem_info(true, &info);
    text_printf(
        t,
        "       key      semid perms      nsems   uid   gid  cuid  cgid      otime      ctime\n");
    for (int i = 0; i <= highest; i++) {
        int id = ipc_sem_stat(IPC_BY_INDEX_ANY, i, &s);
        if (id >= 0)
            text_printf(t, "%10d %10d  %4o %10llu %5u %5u %5u %5u %10lld %10lld\n", (int)s.perm.key,
                        id, (unsigned)s.perm.mode, (unsigned long long)s.nsems,
                        (unsigned)s.perm.uid, (unsigned)s.perm.gid, (unsigned)s.perm.cuid,
                        (unsigned)s.perm.cgid, (long long)s.otime, (long long)s.ctime);
    }
    return 0;
}

static int show_shm(struct text *t, const struct gen_ctx *c)
{
    struct abi_shm_info info;
    struct abi_shmid s;
    int highest = ipc_shm_usage(&info);
    text_printf(t,
                "       key      shmid perms                  size  cpid  lpid nattch   uid   gid  "
                "cuid  cgid"
                "      atime      dtime      ctime                   rss                  swap\n");
    for (int i = 0; i <= highest; i++) {
        int id = ipc_shm_stat(IPC_BY_INDEX_ANY, i, &s);
        if (id >= 0)
            text_printf(t,
                        "%10d %10d  %4o %21llu %5u %5u  %5llu %5u %5u %5u %5u %10lld %10lld %10lld "
                        "%21llu %21u\n",
                        (int)s.perm.key, id, (unsigned)s.perm.mode, (unsigned long long)s.segsz,
                        (unsigned)s.cpid, (unsigned)s.lpid, (unsigned long long)s.nattch,
                        (unsigned)s.perm.uid, (unsigned)s.perm.gid, (unsigned)s.perm.cuid,
                        (unsigned)s.perm.cgid, (long long)s.atime, (long long)s.dtime,
                        (long long)s.ctime, (unsigned long long)ipc_shm_pages(id) * PAGE, 0u);
    }
    return 0;
}

const struct gen_entry proc_sysvipc_entries[] = {
    GEN_FILE("msg", show_msg),
    GEN_FILE("sem", show_sem),
    GEN_FILE("shm", show_shm),
    { .name = NULL },
};
