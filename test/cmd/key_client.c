/* SPDX-License-Identifier: MIT */
/* The guest's side of a key's release, libOS's own code in a process under sanitizers; keyserver.py is its network and its
 * security processor. Lines in: NONCE NAME; KIND REPORT CERTS; ANSWER FINGERPRINT (hexadecimal, "-" for nothing). Lines out:
 * the report's data; the request; "key HEX" or "error N". */
#include "../../libos/attest/key_release.h"

#include <libos/page.h>
#include <libos/random.h>
#include <plat/host.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { WORD = 2 * (ALCOVE_KEY_REPORT_MAX + ALCOVE_KEY_CERTS_MAX) + 1 };

static char word[WORD];

/* The kernel's; nothing here ends a machine. */
_Noreturn void machine_exit(int wait_status);
_Noreturn void machine_exit(int wait_status)
{
    exit(wait_status ? 1 : 0);
}

static const char *next(void)
{
    if (scanf("%65536s", word) != 1)
        exit(2);
    return word;
}

static size_t unhex(uint8_t *to, size_t max)
{
    const char *s = next();
    size_t n = strcmp(s, "-") ? strlen(s) / 2 : 0;

    for (size_t i = 0; i < n && i < max; i++) {
        char digits[3] = { s[2 * i], s[2 * i + 1], 0 };
        to[i] = (uint8_t)strtoul(digits, NULL, 16);
    }
    return n;
}

static void hex(const void *p, size_t n)
{
    for (size_t i = 0; i < n; i++)
        printf("%02x", ((const uint8_t *)p)[i]);
}

int main(void)
{
    static uint8_t report[ALCOVE_KEY_REPORT_MAX], certs[ALCOVE_KEY_CERTS_MAX], answer[16384],
        key[ALCOVE_KEY_MAX];
    static struct key_release k;
    uint8_t nonce[ALCOVE_KEY_NONCE], fingerprint[KEY_FINGERPRINT];
    size_t reported, certified, n, key_size;
    uint32_t kind;
    int err;

    plat_host_init();
    page_init();
    random_init();
    if (unhex(nonce, sizeof(nonce)) != sizeof(nonce) || key_release_begin(&k, nonce, next()))
        return 1;
    hex(k.data, sizeof(k.data));
    putchar('\n');
    fflush(stdout);
    kind = (uint32_t)strtoul(next(), NULL, 10);
    reported = unhex(report, sizeof(report));
    certified = unhex(certs, sizeof(certs));
    key_release_head(&k, kind, reported, certified);
    hex(&k.head, sizeof(k.head));
    hex(k.name, strlen(k.name));
    hex(report, reported);
    hex(certs, certified);
    putchar('\n');
    fflush(stdout);
    n = unhex(answer, sizeof(answer));
    (void)unhex(fingerprint, sizeof(fingerprint));
    err = key_release_open(&k, answer, n, fingerprint, key, &key_size);
    if (err) {
        printf("error %d\n", -err);
    } else {
        printf("key ");
        hex(key, key_size);
        putchar('\n');
    }
    key_release_end(&k);
    return 0;
}
