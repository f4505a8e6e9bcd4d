# SPDX-License-Identifier: MIT
# alcove deploy: what is written, printed, run and refused. usage: deploy.sh ALCOVE MINI STUB
ALCOVE_STUB=$(realpath "$3")
export ALCOVE_STUB
. "$(dirname "$0")/lib.sh"

check 'images' "$ALCOVE" build --format elf,efi,img,qcow2,gcp-tar /bin/true -o my_App

# Clouds: the artefact is the one of --format, and the commands name it.
for cloud in gcp oci ibm alibaba; do
    check "$cloud" sh -c "'$ALCOVE' deploy my_App.img --cloud $cloud --bucket b1 >$cloud.txt 2>$cloud.err"
    same "$cloud: three commands" 3 "$(wc -l <$cloud.txt)"
    check "$cloud: a shell takes them" sh -n $cloud.txt
    check "$cloud: the bucket" grep -q b1 $cloud.txt
    check "$cloud: the name" grep -q 'my-app' $cloud.txt
done
check 'gcp takes a tar' cmp my-app.tar.gz my_App.tar.gz
check 'others take qcow2' cmp my-app.qcow2 my_App.qcow2
check 'app.efi does too' sh -c "'$ALCOVE' deploy my_App.efi --cloud ibm --bucket b1 --tdx 2>/dev/null >ibm.txt"
check 'a confidential machine' grep -q -- '--confidential-compute-mode tdx' ibm.txt
check 'the same disk' cmp my-app.qcow2 my_App.qcow2

# --run: the tool of the cloud gets the commands.
mkdir bin
printf '#!/bin/sh\necho "$@" >>%s/ran.txt\n' "$work" >bin/gcloud
chmod +x bin/gcloud
PATH=$work/bin:$PATH "$ALCOVE" deploy my_App.img --cloud gcp --bucket b1 --run >out.txt 2>err.txt
same '--run' "0 3" "$? $(wc -l <ran.txt)"
check 'with the words that were printed' sh -c "sed 's/^gcloud //' gcp.txt | cmp - ran.txt"
printf '#!/bin/sh\nexit 3\n' >bin/gcloud
PATH=$work/bin:$PATH "$ALCOVE" deploy my_App.img --cloud gcp --bucket b1 --run >out.txt 2>err.txt
same 'a command that fails' '1 deploy: this command failed' "$? $(sed -n 's/^alcove: \(deploy: this command failed\).*/\1/p' err.txt)"

# What is missing.
refused 1 'aws: needs a driver for ENA' "$ALCOVE" deploy my_App.img --cloud aws --bucket b
refused 1 'azure: needs drivers for VMBus' "$ALCOVE" deploy my_App.img --cloud azure --bucket b
refused 1 'gcp: needs a driver for gVNIC' "$ALCOVE" deploy my_App.img --cloud gcp --bucket b --snp
refused 1 'ibm: has no machines with SEV-SNP' "$ALCOVE" deploy my_App.img --cloud ibm --bucket b --snp
refused 1 'oci: is not installed; install the Oracle' "$ALCOVE" deploy my_App.img --cloud oci --bucket b --run
refused 1 'no bucket' "$ALCOVE" deploy my_App.img --cloud gcp
refused 1 'does not boot by UEFI' "$ALCOVE" deploy my_App.elf --cloud gcp --bucket b
refused 1 'is not known; one of: gcp' "$ALCOVE" deploy my_App.img --cloud moon --bucket b
refused 1 'where to' "$ALCOVE" deploy my_App.img
refused 1 'where to' "$ALCOVE" deploy my_App.img --libvirt --nomad
refused 1 'not an Alcove image' "$ALCOVE" deploy /bin/true --libvirt

# Engines.
for f in elf efi img; do
    check "libvirt, $f" sh -c "'$ALCOVE' deploy my_App.$f --libvirt --memory 1G --cpus 2 >$f.xml"
    check "libvirt's schema, $f" virt-xml-validate $f.xml domain
