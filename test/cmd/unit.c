/* SPDX-License-Identifier: MIT */
/* The parsers of the alcove command with hostile input, under sanitizers: whole, truncated at every offset, with every
 * byte changed. What they read right is compared with the standard tools in build.sh. */
#include "cmdline.h"
#include "elfread.h"
#include "image.h"
#include "ldso.h"
#include "lint.h"
#include "pe.h"
#include "scan.h"
#include "sha256.h"
#include "verity.h"

#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

static const char *program, *mini, *scratch;

/* A copy of exactly n bytes, so that a read past its end is seen. */
static uint8_t *exact(const void *p, size_t n)
{
    uint8_t *copy = malloc(n ? n : 1);
    assert_non_null(copy);
    memcpy(copy, p, n);
    return copy;
}

static void test_sha256(void **state)
{
    /* FIPS 180-4 examples, and lengths around the padding's borders against one-byte updates. */
    static const struct {
        const char *text, *sum;
    } known[] = {
        { "", "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855" },
        { "abc", "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad" },
        { "abcdbcdecdefdefgefghfghighijhijkijkljklmklmnlmnomnopnopq",
          "248d6a61d20638b8e5c026930c3e6039a33ce45964ff2167f6ecedd419db06c1" },
    };
    struct sha256 s;
    uint8_t sum[32], one[32], data[200];
    char hex[65];
    for (size_t i = 0; i < 3; i++) {
        sha256_init(&s);
        sha256_add(&s, known[i].text, strlen(known[i].text));
        sha256_done(&s, sum);
        sha256_hex(sum, hex);
        assert_string_equal(hex, known[i].sum);
    }
    for (size_t n = 0; n <= sizeof(data); n++) {
        memset(data, (int)n, sizeof(data));
        sha256_init(&s);
        sha256_add(&s, data, n);
        sha256_done(&s, sum);
        sha256_init(&s);
        for (size_t i = 0; i < n; i++)
            sha256_add(&s, data + i, 1);
        sha256_done(&s, one);
        assert_memory_equal(sum, one, 32);
    }
}

static void test_cmdline_round_trip(void **state)
{
    static const char *const tokens[] = { "plain",       "",          "two words", "\"quoted\"",
                                          "back\\slash", "tab\there", "new\nline", "\x01\x7f\x1f",
                                          "--",          "a=b c",     "\xc3\xa9",  "\\x41" };
    struct buf b = { 0 };
    struct list l = { 0 };
    size_t n = sizeof(tokens) / sizeof(*tokens);
    for (size_t i = 0; i < n; i++)
        cmdline_add(&b, tokens[i]);
    for (size_t i = 0; i < b.len; i++)
        assert_true((unsigned char)b.s[i] >= ' ' && b.s[i] != 0x7f);
    assert_true(cmdline_split(b.s, b.len, &l));
    assert_int_equal(l.n, n);
    for (size_t i = 0; i < n; i++)
        assert_string_equal(l.v[i], tokens[i]);
    assert_int_equal(cmdline_args(&l), 9);
    for (size_t cut = 0; cut < b.len; cut++) {
        struct list part = { 0 };
        uint8_t *copy = exact(b.s, cut);
        (void)cmdline_split((char *)copy, cut, &part);
        free(copy);
    }
}

static void test_cmdline_bad(void **state)
{
    static const char *const bad[] = { "\"open",    "\"bad\\q\"", "\"\\x4\"", "\"\\xg0\"",
                                       "\"\\x00\"", "\"a\"b",     "\"\\" };
    for (size_t i = 0; i < sizeof(bad) / sizeof(*bad); i++) {
        struct list l = { 0 };
        assert_false(cmdline_split(bad[i], strlen(bad[i]), &l));
    }
    struct list l = { 0 };
    assert_false(cmdline_split("a\0b", 3, &l));
    assert_true(cmdline_split("x=1 flag -- x=2", 15, &l));
    assert_string_equal(cmdline_option(&l, "x"), "1");
    assert_string_equal(cmdline_option(&l, "flag"), "");
    assert_null(cmdline_option(&l, "y"));
}

static void read_file(const char *path, struct buf *b)
{
    assert_int_equal(file_read(path, 64 << 20, b), 0);
}

