# SPDX-License-Identifier: MIT
# Every program of coreutils, a section each; $LIST (from the packager) must hold no others.
printf '%s\n' c a b a >abc; seq 100 >seq; printf 'a\tb  c\n' >tabs; mkdir dir; echo in >dir/in
t() { echo "== $1"; done_="$done_ $1"; }
t '['; /usr/bin/[ a = a ] && echo yes; /usr/bin/[ 1 -gt 2 ]; echo $?
t arch; arch
for s in b2sum md5sum sha1sum sha224sum sha256sum sha384sum sha512sum; do
    t $s; $s seq >sums; cat sums; $s -c sums; $s nothing; echo $?
done
t md5sum.textutils; md5sum.textutils seq
t base32; base32 seq | tail -n 1; base32 seq | base32 -d | cmp - seq; echo '*' | base32 -d; echo $?
t base64; base64 -w 40 seq | tail -n 2; base64 seq | base64 -d | cmp - seq
t basenc; basenc --z85 abc; basenc --base16 abc
t basename; basename /a/b.c .c; basename -a x/y z/
t cat; cat -A tabs; cat -ns abc - <seq | tail -n 1; cat nothing; echo $?
t chcon; chcon x abc; echo $?
t chgrp; chgrp 5 abc; stat -c %g abc; chgrp -R 6 dir; stat -c %g dir/in
t chmod; chmod 4751 abc; stat -c %A abc; chmod u-s,a+w abc; chmod -v a-w abc; chmod -R go= dir; stat -c %a dir
t chown; chown 1:2 abc; stat -c %u:%g abc; chown -h 0:0 abc; chown nosuchuser abc; echo $?
t chroot; mkdir -p root; chroot root /bin/true; echo $?; chroot / /bin/echo in root
t cksum; cksum seq; cksum -a sha256 seq; cksum -a crc abc
t comm; seq 3 7 | comm - seq 2>/dev/null | head -n 3; printf '1\n2\n' >o; printf '2\n3\n' | comm -12 o -
t cp; cp -a dir dir2; ls dir2; cp --sparse=always -v seq copy; cmp seq copy; cp -l seq hard; stat -c %h seq; cp dir x; echo $?
t csplit; csplit seq 30 60; ls xx*; cat xx00 | tail -n 1
t cut; cut -d'	' -f2 tabs; cut -c1,3-4 tabs; echo a,b,c | cut -d, --complement -f2
t date; date -u -d @1000000000; date -d '2001-02-03 + 1 month' +%F-%j; date -r dir/none; echo $?; touch -d @5 five; date -r five +%s
t dd; dd if=seq of=dd bs=10 skip=2 count=3 2>&1 | head -n 2; cat dd; dd if=seq of=dd seek=100 conv=notrunc status=none; stat -c %s dd
t df; df --output=target / | tail -n 1; df nothing; echo $?
t dir; dir dir
t dircolors; dircolors -b | head -c 30; echo
t dirname; dirname /a/b/c x
t du; du -b seq; du -a --apparent-size -b dir/in
t echo; /bin/echo -e 'a\tb\c'; echo; /bin/echo -n x; echo
t env; env -i A=1 B=2 env; env -u HOME sh -c 'echo ${HOME-none}'; env -C dir ls; env nothing; echo $?
t expand; expand -t4 tabs
t expr; expr 7 \* 6; expr abc : 'a\(.\)'; expr 1 / 0; echo $?; expr length hello
t factor; factor 123456789012345678 97
t false; /bin/false; echo $?
t fmt; seq 30 | fmt -w 20
t fold; echo abcdefghij | fold -w 4
t groups; groups 0 2>&1 | head -n 1
t head; head -n 2 seq; head -c 5 seq; head -n -98 seq; head -q -n1 abc tabs
t hostid; hostid | wc -c
t id; id -u; id -g; id nosuchuser; echo $?
t install; install -m 700 -d inst/a; install -m 640 seq inst/a/s; stat -c %a inst/a inst/a/s
t join; printf 'a 1\nb 2\n' >j1; printf 'a x\nc y\n' >j2; join j1 j2; join -a1 -e- -o auto j1 j2
t link; link seq linked; stat -c %h linked
t ln; ln -s seq sym; readlink sym; ln -sf abc sym; readlink sym; ln seq sym; echo $?; ln -sr dir/in rel; readlink rel
t logname; logname >/dev/null 2>&1; echo $?
t ls; ls -a dir; ls -1U dir; ls -F dir sym; ls nothing; echo $?; ls -ld --time-style=+%s five | wc -w
t mkdir; mkdir -p p/q/r; mkdir p; echo $?; mkdir -m 751 mode; stat -c %a mode
t mkfifo; mkfifo -m 600 ff; stat -c '%F %a' ff
t mknod; mknod nn p; stat -c %F nn; mknod null c 1 3; stat -c '%F %t %T' null
t mktemp; mktemp -u XXXXXX | wc -c; d=$(mktemp -d); [ -d "$d" ] && stat -c %a "$d"; rmdir "$d"
t mv; echo m >m1; mv m1 m2; cat m2; mv -n m2 seq; cat m2; mv m2 dir; ls dir; mv nothing x; echo $?; mv dir dir/sub; echo $?
t nice; echo $(($(nice -n 5 nice) - $(nice))); nice -n 5 sh -c 'exit 3'; echo $?
t nl; nl -ba tabs; nl -s: abc
t nohup; nohup sh -c 'kill -HUP $$; echo alive' 2>/dev/null
t nproc; nproc | grep -c '^[0-9]'; nproc --ignore=1000
t numfmt; numfmt --to=iec 123456789; numfmt --from=si 1.5M; numfmt x; echo $?
t od; od -c tabs; od -An -tx4 -N8 seq; od -Ad -td2 -j2 -N4 seq
t paste; paste -sd+ o; paste o abc
t pathchk; pathchk -p 'a b'; echo $?; pathchk ok; echo $?
t pinky; pinky -q 2>/dev/null | wc -l
t pr; pr -t -2 -l 5 seq | head -n 4
t printenv; printenv WHO; printenv nothing; echo $?
t printf; /usr/bin/printf '%5.2f|%q|%b\n' 3.14159 'a b' 'x\ty'
t ptx; echo 'one two' | ptx
t pwd; (cd /tmp && /bin/pwd)
t readlink; readlink -f rel | sed 's,.*/dir,dir,'; readlink seq; echo $?
t realpath; realpath --relative-to=. dir/../seq; realpath -e nothing; echo $?
t rm; touch r; rm -v r; rm r; echo $?; rm -rf p; rm dir2; echo $?; rm -rf dir2; ls dir2; rm -f nothing; echo $?
t rmdir; mkdir -p e/f; rmdir -p e/f; ls e; rmdir dir; echo $?
t runcon; runcon x true; echo $?
t seq; seq 5 -2 0; seq -s, 3; seq -w 9 11; seq 0.5 0.5 2
t shred; cp seq sh; shred -n 1 -u sh; ls sh; echo $?
t shuf; shuf seq | sort -n | cmp - seq; shuf -i 1-3 -n 5 -r | wc -l; shuf --random-source=seq -i 1-9 | tr '\n' ' '
t sleep; sleep 0.01; sleep x; echo $?
t sort; sort -u abc; sort -rn seq | head -n 1; sort -c abc; echo $?; printf '1K\n1M\n2\n' | sort -h; sort -S 32k --parallel=2 -T . seq -R | wc -l
t split; split -l 40 seq sp; ls sp*; split -n 3 -d seq sq; cat sq0* | cmp - seq; split -l 50 --filter='wc -l' seq
t stat; stat -c '%n %s %F %h' seq sym; stat -f -c %n .; stat nothing; echo $?
t stdbuf; stdbuf -oL echo buffered
t stty; stty -a </dev/null; echo $?
t sum; sum seq; sum -s seq
t sync; sync; sync seq; echo $?
t tac; tac abc; tac -s, -r tabs
t tail; tail -n 2 seq; tail -c 4 seq; tail -n +99 seq; (sleep 0.3; echo more >>grow) & echo g >grow; timeout 1.5 tail -f grow; wait
t tee; echo both | tee t1 t2; cat t2; echo app | tee -a t1 >/dev/null; cat t1; echo x | tee /nowhere/x; echo $?
t test; test -f seq -a -d dir && echo yes; test -x seq; echo $?; test seq -ef linked && echo same; test -t 0; echo $?
t timeout; timeout 0.2 sleep 10; echo $?; timeout -s KILL 0.2 sleep 10; echo $?; timeout 10 sh -c 'exit 4'; echo $?
t touch; touch -d '2001-01-01 00:00' tt; stat -c %Y tt; touch -r tt uu; stat -c %Y uu; touch -c none; ls none
t tr; tr a-z A-Z <abc; tr -d a <abc; tr -s '\n' x <abc; echo; tr -c 'a\n' . <abc
t true; /bin/true --help | head -n 1
t truncate; truncate -s 5 abc; cat abc; echo; truncate -s +10 abc; stat -c %s abc; truncate -s %8 abc; stat -c %s abc
t tsort; printf 'a b\nb c\n' | tsort; printf 'a b\nb a\n' | tsort; echo $?
t tty; tty; echo $?
t uname; uname -s; uname -m
t unexpand; expand tabs | unexpand -a
t uniq; printf 'a\na\nb\n' | uniq -c; printf 'a\nA\n' | uniq -i; sort seq | uniq -d
t unlink; unlink linked; ls linked; unlink dir; echo $?
t users; users | wc -w
t vdir; vdir -g --time-style=+ dir | wc -l
t wc; wc seq tabs; wc -L tabs; wc -c <seq; wc nothing; echo $?
t who; who /dev/null; echo $?
t whoami; whoami
t yes; yes no | head -n 2
echo '== all of them'
for p in $LIST; do case "$done_ " in *" $p "*) ;; *) echo "$p is not tested" ;; esac; done
