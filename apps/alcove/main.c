/* SPDX-License-Identifier: MIT */
/* The alcove command: which command it is, and the helps. */
#include "commands.h"

#include "options.h"

#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

static const char overview[] =
    "alcove: one Linux program, one bootable image\n"
    "\n"
    "  alcove run PROGRAM [ARG...]        pack it, boot it in a VM, exit with its exit status\n"
    "  alcove run IMAGE.elf               boot an image that was built\n"
    "  alcove build PROGRAM [ARG...] -o FILE   write FILE.elf (or FILE.efi, ...), print its size "
    "and SHA-256\n"
    "  alcove inspect IMAGE               what is inside, and is it intact\n"
    "  alcove check PROGRAM               which system calls it can make, and which are partial or "
    "missing\n"
    "  alcove trace PROGRAM [ARG...]      run it with each system call decoded on stderr\n"
    "  alcove deploy IMAGE --cloud NAME   what a cloud takes, and the commands that start it\n"
    "  alcove measure IMAGE --snp|--tdx|--vtpm   what a verifier shall expect\n"
    "  alcove keyserver DIR               give keys of volumes to attested images\n"
    "  alcove volume create FILE SIZE     make a data disk; also ls, inspect, check\n"
    "\n"
    "alcove COMMAND --help says more; alcove --version prints the version.\n";

static const char pack_help[] =
    "  --root DIR           add the files of DIR, where they stand in it (repeatable; the later "
    "one wins)\n"
    "  --with PROGRAM       another program that PROGRAM calls, with its libraries (repeatable)\n"
    "  --init               start PROGRAM from a process 1 that passes signals on and reaps "
    "orphans\n"
    "  -e, --env K=V        set an environment variable (repeatable); -e K passes on this shell's "
    "value\n"
    "  -w, --cwd DIR        working directory in the image (default /)\n"
    "  -u, --user U[:G]     run as this user and group, names or numbers (default 0:0)\n"
    "  -h, --hostname NAME  host name (default alcove)\n"
    "  --libos NAME         the libOS: full (the default), or without parts: net, disk, small\n"
    "  --verity on|off|panic  check each block of the root before use (default on); a wrong one is "
    "EIO,\n"
    "                       or with panic the end of the VM\n"
    "  --compress none|lz4  compress the files of the root (default none: pages are used as they "
    "lie)\n";

static const char build_help[] =
    "alcove build [OPTION...] PROGRAM [ARG...] -o FILE\n"
    "Write FILE.elf: the libOS, PROGRAM, its libraries and its arguments in one bootable image.\n"
    "\n"
    "  -o, --output FILE    the image; how it ends chooses the format when --format does not\n"
    "%s"
    "  --format LIST        one file for each of: elf (PVH; the default), efi (UEFI), img (disk "
    "with it),\n"
    "                       qcow2, vhd (Azure), gcp-tar (Google), oci (containers)\n"
    "  --root-disk FILE     put the root into FILE, a disk of the VM, instead of the image: only "
    "what is\n"
    "                       used takes memory\n"
    "  --json               print what was made as JSON\n"
    "  --sealed             for a confidential VM only: no word of the loader is taken, no "
    "console\n"
    "      --console        the console all the same, which the host reads\n"
    "  -v, --volume DISK:/DIR[:ro]  mount a disk of the VM: UUID=, LABEL=, SERIAL=, vda, ...\n"
    "      --key /DIR=attest:http://A.B.C.D[:PORT]#FINGERPRINT\n"
    "                       the one at DIR is encrypted, and this alcove keyserver has its key\n"
    "  --oci IMAGE[:TAG]    pack a container image instead of PROGRAM: an OCI layout, a docker "
    "save\n"
    "                       archive or what skopeo made; ARGs take the place of its CMD\n"
    "\n"
    "Options stand before PROGRAM. When -o does not, the last words may be -o FILE and long "
    "options.\n";