static void test_elf_hostile(void **state)
{
    struct buf b = { 0 };
    struct elf_file e;
    read_file(program, &b);
    assert_null(elf_read((uint8_t *)b.s, b.len, &e));
    assert_non_null(e.interp);
    assert_true(list_has(&e.needed, "libc.so.6"));
    for (size_t n = 0; n < b.len; n += n < 4096 ? 1 : 37) {
        uint8_t *copy = exact(b.s, n);
        assert_non_null(elf_read(copy, n, &e));
        free(copy);
    }
    /* The headers, the interpreter and the dynamic section, each byte in three ways. */
    for (size_t i = 0; i < b.len; i += i < 1200 ? 1 : 11)
        for (int how = 0; how < 3; how++) {
            uint8_t *copy = exact(b.s, b.len);
            copy[i] = how == 0 ? 0xff : how == 1 ? copy[i] ^ 0x80 : copy[i] + 1;
            struct elf_file changed;
            if (elf_read(copy, b.len, &changed) == NULL) {
                struct scan found = { 0 };
                struct list names = { 0 };
                scan_imports(&changed, &names);
                list_sort(&names);
                if (i % 16 == 0)
                    scan_file(&changed, &names, &found);
            }
            free(copy);
        }
}

static void test_lint(void **state)
{
    struct buf b = { 0 };
    read_file(mini, &b);
    assert_null(lint_elf((uint8_t *)b.s, b.len));
    for (size_t n = 0; n < b.len; n++) {
        uint8_t *copy = exact(b.s, n);
        (void)lint_elf(copy, n);
        if (n < 0x1000)
            assert_non_null(lint_elf(copy, n));
        free(copy);
    }
    for (size_t i = 0; i < b.len; i++) {
        uint8_t *copy = exact(b.s, b.len);
        copy[i] ^= 0xff;
        (void)lint_elf(copy, b.len);
        free(copy);
    }
}

/* Each rule has a file that breaks it. */
static void test_lint_rules(void **state)
{
    struct buf b = { 0 };
    read_file(mini, &b);
    for (int rule = 1; rule <= 8; rule++) {
        uint8_t *d = exact(b.s, b.len);
        Elf64_Ehdr *h = (void *)d;
        Elf64_Phdr *p = (void *)(d + h->e_phoff), *note = p;
        while (note->p_type != PT_NOTE)
            note++;
        uint32_t word = 0x1badb002;
        switch (rule) {
        case 1:
            h->e_phentsize = 64;
            break;
        case 2:
            d[note->p_offset + 8] = 17;
            break;
        case 3:
            h->e_entry = 0xfffff;
            break;
        case 4:
            p[0].p_flags = PF_R;
            break;
        case 5:
            p[1].p_paddr = 0xbffff000;
            break;
        case 6:
            p[1].p_paddr = p[0].p_paddr;
            break;
        case 7:
            memcpy(d + 0x800, &word, 4);
            break;
        case 8:
            p[1].p_flags |= PF_X;
            break;
        }
        const char *wrong = lint_elf(d, b.len);
        assert_non_null(wrong);
        char want[16];
        snprintf(want, sizeof(want), "rule %d:", rule);
        assert_memory_equal(wrong, want, strlen(want));
        free(d);
    }
}

/* A small app.efi: one section of a stub, libOS, an empty payload. */
static size_t make_efi(uint8_t **ret)
{
    struct buf elf = { 0 };
    read_file(mini, &elf);
    static const char *const names[] = { ".text",   ".osrel",   ".uname",  ".sbat",   ".linux",
                                         ".alcove", ".cmdline", ".initrd", ".alcinfo" };
    enum { N = sizeof(names) / sizeof(*names) };
    size_t linux_size = (elf.len + 4095) / 4096 * 4096, size = 1024 + 4096 * (N - 1) + linux_size;
    uint8_t *d = calloc(1, size);
    uint32_t pe = 0x40, file = 1024, memory = 4096;
    memcpy(d, "MZ", 2);
    memcpy(d + 0x3c, &pe, 4);
    struct pe_header h = { .signature = "PE",
                           .machine = PE_MACHINE_X64,
                           .sections = N,
                           .optional_size = sizeof(h) - 24,
                           .magic = PE_MAGIC_PLUS,
                           .entry = 4096,
                           .section_align = 4096,
                           .file_align = 512,
                           .headers_size = 1024,
                           .subsystem = PE_SUBSYSTEM_EFI_APPLICATION,
                           .dll_characteristics = PE_NX_COMPAT,
                           .directories = PE_DIRECTORIES };
    for (size_t i = 0; i < N; i++) {
        struct pe_section s = {
            .size = 4096, .address = memory, .file_size = 4096, .file_at = file
        };
        s.flags = PE_SCN_READ | (i ? PE_SCN_DATA : PE_SCN_EXEC);
        memcpy(s.name, names[i], strlen(names[i]));
        if (i == 4) {
            s.size = (uint32_t)elf.len;
            s.file_size = (uint32_t)linux_size;
            memcpy(d + file, elf.s, elf.len);
        }
        memcpy(d + 0x40 + sizeof(h) + i * sizeof(s), &s, sizeof(s));
        file += s.file_size;
        memory += s.file_size;
    }
    h.image_size = memory;
    memcpy(d + 0x40, &h, sizeof(h));
    *ret = d;
    return size;
}

