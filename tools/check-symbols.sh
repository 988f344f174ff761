#!/usr/bin/env bash
# The same names, all zcs_*: exported by the library, by the archive, in the map, in the header.
. "$(dirname "$0")/common.sh"

need "$build/lib/libzcsock.so"
names=$(mktemp -d)
trap 'rm -rf "$names"' EXIT

nm -D --defined-only "$build/lib/libzcsock.so" | awk '$2 != "A" { sub(/@.*/, "", $3); print $3 }' |
	sort >"$names/libzcsock.so"
nm -g --defined-only "$build/lib/libzcsock.a" | awk 'NF == 3 { print $3 }' | sort >"$names/libzcsock.a"
sed -n '/global:/,/local:/s/^[[:space:]]*\([A-Za-z_0-9]*\);.*/\1/p' lib/zcsock.map | sort >"$names/zcsock.map"
gcc -E -P include/zcsock.h | tr '\n' ' ' | tr ';{}' '\n' | grep -v typedef |
	grep -oE '\bzcs_[a-z0-9_]+ *\(' | tr -d '( ' | sort >"$names/zcsock.h"

same() {
	local where
	for where in libzcsock.so libzcsock.a zcsock.map; do
		comm -23 "$names/zcsock.h" "$names/$where" | sed "s/.*/&: in zcsock.h, but not in $where/"
		comm -13 "$names/zcsock.h" "$names/$where" | sed "s/.*/&: in $where, but not in zcsock.h/"
	done
}

prefix() {
	sort -u "$names"/* | grep -v '^zcs_' | sed 's/$/: the prefix is not zcs_/'
	true
}

verdict same prefix
