# SPDX-License-Identifier: MIT
#
# Protocol models, checked by spin: right ones verified, wrong ones refuted. The
# tests run them at their small size; `make models` at both.

models-program := $(O)/test/models/protocols

$(models-program): $(S)/tests/models/run $(wildcard $(S)/tests/models/*.pml) \
		| packages-test
	@mkdir -p $(@D)
	$(Q)printf '#!/bin/sh\nexec %s %s\n' $< $(O)/models >$@ && chmod +x $@

.PHONY: models
models: packages-models
	@$(S)/tests/models/run --full $(O)/models

# Frama-C Eva on the parsers and the packing of entries, tests/prove/NAME.c.
.PHONY: prove
prove: packages-prove
	@$(S)/tests/prove/run $(O)/prove