done
cp my_App.img "a & b'<.img"
check 'an odd name' sh -c "'$ALCOVE' deploy \"a & b'<.img\" --libvirt >odd.xml"
check 'in the schema' virt-xml-validate odd.xml domain
check 'nomad' sh -c "'$ALCOVE' deploy my_App.img --nomad --cpus 2 | jq -e '.Job.TaskGroups[0].Tasks[0] | .Driver == \"qemu\" and .Resources.Cores == 2'"
refused 1 'is not a disk' "$ALCOVE" deploy my_App.elf --nomad
check 'kubernetes' sh -c "'$ALCOVE' deploy my_App.img --kubernetes --memory 256M >pod.yaml"
check 'is a Pod that urunc runs' grep -q 'runtimeClassName: urunc' pod.yaml
check 'with its memory' grep -q 'memory: 256Mi' pod.yaml
# A root on a disk: the second disk goes along, or the command says that it cannot.
check 'a root on a disk' "$ALCOVE" build --format elf,img --root-disk the-root.img /bin/true -o far
check 'gcp' sh -c "'$ALCOVE' deploy far.img --cloud gcp --bucket b1 >far.txt 2>far.err"
same 'gcp: five commands' 5 "$(wc -l <far.txt)"
check 'a shell takes them' sh -n far.txt
check 'the second disk is uploaded, made and attached' sh -c "grep -q 'cp far-root.tar.gz gs://b1/far-root.tar.gz' far.txt &&
    grep -q 'images create far-root --source-uri=gs://b1/far-root.tar.gz' far.txt && grep -q 'instances create far .*--create-disk=image=far-root,' far.txt"
mkdir second
check 'its tar' tar -C second -xzf far-root.tar.gz
same 'a whole GiB' 1073741824 "$(stat -c %s second/disk.raw)"
check 'begins with the root' cmp -n "$(stat -c %s the-root.img)" the-root.img second/disk.raw
rm -rf second
refused 1 'far.img has its root on a second one' "$ALCOVE" deploy far.img --cloud ibm --bucket b1
refused 1 'has its root on a second disk' "$ALCOVE" deploy far.img --kubernetes
for f in elf img; do
    check "libvirt, $f" sh -c "'$ALCOVE' deploy far.$f --libvirt >far.xml"
    check 'in the schema' virt-xml-validate far.xml domain
    check 'with the disk' grep -q "<source file='$work/the-root.img'/>" far.xml
done
check 'nomad' sh -c "'$ALCOVE' deploy far.img --nomad | jq -e '.Job.TaskGroups[0].Tasks[0].Config.args | index(\"-drive\") as \$i | .[\$i + 1] == \"if=virtio,format=raw,readonly=on,file=$work/the-root.img\"'"
mv the-root.img moved.img
refused 1 'has the root of far.img' "$ALCOVE" deploy far.img --libvirt
check 'where it is now' sh -c "'$ALCOVE' deploy --root-disk moved.img far.img --libvirt | grep -q 'moved.img'"
refused 1 'has its root in itself' "$ALCOVE" deploy --root-disk moved.img my_App.img --libvirt

# Other VMMs: what they are started with, by the words that their documentation has.
refused 125 'firecracker: is not installed; install Firecracker' "$ALCOVE" run --vmm firecracker my_App.elf
refused 125 'cloud-hypervisor: is not installed' "$ALCOVE" run --vmm cloud-hypervisor my_App.elf
refused 125 "'xen' is not known; one of: qemu" "$ALCOVE" run --vmm xen my_App.elf
refused 125 'leave --machine' "$ALCOVE" run --vmm firecracker --machine pc my_App.elf
for vmm in firecracker cloud-hypervisor; do
    printf '#!/bin/sh\nfor a in "$@"; do echo "$a"; [ -f "$a" ] && case $a in *.json) cp "$a" %s/fc.json;; esac; done >%s/args.txt\nexit 0\n' \
        "$work" "$work" >bin/$vmm
    chmod +x bin/$vmm
    PATH=$work/bin:$PATH "$ALCOVE" run --vmm $vmm --cpus 2 --memory 256M my_App.elf >out.txt 2>err.txt
    same "$vmm" 0 $?
    [ $vmm = firecracker ] || cp args.txt ch.txt
