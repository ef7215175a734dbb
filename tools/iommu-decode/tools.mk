# SPDX-License-Identifier: MIT
#
# iommu-decode, a program for Linux: the library's parsers with a command line.

decode-sources := $(patsubst $(S)/%,%,$(wildcard $(S)/tools/iommu-decode/*.c))
decode-objects := $(patsubst %,$(O)/tools/%.o,$(decode-sources) \
	$(library-sources))

$(O)/tools/%.c.o: $(S)/%.c | packages-build
	@mkdir -p $(@D)
	$(Q)$(CC) -std=gnu17 -O2 -g -ffunction-sections -Wall -Wextra \
		-I$(S)/include -I$(S)/iommu -I$(S) -MMD -MP -c -o $@ $<

$(O)/iommu-decode: $(decode-objects)
	$(Q)$(CC) -Wl,--gc-sections -o $@ $^

.PHONY: tools
tools: packages-build $(O)/iommu-decode
	@echo "$(O)/iommu-decode"

# Its test links everything but main().
$(O)/test/unit/tool: $(call host-object,$(filter-out %/main.c,\
	$(decode-sources)))

-include $(decode-objects:.o=.d) $(patsubst %,$(O)/host/%.d,$(decode-sources))
