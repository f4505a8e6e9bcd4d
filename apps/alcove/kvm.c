/* SPDX-License-Identifier: MIT */
/* The KVM probe. /dev/kvm can exist, answer every question about its capabilities, and still hang an ordinary guest (nested
 * hosts that emulate the first instructions and then expect a guest made for them). So a child runs a guest that does what
 * libOS does: 64-bit mode, paging, a loop at full speed, ring 3, an exception back to ring 0. It is given a deadline;
 * nothing is cached. */
#include "vm.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include <linux/kvm.h>

enum {
    DEADLINE_MS = 300,
    GUEST_SIZE = 0x10000,
    CODE = 0x1000,
    PML4 = 0x2000,
    PDPT = 0x3000,
    PD = 0x4000,
    RESULT = 0x5000,
    GDT = 0x6000,
    TSS = 0x6800,
    IDT = 0x7000,
    HANDLER = 0x1080, /* of the breakpoint exception, inside the code */
    STACK = 0x9000,
    USER_STACK = 0xa000,
    KERNEL_CS = 8,
    KERNEL_DS = 16,
    USER_DS = 24 | 3,
    USER_CS = 32 | 3,
    TSS_SELECTOR = 40,
    ANSWER = 42,
};

/* The guest; copied to CODE. Emulating its loop would take longer than the deadline. */
__asm__(".pushsection .rodata\n"
        "probe_code:\n"
        "    mov $4000000, %ecx\n"
        "1:  dec %ecx\n"
        "    jnz 1b\n"
        "    push $27\n"     /* USER_DS */
        "    push $0xa000\n" /* USER_STACK */
        "    push $2\n"
        "    push $35\n" /* USER_CS */
        "    push $0x1000 + (2f - probe_code)\n"
        "    iretq\n"
        "2:  mov $21, %eax\n"
        "    int3\n"
        "    .org probe_code + 0x80\n"
        "    lea (%rax,%rax), %ebx\n"
        "    mov %ebx, 0x5000\n" /* RESULT */
        "    hlt\n"
        "probe_code_end:\n"
        ".popsection\n");
extern const uint8_t probe_code[], probe_code_end[];

/* Exit statuses of the child. */
enum { CHILD_OK, CHILD_OPEN, CHILD_SETUP, CHILD_RUN, CHILD_WRONG };

static void entry(uint8_t *mem, unsigned table, uint64_t value)
{
    memcpy(mem + table, &value, sizeof(value));
}

static void fill_memory(uint8_t *mem)
{
    memcpy(mem + CODE, probe_code, (size_t)(probe_code_end - probe_code));
    entry(mem, PML4, PDPT | 7);
    entry(mem, PDPT, PD | 7);
    entry(mem, PD, 0x87); /* the first 2 MiB, also for ring 3 */
    entry(mem, GDT + KERNEL_CS, 0x00af9b000000ffff);
    entry(mem, GDT + KERNEL_DS, 0x00cf93000000ffff);
    entry(mem, GDT + (USER_DS & ~3), 0x00cff3000000ffff);
    entry(mem, GDT + (USER_CS & ~3), 0x00affb000000ffff);
    entry(mem, GDT + TSS_SELECTOR, 0x00008b0000000000 | (uint64_t)TSS << 16 | 103);
    entry(mem, TSS + 4, STACK); /* RSP0 */
    entry(mem, IDT + 3 * 16, 0x0000ee0000000000 | (uint64_t)KERNEL_CS << 16 | HANDLER);
}