static const char *lint_bytes(const uint8_t *d, size_t size)
{
    struct pe pe;
    const char *wrong = pe_read(d, size, &pe);
    return wrong ? wrong : lint_pe(&pe);
}

static void break_efi(int kind, struct pe_header *h, struct pe_section *s)
{
    switch (kind) {
    case 0:
        h->subsystem = 3;
        break;
    case 1:
        h->section_align = 512;
        break;
    case 2:
        h->dll_characteristics = 0;
        break;
    case 3:
        h->characteristics |= PE_RELOCS_STRIPPED;
        break;
    case 4:
        s[0].flags |= PE_SCN_WRITE;
        break;
    case 5:
        s[2].address = s[1].address;
        break;
    case 6:
        s[8].size = 8192;
        break;
    case 7:
        s[3].file_at += 512;
        break;
    case 8:
        h->sections--;
        break;
    case 9:
        h->entry = s[1].address;
        break;
    case 10:
        h->entry = 0x100;
        break;
    case 11:
        s[3].name[1] = 'x';
        break;
    case 12:
        s[6].name[1] = 'x';
        break;
    case 13:
        s[4].size -= 4096;
        break;
    }
}

/* Each rule has a file that breaks it. */
static void test_lint_efi(void **state)
{
    static const char *const want[] = { "rule 9:",  "rule 9:",
                                        "rule 9:",  "rule 9:",
                                        "rule 10:", "rule 11:",
                                        "rule 11:", "rule 12:",
                                        "rule 12:", "rule 13:",
                                        "rule 13:", "rule 14:",
                                        "rule 14:", "the libOS in .linux:" };
    uint8_t *good;
    size_t size = make_efi(&good);
    assert_null(lint_bytes(good, size));
    for (size_t i = 0; i < sizeof(want) / sizeof(*want); i++) {
        uint8_t *d = exact((char *)good, size);
        break_efi((int)i, (void *)(d + 0x40), (void *)(d + 0x40 + sizeof(struct pe_header)));
        const char *wrong = lint_bytes(d, size);
        assert_non_null(wrong);
        assert_memory_equal(wrong, want[i], strlen(want[i]));
        free(d);
    }
    for (size_t n = 0; n < size; n += n < 2048 ? 1 : 509) {
        uint8_t *d = exact((char *)good, n);
        assert_non_null(lint_bytes(d, n));
        free(d);
    }
    for (size_t i = 0; i < 1024 * 8; i++) {
        uint8_t *d = exact((char *)good, size);
        struct image image;
        bool is;
        d[i / 8] ^= (uint8_t)(1 << i % 8);
        (void)lint_bytes(d, size);
        (void)image_read(d, size, &image, &is);
        free(d);
    }
    free(good);
}

static void write_file(const char *path, const void *p, size_t n)
{
    FILE *f = fopen(path, "wb");
    assert_non_null(f);
    assert_int_equal(fwrite(p, 1, n, f), n);
    assert_int_equal(fclose(f), 0);
}

static void test_ldcache(void **state)
{
    static const char *const names[] = { "libz.so.1",     "/lib/libz.so.1", "liba-10.so",
                                         "/x/liba-10.so", "liba-9.so",      "/x/liba-9.so",
                                         "lib.so",        "/y/lib.so" };
    struct list in = { 0 }, out = { 0 };
    struct buf b = { 0 };
    char *path = xprintf("%s/cache", scratch);
    for (size_t i = 0; i < 8; i++)
        list_add(&in, names[i]);
    ldcache_make(&in, &b);
    write_file(path, b.s, b.len);
    assert_true(ldcache_read(path, &out));
    assert_int_equal(out.n, 4);
    for (size_t i = 0; i < 8; i += 2)
        assert_true(list_has(&out, xprintf("%s\n%s", names[i], names[i + 1])));
    /* The system's own reader agrees, so the order and the flags are right. */
    assert_int_equal(
        system(xprintf(
            "/sbin/ldconfig -p -C %s | grep -q 'liba-9.so (libc6,x86-64) => /x/liba-9.so' && "
            "test $(/sbin/ldconfig -p -C %s | grep -c '=>') = 4",
            path, path)),
        0);
    for (size_t n = 0; n < b.len; n++) {
        struct list cut = { 0 };
        write_file(path, b.s, n);
        assert_false(ldcache_read(path, &cut));
    }
    for (size_t i = 0; i < b.len; i++) {
        struct list changed = { 0 };
        b.s[i] ^= 0xff;
        write_file(path, b.s, b.len);
        (void)ldcache_read(path, &changed);
        b.s[i] ^= 0xff;
    }
}

