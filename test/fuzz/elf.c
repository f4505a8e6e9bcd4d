/* SPDX-License-Identifier: MIT */
/* libOS's own loader on damaged programs. libOS boots in this process; each input is a list of changes to a program or to its
 * interpreter: how many, then three bytes each, two of them the place, where the upper half of it is the headers once more, and one to xor. What is loaded
 * is gone afterwards to the last page, whatever the loader said. Begun with '#', the input is a script's first line. */
#include "../unit/boot.h"
#include "../../libos/load/load.h"

#include <abi/elf.h>
#include <abi/errno.h>
#include <abi/fcntl.h>
#include <abi/stat.h>
#include <base/log.h>
#include <libos/file.h>
#include <libos/mm.h>
#include <libos/page.h>
#include <libos/process.h>
#include <libos/random.h>
#include <libos/sched.h>
#include <libos/time.h>
#include <libos/vfs.h>
#include <plat/host.h>
#include <plat/upcall.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#undef main

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t size);
int fuzz_main(int argc, char **argv);
void machine_exit(int wait_status);

enum { FILE_SIZE = 3 * PAGE_SIZE, HEADERS = 64 + 6 * 56, FILES = 2 };

static const char interp_name[] = "/ld.so";
static uint8_t good[FILES][FILE_SIZE];
static const char *const names[FILES] = { "/program", interp_name };
static unsigned long long loaded;
static int arg_count;
static char **arg_values;

static struct abi_elf64_phdr *segment(uint8_t *file, uint32_t type, uint32_t flags, uint64_t addr,
                                      uint64_t filesz, uint64_t memsz)
{
    struct abi_elf64_ehdr *eh = (struct abi_elf64_ehdr *)file;
    struct abi_elf64_phdr *p = (struct abi_elf64_phdr *)(file + sizeof(*eh)) + eh->e_phnum++;
    *p = (struct abi_elf64_phdr){ .p_type = type,
                                  .p_flags = flags,
                                  .p_offset = addr % FILE_SIZE,
                                  .p_vaddr = addr,
                                  .p_filesz = filesz,
                                  .p_memsz = memsz,
                                  .p_align = PAGE_SIZE };
    return p;
}

/* A position-independent program with code, data and zeros; its interpreter has no interpreter. */
static void program_make(uint8_t *file, bool with_interp)
{
    struct abi_elf64_ehdr *eh = (struct abi_elf64_ehdr *)file;
    memcpy(eh->e_ident, ELFMAG, SELFMAG);
    eh->e_ident[EI_CLASS] = ELFCLASS64;
    eh->e_ident[5] = eh->e_ident[6] = 1; /* little-endian, version 1 */
    eh->e_type = ET_DYN;
    eh->e_machine = EM_X86_64;
    eh->e_version = 1;
    eh->e_entry = PAGE_SIZE;
    eh->e_phoff = sizeof(*eh);
    eh->e_ehsize = sizeof(*eh);
    eh->e_phentsize = sizeof(struct abi_elf64_phdr);
    if (with_interp) {
        segment(file, PT_INTERP, PF_R, 1024, sizeof(interp_name), sizeof(interp_name));
        memcpy(file + 1024, interp_name, sizeof(interp_name));
    }
    segment(file, PT_LOAD, PF_R | PF_X, 0, PAGE_SIZE + 100, PAGE_SIZE + 100);
    segment(file, PT_LOAD, PF_R | PF_W, 2 * PAGE_SIZE + 16, 500, 3 * PAGE_SIZE);
    segment(file, PT_GNU_STACK, PF_R | PF_W, 0, 0, 0);
}

/* The file name becomes bytes; nobody has it open for writing afterwards. */
static void file_store(const char *name, void *bytes)
{
    struct file *f;
    struct iter it;
    uint64_t pos = 0;
    must(path_open(AT_FDCWD, name, O_WRONLY | O_CREAT, 0755, 0, &f) == 0);
    iter_kernel(&it, bytes, FILE_SIZE);
    must(file_write(f, &it, &pos) == FILE_SIZE);
    file_put(f);
}

/* Store both files with the changes of the input. */
static void change(const uint8_t *bytes, size_t size)
{
    static uint8_t now[FILES][FILE_SIZE];
    memcpy(now, good, sizeof(now));
    /* Few of them, most of the time, so that many programs can be loaded. */
    size_t few = size ? 1 + 3 * (size_t)(bytes[0] < 250 ? bytes[0] % 8 : bytes[0]) : 0;
    for (size_t i = 1; i + 3 <= size && i < few; i += 3) {
        size_t at = bytes[i] | (size_t)(bytes[i + 1] & 127) << 8;
        uint8_t *file = now[at & 1];
        at >>= 1;
        file[bytes[i + 1] & 128 ? at % HEADERS : at % FILE_SIZE] ^= bytes[i + 2];
    }
    for (unsigned i = 0; i < FILES; i++)
        file_store(names[i], now[i]);
}

static uint64_t in_use(void)
{
    struct page_stats st;
    page_stats(&st);
    return st.anon;
}

/* As execve does up to the point of no return. */
static void load(void)
{
    char *const words[] = { "program", "an argument", NULL };
    struct strings argv = { .kernel = words };
    struct exec e = { .fixed = true };
    uint64_t before = in_use();
    uintptr_t sp = 0;
    must((e.mm = mm_create()));
    e.mm->mmap_base = PLAT_MMAP_TOP - (1ull << 30);
    int err = stack_begin(&e);
    e.arg_end = e.env_start = e.env_end = e.execfn = e.stack.p;
    if (!err)
        err = stack_push_strings(&e.stack, &argv, e.argc = stack_count(&argv));
    e.arg_start = e.stack.p;
    must(err == 0);
    err = load_open(AT_FDCWD, names[0], 0, &e.file);
    must(err == 0);
    err = elf_load(&e);
    if (!err)
        err = stack_finish(&e, &sp);
    if (!err && (e.entry >= PLAT_USER_MAX || sp % 16 || sp >= e.stack.top))
        abort();
    if (err > 0)
        abort();
    loaded += !err;
    mm_put(e.mm);
    file_put(e.file);
    if (in_use() != before)
        abort();
}

static void script(const uint8_t *bytes, size_t size)
{
    char head[HEAD_SIZE] = { 0 }, name[HEAD_SIZE], arg[HEAD_SIZE];
    memcpy(head, bytes, size < HEAD_SIZE ? size : HEAD_SIZE);
    if (script_parse(head, name, arg) == 0 && (!*name || strlen(name) + strlen(arg) >= HEAD_SIZE))
        abort();
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t size)
{
    if (size && *bytes == '#') {
        script(bytes, size);
        return 0;
    }
    change(bytes, size);
    load();
    return 0;
}

static void first(void *arg)
{
    (void)arg;
    for (unsigned i = 0; i < FILES; i++)
        program_make(good[i], i == 0);
    (void)LLVMFuzzerTestOneInput((const uint8_t *)"", 0);
    must(loaded == 1); /* undamaged, it can be loaded */
    int status = fuzz_main(arg_count, arg_values);
    printf("%llu programs loaded\n", loaded);
    fflush(NULL);
    _exit(status);
}

int main(int argc, char **argv)
{
    arg_count = argc;
    arg_values = argv;
    boot();
    boot_enter(first);
}
