/* SPDX-License-Identifier: MIT */
/* What an image needs to run elsewhere. */
#ifndef ALCOVE_CMD_DEPLOY_H
#define ALCOVE_CMD_DEPLOY_H

#include "formats.h"
#include "options.h"

/* An image and what was asked for. */
struct deployment {
    const struct options *o;
    const char *image;         /* as typed */
    const char *name;          /* for the cloud: small letters, digits, '-' */
    const char *artefact;      /* the file that was made */
    const char *absolute;      /* path of the image */
    struct list ports;         /* "8080/tcp" */
    bool disk;                 /* the image is a disk */
    const char *root;          /* the disk with its root; NULL: it is in the image */
    const char *root_artefact; /* what was made of it for the cloud */
};

/* The cloud's commands, one a line: the format that it takes in *ret_format, the tool that runs them in *ret_tool. What the
 * cloud needs and libOS has not ends the command. */
enum format cloud_format(const struct options *o, const char **ret_tool, const char **ret_package);
/* Write the artefact of d->root, which the cloud can take. Ends the command where it cannot. */
void cloud_write_root(struct deployment *d);
char *cloud_commands(const struct deployment *d);

/* Texts for engines that start VMs. */
char *manifest_kubernetes(const struct deployment *d);
char *manifest_libvirt(const struct deployment *d);
char *manifest_nomad(const struct deployment *d);

#endif
