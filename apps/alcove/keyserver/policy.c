/* SPDX-License-Identifier: MIT */
/* policy.conf: sections named as volumes, lines NAME = VALUE. */
#include "keyserver.h"

#include <ctype.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { POLICY_MAX = 1 << 20 };

static char *trim(char *s)
{
    while (isspace((unsigned char)*s))
        s++;
    for (char *end = s + strlen(s); end > s && isspace((unsigned char)end[-1]);)
        *--end = 0;
    return s;
}

static bool name_ok(const char *s)
{
    size_t n = strlen(s);
    return n && n <= ALCOVE_KEY_NAME_MAX &&
           strspn(s, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-_.") == n;
}

/* BOOTLOADER.TEE.SNP.MICROCODE, as the chip's maker names a version. */
static bool read_tcb(const char *s, uint8_t tcb[8])
{
    static const unsigned at[] = { 0, 1, 6, 7 };

    for (unsigned i = 0; i < 4; i++) {
        char *end;
        unsigned long v = strtoul(s, &end, 10);
        if (end == s || v > 255 || *end != (i < 3 ? '.' : 0))
            return false;
        tcb[at[i]] = (uint8_t)v;
        s = end + 1;
    }
    return true;
}

/* Words of the line, each of n hexadecimal digits, lower case and with one space between. False: there are not count of them. */
static bool read_hex(char *value, size_t n, unsigned count, struct buf *ret)
{
    unsigned words = 0;

    for (char *word, *next = value; (word = strsep(&next, " \t"));) {
        if (!*word)
            continue;
        for (char *p = word; *p; p++)
            *p = (char)tolower((unsigned char)*p);
        if (strlen(word) != n || strspn(word, "0123456789abcdef") != n)
            return false;
        buf_printf(ret, "%s%s", words++ ? " " : "", word);
    }
    return words == count;
}

static void set_tdx(struct key_rule *r, const char *name, char *value, const char *where)
{
    struct buf text = { 0 };

    if (strcmp(name, "tdx-measurement") == 0) {
        if (!read_hex(value, 2 * TDX_MEASUREMENT, 3, &text))
            fail(where, "tdx-measurement is MRTD, RTMR1 and RTMR2, 96 hexadecimal digits each "
                        "(alcove measure --tdx prints them)");
        list_add(&r->tdx_measurements, text.s);
    } else if (strcmp(name, "tdx-qe-signer") == 0) {
        if (!read_hex(value, 2 * QE_SIGNER, 1, &text))
            fail(where, "tdx-qe-signer is 64 hexadecimal digits");
        list_add(&r->tdx_qe_signers, text.s);
    } else {
        if (!read_hex(value, 2 * TDX_TCB, 1, &text))
            fail(where, "tdx-least-tcb is 32 hexadecimal digits");
        for (unsigned i = 0; i < TDX_TCB; i++)
            (void)sscanf(text.s + 2 * i, "%2hhx", &r->tdx_least_tcb[i]);
    }
}

static void set(struct key_rule *r, const char *name, char *value, const char *where)
{
    if (strcmp(name, "key") == 0) {
        r->key = xstrdup(value);
    } else if (strcmp(name, "snp-measurement") == 0) {
        for (char *p = value; *p; p++)
            *p = (char)tolower((unsigned char)*p);
        if (strlen(value) != 2 * SNP_MEASUREMENT ||
            strspn(value, "0123456789abcdef") != strlen(value))
            fail(where,
                 "snp-measurement is 96 hexadecimal digits (alcove measure --snp prints it)");
        list_add(&r->snp_measurements, value);
    } else if (strcmp(name, "snp-least-tcb") == 0) {
        if (!read_tcb(value, r->snp_least_tcb))
            fail(where, "snp-least-tcb is BOOTLOADER.TEE.SNP.MICROCODE, four numbers up to 255");
    } else if (strcmp(name, "tdx-measurement") == 0 || strcmp(name, "tdx-qe-signer") == 0 ||
               strcmp(name, "tdx-least-tcb") == 0) {
        set_tdx(r, name, value, where);
    } else {
        fail(where,
             "\"%s\" is not known here: key, {snp,tdx}-measurement, {snp,tdx}-least-tcb or "
             "tdx-qe-signer",
             name);
    }
}

/* The section [NAME] that begins. */
static struct key_rule *begin(struct key_rule *rules, char *line, const char *where)
{
    size_t n = strlen(line);
    struct key_rule *r;

    line[n - 1] = 0;
    if (!name_ok(trim(line + 1)))
        fail(where, "\"%s\" is no name of a volume: letters, digits, - _ . (at most %d)", line + 1,
             ALCOVE_KEY_NAME_MAX);
    if (policy_find(rules, trim(line + 1)))
        fail(where, "[%s] is there twice", trim(line + 1));
    r = xcalloc(1, sizeof(*r));
    r->name = xstrdup(trim(line + 1));
    r->next = rules;
    return r;
}

struct key_rule *policy_find(struct key_rule *rules, const char *name)
{
    while (rules && strcmp(rules->name, name) != 0)
        rules = rules->next;
    return rules;
}

struct key_rule *policy_read(const char *path)
{
    struct key_rule *rules = NULL;
    struct buf text = { 0 };
    unsigned number = 0;
    int err = file_read(path, POLICY_MAX, &text);

    if (err < 0)
        fail_errno(path, -err, "cannot read the policy");
    for (char *next = text.s, *line; next && (line = strsep(&next, "\n"));) {
        char *where = xprintf("%s:%u", path, ++number), *equals;

        line[strcspn(line, "#")] = 0;
        line = trim(line);
        if (!*line)
            continue;
        if (line[0] == '[' && line[strlen(line) - 1] == ']') {
            rules = begin(rules, line, where);
            continue;
        }
        equals = strchr(line, '=');
        if (!rules || !equals)
            fail(where, "expected [VOLUME], then NAME = VALUE");
        *equals = 0;
        set(rules, trim(line), trim(equals + 1), where);
    }
    for (struct key_rule *r = rules; r; r = r->next)
        if (!r->key || !(r->snp_measurements.n + r->tdx_measurements.n) ||
            (r->tdx_measurements.n && !r->tdx_qe_signers.n))
            fail(
                path,
                "[%s] needs a key, and a snp-measurement, or a tdx-measurement and a tdx-qe-signer",
                r->name);
    return rules;
}
