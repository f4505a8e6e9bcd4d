# Runs in the guest: the firmware's log, read by Debian's tpm2_eventlog, and the registers as files and by a command.
set -e
export TPM2TOOLS_TCTI=device:/dev/tpmrm0
log=/sys/kernel/security/tpm0/binary_bios_measurements
echo "version: $(cat /sys/class/tpm/tpm0/tpm_version_major)"
echo "classes: $(echo /sys/class/tpm/* /sys/class/tpmrm/*)"
echo "dev: $(cat /sys/class/tpm/tpm0/dev) $(cat /sys/class/tpmrm/tpmrm0/dev)"
echo "mount: $(grep -c ' /sys/kernel/security securityfs ' /proc/mounts)"
for i in 0 1 2 3 4 5 6 7 8 9 10 11; do
    echo "file $i $(cat /sys/class/tpm/tpm0/pcr-sha256/$i)"
done
tpm2 pcrread sha256:0,1,2,3,4,5,6,7,8,9,10,11
tpm2 eventlog $log >/tmp/said
sed -n '/^pcrs:/,$p' /tmp/said
base64 -w0 $log
echo
echo done
