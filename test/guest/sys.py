#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Boot a program of test/sys. usage: sys.py ALCOVE PROGRAM [trace | CPUS | OPTION...]

It must end as on Linux: status 0, its one line of output. With trace each call is decoded on the way, and every line that
comes out must be a call of the program's.
"""
import re
import subprocess
import sys

LINE = re.compile(r'(\[pid +\d+\] )?(\w+\(.*\) += (-?\d+|0x[0-9a-f]+|\?|-1 E\w+).*|<\.\.\. \w+ resumed>.*|\w+\(.* <unfinished \.\.\.>)$')


def main():
    alcove, program, trace = sys.argv[1], sys.argv[2], sys.argv[3:] == ['trace']
    more = [] if trace else ['--cpus', *sys.argv[3:]] if sys.argv[4:] == [] and sys.argv[3:] else sys.argv[3:]
    p = subprocess.run([alcove, 'trace' if trace else 'run', *more, program], stdin=subprocess.DEVNULL, capture_output=True, text=True)
    print(p.stdout, p.stderr[-4000:], f'exit status {p.returncode}')
    good = p.returncode == 0 and re.search(r'^\d+ checks, 0 failed$', p.stdout, re.M)
    if trace:
        lines = [line for line in p.stderr.splitlines() if not line.startswith('alcove: ')]
        odd = [line for line in lines if not LINE.match(line)]
        print('\n'.join(f'not a call: {line}' for line in odd[:10]))
        good = good and len(lines) > 50 and len(odd) == 0 and 'exit_group(0)' in p.stderr
    sys.exit(0 if good else 1)


if __name__ == '__main__':
    main()
