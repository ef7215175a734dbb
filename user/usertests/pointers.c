/* SPDX-License-Identifier: MIT */
/* Wild pointers to every system call that takes one. */
#include "usertests.h"

#include <poll.h>
#include <sys/mount.h>
#include <time.h>

/* Where an argument is a pointer: what the kernel does with it. */
enum use {
	NONE,
	IN,
	OUT,
	PATH
};

struct pointer_call {
	const char *name;
	long nr;
	long arg[6];
	enum use use[6];
};

#define AT AT_FDCWD
/* Each call would do something if its pointers were good. FD stands for a pipe
 * with bytes in it, WFD for its other end, DFD for an open folder. */
#define FD 1001
#define WFD 1002
#define DFD 1003

static const struct pointer_call calls[] = {
	{"read", SYS_read, {FD, 0, 64}, {NONE, OUT}},
	{"write", SYS_write, {WFD, 0, 64}, {NONE, IN}},
	{"readv", SYS_readv, {FD, 0, 2}, {NONE, IN}},
	{"writev", SYS_writev, {WFD, 0, 2}, {NONE, IN}},
	{"openat", SYS_openat, {AT, 0, O_RDONLY}, {NONE, PATH}},
	{"open", SYS_open, {0, O_RDONLY}, {PATH}},
	{"stat", SYS_stat, {0, 0}, {PATH, OUT}},
	{"lstat", SYS_lstat, {0, 0}, {PATH, OUT}},
	{"fstat", SYS_fstat, {FD, 0}, {NONE, OUT}},
	{"newfstatat", SYS_newfstatat, {AT, 0, 0, 0}, {NONE, PATH, OUT}},
	{"access", SYS_access, {0, R_OK}, {PATH}},
	{"faccessat2", 439, {AT, 0, R_OK, 0}, {NONE, PATH}},
	{"getdents64", SYS_getdents64, {DFD, 0, 4096}, {NONE, OUT}},
	{"getcwd", SYS_getcwd, {0, 4096}, {OUT}},
	{"chdir", SYS_chdir, {0}, {PATH}},
	{"mkdir", SYS_mkdir, {0, 0755}, {PATH}},
	{"rmdir", SYS_rmdir, {0}, {PATH}},
	{"unlink", SYS_unlink, {0}, {PATH}},
	{"rename", SYS_rename, {0, 0}, {PATH, PATH}},
	{"link", SYS_link, {0, 0}, {PATH, PATH}},
	{"symlink", SYS_symlink, {0, 0}, {PATH, PATH}},
	{"readlink", SYS_readlink, {0, 0, 64}, {PATH, OUT}},
	{"chmod", SYS_chmod, {0, 0644}, {PATH}},
	{"pipe2", SYS_pipe2, {0, 0}, {OUT}},
	{"poll", SYS_poll, {0, 2, 0}, {OUT}},
	{"pselect6", SYS_pselect6, {1, 0, 0, 0, 0, 0},
		{NONE, IN, IN, IN, IN, NONE}},
	{"execve", SYS_execve, {0, 0, 0}, {PATH, IN, IN}},
	{"uname", SYS_uname, {0}, {OUT}},
	{"sysinfo", SYS_sysinfo, {0}, {OUT}},
	{"times", SYS_times, {0}, {OUT}},
	{"getrusage", SYS_getrusage, {0, 0}, {NONE, OUT}},
	{"clock_gettime", SYS_clock_gettime, {0, 0}, {NONE, OUT}},
	{"nanosleep", SYS_nanosleep, {0, 0}, {IN, NONE}},
	{"clock_nanosleep", SYS_clock_nanosleep, {0, 0, 0, 0},
		{NONE, NONE, IN, NONE}},
	{"rt_sigaction", SYS_rt_sigaction, {SIGUSR1, 0, 0, 8},
		{NONE, IN, OUT, NONE}},
	{"rt_sigprocmask", SYS_rt_sigprocmask, {SIG_BLOCK, 0, 0, 8},
		{NONE, IN, OUT, NONE}},
	{"rt_sigsuspend", SYS_rt_sigsuspend, {0, 8}, {IN}},
	{"sigaltstack", SYS_sigaltstack, {0, 0}, {IN, OUT}},
	{"futex", SYS_futex, {0, 0 /* FUTEX_WAIT */, 0, 0}, {IN}},
	{"getrandom", SYS_getrandom, {0, 64, 0}, {OUT}},
	{"prlimit64", SYS_prlimit64, {0, 3, 0, 0}, {NONE, NONE, NONE, OUT}},
	{"mount", SYS_mount, {0, 0, 0, MS_BIND, 0}, {PATH, PATH}},
	{"umount2", SYS_umount2, {0, 0}, {PATH}},
	{"pread64", SYS_pread64, {DFD, 0, 64, 0}, {NONE, OUT}},
	{"prctl", SYS_prctl, {15 /* PR_SET_NAME */, 0}, {NONE, IN}},
	{"statfs", SYS_statfs, {0, 0}, {PATH, OUT}},
	{"setitimer", SYS_setitimer, {0, 0, 0}, {NONE, IN, NONE}},
	{"utimensat", SYS_utimensat, {AT, 0, 0, 0}, {NONE, PATH, IN}},
	{"sendfile", SYS_sendfile, {WFD, DFD, 0, 16}, {NONE, NONE, IN}},
};

