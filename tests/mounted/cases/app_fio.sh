# SPDX-License-Identifier: BSD-3-Clause
# timeout: 180
# fio writes blocks that say what they are, and reads them back.

set -eu
command -v fio >/dev/null || { echo "no fio"; exit 77; }
size=$(awk -v scale="${DDFS_SCALE:-1}" 'BEGIN { n = int(64 * scale); print (n < 4 ? 4 : n) "M" }')

verify() {
	fio --minimal --output=fio.out --directory=. --size="$size" --verify=crc32c --verify_fatal=1 \
		--end_fsync=1 --randrepeat=1 "$@" >fio.err 2>&1 || {
		cat fio.out fio.err
		exit 1
	}
	find . -name '*.0' -delete -o -name '*.[1-9]' -delete
}

verify --name=sequential --rw=write --bs=128k --ioengine=psync
verify --name=random --rw=randwrite --bs=4k --ioengine=psync
verify --name=mixed --rw=randrw --bsrange=512-64k --ioengine=psync --numjobs=2
verify --name=direct --rw=randwrite --bs=4k --ioengine=libaio --direct=1 --iodepth=8
verify --name=mapped --rw=randwrite --bs=4k --ioengine=mmap
verify --name=synced --rw=randwrite --bs=8k --ioengine=psync --sync=1
