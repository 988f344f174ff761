#!/usr/bin/env bash
# The house rules (CONTRIBUTING.md) that a machine can see. Needs a plain build, without sanitizers.
. "$(dirname "$0")/common.sh"

objects=$build/lib/libzcsock-internal.a.p
need "$objects"

# What lib may call outside sys.c and sys_ring.c, and of it pure code: nothing that enters the kernel but for memory.
pure_libc='memcpy memmove memset memcmp malloc calloc realloc free snprintf __stack_chk_fail'
plain_libc="$pure_libc aligned_alloc vsnprintf memchr strlen strnlen strchr strcmp strncmp strstr
	strtol strtoul strtoull qsort inet_ntop strerror __ctype_b_loc"

# ---- who includes what ------------------------------------------------------------------------

# stray FILE WHY DIRECTORY...: its includes of ours that are not found in these directories
stray() {
	local file=$1 why=$2 name dir
	shift 2
	sed -nE 's/^[[:space:]]*#[[:space:]]*include[[:space:]]*("([^"]+)"|<(zcsock\.h)>).*/\2\3/p' "$file" |
		while IFS= read -r name; do
			for dir; do
				[[ $name == *.skel.h ]] && continue 2 # generated
				[[ $name == *..* || $name == lib/* || ! -f $dir/${name#pure/} ]] || continue 2
			done
			echo "$file: includes $name: $why"
		done
}

include_rules() {
	local file
	files '*.[ch]' | while IFS= read -r file; do
		case $file in
		lib/pure/*) stray "$file" 'pure files see pure files only' lib/pure ;;
		lib/*) stray "$file" 'lib sees lib and include only' lib lib/pure include ;;
		cli/*)
			stray "$file" 'only zcsock.h, and the doors of lab and bench, may be seen here' \
				"$(dirname "$file")" include . ;;
		bench/*)
			stray "$file" 'only zcsock.h, and the door of lab, may be seen here' \
				"$(dirname "$file")" bench include . ;;
		examples/*)
			stray "$file" 'only zcsock.h of ours may be seen here' "$(dirname "$file")" include ;;
		lab/*) stray "$file" 'the lab is for itself' lab ;;
		esac
	done
}

# ---- who calls what, by the symbols of the objects ----------------------------------------------

# calls ALLOWED OBJECT... -- WHY: undefined symbols that no object defines and ALLOWED does not name
calls() {
	local why=$1 allowed=$2
	shift 2
	nm -A -u "$@" | awk '{ sub(/.*\//, "", $1); sub(/\.o:.*/, "", $1); print $NF, $1 }' | sort -u |
		while read -r symbol object; do
			case $symbol in
			__asan_* | __ubsan_* | __sanitizer_* | _GLOBAL_OFFSET_TABLE_) continue ;;
			esac
			grep -qxF -- "$symbol" <<<"$allowed" || echo "$object: calls $symbol: $why"
		done
}

defined() {
	nm -g --defined-only "$@" | awk 'NF == 3 { print $3 }'
}

symbol_rules() {
	local object rest=()
	for object in "$objects"/*.o; do
		[[ $object == */sys.c.o || $object == */sys_ring.c.o ]] || rest+=("$object")
	done
	calls 'pure code calls nobody but memory' \
		"$(tr -s ' \t' '\n' <<<"$pure_libc"; defined "$objects"/pure_*.o)" "$objects"/pure_*.o
	calls 'only lib/sys.c and lib/sys_ring.c call the kernel; if it is plain C, name it in plain_libc' \
		"$(tr -s ' \t' '\n' <<<"$plain_libc"; defined "$objects"/*.o)" "${rest[@]}"
}

pure_data() {
	local object
	for object in "$objects"/pure_*.o; do
		readelf -SW "$object" | sed -n 's/^ *\[ *[0-9]*\] //p' |
			awk -v object="$(basename "$object" .o)" '
				$7 ~ /W/ && $5 !~ /^0+$/ && $1 !~ /^\.data\.rel\.ro/ {
					print object ": pure code owns writable data (" $1 ")"
				}'
	done
}

# ---- size and shape ------------------------------------------------------------------------------

# "LINES FILE:LINE NAME" of each function
functions() {
	files '*.[ch]' | ctags --language-force=C --kinds-C=f -x \
		--_xformat='%{end} %{line} %{input} %{name}' -L - |
		awk '{ print $1 ~ /^[0-9]+$/ ? $1 - $2 + 1 : 9999, $3 ":" $2, $4 }'
}

function_lengths() {
	functions | awk '$1 > 80 { print $2 ": " $3 " has " $1 " lines, 80 is the limit" }'
}

file_lengths() {
	local file limit lines
	files '*.[ch]' | while IFS= read -r file; do
		case $file in
		examples/*) limit=100 ;;
		bench/raw/*) limit=150 ;;
		lib/* | cli/* | lab/* | bench/* | promises/*) limit=500 ;;
		*) limit=1000 ;;
		esac
		lines=$(wc -l <"$file")
		[ "$lines" -le "$limit" ] || echo "$file: $lines lines, $limit is the limit"
	done
}

columns() {
	local file
	files '*.[ch]' | while IFS= read -r file; do
		expand -t8 "$file" | LC_ALL=C.UTF-8 grep -nE '^.{101,}' |
			grep -vE '^[0-9]+: *"[^"]*"[,;)]*$' | # text that people search for is not cut
			sed "s|^\([0-9]*\):.*|$file:\1: more than 100 columns|"
	done
	true
}

licences() {
	local file
	files '*.[ch]' | while IFS= read -r file; do
		head -n 1 "$file" | grep -q 'SPDX-License-Identifier: MIT' ||
			echo "$file: the first line is not SPDX-License-Identifier: MIT"
	done
}

typedefs() {
	grep -nE '^[[:space:]]*typedef[[:space:]]+(struct|union|enum)\b[^(]*$' include/zcsock.h |
		sed 's|^\([0-9]*\):.*|include/zcsock.h:\1: typedef of a struct|'
	true
}

functions | awk '$1 > 40 && $1 <= 80 { n++ } END { print n + 0 " functions of 41 to 80 lines" }'
verdict include_rules symbol_rules pure_data function_lengths file_lengths columns licences typedefs
