# SPDX-License-Identifier: MIT
# Every format by tools that are not ours. usage: formats.sh ALCOVE MINI STUB
ALCOVE_STUB=$(realpath "$3")
export ALCOVE_STUB
. "$(dirname "$0")/lib.sh"

check 'all formats' "$ALCOVE" build --format elf,efi,img,qcow2,vhd,gcp-tar /bin/true -o all
mkdir again
check 'all formats again' "$ALCOVE" build --format gcp-tar,vhd,qcow2,img,efi,elf /bin/true -o again/all
for f in elf efi img qcow2 vhd tar.gz; do
    check "same inputs, same bytes: $f" cmp all.$f again/all.$f
done

# The PE file.
check 'objdump reads app.efi' objdump -h all.efi
for section in .osrel .uname .sbat .linux .cmdline .initrd; do
    check "objcopy finds $section" objcopy -O binary --only-section=$section all.efi part$section
    check "$section is not empty" test -s part$section
done
check '.linux is the libOS' cmp part.linux "$ALCOVE_KERNEL"
check '.osrel has a name' grep -q '^PRETTY_NAME="Alcove .*/bin/true"$' part.osrel
check '.sbat is one' grep -q '^sbat,1,SBAT Version' part.sbat
check '.cmdline is the measured one' grep -q '^roothash=[0-9a-f]* .*-- /bin/true$' part.cmdline
check '.initrd begins with the root' fsck.erofs part.initrd
check 'a signature is taken' openssl req -x509 -newkey rsa:2048 -nodes -subj /CN=t -keyout key -out cert
check 'sbsign' sbsign --key key --cert cert --output signed.efi all.efi
check 'sbverify' sbverify --cert cert signed.efi
check 'inspect reads the signed file' "$ALCOVE" inspect signed.efi

# The disk.
sgdisk -v all.img >sgdisk.txt 2>&1
same 'sgdisk -v' 'No problems found.' "$(grep -o 'No problems found.' sgdisk.txt)"
same 'an ESP at 1 MiB' '1 2048 EF00' "$(sgdisk -p all.img | awk '$1 == 1 { print $1, $2, $6 }')"
dd if=all.img of=esp.img bs=1M skip=1 status=none
truncate -s "$(($(sgdisk -i 1 all.img | awk '/Partition size/ { print $3 }') * 512))" esp.img
check 'fsck.fat' fsck.fat -n esp.img
check 'mtools' mcopy -i all.img@@1M ::/EFI/BOOT/BOOTX64.EFI copy.efi
check 'the file on it' cmp copy.efi all.efi
check 'inspect reads the disk' "$ALCOVE" inspect all.img
check 'qemu-img check' qemu-img check -q all.qcow2
check 'qcow2 is the disk' qemu-img compare -q -f qcow2 -F raw all.qcow2 all.img
check 'vhd is the disk' qemu-img compare -q -f vpc -F raw all.vhd all.img
same 'whole MiBs and a footer' 512 "$(($(stat -c %s all.vhd) % 1048576))"
same 'a fixed disk' 'conectix 2' "$(tail -c 512 all.vhd | head -c 8) $(tail -c 449 all.vhd | head -c 1 | od -An -tu1 | tr -d ' ')"
check 'tar unpacks it' tar -xSzf all.tar.gz
same 'whole GiBs' 0 "$(($(stat -c %s disk.raw) % 1073741824))"
sgdisk -v disk.raw >sgdisk.txt 2>&1
same 'sgdisk -v of disk.raw' 'No problems found.' "$(grep -o 'No problems found.' sgdisk.txt)"
check 'the same partition' cmp -n "$(stat -c %s esp.img)" -i 1048576:0 disk.raw esp.img

# The OCI archive: skopeo and umoci take it, and what is in it is app.elf.
check 'oci' "$ALCOVE" build --format oci /bin/true -o all
check 'oci again' "$ALCOVE" build --format oci /bin/true -o again/all
check 'same inputs, same bytes: oci' cmp all.oci.tar again/all.oci.tar
check 'skopeo' skopeo copy --insecure-policy oci-archive:all.oci.tar oci:layout:latest
check 'umoci' umoci unpack --rootless --image layout:latest bundle
check 'the kernel in it' cmp bundle/rootfs/unikernel/app.elf all.elf
same 'its annotation' /unikernel/app.elf "$(skopeo inspect --raw oci-archive:all.oci.tar | jq -r '.annotations["com.urunc.unikernel.binary"]')"

# Damaged and unknown ones.
head -c 20000 all.efi >cut.efi
refused 1 'not an Alcove image|damaged' "$ALCOVE" inspect cut.efi
refused 1 'is not known; one or more of: elf, efi, img' "$ALCOVE" build -o bad --format elf,iso /bin/true
refused 1 'is not known' "$ALCOVE" build -o bad --format '' /bin/true
for f in elf efi img; do
    check "the name chooses $f" "$ALCOVE" build -o name.$f /bin/true
    check "name.$f" cmp name.$f all.$f
done
ALCOVE_STUB=/nonexistent refused 1 'UEFI stub' "$ALCOVE" build -o bad.efi /bin/true
finish
