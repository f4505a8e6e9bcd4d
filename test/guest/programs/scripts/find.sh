# SPDX-License-Identifier: MIT
# find and xargs.
mkdir -p t/a/b t/c; i=0; while [ $i -lt 300 ]; do echo $i >t/a/f$i; i=$((i + 1)); done
touch -d 2001-01-01 t/c/old; ln -s ../a t/c/link; : >'t/c/with space'
echo '== find'
find t -type f | wc -l; find t -name 'f1?' | sort; find t -newer t/c/old -type d | sort; find t -size -1 | sort
find t -maxdepth 1 | sort; find -L t/c -name f7; find t -empty -print0 | sort -z | tr '\0' ';'; echo
find t -type l -printf '%p %l %y\n'; find t -perm -100 -type d | wc -l; find t -inum "$(stat -c %i t/c/old)"
echo '== xargs'
find t -type f -print0 | xargs -0 cat | wc -c
find t/a -name 'f*' | xargs -n 10 echo | wc -l; find t/a -name 'f2*' | sort | xargs -P 4 -n 5 sh -c 'exit 0'; echo $?
seq 10 | xargs -I N -P 3 sh -c 'echo N' | sort -n | tr '\n' ' '; seq 3 | xargs sh -c 'exit 255' 2>/dev/null; echo $?
echo '== exec'
find t/a -name 'f1*' -exec cat {} + | sort -n | tail -n 1; find t -name f5 -exec sh -c 'echo "$1"; kill -9 $$' x {} \;
find t/a -name 'f9*' -delete; find t/a | wc -l; find t -name 'no such' -o -quit; find nowhere; echo $?
