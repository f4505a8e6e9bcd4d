#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Compare libos/abi with the host's own headers: every constant, every struct's size, every member's offset and size.

usage: compare.py CC REPOSITORY
A constant that the host's headers do not have yet stands in NEWER; one of our own starts with ABI_.
"""
import glob
import os
import re
import subprocess
import sys
import tempfile

# Never seen by a program, so in no header of the host's.
INTERNAL = {'ERESTARTSYS', 'ERESTARTNOINTR', 'ERESTARTNOHAND', 'ERESTART_RESTARTBLOCK'}

# Each row: headers of the host, constants of these headers of ours, structs (ours: theirs), members (ours: theirs).
# Several rows, because the host's headers cannot all be included together.
ROWS = [
    ('errno.h', 'errno', {}, {}),
    ('fcntl.h linux/falloc.h linux/fs.h sys/file.h linux/openat2.h unistd.h linux/memfd.h', 'fcntl',
     {'flock': 'struct flock', 'f_owner_ex': 'struct f_owner_ex', 'open_how': 'struct open_how'}, {}),
    ('sys/stat.h linux/stat.h', 'stat', {'stat': 'struct stat', 'statx': 'struct statx',
                                         'statx_timestamp': 'struct statx_timestamp'}, {}),
    ('sys/mman.h linux/mman.h linux/memfd.h linux/membarrier.h', 'mman', {}, {}),
    ('linux/mempolicy.h', 'mempolicy', {}, {}),
    ('sys/ioctl.h linux/userfaultfd.h', 'userfaultfd',
     {'uffdio_api': 'struct uffdio_api', 'uffdio_range': 'struct uffdio_range', 'uffdio_copy': 'struct uffdio_copy'}, {}),
    ('fcntl.h linux/mount.h', 'mount', {'mount_attr': 'struct mount_attr'}, {}),
    ('time.h sys/time.h sys/timerfd.h sys/timex.h utime.h sys/times.h', 'time',
     {'timespec': 'struct timespec', 'timeval': 'struct timeval', 'timezone': 'struct timezone',
      'itimerspec': 'struct itimerspec', 'itimerval': 'struct itimerval', 'utimbuf': 'struct utimbuf',
      'tms': 'struct tms', 'timex': 'struct timex'}, {}),
    ('signal.h sys/signalfd.h', 'signal',
     {'siginfo': 'siginfo_t', 'sigevent': 'struct sigevent', 'signalfd_siginfo': 'struct signalfd_siginfo',
      'stack': 'stack_t'},
     {'sigev_tid': '_sigev_un._tid', 'rt.si_pid': 'si_pid', 'rt.si_uid': 'si_uid', 'rt.si_value': 'si_value',
      'timer.si_tid': '_sifields._timer.si_tid', 'timer.si_overrun': 'si_overrun', 'timer.si_value': 'si_value',
      'chld.si_pid': 'si_pid', 'chld.si_uid': 'si_uid', 'chld.si_status': 'si_status', 'chld.si_utime': 'si_utime',
      'chld.si_stime': 'si_stime', 'fault.si_addr': 'si_addr', 'fault.si_addr_lsb': 'si_addr_lsb',
      'fault.si_lower': 'si_lower', 'fault.si_upper': 'si_upper', 'poll.si_band': 'si_band', 'poll.si_fd': 'si_fd',
      'sys.si_call_addr': 'si_call_addr', 'sys.si_syscall': 'si_syscall', 'sys.si_arch': 'si_arch'}),
    ('asm/signal.h linux/types.h asm/sigcontext.h asm/ucontext.h', '',
     {'sigaction': 'struct sigaction', 'sigcontext': 'struct sigcontext', 'ucontext': 'struct ucontext'},
     {'handler': 'sa_handler', 'restorer': 'sa_restorer', 'mask': 'sa_mask', 'sigaction.flags': 'sa_flags',
      'sigcontext.flags': 'eflags', 'reserved': 'reserved1',
      **{r: 'r' + r for r in 'di si bp bx dx ax cx sp ip'.split()}}),
    ('sched.h linux/sched.h sys/wait.h', 'sched', {'sched_param': 'struct sched_param', 'clone_args': 'struct clone_args'}, {}),
    ('linux/types.h linux/sched/types.h', '', {'sched_attr': 'struct sched_attr'}, {}),
    ('linux/futex.h', 'futex', {'robust_list_head': 'struct robust_list_head', 'futex_waitv': 'struct futex_waitv'},
     {'next': 'list.next', 'reserved': '__reserved'}),
    ('poll.h sys/epoll.h sys/eventfd.h', 'poll', {'pollfd': 'struct pollfd', 'epoll_event': 'struct epoll_event'}, {}),
    ('linux/aio_abi.h', 'aio', {'io_event': 'struct io_event', 'iocb': 'struct iocb'}, {}),
    ('linux/io_uring.h', 'io_uring',
     {'io_uring_sqe': 'struct io_uring_sqe', 'io_uring_cqe': 'struct io_uring_cqe', 'io_sqring_offsets': 'struct io_sqring_offsets',
      'io_cqring_offsets': 'struct io_cqring_offsets', 'io_uring_params': 'struct io_uring_params',
      'io_uring_files_update': 'struct io_uring_files_update', 'io_uring_rsrc_register': 'struct io_uring_rsrc_register',
      'io_uring_rsrc_update2': 'struct io_uring_rsrc_update2', 'io_uring_probe_op': 'struct io_uring_probe_op',
      'io_uring_probe': 'struct io_uring_probe', 'io_uring_restriction': 'struct io_uring_restriction',
      'io_uring_buf': 'struct io_uring_buf', 'io_uring_buf_reg': 'struct io_uring_buf_reg',
      'io_uring_getevents_arg': 'struct io_uring_getevents_arg', 'io_uring_sync_cancel_reg': 'struct io_uring_sync_cancel_reg',
      'io_uring_file_index_range': 'struct io_uring_file_index_range', 'io_uring_recvmsg_out': 'struct io_uring_recvmsg_out'},
     {'io_sqring_offsets.user_addr': 'resv2', 'io_cqring_offsets.user_addr': 'resv2', 'io_uring_buf_reg.flags': 'pad',
      'io_uring_files_update.data': 'fds'}),
    ('sys/uio.h', 'uio', {'iovec': 'struct iovec'}, {}),
    ('sys/resource.h', 'resource', {'rlimit': 'struct rlimit', 'rusage': 'struct rusage'}, {}),
    ('sys/prctl.h linux/prctl.h asm/prctl.h linux/capability.h', 'prctl',
     {'cap_header': 'struct __user_cap_header_struct', 'cap_data': 'struct __user_cap_data_struct'}, {}),
    ('linux/prctl.h', 'prctl_mm', {'prctl_mm_map': 'struct prctl_mm_map'}, {}),
    ('termios.h sys/ioctl.h asm/ioctls.h', 'termios', {'winsize': 'struct winsize'}, {}),
    ('asm/termios.h', '', {'termio': 'struct termio'}, {}),
    ('asm/termbits.h', '', {'termios': 'struct termios', 'termios2': 'struct termios2'}, {}),
    ('dirent.h', 'dirent', {}, {}),
    ('sys/vfs.h linux/magic.h sys/statvfs.h', 'statfs', {}, {}),
    ('asm/statfs.h', '', {'statfs': 'struct statfs'}, {'f_fsid': 'f_fsid.val'}),
    ('sys/socket.h sys/un.h linux/sockios.h sys/ioctl.h', 'socket',
     {'msghdr': 'struct msghdr', 'mmsghdr': 'struct mmsghdr', 'cmsghdr': 'struct cmsghdr', 'ucred': 'struct ucred',
      'linger': 'struct linger', 'sockaddr_un': 'struct sockaddr_un'}, {}),
    ('sys/ipc.h sys/msg.h sys/sem.h sys/shm.h mqueue.h', 'ipc',
     {'ipc_perm': 'struct ipc_perm', 'msqid': 'struct msqid_ds', 'msginfo': 'struct msginfo', 'semid': 'struct semid_ds',
      'seminfo': 'struct seminfo', 'sembuf': 'struct sembuf', 'shmid': 'struct shmid_ds', 'shminfo': 'struct shminfo',
      'shm_info': 'struct shm_info', 'mq_attr': 'struct mq_attr'},
     {'ipc_perm.key': '__key', 'ipc_perm.seq': '__seq', 'msqid.perm': 'msg_perm', 'semid.perm': 'sem_perm',
      'shmid.perm': 'shm_perm', 'segsz': 'shm_segsz', 'msqid.cbytes': '__msg_cbytes',
      **{f'msqid.{m}': 'msg_' + m for m in 'stime rtime ctime qnum qbytes lspid lrpid'.split()},
      **{f'semid.{m}': 'sem_' + m for m in 'otime ctime nsems'.split()},
      **{f'sembuf.{m}': 'sem_' + m for m in 'num op flg'.split()},
      **{f'shmid.{m}': 'shm_' + m for m in 'atime dtime ctime cpid lpid nattch'.split()},
      **{f'shm_info.{m}': 'shm_' + m for m in 'tot rss swp'.split()},
      **{f'mq_attr.{m}': 'mq_' + m for m in 'flags maxmsg msgsize curmsgs'.split()}}),
    ('netinet/in.h linux/tcp.h netinet/udp.h linux/errqueue.h', 'in',
     {'sockaddr_in': 'struct sockaddr_in', 'sockaddr_in6': 'struct sockaddr_in6', 'in_pktinfo': 'struct in_pktinfo',
      'in6_pktinfo': 'struct in6_pktinfo', 'ip_mreqn': 'struct ip_mreqn', 'ipv6_mreq': 'struct ipv6_mreq',
      'sock_extended_err': 'struct sock_extended_err'},
     {'sin_addr': 'sin_addr.s_addr', 'imr_multiaddr': 'imr_multiaddr.s_addr', 'imr_address': 'imr_address.s_addr',
      'ipi_spec_dst': 'ipi_spec_dst.s_addr', 'ipi_addr': 'ipi_addr.s_addr', 'ipv6mr_ifindex': 'ipv6mr_interface'}),
    ('sys/socket.h linux/if.h linux/sockios.h linux/if_arp.h linux/route.h', 'if',
     {'ifreq': 'struct ifreq', 'ifconf': 'struct ifconf', 'rtentry': 'struct rtentry'},
     {'ifr_data': 'ifr_ifru', 'ifc_buf': 'ifc_ifcu.ifcu_buf'}),
    ('sys/socket.h sys/ioctl.h linux/vm_sockets.h', 'vsock', {'sockaddr_vm': 'struct sockaddr_vm'}, {}),
    ('sys/socket.h linux/netlink.h linux/rtnetlink.h linux/if_link.h linux/if_addr.h linux/neighbour.h linux/fib_rules.h '
     'linux/sock_diag.h linux/inet_diag.h linux/unix_diag.h', 'netlink',
     {'sockaddr_nl': 'struct sockaddr_nl', 'nlmsghdr': 'struct nlmsghdr', 'nlattr': 'struct nlattr',
      'ifinfomsg': 'struct ifinfomsg', 'ifaddrmsg': 'struct ifaddrmsg', 'ifa_cacheinfo': 'struct ifa_cacheinfo',
      'rtmsg': 'struct rtmsg', 'ndmsg': 'struct ndmsg', 'fib_rule_hdr': 'struct fib_rule_hdr',
      'rtnl_link_stats64': 'struct rtnl_link_stats64', 'inet_diag_sockid': 'struct inet_diag_sockid',
      'inet_diag_req_v2': 'struct inet_diag_req_v2', 'inet_diag_msg': 'struct inet_diag_msg',
      'unix_diag_req': 'struct unix_diag_req', 'unix_diag_msg': 'struct unix_diag_msg'},
     {}),
    ('sys/socket.h linux/if_packet.h linux/if_ether.h linux/filter.h', 'if_packet',
     {'sockaddr_ll': 'struct sockaddr_ll', 'packet_mreq': 'struct packet_mreq', 'tpacket_stats': 'struct tpacket_stats',
      'tpacket_auxdata': 'struct tpacket_auxdata', 'tpacket_req': 'struct tpacket_req',
      'tpacket2_hdr': 'struct tpacket2_hdr'}, {}),
    ('sys/xattr.h linux/limits.h', 'xattr', {}, {}),
    ('sys/inotify.h', 'inotify', {'inotify_event': 'struct inotify_event'}, {}),
    ('linux/rseq.h', 'rseq', {'rseq_cs': 'struct rseq_cs'}, {}),
    ('linux/reboot.h linux/random.h sys/utsname.h sys/sysinfo.h', 'utsname',
     {'utsname': 'struct utsname', 'sysinfo': 'struct sysinfo'}, {}),
    ('linux/ptrace.h asm/ptrace-abi.h linux/audit.h linux/elf.h linux/kcmp.h', 'ptrace',
     {'ptrace_syscall_info': 'struct ptrace_syscall_info', 'ptrace_peeksiginfo': 'struct ptrace_peeksiginfo_args',
      'ptrace_rseq': 'struct ptrace_rseq_configuration'}, {'entry.ret_data': 'seccomp.ret_data'}),
    ('linux/seccomp.h linux/filter.h sys/ioctl.h', 'seccomp',
     {'seccomp_data': 'struct seccomp_data', 'seccomp_notif': 'struct seccomp_notif',
      'seccomp_notif_resp': 'struct seccomp_notif_resp', 'seccomp_notif_addfd': 'struct seccomp_notif_addfd',
      'seccomp_notif_sizes': 'struct seccomp_notif_sizes', 'sock_filter': 'struct sock_filter',
      'sock_fprog': 'struct sock_fprog'}, {'notif': 'seccomp_notif', 'response': 'seccomp_notif_resp',
      'seccomp_notif_sizes.data': 'seccomp_data'}),
    ('elf.h asm/auxvec.h linux/auxvec.h', 'elf',
     {'elf64_ehdr': 'Elf64_Ehdr', 'elf64_phdr': 'Elf64_Phdr', 'elf64_shdr': 'Elf64_Shdr', 'elf64_sym': 'Elf64_Sym',
      'elf64_dyn': 'Elf64_Dyn', 'elf64_rela': 'Elf64_Rela', 'elf64_nhdr': 'Elf64_Nhdr', 'auxv': 'Elf64_auxv_t'},
     {'d_val': 'd_un.d_val', 'a_val': 'a_un.a_val'}),
]
# Not in every host's headers, with the reason; compared where it is there.
NEWER = set('''MOVE_MOUNT_BENEATH FSCONFIG_CMD_CREATE_EXCL ST_NOSYMFOLLOW MPOL_WEIGHTED_INTERLEAVE F_SEAL_EXEC MFD_NOEXEC_SEAL MFD_EXEC MEMBARRIER_CMD_GET_REGISTRATIONS PIDFD_THREAD AT_RSEQ_FEATURE_SIZE
    AT_RSEQ_ALIGN ARCH_CET_STATUS FUTEX2_SIZE_U8 FUTEX2_SIZE_U16 FUTEX2_SIZE_U32 FUTEX2_SIZE_U64 FUTEX2_NUMA
    FUTEX2_PRIVATE SYS_SECCOMP IORING_SETUP_NO_MMAP IORING_SETUP_REGISTERED_FD_ONLY IORING_SETUP_NO_SQARRAY
    IORING_FEAT_REG_REG_RING IORING_REGISTER_USE_REGISTERED_RING IOU_PBUF_RING_MMAP IORING_TIMEOUT_MULTISHOT
    IORING_OFF_PBUF_RING UFFDIO_MOVE UFFDIO_MOVE_MODE_DONTWAKE UFFDIO_MOVE_MODE_ALLOW_SRC_HOLES UFFD_FEATURE_MOVE UFFDIO_POISON UFFD_FEATURE_POISON
    MADV_GUARD_INSTALL MADV_GUARD_REMOVE STATX_MNT_ID_UNIQUE LSMT_ROOT LISTMOUNT_REVERSE
    STATMOUNT_SB_BASIC STATMOUNT_MNT_BASIC STATMOUNT_PROPAGATE_FROM STATMOUNT_MNT_ROOT STATMOUNT_MNT_POINT STATMOUNT_FS_TYPE
    STATMOUNT_MNT_NS_ID STATMOUNT_MNT_OPTS STATMOUNT_FS_SUBTYPE STATMOUNT_SB_SOURCE STATMOUNT_OPT_ARRAY
    PIDFD_SELF_THREAD PIDFD_SELF_THREAD_GROUP PIDFD_SIGNAL_THREAD PIDFD_SIGNAL_THREAD_GROUP PIDFD_SIGNAL_PROCESS_GROUP
    PIDFD_INFO_PID PIDFD_INFO_CREDS PIDFD_INFO_EXIT PIDFD_INFO_SIZE_VER0
    STATMOUNT_SUPPORTED_MASK SECCOMP_USER_NOTIF_FD_SYNC_WAKE_UP SYS_USER_DISPATCH SECCOMP_IOCTL_NOTIF_SET_FLAGS UFFD_FEATURE_WP_UNPOPULATED UFFD_FEATURE_WP_HUGETLBFS_SHMEM UFFDIO_CONTINUE_MODE_WP PR_SET_MDWE PR_GET_MDWE PR_MDWE_REFUSE_EXEC_GAIN PR_MDWE_NO_INHERIT PR_GET_AUXV'''.split())
# In the kernel's header only, or different there: libc has its own.
KERNEL = {'O_LARGEFILE': 'asm/fcntl.h', 'MINSIGSTKSZ': 'asm/signal.h', 'SS_AUTODISARM': 'linux/signal.h',
          'SA_RESTORER': 'asm/signal.h', 'PROT_SEM': 'asm/mman.h', 'POLLREMOVE': 'asm/poll.h',
          'CLOSE_RANGE_UNSHARE': 'linux/close_range.h', 'CLOSE_RANGE_CLOEXEC': 'linux/close_range.h',
          'BOTHER': 'asm/termbits.h', 'IBSHIFT': 'asm/termbits.h', 'PIDFD_NONBLOCK': 'linux/pidfd.h', 'TCGETS2': 'asm/termbits.h asm/ioctls.h',
          'TCSETS2': 'asm/termbits.h asm/ioctls.h'}
# Not numbers, another name for a number that is compared, or never seen by a program.
ALIAS = {'O_NOTIFICATION_PIPE', 'ELFMAG', 'ERESTARTSYS', 'ERESTARTNOINTR', 'ERESTARTNOHAND', 'ERESTART_RESTARTBLOCK'}
# Structs that no header of the host declares, or not in this form: of mounts (newer), of userfaultfd
# (ranges are nested there), getdents, the newest rseq, pselect6's pair.
NO_COUNTERPART = {'mnt_id_req', 'statmount', 'pidfd_info', 'uffd_msg', 'uffdio_register', 'uffdio_writeprotect', 'uffdio_fill', 'dirent64', 'dirent', 'rseq', 'sigset_arg', 'sockaddr_storage', 'tcp_info'}


def read(repository, name):
    with open(os.path.join(repository, f'libos/abi/include/abi/{name}.h'), encoding='utf-8') as f:
        return re.sub(r'/\*.*?\*/', '', f.read(), flags=re.S)


def members(body):
    """Names of the members, those of inner structs as inner.name; padding is left out."""
    out, inner = [], []
    for line in body.split('\n'):
        line = line.strip()
        if re.match(r'(struct|union) \{$', line):
            inner.append(len(out))
        elif m := re.match(r'\} (\w+);$', line):
            start = inner.pop()
            out[start:] = [f'{m[1]}.{n}' for n in out[start:]]
        elif line == '};':
            inner.pop()
        elif m := re.match(r'(?:USER\(.*?\)|(?:(?:const )?(?:struct|union) )?\w+)\s+(.*);$', line):
            out += [re.sub(r'\[.*', '', n.strip()) for n in m[1].split(',')]
    return [n for n in out if not re.search(r'(^|\.)(pad\d*|reserved\d*|spare|f_spare|si_sys_private)$', n)]


def run(cc, source, repository):
    with tempfile.TemporaryDirectory() as d:
        with open(d + '/x.c', 'w', encoding='utf-8') as f:
            f.write(source)
        inc = [f'-I{repository}/libos/{x}/include' for x in ('abi', 'base')]
        subprocess.run(cc + ['-std=gnu11', '-w', *inc, '-o', d + '/x', d + '/x.c'], check=True)
        out = subprocess.run([d + '/x'], check=True, capture_output=True, text=True).stdout
    return dict(line.split(' ', 1) for line in out.splitlines())


def program(includes, lines):
    return ('#define _GNU_SOURCE\n' + ''.join(f'#include <{i}>\n' for i in includes) +
            '#include <stddef.h>\nint printf(const char *, ...);\nint main(void)\n{\n' + '\n'.join(lines) +
            '\nreturn 0;\n}\n')


def constant(name):
    line = f'printf("{name} %lld\\n", (long long)({name}));'
    return f'#ifdef {name}\n{line}\n#endif' if name in NEWER else line


def main():
    cc, repository = sys.argv[1].split(), sys.argv[2]
    headers = [os.path.basename(h)[:-2] for h in sorted(glob.glob(repository + '/libos/abi/include/abi/*.h'))]
    names, ours_lines, seen = {}, [], set()
    bodies = {}
    for h in headers:
        text = read(repository, h)
        names[h] = [n for n in re.findall(r'^#define (\w+)[ \t]+\S', text, flags=re.M)
                    if not n.startswith('ABI_') and n not in ALIAS and n not in INTERNAL]
        bodies |= {n: b for n, b in re.findall(r'^struct abi_(\w+) \{\s*?\n(.*?)^\}', text, flags=re.S | re.M)}
        ours_lines += [f'printf("{n} %lld\\n", (long long)({n}));' for n in names[h]]
    theirs, count = {}, 0
    for includes, header, structs, rename in ROWS:
        lines = [constant(n) for n in (names[header] if header else []) if n not in KERNEL]
        seen.add(header)
        for s, host in structs.items():
            ours_lines.append(f'printf("sizeof_{s} %zu\\n", sizeof(struct abi_{s}));')
            lines.append(f'printf("sizeof_{s} %zu\\n", sizeof({host}));')
            for m in members(bodies[s]):
                their = rename.get(f'{s}.{m}', rename.get(m, m))
                for what, t, n in ((ours_lines, f'struct abi_{s}', m), (lines, host, their)):
                    what.append(f'printf("{s}.{m} %zu+%zu\\n", offsetof({t}, {n}), sizeof((({t} *)0)->{n}));')
        theirs |= run(cc, program(includes.split(), lines), repository)
    for n, h in KERNEL.items():
        theirs |= run(cc, program(h.split(), [constant(n)]), repository)
    ours = run(cc, program([f'abi/{h}.h' for h in headers], ours_lines), repository)
    bad = [f'{n}: ours {v}, the host {theirs[n]}' for n, v in ours.items() if n in theirs and theirs[n] != v]
    bad += [f'{n}: not compared' for n in ours if n not in theirs and n not in NEWER]
    bad += [f'{h}.h: not compared' for h in headers if h not in seen]
    bad += [f'struct abi_{s}: not compared' for s in bodies if f'sizeof_{s}' not in ours and s not in NO_COUNTERPART]
    print('\n'.join(bad) or f'{len(theirs)} constants, sizes and members agree')
    sys.exit(bool(bad))


if __name__ == '__main__':
    main()
