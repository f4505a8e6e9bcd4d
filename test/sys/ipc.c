/* SPDX-License-Identifier: MIT */
/* System V IPC in one process: names, permissions, sizes, what *ctl says. */
#define _GNU_SOURCE
#include <t.h>

#include <errno.h>
#include <fcntl.h>
#include <stdint.h>
#include <stdlib.h>
#include <sys/ipc.h>
#include <sys/mman.h>
#include <sys/msg.h>
#include <sys/sem.h>
#include <sys/shm.h>
#include <unistd.h>

#define KEY 0x41c0be

static struct {
    long type;
    char text[9000];
} m;

static void names(long get, long ctl, long size)
{
    int sem = get == SYS_semget;
    long id = sem                 ? call(get, KEY, size, IPC_CREAT | 0600)
              : get == SYS_shmget ? call(get, KEY, size, IPC_CREAT | 0600)
                                  : call(get, KEY, IPC_CREAT | 0600);
#define GET(key, flags) (get == SYS_msgget ? call(get, key, flags) : call(get, key, size, flags))
#define RMID(id)        (sem ? call(ctl, id, 0, IPC_RMID, 0) : call(ctl, id, IPC_RMID, NULL))
    CHECK(true, id >= 0);
    CHECK(id, GET(KEY, 0));
    CHECK(id, GET(KEY, IPC_CREAT));
    CHECK(-EEXIST, GET(KEY, IPC_CREAT | IPC_EXCL | 0600));
    long other = GET(IPC_PRIVATE, 0600);
    CHECK(true, other >= 0 && other != id);
    CHECK(0, RMID(other));
    CHECK(-EINVAL, RMID(other));
    CHECK(0, RMID(id));
    CHECK(-ENOENT, GET(KEY, 0600));
    long again = GET(KEY, IPC_CREAT | 0600);
    CHECK(true, again >= 0 && again != id);
    CHECK(-EINVAL, RMID(id));
    CHECK(0, RMID(again));
    CHECK(-EINVAL, RMID(-1));
    CHECK(-EINVAL, sem ? call(ctl, again, 0, 77, 0) : call(ctl, again, 77, &m));
}