static const char run_help[] =
    "alcove %s [OPTION...] PROGRAM|IMAGE [ARG...]\n"
    "%s\n"
    "\n"
    "%s"
    "  -m, --memory SIZE    memory of the VM, for example 256M or 2G (default 512M, more for a "
    "large image)\n"
    "  --cpus N             number of CPUs (default 1)\n"
    "  --vmm VMM            qemu (default), firecracker or cloud-hypervisor (these need KVM)\n"
    "  --quiet              only the program's own output, no messages of the libOS\n"
    "  -p, --publish H:G    pass the host's port H on to the guest's port G (H:G/udp, "
    "ADDRESS:H:G)\n"
    "  --net user|tap=NAME|none\n"
    "                       the network: QEMU's own (default with -p), a tap interface, or none\n"
    "  --ip A.B.C.D/P[,GW]  the guest's address and gateway (default: the user network's, or "
    "DHCP)\n"
    "  --dns A[,A]          name servers\n"
    "  --vsock CID[,socket=PATH]\n"
    "                       a socket device to the host (AF_VSOCK), served by the kernel, or "
    "behind PATH\n"
    "  --notify vsock-stream:2:PORT\n"
    "                       tell the host's PORT of AF_VSOCK READY=1 and EXIT_STATUS=N\n"
    "  --metrics PORT       have the guest's PORT of AF_VSOCK answer with the libOS's counters\n"
    "  --machine M          QEMU machine: microvm (default), q35 or pc\n"
    "  --accel tcg|kvm      do not probe, use this\n"
    "  --root-disk FILE     of a PROGRAM: put its root into FILE, a disk; of an IMAGE: the disk "
    "that "
    "has it\n"
    "                       (default: the one that it was built with, beside it)\n"
    "  --oci IMAGE[:TAG]    run a container image instead of PROGRAM (see alcove build --help)\n"
    "      --gdb            start stopped and print the command that attaches gdb\n"
    "  --boot-trace         have the libOS print the time of each boot step\n"
    "  -v, --volume FILE:/DIR[:ro]  mount a data disk (alcove volume create), or a directory, at "
    "DIR\n"
    "      --key /DIR=file:PATH     PATH has the passphrase of the encrypted one at DIR (else it "
    "is asked for)\n"
    "      --verbose        say what is done\n"
    "\n"
    "Exit status: the program's, 128 + signal when it was killed, 125 when alcove itself failed.\n";

static const char inspect_help[] = "alcove inspect [--json] IMAGE.elf\n"
                                   "Print program, libraries, arguments, environment, root hash "
                                   "and sizes, and check the root against its hash tree.\n";

static const char check_help[] =
    "alcove check [OPTION...] PROGRAM\n"
    "List the system calls that PROGRAM and its libraries can make and that the libOS has only in "
    "part or not at all.\n"
    "\n"
    "%s"
    "  --json               all calls, as JSON\n"
    "\n"
    "Found by looking at the code: of a library, what can be reached from the functions that "
    "others use. Calls are\n"
    "reported that never happen; those of plug-ins that are not packed are not seen.\n";

static const char measure_help[] =
    "alcove measure IMAGE --snp|--tdx|--vtpm [OPTION...]\n"
    "Print what a verifier shall expect of app.efi (started as the VMM's kernel) or app.img (from "
    "disk).\n"
    "\n"
    "  --snp                launch measurement of AMD SEV-SNP\n"
    "  --tdx                MRTD, RTMR1 and RTMR2 of Intel TDX (RTMR0 depends on the machine)\n"
    "  --vtpm               PCR 4, 5 and 11\n"
    "  --firmware FILE      OVMF as the VMM loads it (default: the installed one)\n"
    "  --vmm qemu|ec2|gce   who launches (default qemu)\n"
    "  --cpus N             number of CPUs (default 1)\n"
    "  --cpu-type TYPE      QEMU's -cpu (default EPYC-v4)\n"
    "  --append TEXT        command line given to the VMM (default none)\n"
    "  --json               as JSON\n";

static const char deploy_help[] =
    "alcove deploy IMAGE --cloud gcp|aws|azure|oci|ibm|alibaba --bucket NAME [OPTION...]\n"
    "alcove deploy IMAGE --kubernetes|--libvirt|--nomad\n"
    "Write the file that a cloud takes here and print the commands that start it there; or print "
    "an\n"
    "engine's manifest.\n"
    "\n"
    "  --bucket NAME        object storage that the file is uploaded to\n"
    "  --run                run the commands, with the cloud's own tool\n"
    "  --snp, --tdx         a confidential machine (alcove measure says what to expect of it)\n"
    "  --root-disk FILE     the disk with the root of IMAGE, if it is not beside it\n"
    "  -m, --memory SIZE    memory, for an engine (default 512M)\n"
    "  --cpus N             CPUs, for an engine (default 1)\n";

