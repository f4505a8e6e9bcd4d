/* SPDX-License-Identifier: MIT */
/* The payload's command line: tokens separated by spaces, double quotes with C-like escapes around the unusual ones,
 * options before `--`, the program's arguments after it (ARCHITECTURE.md, "The image"). The text is measured but may
 * still come from anyone, so nothing here trusts its length or shape. */
#include <libos/cmdline.h>

#include <libos/heap.h>

#include <abi/errno.h>
#include <base/log.h>
#include <stdlib.h>
#include <string.h>

enum { TOKENS_MAX = 32768 };

static struct config in_force;

const struct config *config(void)
{
    return &in_force;
}

/* Where parsing stands: text is rewritten in place, since a token never grows. */
struct parser {
    const char *in, *end;
    char *out;
};

static int hex_digit(char c)
{
    if (c >= '0' && c <= '9')
        return c - '0';
    c |= 0x20;
    return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

/* One escape after a backslash; the byte, or -1. */
static int unescape(struct parser *p)
{
    char c = p->in < p->end ? *p->in++ : 0;

    switch (c) {
    case '"':
    case '\\':
        return c;
    case 'n':
        return '\n';
    case 't':
        return '\t';
    case 'x':
        if (p->end - p->in >= 2 && hex_digit(p->in[0]) >= 0 && hex_digit(p->in[1]) >= 0) {
            int v = hex_digit(p->in[0]) << 4 | hex_digit(p->in[1]);
            p->in += 2;
            return v ? v : -1;
        }
        return -1;
    default:
        return -1;
    }
}

/* The next token, zero-terminated; 1, 0 at the end, -EINVAL. *quoted: it was in quotes (so "--" is not the divider). */
static int next_token(struct parser *p, char **ret, bool *quoted)
{
    while (p->in < p->end && (*p->in == ' ' || *p->in == '\n'))
        p->in++;
    if (p->in == p->end)
        return 0;
    *ret = p->out;
    *quoted = false;
    bool inside = false;
    for (; p->in < p->end && (inside || (*p->in != ' ' && *p->in != '\n'));) {
        char c = *p->in++;
        if (c == '"') {
            inside = !inside;
            *quoted = true;
        } else if (c == '\\' && inside) {
            int v = unescape(p);
            if (v < 0)
                return -EINVAL;
            *p->out++ = (char)v;
        } else if (c == 0) {
            return -EINVAL;
        } else {
            *p->out++ = c;
        }
    }
    if (inside)
        return -EINVAL;
    *p->out++ = 0;
    return 1;
}

static bool parse_hash(const char *text, uint8_t out[32])
{
    if (strlen(text) != 64)
        return false;
    for (size_t i = 0; i < 32; i++) {
        int hi = hex_digit(text[2 * i]), lo = hex_digit(text[2 * i + 1]);
        if (hi < 0 || lo < 0)
            return false;
        out[i] = (uint8_t)(hi << 4 | lo);
    }
    return true;
}

static bool parse_number(const char *text, uint64_t max, uint64_t *ret)
{
    char *end;

    if (*text < '0' || *text > '9')
        return false;
    *ret = strtoul(text, &end, 10);
    return *end == 0 && *ret <= max;
}

static bool parse_user(char *text, struct config *c)
{
    char *colon = strchr(text, ':');
    uint64_t uid, gid;

    if (colon)
        *colon = 0;
    if (!parse_number(text, UINT32_MAX - 1, &uid))
        return false;
    gid = uid;
    if (colon && !parse_number(colon + 1, UINT32_MAX - 1, &gid))
        return false;
    c->uid = (uint32_t)uid;
    c->gid = (uint32_t)gid;
    return true;
}

/* COLSxROWS */
static bool parse_winsize(char *text, struct config *c)
{
    char *x = strchr(text, 'x');
    uint64_t cols, rows;

    if (!x)
        return false;
    *x = 0;
    if (!parse_number(text, UINT16_MAX, &cols) || !parse_number(x + 1, UINT16_MAX, &rows))
        return false;
    c->cols = (uint16_t)cols;
    c->rows = (uint16_t)rows;
    return true;
}

static bool parse_log(const char *text, struct config *c)
{
    static const char *const names[] = { "error", "warn", "info", "debug" };

    for (size_t i = 0; i < ARRAY_SIZE(names); i++)
        if (!strcmp(text, names[i])) {
            c->log_level = (int)i;
            return true;
        }
    return false;
}

static bool parse_choice(const char *text, const char *yes, const char *no, bool *ret)
{
    *ret = !strcmp(text, yes);
    return *ret || !strcmp(text, no);
}

static bool parse_verity(const char *text, struct config *c)
{
    c->verity_panic = !strcmp(text, "panic");
    c->verity = true;
    return c->verity_panic || parse_choice(text, "on", "off", &c->verity);
}

/* One option token; false: unknown or malformed. */
static bool option(char *token, struct config *c)
{
    char *value = strchr(token, '=');

    if (!value) {
        if (!strcmp(token, "boot-trace"))
            return c->boot_trace = true;
        if (!strcmp(token, "trace"))
            return c->trace = true;
        if (!strcmp(token, "sealed"))
            return c->sealed = true;
        return false;
    }
    *value++ = 0;
    if (!strcmp(token, "roothash"))
        return c->has_root_hash = parse_hash(value, c->root_hash);
    if (!strcmp(token, "verity"))
        return parse_verity(value, c);
    if (!strcmp(token, "rootdisk"))
        return parse_number(value, 1ull << 44, &c->root_disk) && c->root_disk &&
               c->root_disk % 4096 == 0;
    if (!strcmp(token, "aslr")) {
        bool on, known = parse_choice(value, "on", "off", &on);
        c->fixed_addresses = !on;
        return known;
    }
    if (!strcmp(token, "console"))
        return parse_choice(value, "raw", "tty", &c->raw_console);
    if (!strcmp(token, "ports")) {
        bool two, known = parse_choice(value, "2", "1", &two);
        c->ports = !known ? 0 : two ? 2 : 1;
        return known;
    }
    if (!strcmp(token, "uart"))
        return parse_choice(value, "off", "on", &c->silent);
    if (!strcmp(token, "policy"))
        return parse_choice(value, "hostile-vmm", "standard", &c->hostile_vmm);
    if (!strcmp(token, "env")) {
        c->envp[c->envc++] = value;
        return strchr(value, '=') != NULL;
    }
    if (!strcmp(token, "mount")) {
        if (c->mountc == CONFIG_MOUNTS_MAX)
            return false;
        c->mounts[c->mountc++] = value;
        return *value != 0;
    }
    if (!strcmp(token, "cwd"))
        return *(c->cwd = value) == '/';
    if (!strcmp(token, "exe"))
        return *(c->exe = value) == '/';
    if (!strcmp(token, "hostname")) {
        c->hostname = value;
        return *value && strlen(value) <= 64;
    }
    if (!strcmp(token, "ip"))
        return *value && (c->net.ip = heap_strdup(value)); /* the text may not stay */
    if (!strcmp(token, "gateway"))
        return *value && (c->net.gateway = heap_strdup(value));
    if (!strcmp(token, "dns"))
        return *value && (c->net.dns = heap_strdup(value));
    if (!strcmp(token, "notify"))
        return *value && (c->notify = heap_strdup(value));
    if (!strcmp(token, "metrics"))
        return parse_number(value, UINT32_MAX - 1, &c->metrics);
    if (!strcmp(token, "user"))
        return parse_user(value, c);
    if (!strcmp(token, "winsize"))
        return parse_winsize(value, c);
    if (!strcmp(token, "log"))
        return parse_log(value, c);
    if (!strcmp(token, "clock"))
        return parse_number(value, UINT64_MAX, &c->clock_hz);
    return false;
}

static int parse(struct parser *p, struct config *c)
{
    bool arguments = false, quoted;
    char *token;
    int err;

    while ((err = next_token(p, &token, &quoted)) > 0) {
        if (c->argc + c->envc >= TOKENS_MAX)
            return -EINVAL;
        if (arguments) {
            c->argv[c->argc++] = token;
        } else if (!quoted && !strcmp(token, "--")) {
            arguments = true;
        } else if (!option(token, c)) {
            log_error("image: command line: unknown or malformed option '%s'", token);
            return -EINVAL;
        }
    }
    if (err) {
        log_error("image: command line: bad quoting, %zu bytes before its end",
                  (size_t)(p->end - p->in));
        return err;
    }
    if (!c->argc || !c->exe) {
        log_error("image: command line: no program (exe= and arguments after --)");
        return -EINVAL;
    }
    return 0;
}

int config_parse(const char *text, size_t len, struct config *ret)
{
    struct config c = { .verity = true, .cwd = "/", .hostname = "alcove", .log_level = LOG_WARN };
    size_t words = 2;

    for (size_t i = 0; i < len; i++)
        words += text[i] == ' ' || text[i] == '\n';
    if (words > TOKENS_MAX + 2)
        return -EINVAL;
    char *copy = heap_alloc(len + 1);
    char **vectors = heap_calloc(2 * words, sizeof *vectors);
    if (!copy || !vectors) {
        heap_free(copy);
        heap_free(vectors);
        return -ENOMEM;
    }
    c.argv = vectors;
    c.envp = vectors + words;
    struct parser p = { .in = text, .end = text + len, .out = copy };
    int err = parse(&p, &c);
    if (err) {
        heap_free(copy);
        heap_free(vectors);
        return err;
    }
    *ret = c;
    return 0;
}

/* Is it an option that the loader may give, since it does not change what runs? */
static bool of_loader(const char *token)
{
    static const char *const names[] = {
        "console=", "ports=",   "winsize=", "log=",    "boot-trace", "trace",
        "ip=",      "gateway=", "dns=",     "notify=", "metrics="
    };

    for (size_t i = 0; i < ARRAY_SIZE(names); i++) {
        size_t n = strlen(names[i]);
        if (names[i][n - 1] == '=' ? !strncmp(token, names[i], n) : !strcmp(token, names[i]))
            return true;
    }
    return false;
}

void config_override(const char *text, struct config *c)
{
    char token[96];

    while (*text) {
        size_t n = strcspn(text, " ");
        if (n && n < sizeof token) {
            memcpy(token, text, n);
            token[n] = 0;
            if (of_loader(token) && !option(token, c))
                log_warn("loader's command line: malformed option '%s' ignored", token);
        }
        text += n + (text[n] == ' ');
    }
}

void config_set(const struct config *c)
{
    in_force = *c;
}
