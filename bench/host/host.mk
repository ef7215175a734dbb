# SPDX-License-Identifier: MIT
#
# make bench-host: instructions of the library's operations, counted in a host
# process by callgrind. CAP and ECAP choose another unit.

bench-flags := -std=gnu17 -O2 -g -ffreestanding -fno-pic -fcf-protection=none \
	-fno-stack-protector -fno-strict-aliasing -mgeneral-regs-only -Wall \
	-Wextra $(library-includes)
bench-objects := $(patsubst %,$(O)/bench/%.o,$(library-sources))

$(O)/bench/iommu/%.c.o: $(S)/iommu/%.c | packages-build
	@mkdir -p $(@D)
	$(Q)$(CC) $(bench-flags) $(library-warnings) -MMD -MP -c -o $@ $<

$(O)/bench/ops: $(S)/bench/host/ops.c $(bench-objects)
	$(Q)$(CC) -std=gnu17 -O2 -g -Wall -Wextra $(library-includes) -no-pie \
		-o $@ $^

.PHONY: bench-host
bench-host: packages-bench-host $(O)/bench/ops
	@$(S)/bench/host/count $(O)/bench/ops $(O)/bench/dumps

-include $(bench-objects:.o=.d)
