# SPDX-License-Identifier: MIT
# Every applet that busybox lists. Those that need a device, a network or another machine are asked for their help.
# Run by busybox's own shell; the applets are called through links in ./bin, as busybox is installed.
/bin/busybox mkdir bin dir; /bin/busybox --install -s bin; PATH=$PWD/bin; export PATH
printf '%s\n' c a b a >abc; seq 100 >seq; printf 'a\tb  c\n' >tabs; echo in >dir/in; cp /bin/busybox /dev/null
done_=' '
t() { echo "== $1"; done_="$done_$1 "; }
t '['; bin/[ a = a ] && echo yes; t '[['; bin/[[ abc = a* ]]; echo $?
t ar; ar -r l.a seq abc 2>&1; ar -t l.a; ar -p l.a abc
t arch; arch; t ascii; ascii | head -n 3; t ash; ash -c 'echo ash $((6 * 7)); exit 3'; echo $?
t awk; awk '{ s += $1; a[NR % 3]++ } END { print s, a[0], a[1], length("héllo"), toupper("x"); exit 4 }' seq; echo $?
t base64; base64 seq | tail -n 1; base64 seq | base64 -d | cmp - seq; t basename; basename /a/b.c .c
t bc; echo '2^100; scale=5; 1/3; sqrt(2)' | bc; t dc; echo '3 4 + p' | dc
t bzip2; bzip2 -k seq; t bunzip2; bunzip2 -c seq.bz2 | cmp - seq; t bzcat; bzcat seq.bz2 | tail -n 1
t cal; cal 2 2000; t cat; cat -n abc; t chgrp; chgrp 5 abc; stat -c %g abc; t chmod; chmod 751 abc; stat -c %A abc
t chown; chown 0:0 abc; stat -c %u:%g abc; t chroot; mkdir -p root/bin; t chroot; chroot / /bin/busybox echo in
t clear; clear | od -c | head -n 1; t cmp; cmp abc seq; echo $?; t cp; cp -a dir dir2; ls dir2
t cpio; echo seq | cpio -o -H newc 2>/dev/null | cpio -t 2>/dev/null; t crc32; crc32 seq; 
t cut; cut -d'	' -f2 tabs; t date; date -u -d @1000000000; t dd; dd if=seq of=dd bs=10 count=2 2>/dev/null; wc -c dd
t df; df / | wc -l; t diff; diff abc seq | head -n 3; t dirname; dirname /a/b; t dmesg; dmesg --help 2>&1 | head -n 1
t dos2unix; printf 'a\r\n' >dos; dos2unix dos; od -c dos; t unix2dos; unix2dos dos; od -c dos
t du; du -s dir | wc -l; t echo; bin/echo -e 'a\tb'; t egrep; egrep -c '^(1|2)' seq; t fgrep; fgrep -n 10 seq; t grep; grep -o 'b *c' tabs
t env; env -i A=1 bin/env; t expand; expand tabs; t expr; expr 6 \* 7; t factor; factor 5040
t fallocate; fallocate -l 100 fa; wc -c fa; t false; bin/false; echo $?; t find; find dir -type f; t fold; echo abcdef | fold -w 4
t free; free | wc -l; t getopt; getopt ab: -b x -a rest; t groups; groups; t gzip; gzip -k seq; t gunzip; gunzip -c seq.gz | cmp - seq
t zcat; zcat seq.gz | head -n 1; t head; head -n 2 seq; t hexdump; hexdump -C tabs; t hostid; hostid | wc -c; t hostname; hostname | wc -l
t id; id -u; cp seq inst; t ionice; ionice true; echo $?; t ipcalc; ipcalc -n 10.1.2.3/8
t kill; sleep 9 & kill $!; wait $! 2>/dev/null; echo $?; t killall; sleep 0 & wait $!; killall nosuchprogram12; echo $?
t less; less seq | tail -n 1; t link; link seq linked; stat -c %h linked; t linux64; linux64 uname -m; t linux32; linux32 uname -m
t ln; ln -s seq sym; readlink sym; t ls; ls -F dir sym; t lzop; lzop -c seq | lzop -dc | cmp - seq
t lzma; xz -k seq 2>/dev/null; lzma --help 2>&1 | head -n 1; t md5sum; md5sum seq; t mkdir; mkdir -p p/q; t mkfifo; mkfifo ff; stat -c %F ff
t mkpasswd; mkpasswd -m md5 -S abcdefgh secret; t mknod; mknod nn p; stat -c %F nn; t mktemp; mktemp -u XXXXXX | wc -c
t more; more seq </dev/null | tail -n 1; t mv; mv dir2 dir3; ls -d dir3; t nl; nl abc; t nologin; nologin; echo $?
t nproc; nproc | wc -l; t nuke; touch nu; nuke nu; ls nu; t od; od -c tabs; t paste; paste abc abc; t patch
printf '%s\n' '--- abc' '+++ abc' '@@ -1,2 +1,2 @@' ' c' '-a' '+A' >pa; patch -p0 <pa; cat abc
t pidof; pidof nosuch; echo $?; t printf; bin/printf '%05d|%s\n' 42 x; t ps; ps | grep -c '[p]s$'; t pwd; cd dir; ../bin/pwd | sed 's,.*/,,'; cd ..
t readlink; readlink -f sym | sed 's,.*/,,'; t realpath; realpath sym | sed 's,.*/,,'; t renice; sleep 1 & renice -n 5 -p $!; echo $?; wait
t resume; resume 2>/dev/null; echo $?; t rev; rev tabs; t rm; touch r; rm r; ls r; t rmdir; rmdir p/q; ls p; t run-parts; mkdir rp; printf '#!/bin/sh\necho part\n' >rp/x
chmod +x rp/x; run-parts --test rp; t sed; sed -n 's/1/one/gp;5q' seq; t seq; seq -w 8 10; t setpriv; setpriv --dump | head -n 1
t setsid; setsid sh -c 'ps -o pid,sid | grep -c .' >/dev/null; echo $?; t sh; sh -c 'echo $0' zero; t sha1sum; sha1sum seq; t sha256sum; sha256sum seq
t sha3sum; sha3sum seq; t sha512sum; sha512sum seq; t shred; shred -n 1 -u inst; ls inst; t shuf; shuf seq | sort -n | cmp - seq
t sleep; sleep 0.01; t sort; sort -rn seq | head -n 1; sort -u abc; t start-stop-daemon; start-stop-daemon -K -n nosuch -t; echo $?
t stat; stat -c '%s %F' seq; t strings; strings tabs; t stty; stty </dev/null; echo $?; t sync; sync; t tac; tac abc; t tail; tail -n 2 seq
t tar; tar cf t.tar seq dir; tar tf t.tar; mkdir tx; tar xf t.tar -C tx; cmp tx/seq seq; tar czf t.tgz dir; tar tzf t.tgz
t taskset; taskset 1 true; echo $?; t tee; echo x | tee t1; cat t1; t test; bin/test -f seq; echo $?; t time; time -p true 2>&1 | tr -d 0-9.
t timeout; timeout 1 sleep 9; echo $?; t top; top -b -n 1 | head -n 1 | cut -c1-4; t touch; touch -d '2001-01-01 00:00:00' tt; stat -c %Y tt; t tr; tr a-z A-Z <abc
t true; bin/true; echo $?; t truncate; truncate -s 5 tr; wc -c tr; t ts; echo x | ts '%' | wc -l; t tty; tty; echo $?; t uname; uname -sm
t uncompress; uncompress --help 2>&1 | head -n 2 | tail -n 1; t unexpand; unexpand -a tabs; t uniq; sort abc | uniq -c; t unlink; unlink linked; ls linked
t unshare; unshare --help 2>&1 | head -n 2 | tail -n 1; t unzip; unzip -l nothing.zip 2>&1 | head -n 1; t uptime; uptime | wc -l; t usleep; usleep 100
t uuencode; uuencode seq name >uu; tail -n 2 uu; t uudecode; uudecode -o - uu | cmp - seq; t vi; printf 'dd:wq\n' | vi -c ':q' /dev/null >/dev/null 2>&1; echo $?
t watch; watch --help 2>&1 | head -n 2 | tail -n 1; t wc; wc seq; t which; which ls | sed 's,.*/bin,bin,'; t who; who | wc -l; t whoami; whoami; t w; w | wc -l
t xargs; seq 10 | xargs -n 4; find dir -type f -print0 | xargs -0 cat; t xxd; xxd -l 16 seq; xxd -p tabs | xxd -r -p | cmp - tabs
t xz; xz --help 2>&1 | head -n 1; t unxz; unxz --help 2>&1 | head -n 1; t yes; yes no | head -n 2; t mount; mount --help 2>&1 | wc -l; t sysctl; sysctl -n kernel.ostype
t hexdump; hexdump -C tabs; t logger; logger --help 2>&1 | wc -l; t mkdosfs; truncate -s 1M fat; mkdosfs fat; wc -c fat; t mke2fs; truncate -s 2M ext; mke2fs -F ext 2>&1 | wc -l
t mkswap; truncate -s 1M sw; mkswap sw 2>&1 | grep -c version; t fdisk; fdisk -l fat | wc -l; t blkid; blkid nothing; echo $?; t losetup; losetup --help 2>&1 | wc -l
t svok; svok dir; echo $?; t rpm; rpm -i nothing 2>&1 | wc -l; t telnet; telnet --help 2>&1 | wc -l
for a in $(/bin/busybox --list); do
    case $done_ in *" $a "*) ;; *) echo "== $a"; /bin/busybox "$a" --help 2>&1 | tail -n +2 | head -n 3 ;; esac
done
