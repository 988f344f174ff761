# A thin door to Meson. `make demo`, `make bench` and `make check` do everything on a fresh clone.
BUILD := build
PREFIX := /usr/local

.PHONY: all deps demo bench check check-vm install uninstall clean
.NOTPARALLEL:

all:
	@command -v meson >/dev/null || { echo "meson is missing: run 'make deps' first" >&2; exit 1; }
	@test -f $(BUILD)/build.ninja || meson setup $(BUILD)
	@ninja -C $(BUILD)

deps:
	@tools/deps.sh

demo: deps all
	@python3 tools/demo.py

bench: deps all
	@$(BUILD)/cli/zcsock bench

check: deps
	@tools/check.sh

# The tests on other kernels, in virtual machines
check-vm: deps all
	@BUILD=$(BUILD) tests/vm/run.sh

# For example: make install PREFIX=/usr DESTDIR=/tmp/package
install: all
	@meson configure $(BUILD) --prefix='$(PREFIX)'
	@DESTDIR='$(DESTDIR)' meson install -C $(BUILD)
	@test -n '$(DESTDIR)' || test "$$(id -u)" != 0 || ldconfig

uninstall:
	@ninja -C $(BUILD) uninstall

clean:
	rm -rf build build-*
