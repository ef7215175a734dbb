/* SPDX-License-Identifier: MIT */
/* The process around the tool. */
#include "tool.h"

int main(int argc, char **argv)
{
	struct tool tool = {
		.root = "", .in = stdin, .out = stdout, .err = stderr};
	int status = tool_run(&tool, argc, argv);

	if (fflush(stdout) || ferror(stdout)) {
		fprintf(stderr, "iommu-decode: the output was cut short\n");
		return TOOL_FAILED;
	}
	return status;
}
