/* SPDX-License-Identifier: MIT */
/* `alcove deploy`: the file that a cloud takes and the commands that start it there, or the manifest of an engine. */
#include "commands.h"

#include "deploy.h"
#include "disk.h"
#include "efi.h"
#include "kernels.h"
#include "tools.h"

#include <ctype.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

/* NAME of DIR/NAME.SUFFIX, as clouds take names. */
static char *make_name(const char *image)
{
    size_t stem;
    const char *base = path_base(image);
    (void)format_of_name(base, &stem);
    char *name = xstrndup(base, stem < 50 ? stem : 50);
    for (char *c = name; *c; c++)
        *c = isalnum((unsigned char)*c) ? (char)tolower((unsigned char)*c) : '-';
    return isalpha((unsigned char)*name) ? name : xprintf("a%s", name);
}

/* The image's app.efi as a file of its own, for a disk of the cloud's shape. */
static char *take_efi(const uint8_t *data, size_t size, const char *image)
{
    uint64_t at = 0, n = size;
    char *path = path_join(temp_dir(), "app.efi");
    if (!disk_find_efi(data, size, &at, &n) && memcmp(data, "MZ", 2) != 0)
        fail(image, "does not boot by UEFI, as clouds do; build it with --format img");
    struct buf b = { 0 };
    buf_add(&b, data + at, n);
    FILE *f = fopen(path, "wbe");
    if (!f || fwrite(b.s, 1, b.len, f) != b.len || fclose(f) != 0)
        fail(path, "cannot be written");
    return path;
}

static void read_ports(const struct image *image, struct list *ret)
{
    const struct alcove_image_part *p = &image->head.info;
    if (!image->payload)
        return;
    char *text = xstrndup((const char *)image_part(image, p), p->size);
    for (char *save = NULL, *line = strtok_r(text, "\n", &save); line;
         line = strtok_r(NULL, "\n", &save))
        if (strncmp(line, "port=", 5) == 0)
            list_add(ret, line + 5);
}

/* One command after the other, as they were printed; the first that fails ends it. */
static void run_commands(const char *commands)
{
    char *text = xstrdup(commands);
    for (char *save = NULL, *line = strtok_r(text, "\n", &save); line;
         line = strtok_r(NULL, "\n", &save)) {
        say("%s", line);
        int status = system(line);
        if (status == -1 || !WIFEXITED(status) || WEXITSTATUS(status))
            fail("deploy", "this command failed; those after it were not run");
    }
}

static void deploy_cloud(struct deployment *d, const uint8_t *data, size_t size)
{
    const char *tool, *install;
    enum format f = cloud_format(d->o, &tool, &install);
    struct image_parts parts = { 0 };
    if (!d->o->bucket)
        fail("deploy", "no bucket to upload to; add --bucket NAME");
    if (d->o->given & OPT_RUN && !tool_find(tool))
        fail(tool, "is not installed; install %s, or leave --run out to see the commands", install);
    parts.efi = take_efi(data, size, d->image);
    if (d->root)
        cloud_write_root(d);
    d->artefact = xprintf("%s%s", d->name, format_suffix(f));
    format_write(f, &parts, d->artefact);
    if (d->root)
        say("%s and %s, with the root, are what %s takes", d->artefact, d->root_artefact,
            d->o->cloud);
    else
        say("%s is what %s takes", d->artefact, d->o->cloud);
    char *commands = cloud_commands(d);
    if (d->o->given & OPT_RUN)
        run_commands(commands);
    else
        fputs(commands, stdout);
}

int command_deploy(int argc, char **argv)
{
    enum { WHERE = OPT_CLOUD | OPT_KUBERNETES | OPT_LIBVIRT | OPT_NOMAD };
    enum {
        KNOWN =
            WHERE | OPT_BUCKET | OPT_RUN | OPT_SNP | OPT_TDX | OPT_MEMORY | OPT_CPUS | OPT_ROOT_DISK
    };
    struct options o = { 0 };
    struct image image;
    const uint8_t *data;
    size_t size;
    bool is;
    int at = options_read("deploy", KNOWN, argc, argv, &o);
    argc = options_read_tail(KNOWN, at + 1, argc, argv, &o);
    if (at >= argc)
        fail("deploy",
             "no image; write alcove deploy IMAGE --cloud NAME|--kubernetes|--libvirt|--nomad");
    if (at + 1 < argc)
        fail("deploy", "takes one image, '%s' is left over", argv[at + 1]);
    unsigned where = o.given & WHERE;
    if (!where || where & (where - 1))
        fail("deploy", "where to? one of --cloud NAME, --kubernetes, --libvirt and --nomad");
    int err = file_map(argv[at], &data, &size);
    if (err < 0)
        fail_errno(argv[at], -err, "cannot read the image");
    const char *wrong = image_read(data, size, &image, &is);
    if (wrong)
        fail(argv[at], "%s", is ? wrong : "is not an Alcove image; build one with alcove build");
    if (o.given & (OPT_SNP | OPT_TDX))
        kernel_need(kernel_of_image(&image), KERNEL_CC, o.given & OPT_SNP ? "--snp" : "--tdx");
    struct deployment d = {
        .o = &o, .image = argv[at], .name = make_name(argv[at]), .disk = image.disk
    };
    d.absolute = path_absolute(argv[at]);
    d.root = image_root_disk(&image, argv[at], o.pack.root_disk);
    if (d.root)
        d.root = path_absolute(d.root);
    read_ports(&image, &d.ports);
    if (where == OPT_CLOUD)
        deploy_cloud(&d, data, size);
    else if (where == OPT_KUBERNETES && d.root)
        fail(argv[at], "has its root on a second disk, which a container's image cannot carry; "
                       "build it without --root-disk");
    else if (where == OPT_KUBERNETES)
        fputs(manifest_kubernetes(&d), stdout);
    else if (where == OPT_LIBVIRT)
        fputs(manifest_libvirt(&d), stdout);
    else if (!image.disk)
        fail(argv[at],
             "is not a disk, which is what Nomad's QEMU driver starts; build it with --format img");
    else
        fputs(manifest_nomad(&d), stdout);
    return 0;
}
