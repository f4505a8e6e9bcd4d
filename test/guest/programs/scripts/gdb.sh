# SPDX-License-Identifier: MIT
# gdb drives ./traced: breakpoints, watchpoints, steps, registers, threads, forks, cores.
g() { timeout -k 5 100 gdb -nx -batch -ex 'set debuginfod enabled off' -ex 'set confirm off' -ex 'set width 0' -ex 'handle SIGUSR1 nostop noprint' "$@" 2>&1 | sed -E 's/0x[0-9a-f]+/PTR/g; s/ +/ /g; s/ $//; s/in [a-z_0-9]+ \(\)/in LIBC ()/; s/(process|LWP|Thread|Inferior 1 \(process) [0-9]+/\1 N/g; /^warning:|debuginfod|^Using host|Thread debugging|^\[(New|Attaching|Detaching|Thread .* exited)/d'; }
echo '== breakpoint'
g -ex 'break work' -ex 'run >/dev/null' -ex bt -ex 'info args' -ex finish -ex 'continue' -ex 'print n' -ex 'print total' -ex delete -ex continue ./traced
echo '== watchpoint'
g -ex 'break work' -ex 'run >/dev/null' -ex 'watch total' -ex continue -ex continue -ex 'delete' -ex continue ./traced
echo '== steps and registers'
g -ex 'break work' -ex 'run >/dev/null' -ex 'stepi' -ex 'next' -ex 'print twice' -ex 'set var twice = 50' -ex 'print $rip != 0' -ex 'print $eflags' -ex 'print $ymm0.v8_float' -ex 'x/2i $pc' -ex delete -ex continue ./traced
echo '== fork'
g -ex 'set follow-fork-mode child' -ex 'set detach-on-fork on' -ex 'catch exec' -ex 'run >/dev/null' -ex 'info inferiors' -ex continue ./traced
echo '== threads'
g -ex 'break thread' -ex 'run >/dev/null' -ex 'info threads' -ex 'thread apply all bt 1' -ex delete -ex continue ./traced
echo '== signals'
g -ex 'run x >/dev/null' -ex 'bt -1' -ex 'print $_siginfo.si_signo' -ex kill ./traced
echo '== call'
g -ex 'break main' -ex 'run >/dev/null' -ex 'print work(21)' -ex 'print total' -ex kill ./traced
echo '== core'
ulimit -c unlimited
./traced x >/dev/null 2>&1
echo $?
g -ex bt -ex 'print $_siginfo.si_signo' -ex 'info threads' -ex 'print total' -ex 'info proc' ./traced core | sed '/^\[New LWP/d; s/^Core was generated.*/CORE/'
