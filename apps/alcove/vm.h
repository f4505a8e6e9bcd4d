/* SPDX-License-Identifier: MIT */
/* The virtual machine that `run` starts: the KVM probe, QEMU's command line, the relay between it and the user. */
#ifndef ALCOVE_CMD_VM_H
#define ALCOVE_CMD_VM_H

#include "net.h"

struct kernel;

enum { VM_VOLUMES_MAX = 16 };

/* A disk of the VM; the guest knows it by its serial number "alcove-volN". */
struct vm_volume {
    const char *path;
    bool read_only;
    bool directory;    /* shared, not a disk */
    const char *point; /* where it is mounted */
    const char *key;   /* the file with its passphrase; NULL: it has none, or it is typed in */
};

/* What to boot and how. */
struct vm_spec {
    const char *image;    /* path of app.elf, app.efi or app.img */
    const char *firmware; /* UEFI, as one file; NULL: the image is loaded as a kernel by PVH */
    bool disk;            /* the image is a disk */
    const char *append;   /* boot command line */
    const char *machine;  /* microvm, q35, pc */
    uint64_t memory;      /* bytes */
    unsigned cpus;
    bool kvm;
    const char *
        gdb; /* the VM starts stopped, with gdb's protocol on the socket of this path; NULL: it does not */
    const struct net_spec *net;
    bool tty; /* standard input and output are one terminal: raw mode, window size */
    unsigned
        ports; /* channels for the standard streams beside COM1: 0, 1, or 2 with one for standard error */
    bool verbose;
    bool quiet; /* nothing but the program's bytes: no messages of libOS */
    struct vm_volume volumes[VM_VOLUMES_MAX];
    unsigned nvolumes;
    const char *
        vmm; /* another VMM than QEMU, which gives disks no serial numbers: they are vda, vdb, ...; NULL: QEMU */
    const char *root_disk; /* the file that build --root-disk wrote; NULL: none */
};

/* A started QEMU. */
struct vm {
    int pid;
    int pidfd;            /* readable when it has ended */
    int console, control; /* sockets to COM1 and to the control channel; not blocking */
    int ports[2];         /* the same to the standard streams' ports; -1: there is none */
    int errors;           /* reading end of its stderr */
};

/* Does KVM run an ordinary guest here? False with the reason in *ret_why. Takes at most about 300 ms. */
bool kvm_works(const char **ret_why);

/* Make the socket's path for vm_spec.gdb, and tell the user how to attach to libOS k and program: a copy of the ELF program, or
 * NULL. */
const char *gdb_start(const struct kernel *k, const char *program);

/* Start QEMU; ends the command with a line when that is impossible. */
void vm_start(const struct vm_spec *spec, struct vm *ret);

/* Run it on another VMM ("firecracker", "cloud-hypervisor") and wait: 0, or FAIL_RUN when the VMM failed. */
int vmm_run(const struct vm_spec *spec, const char *name);

/* Pass bytes, signals and messages until the VM has ended. The exit status for the user: the program's, 128 + signal, or
 * FAIL_RUN after a line that says what happened. */
int vm_relay(const struct vm_spec *spec, struct vm *vm);

#endif
