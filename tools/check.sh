#!/usr/bin/env bash
# Everything that CI wants. Each test and each check counts as one, and a failure does not stop the
# rest. The last line is "N passed, N failed" or "N passed, N failed, N skipped".
set -uo pipefail
cd "$(dirname "$0")/.." || exit 1
export LC_ALL=C.UTF-8 UBSAN_OPTIONS=halt_on_error=1:print_stacktrace=1

work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
log=$work/log

# check NAME COMMAND...: one check; its output is shown when it fails
check() {
	local name=$1 start=$SECONDS
	shift
	if "$@" >"$log" 2>&1 </dev/null; then
		echo "pass $name ($((SECONDS - start)) s)"
	else
		echo "fail $name ($((SECONDS - start)) s)"
		tail -n 60 "$log" | sed 's/^/    /'
		return 1
	fi
}

build() {
	local dir=$1 again=()
	[ ! -f "$dir/build.ninja" ] || again=(--reconfigure)
	meson setup "${again[@]}" "$@" && ninja -C "$dir"
}

# tests NAME DIR MESON-TEST-OPTION...: each test of that build
tests() {
	local name=$1 dir=$2
	shift 2
	rm -f "$dir/meson-logs/testlog.json"
	meson test -C "$dir" --no-rebuild "$@" >"$log" 2>&1 </dev/null
	if ! tools/testlog.py "$dir/meson-logs/testlog.json" | sed -E "s/^(pass|fail|skip) /&$name: /"; then
		echo "fail $name: no test was run"
		tail -n 60 "$log" | sed 's/^/    /'
	fi
}

# The same tests on other kernels: a line for each
other_kernels() {
	BUILD=build VERBOSE=1 tests/vm/run.sh >"$log" 2>&1 </dev/null
	case $? in
	77) echo "skip other kernels, not run: $(tail -n 1 "$log")" ;;
	0) cat "$log" ;;
	1) grep -q '^fail ' "$log" || echo 'fail other kernels'; cat "$log" ;;
	*) echo 'fail other kernels'; tail -n 60 "$log" | sed 's/^/    /' ;;
	esac
}

everything() {
	check 'build gcc' build build &&
		tests gcc build
	CC=clang check 'build clang' build build-clang &&
		tests clang build-clang --suite unit --suite sim --suite abi --suite examples
	check 'build sanitizers' build build-asan -Db_sanitize=address,undefined &&
		tests sanitizers build-asan -t 3

	local name
	for name in format shell rules symbols elf docs install guards; do
		check "$name" "tools/check-$name.sh"
	done
	other_kernels
	check 'tables of kernels' tools/kernel-tables.py --check build
}

everything | tee "$work/results"

count() {
	grep -c "^$1 " "$work/results"
}
passed=$(count pass) failed=$(count fail) skipped=$(count skip)
summary="$passed passed, $failed failed"
[ "$skipped" = 0 ] || summary+=", $skipped skipped"
echo "$summary"
[ "$failed" = 0 ]
