/* SPDX-License-Identifier: MIT */
/* System V message queues, semaphores and shared memory: sysvipc(7). Objects are named by ids; a wrong id is -EINVAL, one
 * whose object goes while the call sleeps -EIDRM. Every function takes RANK_IPC_TABLE and RANK_IPC, one after the other. */
#ifndef LIBOS_IPC_H
#define LIBOS_IPC_H

#include <abi/ipc.h>
#include <base/compiler.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct sem_undo_list;
struct thread;

/* The settings under /proc/sys/kernel. Read without a lock. */
struct ipc_limits {
    uint64_t msgmax, msgmnb, msgmni;         /* bytes of a message, of a queue; queues */
    uint64_t semmsl, semmns, semopm, semmni; /* semaphores of a set, in all; operations; sets */
    uint64_t shmmax, shmall, shmmni;         /* bytes of a segment; pages in all; segments */
};
extern struct ipc_limits ipc_limits;

enum ipc_kind { IPC_MSG, IPC_SEM, IPC_SHM };

/* xxxget(2): the id. flags: IPC_CREAT, IPC_EXCL and mode; size: semaphores of a set or bytes of a segment.
 * -ENOENT, -EEXIST, -EACCES, -EINVAL (size), -ENOSPC (limit), -ENOMEM. May sleep: no. */
NODISCARD long ipc_get(enum ipc_kind kind, int32_t key, size_t size, unsigned flags);
/* IPC_RMID. -EINVAL, -EPERM. */
NODISCARD int ipc_remove(enum ipc_kind kind, int id);
/* IPC_SET: owner and permission bits; qbytes only of queues. -EINVAL, -EPERM. */
NODISCARD int ipc_set(enum ipc_kind kind, int id, const struct abi_ipc_perm *perm, uint64_t qbytes);

/* How an object is named in the *_STAT commands. */
enum ipc_by { IPC_BY_ID, IPC_BY_INDEX, IPC_BY_INDEX_ANY /* without permission to read */ };
/* IPC_STAT and its family: the id (0 for IPC_BY_ID). -EINVAL, -EACCES. */
NODISCARD int ipc_msg_stat(enum ipc_by by, int id, struct abi_msqid *ret);
NODISCARD int ipc_sem_stat(enum ipc_by by, int id, struct abi_semid *ret);
NODISCARD int ipc_shm_stat(enum ipc_by by, int id, struct abi_shmid *ret);
/* IPC_INFO, or with usage MSG_INFO, SEM_INFO: the highest index in use, 0 when there is none. */
int ipc_msg_info(bool usage, struct abi_msginfo *ret);
int ipc_sem_info(bool usage, struct abi_seminfo *ret);
int ipc_shm_info(struct abi_shminfo *ret);
int ipc_shm_usage(struct abi_shm_info *ret); /* SHM_INFO */
/* Pages that are there of the segment with this id. */
uint64_t ipc_shm_pages(int id);

/* A message; text follows. */
struct msg {
    struct msg *next, *prev; /* utlist DL */
    long type;
    size_t size;
    uint8_t text[];
};
/* A message for size bytes, not filled; msg_free. NULL: out of memory. */
struct msg *msg_alloc(size_t size);
void msg_free(struct msg *m);
/* msgsnd(2). Takes m unless it fails. -EINVAL, -EACCES, -EIDRM, -EAGAIN, -ERESTARTNOHAND. Sleeps. */
NODISCARD int msg_send(int id, struct msg *m, unsigned flags);
/* msgrcv(2): a message of at most size bytes (MSG_NOERROR: any) that is the caller's. -EINVAL, -EACCES, -EIDRM, -ENOMSG,
 * -E2BIG, -ERESTARTNOHAND, -ENOMEM. Sleeps. */
NODISCARD int msg_receive(int id, size_t size, long type, unsigned flags, struct msg **ret_msg);

/* semtimedop(2); deadline as thread_sleep has it. -EINVAL, -EFBIG, -EACCES, -EIDRM, -EAGAIN, -ERANGE, -EINTR, -ENOMEM. Sleeps. */
NODISCARD int sem_operate(int id, const struct abi_sembuf *ops, unsigned n, uint64_t deadline_ns);
/* semctl(2) GETVAL, GETPID, GETNCNT, GETZCNT. -EINVAL, -EACCES. */
NODISCARD int sem_query(int id, int num, int cmd);
/* SETVAL. -EINVAL, -ERANGE, -EACCES. */
NODISCARD int sem_set(int id, int num, int value);
/* GETALL and SETALL: n values, n as sem_count said. -EINVAL (also when n is not the set's), -EACCES, -ERANGE. */
NODISCARD int sem_get_all(int id, uint16_t *values, size_t n);
NODISCARD int sem_set_all(int id, const uint16_t *values, size_t n);
/* Semaphores of the set; -EINVAL. */
NODISCARD long sem_count(int id);

/* clone(2): give child the undo list of the current thread, with CLONE_SYSVSEM, or none. -ENOMEM. */
NODISCARD int sem_share_undo(struct thread *child, bool share);
/* exit and unshare: leave the undo list; the last to leave undoes. */
void sem_leave_undo(struct thread *t);

/* shmat(2) and shmdt(2). -EINVAL, -EACCES, -ENOMEM, -EPERM. Sleep. */
NODISCARD int shm_attach(int id, uintptr_t addr, unsigned flags, uintptr_t *ret_addr);
NODISCARD int shm_detach(uintptr_t addr);
/* SHM_LOCK and SHM_UNLOCK. -EINVAL, -EPERM. */
NODISCARD int shm_set_locked(int id, bool on);

#endif
