# SPDX-License-Identifier: BSD-3-Clause
# timeout: 180
# tar, cp, mv, dd, find, rm: a tree goes through each of them unchanged.

set -eu
source=/usr/include/linux
[ -d "$source" ] || source=/etc
few=$(awk -v scale="${DDFS_SCALE:-1}" 'BEGIN { n = int(600 * scale); print n < 40 ? 40 : n }')

mkdir tree
(cd "$source" && find . -type f -readable | sort | head -n "$few" | tar -cf - -T -) |
	tar -C tree -xf -
# What tar must keep as well.
ln tree/"$(cd tree && find . -type f | sort | head -1)" tree/hard
ln -s nowhere tree/soft
mkfifo tree/pipe
mkdir -m 1770 tree/sticky
truncate -s 10M tree/sparse
printf end >>tree/sparse
touch -d '1999-12-31 23:59:59.123456789' tree/soft tree/hard
chmod 4751 tree/hard
setfattr -n user.mark -v kept tree/hard

state() {
	(cd "$1" && find . -printf '%P %y %m %n %s %T@ %l\n' | grep -v '^ d' | sed '/ d /s/ [0-9]* [0-9.]* $//' | sort)
}
state tree >wanted

tar --xattrs --sparse -C tree -cf archive.tar .
mkdir untarred
tar --xattrs -C untarred -xpf archive.tar
state untarred | cmp wanted -
diff -r --no-dereference --exclude=pipe tree untarred
[ "$(getfattr --only-values -n user.mark untarred/hard)" = kept ]

cp -a tree copied
state copied | cmp wanted -
diff -r --no-dereference --exclude=pipe tree copied

mv copied moved
[ ! -e copied ]
state moved | cmp wanted -
mv moved /dev/shm/ddfs-app-copy.$$
trap 'rm -rf /dev/shm/ddfs-app-copy.$$' EXIT
mv /dev/shm/ddfs-app-copy.$$ back
state back | cmp wanted -

dd if=/dev/urandom of=random bs=64k count=64 status=none
dd if=random of=direct bs=128k oflag=direct status=none || dd if=random of=direct bs=128k status=none
cmp random direct
dd if=random of=odd bs=777 status=none
cmp random odd
dd if=random of=part bs=1k skip=100 seek=50 count=10 status=none
[ "$(stat -c %s part)" = 61440 ]
cmp -n 10240 -i 102400:51200 random part
dd if=/dev/zero of=random bs=4k seek=3 count=1 conv=notrunc,fsync status=none
cmp -n 12288 random direct
cmp -n 4096 -i 12288:0 random /dev/zero

rm -rf tree untarred back
[ "$(find . -mindepth 1 | wc -l)" = 6 ]
