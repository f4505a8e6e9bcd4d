#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""The host changes what a confidential guest shares with its devices at each exit: rings, buffers, at any moment. Devices may be lost,
and are named then; memory that is not shared stays as it was, and libOS lives. usage: scribble.py ALCOVE CCSIM MODE PROGRAM"""
import os
import re
import subprocess
import sys
import tempfile
import threading

HERE = os.path.dirname(os.path.abspath(__file__))
LIMIT_S = 240


def main():
    alcove, sim, mode, program = sys.argv[1:5]
    with tempfile.TemporaryDirectory() as d:
        image = os.path.join(d, 'data.img')
        subprocess.run([alcove, 'volume', 'create', image, '32M'], check=True, stdout=subprocess.DEVNULL)
        env = dict(os.environ, CCSIM=sim, CCSIM_OPTIONS=f'ccsim.mode={mode} ccsim.attack=scribble', PATH=f'{HERE}/bin:' + os.environ['PATH'])
        p = subprocess.Popen([alcove, 'run', '--machine', 'q35', '--net', 'user', '-v', image + ':/data', program, 'scribble'],
                             stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, env=env, errors='replace')
        timer = threading.Timer(LIMIT_S, p.terminate)
        timer.start()
        said = ''
        for line in p.stdout:
            said += line
            if 'memory is as it was' in line:
                p.terminate()
                break
        timer.cancel()
        p.stdout.close()
        p.wait()
    print(said[-4000:])
    good = 'memory is as it was' in said and not re.search('panic|WARNING|BUG|ccsim: FAILED|has changed', said)
    sys.exit(not good)


main()
