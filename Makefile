# SPDX-License-Identifier: GPL-2.0
KDIR ?= /lib/modules/$(shell uname -r)/build
SUITES ?= bullseye bookworm trixie forky trixie-backports

modules install clean: kdir := $(wildcard $(KDIR)/Makefile)

modules:
	$(if $(kdir),,$(error no kernel headers in $(KDIR): install \
	    linux-headers-$(shell uname -r), or name another place with KDIR=))
	$(MAKE) -C $(KDIR) M=$(CURDIR) $(if $(MMEXT_TEST),MMEXT_TEST=$(MMEXT_TEST)) modules

install: modules
	$(MAKE) -C $(KDIR) M=$(CURDIR) modules_install
	depmod $(shell $(MAKE) -s -C $(KDIR) kernelrelease 2>/dev/null)

clean:
	$(if $(kdir),$(MAKE) -C $(KDIR) M=$(CURDIR) clean)
	$(MAKE) -f selftests/Makefile clean

# Static programs; the harness comes with the kernel's sources.
selftests:
	harness=$$(vm/source) && $(MAKE) -f selftests/Makefile \
		HARNESS=$$harness/tools/testing/selftests

check:
	vm/check $(SUITES)

demo:
	vm/demo

lint:
	vm/check --layers lint bookworm

negative:
	negative/run

kunit soak bench:
	@echo "make $@: not in this release" >&2; exit 2

help:
	@echo 'make                  mmext.ko for the running kernel, or for KDIR=DIR'
	@echo 'make install          into /lib/modules of that kernel'
	@echo 'make clean'
	@echo 'make selftests        the user-space tests, as static programs'
	@echo
	@echo 'In virtual machines, as root on Debian; set up all they need:'
	@echo 'make demo             the main job, shown'
	@echo 'make check            every test; SUITES="bookworm ..." for some suites'
	@echo 'make lint             the static checks alone'
	@echo 'make negative         plants mistakes and sees the tests find them'
	@echo 'vm/run -- COMMAND     COMMAND in a machine that has mmext loaded'

.PHONY: modules install clean selftests check demo lint negative kunit soak bench help
.DEFAULT_GOAL := modules
