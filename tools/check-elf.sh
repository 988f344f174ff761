#!/usr/bin/env bash
# libzcsock.so needs libc, liburing if it was built with it, and nothing else; it is called
# libzcsock.so.0.
. "$(dirname "$0")/common.sh"

so=$build/lib/libzcsock.so
need "$so"

needed() {
	local allowed='libc\.so\.6|ld-linux.*'
	[ ! -e "$build/lib/libzcsock-internal.a.p/sys_ring.c.o" ] || allowed+='|liburing\.so\.2'
	readelf -dW "$so" | sed -nE 's/.*\(NEEDED\).*\[(.*)\]/\1/p' |
		grep -vE "^($allowed)$" | sed 's/^/needs /'
	true
}

soname() {
	readelf -dW "$so" | grep 'SONAME.*\[libzcsock\.so\.0\]' >/dev/null || echo 'soname is not libzcsock.so.0'
}

text() {
	readelf -dW "$so" | grep -o TEXTREL
	readelf -lW "$so" | grep -E 'GNU_STACK.* .WE|GNU_STACK.*RWE'
	true
}

verdict needed soname text
