# mount, umount, findmnt, df, pivot_root and busybox's applets. On Linux in a mount namespace of its own.
case $(cat /proc/version) in
*Alcove*) ;;
*)
	if [ -z "$MOUNT_TEST" ]; then
		[ "$(id -u)" = 0 ] && user= || user=-r
		MOUNT_TEST=1 exec unshare $user -m --propagation private sh "$0"
	fi
	;;
esac
T=/tmp/t_mount_sh
show() { findmnt -n -r -o TARGET,SOURCE,FSTYPE,OPTIONS "$1" | sed 's/,inode64//;s/uid=[0-9]*,//'; }
mkdir -p $T
mount -t tmpfs top $T
cd $T || exit 1
mkdir a b c

echo == tmpfs
mount -t tmpfs -o size=64k,mode=700,nosuid,noexec name a
show $T/a
df -k --output=source,fstype,size,used,target $T/a | sed 's/  */ /g'
mount -o remount,ro a
show $T/a
touch a/f
mount -o remount,rw,size=128k a
show $T/a
echo hello > a/f

echo == bind
mount --bind a b
mount -o remount,bind,ro b
show $T/b
cat b/f
echo x > b/f
echo y > a/f
cat b/f
umount b
mount --rbind a b
show $T/b
mount --move b c
show $T/c
ls b c
umount c

echo == busy
exec 3< a/f
umount a 2> /dev/null || echo busy
umount -l a
cat <&3
exec 3<&-
umount a 2> /dev/null || echo not mounted
ls a

echo == errors
mount -t nosuchfs x a 2>&1 | head -n 1 | sed 's/.*unknown/unknown/'
mount -t tmpfs -o bogus x a 2> /dev/null; echo $?
umount a 2>&1 | sed 's/.*: not/not/'

echo == busybox
busybox mount -t tmpfs -o size=32k bb a
show $T/a
busybox mount -o remount,ro a
show $T/a
busybox umount a
busybox mount | grep -c " $T/a "

echo == pivot
mount --rbind / /mnt
mkdir -p /mnt/tmp/t_old
cd /mnt
pivot_root . tmp/t_old
cd /
ls -d /tmp/t_old/tmp
umount -l /tmp/t_old && ls /tmp/t_old
rmdir /tmp/t_old
