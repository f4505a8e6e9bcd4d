/* SPDX-License-Identifier: MIT */
/* System V IPC (linux/ipc.h, msg.h, sem.h, shm.h) and POSIX message queues (linux/mqueue.h) on x86-64. */
#ifndef ABI_IPC_H
#define ABI_IPC_H

#include <base/user_ptr.h>
#include <stdint.h>

#define IPC_PRIVATE 0
#define IPC_CREAT   01000
#define IPC_EXCL    02000
#define IPC_NOWAIT  04000

#define IPC_RMID     0
#define IPC_SET      1
#define IPC_STAT     2
#define IPC_INFO     3
#define MSG_STAT     11
#define MSG_INFO     12
#define MSG_STAT_ANY 13
#define SEM_STAT     18
#define SEM_INFO     19
#define SEM_STAT_ANY 20
#define SHM_LOCK     11
#define SHM_UNLOCK   12
#define SHM_STAT     13
#define SHM_INFO     14
#define SHM_STAT_ANY 15

#define GETPID  11
#define GETVAL  12
#define GETALL  13
#define GETNCNT 14
#define GETZCNT 15
#define SETVAL  16
#define SETALL  17

#define MSG_NOERROR 010000
#define MSG_EXCEPT  020000
#define MSG_COPY    040000

#define SEM_UNDO 0x1000

#define SHM_RDONLY    010000
#define SHM_RND       020000
#define SHM_REMAP     040000
#define SHM_EXEC      0100000
#define SHM_DEST      01000
#define SHM_LOCKED    02000
#define SHM_HUGETLB   04000
#define SHM_NORESERVE 010000

struct abi_ipc_perm {
    int32_t key;
    uint32_t uid, gid, cuid, cgid, mode;
    uint16_t seq, pad;
    uint64_t reserved[2];
};

struct abi_msqid {
    struct abi_ipc_perm perm;
    int64_t stime, rtime, ctime;
    uint64_t cbytes, qnum, qbytes;
    int32_t lspid, lrpid;
    uint64_t reserved[2];
};

struct abi_msginfo {
    int32_t msgpool, msgmap, msgmax, msgmnb, msgmni, msgssz, msgtql;
    uint16_t msgseg;
};

struct abi_semid {
    struct abi_ipc_perm perm;
    int64_t otime, reserved1, ctime, reserved2;
    uint64_t nsems, reserved[2];
};

struct abi_seminfo {
    int32_t semmap, semmni, semmns, semmnu, semmsl, semopm, semume, semusz, semvmx, semaem;
};

struct abi_sembuf {
    uint16_t num;
    int16_t op, flg;
};

struct abi_shmid {
    struct abi_ipc_perm perm;
    uint64_t segsz;
    int64_t atime, dtime, ctime;
    int32_t cpid, lpid;
    uint64_t nattch, reserved[2];
};

struct abi_shminfo {
    uint64_t shmmax, shmmin, shmmni, shmseg, shmall, reserved[4];
};

struct abi_shm_info {
    int32_t used_ids;
    uint64_t tot, rss, swp, swap_attempts, swap_successes;
};

struct abi_mq_attr {
    int64_t flags, maxmsg, msgsize, curmsgs, reserved[4];
};

_Static_assert(sizeof(struct abi_ipc_perm) == 48 && sizeof(struct abi_msqid) == 120 &&
                   sizeof(struct abi_semid) == 104 && sizeof(struct abi_shmid) == 112,
               "layouts of the x86-64 ABI");

USER_TYPES(msqid, struct abi_msqid);
USER_TYPES(msginfo, struct abi_msginfo);
USER_TYPES(semid, struct abi_semid);
USER_TYPES(seminfo, struct abi_seminfo);
USER_TYPES(sembuf, struct abi_sembuf);
USER_TYPES(shmid, struct abi_shmid);
USER_TYPES(shminfo, struct abi_shminfo);
USER_TYPES(shm_info, struct abi_shm_info);
USER_TYPES(mq_attr, struct abi_mq_attr);
USER_TYPES(u16, uint16_t);

#endif
