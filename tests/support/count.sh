# shellcheck shell=bash disable=SC2154 # tests/run has the variables
# SPDX-License-Identifier: BSD-3-Clause
#
# Parts of tests/run, begun and counted. Sourced; needs build, started, and the counts set to 0.
# running is the job of the part that runs.

title() {
	printf '\n==== %s (%d s)\n' "$1" $((SECONDS - started))
}

# count NAME PASSED FAILED SKIPPED
count() {
	passed=$((passed + $2)) failed=$((failed + $3)) skipped=$((skipped + $4))
	[ "$3" -eq 0 ] || failures="$failures $1"
}

# Add up a log's last "N passed, N failed, N skipped", or its ctest's summary; a command that
# failed without one failure in its count, or without a count, is a failure itself.
count_log() {
	local name=$1 status=$2 log=$3 numbers
	numbers=$(sed -nE 's/^([0-9]+) passed, ([0-9]+) failed, ([0-9]+) skipped$/\1 \2 \3/p' "$log" |
		tail -n 1)
	if [ -z "$numbers" ]; then
		numbers=$(ctest_numbers "$log")
	fi
	if [ -z "$numbers" ]; then
		numbers='0 1 0'
	elif [ "$status" -ne 0 ] && [[ $numbers == *' 0 '* ]]; then
		numbers=$(echo "$numbers" | awk '{ print $1, 1, $3 }')
	fi
	# shellcheck disable=SC2086 # three numbers
	count "$name" $numbers
}

ctest_numbers() {
	awk '/tests passed, [0-9]+ tests failed out of/ { failed = $4; total = $9; seen = 1 }
		/^ *[0-9]+\/[0-9]+ Test .*\*\*\*Skipped/ { skipped++ }
		END { if (seen) print total - failed - skipped, failed + 0, skipped + 0 }' "$1"
}

# part NAME COMMAND...: run it, show its output, count it. A job of its own, which can be ended and
# waited for while it runs; whoever shows its output stays to the last.
part() {
	local name=$1 status=0 log
	log=$build/logs/$1.log
	shift
	title "$name"
	set -m
	{
		set +m
		trap : INT TERM HUP # it stays until those two have ended; they get it by themselves
		TSAN_OPTIONS="suppressions=$root/tests/tsan.supp" "$@" </dev/null 2>&1 |
			(trap '' INT TERM HUP && exec tee "$log")
		exit "${PIPESTATUS[0]}"
	} &
	running=$!
	set +m
	wait "$running" || status=$?
	running=''
	count_log "$name" "$status" "$log"
}

# configure_and_build NAME CMAKE-ARGUMENT...; output is shown only if it fails.
configure_and_build() {
	local name=$1 log=$build/logs/build-$1.log
	shift
	title "build $name"
	if { cmake -S "$root" -B "$build/$name" -DDDFS_TESTS=ON "$@" &&
		cmake --build "$build/$name" -j"$(nproc)"; } </dev/null >"$log" 2>&1; then
		count "build-$name" 1 0 0
		echo "ok build-$name"
		return 0
	fi
	tail -n 60 "$log"
	count "build-$name" 0 1 0
	echo "not ok build-$name"
	return 1
}
