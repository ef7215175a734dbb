# SPDX-License-Identifier: MIT
#
# How much stack the library's public calls take: some of the host tests on a
# library that tells which of its functions are on the stack (measure.c).

stack-flags := $(plain-flags) -fno-reorder-functions -no-pie
stack-tests := sweep inject twice queue inherited left_on faults reserved ats dma \
	random_short
stack-programs := $(stack-tests:%=$(O)/test/stack/%)
stack-library := $(patsubst %,$(O)/stack/%.o,$(library-sources))
stack-others := $(patsubst %,$(O)/plain/%.o,$(model-sources) \
	$(filter tests/unit/support/%,$(support-sources))) \
	$(O)/plain/tests/stack/measure.c.o

$(O)/stack/iommu/%.c.o: $(S)/iommu/%.c | packages-test
	@mkdir -p $(@D)
	$(Q)$(host-cc) $(stack-flags) -finstrument-functions -MMD -MP -c -o $@ $<
	$(Q)objcopy --rename-section .text=library_code $@

# Few steps in few worlds: what they call is what the many call.
$(O)/stack/random_short.c.o: $(S)/tests/unit/random.c | packages-test
	@mkdir -p $(@D)
	$(Q)$(host-cc) $(stack-flags) -MMD -MP -c -o $@ $<

$(stack-programs): $(O)/test/stack/%: $(stack-library) $(stack-others)
	@mkdir -p $(@D)
	$(Q)$(host-cc) -no-pie -o $@ $^ -lcmocka -lpthread -lm
$(foreach t,$(filter-out random_short,$(stack-tests)),\
	$(eval $(O)/test/stack/$t: $(O)/plain/tests/unit/$t.c.o))
$(O)/test/stack/random_short: $(O)/stack/random_short.c.o

-include $(stack-library:.o=.d) $(stack-others:.o=.d) \
	$(stack-tests:%=$(O)/plain/tests/unit/%.c.d) $(O)/stack/random_short.c.d
