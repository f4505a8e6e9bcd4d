/* SPDX-License-Identifier: MIT */
/* System V IPC between processes: waiting, removal under waiters, SEM_UNDO, attachments over fork and exit, permissions. */
#define _GNU_SOURCE
#include <t.h>

#include <errno.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/ipc.h>
#include <sys/mman.h>
#include <sys/msg.h>
#include <sys/sem.h>
#include <sys/shm.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

static struct {
    long type;
    char text[100];
} m = { 1, "" };

static void nap(void)
{
    nanosleep(&(struct timespec){ 0, 100000000 }, NULL);
}

/* Run fn in a child that exits with -result; the parent goes on. */
static pid_t child(long (*fn)(long), long arg)
{
    pid_t pid = fork();
    if (!pid)
        _exit((int)-fn(arg));
    return pid;
}

static long end_of(pid_t pid)
{
    int status;
    waitpid(pid, &status, 0);
    return WIFEXITED(status) ? -WEXITSTATUS(status) : 1000 + WTERMSIG(status);
}

static void await(long id, int num, int cmd, int want)
{
    for (int i = 0; i < 200 && call(SYS_semctl, id, num, cmd, 0) != want; i++)
        nap();
    CHECK(want, call(SYS_semctl, id, num, cmd, 0));
}

static long take(long id)
{
    struct sembuf op = { 0, -1, 0 };
    return call(SYS_semop, id, &op, 1);
}

static long await_zero(long id)
{
    struct sembuf op = { 0, 0, 0 };
    return call(SYS_semop, id, &op, 1);
}

static void on_alarm(int sig)
{
}

static long take_interrupted(long id)
{
    struct sigaction sa = { .sa_handler = on_alarm, .sa_flags = SA_RESTART };
    sigaction(SIGALRM, &sa, NULL);
    ualarm(200000, 0);
    return take(id);
}

static void waiting(void)
{
    long id = call(SYS_semget, IPC_PRIVATE, 2, 0600);
    struct sembuf up = { 0, 1, 0 };
    struct timespec soon = { 0, 50000000 };
    pid_t a = child(take, id);
    await(id, 0, GETNCNT, 1);
    CHECK(0, call(SYS_semctl, id, 0, GETZCNT, 0));
    CHECK(0, call(SYS_semop, id, &up, 1));
    CHECK(0, call(SYS_semctl, id, 0, GETVAL, 0)); /* the waiter had it before this call returned */
    CHECK(a, call(SYS_semctl, id, 0, GETPID, 0));
    CHECK(0, end_of(a));
    up.sem_op = 2;
    CHECK(0, call(SYS_semop, id, &up, 1));
    a = child(await_zero, id);
    await(id, 0, GETZCNT, 1);
    CHECK(0, take(id));
    CHECK(0, take(id));
    CHECK(0, end_of(a));
    struct sembuf down = { 0, -1, 0 };
    CHECK(-EAGAIN, call(SYS_semtimedop, id, &down, 1, &soon));
    CHECK(-EINTR, end_of(child(take_interrupted, id)));
    CHECK(0, call(SYS_semctl, id, 0, GETNCNT, 0));
    a = child(take, id);
    await(id, 0, GETNCNT, 1);
    kill(a, SIGKILL);
    CHECK(1000 + SIGKILL, end_of(a));
    await(id, 0, GETNCNT, 0);
    a = child(take, id);
    await(id, 0, GETNCNT, 1);
    CHECK(0, call(SYS_semctl, id, 0, IPC_RMID, 0));
    CHECK(-EIDRM, end_of(a));
}

static long with_undo(long id)
{
    struct sembuf op[2] = { { 0, 3, SEM_UNDO }, { 1, -4, SEM_UNDO } };
    return call(SYS_semop, id, op, 2);
}

static long undo_cleared(long id)
{
    long err = with_undo(id);
    return err ? err : call(SYS_semctl, id, 0, SETVAL, 8);
}

static long undo_of_parent(long id)
{
    long err = with_undo(id);
    pid_t pid = fork();
    if (!pid)
        _exit(0); /* has no part in it */
    waitpid(pid, NULL, 0);
    return err ? err : call(SYS_semctl, id, 0, GETVAL, 0) == 3 ? 0 : -1;
}