done
same 'the configuration of Firecracker' "$work/my_App.elf console=raw 2 256" \
    "$(jq -r '"\(.["boot-source"].kernel_image_path) \(.["boot-source"].boot_args) \(.["machine-config"].vcpu_count) \(.["machine-config"].mem_size_mib)"' fc.json)"
same 'nothing else in it' '["boot-source","drives","machine-config"]' "$(jq -c keys fc.json)"
same 'the command line of Cloud Hypervisor' '--kernel my_App.elf --cmdline console=raw --cpus boot=2 --memory size=256M --serial tty --console off' \
    "$(tr '\n' ' ' <ch.txt | sed 's/ $//')"
# Their disks: volumes by their places, then the root's. No key can be asked for there.
"$ALCOVE" volume create d0.img 8M >/dev/null && "$ALCOVE" volume create d1.img 8M >/dev/null
for vmm in firecracker cloud-hypervisor; do
    PATH=$work/bin:$PATH "$ALCOVE" run --vmm $vmm --memory 256M -v d0.img:/a -v d1.img:/b:ro --root-disk r.img /bin/true >out.txt 2>err.txt
    same "$vmm with disks" 0 $?
done
same 'drives of Firecracker' "vol0 $work/d0.img false vol1 $work/d1.img true root $work/r.img true" \
    "$(jq -r '[.drives[] | "\(.drive_id) \(.path_on_host) \(.is_read_only)"] | join(" ")' fc.json)"
same 'disks of Cloud Hypervisor' "--disk path=$work/d0.img path=$work/d1.img,readonly=on path=$work/r.img,readonly=on" \
    "$(tr '\n' ' ' <args.txt | sed 's/.*\(--disk.*\) $/\1/')"
# A socket device: both serve it behind a path.
PATH=$work/bin:$PATH "$ALCOVE" run --vmm firecracker --vsock 7,socket=vs my_App.elf >out.txt 2>err.txt
same 'vsock of Firecracker' '{"guest_cid":7,"uds_path":"vs"}' "$(jq -c .vsock fc.json)"
PATH=$work/bin:$PATH "$ALCOVE" run --vmm cloud-hypervisor --vsock 7,socket=vs my_App.elf >out.txt 2>err.txt
same 'vsock of Cloud Hypervisor' '--vsock cid=7,socket=vs' "$(tr '\n' ' ' <args.txt | sed 's/.*\(--vsock.*\) $/\1/')"
refused 125 'write CID,socket=PATH' env PATH="$work/bin:$PATH" "$ALCOVE" run --vmm firecracker --vsock 7 my_App.elf
refused 125 "'2' is not CID" "$ALCOVE" run --vsock 2 /bin/true
refused 125 'add --vsock CID' "$ALCOVE" run --metrics 9100 /bin/true
refused 125 'is not vsock-stream:CID:PORT' "$ALCOVE" run --vsock 7 --notify vsock-stream:2 /bin/true
refused 125 'is not a port' "$ALCOVE" run --vsock 7 --metrics 91x /bin/true
refused 125 "'7,x' is not CID" "$ALCOVE" run --vsock 7,x /bin/true
check 'a root on a disk' test "$(stat -c %s r.img)" -gt 4096
echo secret >key.txt
refused 125 'has no channel for keys' env PATH="$work/bin:$PATH" "$ALCOVE" run --vmm firecracker -v d0.img:/a --key /a=file:key.txt /bin/true
refused 125 'needs UEFI' env PATH="$work/bin:$PATH" "$ALCOVE" run --vmm firecracker my_App.efi
finish
