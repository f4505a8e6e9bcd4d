/* SPDX-License-Identifier: MIT */
/* One row for each cloud: what it takes, which tool talks to it, what it needs of a guest, its commands. In them, @N is the
 * name, @F the file, @B the bucket, @R the file of a second disk with the root. */
#include "deploy.h"
#include "disk.h"
#include "tools.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

struct cloud {
    const char *name;
    enum format format;
    const char *tool, *install;
    const char *missing; /* what libOS lacks for any of its machines; NULL: nothing */
    const char *snp_missing, *tdx_missing; /* for confidential ones; "": the cloud has none */
    const char *upload, *create, *start, *snp_start, *tdx_start;
    /* Of a second disk: what writes it from a raw one, its file's ending, commands, and words at the end of start. NULL: its
     * images are of one disk. */
    void (*root_write)(const char *from, const char *path);
    const char *root_suffix, *root_upload, *root_create, *root_start;
};

static const struct cloud clouds[] = {
    { .name = "gcp",
      .format = FORMAT_GCP_TAR,
      .tool = "gcloud",
      .install = "the Google Cloud CLI",
      .snp_missing = "a driver for gVNIC, the only network interface of confidential machines",
      .tdx_missing = "a driver for gVNIC, the only network interface of confidential machines",
      .upload = "gcloud storage cp @F gs://@B/@N.tar.gz",
      .create = "gcloud compute images create @N --source-uri=gs://@B/@N.tar.gz "
                "--guest-os-features=UEFI_COMPATIBLE",
      .start = "gcloud compute instances create @N --image=@N --machine-type=e2-small "
               "--network-interface=nic-type=VIRTIO_NET",
      .root_write = disk_copy_gcp,
      .root_suffix = "-root.tar.gz",
      .root_upload = "gcloud storage cp @R gs://@B/@N-root.tar.gz",
      .root_create = "gcloud compute images create @N-root --source-uri=gs://@B/@N-root.tar.gz",
      .root_start = " --create-disk=image=@N-root,auto-delete=yes" },
    { .name = "aws", .missing = "a driver for ENA, the only network interface of its machines" },
    { .name = "azure",
      .missing = "drivers for VMBus, which its machines have in place of PCI and virtio" },
    { .name = "oci",
      .format = FORMAT_QCOW2,
      .tool = "oci",
      .install = "the Oracle Cloud Infrastructure CLI",
      .snp_missing = "",
      .tdx_missing = "",
      .upload = "oci os object put --bucket-name @B --name @N.qcow2 --file @F --force",
      .create =
          "oci compute image import from-object --bucket-name @B --name @N.qcow2 --namespace "
          "\"$(oci os ns get --query data --raw-output)\" --compartment-id \"$OCI_COMPARTMENT\" "
          "--display-name @N --source-image-type QCOW2 --launch-mode PARAVIRTUALIZED",
      .start =
          "oci compute instance launch --display-name @N --compartment-id \"$OCI_COMPARTMENT\" "
          "--availability-domain \"$OCI_AD\" --subnet-id \"$OCI_SUBNET\" --shape "
          "VM.Standard.E4.Flex "
          "--shape-config '{\"ocpus\":1,\"memoryInGBs\":4}' --image-id \"$(oci compute image list "
          "--compartment-id \"$OCI_COMPARTMENT\" --display-name @N --query 'data[0].id' "
          "--raw-output)\"" },
    { .name = "ibm",
      .format = FORMAT_QCOW2,
      .tool = "ibmcloud",
      .install = "the IBM Cloud CLI with the plug-ins vpc-infrastructure and cloud-object-storage",
      .snp_missing = "",
      .upload = "ibmcloud cos upload --bucket @B --key @N.qcow2 --file @F",
      .create = "ibmcloud is image-create @N --file cos://$IBM_REGION/@B/@N.qcow2 --os-name "
                "generic-uefi-amd64",
      .start = "ibmcloud is instance-create @N $IBM_VPC $IBM_ZONE bx2-2x8 $IBM_SUBNET --image @N",
      .tdx_start =
          "ibmcloud is instance-create @N $IBM_VPC $IBM_ZONE bx3dc-2x10 $IBM_SUBNET --image @N "
          "--confidential-compute-mode tdx" },
    { .name = "alibaba",
      .format = FORMAT_QCOW2,
      .tool = "aliyun",
      .install = "the Alibaba Cloud CLI",
      .snp_missing = "",
      .upload = "aliyun oss cp @F oss://@B/@N.qcow2",
      .create = "aliyun ecs ImportImage --ImageName @N --Architecture x86_64 --OSType linux "
                "--BootMode UEFI "
                "--DiskDeviceMapping.1.Format QCOW2 --DiskDeviceMapping.1.OSSBucket @B "
                "--DiskDeviceMapping.1.OSSObject @N.qcow2",
      .start =
          "aliyun ecs RunInstances --InstanceName @N --ImageId \"$ALIBABA_IMAGE\" --InstanceType "
          "ecs.g8i.large --VSwitchId \"$ALIBABA_VSWITCH\" --SecurityGroupId \"$ALIBABA_GROUP\"",
      .tdx_start =
          "aliyun ecs RunInstances --InstanceName @N --ImageId \"$ALIBABA_IMAGE\" --InstanceType "
          "ecs.g8i.xlarge --SecurityOptions.ConfidentialComputingMode TDX --VSwitchId "
          "\"$ALIBABA_VSWITCH\" --SecurityGroupId \"$ALIBABA_GROUP\"" },
};

