# SPDX-License-Identifier: MIT
#
# The library by itself, and what is asked about it now and then: its size, what
# the tests reach, what fuzzers find.

# --- make lib: a static library for a host of one's own ---------------------
# LIB_CFLAGS are the host's: its code model, its target.

LIB_CFLAGS ?= -O2 -g
lib-objects := $(patsubst %,$(O)/lib/%.o,$(library-sources))

$(O)/lib/%.c.o: $(S)/%.c | packages-build
	@mkdir -p $(@D)
	$(Q)$(CC) -std=gnu17 -ffreestanding -fno-pic $(LIB_CFLAGS) -Wall -Wextra \
		$(library-warnings) $(library-includes) -MMD -MP -c -o $@ $<

$(O)/libiommu.a: $(lib-objects)
	@rm -f $@
	$(Q)ar rcs $@ $^

.PHONY: lib size coverage mutate fuzz
lib: packages-build $(O)/libiommu.a
	@echo "$(O)/libiommu.a; headers: $(S)/include/iommu"

# --- make size --------------------------------------------------------------

size-objects := $(patsubst %,$(O)/size/%.o,$(library-sources))

$(O)/size/%.c.o: $(S)/%.c | packages-build
	@mkdir -p $(@D)
	$(Q)$(CC) -std=gnu17 -ffreestanding -O2 -mgeneral-regs-only \
		$(wide-stores) -fcallgraph-info=su $(library-includes) -MMD -MP -c -o $@ $<

size: packages-build packages-test $(size-objects) $(stack-programs)
	@size -t $(size-objects) | sed 's|$(O)/size/||'
	@V=$(V) $(PYTHON) $(S)/tools/size $(S) $(O)/size $(stack-programs)

# --- make reference: a page for every public function ----------------------

.PHONY: reference check-reference
reference:
	@$(S)/tools/reference $(O)/reference && echo "$(O)/reference/index.md"

# Docstrings are complete, and so is the list of sources for other builds.
check-reference: packages-check
	@$(S)/tools/reference --check
	@cd $(S) && ls iommu/*.c iommu/vtd/*.c | LC_ALL=C sort >$(O)/sources && \
		LC_ALL=C sort iommu/sources.txt | diff - $(O)/sources
check: check-reference

# --- docs/comparison.md: no claim without code and a test -------------------

.PHONY: check-comparison
check-comparison: packages-check
	@$(S)/tools/check-comparison
check: check-comparison

# --- make coverage ----------------------------------------------------------

# Programs that run the library or the model in a process, built anew below the
# O of the sub-make, without sanitizers: those add branches of their own.
.PHONY: host-programs
host-programs: packages-test \
	$(foreach k,$(or $(KINDS),unit model),$(call test-programs,$k))
host-programs-in = $(MAKE) --no-print-directory -C $(S) O=$(O)/$1
counting := HOST_OPTIMIZE='-O0 --coverage -fprofile-update=atomic'

coverage: packages-coverage
	@find $(O)/coverage '(' -name '*.gcda' -o -name red ')' -delete \
		2>/dev/null || true
	$(Q)+$(call host-programs-in,coverage) $(counting) \
		-k test-unit test-model test-kernel || touch $(O)/coverage/red
	$(Q)gcovr -r $(S) --object-directory $(O)/coverage/host \
		-f '$(S)/iommu/' -f '$(S)/model/' --exclude-unreachable-branches \
		--json $(O)/coverage.json --txt $(O)/coverage.txt $(O)/coverage/host
	@$(S)/tools/coverage $(O)/coverage.json $(S)/tests/uncovered.txt
	@! rm $(O)/coverage/red 2>/dev/null

# --- make mutate ------------------------------------------------------------
# MUTANTS=n or all, SEED=n, FILES='model/*.c', JOBS=n, KINDS='model'. SANITIZE=1
# (with an O of its own) has the tests see what the sanitizers see, as in make test;
# that takes three times as long.

mutated := $(patsubst $(S)/%,%,$(wildcard $(addprefix $(S)/,\
	$(or $(FILES),iommu/*.c iommu/vtd/*.c))))
# What is read without ever having been written has a value then, that makes no
# sense, not the one that an earlier call left on the stack.
mutated-flags := -std=gnu17 -O1 -fPIC -w -ftrivial-auto-var-init=pattern \
	-I$(S)/include -I$(S)/model/include -I$(S) -I$(S)/kernel \
	-I$(S)/iommu
mutated-sanitizers := $(and $(SANITIZE),-fsanitize=address -fsanitize=undefined \
	-fno-sanitize-recover=all)
mutate: packages-coverage
	$(Q)+$(call host-programs-in,coverage) $(counting) host-programs
	$(Q)+$(call host-programs-in,mutate) TESTED=so \
		HOST_OPTIMIZE='-O1 -fPIC -w $(mutated-sanitizers)' host-programs
	@CC='$(CC)' CFLAGS='$(mutated-flags) $(mutated-sanitizers)' \
		MUTANTS='$(MUTANTS)' SEED='$(or $(SEED),1)' JOBS='$(JOBS)' \
		KINDS='$(KINDS)' \
		nice -n 15 $(PYTHON) -B $(S)/tools/mutate $(O) $(mutated)

# --- make fuzz: tests/fuzz/NAME.c, corpus in tests/fuzz/corpus/NAME ----------

SECONDS ?= 60
fuzzers := $(patsubst $(S)/tests/%.c,$(O)/%,$(wildcard $(S)/tests/fuzz/*.c))
fuzz-flags := -std=gnu17 -O1 -g -fsanitize=fuzzer,address,undefined \
	-fno-sanitize-recover=undefined -I$(S)/include -I$(S)/iommu \
	-I$(S)/model/include -I$(S) -I$(S)/kernel

$(fuzzers): $(O)/%: $(S)/tests/%.c $(addprefix $(S)/,$(library-sources) \
		$(model-sources)) | packages-fuzz
	@mkdir -p $(@D)
	$(Q)clang $(fuzz-flags) -o $@ $(filter %.c,$^)

fuzz: packages-fuzz $(fuzzers)
	@for fuzzer in $(fuzzers); do \
		name=$${fuzzer##*/}; mkdir -p $(O)/corpus/$$name; \
		echo "$$name, $(SECONDS) s"; \
		$$fuzzer -max_total_time=$(SECONDS) -verbosity=0 \
			-artifact_prefix=$(O)/corpus/ $(O)/corpus/$$name \
			$$(ls -d $(S)/tests/fuzz/corpus/$$name 2>/dev/null) \
			|| exit 1; \
	done

-include $(lib-objects:.o=.d) $(size-objects:.o=.d)
