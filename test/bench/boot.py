# SPDX-License-Identifier: MIT
"""What boot costs and how large an image is: rows for run.py.

Instructions count from the first one of the image (not the firmware's) to a mark that the program sets before its first
output. Debian's QEMU has no SHA instructions; the rows "with SHA instructions" run a newer one, unpacked beside the build.
"""
import glob, os, shutil, struct, subprocess, sys, tempfile, time
import ulc

ICOUNT = ['-accel', 'tcg', '-icount', 'shift=0,sleep=off']
# The newer QEMU stops with "Bad icount read" unless each block is one instruction.
ICOUNT_NEWER = ['-accel', 'tcg,one-insn-per-tb=on', '-icount', 'shift=0,sleep=off']
COMMON = ['-seed', '1', '-rtc', 'base=2025-01-01T00:00:00,clock=vm', '-cpu', 'max', '-no-reboot', '-nodefaults', '-display',
          'none', '-no-user-config']
MICROVM = ['-M', 'microvm,acpi=on,rtc=on,pit=off,pic=off,x-option-roms=off']
OVMF = '/usr/share/OVMF/OVMF_CODE_4M.fd'
VARS = '/usr/share/OVMF/OVMF_VARS_4M.fd'
DEVICES = ['-netdev', 'user,id=n,restrict=on', '-device', 'virtio-net-device,netdev=n',
           '-blockdev', 'null-co,node-name=d,size=67108864,read-zeroes=on', '-device', 'virtio-blk-device,drive=d']
WAITS = ('vm_clock_init', 'wait_edge', 'good_edge', 'calibrate')


def run(*command, **kw):
    return subprocess.run(command, check=True, capture_output=True, text=True, **kw).stdout


def newer_qemu(cache):
    """QEMU from Debian's backports, unpacked in cache and nowhere else: (program, environment, arguments)."""
    root, packages = f'{cache}/root', ['qemu-system-x86', 'qemu-system-common', 'qemu-system-data']
    if not os.path.exists(f'{root}/usr/bin/qemu-system-x86_64'):
        targets = run('apt-get', 'indextargets', '--format', '$(REPO_URI) $(CODENAME)', 'Created-By: Packages').splitlines()
        uri = next((t.split()[0] for t in targets if t.endswith(' bookworm')), None)
        if not uri:
            sys.exit('bench: apt knows no Debian 12 to take the newer QEMU from')
        os.makedirs(f'{cache}/lists/partial', exist_ok=True)
        os.makedirs(f'{cache}/archives/partial', exist_ok=True)
        with open(f'{cache}/sources.list', 'w') as f:
            f.write(f'deb {uri} bookworm-backports main\n')
        apt = ['apt-get', '-qq', '-o', f'Dir::Etc::SourceList={cache}/sources.list', '-o', 'Dir::Etc::SourceParts=/dev/null',
               '-o', f'Dir::State::Lists={cache}/lists', '-o', f'Dir::Cache={cache}']
        run(*apt, 'update')
        run(*apt, 'download', *(p + '/bookworm-backports' for p in packages), cwd=cache)
        for deb in glob.glob(f'{cache}/*.deb'):
            run('dpkg-deb', '-x', deb, root)
    env = dict(os.environ, LD_LIBRARY_PATH=f'{root}/usr/lib/x86_64-linux-gnu')
    program = f'{root}/usr/bin/qemu-system-x86_64'
    missing = [line for line in run('ldd', program, env=env).splitlines() if 'not found' in line]
    if missing:
        sys.exit('bench: the newer QEMU lacks ' + ', '.join(m.split()[0] for m in missing))
    return program, env, ['-L', f'{root}/usr/share/qemu', '-L', '/usr/share/qemu', '-L', '/usr/share/seabios']


def entry_bytes(image):
    """The first bytes that run of an app.elf (its PVH entry) or app.efi."""
    d = open(image, 'rb').read()
    if d[:4] == b'\x7fELF':
        at, size = struct.unpack_from('<Q', d, 32)[0], 56
        heads = [struct.unpack_from('<IIQQQQQQ', d, at + size * i) for i in range(struct.unpack_from('<H', d, 56)[0])]
        note = next(h for h in heads if h[0] == 4)
        entry = struct.unpack_from('<I', d, note[2] + 16)[0]
        where = next(h[2] + entry - h[4] for h in heads if h[0] == 1 and h[4] <= entry < h[4] + h[5])
        return d[where:where + 16]
    pe = struct.unpack_from('<I', d, 0x3c)[0]
    entry = struct.unpack_from('<I', d, pe + 40)[0]
    table = pe + 24 + struct.unpack_from('<H', d, pe + 20)[0]
    for i in range(struct.unpack_from('<H', d, pe + 6)[0]):
        size, va, _, where = struct.unpack_from('<IIII', d, table + 40 * i + 8)
        if va <= entry < va + size:
            return d[where + entry - va:][:16]
    raise SystemExit(f'{image}: no entry')


