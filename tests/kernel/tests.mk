# SPDX-License-Identifier: MIT
#
# The kernel's memory and device assignment, hosted: the real sources with the
# sanitizers on, on a machine that tests/kernel/support simulates. The headers in
# instead/ stand in for the few that hold instructions no process may use.

kernel-tested := $(addprefix kernel/,$(addprefix mem/,change.c fill.c heap.c \
	map.c pages.c region.c shared_memory.c shootdown.c space.c table.c) \
	$(addprefix assign/,address.c config.c) lib/text.c)
# Of some programs only: elsewhere support/devices.c answers the memory code.
kernel-assign-tested := $(addprefix kernel/assign/,assign.c faults.c \
	hand_over.c interrupts.c near.c owners.c permit.c share.c start.c)
kernel-test-support := $(patsubst $(S)/%,%,\
	$(wildcard $(S)/tests/kernel/support/*.c))
kernel-test-programs := $(patsubst $(S)/tests/%.c,$(O)/test/%,\
	$(wildcard $(S)/tests/kernel/*.c))
kernel-archived := $(call host-object,$(kernel-tested) $(kernel-test-support))
kernel-assign-objects := $(call host-object,$(kernel-assign-tested))
kernel-test-objects := $(kernel-archived) $(kernel-assign-objects)
# Where RAM lies is known when the machine is made.
kernel-test-flags := -I$(S)/tests/kernel/instead -I$(S)/tests/kernel \
	-I$(S)/kernel $(host-flags) -fno-builtin \
	-include $(S)/tests/kernel/instead/direct.h

$(O)/host/kernel/%.c.o: $(S)/kernel/%.c | packages-test
	@mkdir -p $(@D)
	$(Q)$(host-cc) $(kernel-test-flags) -MMD -MP -c -o $@ $<

$(O)/host/tests/kernel/%.c.o: $(S)/tests/kernel/%.c | packages-test
	@mkdir -p $(@D)
	$(Q)$(host-cc) $(kernel-test-flags) -MMD -MP -c -o $@ $<

$(O)/host/libkernel.a: $(kernel-archived)
	@rm -f $@
	$(Q)ar rcs $@ $^

$(addprefix $(O)/test/kernel/,assign hand_over interrupts kills \
	owners): $(kernel-assign-objects)
$(kernel-test-programs): $(O)/test/%: $(O)/host/tests/%.c.o \
		$(O)/host/libkernel.a $(tested-library)
	@mkdir -p $(@D)
	$(Q)$(host-cc) $(host-flags) -o $@ $(filter %.o,$^) $(filter %.a %.so,$^) \
		-lcmocka -lpthread

.PHONY: test-kernel
test-kernel: packages-test $(kernel-test-programs)
	@$(run-tests) $(kernel-test-programs)

-include $(kernel-test-objects:.o=.d) $(patsubst $(O)/test/%,\
	$(O)/host/tests/%.c.d,$(kernel-test-programs))
