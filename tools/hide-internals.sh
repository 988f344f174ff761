#!/usr/bin/env bash
# hide-internals.sh ARCHIVE OUT: one object whose hidden symbols are local, so that a program which
# links libzcsock.a may use any name that is not public.
set -euo pipefail
ld -r -o "$2.o" --whole-archive "$1"
objcopy --localize-hidden "$2.o"
rm -f "$2"
ar rcsD "$2" "$2.o"
rm "$2.o"