static void *thread_undo(void *id)
{
    with_undo((long)id);
    return NULL;
}

static long undo_of_thread(long id)
{
    pthread_t t;
    pthread_create(&t, NULL, thread_undo, (void *)id);
    pthread_join(t, NULL);
    return call(SYS_semctl, id, 0, GETVAL, 0) == 3 ? 0 : -1; /* not at the thread's end */
}

static void undoing(void)
{
    long id = call(SYS_semget, IPC_PRIVATE, 2, 0600);
    long (*const ways[])(long) = { with_undo, undo_of_parent, undo_of_thread };
    for (int i = 0; i < 3; i++) {
        CHECK(0, call(SYS_semctl, id, 0, SETVAL, 0));
        CHECK(0, call(SYS_semctl, id, 1, SETVAL, 10));
        CHECK(0, end_of(child(ways[i], id)));
        CHECK(0, call(SYS_semctl, id, 0, GETVAL, 0));
        CHECK(10, call(SYS_semctl, id, 1, GETVAL, 0));
    }
    CHECK(0, end_of(child(undo_cleared, id)));
    CHECK(8, call(SYS_semctl, id, 0, GETVAL, 0));
    CHECK(10, call(SYS_semctl, id, 1, GETVAL, 0));
    /* What is undone wakes who waits for it. */
    CHECK(0, call(SYS_semctl, id, 1, SETVAL, 4));
    pid_t holder = fork();
    if (!holder) {
        with_undo(id);
        pause();
    }
    await(id, 1, GETVAL, 0);
    struct sembuf down = { 1, -4, 0 };
    kill(holder, SIGTERM);
    CHECK(0, call(SYS_semop, id, &down, 1));
    end_of(holder);
    CHECK(0, call(SYS_semctl, id, 0, IPC_RMID, 0));
}

static long receive(long id)
{
    return call(SYS_msgrcv, id, &m, sizeof(m.text), 5L, 0) == 3 && m.type == 5 ? 0 : -1;
}

static long receive_err(long id)
{
    return call(SYS_msgrcv, id, &m, sizeof(m.text), 5L, 0);
}

static long send(long id)
{
    m.type = 9;
    return call(SYS_msgsnd, id, &m, 50, 0);
}

static void messages(void)
{
    struct msqid_ds ds;
    long id = call(SYS_msgget, IPC_PRIVATE, 0600);
    pid_t a = child(receive, id);
    nap();
    m.type = 4;
    CHECK(0, call(SYS_msgsnd, id, &m, 2, 0));
    m.type = 5;
    CHECK(0, call(SYS_msgsnd, id, &m, 3, 0));
    CHECK(0, end_of(a));
    CHECK(2, call(SYS_msgrcv, id, &m, 100, 0L, 0));
    CHECK(0, call(SYS_msgctl, id, IPC_STAT, &ds));
    ds.msg_qbytes = 60;
    CHECK(0, call(SYS_msgctl, id, IPC_SET, &ds));
    CHECK(0, call(SYS_msgsnd, id, &m, 50, 0));
    a = child(send, id); /* waits for room */
    nap();
    CHECK(50, call(SYS_msgrcv, id, &m, 100, 0L, 0));
    CHECK(50, call(SYS_msgrcv, id, &m, 100, 9L, 0));
    CHECK(0, end_of(a));
    CHECK(0, call(SYS_msgctl, id, IPC_STAT, &ds));
    CHECK(a, ds.msg_lspid);
    a = child(receive_err, id);
    nap();
    CHECK(0, call(SYS_msgctl, id, IPC_RMID, NULL));
    CHECK(-EIDRM, end_of(a));
}

static unsigned long attached(long id)
{
    struct shmid_ds ds;
    return call(SYS_shmctl, id, IPC_STAT, &ds) ? 9999 : ds.shm_nattch;
}

