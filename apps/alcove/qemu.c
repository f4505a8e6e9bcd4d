/* SPDX-License-Identifier: MIT */
/* QEMU's command line and start. Console and control channel are socket pairs that QEMU inherits; no port, no file name
 * and no monitor exists that another process could open. */
#include "vm.h"

#include "tools.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <unistd.h>

/* The guest's ends, as QEMU gets them. */
enum { FD_CONSOLE = 3, FD_CONTROL = 4, FD_PORT = 5, FD_COUNT = 4 };

/* In a value of QEMU's options, a comma is written twice. */
static char *escape(const char *s)
{
    struct buf b = { 0 };
    for (; *s; s++)
        buf_printf(&b, *s == ',' ? ",%c" : "%c", *s);
    return b.s ? b.s : xstrdup("");
}

/* A directory, as the user who runs QEMU may use it. */
static void share_args(const struct vm_spec *spec, unsigned i, struct list *a)
{
    const struct vm_volume *v = &spec->volumes[i];
    list_add(a, "-fsdev");
    list_add(a, xprintf("local,id=vol%u,path=%s,security_model=none,multidevs=remap%s", i,
                        escape(v->path), v->read_only ? ",readonly=on" : ""));
    list_add(a, "-device");
    list_add(a,
             xprintf("%s,fsdev=vol%u,mount_tag=alcove-vol%u",
                     strcmp(spec->machine, "microvm") == 0 ? "virtio-9p-device" : "virtio-9p-pci",
                     i, i));
}

static void volume_args(const struct vm_spec *spec, struct list *a)
{
    const char *device =
        strcmp(spec->machine, "microvm") == 0 ? "virtio-blk-device" : "virtio-blk-pci";
    for (unsigned i = 0; i < spec->nvolumes; i++) {
        const struct vm_volume *v = &spec->volumes[i];
        if (v->directory) {
            share_args(spec, i, a);
            continue;
        }
        list_add(a, "-drive");
        list_add(a, xprintf("file=%s,if=none,id=vol%u,format=raw,cache=writeback%s",
                            escape(v->path), i, v->read_only ? ",readonly=on" : ""));
        list_add(a, "-device");
        list_add(a, xprintf("%s,drive=vol%u,serial=alcove-vol%u", device, i, i));
    }
    if (spec->root_disk) {
        list_add(a, "-drive");
        list_add(
            a, xprintf("file=%s,if=none,id=root,format=raw,readonly=on", escape(spec->root_disk)));
        list_add(a, "-device");
        list_add(a, xprintf("%s,drive=root,serial=alcove-root", device));
    }
}

/* The standard streams' own channels: QEMU waits for their reader, where a virtio console would drop bytes. */
static void port_args(const struct vm_spec *spec, struct list *a)
{
    static const char *const names[] = { "stdio", "stderr" };
    if (!spec->ports)
        return;
    list_add(a, "-device");
    list_add(a, strcmp(spec->machine, "microvm") == 0 ? "virtio-serial-device,max_ports=3"
                                                      : "virtio-serial-pci,max_ports=3");
    for (unsigned i = 0; i < spec->ports; i++) {
        list_add(a, "-chardev");
        list_add(a, xprintf("socket,id=%s,fd=%u", names[i], FD_PORT + i));
        list_add(a, "-device");
        list_add(a, xprintf("virtserialport,chardev=%s,nr=%u,name=alcove.%s", names[i], i + 1,
                            names[i]));
    }
}

