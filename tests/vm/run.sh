#!/usr/bin/env bash
# Runs the tests on other kernels, each in virtual machines of its own, without KVM.
#
# usage: tests/vm/run.sh [KERNEL]...      6.1, 6.12 and newest, unless told; see kernels.sh
#
# BUILD (build) is the build that is tested; all that is made goes below it, to vm/:
#   results.tsv       a line per test: series, version of the package, test, result, reason or time
#   SERIES-*.log, .tap  what the kernel, and the tests, said in each machine
# TESTS, a regular expression, picks tests by their names: TESTS='net-.*'
# Exit status: 0, 1 for failures, 77 when it could not be tried (the reason is the last line).
set -euo pipefail
cd "$(dirname "$0")/../.."
build=$(realpath "${BUILD:-build}")
out=$build/vm
suites=(unit sim net promises vm)
slowness=10 # of an emulated processor
# What a real processor is quick at, an emulated one is slow at: copying byte by byte, wide vectors. And qemu 7.2
# spoils the flags of cmpxchg16b: Linux 6.12 died of it with a double fault in kmem_cache_alloc.
cpu=max,erms=off,fsrm=off,avx=off,avx2=off,la57=off,cx16=off
# The processors of a machine take turns in one thread of qemu. In threads of their own one met an instruction that the
# other had already patched back, and Linux 7.3 died of it (Oops: int3). It takes no longer: two machines run beside.
accel=tcg,thread=single
disk=64M    # for files, among them such with O_DIRECT
each=2      # machines per kernel, each with its share of the tests
waiting=3   # and so many for the suite netem, of the newest one
limit=900   # seconds: a machine that takes longer hangs
[ $# -gt 0 ] || set -- 6.1 6.12 newest

for tool in qemu-system-x86_64 busybox cpio xz dpkg-deb; do
	command -v $tool >/dev/null || { echo "skipped: no $tool; tools/deps.sh installs it"; exit 77; }
done
[ -f "$build/build.ninja" ] || { echo "skipped: no build in $build"; exit 77; }

mkdir -p "$out"
rm -f "$out"/*.tap "$out"/*.log "$out"/*.plan
tests/vm/kernels.sh "$out" "$@"
newest=$(cut -f 1 "$out/kernels.tsv" | sort -V | tail -n 1)

# machines NAME COUNT SUITE...: so many share the tests of these suites; a line for each that has some
machines() {
	local name=$1 count=$2 i plan
	shift 2
	tests/vm/plan.py "$build" "$slowness" "$@" >"$out/plan"
	for i in $(seq "$count"); do
		plan=$out/$name$i.plan
		{ grep -P "^(${TESTS:-.*})\t" "$out/plan" || true; } |
			awk -v n="$count" -v i="$i" 'NR % n == i % n' >"$plan"
		[ ! -s "$plan" ] || printf '%s\t%s\t%s\t%s\n' "$series" "$out/$name$i" "$image" "$modules"
	done
}

# Bad lines take time, but no processor: these machines start first, beside the others.
while IFS=$'\t' read -r series _ _ image modules; do
	[ "$series" != "$newest" ] || machines "$series-netem" "$waiting" netem
done <"$out/kernels.tsv" >"$out/machines.tsv"
while IFS=$'\t' read -r series _ _ image modules; do
	machines "$series-" "$each" "${suites[@]}"
done <"$out/kernels.tsv" >>"$out/machines.tsv"

# boot NAME IMAGE: one machine, from its start to its end
boot() {
	local options=(-machine pc -accel "$accel" -cpu "$cpu" -smp 2 -m 2048 -display none -no-reboot
		-nodefaults -no-user-config -kernel "$2" -initrd "$1.cpio.gz"
		-append 'console=ttyS0 panic=-1 mitigations=off rcupdate.rcu_cpu_stall_timeout=120 watchdog_thresh=60'
		-drive "file=$1.disk,format=raw,if=virtio,cache=unsafe"
		-serial "file:$1.log" -serial "file:$1.tap")
	truncate -s "$disk" "$1.disk"
	timeout -k 5 "$limit" qemu-system-x86_64 "${options[@]}" </dev/null >"$1.qemu" 2>&1 || true
	rm -f "$1.cpio.gz" "$1.disk"
}

while IFS=$'\t' read -r _ name _ modules; do
	tests/vm/pack.sh "$build" "$name.plan" "$modules" "$name.cpio.gz"
done <"$out/machines.tsv"

# Machines are started as processors become free: each keeps little more than one busy.
free=$(nproc)
while IFS=$'\t' read -r _ name image _; do
	case $name in
	*-netem*) free=$((free + 1)) ;;
	esac
	while [ "$(jobs -rp | wc -l)" -ge "$free" ]; do
		wait -n || true
	done
	boot "$name" "$image" &
done <"$out/machines.tsv"
wait

status=0
printf '# series\tversion\ttest\tresult\treason or time\n' >"$out/results.tsv"
while IFS=$'\t' read -r series package version _; do
	mapfile -t names < <(awk -F '\t' -v series="$series" '$1 == series { print $2 }' "$out/machines.tsv")
	if [ ${#names[@]} = 0 ]; then
		echo "fail $series: no test was run"
		status=1
		continue
	fi
	tests/vm/report.py "$series" "$package" "$version" "$out/results.tsv" "${names[@]}" || status=1
done <"$out/kernels.tsv"
exit $status
