/* SPDX-License-Identifier: MIT */
/* Running another program in a process. */
#ifndef PROC_EXEC_H
#define PROC_EXEC_H

#include "lib/types.h"

struct file;

/* How a program's file is opened (fs/file.h): what turns out to be a FIFO or a
 * terminal is neither waited for nor taken. */
#define OPEN_PROGRAM (O_RDONLY | O_NONBLOCK | O_NOCTTY)

/* The strings of an execve(2), collected before the old memory goes. */
struct exec_args;

/* From two NULL-terminated arrays of the current process (0: empty), or from
 * kernel strings. -E2BIG, -EFAULT, -ENOMEM. The caller frees it. */
int exec_args_from_user(uintptr_t argv, uintptr_t envp, struct exec_args **out);
int exec_args_from_kernel(const char *const *argv, const char *const *envp,
	struct exec_args **out);
void exec_args_free(struct exec_args *a); /* NULL is allowed */

/* Run the file, known to the program as `path`. On success the running thread's
 * user frame starts the new program. An error leaves everything as it was, or,
 * after the point of no return, the process killed. */
int process_exec(struct file *f, const char *path, struct exec_args *args);

/* A process no longer runs this program (process.program; NULL: none). */
struct inode;
void program_put(struct inode *node);

#endif