/* Addresses that belong to nobody, or to the kernel. */
static const uint64_t wild[] = {
	0x1,
	0xfff,
	0x0000700000000000,
	0x00007ffffffffffc,
	0x0000800000000000,
	0x8000000000000000,
	0xffff7fffffffffff,
	0xffff800000000000,
	0xffff888000000000,
	0xffffffff80000000,
	0xffffffff80200000,
	0xfffffffffffff000,
	0xfffffffffffffff8,
};

static long good(enum use use, char *buffer)
{
	return use == NONE    ? 0
		: use == PATH ? (long)"/nothing/there"
			      : (long)buffer;
}

static int is_wild_use(const struct pointer_call *c, int at, uint64_t address)
{
	/* Calls may look at fewer bytes than the first page holds. */
	return c->use[at] != NONE && address != 0;
}

/* One argument wild, the others good: an error, and the kernel lives. */
static void try(const struct pointer_call *c, int at, uint64_t address,
	const int *fds, char *buffer)
{
	long arg[6], result;

	for (int i = 0; i < 6; i++) {
		arg[i] =
			c->use[i] == NONE ? c->arg[i] : good(c->use[i], buffer);
		if (arg[i] >= FD && arg[i] <= DFD)
			arg[i] = fds[arg[i] - FD];
	}
	arg[at] = (long)address;
	result = call(c->nr, arg[0], arg[1], arg[2], arg[3], arg[4], arg[5]);
	if (result >= 0 || result < -4095) {
		printf("  %s, argument %d = %#llx: %ld\n", c->name, at,
			(unsigned long long)address, result);
		CHECK(!"a wild pointer must give an error");
	}
}

static void wild_pointers(void)
{
	int fds[3], p[2];
	char *buffer = calloc(1, 65536);

	CHECK(pipe(p) == 0);
	CHECK(write(p[1], buffer, 64) == 64);
	fds[0] = p[0];
	fds[1] = p[1];
	fds[2] = open("/", O_RDONLY | O_DIRECTORY);
	CHECK(fds[2] >= 0);
	for (size_t i = 0; i < sizeof(calls) / sizeof(calls[0]); i++)
		for (size_t w = 0; w < sizeof(wild) / sizeof(wild[0]); w++)
			for (int at = 0; at < 6; at++)
				if (is_wild_use(&calls[i], at, wild[w]))
					try(&calls[i], at, wild[w], fds,
						buffer);
}

/* The first bytes are there, the rest is not. */
static void buffers_across_a_hole(void)
{
	char *end = pages_before_hole(1) + PAGE;
	char big[64] = {0};
	int p[2];

	CHECK(pipe(p) == 0);
	CHECK(write(p[1], big, 64) == 64);
	CHECK(call(SYS_stat, (long)"/", (long)end - 8, 0, 0, 0, 0) == -EFAULT);
	CHECK(call(SYS_pipe2, (long)end - 4, 0, 0, 0, 0, 0) == -EFAULT);
	CHECK(call(SYS_clock_gettime, 0, (long)end - 8, 0, 0, 0, 0) == -EFAULT);
	memset(end - 16, 'x', 16); /* a path that never ends */
	CHECK(open(end - 16, O_RDONLY) < 0 && errno == EFAULT);
	CHECK(mkdir(end - 16, 0755) < 0 && errno == EFAULT);
	/* Some bytes may have moved; more than there is room for cannot. */
	CHECK(read(p[0], end - 16, 64) <= 16);
	CHECK(write(p[1], end - 16, 64) <= 16);
}

