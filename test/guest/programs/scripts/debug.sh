# SPDX-License-Identifier: MIT
# strace on ./traced and others. Addresses and numbers of processes are hidden; so are calls that depend on the file system or on timing.
hide='trace=!brk,newfstatat,futex,prlimit64,readlink,readlinkat,getrandom'
plain() { sed -E 's/0x[0-9a-f]{3,}/PTR/g; s/\b[0-9]{2,}\b/N/g; s/ += / = /; s/^N +/N /; /SIGCHLD/d' "$@"; }
echo '== strace -c'
strace -f -c -e "$hide" -o out ./traced >/dev/null; echo $?; awk '$1 ~ /^[0-9.]+$/ { print $NF }' out | sort
echo '== strace -ff'
strace -ff -e "$hide" -o log ./traced >/dev/null; echo $?
for f in $(ls log.* | sort -t. -k2n); do echo '-- one'; plain "$f"; done
echo '== strace of signals and a kill'
strace -f -o out -e trace=kill -e signal=all sh -c 'kill -9 $$'; echo $?; plain out
strace -o out -e trace=alarm -e signal=SIGALRM timeout 1 sleep 5; echo $?
echo '== attach'
sleep 100 & pid=$!; sleep 1; timeout -s INT 3 strace -p $pid -o out 2>&1 | plain; kill $pid; plain out
echo '== strace and failures'
strace -e inject=write:error=ENOSPC -o out ./traced child; echo $?; grep -c INJECTED out
