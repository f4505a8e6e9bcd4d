/* SPDX-License-Identifier: MIT */
/* `alcove run` and `alcove trace`: pack (or take an image as it is), boot, relay, exit as the program did. */
#include "commands.h"

#include "cmdline.h"
#include "kernels.h"
#include "options.h"
#include "seal.h"
#include "vm.h"
#include "volume.h"

#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/stat.h>
#include <unistd.h>

#define MIB (1ULL << 20)

enum {
    MEMORY_DEFAULT_MIB = 512,
    MEMORY_ROOM_MIB = 256,
    MEMORY_LEAST_MIB = 2,
    MEMORY_UEFI_MIB = 96
};

/* Is the operand an image? Only a path that names a regular file can be one. */
static bool is_image(const char *path, struct image *ret)
{
    const uint8_t *data;
    size_t size;
    bool is;
    if (file_map(path, &data, &size) < 0)
        return false;
    const char *wrong = image_read(data, size, ret, &is);
    if (is && wrong)
        fail(path, "%s", wrong);
    return is;
}

static void set_memory(struct vm_spec *vm, uint64_t asked, const struct image *image)
{
    uint64_t used = (image->end_paddr + MIB - 1) / MIB * MIB;
    vm->memory = asked ? asked : MEMORY_DEFAULT_MIB * MIB;
    if (!asked && used + MEMORY_ROOM_MIB * MIB > vm->memory)
        vm->memory = used + MEMORY_ROOM_MIB * MIB;
    uint64_t least = image->efi ? MEMORY_UEFI_MIB : MEMORY_LEAST_MIB;
    if (vm->memory < used + least * MIB)
        fail("--memory", "the image needs at least %lluM",
             (unsigned long long)(used / MIB + least));
}

static void set_accel(struct vm_spec *vm, const struct options *o)
{
    const char *why = NULL;
    if (o->accel)
        vm->kvm = strcmp(o->accel, "kvm") == 0;
    else
        vm->kvm = kvm_works(&why);
    if (why && (vm->verbose || isatty(STDERR_FILENO)))
        say("KVM does not run guests here (%s); using TCG, slower", why);
}

static void set_firmware(struct vm_spec *vm, const struct options *o, const struct image *image)
{
    if (!image->efi)
        return;
    if (o->machine && strcmp(o->machine, "microvm") == 0)
        fail("--machine", "microvm has no UEFI firmware; use q35 or pc");
    vm->firmware = firmware_find(NULL);
    vm->disk = image->disk;
    vm->machine = o->machine ? o->machine : "q35";
}

static void pack_program(struct options *o, struct vm_spec *vm, struct image *image)
{
    struct packed p = { 0 };
    o->pack.fixed_addresses = o->given & OPT_GDB;
    pack(&o->pack, &p);
    if (o->given & OPT_GDB)
        vm->gdb = gdb_start(o->pack.kernel ? o->pack.kernel : kernel_full(),
                            path_join(p.stage.dir, p.exe));
    vm->image = path_join(p.dir, "app.elf");
    image_write(&p.parts, vm->image);
    if (!is_image(vm->image, image))
        fail(vm->image, "is not readable as an image");
    if (vm->verbose)
        say("packed %zu files, %llu bytes", p.stage.n, (unsigned long long)image->size);
}

/* Do both descriptors lead to the same place, as after 2>&1? Then the order of what is written to them counts. */
static bool same_file(int a, int b)
{
    struct stat x, y;
    return fstat(a, &x) == 0 && fstat(b, &y) == 0 && x.st_dev == y.st_dev && x.st_ino == y.st_ino;
}

/* The VMM that was asked for; NULL: QEMU. */
static const char *other_vmm(const struct options *o)
{
    static const char *const names[] = { "qemu", "firecracker", "cloud-hypervisor" };
    size_t i = 0;
    if (!o->vmm)
        return NULL;
    while (i < 3 && strcmp(names[i], o->vmm) != 0)
        i++;
    if (i == 3)
        fail("--vmm", "'%s' is not known; one of: qemu, firecracker, cloud-hypervisor", o->vmm);
    if (i && o->given & OPT_GDB)
        fail("--vmm", "%s has no debugger's port; --gdb is for QEMU", names[i]);
    if (i && o->given & (OPT_MACHINE | OPT_ACCEL))
        fail("--vmm", "%s has one kind of machine and needs KVM; leave --machine and --accel out",
             names[i]);
    return i ? names[i] : NULL;
}

/* The program's terminal is ours, unless -e says what it is. */
static void add_terminal(struct list *env)
{
    const char *term = getenv("TERM");
    for (size_t i = 0; i < env->n; i++)
        if (strncmp(env->v[i], "TERM=", 5) == 0)
            return;
    if (term)
        list_add(env, xprintf("TERM=%s", term));
}

