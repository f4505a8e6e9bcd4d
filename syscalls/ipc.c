/* SPDX-License-Identifier: MIT */
/* System V message queues, semaphores and shared memory: svipc(7). */
#include "sys_proto.h"
#include "timeout.h"
#include <abi/ipc.h>
#include <base/types.h>
#include <libos/heap.h>
#include <libos/ipc.h>
#include <libos/user.h>
#include <libos/waitq.h>

enum { OPS_INLINE = 16 };

long sys_shmget(int key, size_t size, int shmflg)
{
    return ipc_get(IPC_SHM, key, size, (unsigned)shmflg);
}

long sys_shmat(int shmid, uintptr_t addr, int shmflg)
{
    uintptr_t at;
    int err = shm_attach(shmid, addr, (unsigned)shmflg, &at);
    return err ? err : (long)at;
}

long sys_shmdt(uintptr_t addr)
{
    return shm_detach(addr);
}

/* How a *_STAT command names its object. */
static enum ipc_by by_of(int cmd, int stat_index, int stat_any)
{
    return cmd == stat_index ? IPC_BY_INDEX : cmd == stat_any ? IPC_BY_INDEX_ANY : IPC_BY_ID;
}

static long shm_stat(int id, int cmd, user_shmid_out_t buf)
{
    struct abi_shmid ds;
    int result = ipc_shm_stat(by_of(cmd, SHM_STAT, SHM_STAT_ANY), id, &ds);
    return result < 0 || !user_put(buf, &ds, 1) ? result : -EFAULT;
}

static long shm_info(int cmd, user_void_inout_t buf)
{
    struct abi_shminfo info;
    struct abi_shm_info usage;
    int highest = cmd == IPC_INFO ? ipc_shm_info(&info) : ipc_shm_usage(&usage);
    int err = cmd == IPC_INFO ? user_put(user_cast(user_shminfo_out_t, buf), &info, 1)
                              : user_put(user_cast(user_shm_info_out_t, buf), &usage, 1);
    return err ? err : highest;
}

long sys_shmctl(int shmid, int cmd, user_void_inout_t buf)
{
    struct abi_shmid ds;
    if (shmid < 0 || cmd < 0)
        return -EINVAL;
    switch (cmd) {
    case IPC_INFO:
    case SHM_INFO:
        return shm_info(cmd, buf);
    case IPC_STAT:
    case SHM_STAT:
    case SHM_STAT_ANY:
        return shm_stat(shmid, cmd, user_cast(user_shmid_out_t, buf));
    case IPC_SET:
        if (user_get(&ds, user_cast(user_shmid_in_t, buf), 1))
            return -EFAULT;
        return ipc_set(IPC_SHM, shmid, &ds.perm, 0);
    case IPC_RMID:
        return ipc_remove(IPC_SHM, shmid);
    case SHM_LOCK:
    case SHM_UNLOCK:
        return shm_set_locked(shmid, cmd == SHM_LOCK);
    default:
        return -EINVAL;
    }
}

long sys_semget(int key, int nsems, int semflg)
{
    if (nsems < 0 || (uint64_t)nsems > ipc_limits.semmsl)
        return -EINVAL;
    return ipc_get(IPC_SEM, key, (size_t)nsems, (unsigned)semflg);
}

/* semop and semtimedop, the operations fetched. */
static long sem_timed(int id, const struct abi_sembuf *ops, size_t n, const struct abi_timespec *ts)
{
    uint64_t deadline = NO_DEADLINE;
    if (ts && timeout_timespec(ts, &deadline))
        return -EINVAL;
    return sem_operate(id, ops, (unsigned)n, deadline);
}

static long sem_op(int id, user_void_in_t sops, size_t n, const struct abi_timespec *ts)
{
    struct abi_sembuf few[OPS_INLINE], *ops = few;
    if (n < 1 || id < 0)
        return -EINVAL;
    if (n > ipc_limits.semopm)
        return -E2BIG;
    if (n > OPS_INLINE && !(ops = heap_calloc(n, sizeof(*ops))))
        return -ENOMEM;
    long err = user_get(ops, user_cast(user_sembuf_in_t, sops), n);
    if (!err)
        err = sem_timed(id, ops, n, ts);
    if (ops != few)
        heap_free(ops);
    return err;
}

long sys_semop(int semid, user_void_in_t sops, size_t nsops)
{
    return sem_op(semid, sops, nsops, NULL);
}

long sys_semtimedop(int semid, user_void_in_t sops, size_t nsops, user_timespec_in_t timeout)
{
    struct abi_timespec ts;
    if (!user_is_null(timeout) && user_get(&ts, timeout, 1))
        return -EFAULT;
    return sem_op(semid, sops, nsops, user_is_null(timeout) ? NULL : &ts);
}

