#!/bin/sh
# SPDX-License-Identifier: MIT
# alcove run --init: the program's status, signals passed on, orphans reaped, a terminal's foreground group.
# usage: init.sh ALCOVE KERNEL PROBE LIB; LIB is test/cmd/lib.sh
PROBE=$(realpath "$3")
LIB=$(realpath "$4")
. "$LIB"

run()
{
    timeout -k 5 120 "$ALCOVE" run --accel tcg --init "$@"
}

run "$PROBE" exit 42 </dev/null >out.txt 2>err.txt
same 'exit status' 42 $?
run "$PROBE" kill 9 </dev/null >out.txt 2>err.txt
same 'killed' 137 $?
same 'orphans' 'pid not 1, parent 1, group own, gone' "$(run "$PROBE" orphans </dev/null 2>err.txt)"
same 'arguments' 'arg one two arg ' "$(run "$PROBE" see 'one two' '' </dev/null 2>err.txt | grep arg | tr '\n' ' ' | sed 's/ $//')"
# An image that was built so.
"$ALCOVE" build --init -o own.elf "$PROBE" exit 43 >out.txt 2>err.txt
same 'build' 0 $?
timeout -k 5 120 "$ALCOVE" run --accel tcg own.elf </dev/null >out.txt 2>err.txt
same 'exit status of the image' 43 $?
"$ALCOVE" build --init -o own.elf "$PROBE" orphans >out.txt 2>err.txt
same 'orphans in the image' 'pid not 1, parent 1, group own, gone' "$(timeout -k 5 120 "$ALCOVE" run --accel tcg own.elf </dev/null 2>err.txt)"
for job in wait catch; do
    python3 - "$ALCOVE" "$PROBE" $job >out.txt 2>&1 <<'END'
import signal, subprocess, sys
p = subprocess.Popen([sys.argv[1], 'run', '--accel', 'tcg', '--init', sys.argv[2], sys.argv[3]], stdin=subprocess.PIPE,
                     stdout=subprocess.PIPE, stderr=subprocess.DEVNULL)
assert p.stdout.readline() == b'waiting\n'
p.send_signal(signal.SIGTERM)
status = p.wait(timeout=60)
want = 128 + 15 if sys.argv[3] == 'wait' else 40 + 15
print('fine' if status == want else f'exit status {status}, not {want}')
END
    same "SIGTERM, $job" fine "$(cat out.txt)"
done
# A terminal: what is typed makes a signal for the program's group.
python3 - "$ALCOVE" "$PROBE" >out.txt 2>&1 <<'END'
import os, pty, subprocess, sys
master, slave = pty.openpty()
p = subprocess.Popen([sys.argv[1], 'run', '--accel', 'tcg', '--init', sys.argv[2], 'catch'], stdin=slave, stdout=slave,
                     stderr=subprocess.DEVNULL)
seen = b''
while b'waiting' not in seen:
    seen += os.read(master, 100)
os.write(master, b'\x03')
status = p.wait(timeout=60)
print('fine' if status == 42 else f'exit status {status}')
END
same 'Ctrl-C' fine "$(tail -n 1 out.txt)"
finish
