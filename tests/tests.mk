# SPDX-License-Identifier: MIT
#
# Host tests: every tests/KIND/NAME.c is one cmocka program. The library and the
# model are compiled once for all of them, with the sanitizers on.

kinds := unit model qtest fuzz
host-cc := $(CC)
# make coverage counts what was written, not what an optimizer made of it.
HOST_OPTIMIZE ?= -O1 -fsanitize=address,undefined -fno-sanitize-recover=all
host-flags := -std=gnu17 -g -fno-omit-frame-pointer -Wall -Wextra \
	$(HOST_OPTIMIZE) \
	-I$(S)/include -I$(S)/model/include -I$(S) -I$(S)/kernel
# Stores of 16 bytes, as the kernel has them.
wide-stores := $(if $(filter x86_64,$(shell uname -m)),-mcx16)
host-library-flags := $(library-warnings) -I$(S)/iommu $(wide-stores)

model-sources := $(patsubst $(S)/%,%,$(wildcard $(S)/model/*.c))
support-sources := $(patsubst $(S)/%,%,$(wildcard $(S)/tests/*/support/*.c))
host-object = $(patsubst %,$(O)/host/%.o,$1)
host-objects := $(call host-object,$(library-sources) $(model-sources) \
	$(support-sources))

# $1: kind. Its programs are linked with the support folder of that kind only.
test-programs = $(patsubst $(S)/tests/%.c,$(O)/test/%,\
	$(wildcard $(S)/tests/$1/*.c))
test-support = $(call host-object,$(patsubst $(S)/%,%,\
	$(wildcard $(S)/tests/$1/support/*.c)))
all-test-programs := $(foreach k,$(kinds),$(call test-programs,$k))

$(O)/host/iommu/%.c.o: $(S)/iommu/%.c | packages-test
	@mkdir -p $(@D)
	$(Q)$(host-cc) $(host-flags) $(host-library-flags) -MMD -MP -c -o $@ $<

$(O)/host/%.c.o: $(S)/%.c | packages-test
	@mkdir -p $(@D)
	$(Q)$(host-cc) $(host-flags) -MMD -MP -c -o $@ $<

$(O)/host/tests/fuzz/%: host-flags += -I$(S)/iommu -DSOURCE='"$(S)"'

# An archive, so that a test of one part does not need the others to link; a
# shared library (TESTED=so) when tools/mutate exchanges it below the tests.
TESTED ?= a
tested-library := $(O)/host/libtested.$(TESTED)
$(O)/host/libtested.so: $(call host-object,$(library-sources) $(model-sources))
	$(Q)$(host-cc) -shared -Wl,-soname,$(@F) -o $@ $^
$(O)/host/libtested.a: $(call host-object,$(library-sources) $(model-sources))
	@rm -f $@
	$(Q)ar rcs $@ $^

define test-rule
$(call test-programs,$1): $(O)/test/%: $(O)/host/tests/%.c.o \
		$(call test-support,$1) $(tested-library)
	@mkdir -p $$(@D)
	$(Q)$(host-cc) $(host-flags) -o $$@ $$(filter %.o,$$^) \
		$(tested-library) -lcmocka -lpthread -lm
endef
$(foreach k,$(kinds),$(eval $(call test-rule,$k)))

include $(S)/tests/interleave/tests.mk
include $(S)/tests/soak.mk
include $(S)/tests/stack/tests.mk
include $(S)/tests/kernel/tests.mk
all-test-programs += $(kernel-test-programs)
include $(S)/tests/fs/tests.mk
all-test-programs += $(fs-test-program)
include $(S)/tests/models/tests.mk
all-test-programs += $(models-program)
include $(S)/tests/bugs/tests.mk
include $(S)/tests/rules/tests.mk
include $(S)/tests/mistakes/tests.mk

.PHONY: test test-unit test-model test-qtest test-qemu test-programs \
	check check-format check-headers
test-programs: packages-test $(all-test-programs)

run-tests := $(PYTHON) $(S)/tools/run-tests
test: packages-test all iso efi bench-kernel $(all-test-programs) \
		$(replay-program) $(rules-program) $(mistakes-program)
	@$(run-tests) $(all-test-programs) $(replay-program) $(rules-program) \
		$(mistakes-program) \
		--pytest $(S)/tests/qemu

define test-kind-rule
test-$1: packages-test $(call test-programs,$1)
	@$(run-tests) $(call test-programs,$1)
endef
$(foreach k,$(kinds),$(eval $(call test-kind-rule,$k)))

# ONLY='-k name' chooses among the tests in QEMU.
test-qemu: packages-test all iso efi bench-kernel
	@$(run-tests) --pytest $(S)/tests/qemu $(ONLY)

check: check-format check-headers
check-format check-headers: packages-check
	@CC=$(CC) $(S)/tools/$@

-include $(host-objects:.o=.d) $(patsubst $(O)/test/%,\
	$(O)/host/tests/%.c.d,$(all-test-programs))
