#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""blocks.py ALCOVE: three disks (virtio with ext4 mounted, virtio with a GPT, NVMe) as Debian's own tools show them: lsblk, blkid,
findmnt, df, iostat. What they have to say is what the host's blkid and sfdisk find in the same images, and what QEMU was told."""
import json
import os
import re
import subprocess
import sys
import tempfile
import threading

os.environ['PATH'] += ':/usr/sbin:/sbin'
MIB = 1 << 20

GUEST = r'''
import json, os, subprocess
def run(*c):
    r = subprocess.run(c, capture_output=True, text=True)
    return {'status': r.returncode, 'out': r.stdout, 'err': r.stderr}
with open('/data/file', 'wb') as f:
    f.write(bytes(3 << 20))
    os.fsync(f.fileno())
said = {
    'plain': run('lsblk'),
    'fs': run('lsblk', '-b', '-J', '-o', 'NAME,KNAME,MAJ:MIN,RM,SIZE,RO,TYPE,MOUNTPOINT,FSTYPE,LABEL,UUID,PARTUUID,PARTLABEL,PTTYPE'),
    'hw': run('lsblk', '-b', '-J', '-d', '-o', 'NAME,SERIAL,MODEL,VENDOR,TRAN,LOG-SEC,PHY-SEC,MIN-IO,OPT-IO,ROTA,SCHED,RQ-SIZE,RA,'
              'DISC-GRAN,DISC-MAX,WSAME,ALIGNMENT,HOTPLUG'),
    'one': run('lsblk', '-n', '-r', '-o', 'NAME,PKNAME,PATH', '/dev/vdb2'),
    'blkid': run('blkid', '-o', 'full'),
    'label': run('blkid', '-L', 'second'),
    'findmnt': run('findmnt', '-n', '-r', '-o', 'TARGET,SOURCE,FSTYPE,MAJ:MIN', '/data'),
    'uuid': run('findmnt', '-n', '-r', '-o', 'UUID,LABEL', '/dev/vda'),
    'df': run('df', '--output=source,fstype,size,target', '-B1', '/data'),
    'iostat': run('iostat', '-d', '-x', '-o', 'JSON'),
    'sizes': run('blockdev', '--getsize64', '--getss', '--getpbsz', '--getro', '/dev/vdb1'),
    'sysfs': {p: open('/sys/block/' + p).read() for p in ('vdb/vdb1/start', 'vdb/vdb1/partition', 'vdb/dev', 'vda/stat', 'vda/queue/write_cache')},
    'links': {p: os.path.realpath(p) for p in ('/sys/block/vda', '/sys/class/block/vdb2', '/sys/dev/block/254:18', '/sys/block/vdb/vdb2/subsystem')},
    'names': {p: sorted(os.listdir(p)) for p in ('/sys/block', '/sys/class/block', '/sys/dev/block')},
    'partitions': open('/proc/partitions').read(),
    'diskstats': open('/proc/diskstats').read(),
    'st_dev': os.stat('/data').st_dev == os.stat('/dev/vda').st_rdev,
}
print('SAID' + json.dumps(said))
'''


def run(*command, **more):
    r = subprocess.run(command, capture_output=True, text=True, **more)
    if r.returncode:
        sys.exit(f'{" ".join(command)}: status {r.returncode}\n{r.stdout[-2000:]}{r.stderr[-2000:]}')
    return r.stdout


def probe(image, offset, size):
    """What the host's blkid says of a part of an image."""
    out = run('blkid', '-p', '-o', 'export', '-O', str(offset), '-S', str(size), image)
    return dict(line.split('=', 1) for line in out.splitlines() if '=' in line)


def make(alcove):
    run(alcove, 'volume', 'create', 'data.img', '16M')
    with open('gpt.img', 'wb') as f:
        f.truncate(40 * MIB)
    run('sfdisk', '-q', 'gpt.img', input='label: gpt\nstart=2048,size=16384,name=one\nstart=20480,size=32768,name=two\n')
    run('mke2fs', '-q', '-F', '-t', 'ext4', '-L', 'second', '-E', f'offset={20480 * 512}', 'gpt.img', '16M')
    with open('nvme.img', 'wb') as f:
        f.truncate(8 * MIB)
    programs = ['lsblk', 'blkid', 'findmnt', 'df', 'iostat', 'blockdev']
    with_ = [a for p in programs for a in ('--with', run('sh', '-c', f'command -v {p}').strip())]
    run(alcove, 'build', '-v', 'SERIAL=alcove-vol0:/data', *with_, '-e', 'PATH=/usr/bin:/usr/sbin:/bin:/sbin', '/usr/bin/python3', '-c', GUEST,
        '-o', 'app.elf')