static void outputs_to_read_only_memory(void)
{
	char *p = pages_before_hole(1);
	char c = 'x';
	int pipe_fds[2];

	CHECK(pipe(pipe_fds) == 0 && write(pipe_fds[1], &c, 1) == 1);
	CHECK(mprotect(p, PAGE, PROT_READ) == 0);
	CHECK(read(pipe_fds[0], p, 1) < 0 && errno == EFAULT);
	CHECK(call(SYS_stat, (long)"/", (long)p, 0, 0, 0, 0) == -EFAULT);
	CHECK(call(SYS_uname, (long)p, 0, 0, 0, 0, 0) == -EFAULT);
	CHECK(call(SYS_pipe2, (long)p, 0, 0, 0, 0, 0) == -EFAULT);
	CHECK(mprotect(p, PAGE, PROT_NONE) == 0);
	CHECK(write(pipe_fds[1], p, 1) < 0 && errno == EFAULT);
}

/* Lengths that overflow any sum they are used in. */
static void absurd_lengths(void)
{
	static const long lengths[] = {-1, INT64_MIN, INT64_MAX, 1l << 47,
		(1l << 47) - 1, 1l << 32, -4096, -4095};
	char *end = pages_before_hole(1) + PAGE;
	int p[2], dir = open("/", O_RDONLY);

	CHECK(pipe2(p, O_NONBLOCK) == 0);
	for (size_t i = 0; i < sizeof(lengths) / sizeof(lengths[0]); i++) {
		long n = lengths[i];

		call(SYS_write, p[1], (long)end - 8, n, 0, 0, 0);
		call(SYS_read, p[0], (long)end - 8, n, 0, 0, 0);
		call(SYS_getdents64, dir, (long)end - 8, n, 0, 0, 0);
		call(SYS_readv, p[0], (long)end - 64, n, 0, 0, 0);
		call(SYS_writev, p[1], (long)end - 64, n, 0, 0, 0);
		call(SYS_poll, (long)end - 64, n, 0, 0, 0, 0);
		call(SYS_pselect6, n, (long)end - 64, 0, 0, (long)end - 16, 0);
		call(SYS_getcwd, (long)end - 8, n, 0, 0, 0, 0);
		call(SYS_getrandom, (long)end - 8, n, 0, 0, 0, 0);
		call(SYS_readlink, (long)"/proc/self/exe", (long)end - 8, n, 0,
			0, 0);
		call(SYS_mmap, 0, n, PROT_READ, MAP_PRIVATE | MAP_ANONYMOUS, -1,
			0);
		call(SYS_mremap, (long)end - PAGE, n, n, 1, 0, 0);
		call(SYS_lseek, dir, n, SEEK_SET, 0, 0, 0);
		if (n > 0)
			continue;
		/* The end lies below the start. */
		CHECK(call(SYS_munmap, (long)end, n, 0, 0, 0, 0) < 0);
		CHECK(call(SYS_mprotect, (long)end, n, PROT_READ, 0, 0, 0) < 0);
		CHECK(call(SYS_madvise, (long)end, n, 4, 0, 0, 0) < 0);
	}
}

static void unknown_calls(void)
{
	static const long numbers[] = {
		-1, 951, 1000000, INT64_MAX, (1l << 32) - 1, 0x3fffffff, 511};

	for (size_t i = 0; i < sizeof(numbers) / sizeof(numbers[0]); i++)
		CHECK(call(numbers[i], -1, -1, -1, -1, -1, -1) == -ENOSYS);
}

const struct test pointer_tests[] = {
	{"wild_pointers", wild_pointers, 0},
	{"buffers_across_a_hole", buffers_across_a_hole, 0},
	{"outputs_to_read_only_memory", outputs_to_read_only_memory, 0},
	{"absurd_lengths", absurd_lengths, 0},
	{"unknown_calls", unknown_calls, 0},
	{0},
};
