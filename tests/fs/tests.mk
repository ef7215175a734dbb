# SPDX-License-Identifier: MIT
#
# The kernel's files and names, hosted: the real sources with the sanitizers on.
# support.c gives them memory, locks and a process.

fs-tested := $(addprefix kernel/fs/,context.c cpio.c fdtable.c file.c init.c \
	inode.c mount.c names.c open.c path.c pipe.c ramfile.c ramfs.c tree.c)
fs-test-objects := $(patsubst %,$(O)/host/fs/%.o,$(fs-tested) \
	kernel/lib/string.c kernel/lib/text.c tests/fs/support.c \
	tests/fs/names.c)
fs-test-program := $(O)/test/fs/names

$(O)/host/fs/%.c.o: $(S)/%.c | packages-test
	@mkdir -p $(@D)
	$(Q)$(host-cc) -I$(S)/kernel $(host-flags) -fno-builtin \
		-DDIRECT_BASE=0ull -MMD -MP -c -o $@ $<

$(fs-test-program): $(fs-test-objects)
	@mkdir -p $(@D)
	$(Q)$(host-cc) $(host-flags) -o $@ $^ -lcmocka

.PHONY: test-fs
test-fs: packages-test $(fs-test-program)
	@$(run-tests) $(fs-test-program)

-include $(fs-test-objects:.o=.d)
