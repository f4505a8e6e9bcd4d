# SPDX-License-Identifier: MIT
"""alcove build --oci: container images in each form, applied as umoci applies them; hostile layers; output that skopeo and
umoci take. usage: oci.py ALCOVE KERNEL"""
import gzip
import hashlib
import io
import json
import os
import shutil
import subprocess
import sys
import tarfile
import tempfile

ALCOVE = os.path.abspath(sys.argv[1])
os.environ['ALCOVE_KERNEL'] = os.path.abspath(sys.argv[2])
failures = []
checks = 0


def check(ok, text):
    global checks
    checks += 1
    if not ok:
        failures.append(text)
        print('FAILED:', text)


def run(*command, **kw):
    r = subprocess.run(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, **kw)
    if r.returncode:
        print(r.stdout, r.stderr)
        sys.exit(f'{command[0]}: exit status {r.returncode}')
    return r.stdout


def member(name, kind=tarfile.REGTYPE, data=b'', mode=0o644, uid=0, gid=0, link='', mtime=1000000000):
    t = tarfile.TarInfo(name)
    t.type, t.mode, t.uid, t.gid, t.linkname, t.mtime, t.size = kind, mode, uid, gid, link, mtime, len(data)
    return t, data


def layer(members, form=tarfile.PAX_FORMAT):
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode='w', format=form) as tar:
        for info, data in members:
            tar.addfile(info, io.BytesIO(data))
    return out.getvalue()


def sha(data):
    return hashlib.sha256(data).hexdigest()


def layout(path, layers, config, packing=('tar', 'gzip', 'zstd'), tag='latest', break_digest=False):
    """An OCI layout; the layers packed in turn as packing says."""
    blobs = f'{path}/blobs/sha256'
    os.makedirs(blobs)

    def blob(data):
        with open(f'{blobs}/{sha(data)}', 'wb') as f:
            f.write(data)
        return {'digest': 'sha256:' + sha(data), 'size': len(data)}

    described = []
    for i, plain in enumerate(layers):
        how = packing[i % len(packing)]
        data = plain
        if how == 'gzip':
            data = gzip.compress(plain, mtime=0)
        elif how == 'zstd':
            data = subprocess.run(['zstd', '-c'], input=plain, stdout=subprocess.PIPE, check=True).stdout
        suffix = '' if how == 'tar' else '+' + how
        described.append({'mediaType': 'application/vnd.oci.image.layer.v1.tar' + suffix, **blob(data)})
    whole = {'architecture': 'amd64', 'os': 'linux', 'config': config,
             'rootfs': {'type': 'layers', 'diff_ids': ['sha256:' + sha(x) for x in layers]}}
    if break_digest:
        whole['rootfs']['diff_ids'][0] = 'sha256:' + '0' * 64
    manifest = {'schemaVersion': 2, 'mediaType': 'application/vnd.oci.image.manifest.v1+json',
                'config': {'mediaType': 'application/vnd.oci.image.config.v1+json', **blob(json.dumps(whole).encode())},
                'layers': described}
    entry = {'mediaType': manifest['mediaType'], **blob(json.dumps(manifest).encode()),
             'annotations': {'org.opencontainers.image.ref.name': tag}}
    with open(f'{path}/index.json', 'w') as f:
        json.dump({'schemaVersion': 2, 'manifests': [entry]}, f)
    with open(f'{path}/oci-layout', 'w') as f:
        f.write('{"imageLayoutVersion": "1.0.0"}')
    return path


DIR, LINK, SYM = tarfile.DIRTYPE, tarfile.LNKTYPE, tarfile.SYMTYPE