static int set_registers(int vcpu)
{
    struct kvm_sregs s;
    struct kvm_regs r = { .rip = CODE, .rsp = STACK, .rflags = 2 };
    if (ioctl(vcpu, KVM_GET_SREGS, &s) < 0)
        return -1;
    struct kvm_segment cs = {
        .limit = 0xffffffff, .selector = KERNEL_CS, .type = 11, .present = 1, .s = 1, .l = 1, .g = 1
    };
    struct kvm_segment ds = {
        .limit = 0xffffffff, .selector = KERNEL_DS, .type = 3, .present = 1, .s = 1, .db = 1, .g = 1
    };
    struct kvm_segment tr = {
        .base = TSS, .limit = 103, .selector = TSS_SELECTOR, .type = 11, .present = 1
    };
    s.cs = cs;
    s.ds = s.es = s.fs = s.gs = s.ss = ds;
    s.tr = tr;
    s.gdt.base = GDT;
    s.gdt.limit = TSS_SELECTOR + 15;
    s.idt.base = IDT;
    s.idt.limit = 4 * 16 - 1;
    s.cr0 = 0x80000031; /* PG, NE, ET, PE */
    s.cr3 = PML4;
    s.cr4 = 0x20;   /* PAE */
    s.efer = 0x500; /* LMA, LME */
    return ioctl(vcpu, KVM_SET_SREGS, &s) < 0 || ioctl(vcpu, KVM_SET_REGS, &r) < 0 ? -1 : 0;
}

static int run_guest(int kvm)
{
    int vm = ioctl(kvm, KVM_CREATE_VM, 0UL);
    uint8_t *mem =
        mmap(NULL, GUEST_SIZE, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    if (vm < 0 || mem == MAP_FAILED)
        return CHILD_SETUP;
    fill_memory(mem);
    struct kvm_userspace_memory_region region = { .memory_size = GUEST_SIZE,
                                                  .userspace_addr = (uintptr_t)mem };
    if (ioctl(vm, KVM_SET_USER_MEMORY_REGION, &region) < 0)
        return CHILD_SETUP;
    int vcpu = ioctl(vm, KVM_CREATE_VCPU, 0UL);
    int size = ioctl(kvm, KVM_GET_VCPU_MMAP_SIZE, 0UL);
    if (vcpu < 0 || size < (int)sizeof(struct kvm_run))
        return CHILD_SETUP;
    struct kvm_run *run = mmap(NULL, (size_t)size, PROT_READ | PROT_WRITE, MAP_SHARED, vcpu, 0);
    if (run == MAP_FAILED || set_registers(vcpu) < 0)
        return CHILD_SETUP;
    if (ioctl(vcpu, KVM_RUN, 0UL) < 0)
        return CHILD_RUN;
    return run->exit_reason == KVM_EXIT_HLT && mem[RESULT] == ANSWER ? CHILD_OK : CHILD_WRONG;
}

static int64_t now_ms(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (int64_t)t.tv_sec * 1000 + t.tv_nsec / 1000000;
}

/* Wait for the child until the deadline; its exit status, -1 when it was too slow. It is killed then, but not waited for at
 * any length: a hanging guest may keep it inside the kernel. */
static int wait_child(pid_t pid)
{
    int64_t end = now_ms() + DEADLINE_MS;
    for (;;) {
        int status;
        pid_t got = waitpid(pid, &status, WNOHANG);
        if (got == pid)
            return WIFEXITED(status) ? WEXITSTATUS(status) : CHILD_RUN;
        if (got < 0 && errno != EINTR)
            return CHILD_RUN;
        if (now_ms() > end)
            break;
        (void)poll(NULL, 0, 2);
    }
    kill(pid, SIGKILL);
    for (int i = 0; i < 50 && waitpid(pid, NULL, WNOHANG) == 0; i++)
        (void)poll(NULL, 0, 2);
    return -1;
}

bool kvm_works(const char **ret_why)
{
    int kvm = open("/dev/kvm", O_RDWR | O_CLOEXEC);
    if (kvm < 0) {
        *ret_why =
            errno == ENOENT ? "there is no /dev/kvm" : xprintf("/dev/kvm: %s", strerror(errno));
        return false;
    }
    pid_t pid = fork();
    if (pid < 0) {
        close(kvm);
        *ret_why = "cannot start a process";
        return false;
    }
    if (pid == 0) {
        remove_forget();
        _exit(run_guest(kvm));
    }
    close(kvm);
    switch (wait_child(pid)) {
    case CHILD_OK:
        return true;
    case -1:
        *ret_why = "a test guest hung";
        return false;
    case CHILD_SETUP:
        *ret_why = "it refuses a test guest";
        return false;
    case CHILD_WRONG:
        *ret_why = "a test guest did not do what it should";
        return false;
    default:
        *ret_why = "a test guest did not run";
        return false;
    }
}
