# SPDX-License-Identifier: MIT
# Programs that look after processes.
echo '== setpriv'
setpriv --reuid 1000 --regid 1000 --clear-groups id -u; setpriv --no-new-privs true; echo $?
setpriv --reuid 1000 --regid 1000 --clear-groups --inh-caps=-all sh -c 'kill -0 1 2>/dev/null; echo $?; cat /etc/shadow 2>/dev/null; echo $?'
setpriv --bounding-set=-all --inh-caps=-all sh -c 'grep -E "Cap(Bnd|Inh)" /proc/self/status'
echo '== su'
su -s /bin/sh nobody -c 'id -un; pwd >/dev/null; echo $HOME'; su nobody -s /bin/sh -c 'exit 3'; echo $?
su nosuchuser; echo $?
echo '== timeout and nice'
timeout 0.2 sleep 9; echo $?; timeout -s INT 0.2 sh -c 'trap "exit 7" INT; sleep 1'; echo $?; nice -n 3 sh -c 'exit 2'; echo $?
echo '== ps'
sleep 31 & p=$!
ps -o comm=,args= -p $p; ps -o ppid= -p $p | grep -c "^ *$$\$"; ps -o stat=,nice= -p $p | cut -c1; ps -e -o pid= | grep -c .>/dev/null
ps aux | head -n 1; ps -ef | grep -c '[s]leep 31'; ps -o pid,comm -p 99999; echo $?; kill $p; wait $p 2>/dev/null
sh -c 'kill -STOP $$; exit 4' & p=$!; until ps -o stat= -p $p | grep -q T; do sleep 0.1; done; ps -o stat= -p $p | cut -c1; kill -CONT $p; wait $p; echo $?
echo '== top and free'
top -b -n 1 | head -n 7 | tail -n 1; top -b -n 1 -p $$ | tail -n 1 | awk '{print $NF}'
free -m | cut -d: -f1 | tail -n 2; vmstat 1 1 | head -n 1; uptime | grep -c 'load average'; pgrep -x nosuch; echo $?
echo '== session'
setsid sh -c 'ps -o sid= -p $$ | grep -c "^ *$$\$"'; setsid -w sh -c 'exit 9'; echo $?
echo '== script'
script -qec 'tty | sed s/[0-9]*$//; stty size; exit 5' /dev/null </dev/null | tr -d '\r'; echo typed | script -qc cat /dev/null | tr -d '\r' | sort -u | head -n 2
echo '== pidof and pmap'
sleep 32 & pidof sleep | grep -cw $!; pmap $! | head -n 1 | cut -d: -f2; kill $!; wait 2>/dev/null; pwdx $$ | cut -d: -f2 | tr -d ' '
