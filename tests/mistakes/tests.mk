# SPDX-License-Identifier: MIT
#
# The model alone, and the driver of examples/careful on it: without a mistake it
# earns nothing, and each mistake of mistakes.txt is named. All of them by `make
# mistakes` (MISTAKES='names'), a few in `make test`.

MISTAKES_SAMPLE := 5
careful-sources := $(wildcard $(S)/examples/careful/*.c)
mistakes := CC='$(CC)' $(PYTHON) -B $(S)/tests/mistakes/run $(O)
mistakes-program := $(O)/test/mistakes/sample

# The model's own functions have plain names, as those of a driver may have.
$(O)/libmodel.o: $(patsubst %,$(O)/plain/%.o,\
		$(filter-out model/host.c,$(model-sources)))
	$(Q)$(LD) -r -o $@ $^
	$(Q)objcopy --wildcard --keep-global-symbol='model_*' $@

$(O)/careful: $(O)/libmodel.o $(careful-sources) \
		$(wildcard $(S)/examples/careful/*.h)
	$(Q)$(CC) -std=gnu17 -O1 -g -Wall -Wextra $(library-warnings) \
		-I$(S)/model/include -o $@ $(careful-sources) $< -lpthread

$(mistakes-program): $(S)/tests/mistakes/tests.mk $(O)/careful
	@mkdir -p $(@D)
	@printf '#!/bin/sh\nexec env %s --sample %s\n' \
		"$(mistakes)" $(MISTAKES_SAMPLE) >$@
	@chmod +x $@

.PHONY: model careful mistakes check-mistakes
careful: packages-test $(O)/careful
	@$(O)/careful
model: packages-test $(O)/libmodel.o
mistakes: packages-test $(O)/careful
	@$(mistakes) $(MISTAKES)

check-mistakes: packages-check
	@$(mistakes) --apply-only
check: check-mistakes
