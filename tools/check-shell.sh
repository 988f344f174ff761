#!/usr/bin/env bash
# Shell scripts pass shellcheck.
. "$(dirname "$0")/common.sh"

# SC2317: functions that are handed to verdict look unreachable to it.
scripts() {
	files '*.sh' .ci/run tests/vm/init tests/vm/netem tests/vm/vsock-test | xargs shellcheck -x -P SCRIPTDIR -e SC2317 -f gcc
}

verdict scripts