def sample(program):
    """Layers with everything that layers have."""
    long_name = 'data/' + 'x' * 120 + '/' + 'y' * 120
    base = [member('./', DIR, mode=0o755), member('usr/', DIR, mode=0o755), member('usr/bin', DIR, mode=0o755),
            member('usr/lib', DIR, mode=0o755), member('bin', SYM, link='usr/bin'), member('lib', SYM, link='/usr/lib'),
            member('usr/bin/tool', data=program, mode=0o755), member('etc', DIR, mode=0o755),
            member('etc/passwd', data=b'root:x:0:0:root:/root:/bin/sh\nweb:x:101:102:web:/srv:/bin/sh\n'),
            member('etc/group', data=b'root:x:0:\nweb:x:102:\nstaff:x:50:\n'),
            member('srv', DIR, mode=0o750, uid=101, gid=102), member('srv/old', data=b'old'),
            member('srv/gone', data=b'gone'), member('srv/keep', data=b'keep', uid=101, gid=102, mode=0o640),
            member('opaque', DIR, mode=0o755), member('opaque/a', data=b'a'), member('opaque/sub', DIR, mode=0o755),
            member('opaque/sub/b', data=b'b'), member('secret', data=b's', mode=0o000),
            member('setuid', data=b's', mode=0o4755), member('hard1', data=b'hard'), member('hard2', LINK, link='hard1'),
            member('was-dir', DIR, mode=0o755), member('was-dir/x', data=b'x'), member('was-file', data=b'f'),
            member('data', DIR, mode=0o755), member(os.path.dirname(long_name), DIR, mode=0o755),
            member(long_name, data=b'long'), member('big-id', data=b'i', uid=70000, gid=3000000)]
    middle = [member('srv/.wh.gone'), member('srv/old', data=b'new', mode=0o600, uid=5),
              member('lib/through', data=b'through'), member('opaque', DIR, mode=0o700), member('opaque/c', data=b'c'),
              member('opaque/.wh..wh..opq'), member('was-dir', data=b'file now'), member('was-file', DIR, mode=0o711),
              member('was-file/in', data=b'in'), member('hard3', LINK, link='hard2')]
    top = [member('.wh.hard1'), member('hard2', data=b'other'), member('last', SYM, link='srv/keep'),
           member('bin/tool2', SYM, link='tool')]
    return [layer(base), layer(middle, tarfile.GNU_FORMAT), layer(top)]


CONFIG = {'Entrypoint': ['tool', '--flag'], 'Cmd': ['from cmd'], 'Env': ['PATH=/bin', 'A=b c', 'EMPTY='], 'WorkingDir': '/srv',
          'User': 'web:staff', 'ExposedPorts': {'8080/tcp': {}, '53/udp': {}}, 'Volumes': {'/vol/data': {}},
          'Labels': {'org.example': 'yes', 'b': ''}, 'StopSignal': 'SIGINT'}


def facts_of(root):
    """What is below a directory: path -> type, mode, content or target."""
    out = {}
    for at, dirs, files in os.walk(root):
        for name in dirs + files:
            path = os.path.join(at, name)
            st = os.lstat(path)
            kind = st.st_mode & 0o170000
            what = os.readlink(path) if kind == 0o120000 else ''
            if kind == 0o100000:
                with open(path, 'rb') as f:
                    what = sha(f.read())
            out['/' + os.path.relpath(path, root)] = (oct(st.st_mode) if kind != 0o120000 else 'link', what, st.st_uid, st.st_gid)
    return out


def root_of(image, work):
    """The image's root, unpacked by fsck.erofs."""
    info = json.loads(run(ALCOVE, 'inspect', '--json', image))
    data = open(image, 'rb').read()
    at = data.rindex(b'ALCOVEIM')
    offset, size = (int.from_bytes(data[at + k:at + k + 8], 'little') for k in (40, 48))
    with open(f'{work}/root.erofs', 'wb') as f:
        f.write(data[at + offset:at + offset + size])
    shutil.rmtree(f'{work}/unpacked', ignore_errors=True)
    run('fsck.erofs', f'--extract={work}/unpacked', '--preserve', f'{work}/root.erofs')
    return info, facts_of(f'{work}/unpacked')


def build(source, out, *args, env=None):
    return subprocess.run([ALCOVE, 'build', '--oci', source, '-o', out, *args], stdout=subprocess.PIPE,
                          stderr=subprocess.PIPE, text=True, env=env)


# What alcove adds for a program to find.
OURS = {'/proc', '/sys', '/dev', '/tmp', '/run', '/var', '/var/tmp', '/var/run', '/root', '/mnt', '/vol', '/vol/data',
        '/etc/hostname', '/etc/mtab', '/etc/hosts', '/etc/nsswitch.conf'}


