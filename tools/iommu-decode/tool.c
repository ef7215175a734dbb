/* SPDX-License-Identifier: MIT */
/* The command line: options, the list of commands, help. */
#include <string.h>
#include <iommu/fault.h>
#include "tool.h"

static const struct command {
	const char *name, *arguments, *help;
	int least, most; /* arguments */
	int (*run)(struct tool *tool, int argc, char **argv);
} commands[] = {
	{"dmar", "[FILE]", "the DMAR table: units, devices, what is odd", 0, 1,
		command_dmar},
	{"regs", "[FILE]", "this machine's units, or a raw register dump", 0, 1,
		command_regs},
	{"cap", "VALUE", "a capability register", 1, 1, command_cap},
	{"ecap", "VALUE", "an extended capability register", 1, 1,
		command_ecap},
	{"groups", "", "which devices can be passed through, why not others", 0,
		0, command_groups},
	{"fault", "LINE", "one fault line of a kernel's log", 1, 1,
		command_fault},
	{"faults", "", "a whole log: dmesg | iommu-decode faults", 0, 0,
		command_faults},
	{"reason", "CODE", "a fault reason, such as 0x05", 1, 1,
		command_reason},
	{"entry", "KIND LOW [HIGH]", "a root, context, pte or irte entry", 2, 3,
		command_entry},
};

enum {
	COMMANDS = sizeof(commands) / sizeof(*commands)
};

static void print_help(FILE *out)
{
	unsigned n;

	fprintf(out,
		"iommu-decode [--root DIR] COMMAND: Intel VT-d in words\n\n");
	for (n = 0; n < COMMANDS; n++)
		fprintf(out, "  %-6s %-16s %s\n", commands[n].name,
			commands[n].arguments, commands[n].help);
	fprintf(out,
		"\n  --root DIR    read DIR/sys instead of /sys\n"
		"  --help        this\n\n"
		"Numbers are hexadecimal. FILE may be - for the input.\n"
		"Exit status: 0 fine; 1 what was read is damaged, odd or "
		"empty; 2 wrong command\nline, or nothing could be read.\n");
}

static const struct command *find(const char *name)
{
	unsigned n;

	for (n = 0; n < COMMANDS; n++)
		if (!strcmp(commands[n].name, name))
			return &commands[n];
	return NULL;
}

int tool_run(struct tool *tool, int argc, char **argv)
{
	const struct command *command;
	int at = 1;

	for (; at < argc && !strncmp(argv[at], "--", 2); at++) {
		if (!strcmp(argv[at], "--help")) {
			print_help(tool->out);
			return TOOL_FINE;
		}
		if (strcmp(argv[at], "--root"))
			return tool_fail(
				tool, "there is no option %s", argv[at]);
		if (++at == argc)
			return tool_fail(tool, "--root needs a folder");
		tool->root = argv[at];
	}
	if (at >= argc)
		return tool_fail(tool, "which command? --help lists them");
	command = find(argv[at]);
	if (!command)
		return tool_fail(tool,
			"there is no command %s; --help lists them", argv[at]);
	argc -= at + 1;
	argv += at + 1;
	if (argc < command->least || argc > command->most)
		return tool_fail(tool, "usage: iommu-decode %s %s",
			command->name, command->arguments);
	return command->run(tool, argc, argv);
}

int command_reason(struct tool *tool, int argc, char **argv)
{
	uint64_t reason;

	(void)argc;
	if (!tool_hex(argv[0], &reason) || reason > 0xff)
		return tool_fail(tool,
			"%s is no reason: a number from 0 to ff is needed",
			argv[0]);
	fprintf(tool->out, "reason 0x%02x: %s\n%s\n", (unsigned)reason,
		iommu_fault_text((uint8_t)reason),
		meaning_reason((unsigned)reason));
	return TOOL_FINE;
}
