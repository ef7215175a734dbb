# SPDX-License-Identifier: MIT
#
# make bench: the kernel with kernel/bench linked in, booted with and without
# counting instructions; bench/run prints the tables.
# PART chooses: instructions, time, check.

bench-kernel-sources := $(patsubst $(S)/%,%,$(wildcard $(S)/kernel/bench/*.c))
bench-kernel-objects := $(patsubst %,$(O)/kernel/%.o,$(bench-kernel-sources))

$(O)/bench/kernel.elf: $(kernel-objects) $(bench-kernel-objects) \
		$(S)/kernel/boot/kernel.ld
	@mkdir -p $(@D)
	$(Q)$(kernel-link)

.PHONY: bench bench-kernel
bench-kernel: $(O)/bench/kernel.elf
bench: packages-bench all bench-kernel
	@$(PYTHON) -B $(S)/bench/run $(PART)

-include $(bench-kernel-objects:.o=.d)
