/* SPDX-License-Identifier: MIT */
/* In a libOS that is linked without confidential guests: there is nothing to attest. */
#include <libos/key_agent.h>

#include <abi/errno.h>

int key_agent_ask(const char *where, const char *name, uint8_t *ret_key, size_t max)
{
    (void)where;
    (void)name;
    (void)ret_key;
    (void)max;
    return -ENODEV;
}