static void messages(void)
{
    struct msqid_ds ds;
    long id = call(SYS_msgget, IPC_PRIVATE, 0600);
    CHECK(-ENOMSG, call(SYS_msgrcv, id, &m, 100, 0L, IPC_NOWAIT));
    for (int i = 1; i <= 5; i++) {
        m.type = i * 10;
        memset(m.text, 'a' + i, 10);
        CHECK(0, call(SYS_msgsnd, id, &m, i, 0));
    }
    CHECK(0, call(SYS_msgctl, id, IPC_STAT, &ds));
    CHECK(5, ds.msg_qnum);
    CHECK(15, ds.__msg_cbytes);
    CHECK(16384, ds.msg_qbytes);
    CHECK(call(SYS_getpid), ds.msg_lspid);
    CHECK(0600, ds.msg_perm.mode);
    CHECK(true, ds.msg_stime > 1000000000 && ds.msg_ctime > 1000000000 && !ds.msg_rtime);
    CHECK(3, call(SYS_msgrcv, id, &m, 100, 30L, 0));
    CHECK(30, m.type);
    CHECK('d', m.text[2]);
    CHECK(-ENOMSG, call(SYS_msgrcv, id, &m, 100, 30L, IPC_NOWAIT));
    CHECK(2, call(SYS_msgrcv, id, &m, 100, 10L, MSG_EXCEPT));
    CHECK(20, m.type);
    CHECK(1, call(SYS_msgrcv, id, &m, 100, -45L, 0)); /* the lowest up to 45 */
    CHECK(10, m.type);
    CHECK(-E2BIG, call(SYS_msgrcv, id, &m, 3, 0L, 0));
    CHECK(3, call(SYS_msgrcv, id, &m, 3, 0L, MSG_NOERROR));
    CHECK(40, m.type);
    CHECK(5, call(SYS_msgrcv, id, &m, 100, 0L, 0));
    CHECK(50, m.type);
    m.type = 0;
    CHECK(-EINVAL, call(SYS_msgsnd, id, &m, 1, 0));
    m.type = -1;
    CHECK(-EINVAL, call(SYS_msgsnd, id, &m, 1, 0));
    m.type = 1;
    CHECK(-EINVAL, call(SYS_msgsnd, id, &m, 8193, 0));
    CHECK(-EINVAL, call(SYS_msgsnd, id, &m, -1L, 0));
    CHECK(-EINVAL, call(SYS_msgrcv, id, &m, -1L, 0L, 0));
    CHECK(-EFAULT, call(SYS_msgsnd, id, T_BAD, 1, 0));
    CHECK(0, call(SYS_msgsnd, id, &m, 8192, 0));
    CHECK(0, call(SYS_msgsnd, id, &m, 8192, 0));
    CHECK(-EAGAIN, call(SYS_msgsnd, id, &m, 1, IPC_NOWAIT));
    CHECK(0, call(SYS_msgctl, id, IPC_STAT, &ds));
    ds.msg_qbytes = 100;
    ds.msg_perm.mode = 0640;
    CHECK(0, call(SYS_msgctl, id, IPC_SET, &ds));
    CHECK(0, call(SYS_msgctl, id, IPC_STAT, &ds));
    CHECK(100, ds.msg_qbytes);
    CHECK(0640, ds.msg_perm.mode);
    CHECK(8192, call(SYS_msgrcv, id, &m, 9000, 0L, 0));
    CHECK(-EAGAIN, call(SYS_msgsnd, id, &m, 1, IPC_NOWAIT));
    CHECK(-EFAULT, call(SYS_msgctl, id, IPC_STAT, T_BAD));
    CHECK(-EFAULT, call(SYS_msgctl, id, IPC_SET, T_BAD));
    CHECK(-EFAULT, call(SYS_msgrcv, id, T_BAD, 9000, 0L, 0)); /* and it is gone */
    CHECK(0, call(SYS_msgsnd, id, &m, 0, 0));
    CHECK(0, call(SYS_msgrcv, id, &m, 0, 0L, 0));
    CHECK(0, call(SYS_msgctl, id, IPC_RMID, NULL));
    CHECK(-EINVAL, call(SYS_msgsnd, id, &m, 1, 0));
    CHECK(-EINVAL, call(SYS_msgrcv, id, &m, 1, 0L, 0));
}

static void message_copy(void)
{
    long id = call(SYS_msgget, IPC_PRIVATE, 0600);
    m.type = 7;
    strcpy(m.text, "first");
    CHECK(0, call(SYS_msgsnd, id, &m, 5, 0));
    m.type = 8;
    CHECK(0, call(SYS_msgsnd, id, &m, 4, 0));
    CHECK(-EINVAL, call(SYS_msgrcv, id, &m, 100, 0L, MSG_COPY));
    CHECK(-EINVAL, call(SYS_msgrcv, id, &m, 100, 0L, MSG_COPY | MSG_EXCEPT | IPC_NOWAIT));
    CHECK(4, call(SYS_msgrcv, id, &m, 100, 1L, MSG_COPY | IPC_NOWAIT));
    CHECK(8, m.type);
    CHECK(5, call(SYS_msgrcv, id, &m, 100, 0L, MSG_COPY | IPC_NOWAIT));
    CHECK(7, m.type);
    CHECK(-ENOMSG, call(SYS_msgrcv, id, &m, 100, 2L, MSG_COPY | IPC_NOWAIT));
    CHECK(5, call(SYS_msgrcv, id, &m, 100, 0L, 0));
    CHECK(0, call(SYS_msgctl, id, IPC_RMID, NULL));
}

