/* SPDX-License-Identifier: MIT */
/* See aborts.h. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <signal.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>
#include "aborts.h"

void aborts(void (*act)(void), const char *saying)
{
	char said[1000];
	size_t length = 0;
	int out[2], how;
	pid_t child;
	ssize_t n;

	assert_int_equal(pipe(out), 0);
	child = fork();
	if (!child) {
		signal(SIGABRT, SIG_DFL);
		alarm(20);
		dup2(out[1], STDERR_FILENO);
		act();
		_exit(0);
	}
	close(out[1]);
	while ((n = read(out[0], said + length, sizeof said - 1 - length)) > 0)
		length += (size_t)n;
	said[length] = 0;
	close(out[0]);
	assert_int_equal(waitpid(child, &how, 0), child);
	assert_true(WIFSIGNALED(how) && WTERMSIG(how) == SIGABRT);
	assert_non_null(strstr(said, saying));
}
