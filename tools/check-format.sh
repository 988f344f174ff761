#!/usr/bin/env bash
# All C is formatted as .clang-format says. To mend: tools/check-format.sh --fix
. "$(dirname "$0")/common.sh"

if [ "${1:-}" = --fix ]; then
	files '*.c' '*.h' | xargs clang-format-14 -i
	exit
fi

format() {
	files '*.c' '*.h' | xargs clang-format-14 --dry-run -Werror 2>&1 |
		sed -n 's/: error: code should be clang-formatted.*/: not formatted/p'
}

verdict format
