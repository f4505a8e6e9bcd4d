# SPDX-License-Identifier: MIT
# stress-ng's stressors, one line for each: stress.sh SECONDS STRESSOR... Each runs as two instances and checks what it reads back.
# On Linux a second each is enough, to learn which of them can run at all.
seconds=$1; shift
case $(uname -v) in *Alcove*) ;; *) seconds=1 ;; esac
for s; do
    echo "START stress-ng:$s"
    stress-ng --no-rand-seed --verify --"$s" 2 --timeout "$seconds" >out 2>&1
    status=$?
    case $status in
    0) outcome=ok ;;
    3 | 4) outcome="skipped $(sed -n 's/.*info:.*\(skip\|not\)/\1/p' out | head -n 1)" ;; # no such resource, not implemented here
    *) outcome=FAILED ;;
    esac
    grep -q 'skipped: [1-9]' out && outcome=skipped
    grep -q 'fail:' out && outcome=FAILED
    [ "$outcome" = ok ] || { echo "status $status"; cat out; }
    echo "RESULT stress-ng:$s $outcome"
done
