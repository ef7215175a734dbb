# SPDX-License-Identifier: MIT
#
# The model's rules switched off one at a time: all of them by `make rules`
# (RULES='names or files', WRITE=1 rewrites docs/model-rules.md), a few in `make
# test`. On objects without sanitizers, so that each takes a second.

RULES_SAMPLE := 12
rules := CC='$(CC)' CFLAGS='$(plain-flags)' $(PYTHON) -B $(S)/tests/rules/run $(O)
rules-objects := $(patsubst %,$(O)/plain/%.o,$(model-sources) \
	$(filter tests/model/support/%,$(support-sources)) \
	$(patsubst $(S)/%,%,$(wildcard $(S)/tests/model/*.c)))
rules-program := $(O)/test/rules/sample

$(rules-program): $(S)/tests/rules/tests.mk $(rules-objects)
	@mkdir -p $(@D)
	@printf '#!/bin/sh\nexec env %s --sample %s\n' \
		"$(rules)" $(RULES_SAMPLE) >$@
	@chmod +x $@

.PHONY: rules check-rules
rules: packages-test $(rules-objects)
	@$(rules) $(if $(WRITE),--write) $(RULES)

check-rules: packages-check
	@$(rules) --apply-only
check: check-rules

-include $(rules-objects:.o=.d)
