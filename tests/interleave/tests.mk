# SPDX-License-Identifier: MIT
#
# Two CPUs in every order. The library is compiled with the calls of the thread
# sanitizer and linked with ours instead (shared.c): below the host's objects, so
# that known bugs are put back into a copy of them.
# BOUND=3 allows one interruption more than `make test` does, and takes minutes.

weave-objects := $(patsubst %,$(O)/host/weave/%.o,$(library-sources) \
	$(model-sources) $(patsubst $(S)/%,%,$(wildcard $(S)/tests/interleave/*.c)))
weave-program := $(O)/test/interleave/pairs
weave-flags := -std=gnu17 -O2 -g -fno-omit-frame-pointer -Wall -Wextra \
	-I$(S)/include -I$(S)/model/include -I$(S)
weave-library-flags := -fsanitize=thread -I$(S)/iommu $(wide-stores) \
	$(if $(findstring clang,$(CC)),,-Wno-tsan)
weave-calls := $(foreach f,memcpy memmove memset memcmp,\
	--redefine-sym $f=weave_$f)

$(O)/host/weave/iommu/%.c.o: $(S)/iommu/%.c | packages-test
	@mkdir -p $(@D)
	$(Q)$(host-cc) $(weave-flags) $(weave-library-flags) -MMD -MP -c -o $@ $<
	$(Q)objcopy $(weave-calls) $@

$(O)/host/weave/%.c.o: $(S)/%.c | packages-test
	@mkdir -p $(@D)
	$(Q)$(host-cc) $(weave-flags) -MMD -MP -c -o $@ $<

$(weave-program): $(weave-objects)
	@mkdir -p $(@D)
	$(Q)$(host-cc) -o $@ $^ -lcmocka -lpthread

.PHONY: interleave
interleave: packages-test $(weave-program)
	@$(weave-program)

-include $(weave-objects:.o=.d)