static void memory(void)
{
    long id = call(SYS_shmget, IPC_PRIVATE, 8192, 0600);
    volatile int *p = (int *)call(SYS_shmat, id, NULL, 0);
    int go[2], done[2];
    CHECK(0, pipe(go) | pipe(done));
    pid_t a = fork();
    if (!a) {
        char c;
        p[0] = 42;
        p[1025] = 43;
        (void)!write(done[1], "x", 1);
        (void)!read(go[0], &c, 1);
        execl("/proc/self/exe", "ipcs", "pause", NULL); /* detaches */
        _exit(1);
    }
    char c;
    CHECK(1, read(done[0], &c, 1));
    CHECK(42, p[0]);
    CHECK(43, p[1025]);
    CHECK(2, attached(id));
    CHECK(1, write(go[1], "x", 1));
    for (int i = 0; i < 100 && attached(id) != 1; i++)
        nap();
    CHECK(1, attached(id));
    kill(a, SIGKILL);
    end_of(a);
    a = fork();
    if (!a)
        pause();
    CHECK(2, attached(id));
    CHECK(0, call(SYS_shmctl, id, IPC_RMID, NULL));
    CHECK(0, call(SYS_shmdt, p));
    CHECK(1, attached(id));
    kill(a, SIGKILL);
    end_of(a);
    CHECK(9999, attached(id));
}

static long as_other(long what)
{
    long id = what & 0xffffffff;
    struct msqid_ds ds;
    struct sembuf up = { 0, 1, 0 }, zero = { 0, 0, IPC_NOWAIT };
    if (setresgid(12345, 12345, 12345) || setresuid(12345, 12345, 12345))
        return -1;
    switch (what >> 32) {
    case 0:
        return call(SYS_msgsnd, id, &m, 1, IPC_NOWAIT);
    case 1:
        return call(SYS_msgrcv, id, &m, 1, 0L, IPC_NOWAIT);
    case 2:
        return call(SYS_msgctl, id, IPC_STAT, &ds);
    case 3:
        return call(SYS_msgctl, id, IPC_RMID, NULL);
    case 4:
        return call(SYS_semop, id, &up, 1);
    case 5:
        return call(SYS_semop, id, &zero, 1);
    case 6:
        return call(SYS_semctl, id, 0, IPC_RMID, NULL);
    case 7:
        return call(SYS_shmat, id, NULL, 0) < 0 ? -EACCES : 0;
    case 8:
        return call(SYS_shmat, id, NULL, SHM_RDONLY) < 0 ? -EACCES : 0;
    case 9:
        return call(SYS_shmctl, id, IPC_RMID, NULL);
    default:
        return call(SYS_msgctl, id, MSG_STAT_ANY, &ds) >= 0 ? 0 : -1;
    }
}

static long other(long what, long id)
{
    return end_of(child(as_other, what << 32 | id));
}

static void rights(void)
{
    if (getuid())
        return;
    long msg = call(SYS_msgget, IPC_PRIVATE, 0602), sem = call(SYS_semget, IPC_PRIVATE, 1, 0604);
    long shm = call(SYS_shmget, IPC_PRIVATE, 10, 0604);
    m.type = 1;
    CHECK(0, other(0, msg));
    CHECK(-EACCES, other(1, msg));
    CHECK(-EACCES, other(2, msg));
    CHECK(-EPERM, other(3, msg));
    CHECK(-EACCES, other(4, sem));
    CHECK(0, other(5, sem));
    CHECK(-EPERM, other(6, sem));
    CHECK(-EACCES, other(7, shm));
    CHECK(0, other(8, shm));
    CHECK(-EPERM, other(9, shm));
    CHECK(0, other(10, msg & 0x7fff));
    struct msqid_ds ds;
    CHECK(0, call(SYS_msgctl, msg, IPC_STAT, &ds));
    ds.msg_perm.uid = 12345;
    CHECK(0, call(SYS_msgctl, msg, IPC_SET, &ds));
    CHECK(0, other(2, msg));
    CHECK(0, other(3, msg));
    CHECK(0, call(SYS_semctl, sem, 0, IPC_RMID, 0));
    CHECK(0, call(SYS_shmctl, shm, IPC_RMID, NULL));
}

int main(int argc, char **argv)
{
    if (argc > 1)
        pause();
    waiting();
    undoing();
    messages();
    memory();
    rights();
    return t_end();
}
