# shellcheck shell=bash
# What the checks share: they run at the top of the tree, look at the build in BUILD, and print one
# line per finding. No finding is a pass.
set -o pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.." || exit 1
# shellcheck disable=SC2034 # for the scripts that source this
build=${BUILD:-build}

# A checkout that belongs to somebody else, as on many CI machines, is fine.
git() {
	command git -c safe.directory='*' "$@"
}

git rev-parse 2>/dev/null || { echo 'this is not a git checkout'; exit 1; }

# Files of the tree, committed or not, that match the patterns
files() {
	local file
	git ls-files -co --exclude-standard -- "$@" | sort -u | while IFS= read -r file; do
		[ ! -f "$file" ] || echo "$file"
	done
}

need() {
	[ -e "$1" ] || { echo "$1 is missing"; exit 1; }
}

# verdict FUNCTION...: run them all; a failure is one that prints something, or returns non-zero
verdict() {
	local rule out bad=0
	for rule; do
		out=$("$rule" 2>&1) || out=${out:-$rule failed}
		[ -z "$out" ] || { echo "$out"; bad=1; }
	done
	exit $bad
}
