# SPDX-License-Identifier: MIT
#
# Everything is built below O (default: build); the source tree is only read.
# Each target that a person calls first installs the Debian packages it needs.
# `make help` lists targets and variables.

S := $(patsubst %/,%,$(dir $(abspath $(lastword $(MAKEFILE_LIST)))))
O ?= build
override O := $(abspath $(O))
ifneq ($(words $(S) $(O)),2)
$(error Please use folders without spaces: make cannot handle "$(S)" or "$(O)")
endif

ifeq ($(origin CC),default)
CC := gcc
endif
LD := ld
MUSL_CC ?= musl-gcc
# Debian's own: the one that its pytest and pexpect belong to.
PYTHON ?= $(firstword $(wildcard /usr/bin/python3) python3)
Q := $(if $(V),,@)

.DEFAULT_GOAL := all
.SUFFIXES:
.SECONDARY:
.DELETE_ON_ERROR:

# --- packages ---------------------------------------------------------------
# Cheap when nothing is missing, so every object asks before it is compiled.

packages := $(S)/tools/install-packages
PACKAGES_BUILD := build $(if $(findstring clang,$(CC)),clang)
package-targets := $(addprefix packages-,build run iso test check models prove fuzz \
	coverage bench bench-host)
.PHONY: $(package-targets)
packages-build: ; @$(packages) $(PACKAGES_BUILD)
packages-run: ; @$(packages) $(PACKAGES_BUILD) run
packages-iso: ; @$(packages) $(PACKAGES_BUILD) iso
packages-test: ; @$(packages) $(PACKAGES_BUILD) run iso efi test models
packages-models: ; @$(packages) $(PACKAGES_BUILD) models
packages-prove: ; @$(packages) $(PACKAGES_BUILD) prove
packages-check: ; @$(packages) $(PACKAGES_BUILD) check
packages-fuzz: ; @$(packages) $(PACKAGES_BUILD) fuzz
packages-bench: ; @$(packages) $(PACKAGES_BUILD) run bench
packages-bench-host: ; @$(packages) $(PACKAGES_BUILD) bench-host
packages-coverage: ; @$(packages) $(PACKAGES_BUILD) run test coverage

# --- the kernel -------------------------------------------------------------

library-sources := $(patsubst $(S)/%,%,$(wildcard $(S)/iommu/*.c \
	$(S)/iommu/vtd/*.c))
# kernel/bench is linked into an image of its own, see bench/bench.mk.
kernel-sources := $(filter-out kernel/bench/%,$(patsubst $(S)/%,%,\
	$(wildcard $(S)/kernel/*/*.c $(S)/kernel/*/*.S)))
kernel-objects := $(patsubst %,$(O)/kernel/%.o,$(kernel-sources) \
	$(library-sources))

freestanding := -std=gnu17 -O2 -g -ffreestanding -fno-pic -fno-pie \
	-mcmodel=kernel -mno-red-zone -mgeneral-regs-only -mcx16 \
	-fno-stack-protector -fno-strict-aliasing -fno-common \
	-fcf-protection=none -fno-asynchronous-unwind-tables \
	-ffile-prefix-map=$(S)/= -Wall -Wextra
library-warnings := -Wshadow -Wconversion
kernel-includes := -I$(S)/kernel -I$(S)/include -I$(S)
# The library sees its own headers and nothing of the kernel's.
library-includes := -I$(S)/include -I$(S)/iommu

kernel-link = $(LD) -n -z max-page-size=4096 -z noexecstack --build-id=none \
	--no-warn-rwx-segments -T $(S)/kernel/boot/kernel.ld \
	-Map $(@:.elf=.map) -o $@ $(filter %.o,$^)

$(O)/kernel.elf: $(kernel-objects) $(S)/kernel/boot/kernel.ld
	$(Q)$(kernel-link)

$(O)/kernel/iommu/%.c.o: $(S)/iommu/%.c | packages-build
	@mkdir -p $(@D)
	$(Q)$(CC) $(freestanding) $(library-warnings) $(library-includes) \
		-MMD -MP -c -o $@ $<

$(O)/kernel/%.c.o: $(S)/%.c | packages-build
	@mkdir -p $(@D)
	$(Q)$(CC) $(freestanding) $(kernel-includes) -MMD -MP -c -o $@ $<

$(O)/kernel/%.S.o: $(S)/%.S | packages-build
	@mkdir -p $(@D)
	$(Q)$(CC) $(freestanding) $(kernel-includes) -D__ASSEMBLER__ \
		-MMD -MP -c -o $@ $<

# --- programs and the initial file system -----------------------------------
# user/NAME.c is one program against musl, so is a folder user/NAME/*.c;
# user/glibc/NAME.c is one program against glibc; a folder user/shared/NAME is
# one that is linked with Debian's shared libraries, which go with it.

user-musl := $(patsubst $(S)/user/%.c,$(O)/user/%,$(wildcard $(S)/user/*.c))
user-folders := $(patsubst $(S)/user/%/main.c,$(O)/user/%,\
	$(wildcard $(S)/user/*/main.c))
