# shellcheck shell=bash disable=SC2154 # tests/run has the variables
# SPDX-License-Identifier: BSD-3-Clause
#
# Virtual machines, one after the other, beside the parts that run here; their output is shown at the
# end. Sourced by tests/run.

vm_names='vm-adr-2m vm-eadr-4k vm-legacy vm-poison-2m vm-poison-4k soak-machine'

# What the device makes a difference to: mapping, alignment, pins, poison. What says the same of any
# device or image is left to images, as are crashes: soak-machine kills a whole machine. What poisons
# the device has machines of its own, for it stays so.
set_machine_cases() {
	if [ -n "$long" ]; then
		adr_cases=(--only='(?!app_|million).*')
		eadr_cases=("${adr_cases[@]}")
		legacy_cases=("${adr_cases[@]}")
		return
	fi
	adr_cases=(--only='posix_(data|fallocate|mmap|rename)|fsx|concurrent|ioctl_range|bad_lease'
		--only='pin_(holder|interrupt|rdma|wait)'
		--only='client_(device|hold|map|poison|process|recall|sigbus)')
	eadr_cases=(--only='posix_(data|fallocate|mmap)|fsx|pin_(extents|holder|space|wait)'
		--only='client_map|persist_domain|life_boot')
	legacy_cases=(--only='posix_(data|mmap)|pin_wait|persist_domain')
}

# machine NAME OPTIONS -- CASES
machine() {
	local name=$1 options=()
	shift
	while [ "$1" != -- ]; do
		options+=("$1")
		shift
	done
	shift
	DDFS_SCALE=0.02 DDFS_PATIENCE=10 tests/vm/run --timeout=$((long ? 14400 : 1200)) "${options[@]}" -- \
		sh -c "exec tests/mounted/run --build=$build/release --source=\$DDFS_SOURCE \"\$@\"" \
		sh "$@" >"$build/logs/$name.log" 2>&1 </dev/null
	echo $? >"$build/logs/$name.status"
}

soak_machine() {
	tests/soak/run --machine --kills=$((long ? 20 : 1)) --build="$build/release" \
		>"$build/logs/soak-machine.log" 2>&1 </dev/null
	echo $? >"$build/logs/soak-machine.status"
}

start_machines() {
	local name
	for name in $vm_names; do
		rm -f "$build/logs/$name".{log,status}
	done
	set_machine_cases
	(
		machine vm-adr-2m --domain=mem-ctrl --align=2M --fsdax -- "${adr_cases[@]}"
		machine vm-eadr-4k --domain=cpu --align=4k --size=256 -- "${eadr_cases[@]}"
		machine vm-legacy --legacy -- "${legacy_cases[@]}"
		machine vm-poison-2m --align=2M --size=256 -- --only=poison_device
		machine vm-poison-4k --align=4k --size=256 -- --only='poison_(kernel|read|threads)'
		soak_machine
	) &
	machines=$!
}

finish_machines() {
	local name status
	wait "$machines"
	machines=''
	for name in $vm_names; do
		title "$name"
		cat "$build/logs/$name.log"
		status=$(cat "$build/logs/$name.status" 2>/dev/null || echo 1)
		count_log "$name" "$status" "$build/logs/$name.log"
	done
}
