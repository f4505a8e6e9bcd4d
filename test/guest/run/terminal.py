#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Interactive programs at a pseudo-terminal: the same dialogue with this host's programs and through `alcove run`.

usage: terminal.py ALCOVE [NAME...]

A dialogue is a list of steps: text to type, a compiled pattern that must come next on the screen, or a function of the
terminal. Nothing is typed before what it is meant for has said that it is there. Colours, cursor movements and the like are
taken out of what comes before it is looked at.
"""
import fcntl
import os
import pty
import re
import select
import signal
import struct
import sys
import termios
import time

ENV = {'PATH': '/usr/bin:/bin:/usr/sbin:/sbin', 'HOME': '/tmp', 'TERM': 'xterm', 'LC_ALL': 'C.UTF-8', 'PS1': 'ready> ',
       'HISTFILE': '', 'VIMINIT': 'set nocompatible', 'LESSHISTFILE': '-'}
STEP, BOOT = 120, 240   # seconds that a pattern may take to come
ARROW_UP = '\x1b[A'
PROMPT = re.compile(r'ready> $')


class Ended(Exception):
    pass


class Terminal:
    """A program on a pseudo-terminal of its own."""
    def __init__(self, command, env):
        self.text, self.log = '', ''
        self.pid, self.fd = pty.fork()
        if not self.pid:
            for s in (signal.SIGINT, signal.SIGQUIT):  # ignored, when the tests run in a shell's background
                signal.signal(s, signal.SIG_DFL)
            os.execvpe(command[0], command, env)
        self.resize(24, 80)

    def resize(self, rows, columns):
        fcntl.ioctl(self.fd, termios.TIOCSWINSZ, struct.pack('HHHH', rows, columns, 0, 0))

    def type(self, text):
        self.log += f'<<{text!r}>>'
        os.write(self.fd, text.encode())

    def read(self, seconds):
        if not select.select([self.fd], [], [], seconds)[0]:
            return False
        try:
            data = os.read(self.fd, 65536)
        except OSError:
            data = b''
        if not data:
            raise Ended
        text = data.decode('utf-8', 'replace')
        self.text, self.log = self.text + text, self.log + text
        return True

    def expect(self, pattern, seconds):
        """Wait for the pattern in what has come since the last one."""
        end = time.monotonic() + seconds
        while True:
            plain = re.sub(r'\x1b(\[[0-9;?>]*[ -/]*[@-~]|\][^\x07]*\x07|[()][A-Z0-9]|[=>78M])|[\x00\x07\x0f]', '', self.text)
            found = pattern.search(plain)
            if found:
                self.text = plain[found.end():]
                return
            if not self.read(max(0, end - time.monotonic())) and time.monotonic() >= end:
                raise TimeoutError(f'{pattern.pattern!r} did not come')

    def end(self):
        """The exit status, once the program has closed the terminal."""
        stop = time.monotonic() + STEP
        try:
            while time.monotonic() < stop:
                self.read(1)
        except Ended:
            return os.waitstatus_to_exitcode(os.waitpid(self.pid, 0)[1])
        os.kill(self.pid, signal.SIGKILL)
        os.waitpid(self.pid, 0)
        return 'still running'


def shows(text):
    return re.compile(re.escape(text))


def line(text):
    """A line of output, not the echo of what was typed."""
    return re.compile(r'\n\r?' + text + r'(?=\r?\n)')


def size(rows, columns):
    """Change the window's size; the shell's programs see it at some time."""
    return [lambda t: t.resize(rows, columns), f'until stty size | grep -x "{rows} {columns}"; do sleep 0.1; done\r',
            line(f'{rows} {columns}'), PROMPT]


def started(command):
    """Start a command that reads the terminal. Once it says so, line editing has given the terminal back."""
    return [f'echo u""p; {command}\r', line('up')]


ECHO = 'sed -u s/^/got-/'
SLEEP = 'sh -c "echo sleeps; exec sleep 1000"'
BASH = [
    PROMPT, 'echo a$((6*7))b\r', line('a42b'), PROMPT,
    ARROW_UP + '\r', line('a42b'), PROMPT,                             # history
    'echo x$((1+1))y' + '\x01' + '\x0b' + 'echo edi$((1+1))ted\r', line('edi2ted'), PROMPT,    # editing: start of line, kill
    ARROW_UP + ARROW_UP + '\r', line('a42b'), PROMPT,
    SLEEP + '\r', line('sleeps'), '\x03', PROMPT, 'echo "st=$?"\r', line('st=130'), PROMPT,
    SLEEP + '\r', line('sleeps'), '\x1c', re.compile('Quit'), PROMPT, 'echo "st=$?"\r', line('st=131'), PROMPT,
    *started(ECHO), 'one\r', line('got-one'), '\x1a', re.compile(r'\[1\]\+  Stopped +' + re.escape(ECHO)), PROMPT,
    'echo "st=$?"; jobs\r', line('st=148'), line(r'\[1\]\+  Stopped                 ' + re.escape(ECHO)), PROMPT,
    'fg\r', line(re.escape(ECHO)), 'two\r', line('got-two'), '\x1a', re.compile(r'Stopped +' + re.escape(ECHO)), PROMPT,
    SLEEP + '\r', line('sleeps'), '\x1a', re.compile(r'\[2\]\+  Stopped +sh'), PROMPT,
    'bg; jobs\r', re.compile(r'\[1\]\+  Stopped +sed'), re.compile(r'\[2\]-  Running +sh .*&'), PROMPT,
    'kill %2; wait %2; echo "st=$?"\r', line('st=143'), PROMPT,
    'fg %1\r', line(re.escape(ECHO)), 'three\r', line('got-three'), '\x04', PROMPT, 'echo "st=$?"; jobs\r', line('st=0'), PROMPT,
    *size(24, 80), *size(30, 100), 'echo $COLUMNS,$LINES\r', line('100,30'), PROMPT,
    *started('read -r word'), 'ab\x7fc\r', PROMPT, 'echo "[$word]"\r', line(r'\[ac\]'), PROMPT,    # the terminal's own editing
    *started('cat'), 'word\x15line\r', line('line'), '\x03', PROMPT,
    *started('stty -echo; echo quiet; read -r w; stty echo; echo "<$w>"'), line('quiet'), 'secret\r', line('<secret>'), PROMPT,
    # Ctrl-C between the prompt and the beginning of line editing is answered after the next line.
    'trap "echo cau""ght" INT\r', PROMPT, '\x03', '\r', shows('caught'), PROMPT,
    'sleep 1 & wait; echo rest\r', line('rest'), 'trap - INT\r', PROMPT,
    'tty; ps -o stat= $$ | grep -c s\r', line(r'/dev/\S+'), line('1'), PROMPT,
    'exit 7\r']
EDIT = [
    PROMPT, 'seq 1 200 >n; vim.basic -u NONE -n n\r', re.compile('200 ?(L|lines)'), '150G', 'ofrom vi\x1b', ':wq\r', PROMPT,
    'sed -n 151p n\r', line('from vi'), PROMPT,
    'less n\r', re.compile(r'22\s+23\s+(n|:)'), 'G', shows('(END)'), '?from\r', shows('from vi'), 'q', PROMPT,
    'top -d 1 -p $$\r', re.compile(r'Tasks:.*COMMAND', re.S), shows('bash'), 'q', PROMPT,
    'script -qc "echo in script; tty" out\r', line('in script'), PROMPT, 'grep -c script out\r', line('2'), PROMPT,
    'exit 3\r']
# name: (programs besides bash, options of alcove run, dialogue, exit status)
TABLE = {
    'bash': ('sleep cat stty tty ps grep sed sh', [], BASH, 7),
    'edit': ('seq sed vim.basic less top script grep tty sh cat rm', [], EDIT, 3),
}


def play(where, command, env, steps, status):
    t = Terminal(command, env)
    left = BOOT
    step = 'the beginning'
    try:
        for step in steps:
            if isinstance(step, str):
                t.type(step)
            elif callable(step):
                step(t)
            else:
                t.expect(step, left)
                left = STEP
        got = t.end()
        bad = None if got == status else f'exit status {got}, not {status}'
    except (Ended, TimeoutError) as e:
        os.kill(t.pid, signal.SIGTERM)
        bad = f'at {getattr(step, "pattern", step)!r}: {e or "the terminal was closed"}'
        t.end()
    print(f'{where}: {bad or "ok"}')
    if bad or os.environ.get('VERBOSE') or re.search(r'(panic|warning):', t.log):
        print(t.log[-4000:])
    return not bad and not re.search(r'(panic|warning):', t.log)


def main(args):
    if not args or not set(args[1:]) <= set(TABLE):
        sys.exit(__doc__)
    ok = True
    for name in args[1:] or TABLE:
        programs, options, steps, status = TABLE[name]
        shell = ['/bin/bash', '--norc', '--noprofile']
        env = [w for k, v in ENV.items() for w in ('-e', f'{k}={v}')]
        more = [w for p in programs.split() for w in ('--with', p)]
        os.makedirs('/tmp/alcove-terminal', exist_ok=True)
        os.chdir('/tmp/alcove-terminal')
        ok &= play(f'{name} here', shell, ENV, steps, status)
        ok &= play(f'{name} in the image', [args[0], 'run', *options, '--cwd', '/tmp', *more, *env, *shell],
                   {**os.environ, 'TERM': 'dumb'}, steps, status)  # what -e says counts
    sys.exit(0 if ok else 1)


main([os.path.abspath(a) if i == 0 else a for i, a in enumerate(sys.argv[1:])])