def once(c):
    return ulc.insns(c) - (c['krepit'] - c['krepstart']) - (c['urepit'] - c['urepstart'])


class Boot:
    """Boots images of the same program, and says what it took."""

    def __init__(self, work, tool, cache):
        self.work, self.tool, self.cache, self.newer = work, tool, cache, None

    def image(self, name, *args):
        out = f'{self.work}/boot-{name}'
        run(self.tool, 'build', *args, '-o', out, f'{self.work}/hello')
        return out

    def cost(self, tag, image, args, sha=False, memory=512, cpus=1, prof=False):
        prefix, program, env, icount = f'{self.work}/boot-{tag}', 'qemu-system-x86_64', None, ICOUNT
        plugin = f'{self.work}/libulcount.so'
        if sha:
            self.newer = self.newer or newer_qemu(self.cache)
            program, env, more = self.newer
            args, icount, plugin = args + more, ICOUNT_NEWER, f'{self.work}/libulcount4.so'
            if '-M' in args and 'microvm' in args[args.index('-M') + 1]:
                args = args + ['-bios', 'qboot.rom']
        options = f'out={prefix}.bin,rep=on,from={entry_bytes(image).hex()}' + (f',prof={prefix}.prof' if prof else '')
        r = subprocess.run([program] + icount + COMMON + ['-smp', str(cpus), '-m', str(memory), '-kernel', image, '-serial',
                           f'file:{prefix}.txt', '-plugin', f'{plugin},{options}'] + args, env=env, timeout=600,
                           stdin=subprocess.DEVNULL, capture_output=True, text=True)
        marks = dict(reversed(ulc.load(prefix + '.bin')[1]))
        if r.returncode or 0xb0 not in marks or 0xfe not in marks:
            sys.exit(f'bench: {tag}: the guest did not come to its first output; {prefix}.txt; {r.stderr.strip()}')
        return once(marks[0xb0]) - once(marks[0xfe])

    def efi_cost(self, tag, sha):
        image = self.image('hello.efi', '--format', 'efi')
        shutil.copy(VARS, f'{self.work}/vars.fd')
        return self.cost(tag, image, ['-M', 'q35', '-drive', f'if=pflash,format=raw,unit=0,readonly=on,file={OVMF}',
                                      '-drive', f'if=pflash,format=raw,unit=1,file={self.work}/vars.fd'], sha)

    def busy(self, debug):
        """ns spent in loops that wait for a clock, of the boot that was run last with prof."""
        import bisect
        symbols = sorted((int(f[0], 16), f[2]) for f in (line.split() for line in run('nm', debug).splitlines())
                         if len(f) == 3 and f[1] in 'tT')
        at = [s[0] for s in symbols]
        rows = [(int(c), int(va, 16), int(n)) for c, va, n in
                (line.split() for line in open(f'{self.work}/boot-busy.prof'))]
        low = min(va for _, va, _ in rows if va >= 0xffffffff80000000) & ~0x1fffff
        total = 0
        for count, va, n in rows:
            if va >= 0xffffffff80000000:
                i = bisect.bisect(at, va - low + 0xffffffff80000000) - 1
                total += count * n if symbols[i][1].split('.')[0] in WAITS else 0
        return total

    def rows(self, debug):
        """(label, figure, at most)"""
        elf = self.image('hello.elf')
        plain = self.image('plain.elf', '--verity', 'off')
        sha = ', with SHA instructions'
        yield 'boot to first output', self.cost('elf', elf, MICROVM), 1.0e6
        yield 'boot to first output' + sha, self.cost('elf-sha', elf, MICROVM, sha=True), 1.0e6
        yield 'boot, --verity off', self.cost('plain', plain, MICROVM), 1.0e6
        yield 'boot, virtio-net and -blk', self.cost('devices', elf, MICROVM + DEVICES), 1.5e6
        yield 'boot, virtio-net and -blk' + sha, self.cost('devices-sha', elf, MICROVM + DEVICES, sha=True), 1.5e6
        one = self.cost('busy', plain, MICROVM, prof=True)
        yield 'boot, each further CPU', (self.cost('four', plain, MICROVM, cpus=4) - one) / 3, 6e4
        yield 'busy waits at boot, ns', self.busy(debug), 2e6
        yield 'boot of app.efi', self.efi_cost('efi', False), 3.0e6
        yield 'boot of app.efi' + sha, self.efi_cost('efi-sha', True), 3.0e6


