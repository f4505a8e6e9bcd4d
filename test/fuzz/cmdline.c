/* SPDX-License-Identifier: MIT */
/* libOS's command lines, the measured and the loader's. The input is a list of pieces to make a line of, by number, or text. */
#include <libos/cmdline.h>

#include <base/log.h>
#include <libos/heap.h>
#include <libos/page.h>
#include <plat/host.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t size);

/* apps/kernel/main.c has it; nothing here ends the machine. */
_Noreturn void machine_exit(int wait_status);
_Noreturn void machine_exit(int wait_status)
{
    exit(wait_status);
}

void log_line(enum log_level level, const char *format, ...)
{
    (void)level, (void)format; /* each line says what is wrong with it */
}

static const char *const pieces[] = {
    " ",
    " ",
    " ",
    "\"",
    "\\",
    "\\x4",
    "\\n",
    "=",
    ":",
    ",",
    ".",
    "/",
    "--",
    " -- ",
    "0",
    "1",
    "255",
    "4294967296",
    "99999999999999999999",
    "-1",
    "roothash=",
    "roothash=00112233445566778899aabbccddeeff00112233445566778899aabbccddeeff",
    "verity=off",
    "aslr=",
    "env=",
    "env=A=b",
    "cwd=",
    "/tmp",
    "user=",
    "user=0:0",
    "exe=/bin/ls",
    "hostname=",
    "policy=hostile-vmm",
    "log=debug",
    "boot-trace",
    "trace",
    "clock=",
    "mount=",
    "mount=vda:ext4:/data:ro",
    "console=tty",
    "winsize=",
    "80x24",
    "ip=",
    "ip=10.0.0.1/8",
    "ip=dhcp",
    "gateway=",
    "10.0.0.1",
    "dns=",
    "1.1.1.1,2.2.2.2",
};

static void use(const struct config *c)
{
    volatile size_t sum = 0;
    for (int i = 0; i < c->argc; i++)
        sum += strlen(c->argv[i]);
    for (int i = 0; i < c->envc; i++)
        sum += strlen(c->envp[i]);
    for (int i = 0; i < c->mountc; i++)
        sum += strlen(c->mounts[i]);
    sum += c->exe ? strlen(c->exe) : 0;
    sum += c->cwd ? strlen(c->cwd) : 0;
    if (c->argv && c->argv[c->argc])
        abort();
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t size)
{
    static char line[65536];
    static unsigned inputs;
    struct config c;
    size_t n = 0;
    if (!inputs++) {
        plat_host_init();
        page_init();
    }
    if (inputs > 15000) /* what a command line says is kept for good */
        return 0;
    for (size_t i = 0; i < size && i < 400; i++) {
        const char *p = pieces[bytes[i] % (sizeof(pieces) / sizeof(pieces[0]))];
        if (bytes[i] >= 240) {
            line[n++] = (char)bytes[i + 1 < size ? i + 1 : 0];
            continue;
        }
        memcpy(line + n, p, strlen(p));
        n += strlen(p);
    }
    char *text = malloc(n + 1);
    memcpy(text, line, n);
    text[n] = '\0';
    memset(&c, 0, sizeof(c));
    if (config_parse(text, n, &c) == 0)
        use(&c);
    memset(&c, 0, sizeof(c));
    config_override(text, &c);
    free(text);
    return 0;
}
