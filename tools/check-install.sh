#!/usr/bin/env bash
# Install, use as a stranger would (C and C++, shared and static), uninstall: nothing is left, and
# the source tree is as before.
. "$(dirname "$0")/common.sh"

dir="build-install"
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
prefix="/opt/zcsock"
export DESTDIR=$work/root
mkdir "$DESTDIR"

before=$(git status --porcelain)

step() {
	"$@" >"$work/log" 2>&1 || { cat "$work/log"; echo "failed: $*"; return 1; }
}

build() {
	rm -rf "$dir"
	step meson setup "$dir" --prefix="$prefix" -Dtests=false && step meson install -C "$dir"
}

stranger() {
	cat >"$work/stranger.c" <<-'END'
		#include <zcsock.h>
		#include <string.h>
		int main(void)
		{
			return strcmp(zcs_version(), ZCS_VERSION) != 0;
		}
	END
	cp "$work/stranger.c" "$work/stranger.cc"

	local libdir pc
	pc=$(find "$DESTDIR" -name zcsock.pc)
	[ -n "$pc" ] || { echo 'zcsock.pc was not installed'; return; }
	libdir=$(dirname "$(dirname "$pc")")
	export PKG_CONFIG_LIBDIR=$libdir/pkgconfig PKG_CONFIG_SYSROOT_DIR=$DESTDIR
	[ "$(pkg-config --modversion zcsock)" = "$(sed -n "s/.*version: '\(.*\)'.*/\1/p" meson.build | head -n 1)" ] ||
		echo 'the version in zcsock.pc is not that of meson.build'

	local flags static
	read -ra flags < <(pkg-config --cflags --libs zcsock)
	read -ra static < <(pkg-config --cflags --libs --static zcsock)
	export LD_LIBRARY_PATH=$libdir
	local strict=(-Wall -Wextra -Wpedantic -Werror)
	step gcc -std=c11 "${strict[@]}" -o "$work/c" "$work/stranger.c" "${flags[@]}" && step "$work/c"
	step g++ -std=c++11 "${strict[@]}" -o "$work/cc" "$work/stranger.cc" "${flags[@]}" && step "$work/cc"
	step gcc -std=c11 -static -o "$work/cs" "$work/stranger.c" "${static[@]}" && step "$work/cs"
	step g++ -std=c++11 -static -o "$work/ccs" "$work/stranger.cc" "${static[@]}" && step "$work/ccs"
}

uninstall() {
	step ninja -C "$dir" uninstall
	find "$DESTDIR" -mindepth 1 -printf 'left by uninstall: /%P\n'
}

clean_tree() {
	local after
	after=$(git status --porcelain)
	diff <(echo "$before") <(echo "$after") | sed -n 's/^>/changed by the build:/p'
}

verdict build stranger uninstall clean_tree
