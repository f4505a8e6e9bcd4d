/* SPDX-License-Identifier: MIT */
/* Where the passphrases of encrypted volumes come from. */
#ifndef KERNEL_KEYS_H
#define KERNEL_KEYS_H

#include <base/compiler.h>
#include <base/types.h>
#include <libos/luks.h>

/* A volume whose passphrase is asked for. */
struct key_request {
    const char *point; /* where it is mounted */
    const char *
        from; /* the text after key=, up to the end: "console", "host", "attest:WHERE" (libos/key_agent.h) */
};

/* Make *ret the source that r->from names; r stays until the volume is open. -EINVAL with a logged line: no such source, or one that this
 * machine must not use. */
NODISCARD int keys_source(struct key_request *r, struct luks_key_source *ret);

#endif
