/* SPDX-License-Identifier: MIT */
/*
 * iommu-decode: what an I/O MMU can do, what firmware says about it and what a
 * fault line means, in words. Reads files and prints; changes nothing.
 *
 * Everything that is read is treated as hostile: nothing from outside is
 * printed before it was parsed into numbers or reduced to plain characters.
 */
#ifndef TOOL_H
#define TOOL_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

/** Exit statuses. */
enum {
	TOOL_FINE = 0,
	TOOL_WRONG = 1,  /* what was read is damaged, odd or empty */
	TOOL_FAILED = 2, /* wrong command line, or nothing could be read */
};

/** Where a command reads and writes. */
struct tool {
	const char *root; /* in front of every path of the machine */
	FILE *in, *out, *err;
};

/** The program without its process: returns the exit status. */
int tool_run(struct tool *tool, int argc, char **argv);

/* ---- input.c ---- */

enum {
	TOOL_PATH = 1024,
	TOOL_NAME = 256,
	TOOL_FILE_LIMIT = 16 << 20,
};

/** Reads a whole file, "-" being the input. NULL after a sentence on err; the
 *  caller frees. There is always a zero byte behind the end. */
uint8_t *tool_read(struct tool *tool, const char *path, size_t *out_size);

/** A short text file of the machine, its first line. False: not there. */
bool tool_line(struct tool *tool, const char *path, char *line, size_t size);

/** Where a symbolic link of the machine leads, the last part only. */
bool tool_link(struct tool *tool, const char *path, char *name, size_t size);

/** A path below the root. False: too long. */
bool tool_path(const struct tool *tool, char *out, const char *path);

/** Prints what was wrong with the command line or a file. TOOL_FAILED. */
int tool_fail(struct tool *tool, const char *format, ...)
	__attribute__((format(printf, 2, 3)));

/** A hexadecimal number with or without 0x, nothing around it. */
bool tool_hex(const char *text, uint64_t *out);

/** The names in a folder of the machine, sorted as numbers first; -1: cannot
 *  be read. The caller frees with tool_free_names(). */
int tool_names(struct tool *tool, const char *path, char ***out_names);
void tool_free_names(char **names, int count);

/* ---- meaning.c ---- */

/** What a unit's capabilities mean for the person who owns the machine. */
void meaning_cap(FILE *out, uint64_t cap);
void meaning_ecap(FILE *out, uint64_t ecap);
/** What a fault's reason suggests to do. */
const char *meaning_reason(unsigned reason);

/* ---- fault.c ---- */

enum fault_access {
	ACCESS_UNKNOWN,
	ACCESS_READ,
	ACCESS_WRITE,
	ACCESS_INTERRUPT,
};

/** What a line says; has_* tell what was found in it. */
struct fault_line {
	bool has_device, has_address, has_reason, has_pasid;
	enum fault_access access;
	unsigned segment, bus, dev, fn;
	uint64_t address; /* or the interrupt's index */
	unsigned reason;
	unsigned pasid;
};

/** Understands one line. False: it is not about a fault. */
bool fault_parse(const char *line, struct fault_line *out);

/* ---- one function per command: argv behind the command's name ---- */

int command_dmar(struct tool *tool, int argc, char **argv);
int command_cap(struct tool *tool, int argc, char **argv);
int command_ecap(struct tool *tool, int argc, char **argv);
int command_regs(struct tool *tool, int argc, char **argv);
int command_fault(struct tool *tool, int argc, char **argv);
int command_faults(struct tool *tool, int argc, char **argv);
int command_reason(struct tool *tool, int argc, char **argv);
int command_groups(struct tool *tool, int argc, char **argv);
int command_entry(struct tool *tool, int argc, char **argv);

#endif
