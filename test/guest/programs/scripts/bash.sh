# SPDX-License-Identifier: MIT
# What bash has of its own.
echo '== arrays'
a=(one 'two words' three); a+=(four); echo ${#a[@]} "${a[1]}" "${a[@]:1:2}" ${!a[@]}
declare -A m=([x]=1 [y]=2); for k in $(printf '%s\n' "${!m[@]}" | sort); do echo $k=${m[$k]}; done
mapfile -t lines < <(seq 5); echo ${lines[*]}
echo '== process substitution'
diff <(seq 1 5) <(seq 1 2 5); paste <(seq 3) <(seq 4 6)
seq 5 | tee >(wc -l >count) >/dev/null; until [ -s count ]; do sleep 0.1; done; cat count
while read -r x; do s+=$x; done < <(seq 9); echo $s
echo '== conditionals'
[[ abc == a* && 5 -lt 10 && foobar =~ ^(foo)(bar)$ ]] && echo ${BASH_REMATCH[1]}-${BASH_REMATCH[2]}
((x = 5, x *= 3)); echo $x; for ((i = 0; i < 3; i++)); do echo -n $i; done; echo
printf -v out '%03d' 7; echo $out ${out/0/o} ${out^^} {1..5} {a..e..2}
echo '== here-strings'
read -r x y <<<"hello big world"; echo "$y"; cat <<<"$(seq 3)"
echo '== pipestatus'
set -o pipefail; false | true; echo $?; set +o pipefail; (exit 3) | (exit 4) | true; echo ${PIPESTATUS[@]}
shopt -s lastpipe; echo last | read -r z; echo $z
echo '== coproc'
coproc CAT { cat; }; echo through >&${CAT[1]}; read -r l <&${CAT[0]}; echo $l; kill $CAT_PID; wait $CAT_PID 2>/dev/null; echo $?
echo '== job control'
set -m
sleep 50 & sleep 60 &
jobs | sed 's/^\(.\{6\}\)/\1/'
kill %1; wait %1 2>/dev/null; echo $?
kill -STOP %2; until jobs -s | grep -q .; do sleep 0.1; done; jobs %2
kill -CONT %2; until jobs -r | grep -q .; do sleep 0.1; done; jobs -r | wc -l; kill %2; wait %2 2>/dev/null; echo $?; jobs | wc -l
(sleep 0.2; exit 7) & fg >/dev/null; echo $?
set +m
echo '== wait -n'
(sleep 0.1; exit 3) & (sleep 3; exit 4) & wait -n; echo $?; kill %2 2>/dev/null; wait 2>/dev/null
echo '== traps'
f() { trap 'echo return' RETURN; echo in f; }; f
(set -e; trap 'echo err' ERR; false; echo not reached); echo $?
(trap 'echo debug' DEBUG; true)
echo '== loop'
n=0; for i in {1..1000}; do n=$((n + $(echo $i))); done; echo $n
for i in {1..100}; do /bin/true; done; echo $?
echo '== limits'
(ulimit -n 20; ulimit -n); (ulimit -Sc 0; ulimit -c)
(ulimit -f 1; head -c 4096 /dev/zero >big) 2>/dev/null; echo $?; stat -c %s big
{ (ulimit -t 1; while :; do :; done); r=$?; } 2>/dev/null; echo $r
echo '== builtins'
type -t cd ls if f nothing; hash -r; printf '%q\n' 'a b'; getopts ab: o -b x; echo $o $OPTARG; umask -S
times | wc -l; [ $SECONDS -ge 0 ] && [ $RANDOM -ge 0 ] && [ $$ = $BASHPID ] && echo ok; (echo $((BASHPID != $$)))
exec 9<>/dev/null; ls -l /proc/self/fd/9 | sed 's/.* -> //'; exec {fd}</dev/null; [ $fd -ge 10 ] && echo fd
{ time -p true; } 2>&1 | tr -d 0-9.; echo $BASH_VERSION
