# SPDX-License-Identifier: MIT
"""What Python programs do with processes and signals. A line "== NAME" begins a section."""
import concurrent.futures
import multiprocessing as mp
import os
import signal
import subprocess
import sys
import threading
import time


def square(x):
    return x * x


def fill(q, n):
    for i in range(n):
        q.put((os.getpid() != 0, i))


def add(lock, value, n):
    for _ in range(n):
        with lock:
            value.value += 1


def echo(conn):
    for what in iter(conn.recv, None):
        conn.send(what * 2)


def subprocesses():
    print(subprocess.run(['cat'], input=b'through', stdout=subprocess.PIPE, check=True).stdout)
    print(subprocess.run('echo out; echo err >&2; exit 3', shell=True, capture_output=True, check=False))
    p = subprocess.Popen(['sleep', '100'])
    p.terminate()
    print(p.wait(), subprocess.call(['sh', '-c', 'kill -9 $$']))
    try:
        subprocess.run(['sleep', '100'], timeout=0.2, check=False)
    except subprocess.TimeoutExpired as e:
        print('timeout', round(e.timeout, 1))
    try:
        subprocess.run(['/nowhere'], check=False)
    except FileNotFoundError as e:
        print(e)
    a = subprocess.Popen(['seq', '1000'], stdout=subprocess.PIPE)
    b = subprocess.Popen(['tail', '-n', '1'], stdin=a.stdout, stdout=subprocess.PIPE)
    a.stdout.close()
    print(b.communicate()[0], a.wait())
    print(sum(int(subprocess.check_output(['echo', str(i)])) for i in range(50)))
    print(subprocess.check_output(['sh', '-c', 'echo $X; pwd; umask'], env={'X': 'env', 'PATH': os.environ['PATH']}, cwd='/', umask=0o77))
    print(subprocess.run(['true'], preexec_fn=lambda: os.nice(1), start_new_session=True, close_fds=False, check=False).returncode)


def processes(method):
    c = mp.get_context(method)
    q = c.Queue()
    ps = [c.Process(target=fill, args=(q, 20)) for _ in range(4)]
    for p in ps:
        p.start()
    print(sum(q.get()[1] for _ in range(80)))
    for p in ps:
        p.join()
    print([p.exitcode for p in ps])
    with c.Pool(3) as pool:
        print(pool.map(square, range(20)), pool.apply_async(square, (7,)).get())
    lock, value = c.Lock(), c.Value('i', 0)
    ps = [c.Process(target=add, args=(lock, value, 200)) for _ in range(3)]
    for p in ps:
        p.start()
    for p in ps:
        p.join()
    print(value.value)
    mine, theirs = c.Pipe()
    p = c.Process(target=echo, args=(theirs,))
    p.start()
    mine.send([1, 'two'])
    print(mine.recv())
    mine.send(None)
    p.join()
    with concurrent.futures.ProcessPoolExecutor(3, mp_context=c) as ex:
        print(list(ex.map(square, range(10))))


def futures():
    with concurrent.futures.ThreadPoolExecutor(8) as ex:
        print(sum(f.result() for f in concurrent.futures.as_completed([ex.submit(square, i) for i in range(200)])))


def signals():
    got = []
    signal.signal(signal.SIGUSR1, lambda n, _: got.append(n))
    os.kill(os.getpid(), signal.SIGUSR1)
    print(got)
    signal.signal(signal.SIGALRM, lambda n, _: got.append('alarm'))
    signal.setitimer(signal.ITIMER_REAL, 0.05, 0.05)
    while got.count('alarm') < 3:
        signal.pause()
    signal.setitimer(signal.ITIMER_REAL, 0)
    print(got[0], got[1])
    signal.pthread_sigmask(signal.SIG_BLOCK, [signal.SIGUSR2])
    os.kill(os.getpid(), signal.SIGUSR2)
    print(signal.sigpending(), signal.sigwait([signal.SIGUSR2]), signal.sigtimedwait([signal.SIGUSR2], 0.05))
    r, w = os.pipe()
    os.set_blocking(w, False)
    signal.set_wakeup_fd(w)
    signal.raise_signal(signal.SIGUSR1)
    print(os.read(r, 10))
    signal.set_wakeup_fd(-1)
    try:
        threading.Timer(0.1, lambda: os.kill(os.getpid(), signal.SIGINT)).start()
        time.sleep(10)
    except KeyboardInterrupt:
        print('interrupted')


def forks():
    r, w = os.pipe()
    if os.fork() == 0:
        os.close(r)
        os.write(w, b'child')
        os._exit(7)
    os.close(w)
    print(os.read(r, 10), os.waitstatus_to_exitcode(os.wait()[1]))
    pids = [os.posix_spawn('/bin/sh', ['sh', '-c', f'exit {i}'], os.environ) for i in range(10)]
    print([os.waitstatus_to_exitcode(os.waitpid(p, 0)[1]) for p in pids])
    r, w = os.pipe()
    pid = os.fork()
    if pid == 0:
        os.setpgid(0, 0)
        os.kill(os.getpid(), signal.SIGSTOP)
        os.read(r, 1)  # stay until it was seen to go on
        os._exit(0)
    print(os.WIFSTOPPED(os.waitpid(pid, os.WUNTRACED)[1]))
    os.kill(pid, signal.SIGCONT)
    goes_on = os.WIFCONTINUED(os.waitpid(pid, os.WCONTINUED)[1])
    os.write(w, b'x')
    print(goes_on, os.waitpid(pid, 0)[1])
    print(os.popen('echo popen').read().strip(), os.system('exit 5') >> 8)


if __name__ == '__main__':
    for name, what in (('subprocess', subprocesses), ('fork', forks), ('multiprocessing, fork', lambda: processes('fork')),
                       ('multiprocessing, spawn', lambda: processes('spawn')), ('concurrent.futures', futures),
                       ('signal', signals)):
        print('==', name, flush=True)
        what()
        sys.stdout.flush()
