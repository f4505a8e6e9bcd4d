# SPDX-License-Identifier: MIT
"""typed.py PROMPT ANSWER COMMAND...: run the command on a terminal of its own, type ANSWER when it shows PROMPT, pass on all that it
shows, and end with its status."""
import os
import pty
import sys


def main():
    prompt, answer, command = sys.argv[1].encode(), sys.argv[2].encode(), sys.argv[3:]
    pid, fd = pty.fork()
    if pid == 0:
        os.execvp(command[0], command)
    shown, typed = b'', False
    while True:
        try:
            piece = os.read(fd, 4096)
        except OSError:     # Linux's end of a terminal
            break
        if not piece:
            break
        shown += piece
        sys.stdout.buffer.write(piece)
        if not typed and prompt in shown:
            os.write(fd, answer + b'\r')
            typed = True
    sys.stdout.buffer.flush()
    sys.exit(os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) or not typed)


if __name__ == '__main__':
    main()