static int run(const char *command, int argc, char **argv, bool trace)
{
    struct options o = { 0 };
    struct image image;
    fail_set_status(FAIL_RUN);
    int at = options_read(command, OPT_PACK | OPT_VM | OPT_OCI | OPT_ROOT_DISK, argc, argv, &o);
    if (at >= argc && !o.pack.oci)
        fail(command, "no program; write alcove %s PROGRAM [ARG...]", command);
    struct vm_spec vm = { .image = o.pack.oci ? o.pack.oci : argv[at],
                          .machine = o.machine ? o.machine : "microvm",
                          .cpus = o.cpus ? o.cpus : 1 };
    vm.tty = isatty(STDIN_FILENO) && isatty(STDOUT_FILENO);
    vm.verbose = (o.given & OPT_VERBOSE) != 0;
    vm.quiet = (o.given & OPT_QUIET) != 0;
    const char *vmm = vm.vmm = other_vmm(&o);

    struct buf append = { 0 };
    struct winsize ws;
    cmdline_add(&append, vm.tty ? "console=tty" : "console=raw");
    if (vm.tty && ioctl(STDOUT_FILENO, TIOCGWINSZ, &ws) == 0)
        cmdline_add(&append, xprintf("winsize=%ux%u", ws.ws_col, ws.ws_row));
    if (trace)
        cmdline_add(&append, "trace");
    if (o.given & OPT_BOOT_TRACE)
        cmdline_add(&append, "boot-trace");
    vm.net = &o.net;
    net_append(&o.net, &append);
    vm.append = append.s;
    if (!o.pack.oci &&
        (strchr(argv[at], '/') || access(argv[at], F_OK) == 0 ? is_image(argv[at], &image)
                                                              : false)) {
        if (at + 1 < argc)
            fail(argv[at], "is an image, whose arguments are fixed; build it with '%s'",
                 argv[at + 1]);
        if (o.given & OPT_PACK)
            fail(argv[at], "is an image; -e, --root, --cwd, --user, --hostname and --libos are for "
                           "alcove build");
        if (o.keys.n)
            fail(argv[at],
                 "is an image, which says itself where keys come from (alcove build --key)");
        if (o.volumes.n)
            seal_attach(argv[at], &image, &o.volumes, &vm);
        vm.root_disk = image_root_disk(&image, argv[at], o.pack.root_disk);
    } else {
        vm.root_disk = o.pack.root_disk;
        if (vm.root_disk)
            kernel_need(o.pack.kernel ? o.pack.kernel : kernel_full(), KERNEL_DISK, "--root-disk");
        o.pack.program = o.pack.oci ? NULL : argv[at];
        if (o.volumes.n)
            kernel_need(o.pack.kernel ? o.pack.kernel : kernel_full(), KERNEL_DISK, "-v");
        volumes_take(&o.volumes, &o.keys, &vm, &o.pack.mounts);
        for (int i = o.pack.oci ? at : at + 1; i < argc; i++)
            list_add(&o.pack.args, argv[i]);
        if (vm.tty)
            add_terminal(&o.pack.env);
        pack_program(&o, &vm, &image);
    }
    if (trace)
        kernel_need(kernel_of_image(&image), KERNEL_DECODER, command);
    if (net_is_on(&o.net))
        kernel_need(kernel_of_image(&image), KERNEL_NET, "-p and --net");
    if (o.net.vsock_cid)
        kernel_need(kernel_of_image(&image), KERNEL_NET, "--vsock");
    if ((o.given & OPT_GDB) && !vm.gdb)
        vm.gdb = gdb_start(kernel_of_image(&image), NULL);
    if (vm.gdb && image.efi)
        fail("--gdb", "is for programs and app.elf: firmware loads %s where it likes", vm.image);
    set_firmware(&vm, &o, &image);
    set_memory(&vm, o.memory, &image);
    if (vmm)
        return vmm_run(&vm, vmm);
    if (!vm.tty && !(kernel_of_image(&image)->lacks & KERNEL_DEVICES)) {
        vm.ports = same_file(STDOUT_FILENO, STDERR_FILENO) ? 1 : 2;
        cmdline_add(&append, xprintf("ports=%u", vm.ports));
        vm.append = append.s;
    }
    set_accel(&vm, &o);
    struct vm machine;
    vm_start(&vm, &machine);
    return vm_relay(&vm, &machine);
}

int command_run(int argc, char **argv)
{
    return run("run", argc, argv, false);
}

int command_trace(int argc, char **argv)
{
    return run("trace", argc, argv, true);
}
