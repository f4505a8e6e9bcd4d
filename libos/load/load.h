/* SPDX-License-Identifier: MIT */
/* Private to libos/load: what its files share about one execve. */
#ifndef LOAD_LOAD_H
#define LOAD_LOAD_H

#include <libos/load.h>

struct file;
struct mm;

enum {
    HEAD_SIZE = 256,         /* bytes of a file that decide its kind (BINPRM_BUF_SIZE) */
    ARG_STRLEN_MAX = 131072, /* bytes of one string with its zero (MAX_ARG_STRLEN) */
    ARG_TOTAL_MAX = 6 << 20, /* bytes of all, at most (3/4 of _STK_LIM) */
    ARG_TOTAL_MIN = 131072,
    INTERP_DEPTH = 5,
};

/* Where argument strings come from: libOS memory or the program's. */
struct strings {
    char *const *kernel; /* NULL-terminated; or NULL and */
    uintptr_t user;      /* the array's address; 0: none */
};

/* The new program's stack, written downwards. */
struct stack {
    struct mm *mm;
    uintptr_t top, p; /* p: lowest byte written so far */
    uintptr_t limit;  /* p may not go below */
};

/* What an execve knows so far. */
struct exec {
    struct mm *mm; /* the new one */
    struct stack stack;
    struct file *file;    /* the program or script being looked at */
    char head[HEAD_SIZE]; /* its first bytes, zeros after its end */
    char *name;           /* as the caller gave it (AT_EXECFN); owned */
    char *interp;         /* of the script in hand, or name; owned when different */
    int argc, envc;
    uintptr_t arg_start, arg_end, env_start, env_end, execfn;
    bool secure; /* AT_SECURE */
    bool fixed;  /* addresses are not random: ADDR_NO_RANDOMIZE, personality(2) */
    bool hidden; /* not dumpable */
    unsigned drop_personality;
    uint32_t uid, euid, gid, egid;

    /* filled by the ELF loader */
    uintptr_t entry, phdr, base, program_entry;
    uint16_t phnum;
    bool stack_exec;
};

/* Read exactly n bytes of f at off. -EIO when there are fewer. */
NODISCARD int load_read(struct file *f, void *buf, size_t n, uint64_t off);
/* Open name for execution from dirfd. All checks. */
NODISCARD int load_open(int dirfd, const char *name, unsigned flags, struct file **ret_file);

/* The credentials that the program will have, for cred_install; sets e->secure and what belongs to it. -ENOMEM; -EPERM,
 * -EINVAL: the file's capabilities. */
struct cred;
NODISCARD int privilege_after(struct exec *e, struct cred **ret);

/* Map e->file, an ELF program, and its interpreter into e->mm. -ENOEXEC: it is none. */
NODISCARD int elf_load(struct exec *e);
/* Is this the start of an ELF file? */
bool elf_is(const char head[HEAD_SIZE]);
/* A '#!' script: name of the interpreter and its one argument ("" none), in out, sizes HEAD_SIZE. -ENOEXEC. */
NODISCARD int script_parse(const char head[HEAD_SIZE], char *ret_name, char *ret_arg);

/* Reserve the stack of e->mm and begin writing. -ENOMEM. */
NODISCARD int stack_begin(struct exec *e);
/* Push n bytes; -E2BIG at the limit, -EFAULT, -ENOMEM. */
NODISCARD int stack_push(struct stack *s, const void *data, size_t n);
/* Push the strings of src from last to first; their count in *ret_count. -E2BIG, -EFAULT, -ENOMEM. */
NODISCARD int stack_push_strings(struct stack *s, const struct strings *src, int count);
/* How many strings there are. -E2BIG, -EFAULT. */
NODISCARD int stack_count(const struct strings *src);
/* Remove the lowest string of *s. */
NODISCARD int stack_drop_string(struct stack *s);
/* Write argc, argv, envp and auxv below the strings (psABI 3.4.1). *ret_sp: the initial stack pointer. */
NODISCARD int stack_finish(struct exec *e, uintptr_t *ret_sp);

/* A random number of pages below 1 << bits, as a distance in bytes: what address space randomisation adds to a base. 0 if
 * e->fixed. */
uintptr_t aslr_shift(const struct exec *e, unsigned bits);

/* Map the vDSO into mm. -ENOMEM. */
NODISCARD int vdso_map(struct mm *mm);

#endif
