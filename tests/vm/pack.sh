#!/usr/bin/env bash
# Packs an initramfs: busybox, init, the modules of one kernel, and the tests of a build with the
# libraries they need.
#
# usage: tests/vm/pack.sh BUILD PLAN MODULES OUT      MODULES: .../lib/modules/VERSION/kernel
set -euo pipefail
here=$(dirname "$0")
build=$(realpath "$1") plan=$2 modules=$3 out=$(realpath -m "$4")

# In no special order: what they need goes before them.
wanted=(
	veth dummy ifb bridge              # devices of tests and lab
	sch_ingress cls_bpf act_mirred     # the lab's partner
	sch_netem sch_prio cls_u32         # loss, delay, order
	vsock_loopback tls af_packet       # sockets of other kinds
	gcm ghash_generic ctr aes_generic  # the cipher of the tests with kernel TLS
	virtio_pci virtio_blk ext4         # a disk
)

root=$(mktemp -d)
trap 'rm -rf "$root"' EXIT
mkdir -p "$root"/{bin,modules,zcs}

# module NAME: it and what it needs, in order; one that is built in, or not there, is left out
module() {
	local name=$1 file need
	[ ! -e "$root/modules/$name.ko" ] || return 0
	file=$(find "$modules" -name "${name//[-_]/[-_]}.ko*" -print -quit)
	[ -n "$file" ] || return 0
	case $file in
	*.xz) xz -dc "$file" ;;
	*.zst) zstd -qdc "$file" ;;
	*) cat "$file" ;;
	esac >"$root/modules/$name.ko"
	# shellcheck disable=SC2013 # words, not lines
	for need in $(tr '\0' '\n' <"$root/modules/$name.ko" | sed -n 's/^depends=//p' | tr ',' ' '); do
		module "${need//-/_}"
	done
	echo "$name.ko" >>"$root/modules/order"
}

: >"$root/modules/order"
for name in "${wanted[@]}"; do
	module "$name"
done

# libraries PROGRAM: those it needs, where it looks for them
libraries() {
	local library
	ldd "$1" | grep -oE '/[^ ]+' | while IFS= read -r library; do
		case $library in
		"$build"/*) install -D "$library" "$root/zcs/${library#"$build"/}" ;;
		*) [ -e "$root$library" ] || install -D "$library" "$root$library" ;;
		esac
	done
}

cp "$(command -v busybox)" "$root/bin/busybox"
# The ip of busybox makes no veth pair, and its shell takes no other one.
for name in ip tc dash; do
	install "$(command -v $name)" "$root/bin/$name"
	libraries "$root/bin/$name"
done
ln -s dash "$root/bin/sh"
install -m 755 "$here/init" "$root/init"
install -m 755 "$here/netem" "$here/vsock-test" "$root/bin"
cp "$plan" "$root/plan"
echo 'root:x:0:0:root:/:/bin/sh' >"$root/passwd"

# The programs keep their places below the build, for the sake of their run paths.
cut -f 4 "$plan" | tr ' ' '\n' | grep '^/zcs/' | sort -u | while IFS= read -r program; do
	install -D "$build/${program#/zcs/}" "$root$program"
	strip -g "$root$program"
	libraries "$build/${program#/zcs/}"
done

(cd "$root" && find . -print0 | cpio --quiet --null -o -H newc | gzip -1) >"$out"
