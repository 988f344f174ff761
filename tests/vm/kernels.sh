#!/usr/bin/env bash
# Fetches kernels into OUT and installs nothing: package lists, cache and the unpacked kernels live
# there, and the machine's own package sources stay as they are.
#
# usage: tests/vm/kernels.sh OUT KERNEL...      KERNEL: a name of the table below
#
# Writes OUT/kernels.tsv: series, package, version, image, directory of its modules.
# 77: no network, or not a Debian machine; the reason is the last line.
set -euo pipefail

# The newest package that matches: today's, not one that was chosen once.
declare -A patterns=(
	[6.1]='linux-image-6\.1\.[0-9.]+-[0-9]+-cloud-amd64'
	[6.12]='linux-image-6\.12\.[^-]+-cloud-amd64'
	[6.18]='linux-image-6\.18\.[^-]+-cloud-amd64' # only when asked for: to compare
	[newest]='linux-binary-[0-9][^-]+-cloud-amd64' # its modules are a package of their own
)
suites=(bookworm bookworm-backports trixie-backports)
keyring=/usr/share/keyrings/debian-archive-keyring.gpg

out=$(realpath -m "$1")
shift
root=$out/apt

skip() {
	echo "skipped: $*"
	exit 77
}

[ "$(uname -m)" = x86_64 ] || skip "the kernels are for x86_64, this machine is $(uname -m)"
command -v apt-get >/dev/null || skip 'other kernels come as Debian packages, and there is no apt-get'
[ -r $keyring ] || skip "no $keyring to check Debian packages with"

# Where this machine gets its own release from has the other ones too.
# shellcheck source=/dev/null
codename=$(. /etc/os-release && echo "${VERSION_CODENAME:-}")
# shellcheck disable=SC2016 # the $ is apt's
mirror=$(apt-get indextargets --format '$(REPO_URI) $(RELEASE)' 'Created-By: Packages' 'Component: main' |
	awk -v release="$codename" '$2 == release && !n++ { print $1 }')
[ -n "$mirror" ] || skip "no source of Debian packages for $codename"

mkdir -p "$root"/{lists,archives}/partial "$root/debs"
: >"$root/status"
for suite in "${suites[@]}"; do
	echo "deb [arch=amd64 signed-by=$keyring] $mirror $suite main"
done >"$root/sources.list"

own=(-q -o Dir::State="$root" -o Dir::State::lists="$root/lists" -o Dir::State::status="$root/status"
	-o Dir::Cache="$root" -o Dir::Cache::archives="$root/archives"
	-o Dir::Etc::sourcelist="$root/sources.list" -o Dir::Etc::sourceparts=/dev/null
	-o Dir::Etc::preferences=/dev/null -o Dir::Etc::preferencesparts=/dev/null
	-o APT::Sandbox::User= -o APT::Architecture=amd64 -o APT::Architectures=amd64
	-o Acquire::Languages=none -o Acquire::Retries=2 -o Acquire::http::Timeout=30)

apt-get "${own[@]}" update -o APT::Update::Error-Mode=any >"$root/log" 2>&1 ||
	skip "no package lists of other kernels: $(grep -m 1 '^[EW]:' "$root/log")"

# download PACKAGE VERSION DIR: unpacked to DIR, unless it is there
download() {
	local package=$1 version=$2 dir=$3 deb
	[ ! -e "$dir/.$package" ] || return 0
	(cd "$root/debs" && apt-get "${own[@]}" download "$package=$version") >"$root/log" 2>&1 ||
		skip "could not fetch $package: $(grep -m 1 '^[EW]:' "$root/log")"
	for deb in "$root/debs/${package}_"*.deb; do
		dpkg-deb -x "$deb" "$dir"
		rm "$deb"
	done
	touch "$dir/.$package"
}

# kernel NAME: fetched, and its line added to the table
kernel() {
	local package version series dir image modules
	package=$(apt-cache "${own[@]}" pkgnames linux- | grep -xE "${patterns[$1]}" | sort -V | tail -n 1) || true
	[ -n "$package" ] || { echo "no package is called ${patterns[$1]}"; exit 1; }
	version=$(apt-cache "${own[@]}" show "$package" | sed -n 's/^Version: //p' | sort -V | tail -n 1)
	series=$(sed -E 's/^linux-[a-z]+-([0-9]+\.[0-9]+).*/\1/' <<<"$package")
	dir=$out/kernels/${package}_$version
	mkdir -p "$dir"
	download "$package" "$version" "$dir"
	[[ $package != linux-binary-* ]] || download "${package/binary/modules}" "$version" "$dir"
	image=$(find "$dir" -name 'vmlinuz*' -type f -print -quit)
	modules=$(find "$dir" -path '*lib/modules/*/kernel' -print -quit)
	[ -n "$image" ] || { echo "$package: no kernel image in it"; exit 1; }
	[ -n "$modules" ] || { echo "$package: no modules in it"; exit 1; }
	printf '%s\t%s\t%s\t%s\t%s\n' "$series" "$package" "$version" "$image" "$modules" >>"$out/kernels.new"
}

: >"$out/kernels.new"
for name; do
	[ -n "${patterns[$name]:-}" ] || { echo "no such kernel: $name; there are ${!patterns[*]}"; exit 2; }
	kernel "$name"
done
mv "$out/kernels.new" "$out/kernels.tsv"
