/* SPDX-License-Identifier: MIT */
/* The sources of passphrases, one line each in the table. What comes by the console or the control channel has been in the
 * host's hands, so a confidential guest takes neither. */
#include "keys.h"

#include <abi/errno.h>
#include <base/log.h>
#include <libos/dev/console.h>
#include <libos/key_agent.h>
#include <plat/boot.h>
#include <stdio.h>
#include <string.h>

enum { ATTEMPTS = 3 };

static int from_console(void *arg, unsigned attempt, uint8_t *buf, size_t size)
{
    const struct key_request *r = arg;
    char prompt[128];
    if (attempt)
        log_warn("volume %s: no key fits this passphrase", r->point);
    if (attempt == ATTEMPTS)
        return -EACCES;
    control_send_ready(); /* from here on the host passes input on */
    snprintf(prompt, sizeof(prompt), "Passphrase for %s: ", r->point);
    return console_ask(prompt, buf, size);
}

static int from_host(void *arg, unsigned attempt, uint8_t *buf, size_t size)
{
    const struct key_request *r = arg;
    if (attempt) {
        log_error("volume %s: no key fits what --key names", r->point);
        return -EACCES;
    }
    int n = control_ask_key(r->point, buf, size);
    if (n < 0)
        log_error("volume %s: the host gives no key (error %d)", r->point, -n);
    return n;
}

/* key=attest:WHERE: a server gives it to this image, and nobody between sees it. */
static int from_agent(void *arg, unsigned attempt, uint8_t *buf, size_t size)
{
    const struct key_request *r = arg;
    return attempt
               ? -EACCES
               : key_agent_ask(r->from + strlen("attest:"), strrchr(r->point, '/') + 1, buf, size);
}

/* name: all of the text after key=, or what it begins with if it ends in a colon. */
static const struct {
    const char *name;
    int (*get)(void *arg, unsigned attempt, uint8_t *buf, size_t size);
    bool trusts_host;
} sources[] = {
    { "console", from_console, true },
    { "host", from_host, true },
    { "attest:", from_agent, false },
};

static bool named(const char *from, const char *name)
{
    size_t n = strlen(name);
    return name[n - 1] == ':' ? !strncmp(from, name, n) : !strcmp(from, name);
}

int keys_source(struct key_request *r, struct luks_key_source *ret)
{
    for (size_t i = 0; i < ARRAY_SIZE(sources); i++) {
        if (!named(r->from, sources[i].name))
            continue;
        if (sources[i].trusts_host && plat_boot_info()->confidential) {
            log_error(
                "volume %s: a key by '%s' would pass through the host of this confidential guest",
                r->point, r->from);
            return -EINVAL;
        }
        *ret = (struct luks_key_source){ sources[i].get, r };
        return 0;
    }
    log_error("volume %s: there is no source of keys '%s'", r->point, r->from);
    return -EINVAL;
}