# What the issue of each budget asks of libOS: the first has neither network nor disks yet.
LIBOS = (('small', 350), ('disk', 500), ('net', 500), ('full', 600))


def libos_sizes(kernel):
    """(label, bytes, at most) of each libOS, stripped."""
    for name, kib in LIBOS:
        path = kernel if name == 'full' else kernel.replace('.elf', f'-{name}.elf')
        yield f'libOS {name}, bytes', os.path.getsize(path), kib * 1024


def sizes(work, tool):
    """(label, bytes, at most): what an image has beyond the program's own file."""
    program = os.path.getsize(f'{work}/hello')
    for libos, _ in reversed(LIBOS):
        for name in ('elf', 'efi'):
            out = f'{work}/size.{name}'
            run(tool, 'build', '--libos', libos, '--format', name, '-o', out, f'{work}/hello')
            yield f'app.{name} less the program, libOS {libos}, bytes', os.path.getsize(out) - program, 600 * 1024


def oci_ratio(work, tool):
    """Wall and CPU time of building from an OCI layout against tar xz of its layer, alternated; the least of three each. The layer is
    a program and 100 MB of this machine's libraries, compressed as registries have it."""
    with tempfile.TemporaryDirectory(dir=work) as d:
        os.makedirs(f'{d}/tree/bin')
        shutil.copy(f'{work}/hello', f'{d}/tree/bin/hello')
        left = 100 << 20
        for i, f in enumerate(sorted(glob.glob('/usr/lib/x86_64-linux-gnu/*'))):
            if left > 0 and os.path.isfile(f) and not os.path.islink(f):
                os.makedirs(f'{d}/tree/{i // 50}', exist_ok=True)
                shutil.copy(f, f'{d}/tree/{i // 50}')
                left -= os.path.getsize(f)
        run('tar', '-C', f'{d}/tree', '-czf', f'{d}/layer.tar.gz', '.')
        write_layout(d)
        best = {'tar': (1e9, 1e9), 'build': (1e9, 1e9)}
        for _ in range(3):
            os.makedirs(f'{d}/out')
            for what, command in (('tar', ['tar', '-C', f'{d}/out', '-xzf', f'{d}/layer.tar.gz']),
                                  ('build', [tool, 'build', '--oci', f'{d}/oci', '-o', f'{d}/image.elf'])):
                wall, cpu = time.monotonic(), sum(os.times()[2:4])
                run(*command)
                now = time.monotonic() - wall, sum(os.times()[2:4]) - cpu
                best[what] = tuple(map(min, best[what], now))
            shutil.rmtree(f'{d}/out')
        return [b / t for b, t in zip(best['build'], best['tar'])]


def write_layout(d):
    """An OCI layout at d/oci with the one layer d/layer.tar.gz."""
    import gzip, hashlib, json
    os.makedirs(f'{d}/oci/blobs/sha256')

    def blob(kind, data):
        digest = hashlib.sha256(data).hexdigest()
        with open(f'{d}/oci/blobs/sha256/{digest}', 'wb') as f:
            f.write(data)
        return {'mediaType': f'application/vnd.oci.image.{kind}', 'digest': f'sha256:{digest}', 'size': len(data)}

    packed = open(f'{d}/layer.tar.gz', 'rb').read()
    layer = blob('layer.v1.tar+gzip', packed)
    plain = hashlib.sha256(gzip.decompress(packed)).hexdigest()
    config = {'architecture': 'amd64', 'os': 'linux', 'config': {'Entrypoint': ['/bin/hello']},
              'rootfs': {'type': 'layers', 'diff_ids': [f'sha256:{plain}']}}
    manifest = {'schemaVersion': 2, 'mediaType': 'application/vnd.oci.image.manifest.v1+json',
                'config': blob('config.v1+json', json.dumps(config).encode()), 'layers': [layer]}
    index = {'schemaVersion': 2, 'manifests': [blob('manifest.v1+json', json.dumps(manifest).encode())]}
    open(f'{d}/oci/index.json', 'w').write(json.dumps(index))
    open(f'{d}/oci/oci-layout', 'w').write('{"imageLayoutVersion":"1.0.0"}')