def test_forms(work, program):
    oci = layout(f'{work}/oci', sample(program), CONFIG, packing=('tar', 'gzip'))   # umoci knows no zstd
    r = build(f'{oci}:latest', f'{work}/a.elf')
    check(r.returncode == 0, f'an OCI layout is packed: {r.stderr}')
    info, got = root_of(f'{work}/a.elf', work)
    run('umoci', 'unpack', '--image', f'{oci}:latest', f'{work}/bundle')
    want = facts_of(f'{work}/bundle/rootfs')
    for path in sorted(set(want) | set(got)):
        if path in want:
            if path == '/setuid':   # fsck.erofs sets the owner after the mode
                nid = int(run('dump.erofs', f'--path={path}', f'{work}/root.erofs').split('NID:')[1].split()[0])
                data = open(f'{work}/root.erofs', 'rb').read()
                at = int.from_bytes(data[1064:1068], 'little') * 4096 + nid * 32
                check(int.from_bytes(data[at + 4:at + 6], 'little') == 0o104755, 'setuid bit')
                continue
            check(got.get(path) == want[path], f'{path}: {got.get(path)}, umoci has {want[path]}')
        else:
            check(path in OURS, f'{path} was not in the container image')
    check(info['argv'] == ['tool', '--flag', 'from cmd'], f"arguments {info['argv']}")
    check(info['exe'] == '/bin/tool' and info['cwd'] == '/srv' and info['user'] == '101:50', f'{info}')
    check({'PATH=/bin', 'A=b c', 'EMPTY=', 'HOME=/srv'} <= set(info['env']), f"environment {info['env']}")
    check(info['ports'] == ['53/udp', '8080/tcp'] and info['volumes'] == ['/vol/data'], f'{info}')
    check(info['labels'] == ['b=', 'org.example=yes'], f'{info}')

    run('skopeo', 'copy', '--insecure-policy', f'oci:{oci}:latest', f'dir:{work}/dir')
    run('skopeo', 'copy', '--insecure-policy', f'oci:{oci}:latest', f'docker-archive:{work}/docker.tar:example/x:v1')
    run('skopeo', 'copy', '--insecure-policy', f'oci:{oci}:latest', f'oci-archive:{work}/oci.tar:latest')
    same = open(f'{work}/a.elf', 'rb').read()
    layout(f'{work}/zstd', sample(program), CONFIG, packing=('zstd',))
    for form in ('zstd', 'dir', 'docker.tar', 'docker.tar:v1', 'docker.tar:example/x:v1', 'oci.tar'):
        r = build(f'{work}/{form}', f'{work}/b.elf')
        check(r.returncode == 0 and open(f'{work}/b.elf', 'rb').read() == same, f'{form} gives the same bytes: {r.stderr}')
    r = build(oci, f'{work}/b.elf', '--format=elf', '--', 'other', 'words')
    r = subprocess.run([ALCOVE, 'build', '-e', 'A=z', '-u', '7:8', '-o', f'{work}/c.elf', '--oci', oci, '--', 'other', '-x'],
                       stderr=subprocess.PIPE, text=True, stdout=subprocess.DEVNULL)
    check(r.returncode == 0, r.stderr)
    info = json.loads(run(ALCOVE, 'inspect', '--json', f'{work}/c.elf'))
    check(info['argv'] == ['tool', '--flag', 'other', '-x'], f"arguments take CMD's place: {info['argv']}")
    check('A=z' in info['env'] and 'A=b c' not in info['env'] and info['user'] == '7:8', f'options win: {info}')
    return oci


def test_unprivileged(work, oci):
    """Another user, the same bytes."""
    os.chmod(work, 0o755)
    os.mkdir(f'{work}/u')
    os.chmod(f'{work}/u', 0o777)
    run('chmod', '-R', 'a+rX', oci)
    copy = f'{work}/u/alcove'
    shutil.copy(ALCOVE, copy)
    shutil.copy(os.environ['ALCOVE_KERNEL'], f'{work}/u/kernel')
    os.chmod(f'{work}/u/kernel', 0o644)
    env = dict(os.environ, TMPDIR=f'{work}/u', ALCOVE_KERNEL=f'{work}/u/kernel')
    run('setpriv', '--reuid=65534', '--regid=65534', '--clear-groups', copy, 'build', '--oci', oci, '-o', f'{work}/u/b.elf',
        env=env)
    check(open(f'{work}/u/b.elf', 'rb').read() == open(f'{work}/a.elf', 'rb').read(), 'an unprivileged user gets the same bytes')


