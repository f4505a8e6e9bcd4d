/* SPDX-License-Identifier: MIT */
/* Actions, masks, queues, delivery, alternate stacks, faults, restarts, waiting. */
#define _GNU_SOURCE
#include <t.h>

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <pthread.h>
#include <setjmp.h>
#include <signal.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/time.h>
#include <time.h>
#include <ucontext.h>
#include <unistd.h>

static volatile int count, order[64], norder;
static siginfo_t last;
static volatile uintptr_t last_sp, last_ip;
static sigjmp_buf back;

static void on_signal(int sig, siginfo_t *si, void *ctx)
{
    ucontext_t *uc = ctx;
    int here;
    last = *si;
    last_sp = (uintptr_t)&here;
    last_ip = (uintptr_t)uc->uc_mcontext.gregs[REG_RIP];
    if (norder < 64)
        order[norder++] = sig;
    count++;
}

static void on_fault(int sig, siginfo_t *si, void *ctx)
{
    on_signal(sig, si, ctx);
    siglongjmp(back, sig);
}

static void install(int sig, void (*fn)(int, siginfo_t *, void *), int flags)
{
    struct sigaction sa = { .sa_sigaction = fn, .sa_flags = SA_SIGINFO | flags };
    sigemptyset(&sa.sa_mask);
    CHECK(0, sigaction(sig, &sa, NULL));
}

static int me(void)
{
    return (int)call(SYS_getpid);
}

static void actions(void)
{
    struct sigaction old;
    install(SIGUSR1, on_signal, SA_RESTART);
    CHECK(0, sigaction(SIGUSR1, NULL, &old));
    CHECK(true, old.sa_sigaction == on_signal);
    CHECK(SA_SIGINFO | SA_RESTART, old.sa_flags & ~0x04000000);
    uint64_t act[4] = { 0 };
    CHECK(-EINVAL, call(SYS_rt_sigaction, SIGKILL, act, NULL, 8));
    CHECK(-EINVAL, call(SYS_rt_sigaction, SIGSTOP, act, NULL, 8));
    CHECK(0, call(SYS_rt_sigaction, SIGKILL, NULL, act, 8));
    CHECK(-EINVAL, call(SYS_rt_sigaction, 65, NULL, act, 8));
    CHECK(-EINVAL, call(SYS_rt_sigaction, 0, NULL, act, 8));
    CHECK(-EINVAL, call(SYS_rt_sigaction, SIGUSR1, NULL, act, 4));
    CHECK(-EFAULT, call(SYS_rt_sigaction, SIGUSR1, T_BAD, NULL, 8));
    count = 0;
    CHECK(0, kill(me(), SIGUSR1));
    CHECK(1, count);
    CHECK(SI_USER, last.si_code);
    CHECK(me(), last.si_pid);
    CHECK(getuid(), last.si_uid);
    CHECK(0, call(SYS_tgkill, me(), call(SYS_gettid), SIGUSR1));
    CHECK(2, count);
    CHECK(SI_TKILL, last.si_code);
    CHECK(-ESRCH, call(SYS_tgkill, me() + 1000, call(SYS_gettid), SIGUSR1));
    CHECK(-EINVAL, call(SYS_tgkill, me(), call(SYS_gettid), 65));
    CHECK(-EINVAL, call(SYS_tkill, 0, SIGUSR1));
    CHECK(0, call(SYS_kill, me(), 0));
    CHECK(-EINVAL, call(SYS_kill, me(), -1));
    CHECK(-ESRCH, call(SYS_kill, 0x3ffff0, SIGUSR1));
    install(SIGUSR1, on_signal, SA_RESETHAND);
    CHECK(0, kill(me(), SIGUSR1));
    CHECK(0, sigaction(SIGUSR1, NULL, &old));
    CHECK(true, old.sa_handler == SIG_DFL);
}

