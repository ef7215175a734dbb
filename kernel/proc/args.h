/* SPDX-License-Identifier: MIT */
/* The arguments of an exec, between exec.c and args.c. */
#ifndef PROC_ARGS_H
#define PROC_ARGS_H

#include "proc/exec.h"

/* Strings and the pointers to them together. */
#define ARGS_MAX (2u << 20)
#define ARGS_PAGES (ARGS_MAX / 4096)
/* Scripts that name scripts: what they put before the arguments. */
#define ARGS_PREFIX_MAX 16

struct exec_args {
	void *pages[ARGS_PAGES]; /* argv's strings, then envp's */
	size_t len;
	unsigned argc, envc;
	char *prefix[ARGS_PREFIX_MAX]; /* stand for argv[0], unless empty */
	unsigned nprefix;
};

/* Put s before the others; it replaces the first one that is there. */
int exec_args_push_script(struct exec_args *a, const char *interpreter,
	const char *argument, const char *script);

/* One pair of the auxiliary vector. */
struct auxv {
	uint64_t type, value;
};

/* Where things lie on the stack of the new program. */
struct stack_layout {
	uint64_t sp;
	uint64_t arg_start, arg_end, env_start, env_end;
};

/* Write everything below `top` into the current space. The pairs AT_EXECFN,
 * AT_RANDOM and AT_PLATFORM are added to the n given ones. */
int exec_args_write(const struct exec_args *a, uint64_t top, const char *path,
	const struct auxv *aux, size_t n, struct stack_layout *out);

#endif
