/* SPDX-License-Identifier: MIT */
/* ELF64 for x86-64 (ELF specification, linux/elf.h) and the auxiliary vector (linux/auxvec.h). */
#ifndef ABI_ELF_H
#define ABI_ELF_H

#include <stdint.h>

#define ELFMAG  "\177ELF"
#define SELFMAG 4

#define EI_CLASS          4
#define EI_DATA           5
#define EI_VERSION        6
#define EI_OSABI          7
#define EI_NIDENT         16
#define ELFCLASS64        2
#define ELFDATA2LSB       1
#define EV_CURRENT        1
#define ELFOSABI_NONE     0
#define ELFOSABI_GNU      3
#define ET_NONE           0
#define ET_REL            1
#define ET_EXEC           2
#define ET_DYN            3
#define ET_CORE           4
#define EM_X86_64         62
#define PT_NULL           0
#define PT_LOAD           1
#define PT_DYNAMIC        2
#define PT_INTERP         3
#define PT_NOTE           4
#define PT_PHDR           6
#define PT_TLS            7
#define PT_GNU_EH_FRAME   0x6474e550
#define PT_GNU_STACK      0x6474e551
#define PT_GNU_RELRO      0x6474e552
#define PT_GNU_PROPERTY   0x6474e553
#define PF_X              0x1
#define PF_W              0x2
#define PF_R              0x4
#define DT_NULL           0
#define DT_NEEDED         1
#define DT_STRTAB         5
#define DT_SYMTAB         6
#define DT_RELA           7
#define DT_RELASZ         8
#define DT_RELAENT        9
#define DT_STRSZ          10
#define DT_SYMENT         11
#define DT_SONAME         14
#define DT_RPATH          15
#define DT_REL            17
#define DT_RELSZ          18
#define DT_RELENT         19
#define DT_JMPREL         23
#define DT_RUNPATH        29
#define DT_HASH           4
#define DT_RELACOUNT      0x6ffffff9
#define DT_GNU_HASH       0x6ffffef5
#define DT_FLAGS_1        0x6ffffffb
#define DT_VERSYM         0x6ffffff0
#define DT_VERDEF         0x6ffffffc
#define DT_VERDEFNUM      0x6ffffffd
#define SHT_PROGBITS      1
#define SHT_SYMTAB        2
#define SHT_STRTAB        3
#define SHT_DYNSYM        11
#define SHT_NOBITS        8
#define SHN_UNDEF         0
#define SHN_ABS           65521
#define R_X86_64_RELATIVE 8
#define STB_LOCAL         0
#define STB_GLOBAL        1
#define STB_WEAK          2
#define STT_NOTYPE        0
#define STT_OBJECT        1
#define STT_FUNC          2

#define AT_NULL              0
#define AT_IGNORE            1
#define AT_EXECFD            2
#define AT_PHDR              3
#define AT_PHENT             4
#define AT_PHNUM             5
#define AT_PAGESZ            6
#define AT_BASE              7
#define AT_FLAGS             8
#define AT_ENTRY             9
#define AT_NOTELF            10
#define AT_UID               11
#define AT_EUID              12
#define AT_GID               13
#define AT_EGID              14
#define AT_PLATFORM          15
#define AT_HWCAP             16
#define AT_CLKTCK            17
#define AT_SECURE            23
#define AT_BASE_PLATFORM     24
#define AT_RANDOM            25
#define AT_HWCAP2            26
#define AT_RSEQ_FEATURE_SIZE 27
#define AT_RSEQ_ALIGN        28
#define AT_EXECFN            31
#define AT_SYSINFO_EHDR      33
#define AT_MINSIGSTKSZ       51

struct abi_elf64_ehdr {
    uint8_t e_ident[EI_NIDENT];
    uint16_t e_type;
    uint16_t e_machine;
    uint32_t e_version;
    uint64_t e_entry;
    uint64_t e_phoff;
    uint64_t e_shoff;
    uint32_t e_flags;
    uint16_t e_ehsize;
    uint16_t e_phentsize;
    uint16_t e_phnum;
    uint16_t e_shentsize;
    uint16_t e_shnum;
    uint16_t e_shstrndx;
};

struct abi_elf64_phdr {
    uint32_t p_type;
    uint32_t p_flags;
    uint64_t p_offset;
    uint64_t p_vaddr;
    uint64_t p_paddr;
    uint64_t p_filesz;
    uint64_t p_memsz;
    uint64_t p_align;
};

struct abi_elf64_shdr {
    uint32_t sh_name;
    uint32_t sh_type;
    uint64_t sh_flags;
    uint64_t sh_addr;
    uint64_t sh_offset;
    uint64_t sh_size;
    uint32_t sh_link;
    uint32_t sh_info;
    uint64_t sh_addralign;
    uint64_t sh_entsize;
};

struct abi_elf64_sym {
    uint32_t st_name;
    uint8_t st_info;
    uint8_t st_other;
    uint16_t st_shndx;
    uint64_t st_value;
    uint64_t st_size;
};

struct abi_elf64_dyn {
    int64_t d_tag;
    uint64_t d_val;
};

struct abi_elf64_rela {
    uint64_t r_offset;
    uint64_t r_info;
    int64_t r_addend;
};

struct abi_elf64_nhdr {
    uint32_t n_namesz;
    uint32_t n_descsz;
    uint32_t n_type;
};

struct abi_auxv {
    uint64_t a_type;
    uint64_t a_val;
};

#endif
