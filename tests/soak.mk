# SPDX-License-Identifier: MIT
#
# Tests that gain from other compiler flags than the sanitizers' of all the rest:
# random operations by the million without any, threads with the one for races,
# every sequence of operations on tables that are compiled to be small.
# `make soak` runs them for as long as one likes.

plain-flags := -std=gnu17 -O2 -g -Wall -Wextra -I$(S)/include \
	-I$(S)/model/include -I$(S) -I$(S)/iommu $(wide-stores)
# gcc's does not know fences; nothing here depends on that.
race-flags := $(plain-flags) -fsanitize=thread \
	$(if $(findstring clang,$(CC)),,-Wno-tsan)
# 10^7 operations on 10,000 kinds of machines.
random-flags := -DRANDOM_WORLDS=10000 -DRANDOM_STEPS=150

soak-sources := $(library-sources) $(model-sources)
soak-objects = $(patsubst %,$(O)/$1/%.o,$(soak-sources) $2 \
	$(filter tests/unit/support/%,$(support-sources)))
small-flags = $(plain-flags) -DINDEX_BITS=1
small-sources := $(addprefix iommu/,map.c pgtable.c tables.c)
small-tests := tests/small/tables.c tests/small/host.c
race-tests := threads threads_sharing
soak-programs := $(O)/test/plain/random \
	$(addprefix $(O)/test/race/,$(race-tests)) $(O)/test/small/tables
all-test-programs += $(soak-programs) $(weave-program)

define soak-rule
$(O)/$1/%.c.o: $(S)/%.c | packages-test
	@mkdir -p $$(@D)
	$(Q)$(host-cc) $$($1-flags) -MMD -MP -c -o $$@ $$<
endef
$(foreach k,plain race small,$(eval $(call soak-rule,$k)))
$(O)/plain/tests/unit/random.c.o: plain-flags += $(random-flags)

$(O)/test/plain/random: $(call soak-objects,plain,tests/unit/random.c)
	@mkdir -p $(@D)
	$(Q)$(host-cc) -o $@ $^ -lcmocka -lpthread -lm

define race-rule
$(O)/test/race/$1: $(call soak-objects,race,tests/unit/$1.c)
	@mkdir -p $$(@D)
	$(Q)$(host-cc) -fsanitize=thread -o $$@ $$^ -lcmocka -lpthread -lm
endef
$(foreach t,$(race-tests),$(eval $(call race-rule,$t)))

.PHONY: soak
soak: packages-test $(soak-programs) $(weave-program) $(O)/test/kernel/kills
	@$(S)/tools/soak $(O)

$(O)/test/small/tables: $(patsubst %,$(O)/small/%.o,$(small-sources) \
		$(small-tests)) $(patsubst %,$(O)/plain/%.o,\
		$(filter-out $(small-sources),$(library-sources)))
	@mkdir -p $(@D)
	$(Q)$(host-cc) -o $@ $^ -lcmocka

-include $(patsubst %.o,%.d,$(call soak-objects,plain,tests/unit/random.c) \
	$(call soak-objects,race,$(race-tests:%=tests/unit/%.c)) \
	$(patsubst %,$(O)/small/%.o,$(small-sources) $(small-tests)))

# --- make bench-model: how fast the model is -------------------------------------

.PHONY: bench-model
bench-model: packages-test $(O)/bench/model
	@$(O)/bench/model

$(O)/bench/model: $(S)/bench/model/speed.c $(S)/tests/model/support/mini.c \
		$(patsubst %,$(O)/plain/%.o,$(filter-out model/host.c,\
		$(model-sources)))
	@mkdir -p $(@D)
	$(Q)$(host-cc) $(plain-flags) -o $@ $^ -lcmocka -lpthread