/* More data blocks than one hash block has digests: two levels. */
static void test_verity(void **state)
{
    size_t blocks = 300;
    struct buf data = { 0 }, hash = { 0 }, said = { 0 };
    uint8_t root[32];
    char *root_path = xprintf("%s/data", scratch), *hash_path = xprintf("%s/hash", scratch);
    for (size_t i = 0; i < blocks * 4096; i++)
        buf_add(&data, &(char){ (char)(i * 7 >> 5) }, 1);
    write_file(root_path, data.s, data.len);
    char *command = xprintf("PATH=$PATH:/usr/sbin veritysetup format --salt=00ff17 %s %s | sed -n "
                            "'s/^Root hash:[ \t]*//p' >%s/said",
                            root_path, hash_path, scratch);
    assert_int_equal(system(command), 0);
    read_file(xprintf("%s/said", scratch), &said);
    read_file(hash_path, &hash);
    assert_int_equal(said.len, 65);
    for (int i = 0; i < 32; i++)
        root[i] = (uint8_t)strtoul(xstrndup(said.s + 2 * i, 2), NULL, 16);
    assert_null(verity_check((uint8_t *)data.s, data.len, (uint8_t *)hash.s, hash.len, root));
    static const size_t places[] = { 0, 4095, 128 * 4096, 299 * 4096 + 4000 };
    for (size_t i = 0; i < 4; i++) {
        data.s[places[i]] ^= 1;
        assert_non_null(
            verity_check((uint8_t *)data.s, data.len, (uint8_t *)hash.s, hash.len, root));
        data.s[places[i]] ^= 1;
    }
    static const size_t tree[] = { 0, 8, 64, 72, 80, 4096, 4097, 8192, 8192 + 4096 };
    for (size_t i = 0; i < 9; i++) {
        hash.s[tree[i]] ^= 1;
        assert_non_null(
            verity_check((uint8_t *)data.s, data.len, (uint8_t *)hash.s, hash.len, root));
        hash.s[tree[i]] ^= 1;
    }
    for (size_t n = 0; n < hash.len; n += 512) {
        uint8_t *copy = exact(hash.s, n);
        assert_non_null(verity_check((uint8_t *)data.s, data.len, copy, n, root));
        free(copy);
    }
}

static void test_image(void **state)
{
    struct buf b = { 0 };
    struct image image;
    bool is;
    char *root = xprintf("%s/data", scratch), *hash = xprintf("%s/hash", scratch),
         *path = xprintf("%s/app.elf", scratch);
    struct image_parts parts = { .kernel = mini, .root = root, .hash = hash };
    buf_str(&parts.cmdline, "roothash=00 -- x");
    buf_str(&parts.info, "alcove=1\n");
    image_write(&parts, path);
    read_file(path, &b);
    assert_null(image_read((uint8_t *)b.s, b.len, &image, &is));
    assert_true(is);
    assert_int_equal(image.head.cmdline.size, 16);
    assert_memory_equal(image_part(&image, &image.head.cmdline), "roothash=00 -- x", 16);
    assert_memory_equal(image_part(&image, &image.head.info), "alcove=1\n", 9);
    assert_int_equal(image.end_paddr % 4096, 0);
    size_t head = (size_t)(image.payload - image.data);
    for (size_t i = 0; i < sizeof(struct alcove_image) + head; i++) {
        if (i == 64 * 8 && head > 4096)
            i = head; /* the libOS itself is lint's subject */
        uint8_t *copy = exact(b.s, b.len);
        copy[i] ^= 0xff;
        const char *wrong = image_read(copy, b.len, &image, &is);
        for (int p = 0; !wrong && p < 4; p++) {
            const struct alcove_image_part *part = &image.head.cmdline + p;
            assert_true(part->offset + part->size <= b.len - head);
        }
        free(copy);
    }
    for (size_t n = 0; n < b.len; n += n < head + 512 ? 13 : 4096) {
        uint8_t *copy = exact(b.s, n);
        assert_non_null(image_read(copy, n, &image, &is));
        free(copy);
    }
}

int main(int argc, char **argv)
{
    static const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_sha256),      cmocka_unit_test(test_cmdline_round_trip),
        cmocka_unit_test(test_cmdline_bad), cmocka_unit_test(test_elf_hostile),
        cmocka_unit_test(test_lint),        cmocka_unit_test(test_lint_rules),
        cmocka_unit_test(test_lint_efi),    cmocka_unit_test(test_ldcache),
        cmocka_unit_test(test_verity),      cmocka_unit_test(test_image),
    };
    if (argc != 3)
        return 2;
    program = argv[1];
    mini = argv[2];
    scratch = temp_dir();
    int failed = cmocka_run_group_tests(tests, NULL, NULL);
    remove_finish();
    return failed;
}