static void semaphores(void)
{
    struct semid_ds ds;
    unsigned short all[3] = { 9, 9, 9 };
    struct timespec zero = { 0, 0 }, bad = { 0, 1000000000 };
    long id = call(SYS_semget, IPC_PRIVATE, 3, 0600);
    struct sembuf up = { 1, 5, 0 }, down = { 1, -2, IPC_NOWAIT }, wait0 = { 0, 0, IPC_NOWAIT };
    CHECK(0, call(SYS_semop, id, &up, 1));
    CHECK(5, call(SYS_semctl, id, 1, GETVAL, 0));
    CHECK(call(SYS_getpid), call(SYS_semctl, id, 1, GETPID, 0));
    CHECK(0, call(SYS_semop, id, &down, 1));
    CHECK(3, call(SYS_semctl, id, 1, GETVAL, 0));
    CHECK(0, call(SYS_semop, id, &wait0, 1));
    struct sembuf both[2] = { { 0, 1, 0 }, { 1, -4, IPC_NOWAIT } }; /* all or nothing */
    CHECK(-EAGAIN, call(SYS_semop, id, both, 2));
    CHECK(0, call(SYS_semctl, id, 0, GETVAL, 0));
    both[1].sem_op = -3;
    CHECK(0, call(SYS_semop, id, both, 2));
    CHECK(1, call(SYS_semctl, id, 0, GETVAL, 0));
    CHECK(-EAGAIN, call(SYS_semop, id, &wait0, 1));
    wait0.sem_flg = 0;
    CHECK(-EAGAIN, call(SYS_semtimedop, id, &wait0, 1, &zero));
    CHECK(-EINVAL, call(SYS_semtimedop, id, &wait0, 1, &bad));
    CHECK(-EFAULT, call(SYS_semtimedop, id, &wait0, 1, T_BAD));
    CHECK(-EINVAL, call(SYS_semop, id, &up, 0));
    CHECK(-E2BIG, call(SYS_semop, id, &up, 501));
    CHECK(-EFAULT, call(SYS_semop, id, T_BAD, 1));
    up.sem_num = 3;
    CHECK(-EFBIG, call(SYS_semop, id, &up, 1));
    CHECK(0, call(SYS_semctl, id, 2, SETVAL, 32767));
    up.sem_num = 2;
    CHECK(-ERANGE, call(SYS_semop, id, &up, 1));
    CHECK(-ERANGE, call(SYS_semctl, id, 2, SETVAL, 32768));
    CHECK(-ERANGE, call(SYS_semctl, id, 2, SETVAL, -1));
    CHECK(-EINVAL, call(SYS_semctl, id, 3, SETVAL, 1));
    CHECK(-EINVAL, call(SYS_semctl, id, 3, GETVAL, 1));
    CHECK(0, call(SYS_semctl, id, 0, GETALL, all));
    CHECK(true, all[0] == 1 && all[1] == 0 && all[2] == 32767);
    all[1] = 77;
    CHECK(0, call(SYS_semctl, id, 0, SETALL, all));
    CHECK(77, call(SYS_semctl, id, 1, GETVAL, 0));
    all[1] = 40000;
    CHECK(-ERANGE, call(SYS_semctl, id, 0, SETALL, all));
    CHECK(-EFAULT, call(SYS_semctl, id, 0, SETALL, T_BAD));
    CHECK(0, call(SYS_semctl, id, 0, GETNCNT, 0));
    CHECK(0, call(SYS_semctl, id, 0, GETZCNT, 0));
    CHECK(0, call(SYS_semctl, id, 0, IPC_STAT, &ds));
    CHECK(3, ds.sem_nsems);
    CHECK(true, ds.sem_otime > 1000000000 && ds.sem_ctime > 1000000000);
    CHECK(0, call(SYS_semctl, id, 0, IPC_RMID, 0));
    CHECK(-EINVAL, call(SYS_semop, id, &up, 1));
    CHECK(-EINVAL, call(SYS_semget, IPC_PRIVATE, 0, 0600));
    CHECK(-EINVAL, call(SYS_semget, IPC_PRIVATE, 32001, 0600));
    CHECK(-EINVAL, call(SYS_semget, IPC_PRIVATE, -1, 0600));
    id = call(SYS_semget, KEY, 2, IPC_CREAT | 0600);
    CHECK(id, call(SYS_semget, KEY, 0, 0600));
    CHECK(-EINVAL, call(SYS_semget, KEY, 3, 0600));
    CHECK(0, call(SYS_semctl, id, 0, IPC_RMID, 0));
}

