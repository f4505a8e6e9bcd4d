# SPDX-License-Identifier: MIT
"""Boot the device test on one machine, play the peers of its devices, and look at what it found. usage: run.py IMAGE MACHINE"""
import os
import re
import socket
import subprocess
import sys
import tempfile
import threading

MACHINES = {
    # name: (machine arguments, suffix of the devices' names, extra device properties)
    'microvm-v1': (['-M', 'microvm'], '-device', ''),
    'microvm-v2': (['-M', 'microvm', '-global', 'virtio-mmio.force-legacy=false'], '-device', ''),
    'microvm-noacpi': (['-M', 'microvm,acpi=off'], '-device', ''),
    'microvm-pci': (['-M', 'microvm,pcie=on'], '-pci', ',disable-legacy=on'),
    'q35': (['-M', 'q35'], '-pci', ',disable-legacy=on'),
    'q35-2cpus': (['-M', 'q35', '-smp', '2'], '-pci', ',disable-legacy=on'),
    # hostile-vmm: the second disk does without ACCESS_PLATFORM and is refused.
    'q35-hostile': (['-M', 'q35', '-append', 'hostile=1'], '-pci', ',disable-legacy=on,iommu_platform=on'),
    'pc': (['-M', 'pc', '-cpu', 'qemu64'], '-pci', ',disable-modern=on'),
}
DISK_BYTES, AREA, MANY = 16 << 20, 2048, 96  # as blk.c has them
MAC = '52:54:00:aa:bb:01'
TYPE_ECHO, TYPE_FLOOD = b'\x88\xb5', b'\x88\xb6'


class Peer(threading.Thread):
    """The other end of the wire: echoes frames, and floods when asked to."""

    def __init__(self, where):
        super().__init__(daemon=True)
        self.guest = os.path.join(where, 'guest')
        self.path = os.path.join(where, 'peer')
        self.sock = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self.sock.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 4 << 20)
        self.sock.bind(self.path)

    def run(self):
        try:
            self.serve()
        except OSError:
            pass  # the guest is gone

    def serve(self):
        while True:
            frame = self.sock.recv(65536)
            if frame[12:14] == TYPE_ECHO:
                self.sock.sendto(frame[6:12] + frame[:6] + frame[12:], self.guest)
            elif frame[12:14] == TYPE_FLOOD:
                for i in range(int.from_bytes(frame[14:18], 'little')):
                    self.sock.sendto(frame[6:12] + frame[:6] + TYPE_FLOOD + i.to_bytes(4, 'little') + bytes(40 + i % 1400), self.guest)


def main():
    image, name = sys.argv[1:3]
    machine, suffix, properties = MACHINES[name]
    with tempfile.TemporaryDirectory() as where:
        peer = Peer(where)
        peer.start()
        command = ['qemu-system-x86_64', '-accel', 'tcg', '-cpu', 'max', '-m', '64', '-nodefaults', '-display', 'none', '-serial', 'stdio',
                   '-no-reboot', '-kernel', image] + machine + [
            '-netdev', f'dgram,id=n0,local.type=unix,local.path={peer.guest},remote.type=unix,remote.path={peer.path}',
            '-device', f'virtio-net{suffix},netdev=n0,mac={MAC}{properties}']
        disk, read_only = os.path.join(where, 'disk'), os.path.join(where, 'ro')
        with open(disk, 'wb') as f:
            f.truncate(DISK_BYTES)
        with open(read_only, 'wb') as f:
            f.write(bytes([0x5a]) * 65536)
        command += ['-drive', f'id=d0,if=none,format=raw,file={disk},discard=unmap', '-device',
                    f'virtio-blk{suffix},drive=d0,serial=first-disk{properties}',
                    '-drive', f'id=d1,if=none,format=raw,readonly=on,file={read_only}', '-device', f'virtio-blk{suffix},drive=d1' + properties.replace(',iommu_platform=on', '')]
        command += ['-device', f'virtio-rng{suffix}{properties}']
        if suffix == '-pci':
            nvme = os.path.join(where, 'nvme')
            with open(nvme, 'wb') as f:
                f.truncate(DISK_BYTES)
            command += ['-drive', f'id=d2,if=none,format=raw,file={nvme}', '-device', 'nvme,drive=d2,serial=nvme-disk']
        print(' '.join(command))
        try:
            run = subprocess.run(command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, timeout=220)
            out, status = run.stdout.decode(errors='replace'), run.returncode
        except subprocess.TimeoutExpired as e:
            out, status = (e.stdout or b'').decode(errors='replace'), 'timeout'
        with open(disk, 'rb') as f:
            content = f.read()
    print(out)
    wanted = [f'net name=eth0 mac={MAC} mtu=1500 queues=1 link=1', 'errors=0', 'devices: PASSED',
              'sectors=32768 serial=first-disk block=512/512 ro=0 cache=1', 'first=5a write=-30']
    if name == 'q35-hostile':
        wanted[-1] = 'refused as it should be'
        out = out.replace('alcove: warning: virtio-blk at pci 00:03.0: cannot be used (error 1)', wanted[-1])
    if suffix == '-pci':
        wanted.append('blk name=nvme0n1 sectors=32768 serial=nvme-disk block=512/512 ro=0 cache=1')
    missing = [w for w in wanted if w not in out]
    for i in range(MANY * 8):
        sector = AREA + i
        expected = bytes(((7 + i) * 13 + i * 512 + k) & 255 for k in range(512))
        if content[sector * 512:(sector + 1) * 512] != expected:
            missing.append(f'sector {sector} of the disk')
            break
    if missing or status != 0 or re.search(r'panic|warning|error -?\d', out):
        print(f'missing {missing}, status {status}')
        return 1
    return 0


sys.exit(main())
