# SPDX-License-Identifier: MIT
# What any POSIX shell does: run by dash and by bash. "== NAME" begins a section, which is compared on its own.
echo '== pipelines'
printf '%s\n' c a b | sort | tr a-z A-Z | cat -n
false | true; echo $?
! true | false; echo $?
seq 1 2000 | while read -r n; do [ $((n % 500)) = 0 ] && echo "$n"; done
yes | head -n 3
(echo out; echo err >&2) 2>&1 | sort
echo '== here-documents'
x=value
cat <<END
one $x $((1 + 2)) $(echo sub)
END
cat <<'END'
one $x $((1 + 2))
END
cat <<-END | tr a-z A-Z
	tabs go
	END
seq 1 20000 >many
{ cat many; echo END-OF; } | wc
wc -c <<END
$(cat many)
END
echo '== redirections'
exec 3>file; echo three >&3; exec 3>&-; cat file
exec 4<file; read -r l <&4; echo "$l"; exec 4<&-
{ echo a; echo b >&2; } >both 2>&1; cat both
echo more >>file; wc -l <file
: >empty; test -s empty; echo $?
cat <>file | head -n 1
(exec >/dev/null; echo unseen)
echo noclobber >file; set -C; (echo x >file) 2>/dev/null; echo $?; set +C
echo '== substitution'
n=0; i=0
while [ $i -lt 1000 ]; do r=$(echo $i); n=$((n + r)); i=$((i + 1)); done; echo $n
echo "$(printf 'a\n\n\n')" "$(echo "$(echo "$(echo deep)")")" `echo back`
echo '== expansion'
set -- 'a b' c ''; echo $# "$@" $*; for a; do echo "<$a>"; done
v=/usr/local/lib/file.tar.gz; echo ${v##*/} ${v%.*} ${v%%.*} ${v#*/} ${#v} ${none:-default} ${v:+set}
IFS=:; set -- a:b::c; set -- $1; echo $#; unset IFS
touch g1.x g2.x g3.y; echo g*.x g?.[!x] nomatch*
echo $((7 / 2)) $((-7 % 3)) $((1 << 20)) $((0x1f ^ 3)) $((n > 5 ? 1 : 2))
case abc in a?d) echo no;; [a-c]*) echo yes;; esac
echo '== functions'
f() { local y; y=$1; [ "$y" -le 1 ] && { echo 1; return 0; }; echo $((y * $(f $((y - 1))))); }
f 10
g() { return 7; }; g; echo $?
(exit 3); echo $?
{ sh -c 'kill -9 $$'; r=$?; } 2>/dev/null; echo $r
sh -c 'exit 300'; echo $?
/nowhere/program 2>/dev/null; echo $?
touch notexec; ./notexec 2>/dev/null; echo $?
echo '== traps'
trap 'echo usr1' USR1; kill -USR1 $$; echo after
trap 'echo exit in subshell' EXIT; trap - EXIT
(trap 'echo subexit' EXIT; exit 4); echo $?
(trap 'echo int; exit 5' INT; kill -INT $(exec sh -c 'echo $PPID')); echo $?
trap '' TERM; kill -TERM $$; echo survived; trap - TERM
sh -c 'trap "echo parent told; exit 6" USR2; (sleep 0.2; kill -USR2 $$) & wait; echo not reached'; echo $?
echo '== background'
for i in 1 2 3 4 5 6 7 8; do (exit $i) & done
wait; echo $?
sh -c 'exit 9' & wait $!; echo $?
sleep 100 & p=$!; kill $p; wait $p 2>/dev/null; echo $?
mkfifo fifo; (for i in 1 2 3; do echo line $i; done >fifo) & while read -r l; do echo got $l; done <fifo; wait
i=0; while [ $i -lt 50 ]; do true & i=$((i + 1)); done; wait; echo reaped
echo '== files'
mkdir -p d/e/f; cd d/e; pwd | sed "s,^.*/d,d,"; cd - >/dev/null
umask 027; touch u; mkdir ud; ls -ld u ud | cut -c1-10; umask 022
[ -d d ] && [ ! -e nothing ] && [ -f u ] && [ u -nt nothing ] && echo tests
ln -s u link; [ -L link ] && readlink link
read -r a b <<END
first rest of line
END
echo "$a|$b"
printf '%5d|%-5s|%x|%o|%c\n' 42 ab 255 8 z
echo '== exec'
exec sh -c 'echo replaced $0 $1; exit 8' name arg