static unsigned long attached(long id)
{
    struct shmid_ds ds;
    return call(SYS_shmctl, id, IPC_STAT, &ds) ? 9999 : ds.shm_nattch;
}

static void memory(void)
{
    struct shmid_ds ds;
    long page = 4096, id = call(SYS_shmget, IPC_PRIVATE, 3 * page - 5, 0600);
    CHECK(0, call(SYS_shmctl, id, IPC_STAT, &ds));
    CHECK(3 * page - 5, ds.shm_segsz);
    CHECK(true, ds.shm_cpid == call(SYS_getpid) && !ds.shm_atime && ds.shm_ctime > 1000000000);
    char *a = (char *)call(SYS_shmat, id, NULL, 0), *b = (char *)call(SYS_shmat, id, NULL, 0);
    CHECK(true, (long)a > 0 && (long)b > 0 && a != b);
    strcpy(a + page, "shared");
    CHECK(0, strcmp(b + page, "shared"));
    CHECK(2, attached(id));
    char *ro = (char *)call(SYS_shmat, id, NULL, SHM_RDONLY);
    CHECK(0, strcmp(ro + page, "shared"));
    CHECK(-EACCES, call(SYS_mprotect, ro, page, PROT_READ | PROT_WRITE));
    CHECK(-EFAULT, call(SYS_getcwd, ro, page));
    CHECK(0, call(SYS_shmdt, ro));
    CHECK(-EINVAL, call(SYS_shmdt, ro));
    CHECK(-EINVAL, call(SYS_shmdt, a + 1));
    CHECK(-EINVAL, call(SYS_shmat, id, a, 0)); /* taken */
    CHECK(-EINVAL, call(SYS_shmat, id, a + 1, 0));
    CHECK(-EINVAL, call(SYS_shmat, id, NULL, SHM_REMAP));
    CHECK((long)b, call(SYS_shmat, id, b + 1, SHM_RND | SHM_REMAP));
    CHECK(2, attached(id));
    /* Parts of an attachment count; shmdt takes what is left. */
    CHECK(0, call(SYS_munmap, b + page, page));
    CHECK(3, attached(id));
    CHECK(0, call(SYS_shmdt, b));
    CHECK(1, attached(id));
    CHECK(0, call(SYS_shmctl, id, SHM_LOCK, NULL));
    CHECK(0, call(SYS_shmctl, id, IPC_STAT, &ds));
    CHECK(SHM_LOCKED | 0600, ds.shm_perm.mode);
    CHECK(true, ds.shm_atime && ds.shm_dtime && ds.shm_lpid == call(SYS_getpid));
    CHECK(0, call(SYS_shmctl, id, SHM_UNLOCK, NULL));
    /* Removed, but there until it is detached. */
    CHECK(0, call(SYS_shmctl, id, IPC_RMID, NULL));
    CHECK(0, call(SYS_shmctl, id, IPC_STAT, &ds));
    CHECK(SHM_DEST | 0600, ds.shm_perm.mode);
    CHECK(0, strcmp(a + page, "shared"));
    b = (char *)call(SYS_shmat, id, NULL, 0);
    CHECK(true, (long)b > 0);
    CHECK(0, call(SYS_shmdt, b));
    CHECK(0, call(SYS_shmdt, a));
    CHECK(-EINVAL, call(SYS_shmctl, id, IPC_STAT, &ds));
    CHECK(-EINVAL, call(SYS_shmget, IPC_PRIVATE, 0, 0600));
    CHECK(-EINVAL, call(SYS_shmat, id, NULL, 0));
    CHECK(-EINVAL, call(SYS_shmat, -1, NULL, 0));
    id = call(SYS_shmget, KEY, page, IPC_CREAT | 0600);
    CHECK(id, call(SYS_shmget, KEY, 0, 0));
    CHECK(-EINVAL, call(SYS_shmget, KEY, page + 1, 0));
    CHECK(0, call(SYS_shmctl, id, IPC_RMID, NULL));
    CHECK(-ENOENT, call(SYS_shmget, KEY, page, 0));
}