HOSTILE = {
    'dotdot': ([member('../evil', data=b'x')], 'leaves the image'),
    'dotdot-inside': ([member('a', DIR), member('a/../../evil', data=b'x')], 'leaves the image'),
    'hardlink-out': ([member('evil', LINK, link='../../../etc/passwd')], 'leaves the image'),
    'hardlink-absolute': ([member('evil', LINK, link='/etc/shadow')], 'no file of the image'),
    'hardlink-dir': ([member('d', DIR), member('evil', LINK, link='d')], 'no file of the image'),
    'below-file': ([member('f', data=b'x'), member('f/evil', data=b'x')], 'no directory'),
    'loop': ([member('a', SYM, link='b'), member('b', SYM, link='a'), member('a/evil', data=b'x')], 'no directory'),
    'long': ([member('x' * 300, data=b'x')], 'too long'),
}
# Taken, and kept inside.
HARMLESS = {
    'absolute': [member('/abs', data=b'x')],
    'symlink-out': [member('out', SYM, link='../../../../../..'), member('out/escaped', data=b'x')],
    'symlink-absolute': [member('out', SYM, link='{outside}'), member('out/escaped', data=b'x')],
    'symlink-then-file': [member('out', SYM, link='{outside}/target'), member('out', data=b'mine')],
    'whiteout-outside': [member('out', SYM, link='{outside}'), member('out/.wh.target')],
    'device': [member('dev/null', tarfile.CHRTYPE), member('fifo', tarfile.FIFOTYPE)],
}


def test_hostile(work, program):
    outside = f'{work}/outside'
    os.mkdir(outside)
    with open(f'{outside}/target', 'w') as f:
        f.write('untouched')
    good = [member('tool', data=program, mode=0o755)]
    config = {'Entrypoint': ['/tool']}
    for name, (members, text) in HOSTILE.items():
        oci = layout(f'{work}/h-{name}', [layer(good + members)], config)
        r = build(oci, f'{work}/h.elf')
        check(r.returncode == 1 and text in r.stderr and r.stderr.count('\n') == 1, f'{name}: {r.returncode} {r.stderr}')
        check(not os.path.exists(f'{work}/h.elf'), f'{name}: no image is left')
    for name, members in HARMLESS.items():
        for info, _ in members:
            info.linkname = info.linkname.replace('{outside}', outside)
        oci = layout(f'{work}/g-{name}', [layer(good + members)], config)
        r = build(oci, f'{work}/g.elf')
        check(r.returncode == 0, f'{name}: {r.stderr}')
        check(os.listdir(outside) == ['target'] and open(f'{outside}/target').read() == 'untouched', f'{name}: nothing escapes')
    check(not os.path.exists('/escaped'), 'nothing escapes to the root')

    oci = layout(f'{work}/digest', [layer(good)], config, break_digest=True)
    check('not what its image says' in build(oci, f'{work}/h.elf').stderr, 'a wrong diff id is refused')
    oci = layout(f'{work}/flip', [layer(good)], config, packing=('gzip',))
    blobs = f'{oci}/blobs/sha256'
    largest = max(os.listdir(blobs), key=lambda b: os.path.getsize(f'{blobs}/{b}'))
    data = bytearray(open(f'{blobs}/{largest}', 'rb').read())
    for at in range(0, len(data), max(1, len(data) // 30)):
        changed = bytearray(data)
        changed[at] ^= 1
        open(f'{blobs}/{largest}', 'wb').write(changed)
        r = build(oci, f'{work}/h.elf')
        check(r.returncode == 1 and r.stderr.count('\n') == 1, f'a changed byte at {at}: {r.stderr}')
        open(f'{blobs}/{largest}', 'wb').write(data[:at])
        r = build(oci, f'{work}/h.elf')
        check(r.returncode == 1 and r.stderr.count('\n') == 1, f'cut at {at}: {r.stderr}')
    for text, source in (('No such file', 'nowhere'), ('not a container image', '.')):
        os.makedirs(f'{work}/empty', exist_ok=True)
        r = subprocess.run([ALCOVE, 'build', '--oci', source, '-o', 'h.elf'], cwd=f'{work}/empty', stderr=subprocess.PIPE, text=True)
        check(r.returncode == 1 and text in r.stderr and r.stderr.count('\n') == 1, f'{source}: {r.stderr}')


def main():
    with tempfile.TemporaryDirectory() as work:
        with open(f'{work}/tool.c', 'w') as f:
            f.write('int main(void) { return 0; }')
        run('gcc', '-O', '-static', '-s', '-o', f'{work}/tool', f'{work}/tool.c')
        with open(f'{work}/tool', 'rb') as f:
            program = f.read()
        oci = test_forms(work, program)
        if os.geteuid() == 0:
            test_unprivileged(work, oci)
        test_hostile(work, program)
    print(f'{checks} checks, {len(failures)} failed')
    sys.exit(bool(failures))


main()
