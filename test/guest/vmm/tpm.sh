# Runs in the guest: what a program with a TPM does, by Debian's tpm2-tools. Its output is compared by tpm.py.
set -e
cd /tmp
export TPM2TOOLS_TCTI=device:/dev/tpmrm0
echo "random: $(tpm2 getrandom --hex 16 | wc -c)"
tpm2 pcrextend 16:sha256=0000000000000000000000000000000000000000000000000000000000000001
tpm2 pcrread sha256:16
tpm2 createprimary -Q -C e -c parent.ctx
tpm2 create -Q -C parent.ctx -u key.pub -r key.priv
tpm2 load -Q -C parent.ctx -u key.pub -r key.priv -c key.ctx
echo "objects of others: $(tpm2 getcap handles-transient)"
tpm2 startauthsession --policy-session -S session.ctx
tpm2 policypcr -Q -S session.ctx -l sha256:16 -L policy
tpm2 flushcontext session.ctx
printf secret >in
tpm2 create -Q -C parent.ctx -i in -u sealed.pub -r sealed.priv -L policy
tpm2 load -Q -C parent.ctx -u sealed.pub -r sealed.priv -c sealed.ctx
echo "unsealed: $(tpm2 unseal -c sealed.ctx -p pcr:sha256:16)"
tpm2 pcrextend 16:sha256=0000000000000000000000000000000000000000000000000000000000000002
if tpm2 unseal -c sealed.ctx -p pcr:sha256:16 2>/dev/null; then echo "unsealed though the register has changed"; fi
tpm2 createek -Q -c ek.ctx -G rsa -u ek.pub
tpm2 createak -Q -C ek.ctx -c ak.ctx -G rsa -s rsassa -g sha256 -u ak.pem -f pem
tpm2 quote -Q -c ak.ctx -l sha256:16 -q 616c636f7665 -m message -s signature -o pcrs -g sha256
exec 3<>/dev/tpm0
if (exec 4<>/dev/tpm0) 2>second; then
    echo "two have /dev/tpm0 open"
    exit 1
fi
read -r said <second
echo "the second one: $said"
for f in ak.pem message signature pcrs; do echo "file $f $(base64 -w0 $f)"; done
echo done