static void facts(void)
{
    struct msginfo mi;
    struct seminfo si;
    struct shminfo shi;
    struct shm_info used;
    struct msqid_ds ds;
    long id = call(SYS_msgget, IPC_PRIVATE, 0600);
    long highest = call(SYS_msgctl, 0, MSG_INFO, &mi);
    CHECK(true, highest >= 0 && mi.msgpool >= 1);
    CHECK(true, call(SYS_msgctl, 0, IPC_INFO, &mi) >= 0 && mi.msgmax >= 8192 &&
                    mi.msgmnb >= 16384 && mi.msgssz == 16);
    bool found = false;
    for (long i = 0; i <= highest; i++)
        found |= call(SYS_msgctl, i, MSG_STAT, &ds) == id;
    CHECK(true, found);
    CHECK(0, call(SYS_msgctl, id, IPC_RMID, NULL));
    CHECK(true, call(SYS_semctl, 0, 0, IPC_INFO, &si) >= 0 && si.semvmx == 32767 &&
                    si.semopm == 500 && si.semaem == 32767);
    CHECK(true, call(SYS_semctl, 0, 0, SEM_INFO, &si) >= 0);
    CHECK(true, call(SYS_shmctl, 0, IPC_INFO, &shi) >= 0 && shi.shmmin == 1 && shi.shmmni == 4096);
    CHECK(true, call(SYS_shmctl, 0, SHM_INFO, &used) >= 0);
}

/* Does /proc/sysvipc/NAME have a line of this object? */
static bool listed(const char *name, long key, long id)
{
    static char text[65536];
    char file[64], want[64];
    snprintf(file, sizeof(file), "/proc/sysvipc/%s", name);
    snprintf(want, sizeof(want), "\n%10d %10ld  ", (int)key, id);
    long fd = call(SYS_open, file, O_RDONLY), len = 0, got;
    while ((got = call(SYS_read, fd, text + len, sizeof(text) - 1 - (size_t)len)) > 0)
        len += got;
    call(SYS_close, fd);
    text[len] = '\0';
    return strstr(text, "       key      ") == text && strstr(text, want);
}

static void shown(void)
{
    static const struct {
        const char *name;
        long get, control, size;
    } kinds[] = { { "msg", SYS_msgget, SYS_msgctl, 0 },
                  { "sem", SYS_semget, SYS_semctl, 3 },
                  { "shm", SYS_shmget, SYS_shmctl, 4096 } };
    for (int i = 0; i < 3; i++) {
        long key = 0x41c0e + i;
        long id = i ? call(kinds[i].get, key, kinds[i].size, IPC_CREAT | 0640)
                    : call(kinds[i].get, key, IPC_CREAT | 0640);
        CHECK(true, id >= 0);
        CHECK(true, listed(kinds[i].name, key, id));
        CHECK(0, i == 1 ? call(kinds[i].control, id, 0, IPC_RMID)
                        : call(kinds[i].control, id, IPC_RMID, 0));
        CHECK(false, listed(kinds[i].name, key, id));
    }
}

int main(void)
{
    shown();
    names(SYS_msgget, SYS_msgctl, 0);
    names(SYS_semget, SYS_semctl, 2);
    names(SYS_shmget, SYS_shmctl, 5000);
    messages();
    message_copy();
    semaphores();
    memory();
    facts();
    return t_end();
}
