#!/bin/sh
# SPDX-License-Identifier: MIT
# alcove run with the libOS: statuses, input, terminal, signals, identity, and images that must not run.
# usage: run.sh ALCOVE KERNEL PROBE LIB; LIB is test/cmd/lib.sh
PROBE=$(realpath "$3")
LIB=$(realpath "$4")
. "$LIB"

run()
{
    timeout -k 5 120 "$ALCOVE" run --accel tcg "$@"
}

# Exit statuses, each in a VM of its own.
for n in 0 1 2 42 125 126 127 128 129 137 254 255; do
    run "$PROBE" exit $n </dev/null >out.txt 2>err.txt
    same "exit status $n" $n $?
done
for sig in 1 2 3 4 6 8 9 11 13 15; do
    run "$PROBE" kill $sig </dev/null >out.txt 2>err.txt
    same "killed by signal $sig" $((128 + sig)) $?
done
run "$PROBE" segv </dev/null >out.txt 2>err.txt
same 'a bad address' 139 $?
run "$PROBE" abort </dev/null >out.txt 2>err.txt
same 'abort()' 134 $?

# What the program sees.
mkdir -p root/some/where
same 'identity' '0 cwd /some/where
user 12:34
host box
var x "y" z
arg one two
arg ' "$? $(run --root root --cwd /some/where --user 12:34 --hostname box -e 'VAR=x "y" z' "$PROBE" see 'one two' '' 2>err.txt)"
same 'pipes are no terminals' '000' "$(run "$PROBE" tty </dev/null 2>err.txt)"
same 'defaults' 'cwd / user 0:0 host alcove var -' "$(run "$PROBE" see </dev/null 2>err.txt | tr '\n' ' ' | sed 's/ $//')"

# Standard error has a way of its own, unless both lead to one place: then the order is the program's.
for machine in microvm q35; do
    same "two streams, $machine" 'out 1 out 2 | err 1 err 2 ' "$(run --machine $machine "$PROBE" streams 2 </dev/null 2>err.txt | tr '\n' ' ')| $(tr '\n' ' ' <err.txt)"
done
same 'one stream' 'out 1 err 1 out 2 err 2 out 3 err 3 ' "$(run "$PROBE" streams 3 </dev/null 2>&1 | tr '\n' ' ')"
same 'a closed standard error' 'out 1 out 2 ' "$(run "$PROBE" streams 2 </dev/null 2>&- | tr '\n' ' ')"

# Input: every byte, and its end.
python3 -c 'import sys; sys.stdout.buffer.write(bytes(range(256)) * 64)' >in.bin
run /bin/cat <in.bin >out.bin 2>err.txt
same 'cat ends' 0 $?
check 'every byte comes back' cmp in.bin out.bin
same 'lines that come late' '1 a
2 b' "$( (echo a; sleep 2; echo b) | run /usr/bin/gawk '{ print NR, $0 }' 2>err.txt)"
same 'one CPU more' '16384' "$(run --cpus 2 /usr/bin/wc -c <in.bin 2>err.txt | tr -d ' ')"
for machine in q35 pc; do
    same "$machine" 'hello' "$(run --machine $machine /bin/echo hello </dev/null 2>err.txt)"
done

# The boot steps: all of them, in order, the program last; and its output is its own.
same 'output beside a boot trace' 'hello' "$(run --boot-trace /bin/echo hello </dev/null 2>err.txt)"
same 'boot steps' 'memory program' "$(sed -n 's/^alcove: boot: *[0-9]* us *+ *[0-9]*  //p' err.txt | sed -n '1p;$p' | tr '\n' ' ' | sed 's/ $//')"

# An image, and images that must not run.
check 'build' "$ALCOVE" build -o good "$PROBE" exit 7
run good.elf </dev/null >out.txt 2>err.txt
same 'a built image' 7 $?
python3 - <<'END'
d = bytearray(open('good.elf', 'rb').read())
at = d.index(b'roothash=') + 9
d[at] = ord('0') if d[at] != ord('0') else ord('1')
open('wronghash.elf', 'wb').write(d)
END
run wronghash.elf </dev/null >out.txt 2>err.txt
same 'a wrong root hash does not run' 125 $?
check 'and says so' grep -qi 'hash' out.txt err.txt
run --memory 2M good.elf </dev/null >out.txt 2>err.txt
same 'too little memory' 125 $?
check 'and says so' grep -Eqi 'memory|needs' out.txt err.txt

# Signals.
for sig in TERM INT HUP QUIT; do
    for job in wait catch; do
        python3 - "$ALCOVE" $sig "$PROBE" $job >out.txt 2>&1 <<'END'
import signal, subprocess, sys
p = subprocess.Popen([sys.argv[1], 'run', '--accel', 'tcg', sys.argv[3], sys.argv[4]], stdin=subprocess.PIPE,
                     stdout=subprocess.PIPE, stderr=subprocess.DEVNULL)
assert p.stdout.readline() == b'waiting\n'
number = getattr(signal, 'SIG' + sys.argv[2])
p.send_signal(number)
status = p.wait(timeout=60)
want = 128 + number if sys.argv[4] == 'wait' else 40 + number
print('fine' if status == want else f'exit status {status}, not {want}')
END
        same "SIG$sig, $job" fine "$(cat out.txt)"
    done
done

# A terminal: the line discipline is the guest's, the window size the host's.
python3 - "$ALCOVE" "$PROBE" >out.txt 2>&1 <<'END'
import fcntl, os, pty, signal, struct, subprocess, sys, termios
def start(*job):
    master, slave = pty.openpty()
    fcntl.ioctl(slave, termios.TIOCSWINSZ, struct.pack('HHHH', 33, 77, 0, 0))
    p = subprocess.Popen([sys.argv[1], 'run', '--accel', 'tcg', *job], stdin=slave, stdout=slave, stderr=subprocess.DEVNULL)
    return master, slave, p
def read_until(master, text):
    seen = b''
    while text not in seen:
        seen += os.read(master, 100)
    return seen
master, slave, p = start(sys.argv[2], 'tty')
read_until(master, b'111\r\n')
assert p.wait(timeout=60) == 0
master, slave, p = start(sys.argv[2], 'window')
read_until(master, b'window 77 33\r\n')
fcntl.ioctl(slave, termios.TIOCSWINSZ, struct.pack('HHHH', 10, 20, 0, 0))
p.send_signal(signal.SIGWINCH)
read_until(master, b'window 20 10\r\n')
os.write(master, b'A\r')
assert p.wait(timeout=60) == ord('A')
master, slave, p = start(sys.argv[2], 'wait')
read_until(master, b'waiting\r\n')
os.write(master, b'\x03')
read_until(master, b'^C')
assert p.wait(timeout=60) == 130
master, slave, p = start('/bin/cat')
os.write(master, b'abc\x7fd\r')
seen = read_until(master, b'\nabd\r\n')
os.write(master, b'\x04')
assert p.wait(timeout=60) == 0
print('fine')
END
same 'a terminal' fine "$(cat out.txt)"
finish