def boot():
    vm = subprocess.Popen(['qemu-system-x86_64', '-machine', 'q35', '-accel', 'tcg', '-cpu', 'max', '-m', '512M', '-nodefaults',
                           '-no-user-config', '-no-reboot', '-display', 'none', '-serial', 'stdio', '-kernel', 'app.elf', '-append', 'console=raw',
                           '-drive', 'if=none,id=a,format=raw,file=data.img', '-device', 'virtio-blk-pci,drive=a,serial=alcove-vol0,addr=4',
                           '-drive', 'if=none,id=b,format=raw,file=gpt.img,discard=unmap', '-device',
                           'virtio-blk-pci,drive=b,serial=parts,addr=5,physical_block_size=4096,min_io_size=8192,opt_io_size=65536',
                           '-drive', 'if=none,id=c,format=raw,file=nvme.img', '-device', 'nvme,drive=c,serial=n-1,addr=6'],
                          stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
    timer = threading.Timer(300, vm.kill)
    timer.start()
    out = vm.stdout.read().decode(errors='replace')
    timer.cancel()
    vm.wait()
    m = re.search(r'SAID(\{.*\})', out)
    if not m or re.search(r'panic|WARNING', out):
        sys.exit(out[-3000:])
    return json.loads(m[1])


def same(what, got, want):
    if got != want:
        sys.exit(f'{what}:\n{got}\nand not\n{want}')


def check_tree(said):
    parts = json.loads(run('sfdisk', '-J', 'gpt.img'))['partitiontable']['partitions']
    ext4, second = probe('data.img', 0, 16 * MIB), probe('gpt.img', 20480 * 512, 16 * MIB)

    def row(name, number, size, kind, fs, mount=None, **more):
        return {'name': name, 'kname': name, 'maj:min': number, 'rm': False, 'size': size, 'ro': False, 'type': kind, 'mountpoint': mount,
                'fstype': fs.get('TYPE'), 'label': fs.get('LABEL'), 'uuid': fs.get('UUID'), 'partuuid': more.get('uuid', '').lower() or None,
                'partlabel': more.get('label'), 'pttype': more.get('pt')}
    rows = json.loads(said['fs']['out'])['blockdevices']
    vdb = row('vdb', '254:16', 40 * MIB, 'disk', {}, pt='gpt')
    vdb['children'] = [row('vdb1', '254:17', 8 * MIB, 'part', {}, uuid=parts[0]['uuid'], label='one'),
                       row('vdb2', '254:18', 16 * MIB, 'part', second, uuid=parts[1]['uuid'], label='two')]
    want = [row('vda', '254:0', 16 * MIB, 'disk', ext4, mount='/data'), vdb, row('nvme0n1', '259:0', 8 * MIB, 'disk', {})]
    for got, wanted in zip(rows, want):
        same('lsblk', got, wanted)
    same('lsblk', len(rows), 3)
    same('lsblk', said['plain']['out'].splitlines(), [
        'NAME    MAJ:MIN RM SIZE RO TYPE MOUNTPOINTS', 'vda     254:0    0  16M  0 disk /data', 'vdb     254:16   0  40M  0 disk ',
        '├─vdb1  254:17   0   8M  0 part ', '└─vdb2  254:18   0  16M  0 part ', 'nvme0n1 259:0    0   8M  0 disk '])
    same('blkid', {l.split(':')[0] for l in said['blkid']['out'].splitlines()}, {'/dev/vda', '/dev/vdb1', '/dev/vdb2'})
    same('blkid', f'UUID="{second["UUID"]}"' in said['blkid']['out'], True)
    same('blkid -L', said['label']['out'], '/dev/vdb2\n')
    same('findmnt', said['findmnt']['out'], '/data /dev/vda ext4 254:0\n')
    same('findmnt', said['uuid']['out'].split()[0], ext4['UUID'])


def check_facts(said):
    disks = {d['name']: d for d in json.loads(said['hw']['out'])['blockdevices']}
    same('vdb', [disks['vdb'][k] for k in ('serial', 'vendor', 'tran', 'log-sec', 'phy-sec', 'min-io', 'opt-io', 'rota', 'hotplug')],
         ['parts', '0x1af4', None, 512, 4096, 8192, 65536, True, False])
    same('nvme', [disks['nvme0n1'][k] for k in ('serial', 'model', 'tran', 'log-sec', 'rota')], ['n-1', 'QEMU NVMe Ctrl', 'nvme', 512, False])
    same('discard', disks['vdb']['disc-max'] > 0 and disks['vdb']['disc-gran'] >= 512, True)
    same('lsblk of one', said['one']['out'], 'vdb2 vdb /dev/vdb2\n')
    fields = said['df']['out'].splitlines()[1].split()
    same('df', [fields[0], fields[1], fields[3], 0 < int(fields[2]) <= 16 * MIB], ['/dev/vda', 'ext4', '/data', True])
    same('blockdev', said['sizes']['out'], f'{8 * MIB}\n512\n4096\n0\n')
    same('sysfs', [said['sysfs'][k].strip() for k in ('vdb/vdb1/start', 'vdb/vdb1/partition', 'vdb/dev', 'vda/queue/write_cache')],
         ['2048', '1', '254:16', 'write back'])
    virtual = '/sys/devices/virtual/block/'
    same('links', list(said['links'].values()), [virtual + 'vda', virtual + 'vdb/vdb2', virtual + 'vdb/vdb2', '/sys/class/block'])
    same('names', said['names'], {'/sys/block': ['nvme0n1', 'vda', 'vdb'], '/sys/class/block': ['nvme0n1', 'vda', 'vdb', 'vdb1', 'vdb2'],
                                  '/sys/dev/block': ['254:0', '254:16', '254:17', '254:18', '259:0']})
    same('st_dev', said['st_dev'], True)
    same('/proc/partitions', [l.split() for l in said['partitions'].splitlines()[2:]],
         [['254', '0', '16384', 'vda'], ['254', '16', '40960', 'vdb'], ['254', '17', '8192', 'vdb1'], ['254', '18', '16384', 'vdb2'],
          ['259', '0', '8192', 'nvme0n1']])


def check_numbers(said):
    stats = {l.split()[2]: [int(n) for n in l.split()[3:]] for l in said['diskstats'].splitlines()}
    same('/proc/diskstats', {len(v) for v in stats.values()}, {17})
    read, merged, sectors, read_ms, writes, _, written, write_ms, flying, busy_ms, queue_ms = stats['vda'][:11]
    same('numbers', [written >= 3 * 2048, writes > 0, read > 0 and sectors >= read, flying == 0, busy_ms > 0,
                     queue_ms >= write_ms + read_ms, stats['vdb2'][0] > 0, stats['vdb'][0] >= stats['vdb1'][0] + stats['vdb2'][0]], [True] * 8)
    same('stat', [len(said['sysfs']['vda/stat'].split()), int(said['sysfs']['vda/stat'].split()[6]) >= 3 * 2048], [17, True])
    disks = json.loads(said['iostat']['out'])['sysstat']['hosts'][0]['statistics'][0]['disk']
    vda = next(d for d in disks if d['disk_device'] == 'vda')
    same('iostat', sorted(d['disk_device'] for d in disks), ['nvme0n1', 'vda', 'vdb'])
    same('iostat', [vda['w/s'] > 0, vda['wkB/s'] > 0, 0 < vda['util'] <= 100], [True] * 3)


def main():
    alcove = os.path.abspath(sys.argv[1])
    with tempfile.TemporaryDirectory() as folder:
        os.chdir(folder)
        make(alcove)
        said = boot()
        check_tree(said)
        check_facts(said)
        check_numbers(said)
        os.chdir('/')
    print('lsblk, blkid, findmnt, df and iostat name the disks')


if __name__ == '__main__':
    main()
