/* SPDX-License-Identifier: MIT */
/* `alcove run --vmm firecracker|cloud-hypervisor`: their configuration and start. Neither has a second UART on the side of the
 * control channel, so the program's console is the VMM's own standard input and output, and how the program ended is what
 * libOS says there. Spec: Firecracker's docs/getting-started.md (the configuration file), Cloud Hypervisor's --help. */
#include "vm.h"

#include "tools.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

static void firecracker_drive(struct buf *b, const char *id, const char *path, bool read_only)
{
    buf_printf(b,
               "%s{\"drive_id\":\"%s\",\"is_root_device\":false,\"is_read_only\":%s,"
               "\"path_on_host\":",
               b->s[b->len - 1] == '}' ? "," : "", id, read_only ? "true" : "false");
    buf_json(b, path);
    buf_str(b, "}");
}

static void firecracker_args(const struct vm_spec *spec, struct list *a)
{
    struct buf b = { 0 };
    char *path = path_join(temp_dir(), "firecracker.json");
    buf_str(&b, "{\"boot-source\":{\"kernel_image_path\":");
    buf_json(&b, path_absolute(spec->image));
    buf_str(&b, ",\"boot_args\":");
    buf_json(&b, spec->append);
    buf_printf(&b, "},\"machine-config\":{\"vcpu_count\":%u,\"mem_size_mib\":%llu},\"drives\":[",
               spec->cpus, (unsigned long long)((spec->memory + (1 << 20) - 1) >> 20));
    /* Volumes first: the guest knows them by their places. */
    for (unsigned i = 0; i < spec->nvolumes; i++)
        firecracker_drive(&b, xprintf("vol%u", i), spec->volumes[i].path,
                          spec->volumes[i].read_only);
    if (spec->root_disk)
        firecracker_drive(&b, "root", path_absolute(spec->root_disk), true);
    buf_str(&b, "]");
    if (spec->net->vsock_cid) {
        buf_printf(&b, ",\"vsock\":{\"guest_cid\":%u,\"uds_path\":", spec->net->vsock_cid);
        buf_json(&b, spec->net->vsock_socket);
        buf_str(&b, "}");
    }
    buf_str(&b, "}\n");
    int fd = open(path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
    if (fd < 0)
        fail_errno(path, errno, "cannot write");
    write_all(fd, b.s, b.len, path);
    close(fd);
    list_add(a, "--no-api");
    list_add(a, "--config-file");
    list_add(a, path);
}

static char *cloud_hypervisor_disk(const char *path, bool read_only)
{
    if (strpbrk(path, ",[]\""))
        fail(path, "has a character that cloud-hypervisor takes for its own; rename it");
    return xprintf("path=%s%s", path, read_only ? ",readonly=on" : "");
}

static void cloud_hypervisor_args(const struct vm_spec *spec, struct list *a)
{
    list_add(a, "--kernel");
    list_add(a, spec->image);
    list_add(a, "--cmdline");
    list_add(a, spec->append);
    list_add(a, "--cpus");
    list_add(a, xprintf("boot=%u", spec->cpus));
    list_add(a, "--memory");
    list_add(a, xprintf("size=%lluM", (unsigned long long)((spec->memory + (1 << 20) - 1) >> 20)));
    list_add(a, "--serial");
    list_add(a, "tty");
    list_add(a, "--console");
    list_add(a, "off");
    if (spec->net->vsock_cid) {
        list_add(a, "--vsock");
        list_add(a, xprintf("cid=%u,socket=%s", spec->net->vsock_cid, spec->net->vsock_socket));
    }
    if (spec->nvolumes || spec->root_disk)
        list_add(a, "--disk");
    for (unsigned i = 0; i < spec->nvolumes; i++)
        list_add(a, cloud_hypervisor_disk(spec->volumes[i].path, spec->volumes[i].read_only));
    if (spec->root_disk)
        list_add(a, cloud_hypervisor_disk(path_absolute(spec->root_disk), true));
}

static const struct {
    const char *name, *install;
    void (*args)(const struct vm_spec *spec, struct list *a);
} vmms[] = {
    { "firecracker",
      "Firecracker (one static binary, from its releases) and put it into a directory of $PATH",
      firecracker_args },
    { "cloud-hypervisor",
      "Cloud Hypervisor (one static binary, from its releases) and put it into a directory of "
      "$PATH",
      cloud_hypervisor_args },
};

int vmm_run(const struct vm_spec *spec, const char *name)
{
    size_t i = 0;
    int status;
    struct list args = { 0 };
    while (strcmp(vmms[i].name, name) != 0)
        i++;
    if (spec->firmware)
        fail(path_base(spec->image), "needs UEFI, which %s does not bring; give it app.elf", name);
    if (spec->net->vsock_cid && !spec->net->vsock_socket)
        fail("--vsock", "%s serves it behind a socket of its own; write CID,socket=PATH", name);
    char *path = tool_find(name);
    if (!path)
        fail(name, "is not installed; install %s", vmms[i].install);
    list_add(&args, name);
    vmms[i].args(spec, &args);
    if (spec->verbose) {
        struct buf line = { 0 };
        for (size_t k = 0; k < args.n; k++)
            buf_printf(&line, "%s%s", k ? " " : "", args.v[k]);
        say("%s", line.s);
    }
    pid_t pid = fork();
    if (pid < 0)
        fail_errno(name, errno, "cannot start");
    if (pid == 0) {
        execv(path, args.v);
        _exit(127);
    }
    /* Ctrl-C is the guest's, or the VMM's to act on. */
    (void)signal(SIGINT, SIG_IGN);
    while (waitpid(pid, &status, 0) < 0)
        if (errno != EINTR)
            fail_errno(name, errno, "cannot wait for it");
    if (WIFSIGNALED(status))
        fail(name, "was killed by signal %d", WTERMSIG(status));
    return WEXITSTATUS(status) ? FAIL_RUN : 0;
}
