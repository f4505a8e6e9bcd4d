/* SPDX-License-Identifier: MIT */
/* Scheduling policies, clone flags, wait and pidfd flags (linux/sched.h, linux/wait.h). */
#ifndef ABI_SCHED_H
#define ABI_SCHED_H

#include <base/user_ptr.h>
#include <stdint.h>

#define SCHED_OTHER               0
#define SCHED_FIFO                1
#define SCHED_RR                  2
#define SCHED_BATCH               3
#define SCHED_IDLE                5
#define SCHED_DEADLINE            6
#define SCHED_RESET_ON_FORK       0x40000000
#define SCHED_FLAG_RESET_ON_FORK  0x1
#define SCHED_FLAG_RECLAIM        0x2
#define SCHED_FLAG_DL_OVERRUN     0x4
#define SCHED_FLAG_KEEP_POLICY    0x8
#define SCHED_FLAG_KEEP_PARAMS    0x10
#define SCHED_FLAG_UTIL_CLAMP_MIN 0x20
#define SCHED_FLAG_UTIL_CLAMP_MAX 0x40

#define CSIGNAL              0xff
#define CLONE_VM             0x100
#define CLONE_FS             0x200
#define CLONE_FILES          0x400
#define CLONE_SIGHAND        0x800
#define CLONE_PIDFD          0x1000
#define CLONE_PTRACE         0x2000
#define CLONE_VFORK          0x4000
#define CLONE_PARENT         0x8000
#define CLONE_THREAD         0x10000
#define CLONE_NEWNS          0x20000
#define CLONE_SYSVSEM        0x40000
#define CLONE_SETTLS         0x80000
#define CLONE_PARENT_SETTID  0x100000
#define CLONE_CHILD_CLEARTID 0x200000
#define CLONE_DETACHED       0x400000
#define CLONE_UNTRACED       0x800000
#define CLONE_CHILD_SETTID   0x1000000
#define CLONE_NEWCGROUP      0x2000000
#define CLONE_NEWUTS         0x4000000
#define CLONE_NEWIPC         0x8000000
#define CLONE_NEWUSER        0x10000000
#define CLONE_NEWPID         0x20000000
#define CLONE_NEWNET         0x40000000
#define CLONE_IO             0x80000000u
#define CLONE_NEWTIME        0x80
#define CLONE_CLEAR_SIGHAND  0x100000000ull /* clone3 only */
#define CLONE_INTO_CGROUP    0x200000000ull /* clone3 only */

#define WNOHANG        1
#define WCOREFLAG      0x80 /* in a wait status */
#define WUNTRACED      2
#define WSTOPPED       2
#define WEXITED        4
#define WCONTINUED     8
#define WNOWAIT        0x01000000
#define __WNOTHREAD    0x20000000
#define __WALL         0x40000000
#define __WCLONE       0x80000000
#define P_ALL          0
#define P_PID          1
#define P_PGID         2
#define P_PIDFD        3
#define PIDFD_NONBLOCK 04000
#define PIDFD_THREAD   0200

#define PIDFD_SELF_THREAD          (-10000)
#define PIDFD_SELF_THREAD_GROUP    (-10001)
#define PIDFD_SIGNAL_THREAD        1u
#define PIDFD_SIGNAL_THREAD_GROUP  2u
#define PIDFD_SIGNAL_PROCESS_GROUP 4u
#define PIDFD_INFO_PID             1u
#define PIDFD_INFO_CREDS           2u
#define PIDFD_INFO_EXIT            8u
#define PIDFD_INFO_SIZE_VER0       64

/* What PIDFD_GET_INFO tells (linux/pidfd.h). */
struct abi_pidfd_info {
    uint64_t mask, cgroupid;
    uint32_t pid, tgid, ppid;
    uint32_t ruid, rgid, euid, egid, suid, sgid, fsuid, fsgid;
    int32_t exit_code;
};

struct abi_sched_param {
    int32_t sched_priority;
};

struct abi_sched_attr {
    uint32_t size;
    uint32_t sched_policy;
    uint64_t sched_flags;
    int32_t sched_nice;
    uint32_t sched_priority;
    uint64_t sched_runtime, sched_deadline, sched_period;
    uint32_t sched_util_min, sched_util_max;
};

/* clone3. The first version ends after tls (64 bytes). */
struct abi_clone_args {
    uint64_t flags;
    uint64_t pidfd;
    uint64_t child_tid;
    uint64_t parent_tid;
    uint64_t exit_signal;
    uint64_t stack;
    uint64_t stack_size;
    uint64_t tls;
    uint64_t set_tid;
    uint64_t set_tid_size;
    uint64_t cgroup;
};
USER_TYPES(sched_param, struct abi_sched_param);
USER_TYPES(sched_attr, struct abi_sched_attr);
USER_TYPES(clone_args, struct abi_clone_args);

#endif
