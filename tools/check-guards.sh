#!/usr/bin/env bash
# Every guard in tests/guards.tsv (number, what, test) is needed: the library without it (-Dbreak=N)
# fails that test.
. "$(dirname "$0")/common.sh"

dir="build-guards"
log="$dir.log"
need tests/guards.tsv

# without NUMBER TEST: how the test ends in a build without that guard, in meson's word
without() {
	if [ -f "$dir/build.ninja" ]; then
		meson configure "$dir" -Dbreak="$1"
	else
		meson setup "$dir" -Dwerror=false -Dbreak="$1"
	fi >"$log" 2>&1 || { echo "not configured, see $log"; return; }
	rm -f "$dir/meson-logs/testlog.json"
	meson test -C "$dir" "$2" >>"$log" 2>&1 </dev/null
	tools/testlog.py --result "$dir/meson-logs/testlog.json" 2>>"$log" || echo "not run, see $log"
}

numbers() {
	grep -rohE 'GUARD\([0-9]+\)|ZCS_BREAK [!=]= [0-9]+' lib | tr -dc '0-9\n' | sort -u
}

bad=0
for number in $(comm -3 <(numbers) <(cut -f 1 tests/guards.tsv | grep -E '^[0-9]+$' | sort)); do
	echo "guard $number: not both in lib and in tests/guards.tsv, or there twice"
	bad=1
done
while IFS=$'\t' read -r number what test; do
	[[ $number =~ ^[0-9]+$ ]] || continue
	result=$(without "$number" "$test")
	case $result in
	FAIL | TIMEOUT | ERROR) echo "guard $number: caught" ;;
	*) echo "guard $number: NOT caught by $test ($what): $result"; bad=1 ;;
	esac
done <tests/guards.tsv
exit $bad