static const char keyserver_help[] =
    "alcove keyserver --init DIR        make DIR with a new identity; print its fingerprint\n"
    "alcove keyserver DIR               give keys as DIR says, until it is ended\n"
    "\n"
    "  --listen ADDRESS:PORT  where (default 127.0.0.1:8440)\n"
    "\n"
    "In DIR: identity.pem signs answers; policy.conf names, for each volume, its key and the "
    "measurements of\n"
    "the images that get it; trust/*.pem are the chips' makers' root certificates; revoked/*.pem "
    "revocation\n"
    "lists. Each decision is a line on stderr. A small broker, for tests and small "
    "installations.\n";

static const char volume_help[] =
    "alcove volume create FILE SIZE     make a data disk: a file with an ext4 file system\n"
    "alcove volume ls [DIR]             the data disks in a directory\n"
    "alcove volume inspect FILE         what is on one\n"
    "alcove volume check FILE           have e2fsck look at it\n"
    "\n"
    "  --label NAME         (create) its label\n"
    "  --luks               (create) encrypt it: LUKS2, AES-256 in XTS mode\n"
    "  --key-file PATH      (create --luks, check) a file with the passphrase; else it is asked "
    "for\n"
    "  --iter-time MS       (create --luks) how long one try of a passphrase takes\n"
    "\n"
    "alcove run -v FILE:/DIR[:ro] PROGRAM gives it to a program.\n";

void help_print(const char *command)
{
    if (!command)
        fputs(overview, stdout);
    else if (strcmp(command, "build") == 0)
        printf(build_help, pack_help);
    else if (strcmp(command, "run") == 0)
        printf(run_help, "run",
               "Boot a program (or an image that was built) in a VM; its input and output are "
               "alcove's.",
               pack_help);
    else if (strcmp(command, "trace") == 0)
        printf(run_help, "trace", "As run, with each system call of the program decoded on stderr.",
               pack_help);
    else if (strcmp(command, "check") == 0)
        printf(check_help, pack_help);
    else if (strcmp(command, "deploy") == 0)
        fputs(deploy_help, stdout);
    else if (strcmp(command, "measure") == 0)
        fputs(measure_help, stdout);
    else if (strcmp(command, "keyserver") == 0)
        fputs(keyserver_help, stdout);
    else if (strcmp(command, "volume") == 0)
        fputs(volume_help, stdout);
    else
        fputs(inspect_help, stdout);
}

static const struct {
    const char *name;
    int (*run)(int argc, char **argv);
} commands[] = {
    { "build", command_build },     { "run", command_run },
    { "trace", command_trace },     { "check", command_check },
    { "inspect", command_inspect }, { "measure", command_measure },
    { "deploy", command_deploy },   { "keyserver", command_keyserver },
    { "volume", command_volume },
};

static int dispatch(int argc, char **argv)
{
    if (argc < 2) {
        fputs(overview, stderr);
        return FAIL_OTHER;
    }
    if (strcmp(argv[1], "--help") == 0 || strcmp(argv[1], "help") == 0) {
        help_print(NULL);
        return 0;
    }
    if (strcmp(argv[1], "--version") == 0) {
        printf("alcove %s\n", ALCOVE_VERSION);
        return 0;
    }
    for (size_t i = 0; i < sizeof(commands) / sizeof(*commands); i++)
        if (strcmp(argv[1], commands[i].name) == 0)
            return commands[i].run(argc - 1, argv + 1);
    fail(argv[1], "is not a command; one of run, build, inspect, check, trace, measure, deploy, "
                  "keyserver, volume "
                  "(alcove --help)");
}

/* A descriptor that was closed must not become something of ours. */
static void open_standard(void)
{
    int fd;
    do
        fd = open("/dev/null", O_RDWR);
    while (fd >= 0 && fd <= 2);
    if (fd > 2)
        close(fd);
}

int main(int argc, char **argv)
{
    open_standard();
    /* A limit on file sizes is an error of a write, not a death without a line. */
    (void)signal(SIGXFSZ, SIG_IGN);
    int status = dispatch(argc, argv);
    if (fflush(stdout) != 0)
        fail(NULL, "cannot write to standard output");
    remove_finish();
    return status;
}