/* GETALL and SETALL. */
static long sem_all(int id, bool set, unsigned long arg)
{
    long n = sem_count(id), err;
    if (n < 0)
        return n;
    uint16_t *values = heap_calloc((size_t)n, sizeof(*values));
    if (!values)
        return -ENOMEM;
    if (set) {
        err = user_get(values, user_at(user_u16_in_t, arg), (size_t)n);
        if (!err)
            err = sem_set_all(id, values, (size_t)n);
    } else {
        err = sem_get_all(id, values, (size_t)n);
        if (!err)
            err = user_put(user_at(user_u16_out_t, arg), values, (size_t)n);
    }
    heap_free(values);
    return err;
}

static long sem_stat(int id, int cmd, user_semid_out_t buf)
{
    struct abi_semid ds;
    int result = ipc_sem_stat(by_of(cmd, SEM_STAT, SEM_STAT_ANY), id, &ds);
    return result < 0 || !user_put(buf, &ds, 1) ? result : -EFAULT;
}

static long sem_info(bool usage, user_seminfo_out_t buf)
{
    struct abi_seminfo info;
    int highest = ipc_sem_info(usage, &info);
    return user_put(buf, &info, 1) ? -EFAULT : highest;
}

long sys_semctl(int semid, int semnum, int cmd, unsigned long arg)
{
    struct abi_semid ds;
    if (semid < 0)
        return -EINVAL;
    switch (cmd) {
    case IPC_INFO:
    case SEM_INFO:
        return sem_info(cmd == SEM_INFO, user_at(user_seminfo_out_t, arg));
    case IPC_STAT:
    case SEM_STAT:
    case SEM_STAT_ANY:
        return sem_stat(semid, cmd, user_at(user_semid_out_t, arg));
    case GETVAL:
    case GETPID:
    case GETNCNT:
    case GETZCNT:
        return sem_query(semid, semnum, cmd);
    case SETVAL:
        return sem_set(semid, semnum, (int)arg);
    case GETALL:
    case SETALL:
        return sem_all(semid, cmd == SETALL, arg);
    case IPC_SET:
        if (user_get(&ds, user_at(user_semid_in_t, arg), 1))
            return -EFAULT;
        return ipc_set(IPC_SEM, semid, &ds.perm, 0);
    case IPC_RMID:
        return ipc_remove(IPC_SEM, semid);
    default:
        return -EINVAL;
    }
}

long sys_msgget(int key, int msgflg)
{
    return ipc_get(IPC_MSG, key, 0, (unsigned)msgflg);
}

long sys_msgsnd(int msqid, user_long_in_t msg, size_t size, int msgflg)
{
    long type;
    if (user_get(&type, msg, 1))
        return -EFAULT;
    if (size > ipc_limits.msgmax || msqid < 0 || type < 1)
        return -EINVAL;
    struct msg *m = msg_alloc(size);
    if (!m)
        return -ENOMEM;
    m->type = type;
    long err = user_get(m->text, user_cast(user_u8_in_t, user_advance(msg, 1)), size);
    if (!err)
        err = msg_send(msqid, m, (unsigned)msgflg);
    if (err)
        msg_free(m);
    return err;
}

long sys_msgrcv(int msqid, user_long_out_t msg, size_t size, long type, int msgflg)
{
    struct msg *m;
    if (msqid < 0 || (long)size < 0)
        return -EINVAL;
    long err = msg_receive(msqid, size, type, (unsigned)msgflg, &m);
    if (err)
        return err;
    size_t n = m->size < size ? m->size : size;
    if (user_put(msg, &m->type, 1) ||
        user_put(user_cast(user_u8_out_t, user_advance(msg, 1)), m->text, n))
        err = -EFAULT;
    msg_free(m);
    return err ? err : (long)n;
}

static long msg_stat(int id, int cmd, user_msqid_out_t buf)
{
    struct abi_msqid ds;
    int result = ipc_msg_stat(by_of(cmd, MSG_STAT, MSG_STAT_ANY), id, &ds);
    return result < 0 || !user_put(buf, &ds, 1) ? result : -EFAULT;
}

static long msg_info(bool usage, user_msginfo_out_t buf)
{
    struct abi_msginfo info;
    int highest = ipc_msg_info(usage, &info);
    return user_put(buf, &info, 1) ? -EFAULT : highest;
}

long sys_msgctl(int msqid, int cmd, user_void_inout_t buf)
{
    struct abi_msqid ds;
    if (msqid < 0 || cmd < 0)
        return -EINVAL;
    switch (cmd) {
    case IPC_INFO:
    case MSG_INFO:
        return msg_info(cmd == MSG_INFO, user_cast(user_msginfo_out_t, buf));
    case IPC_STAT:
    case MSG_STAT:
    case MSG_STAT_ANY:
        return msg_stat(msqid, cmd, user_cast(user_msqid_out_t, buf));
    case IPC_SET:
        if (user_get(&ds, user_cast(user_msqid_in_t, buf), 1))
            return -EFAULT;
        return ipc_set(IPC_MSG, msqid, &ds.perm, ds.qbytes);
    case IPC_RMID:
        return ipc_remove(IPC_MSG, msqid);
    default:
        return -EINVAL;
    }
}