static const struct cloud *find(const char *name)
{
    struct buf all = { 0 };
    for (size_t i = 0; i < sizeof(clouds) / sizeof(*clouds); i++) {
        if (strcmp(clouds[i].name, name) == 0)
            return &clouds[i];
        buf_printf(&all, "%s%s", i ? ", " : "", clouds[i].name);
    }
    fail("--cloud", "'%s' is not known; one of: %s", name, all.s);
}

static const char *start_of(const struct cloud *c, const struct options *o)
{
    const char *missing = o->given & OPT_SNP   ? c->snp_missing
                          : o->given & OPT_TDX ? c->tdx_missing
                                               : NULL;
    const char *start = o->given & OPT_SNP   ? c->snp_start
                        : o->given & OPT_TDX ? c->tdx_start
                                             : c->start;
    if (c->missing)
        fail(c->name, "needs %s, which Alcove does not have yet", c->missing);
    if (missing && *missing)
        fail(c->name, "needs %s, which Alcove does not have yet", missing);
    if (missing)
        fail(c->name, "has no machines with %s", o->given & OPT_SNP ? "SEV-SNP" : "TDX");
    return start;
}

enum format cloud_format(const struct options *o, const char **ret_tool, const char **ret_package)
{
    const struct cloud *c = find(o->cloud);
    (void)start_of(c, o);
    *ret_tool = c->tool;
    *ret_package = c->install;
    return c->format;
}

/* A word of a shell command. */
static void quote(struct buf *b, const char *s)
{
    if (*s && strspn(s, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_./-") ==
                  strlen(s)) {
        buf_str(b, s);
        return;
    }
    buf_str(b, "'");
    for (; *s; s++)
        *s == '\'' ? buf_str(b, "'\\''") : buf_add(b, s, 1);
    buf_str(b, "'");
}

static void add(struct buf *b, const char *text, const struct deployment *d)
{
    for (; *text; text++) {
        if (*text != '@')
            buf_add(b, text, 1);
        else if (*++text == 'N')
            buf_str(b, d->name);
        else
            quote(b, *text == 'F' ? d->artefact : *text == 'R' ? d->root_artefact : d->o->bucket);
    }
}

static void add_line(struct buf *b, const char *text, const struct deployment *d)
{
    add(b, text, d);
    buf_str(b, "\n");
}

void cloud_write_root(struct deployment *d)
{
    const struct cloud *c = find(d->o->cloud);
    if (!c->root_write)
        fail(c->name,
             "starts images of one disk here, and %s has its root on a second one; build it "
             "without --root-disk",
             d->image);
    char *unfinished = xprintf("%s%s.tmp", d->name, c->root_suffix);
    d->root_artefact = xprintf("%s%s", d->name, c->root_suffix);
    remove_at_exit(unfinished);
    (void)unlink(unfinished);
    c->root_write(d->root, unfinished);
    if (rename(unfinished, d->root_artefact) < 0)
        fail_errno(d->root_artefact, errno, "cannot write");
}

char *cloud_commands(const struct deployment *d)
{
    const struct cloud *c = find(d->o->cloud);
    struct buf b = { 0 };
    add_line(&b, c->upload, d);
    add_line(&b, c->create, d);
    if (d->root) {
        add_line(&b, c->root_upload, d);
        add_line(&b, c->root_create, d);
    }
    add(&b, start_of(c, d->o), d);
    add_line(&b, d->root ? c->root_start : "", d);
    return b.s;
}
