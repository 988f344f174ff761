#!/usr/bin/env bash
# Installs what is needed to build, test and check zcsock on Debian 12 or newer, and only what is missing.
set -euo pipefail

packages=(
	make                # the door: make demo, make check
	git                 # lists the files that the checks look at
	meson               # the build system
	ninja-build         # what meson drives
	gcc                 # the default compiler
	libc6-dev           # libc headers; gcc only recommends them
	g++                 # the header must compile as C++
	clang               # the second compiler
	clang-format-14     # one fixed version, so that all machines agree on the format
	pkg-config          # finds libraries; the installed zcsock.pc is tested with it
	scdoc               # manual pages
	libsodium-dev       # encryption of zcsock send and recv
	libxxhash-dev       # checksums of zcsock send and recv
	libjson-c-dev       # --json
	libcmocka-dev       # unit tests
	libuv1-dev          # an example: zcsock in a foreign event loop
	libbpf-dev          # lab: loads the program at the partner's end of the pair
	bpftool             # lab: makes a header of that program
	libnl-route-3-dev   # lab: the pair and its addresses
	liburing-dev        # the io_uring way to send; bench: SEND_ZC, to compare with
	valgrind            # bench: counts instructions (callgrind)
	python3             # demo, tests of the command, test log
	iproute2            # ip: network namespaces of the tests and the demo, and in check-vm
	binutils            # nm and readelf: which symbols, which libraries
	universal-ctags     # length of functions
	shellcheck          # the scripts
	qemu-system-x86     # check-vm: other kernels, in virtual machines
	busybox-static      # check-vm: all that these have besides the tests
	cpio                # check-vm: packs it
	xz-utils            # check-vm: unpacks modules
)

command -v apt-get >/dev/null || {
	echo "deps: not a Debian system; please see that these are installed: ${packages[*]}" >&2
	exit 0
}

missing=()
for package in "${packages[@]}"; do
	status=$(dpkg-query -W -f='${db:Status-Status}' "$package" 2>/dev/null) || true
	[ "$status" = installed ] || missing+=("$package")
done
[ ${#missing[@]} -gt 0 ] || exit 0

as_root=()
if [ "$(id -u)" != 0 ]; then
	command -v sudo >/dev/null || {
		echo "deps: neither root nor sudo; as root: apt-get install ${missing[*]}" >&2
		exit 1
	}
	as_root=(sudo)
fi

echo "deps: installing ${missing[*]}"
apt=("${as_root[@]}" env DEBIAN_FRONTEND=noninteractive apt-get -q -y
	-o Acquire::Retries=3 -o DPkg::Lock::Timeout=300)
"${apt[@]}" update
"${apt[@]}" install --no-install-recommends "${missing[@]}"
