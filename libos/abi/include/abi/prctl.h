/* SPDX-License-Identifier: MIT */
/* prctl and arch_prctl options (linux/prctl.h, asm/prctl.h), capabilities (linux/capability.h). */
#ifndef ABI_PRCTL_H
#define ABI_PRCTL_H

#include <base/user_ptr.h>
#include <stdint.h>

#define PR_SET_PDEATHSIG             1
#define PR_GET_PDEATHSIG             2
#define PR_GET_DUMPABLE              3
#define PR_SET_DUMPABLE              4
#define PR_GET_KEEPCAPS              7
#define PR_SET_KEEPCAPS              8
#define PR_GET_TIMING                13
#define PR_SET_TIMING                14
#define PR_SET_NAME                  15
#define PR_GET_NAME                  16
#define PR_GET_SECCOMP               21
#define PR_SET_SECCOMP               22
#define PR_CAPBSET_READ              23
#define PR_CAPBSET_DROP              24
#define PR_GET_TSC                   25
#define PR_SET_TSC                   26
#define PR_GET_SECUREBITS            27
#define PR_SET_SECUREBITS            28
#define PR_SET_TIMERSLACK            29
#define PR_GET_TIMERSLACK            30
#define PR_SET_MM                    35
#define PR_SET_CHILD_SUBREAPER       36
#define PR_GET_CHILD_SUBREAPER       37
#define PR_SET_NO_NEW_PRIVS          38
#define PR_GET_NO_NEW_PRIVS          39
#define PR_GET_TID_ADDRESS           40
#define PR_SET_THP_DISABLE           41
#define PR_GET_THP_DISABLE           42
#define PR_CAP_AMBIENT               47
#define PR_GET_SPECULATION_CTRL      52
#define PR_SET_SPECULATION_CTRL      53
#define PR_TASK_PERF_EVENTS_DISABLE  31
#define PR_TASK_PERF_EVENTS_ENABLE   32
#define PR_MCE_KILL                  33
#define PR_MCE_KILL_GET              34
#define PR_MCE_KILL_CLEAR            0
#define PR_MCE_KILL_SET              1
#define PR_MCE_KILL_LATE             0
#define PR_MCE_KILL_EARLY            1
#define PR_MCE_KILL_DEFAULT          2
#define PR_SET_IO_FLUSHER            57
#define PR_GET_IO_FLUSHER            58
#define PR_SET_SYSCALL_USER_DISPATCH 59
#define PR_SYS_DISPATCH_OFF          0
#define PR_SYS_DISPATCH_ON           1
#define PR_SET_MDWE                  65
#define PR_GET_MDWE                  66
#define PR_MDWE_REFUSE_EXEC_GAIN     1u
#define PR_MDWE_NO_INHERIT           2u
#define PR_GET_AUXV                  0x41555856
#define PR_SET_PTRACER               0x59616d61
#define PR_SET_VMA                   0x53564d41
#define PR_SET_VMA_ANON_NAME         0
#define PR_TSC_ENABLE                1
#define PR_TSC_SIGSEGV               2
#define PR_TIMING_STATISTICAL        0
#define PR_CAP_AMBIENT_IS_SET        1
#define PR_CAP_AMBIENT_RAISE         2
#define PR_CAP_AMBIENT_LOWER         3
#define PR_CAP_AMBIENT_CLEAR_ALL     4
#define ARCH_SET_GS                  0x1001
#define ARCH_SET_FS                  0x1002
#define ARCH_GET_FS                  0x1003
#define ARCH_GET_GS                  0x1004
#define ARCH_GET_CPUID               0x1011
#define ARCH_SET_CPUID               0x1012
#define ARCH_GET_XCOMP_SUPP          0x1021
#define ARCH_GET_XCOMP_PERM          0x1022
#define ARCH_REQ_XCOMP_PERM          0x1023
#define ARCH_GET_XCOMP_GUEST_PERM    0x1024
#define ARCH_REQ_XCOMP_GUEST_PERM    0x1025
#define ARCH_CET_STATUS              0x3001

#define CAP_CHOWN                   0
#define CAP_DAC_OVERRIDE            1
#define CAP_DAC_READ_SEARCH         2
#define CAP_FOWNER                  3
#define CAP_FSETID                  4
#define CAP_KILL                    5
#define CAP_SETGID                  6
#define CAP_SETUID                  7
#define CAP_SETPCAP                 8
#define CAP_LINUX_IMMUTABLE         9
#define CAP_NET_BIND_SERVICE        10
#define CAP_NET_ADMIN               12
#define CAP_NET_RAW                 13
#define CAP_IPC_LOCK                14
#define CAP_IPC_OWNER               15
#define CAP_SYS_CHROOT              18
#define CAP_SYS_PTRACE              19
#define CAP_SYS_PACCT               20
#define CAP_SYS_ADMIN               21
#define CAP_SYS_BOOT                22
#define CAP_SYS_NICE                23
#define CAP_SYS_RESOURCE            24
#define CAP_SYS_TIME                25
#define CAP_SYS_TTY_CONFIG          26
#define CAP_MKNOD                   27
#define CAP_LEASE                   28
#define CAP_SETFCAP                 31
#define CAP_MAC_OVERRIDE            32
#define CAP_CHECKPOINT_RESTORE      40
#define CAP_LAST_CAP                40
#define _LINUX_CAPABILITY_VERSION_1 0x19980330
#define _LINUX_CAPABILITY_VERSION_2 0x20071026
#define _LINUX_CAPABILITY_VERSION_3 0x20080522

struct abi_cap_header {
    uint32_t version; /* _LINUX_CAPABILITY_VERSION_* */
    int32_t pid;
};

/* Version 1 has one of these, versions 2 and 3 have two (low bits, high bits). */
struct abi_cap_data {
    uint32_t effective;
    uint32_t permitted;
    uint32_t inheritable;
};
USER_TYPES(cap_header, struct abi_cap_header);
USER_TYPES(cap_data, struct abi_cap_data);

#endif
