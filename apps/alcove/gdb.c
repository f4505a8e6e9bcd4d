/* SPDX-License-Identifier: MIT */
/* `run --gdb`: the VM starts stopped, and one line says how gdb attaches with the symbols of libOS and of the program.
 * QEMU listens on a socket in a private directory: no port is open. */
#include "elfread.h"
#include "kernels.h"
#include "tools.h"
#include "vm.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

/* What libOS is linked at, plus its physical address (platform/boot/boot.h); and where it puts programs when addresses are not random (aslr=off), as Linux does: libos/load. */
#define USER_MAX  0x7ffffffff000ull
#define LINK_BASE 0xffffffff80000000ull
#define PIE_BASE  (USER_MAX / 3 * 2 & ~0xfffull)
/* Below the stack: its limit of 8 MiB, the gap kept below it, the room for its random shift. */
#define MMAP_BASE (USER_MAX - (8ull << 20) - (1ull << 20) - (1ull << 34))

/* The distance from the addresses in the file to those in memory. */
static uint64_t bias(const struct elf_file *e)
{
    uint64_t low = UINT64_MAX, high = 0, align = 4096;

    if (e->ehdr->e_type == ET_EXEC)
        return 0;
    for (size_t i = 0; i < e->ehdr->e_phnum; i++) {
        const Elf64_Phdr *p = &e->phdrs[i];
        if (p->p_type != PT_LOAD)
            continue;
        low = p->p_vaddr < low ? p->p_vaddr : low;
        high = p->p_vaddr + p->p_memsz > high ? p->p_vaddr + p->p_memsz : high;
        align = p->p_align > align ? p->p_align : align;
    }
    low &= ~0xfffull;
    uint64_t size = (high - low + 0xfff) & ~0xfffull;
    uint64_t at = e->interp ? PIE_BASE & ~(align - 1)
                            : (MMAP_BASE - size - (align - 4096) + align - 1) & ~(align - 1);
    return at - low;
}

/* The command that loads the program's symbols; none when it cannot be read. */
static void program_symbols(struct buf *b, const char *path)
{
    struct elf_file e;
    struct stat st;
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    if (fd < 0 || fstat(fd, &st) < 0 || st.st_size == 0)
        return;
    const uint8_t *data = mmap(NULL, (size_t)st.st_size, PROT_READ, MAP_PRIVATE, fd, 0);
    close(fd);
    if (data != MAP_FAILED && !elf_read(data, (size_t)st.st_size, &e))
        buf_printf(b, "add-symbol-file %s -o %#llx\n", path, (unsigned long long)bias(&e));
}

/* libOS chooses its address while it boots: run until it has, then load its symbols there. */
static void kernel_symbols(struct buf *b, const char *kernel)
{
    buf_printf(b,
               "hbreak *(long)&boot_placed - %#llx\ncontinue\ndelete\n"
               "eval \"symbol-file -o %%#lx %s\", $rax - %#llx\n",
               LINK_BASE, kernel, LINK_BASE);
}

const char *gdb_start(const struct kernel *k, const char *program)
{
    struct buf commands = { 0 };
    char *dir = temp_dir(), *socket = path_join(dir, "gdb"), *script = path_join(dir, "attach");
    const char *kernel = kernel_debug_path(k);
    if (strlen(socket) > 100) /* sun_path */
        fail("--gdb", "%s: this path is too long for a socket; set TMPDIR to a shorter one",
             socket);
    buf_printf(&commands, "set confirm off\n");
    if (kernel)
        buf_printf(&commands, "file %s\n", kernel);
    else
        say("%s.debug is not installed; there will be no symbols of libOS", k->file);
    buf_printf(&commands, "target remote %s\n", socket);
    if (kernel)
        kernel_symbols(&commands, kernel);
    if (program)
        program_symbols(&commands, program);
    buf_printf(&commands, "set confirm on\n");
    int fd = open(script, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
    if (fd < 0)
        fail_errno(script, errno, "cannot be created");
    write_all(fd, commands.s, commands.len, script);
    close(fd);
    say("stopped; attach with: gdb -x %s", script);
    return socket;
}
