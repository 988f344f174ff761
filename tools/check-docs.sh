#!/usr/bin/env bash
# Documents name what exists, and all that should be named.
. "$(dirname "$0")/common.sh"

promises() {
	local names name
	names=$(sed -n "/^promises = \[/,/^\]/s/^ *'\(.*\)',*/\1/p" promises/meson.build)
	need docs/kernel-promises.md
	for name in $names; do
		grep -qwF -- "$name" docs/kernel-promises.md ||
			echo "docs/kernel-promises.md does not name promises/$name.c"
	done
}

readme() {
	local word
	need README.md
	for word in 'make demo' 'make check'; do
		grep -qF "$word" README.md || echo "README.md does not name $word"
	done
}

# What a reader copies must compile.
example() {
	# shellcheck disable=SC2016 # the $ is sed's
	sed -n '/^```c$/,/^```$/{/^```/d;p}' README.md |
		cc -std=gnu11 -Wall -Wextra -Werror -Iinclude -fsyntax-only -x c -
}

# `lib/tx.c` in a document is a file of the tree
paths() {
	local dirs='\.ci|bench|cli|docs|examples|include|lab|lib|promises|tests|tools'
	files '*.md' | xargs -r grep -HnoE "\`($dirs)/[A-Za-z0-9_./-]+\`" |
		while IFS=: read -r file line path; do
			path=${path//\`/}
			[ -e "$path" ] || echo "$file:$line: $path does not exist"
		done
	true # no path at all is fine
}

verdict promises readme example paths