static void qemu_args(const struct vm_spec *spec, struct list *a)
{
    list_add(a, "qemu-system-x86_64");
    list_add(a, "-machine");
    list_add(a, strcmp(spec->machine, "microvm") == 0 ? "microvm,acpi=on,rtc=on" : spec->machine);
    list_add(a, "-accel");
    list_add(a, spec->kvm ? "kvm" : "tcg");
    list_add(a, "-cpu");
    list_add(a, spec->kvm ? "host" : "max");
    list_add(a, "-m");
    list_add(a, xprintf("%lluK", (unsigned long long)(spec->memory >> 10)));
    if (spec->net->vsock_socket) { /* another process serves the device: it sees the memory */
        list_add(a, "-object");
        list_add(a, xprintf("memory-backend-memfd,id=memory,share=on,size=%lluK",
                            (unsigned long long)(spec->memory >> 10)));
        list_add(a, "-machine");
        list_add(a, "memory-backend=memory");
    }
    list_add(a, "-smp");
    list_add(a, xprintf("%u", spec->cpus));
    list_add(a, "-nodefaults");
    list_add(a, "-no-user-config");
    list_add(a, "-no-reboot");
    list_add(a, "-display");
    list_add(a, "none");
    if (spec->gdb) {
        list_add(a, "-S");
        list_add(a, "-chardev");
        list_add(a, xprintf("socket,id=gdb,path=%s,server=on,wait=off", escape(spec->gdb)));
        list_add(a, "-gdb");
        list_add(a, "chardev:gdb");
    }
    if (spec->firmware) {
        list_add(a, "-bios");
        list_add(a, spec->firmware);
    }
    if (spec->disk) {
        list_add(a, "-smbios");
        list_add(a, xprintf("type=11,value=io.systemd.stub.kernel-cmdline-extra=%s",
                            escape(spec->append)));
        list_add(a, "-drive");
        list_add(a, xprintf("if=none,id=boot,format=raw,snapshot=on,file=%s", escape(spec->image)));
        list_add(a, "-device");
        list_add(a, "virtio-blk-pci,drive=boot");
    } else {
        list_add(a, "-kernel");
        list_add(a, spec->image);
    }
    if (*spec->append && !spec->disk) {
        list_add(a, "-append");
        list_add(a, spec->append);
    }
    net_qemu_args(spec->net, spec->machine, a);
    vsock_qemu_args(spec->net, spec->machine, a);
    list_add(a, "-chardev");
    list_add(a, xprintf("socket,id=console,fd=%d", FD_CONSOLE));
    list_add(a, "-serial");
    list_add(a, "chardev:console");
    list_add(a, "-chardev");
    list_add(a, xprintf("socket,id=control,fd=%d", FD_CONTROL));
    list_add(a, "-device");
    list_add(a, "isa-serial,chardev=control,iobase=0x2f8,irq=3");
    port_args(spec, a);
    volume_args(spec, a);
}

/* In the child: fds become FD_CONSOLE and those after it, everything else but stderr is closed. */
static void qemu_exec(const char *path, char **argv, const int fds[FD_COUNT], unsigned n,
                      int errors)
{
    sigset_t none;
    sigemptyset(&none);
    int null = open("/dev/null", O_RDWR);
    /* First out of the way of the numbers they go to. */
    int away[FD_COUNT], err = fcntl(errors, F_DUPFD, 10);
    for (unsigned i = 0; i < n; i++)
        away[i] = fcntl(fds[i], F_DUPFD, 10);
    if (null < 0 || err < 0 || dup2(null, 0) < 0 || dup2(err, 1) < 0 || dup2(err, 2) < 0)
        _exit(126);
    for (unsigned i = 0; i < n; i++)
        if (away[i] < 0 || dup2(away[i], FD_CONSOLE + (int)i) < 0)
            _exit(126);
    if (close_range(FD_CONSOLE + n, ~0U, 0) < 0)
        _exit(126);
    (void)setsid();
    (void)prctl(PR_SET_PDEATHSIG, SIGKILL);
    for (int s = 1; s < 32; s++)
        (void)signal(s, SIG_DFL);
    (void)sigprocmask(SIG_SETMASK, &none, NULL);
    execv(path, argv);
    _exit(127);
}

/* A channel of the guest's: our end, which does not block, and QEMU's. */
static void channel_make(int *ret_here, int *ret_there)
{
    int pair[2];
    if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair) < 0 ||
        fcntl(pair[0], F_SETFL, O_NONBLOCK) < 0)
        fail_errno(NULL, errno, "cannot make a socket");
    *ret_here = pair[0];
    *ret_there = pair[1];
}

void vm_start(const struct vm_spec *spec, struct vm *ret)
{
    struct list args = { 0 };
    int here[FD_COUNT] = { -1, -1, -1, -1 }, there[FD_COUNT], errors[2];
    unsigned n = 2 + spec->ports;
    char *path = tool_find("qemu-system-x86_64");
    if (!path)
        fail("qemu-system-x86_64",
             "is not installed; install it (Debian: apt install qemu-system-x86)");
    qemu_args(spec, &args);
    for (unsigned i = 0; i < n; i++)
        channel_make(&here[i], &there[i]);
    if (pipe2(errors, O_CLOEXEC) < 0)
        fail_errno(NULL, errno, "cannot make a pipe");
    if (spec->verbose) {
        struct buf line = { 0 };
        for (size_t i = 0; i < args.n; i++)
            buf_printf(&line, "%s%s", i ? " " : "", args.v[i]);
        say("%s", line.s);
    }
    pid_t pid = fork();
    if (pid < 0)
        fail_errno("qemu-system-x86_64", errno, "cannot start");
    if (pid == 0)
        qemu_exec(path, args.v, there, n, errors[1]);
    for (unsigned i = 0; i < n; i++)
        close(there[i]);
    close(errors[1]);
    *ret = (struct vm){ .pid = pid,
                        .console = here[0],
                        .control = here[1],
                        .ports = { here[2], here[3] },
                        .errors = errors[0] };
    ret->pidfd = (int)syscall(SYS_pidfd_open, pid, 0);
    if (ret->pidfd < 0)
        fail_errno("qemu-system-x86_64", errno, "cannot watch it");
    (void)fcntl(ret->errors, F_SETFL, O_NONBLOCK);
}
