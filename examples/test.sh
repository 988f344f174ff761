#!/usr/bin/env bash
# Runs the examples against each other and compares every byte.
# usage: test.sh ECHO BULK [UV_ECHO]
set -u
dir=$(mktemp -d)
pids=()
trap 'kill "${pids[@]}" 2>/dev/null; wait 2>/dev/null; rm -rf "$dir"' EXIT

fail() {
	echo "$*"
	exit 1
}

# port_of FILE: waits until a program has written its port there
port_of() {
	local _ port
	for _ in {1..500}; do
		[ -s "$1" ] && read -r _ port <"$1" && echo "$port" && return
		sleep 0.01
	done
	fail "no port in $1"
}

head -c 20000001 /dev/urandom >"$dir/in" || fail "no input"

bulk() {
	local receiver port
	"$1" recv 0 >"$dir/bulk.out" 2>"$dir/bulk.port" &
	receiver=$!
	pids+=("$receiver")
	port=$(port_of "$dir/bulk.port") || exit 1
	timeout 20 "$1" send 127.0.0.1 "$port" <"$dir/in" || fail "bulk: the sender failed"
	wait "$receiver" || fail "bulk: the receiver failed"
	cmp "$dir/in" "$dir/bulk.out" || fail "bulk: other bytes came"
}

# Four clients at once, each its own slice of the input
echo_server() {
	local name=$1 program=$2 port client clients=()
	"$program" 0 >"$dir/$name.port" &
	pids+=("$!")
	port=$(port_of "$dir/$name.port") || exit 1
	for client in 1 2 3 4; do
		echo_client "$port" "$client" "$name" &
		clients+=("$!")
	done
	for client in "${clients[@]}"; do
		wait "$client" || fail "$name: other bytes came back, or none"
	done
}

echo_client() {
	local port=$1 len=$((4 * 1000 * 1000 + $2)) out="$dir/$3.$2" sender
	exec 3<>"/dev/tcp/127.0.0.1/$port" || exit 1
	head -c "$len" "$dir/in" >&3 &
	sender=$!
	timeout 20 head -c "$len" <&3 >"$out"
	kill "$sender" 2>/dev/null
	cmp -n "$len" "$dir/in" "$out" && [ "$(stat -c %s "$out")" = "$len" ]
}

echo_server echo "$1"
bulk "$2"
[ $# -lt 3 ] || echo_server uv_echo "$3"
