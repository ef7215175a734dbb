/* SPDX-License-Identifier: MIT */
/*
 * A log as anything at all, and a register page: the tool's readers end, stay
 * inside what they were given and print nothing but plain characters.
 */
#include <stdlib.h>
#include "tools/iommu-decode/fault.c"
#include "tools/iommu-decode/input.c"
#include "tools/iommu-decode/meaning.c"
#include "tools/iommu-decode/regs.c"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	char name[] = "-", *names[] = {name}, *said = NULL;
	size_t length, n;
	struct tool tool = {.root = "/nowhere"};

	if (size < 2)
		return 0;
	tool.in = fmemopen((void *)(data + 1), size - 1, "r");
	tool.out = tool.err = open_memstream(&said, &length);
	if (!tool.in || !tool.out)
		abort();
	if (data[0] & 1)
		command_faults(&tool, 0, names);
	else
		command_regs(&tool, 1, names);
	fclose(tool.in);
	fclose(tool.out);
	for (n = 0; n < length; n++)
		if (said[n] != '\n' && (said[n] < ' ' || said[n] > '~'))
			abort();
	free(said);
	return 0;
}
