# SPDX-License-Identifier: MIT
"""What each figure may be at most: guest instructions per operation unless the name says otherwise."""

BUDGETS = {
    'sys_none': 70, 'getpid': 110, 'clock_libc': 50, 'read_zero_1': 180, 'write_null_1': 160,
    'open_close': 1700, 'stat': 1000, 'pread_4k': 350, 'pwrite_4k': 450, 'create_unlink': 4000,
    'mmap_file_64k': 7000, 'pipe_self': 800, 'pipe_threads': 2500, 'futex_wake_none': 180,
    'futex_threads': 1500, 'yield_threads': 400, 'thread': 9000, 'mmap_munmap': 2500,
    'mmap_touch': 4500, 'mmap_touch_64m': 2000000, 'page_fault': 600, 'mprotect': 2000,
    'sig_install': 180, 'sig_deliver': 1400, 'epoll_1of1000': 300, 'poll_1of100': 6000,
    'fork': 60000, 'fork_64m': 300000, 'fork_exec': 200000, 'vfork_exec': 120000, 'pipe_procs': 3000, 'segv_fix': 4000,
}
