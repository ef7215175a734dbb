# SPDX-License-Identifier: MIT
#
# Known bugs put back into a copy of this tree: all of them by `make replay`
# (BUGS='names or themes', WRITE=1 rewrites the page), a few in `make test`.

REPLAY_SAMPLE := 15
replay := CC='$(CC)' $(PYTHON) -B $(S)/tests/bugs/replay $(O)
replay-program := $(O)/test/bugs/sample

$(replay-program): $(S)/tests/bugs/tests.mk
	@mkdir -p $(@D)
	@printf '#!/bin/sh\nexec env %s --sample %s --jobs 1\n' \
		"$(replay)" $(REPLAY_SAMPLE) >$@
	@chmod +x $@

.PHONY: replay check-bugs
check-bugs: packages-check
	@$(replay) --apply-only
check: check-bugs

replay: packages-test $(all-test-programs)
	@$(replay) $(if $(WRITE),--write) $(BUGS)
