/* SPDX-License-Identifier: MIT */
/* /sys/kernel/config/tsm/report: attestation reports in the one way that all confidential guests of Linux have. */
#ifndef LIBOS_TSM_H
#define LIBOS_TSM_H

#include <base/compiler.h>
#include <base/types.h>

enum { TSM_IN_MAX = 64, TSM_OUT_MAX = 32 * 1024, TSM_PRIVLEVEL_MAX = 3, TSM_GUID = 16 };
/* Whose services a report is about: of none, of the module at VMPL 0, of one that is not known. */
enum tsm_service { TSM_SERVICE_NONE, TSM_SERVICE_SVSM, TSM_SERVICE_OTHER };

/* What a report is made of, and the report. */
struct tsm_request {
    uint8_t in[TSM_IN_MAX];
    size_t in_size;
    unsigned privlevel;
    enum tsm_service service;
    uint8_t service_guid[TSM_GUID]; /* zeros: all */
    uint32_t service_version;       /* of a single service's manifest */
    uint8_t *out, *aux, *manifest;  /* heap memory; NULL: none */
    size_t out_size, aux_size, manifest_size;
};

/* Who makes reports. */
struct tsm_provider {
    const char *name;
    bool has_privlevel; /* and auxblob */
    unsigned (*privlevel_floor)(void);
    bool (*has_service)(void); /* NULL: none; else whether there are services to report on */
    /* Fill out, aux and manifest, which are NULL. -EINVAL: bad request; -EIO and others: no report. Sleeps. */
    int (*make)(struct tsm_request *r);
};

/* The provider of this guest. NULL: none. */
const struct tsm_provider *tsm_provider(void);

/* Mount /sys/kernel/config, with tsm/report in it in a confidential guest. After /sys. -ENOMEM. */
NODISCARD int configfs_init(void);

#endif