static void masks(void)
{
    sigset_t set, old, pending;
    install(SIGUSR1, on_signal, 0);
    install(SIGUSR2, on_signal, 0);
    sigemptyset(&set);
    sigaddset(&set, SIGUSR1);
    sigaddset(&set, SIGUSR2);
    count = norder = 0;
    CHECK(0, sigprocmask(SIG_BLOCK, &set, &old));
    CHECK(0, kill(me(), SIGUSR2));
    CHECK(0, kill(me(), SIGUSR1));
    CHECK(0, kill(me(), SIGUSR1));
    CHECK(0, count);
    CHECK(0, sigpending(&pending));
    CHECK(1, sigismember(&pending, SIGUSR1));
    CHECK(1, sigismember(&pending, SIGUSR2));
    CHECK(0, sigprocmask(SIG_SETMASK, &old, NULL));
    CHECK(2, count);
    /* Both frames are made before a handler runs: the last one made runs first. */
    CHECK(SIGUSR2, order[0]);
    CHECK(SIGUSR1, order[1]);
    uint64_t all = ~0ull, now;
    CHECK(0, call(SYS_rt_sigprocmask, SIG_SETMASK, &all, NULL, 8));
    CHECK(0, call(SYS_rt_sigprocmask, SIG_SETMASK, NULL, &now, 8));
    CHECK((long)(~0ull & ~(1ull << (SIGKILL - 1)) & ~(1ull << (SIGSTOP - 1))), (long)now);
    now = 0;
    CHECK(0, call(SYS_rt_sigprocmask, SIG_SETMASK, &now, NULL, 8));
    CHECK(-EINVAL, call(SYS_rt_sigprocmask, 9, &now, NULL, 8));
    CHECK(-EINVAL, call(SYS_rt_sigprocmask, SIG_SETMASK, &now, NULL, 16));
    CHECK(-EFAULT, call(SYS_rt_sigprocmask, SIG_SETMASK, T_BAD, NULL, 8));
    /* Ignored ones are dropped, unless they are blocked; ignoring drops what is pending. */
    signal(SIGUSR1, SIG_IGN);
    CHECK(0, kill(me(), SIGUSR1));
    CHECK(0, sigprocmask(SIG_BLOCK, &set, NULL));
    CHECK(0, kill(me(), SIGUSR1));
    CHECK(0, sigpending(&pending));
    CHECK(1, sigismember(&pending, SIGUSR1));
    signal(SIGUSR1, SIG_IGN);
    CHECK(0, sigpending(&pending));
    CHECK(0, sigismember(&pending, SIGUSR1));
    CHECK(0, sigprocmask(SIG_SETMASK, &old, NULL));
}

static void queue(void)
{
    sigset_t set, old;
    siginfo_t si;
    struct timespec zero = { 0, 0 };
    sigemptyset(&set);
    sigaddset(&set, SIGRTMIN);
    sigaddset(&set, SIGRTMIN + 1);
    CHECK(0, sigprocmask(SIG_BLOCK, &set, &old));
    for (int i = 0; i < 3; i++)
        CHECK(0, sigqueue(me(), SIGRTMIN + 1, (union sigval){ .sival_int = 10 + i }));
    CHECK(0, sigqueue(me(), SIGRTMIN, (union sigval){ .sival_int = 9 }));
    for (int i = 0; i < 4; i++) {
        CHECK(i ? SIGRTMIN + 1 : SIGRTMIN, sigtimedwait(&set, &si, &zero));
        CHECK(9 + i, si.si_value.sival_int);
        CHECK(SI_QUEUE, si.si_code);
        CHECK(me(), si.si_pid);
    }
    CHECK(-1, sigtimedwait(&set, &si, &zero));
    CHECK(EAGAIN, errno);
    struct timespec bad = { 0, 1000000000 };
    CHECK(-EINVAL, call(SYS_rt_sigtimedwait, &set, &si, &bad, 8));
    struct rlimit rl, few;
    CHECK(0, getrlimit(RLIMIT_SIGPENDING, &rl));
    few = rl;
    few.rlim_cur = 0;
    CHECK(0, setrlimit(RLIMIT_SIGPENDING, &few));
    CHECK(-1, sigqueue(me(), SIGRTMIN, (union sigval){ 0 }));
    CHECK(EAGAIN, errno);
    CHECK(0, kill(me(), SIGRTMIN)); /* is noted without its siginfo */
    CHECK(SIGRTMIN, sigtimedwait(&set, &si, &zero));
    CHECK(0, setrlimit(RLIMIT_SIGPENDING, &rl));
    siginfo_t fake = { .si_code = SI_USER };
    CHECK(0, call(SYS_rt_sigqueueinfo, me(), SIGRTMIN, &fake)); /* to itself: may pretend */
    CHECK(SIGRTMIN, sigtimedwait(&set, &si, &zero));
    CHECK(SI_USER, si.si_code);
    /* What lies behind the known members does not arrive; with a code that says nothing about them it must be 0. */
    fake.si_code = SI_QUEUE;
    ((char *)&fake)[40] = 7;
    ((char *)&fake)[48] = ((char *)&fake)[127] = 1;
    CHECK(0, call(SYS_rt_sigqueueinfo, me(), SIGRTMIN, &fake));
    memset(&si, 0xff, sizeof(si));
    CHECK(SIGRTMIN, sigtimedwait(&set, &si, &zero));
    CHECK(7, ((char *)&si)[40]);
    CHECK(0, ((char *)&si)[48] | ((char *)&si)[127]);
    fake.si_code = -100;
    CHECK(-E2BIG, call(SYS_rt_sigqueueinfo, me(), SIGRTMIN, &fake));
    ((char *)&fake)[48] = ((char *)&fake)[127] = 0;
    CHECK(0, call(SYS_rt_sigqueueinfo, me(), SIGRTMIN, &fake));
    CHECK(SIGRTMIN, sigtimedwait(&set, &si, &zero));
    CHECK(-100, si.si_code);
    CHECK(0, sigprocmask(SIG_SETMASK, &old, NULL));
}

