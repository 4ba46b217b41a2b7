# SPDX-License-Identifier: GPL-2.0
KDIR ?= /lib/modules/$(shell uname -r)/build
suites := bullseye bookworm trixie forky trixie-backports \
	bookworm-arm64 trixie-backports-arm64 bookworm-s390x forky-riscv64 debug
MINUTES ?= 10

# What make install writes to. With DESTDIR, for packages, depmod is not run.
DESTDIR ?=
PREFIX ?= /usr/local
INSTALL_MOD_PATH ?= $(DESTDIR)
version := $(shell sed -n 's/^PACKAGE_VERSION="\(.*\)"/\1/p' dkms.conf)
# What vermagic says, and uname -r: Debian 11's kernel.release is another.
release = $(shell sed -n 's/.*UTS_RELEASE "\(.*\)"/\1/p' \
	$(KDIR)/include/generated/utsrelease.h)
devel := $(DESTDIR)$(PREFIX)/src/mmext-$(version)
depmod = $(if $(DESTDIR),,depmod $(if $(INSTALL_MOD_PATH),-b "$(INSTALL_MOD_PATH)") $(release))

need_headers = $(if $(kdir),,$(error no kernel headers in $(KDIR): install \
	linux-headers-$(shell uname -r), or name another place with KDIR=))

modules install uninstall clean: kdir := $(wildcard $(KDIR)/Makefile)

modules:
	$(need_headers)
	$(MAKE) -C $(KDIR) M=$(CURDIR) $(if $(MMEXT_TEST),MMEXT_TEST=$(MMEXT_TEST)) \
		$(if $(MMEXT_KUNIT),MMEXT_KUNIT=$(MMEXT_KUNIT)) modules

# The module; the ioctls' header for programs; for drivers on the engine its header
# and, for each kernel, the symbols to build against.
install: modules
	$(if $(MMEXT_TEST),$(error the build with the test knobs is not for installing))
	$(MAKE) -C $(KDIR) M=$(CURDIR) INSTALL_MOD_DIR=updates \
		INSTALL_MOD_PATH="$(INSTALL_MOD_PATH)" modules_install
	install -D -m 644 include/uapi/linux/mmext.h \
		"$(DESTDIR)$(PREFIX)/include/linux/mmext.h"
	install -D -m 644 include/linux/mmext.h "$(devel)/include/linux/mmext.h"
	install -D -m 644 Module.symvers "$(devel)/$(release)/Module.symvers"
	$(depmod)

# From the kernel of KDIR, and the headers with the last one.
uninstall:
	$(need_headers)
	rm -f "$(INSTALL_MOD_PATH)/lib/modules/$(release)/updates/"mmext.ko*
	rm -rf "$(devel)/$(release)"
	if ! ls -d "$(devel)"/*/Module.symvers >/dev/null 2>&1; then \
		rm -rf "$(devel)"; \
		rm -f "$(DESTDIR)$(PREFIX)/include/linux/mmext.h"; \
	fi
	-rmdir --ignore-fail-on-non-empty "$(DESTDIR)$(PREFIX)/include/linux" \
		"$(INSTALL_MOD_PATH)/lib/modules/$(release)/updates"
	$(depmod)

clean:
	$(if $(kdir),$(MAKE) -C $(KDIR) M=$(CURDIR) clean)
	$(MAKE) -f selftests/Makefile clean
	rm -f bench/mmext-bench

# Static programs; the harness comes with the kernel's sources.
selftests:
	harness=$$(vm/source) && $(MAKE) -f selftests/Makefile \
		HARNESS=$$harness/tools/testing/selftests

check:
	vm/check $(or $(SUITES),$(suites))

soak:
	vm/soak --minutes $(MINUTES) $(or $(SUITES),debug debug-6.1)

demo:
	vm/demo

lint:
	vm/check --layers lint bookworm

negative:
	negative/run

kunit:
	kunit/run $(if $(UML),--uml)

bench:
	bench/run $(if $(QUICK),--quick) $(BENCH)

help:
	@echo 'make                  mmext.ko for the running kernel, or for KDIR=DIR'
	@echo 'make install          module, headers and symbols; make uninstall'
	@echo 'make clean'
	@echo 'make selftests        the user-space tests, as static programs'
	@echo
	@echo 'In virtual machines, as root on Debian; set up all they need:'
	@echo 'make demo             the main job, shown'
	@echo 'make check            every test; SUITES="bookworm ..." for some suites'
	@echo 'make soak             the stress test for MINUTES=10, in debug kernels or SUITES'
	@echo 'make lint             the static checks alone'
	@echo 'make kunit            the unit tests, in debug kernels; UML=1 in a process'
	@echo 'make negative         plants mistakes and sees the tests find them'
	@echo 'make bench            counts instructions, beside the kernel'"'"'s own; QUICK=1'
	@echo 'vm/run -- COMMAND     COMMAND in a machine that has mmext loaded'

.PHONY: modules install uninstall clean selftests check demo lint negative kunit soak bench help
.DEFAULT_GOAL := modules
