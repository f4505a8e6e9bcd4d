# SPDX-License-Identifier: MIT
"""Starts `alcove run` with the simulator in QEMU's place (bin/)."""
import os
import subprocess


def run(alcove, sim, options, cpus, command, files):
    env = dict(os.environ, CCSIM=sim, CCSIM_OPTIONS=options, CCSIM_FILES=files, LC_ALL='C.UTF-8')
    env['PATH'] = os.path.join(os.path.dirname(os.path.abspath(__file__)), 'bin') + ':' + env['PATH']
    if not command[0].endswith('.efi'):
        command = ['-e', 'LC_ALL=C.UTF-8'] + command
    return subprocess.run([alcove, 'run', '--cpus', cpus] + command, stdin=subprocess.DEVNULL, capture_output=True, text=True, env=env)
