/* SPDX-License-Identifier: MIT */
/* Every privileged instruction raises SIGSEGV (or SIGILL where the CPU does not know it) and does nothing. */
#include "attack.h"

#include <stddef.h>

#define CODE(name, bytes)                                                                          \
    {                                                                                              \
        name, bytes, sizeof bytes - 1                                                              \
    }

static const struct {
    const char *name, *bytes;
    size_t n;
} codes[] = {
    CODE("cli", "\xfa"),
    CODE("sti", "\xfb"),
    CODE("hlt", "\xf4"),
    CODE("in al,dx", "\xec"),
    CODE("out dx,al", "\xee"),
    CODE("in al,imm", "\xe4\x60"),
    CODE("out imm,al", "\xe6\x80"),
    CODE("insb", "\x6c"),
    CODE("outsb", "\x6e"),
    CODE("mov rax,cr0", "\x0f\x20\xc0"),
    CODE("mov cr0,rax", "\x0f\x22\xc0"),
    CODE("mov rax,cr2", "\x0f\x20\xd0"),
    CODE("mov rax,cr3", "\x0f\x20\xd8"),
    CODE("mov cr3,rax", "\x0f\x22\xd8"),
    CODE("mov cr4,rax", "\x0f\x22\xe0"),
    CODE("mov rax,cr8", "\x44\x0f\x20\xc0"),
    CODE("mov rax,dr7", "\x0f\x21\xf8"),
    CODE("mov dr7,rax", "\x0f\x23\xf8"),
    CODE("lgdt", "\x0f\x01\x10"),
    CODE("lidt", "\x0f\x01\x18"),
    CODE("lldt", "\x0f\x00\xd0"),
    CODE("ltr", "\x0f\x00\xd8"),
    CODE("lmsw", "\x0f\x01\xf0"),
    CODE("clts", "\x0f\x06"),
    CODE("invd", "\x0f\x08"),
    CODE("wbinvd", "\x0f\x09"),
    CODE("invlpg", "\x0f\x01\x38"),
    CODE("rdmsr", "\x0f\x32"),
    CODE("wrmsr", "\x0f\x30"),
    CODE("swapgs", "\x0f\x01\xf8"),
    CODE("sysret", "\x48\x0f\x07"),
    CODE("sysexit", "\x0f\x35"),
    CODE("xsetbv", "\x0f\x01\xd1"),
    CODE("stac", "\x0f\x01\xcb"),
    CODE("clac", "\x0f\x01\xca"),
    CODE("monitor", "\x0f\x01\xc8"),
    CODE("mwait", "\x0f\x01\xc9"),
    CODE("ud2", "\x0f\x0b"),
    CODE("invpcid", "\x66\x0f\x38\x82\x00"),
    CODE("far ret", "\x6a\x00\x6a\x00\x48\xcb"),
};

int main(void)
{
    attack_init();
    for (size_t i = 0; i < sizeof codes / sizeof *codes; i++) {
        void (*fn)(void) = attack_code(codes[i].bytes, codes[i].n);
        int sig = attack_try(fn());
        attack_check(sig == SIGSEGV || sig == SIGILL || sig == SIGBUS, "%s: signal %d",
                     codes[i].name, sig);
    }
    puts("pass");
    return 0;
}