static char alt[65536];

static void alternate_stack(void)
{
    stack_t st = { .ss_sp = alt, .ss_size = sizeof(alt) }, old;
    CHECK(0, sigaltstack(&st, NULL));
    CHECK(0, sigaltstack(NULL, &old));
    CHECK(true, old.ss_sp == alt);
    CHECK(sizeof(alt), old.ss_size);
    CHECK(0, old.ss_flags);
    install(SIGUSR1, on_signal, SA_ONSTACK);
    CHECK(0, kill(me(), SIGUSR1));
    CHECK(true, last_sp >= (uintptr_t)alt && last_sp < (uintptr_t)alt + sizeof(alt));
    install(SIGUSR1, on_signal, 0);
    CHECK(0, kill(me(), SIGUSR1));
    CHECK(false, last_sp >= (uintptr_t)alt && last_sp < (uintptr_t)alt + sizeof(alt));
    st.ss_size = 100;
    CHECK(-ENOMEM, call(SYS_sigaltstack, &st, NULL));
    st.ss_size = sizeof(alt);
    st.ss_flags = 77;
    CHECK(-EINVAL, call(SYS_sigaltstack, &st, NULL));
    st.ss_flags = SS_DISABLE;
    CHECK(0, sigaltstack(&st, NULL));
    CHECK(0, sigaltstack(NULL, &old));
    CHECK(SS_DISABLE, old.ss_flags);
}

static void change_stack(int sig)
{
    stack_t st = { .ss_flags = SS_DISABLE }, old;
    count = (int)call(SYS_sigaltstack, &st, &old);
    sigaltstack(NULL, &old);
    order[0] = old.ss_flags;
}

static void stack_in_use(void)
{
    stack_t st = { .ss_sp = alt, .ss_size = sizeof(alt) }, old;
    struct sigaction sa = { .sa_handler = change_stack, .sa_flags = SA_ONSTACK };
    CHECK(0, sigaltstack(&st, NULL));
    CHECK(0, sigaction(SIGUSR1, &sa, NULL));
    CHECK(0, kill(me(), SIGUSR1));
    CHECK(-EPERM, count);
    CHECK(SS_ONSTACK, order[0]);
    st.ss_flags = (int)(1u << 31); /* SS_AUTODISARM */
    CHECK(0, sigaltstack(&st, NULL));
    CHECK(0, kill(me(), SIGUSR1));
    CHECK(0, count);
    CHECK(SS_DISABLE, order[0]);
    CHECK(0, sigaltstack(NULL, &old));
    CHECK((int)(1u << 31), old.ss_flags);
    st.ss_flags = SS_DISABLE;
    CHECK(0, sigaltstack(&st, NULL));
}

static volatile int zero;

/* Run fn, which faults; what the handler saw is in last. */
static int fault(void (*fn)(void))
{
    int sig = sigsetjmp(back, 1);
    if (!sig)
        fn();
    return sig;
}

static char *page;

static void read_null(void)
{
    (void)*(volatile char *)(uintptr_t)(8 + zero);
}

