# SPDX-License-Identifier: MIT
# Access control lists with Debian's tools.
umask 022
show() { getfacl -pn --omit-header "$@"; }
echo '== set and get'
echo text >f; chmod 640 f; setfacl -m u:1000:r,g:2000:rw f; echo $?; show f; stat -c %a f
ls -l f | cut -c1-11
setfacl -x u:1000 f; show f; setfacl -b f; show f; stat -c %a f
echo '== mask and chmod'
setfacl -m u:1000:rwx,m::r f; show f; chmod 660 f; show f; setfacl -m m::rwx f; show f
echo '== what they permit'
chmod 755 .; as() { u=$1; g=$2; shift 2; setpriv --reuid "$u" --regid "$g" --clear-groups sh -c "$*" 2>/dev/null; echo $?; }
setfacl -b f; chmod 600 f; as 1000 1000 cat f; setfacl -m u:1000:r f; as 1000 1000 cat f; as 1000 1000 'echo more >>f'
setfacl -m g:2000:rw f; as 1001 2000 'echo more >>f'; as 1001 1001 cat f; as 1000 1000 setfacl -m o::rw f
echo '== inheritance'
mkdir d; setfacl -d -m u:1000:rwx,g::rx,o::- d; show d; mkdir d/sub; touch d/file; show d/sub d/file; stat -c %a d/sub d/file
(umask 077; touch d/tight; stat -c %a d/tight); setfacl -k d; show d; touch d/plain; show d/plain
echo '== copies'
cp -p d/file copy; show copy; mv copy d/moved; show d/moved; setfacl --set-file=- f <<END
u::rw
u:5:r
g::-
m::r
o::-
END
show f; getfacl -pn f | setfacl --set-file=- d/plain; show d/plain; setfacl -R -m u:7:r d; show d/sub; getfacl -pnR d | grep -c user:7
echo '== errors'
setfacl -m u:1000:r nothere 2>/dev/null; echo $?; setfacl -d -m u:1000:r f 2>/dev/null; echo $?; setfacl -m x:1:r f 2>/dev/null; echo $?