user-glibc := $(patsubst $(S)/user/glibc/%.c,$(O)/user/%,\
	$(wildcard $(S)/user/glibc/*.c))
user-shared := $(patsubst $(S)/user/shared/%/main.c,$(O)/user/%,\
	$(wildcard $(S)/user/shared/*/main.c))
user-programs := $(user-musl) $(user-folders) $(user-glibc) $(user-shared)
user-warnings := -std=gnu17 -O2 -g0 -Wall -Wextra -I$(S)/user/include
user-flags := $(user-warnings) -static -fno-pie -no-pie
LWIP := -isystem /usr/include/lwip -llwip

$(user-musl): $(O)/user/%: $(S)/user/%.c | packages-build
	@mkdir -p $(@D) $(O)/user.d
	$(Q)$(MUSL_CC) $(user-flags) -MMD -MP -MF $(O)/user.d/$*.d -MT $@ \
		-o $@ $< -s

.SECONDEXPANSION:
$(user-folders): $(O)/user/%: $$(wildcard $(S)/user/%/*.[ch]) \
		$(wildcard $(S)/user/include/*.h) | packages-build
	@mkdir -p $(@D)
	$(Q)$(MUSL_CC) $(user-flags) -mno-red-zone -o $@ $(filter %.c,$^) -s

$(user-glibc): $(O)/user/%: $(S)/user/glibc/%.c | packages-build
	@mkdir -p $(@D) $(O)/user.d
	$(Q)$(CC) $(user-flags) -pthread -MMD -MP -MF $(O)/user.d/$*.d -MT $@ \
		-o $@ $< -s

$(user-shared): $(O)/user/%: $$(wildcard $(S)/user/shared/%/*.[ch]) \
		$(wildcard $(S)/user/include/*.h) | packages-build
	@mkdir -p $(@D)
	$(Q)$(CC) $(user-warnings) -o $@ $(filter %.c,$^) $(LWIP) -pthread -s

$(O)/initramfs.cpio: $(user-programs) $(O)/kernel.elf $(S)/tools/make-initramfs \
		| packages-build
	$(Q)FILES= SCRIPT= $(S)/tools/make-initramfs $@ $(O)/user $(O)/kernel.elf

.PHONY: all kernel initramfs run demo iso clean help
all: kernel initramfs
kernel: $(O)/kernel.elf
initramfs: $(O)/initramfs.cpio

# --- running ----------------------------------------------------------------

run-variables := SMP MEM ACCEL QEMU IOMMU DEVICES PASSTHROUGH TRACE FILES \
	SCRIPT APPEND
# Only what was set: tools/qemu knows the defaults.
export O
$(foreach v,$(run-variables),$(if $(value $v),$(eval export $v)))

run: packages-run all
	@exec $(S)/tools/qemu

.PHONY: machines
machines: packages-run all
	@$(S)/tests/machines/machines $(O)

demo: packages-run all
	@SCRIPT=$(S)/tools/demo exec $(S)/tools/qemu </dev/null

iso: packages-iso $(O)/iommu.iso
$(O)/iommu.iso: $(O)/kernel.elf $(O)/initramfs.cpio $(S)/tools/make-iso \
		| packages-iso
	$(Q)$(S)/tools/make-iso $@ $(O)/kernel.elf $(O)/initramfs.cpio \
		'$(APPEND)'

clean:
	rm -rf $(addprefix $(O)/,kernel user user.d host test run lib efi size \
		machines tools iommu-decode coverage fuzz bench kernel.elf kernel.map \
		initramfs.cpio iommu.iso iommu.iso.log libiommu.a libmodel.o careful \
		mistakes coverage.txt)

include $(S)/tests/tests.mk
include $(S)/tests/more.mk
include $(S)/examples/efi/efi.mk
include $(S)/bench/host/host.mk
include $(S)/tools/iommu-decode/tools.mk
include $(S)/bench/bench.mk

help:
	@cat $(S)/tools/help.txt

-include $(kernel-objects:.o=.d) $(wildcard $(O)/user.d/*.d)
