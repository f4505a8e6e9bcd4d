#!/bin/sh
# SPDX-License-Identifier: MIT
# What alcove run passes on, with mini.S as the guest: input, its end, output, signals, statuses, the terminal, deaths.
# usage: run.sh ALCOVE MINI
. "$(dirname "$0")/lib.sh"

run()
{
    timeout -k 5 60 "$ALCOVE" run --accel tcg "$@"
}

# Exit statuses are the number of input bytes; the output is the input in capitals.
for n in 0 1 2 7 126 127 128 255; do
    out=$(head -c $n /dev/zero | tr '\0' a | run /bin/true 2>err.txt)
    same "exit status $n" $n $?
    same "output of $n bytes" "$(echo mini; head -c $n /dev/zero | tr '\0' A)" "$out"
    same 'messages of the libOS go to stderr' 'mini: up' "$(cat err.txt)"
done
run /bin/true </dev/null >out.txt 2>err.txt
same 'empty input' 0 $?
run /bin/true <&- >out.txt 2>err.txt
same 'no input at all' 0 $?
python3 -c 'import sys; sys.stdout.buffer.write(bytes(range(2, 256)) * 40)' >in.bin
run /bin/true <in.bin >out.bin 2>err.txt
same 'every byte value' $((254 * 40 % 256)) $?
python3 -c 'import sys
d = open("in.bin", "rb").read()
assert open("out.bin", "rb").read() == b"mini\n" + bytes(c - 32 if 97 <= c <= 122 else c for c in d)' ||
    bad 'bytes are not passed on unchanged'
for machine in q35 pc; do
    out=$(printf abc | run --machine $machine /bin/true 2>err.txt)
    same "$machine" "3 mini
ABC" "$? $out"
done
check 'an image' "$ALCOVE" build -o image /bin/true
out=$(printf abcd | run image.elf 2>err.txt)
same 'an image runs' '4 mini
ABCD' "$? $out"
out=$( (printf ab; sleep 1; printf c) | run --memory 64M --cpus 2 /bin/true 2>err.txt)
same 'input that comes late' '3 mini
ABC' "$? $out"

# Deaths.
printf 'x\001' | run /bin/true >out.txt 2>err.txt
same 'killed by a signal' 139 $?
printf 'x\000' | run /bin/true >out.txt 2>err.txt
same 'no last word' 125 $?
same 'shows the end of the console' 'mini: up
alcove: the VM ended without the program'"'"'s exit status; the end of its console:
mini
X' "$(cat err.txt)"
refused 125 'qemu-system-x86_64: ' run -m 100000G /bin/true
yes | run /bin/true 2>err.txt | head -n 2 >out.txt
same 'nobody reads' 'mini
Y' "$(cat out.txt)"
same 'nothing stays behind' '' "$(ls -A tmp)"

# Signals: wait until the guest is there, then send.
for sig in TERM INT HUP QUIT; do
    python3 - "$ALCOVE" $sig >out.txt 2>&1 <<'END'
import os, signal, subprocess, sys
p = subprocess.Popen([sys.argv[1], 'run', '--accel', 'tcg', '/bin/true'], stdin=subprocess.PIPE, stdout=subprocess.PIPE,
                     stderr=subprocess.DEVNULL)
assert p.stdout.readline() == b'mini\n'
p.send_signal(getattr(signal, 'SIG' + sys.argv[2]))
print(p.wait(timeout=40))
END
    same "SIG$sig reaches the program" 143 "$(cat out.txt)" # mini always says killed TERM
done
python3 - "$ALCOVE" >out.txt 2>&1 <<'END'
import os, signal, subprocess, sys, time
p = subprocess.Popen([sys.argv[1], 'run', '--accel', 'tcg', '/bin/true'], stdin=subprocess.PIPE, stdout=subprocess.PIPE,
                     stderr=subprocess.DEVNULL)
assert p.stdout.readline() == b'mini\n'
children = [int(c) for c in open(f'/proc/{p.pid}/task/{p.pid}/children').read().split()]
qemu = [c for c in children if 'qemu' in os.readlink(f'/proc/{c}/exe')]
assert len(qemu) == 1
p.kill()
p.wait(timeout=20)
for _ in range(100):
    left = os.listdir(os.environ['TMPDIR'])
    try:
        os.kill(qemu[0], 0)
        alive = open(f'/proc/{qemu[0]}/stat').read().split()[2] != 'Z'
    except (ProcessLookupError, FileNotFoundError):
        alive = False
    if not left and not alive:
        break
    time.sleep(0.1)
print(left, alive)
END
same 'SIGKILL leaves neither QEMU nor files' '[] False' "$(cat out.txt)"

# A terminal: raw while the guest runs, as before afterwards; bytes pass unchanged, Ctrl-C too; the window size is told.
python3 - "$ALCOVE" >out.txt 2>&1 <<'END'
import fcntl, os, pty, struct, subprocess, sys, termios, threading, time
master, slave = pty.openpty()
fcntl.ioctl(slave, termios.TIOCSWINSZ, struct.pack('HHHH', 33, 77, 0, 0))
before = termios.tcgetattr(slave)
p = subprocess.Popen([sys.argv[1], 'run', '--accel', 'tcg', '/bin/true'], stdin=slave, stdout=slave, stderr=slave)
seen = b''
def read_until(text):
    global seen
    while text not in seen:
        seen += os.read(master, 100)
read_until(b'mini\n')
during = termios.tcgetattr(slave)
assert not during[3] & (termios.ICANON | termios.ECHO | termios.ISIG) and not during[1] & termios.OPOST
os.write(master, b'a\x03b\x1a\r')
read_until(b'A\x03B\x1a\r')
os.write(master, b'\x01')
assert p.wait(timeout=30) == 139
assert termios.tcgetattr(slave) == before, 'the terminal is not as before'
print('fine')
END
same 'a terminal' fine "$(cat out.txt)"
finish