static void write_readonly(void)
{
    *(volatile char *)(page + 5) = 1;
}

static void jump_to_data(void)
{
    ((void (*)(void))page)();
}

static void read_noncanonical(void)
{
    (void)*(volatile char *)0x8000000000000000ull;
}

static void divide(void)
{
    int a;
    __asm__ volatile("movl $1, %%eax; cltd; idivl %1" : "=&a"(a) : "m"(zero) : "edx");
}

static void illegal(void)
{
    __asm__ volatile("ud2");
}

static void privileged(void)
{
    __asm__ volatile("hlt");
}

static void breakpoint(void)
{
    __asm__ volatile("int3");
}

static void x87_divide(void)
{
    unsigned short cw = 0x37f & ~4;
    double one = 1, none = 0;
    __asm__ volatile("fldcw %0; fldl %1; fdivl %2; fwait" : : "m"(cw), "m"(one), "m"(none));
}

static void past_file(void)
{
    (void)*(volatile char *)page;
}

static void step(void)
{
    __asm__ volatile("pushfq; orq $0x100, (%%rsp); popfq; nop; nop" ::: "memory");
}

static void faults(void)
{
    static const int sigs[] = { SIGSEGV, SIGBUS, SIGFPE, SIGILL, SIGTRAP };
    for (int i = 0; i < 5; i++)
        install(sigs[i], on_fault, 0);
    page = mmap(NULL, 4096, PROT_READ, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    CHECK(SIGSEGV, fault(read_null));
    CHECK(SEGV_MAPERR, last.si_code);
    CHECK(8, last.si_addr);
    CHECK(SIGSEGV, fault(write_readonly));
    CHECK(SEGV_ACCERR, last.si_code);
    CHECK((long)page + 5, last.si_addr);
    CHECK(SIGSEGV, fault(jump_to_data));
    CHECK(SEGV_ACCERR, last.si_code);
    CHECK((long)page, last.si_addr);
    CHECK((long)page, last_ip);
    CHECK(SIGSEGV, fault(read_noncanonical));
    CHECK(SI_KERNEL, last.si_code);
    CHECK(0, last.si_addr);
    CHECK(SIGFPE, fault(divide));
    CHECK(FPE_INTDIV, last.si_code);
    CHECK(last_ip, last.si_addr);
    CHECK(SIGILL, fault(illegal));
    CHECK(ILL_ILLOPN, last.si_code);
    CHECK(last_ip, last.si_addr);
    CHECK(SIGSEGV, fault(privileged));
    CHECK(SI_KERNEL, last.si_code);
    CHECK(SIGTRAP, fault(breakpoint));
    CHECK(SI_KERNEL, last.si_code);
    CHECK(SIGTRAP, fault(step));
    CHECK(TRAP_TRACE, last.si_code);
    CHECK(SIGFPE, fault(x87_divide));
    CHECK(FPE_FLTDIV, last.si_code);
    int fd = (int)call(SYS_memfd_create, "t", 0);
    if (fd >= 0) {
        page = mmap(NULL, 4096, PROT_READ, MAP_SHARED, fd, 0);
        CHECK(SIGBUS, fault(past_file));
        CHECK(BUS_ADRERR, last.si_code);
        CHECK((long)page, last.si_addr);
    }
    for (int i = 0; i < 5; i++)
        signal(sigs[i], SIG_DFL);
}

/* Registers and the FPU survive a handler. */
static void scribble(int sig)
{
    double d = 3.5;
    __asm__ volatile("movsd %0, %%xmm7; fldl %0; fstp %%st(0); xorl %%ebx, %%ebx; xorl %%r8d, %%r8d"
                     :
                     : "m"(d)
                     : "xmm7", "rbx", "r8");
}

static void state(void)
{
    struct sigaction sa = { .sa_handler = scribble };
    double in = 1.25, out = 0;
    long pid = me(), tid = call(SYS_gettid), b = 0x1234567890abcdef, saved = 0, nr = SYS_tgkill;
    CHECK(0, sigaction(SIGUSR1, &sa, NULL));
    __asm__ volatile("movsd %[in], %%xmm7\n\tmovq %[b], %%rbx\n\tsyscall\n\tmovq %%rbx, "
                     "%[saved]\n\tmovsd %%xmm7, %[out]"
                     : [out] "=m"(out), [saved] "=m"(saved), "+a"(nr)
                     : "D"(pid), "S"(tid), "d"((long)SIGUSR1), [in] "m"(in), [b] "m"(b)
                     : "rbx", "rcx", "r11", "xmm7", "memory");
    CHECK(0, nr);
    CHECK(b, saved);
    CHECK(true, in == out);
}

static void *kick_main(void *arg)
{
    pthread_t *main_thread = arg;
    for (int i = 0; i < 3; i++) {
        usleep(20000);
        pthread_kill(*main_thread, SIGUSR1);
    }
    return NULL;
}

static int fds[2];

static void *write_later(void *arg)
{
    pthread_t *main_thread = arg;
    usleep(20000);
    pthread_kill(*main_thread, SIGUSR1);
    usleep(20000);
    call(SYS_write, fds[1], "x", 1);
    return NULL;
}

static void restarts(void)
{
    pthread_t self = pthread_self(), other;
    char c;
    CHECK(0, call(SYS_pipe2, fds, 0));
    install(SIGUSR1, on_signal, SA_RESTART);
    count = 0;
    pthread_create(&other, NULL, write_later, &self);
    CHECK(1, call(SYS_read, fds[0], &c, 1));
    CHECK(1, count);
    pthread_join(other, NULL);
    install(SIGUSR1, on_signal, 0);
    pthread_create(&other, NULL, write_later, &self);
    CHECK(-EINTR, call(SYS_read, fds[0], &c, 1));
    pthread_join(other, NULL);
    CHECK(1, call(SYS_read, fds[0], &c, 1));
    struct timespec ts = { 1, 0 }, left = { 0, 0 };
    pthread_create(&other, NULL, kick_main, &self);
    CHECK(-EINTR, call(SYS_nanosleep, &ts, &left));
    CHECK(true, left.tv_sec == 0 && left.tv_nsec > 500000000);
    CHECK(-EINTR, call(SYS_pause));
    sigset_t none;
    sigemptyset(&none);
    CHECK(-EINTR, call(SYS_rt_sigsuspend, &none, 8));
    pthread_join(other, NULL);
    close(fds[0]);
    close(fds[1]);
}

static void suspend_and_mask(void)
{
    sigset_t set, none, now;
    sigemptyset(&none);
    sigemptyset(&set);
    sigaddset(&set, SIGUSR1);
    install(SIGUSR1, on_signal, 0);
    CHECK(0, sigprocmask(SIG_BLOCK, &set, NULL));
    CHECK(0, kill(me(), SIGUSR1));
    count = 0;
    CHECK(-EINTR, call(SYS_rt_sigsuspend, &none, 8));
    CHECK(1, count);
    CHECK(0, sigprocmask(SIG_SETMASK, NULL, &now));
    CHECK(1, sigismember(&now, SIGUSR1)); /* put back */
    CHECK(0, sigprocmask(SIG_SETMASK, &none, NULL));
    /* A handler runs with its own signal and sa_mask blocked, and the old mask afterwards. */
    CHECK(0, sigprocmask(SIG_SETMASK, NULL, &now));
    CHECK(0, sigismember(&now, SIGUSR1));
}

static void *wait_for_it(void *arg)
{
    sigset_t set;
    int sig = 0;
    sigemptyset(&set);
    sigaddset(&set, SIGUSR2);
    sigwait(&set, &sig);
    return (void *)(long)sig;
}

static void waits(void)
{
    sigset_t set;
    pthread_t other;
    void *got;
    sigemptyset(&set);
    sigaddset(&set, SIGUSR2);
    CHECK(0, pthread_sigmask(SIG_BLOCK, &set, NULL));
    pthread_create(&other, NULL, wait_for_it, NULL);
    usleep(20000);
    CHECK(0, kill(me(), SIGUSR2));
    pthread_join(other, &got);
    CHECK(SIGUSR2, (long)got);
    struct timespec ts = { 0, 20000000 };
    CHECK(-EAGAIN, call(SYS_rt_sigtimedwait, &set, NULL, &ts, 8));
    CHECK(0, pthread_sigmask(SIG_UNBLOCK, &set, NULL));
}

int main(void)
{
    actions();
    masks();
    queue();
    alternate_stack();
    stack_in_use();
    faults();
    state();
    restarts();
    suspend_and_mask();
    waits();
    return t_end();
}
