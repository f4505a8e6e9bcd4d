/* SPDX-License-Identifier: MIT */
/* libos/proc/cmdline.c: what it accepts, what it refuses, and every prefix of a good line. */
#include <libos/cmdline.h>
#include <libos/page.h>

#include <abi/errno.h>
#include <plat/host.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

/* apps/kernel/main.c has it; nothing here ends the machine. */
_Noreturn void machine_exit(int wait_status);
_Noreturn void machine_exit(int wait_status)
{
    exit(wait_status);
}

static const char good[] =
    "roothash=00112233445566778899aabbccddeeff00112233445566778899AABBCCDDEEFF env=A=1 \"env=B=x "
    "y\" cwd=/tmp "
    "user=1000:100 exe=/bin/ls hostname=box policy=hostile-vmm log=debug console=raw verity=off "
    "clock=1000000000 -- "
    "ls -la "
    "\"\" \"a b\\\"\\\\\\n\\x41\" -- \"--\"";

static int parse(const char *text, struct config *c)
{
    return config_parse(text, strlen(text), c);
}

/* What a sealed image asks for; and neither word is the loader's to say. */
static void seals(void **state)
{
    struct config c;

    (void)state;
    assert_int_equal(parse("sealed uart=off exe=/a -- a", &c), 0);
    assert_true(c.sealed && c.silent);
    assert_int_equal(parse("exe=/a -- a", &c), 0);
    config_override("sealed uart=off", &c);
    assert_true(!c.sealed && !c.silent);
    assert_int_equal(parse("sealed=yes exe=/a -- a", &c), -EINVAL);
    assert_int_equal(parse("uart=maybe exe=/a -- a", &c), -EINVAL);
}

static void takes_all_options(void **state)
{
    struct config c;

    (void)state;
    assert_int_equal(parse(good, &c), 0);
    assert_true(c.has_root_hash && !c.verity && c.raw_console && c.hostile_vmm);
    assert_int_equal(c.root_hash[31], 0xff);
    assert_int_equal(c.envc, 2);
    assert_string_equal(c.envp[1], "B=x y");
    assert_null(c.envp[2]);
    assert_string_equal(c.cwd, "/tmp");
    assert_string_equal(c.exe, "/bin/ls");
    assert_int_equal(c.uid, 1000);
    assert_int_equal(c.gid, 100);
    assert_int_equal(c.clock_hz, 1000000000);
    assert_int_equal(c.argc, 6);
    assert_string_equal(c.argv[2], "");
    assert_string_equal(c.argv[3], "a b\"\\\nA");
    assert_string_equal(c.argv[4], "--");
    assert_string_equal(c.argv[5], "--");
    assert_null(c.argv[6]);
}

static void takes_a_root_disk(void **state)
{
    struct config c;
    (void)state;
    assert_int_equal(parse("exe=/a -- a", &c), 0);
    assert_true(c.verity && !c.verity_panic && !c.root_disk);
    assert_int_equal(parse("verity=panic rootdisk=8192 exe=/a -- a", &c), 0);
    assert_true(c.verity && c.verity_panic && c.root_disk == 8192);
}

static void refuses_what_is_malformed(void **state)
{
    static const char *const bad[] = {
        "",
        "exe=/bin/ls",
        "-- ls",
        "nonsense=1 exe=/a -- a",
        "nonsense exe=/a -- a",
        "roothash=00 exe=/a -- a",
        "roothash=zz112233445566778899aabbccddeeff00112233445566778899aabbccddeeff exe=/a -- a",
        "exe=relative -- a",
        "cwd=relative exe=/a -- a",
        "env=NOEQUALS exe=/a -- a",
        "user=x exe=/a -- a",
        "user=1:x exe=/a -- a",
        "user=4294967295 exe=/a -- a",
        "log=loud exe=/a -- a",
        "verity=maybe exe=/a -- a",
        "rootdisk=0 exe=/a -- a",
        "rootdisk=5000 exe=/a -- a",
        "rootdisk=99999999999999999 exe=/a -- a",
        "rootdisk=4096k exe=/a -- a",
        "exe=/a -- \"open",
        "exe=/a -- \"bad\\q\"",
        "exe=/a -- \"\\x0\"",
        "exe=/a -- \"\\x00\"",
    };
    struct config c;

    (void)state;
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++)
        assert_int_equal(parse(bad[i], &c), -EINVAL);
    assert_int_equal(config_parse("exe=/a -- a\0b", 13, &c), -EINVAL);
}

/* Under the address sanitizer: no prefix makes the parser read past its end. */
static void survives_every_prefix(void **state)
{
    (void)state;
    for (size_t n = 0; n < sizeof good; n++) {
        struct config c;
        char *exact = malloc(n + !n);

        memcpy(exact, good, n);
        int err = config_parse(exact, n, &c);
        assert_true(err == 0 || err == -EINVAL);
        free(exact);
    }
}

static void takes_little_from_the_loader(void **state)
{
    struct config c;

    (void)state;
    assert_int_equal(parse("exe=/a cwd=/b log=error console=tty -- a", &c), 0);
    config_override("policy=standard exe=/evil  cwd=/evil env=A=1 user=5 verity=off roothash=0 "
                    "virtio_mmio.device=512@0xfeb00e00:12 -- sh",
                    &c);
    assert_string_equal(c.exe, "/a");
    assert_string_equal(c.cwd, "/b");
    assert_true(c.verity && !c.raw_console && !c.trace && c.envc == 0 && c.argc == 1 && c.uid == 0);
    config_override("log=loud console= tracetrace consoles=raw ", &c);
    assert_true(!c.raw_console && !c.trace && c.log_level == 0);
    config_override("winsize=80 winsize=80x winsize=65536x1 winsize=x24", &c);
    assert_true(c.cols == 0 && c.rows == 0);
    config_override("console=raw trace log=debug boot-trace winsize=132x43", &c);
    assert_true(c.cols == 132 && c.rows == 43);
    assert_true(c.raw_console && c.trace && c.boot_trace && c.log_level == 3);
}

static int setup(void **state)
{
    (void)state;
    plat_host_init();
    page_init();
    return 0;
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(takes_all_options),     cmocka_unit_test(seals),
        cmocka_unit_test(takes_a_root_disk),     cmocka_unit_test(refuses_what_is_malformed),
        cmocka_unit_test(survives_every_prefix), cmocka_unit_test(takes_little_from_the_loader),
    };

    return cmocka_run_group_tests(tests, setup, NULL);
}
