/* SPDX-License-Identifier: MIT */
/* Mapped memory: what is there, what is not, and who sees whose writes. */
#include "usertests.h"

#include <sched.h>
#include <semaphore.h>

static char *map(size_t size, int prot, int flags)
{
	char *p = mmap(NULL, size, prot, MAP_ANONYMOUS | flags, -1, 0);

	CHECK(p != MAP_FAILED);
	return p;
}

static void touch(void *p)
{
	*(volatile char *)p = 1;
}

static void look(void *p)
{
	(void)*(volatile char *)p;
}

static void jump(void *p)
{
	((void (*)(void))p)();
}

static void fresh_memory_is_zero(void)
{
	for (int round = 0; round < 8; round++) {
		size_t size = 64 * PAGE;
		char *p = map(size, PROT_READ | PROT_WRITE, MAP_PRIVATE);

		for (size_t i = 0; i < size; i++)
			CHECK(p[i] == 0);
		memset(p, 0xa5, size);
		CHECK(munmap(p, size) == 0);
	}
}

static void protection_is_kept(void)
{
	char *p = map(3 * PAGE, PROT_READ | PROT_WRITE, MAP_PRIVATE);

	memset(p, 1, 3 * PAGE);
	CHECK(mprotect(p + PAGE, PAGE, PROT_READ) == 0);
	touch(p);
	look(p + PAGE);
	CHECK_KILLED(touch, p + PAGE, SIGSEGV);
	touch(p + 2 * PAGE);
	CHECK(mprotect(p + PAGE, PAGE, PROT_NONE) == 0);
	CHECK_KILLED(look, p + PAGE, SIGSEGV);
	CHECK(mprotect(p + PAGE, PAGE, PROT_READ | PROT_WRITE) == 0);
	CHECK(p[PAGE] == 1);
	touch(p + PAGE);
	CHECK(munmap(p + PAGE, PAGE) == 0);
	CHECK_KILLED(look, p + PAGE, SIGSEGV);
	look(p + 2 * PAGE);
}

static void data_is_not_code(void)
{
	char *p = map(PAGE, PROT_READ | PROT_WRITE, MAP_PRIVATE);
	char on_stack[16];

	p[0] = (char)0xc3; /* ret */
	on_stack[0] = (char)0xc3;
	CHECK_KILLED(jump, p, SIGSEGV);
	CHECK_KILLED(jump, on_stack, SIGSEGV);
	CHECK(mprotect(p, PAGE, PROT_READ | PROT_EXEC) == 0);
	jump(p);
}

static void kernel_addresses_are_shut(void)
{
	static const uint64_t addresses[] = {0, 0x800000000000,
		0xffff7fffffffffff, 0xffff800000000000, 0xffff888000000000,
		0xffffffff80000000, 0xffffffff80100000, 0xffffffffffffffff};

	for (size_t i = 0; i < sizeof(addresses) / sizeof(addresses[0]); i++) {
		CHECK_KILLED(look, (void *)addresses[i], SIGSEGV);
		CHECK_KILLED(touch, (void *)addresses[i], SIGSEGV);
		CHECK_KILLED(jump, (void *)addresses[i], SIGSEGV);
	}
}

static void kernel_addresses_cannot_be_mapped(void)
{
	static const uint64_t addresses[] = {0x800000000000, 0xffff800000000000,
		0xffffffff80000000, 0xfffffffffffff000};
	const int flags = MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED;

	for (size_t i = 0; i < sizeof(addresses) / sizeof(addresses[0]); i++) {
		void *at = (void *)addresses[i];

		CHECK(mmap(at, PAGE, PROT_READ, flags, -1, 0) == MAP_FAILED);
		CHECK(munmap(at, PAGE) < 0);
		CHECK(mprotect(at, PAGE, PROT_READ) < 0);
	}
	/* Across the border, and around zero. */
	CHECK(mmap((void *)0x7fffffff0000, 32 * PAGE, PROT_READ, flags, -1,
		      0) == MAP_FAILED);
	CHECK(mmap((void *)(-16 * PAGE), 32 * PAGE, PROT_READ, flags, -1, 0) ==
		MAP_FAILED);
	CHECK(mmap((void *)0x10001, PAGE, PROT_READ, flags, -1, 0) ==
		MAP_FAILED);
	CHECK(mmap(NULL, 0, PROT_READ, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0) ==
		MAP_FAILED);
}

static void fork_copies_private_memory(void)
{
	char *p = map(16 * PAGE, PROT_READ | PROT_WRITE, MAP_PRIVATE);
	int status;

	memset(p, 'p', 16 * PAGE);
	pid_t pid = fork();
	CHECK(pid >= 0);
	if (pid == 0) {
		for (size_t i = 0; i < 16 * PAGE; i++)
			CHECK(p[i] == 'p');
		memset(p, 'c', 16 * PAGE);
		_exit(0);
	}
	for (size_t i = 0; i < 16 * PAGE; i += 2 * PAGE)
		p[i] = 'q';
	CHECK(waitpid(pid, &status, 0) == pid && status == 0);
	for (size_t i = 0; i < 16; i++)
		CHECK(p[i * PAGE] == (i % 2 ? 'p' : 'q'));
}

/* The kernel writes for the child: that is a write like any other. */
static void kernel_writes_break_sharing_too(void)
{
	char *p = map(PAGE, PROT_READ | PROT_WRITE, MAP_PRIVATE);
	int fds[2], status;

	memset(p, 'p', PAGE);
	CHECK(pipe(fds) == 0);
	pid_t pid = fork();
	CHECK(pid >= 0);
	if (pid == 0) {
		CHECK(write(fds[1], "child", 5) == 5);
		CHECK(read(fds[0], p + 100, 5) == 5);
		CHECK(!memcmp(p + 100, "child", 5));
		_exit(0);
	}
	CHECK(waitpid(pid, &status, 0) == pid && status == 0);
	CHECK(p[100] == 'p');
}

static void shared_memory_is_shared(void)
{
	volatile int *p = (int *)map(PAGE, PROT_READ | PROT_WRITE, MAP_SHARED);
	int status;
	pid_t pid = fork();

	CHECK(pid >= 0);
	if (pid == 0) {
		p[0] = 7;
		while (p[1] != 8)
			sched_yield();
		_exit(9);
	}
	while (p[0] != 7)
		sched_yield();
	p[1] = 8;
	CHECK(waitpid(pid, &status, 0) == pid && WEXITSTATUS(status) == 9);
}

/* By name, as shm_open() and sem_open() do it, below /dev/shm. */
static void named_memory_is_shared(void)
{
	char name[64];
	volatile int *p;
	sem_t *told;
	pid_t pid;
	int fd;

	snprintf(name, sizeof(name), "/usertests.%d", getpid());
	fd = shm_open(name, O_RDWR | O_CREAT | O_EXCL, 0600);
	CHECK(fd >= 0 && ftruncate(fd, PAGE) == 0);
	p = mmap(NULL, PAGE, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	CHECK(p != MAP_FAILED);
	CHECK(shm_unlink(name) == 0);
	told = sem_open(name, O_CREAT | O_EXCL, 0600, 0);
	CHECK(told != SEM_FAILED);
	pid = fork();
	CHECK(pid >= 0);
	if (pid == 0) {
		p[0] = 7;
		sem_post(sem_open(name, 0));
		_exit(0);
	}
	CHECK(sem_wait(told) == 0 && p[0] == 7);
	CHECK(waitpid(pid, NULL, 0) == pid);
	CHECK(sem_unlink(name) == 0 && sem_open(name, 0) == SEM_FAILED);
}

static void fixed_mappings_replace(void)
{
	char *p = map(3 * PAGE, PROT_READ | PROT_WRITE, MAP_PRIVATE);

	memset(p, 1, 3 * PAGE);
	CHECK(mmap(p + PAGE, PAGE, PROT_READ | PROT_WRITE,
		      MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED, -1,
		      0) == p + PAGE);
	CHECK(p[0] == 1 && p[PAGE] == 0 && p[2 * PAGE] == 1);
}

static void moved_mappings_keep_their_content(void)
{
	char *p = map(2 * PAGE, PROT_READ | PROT_WRITE, MAP_PRIVATE), *q;

	p[0] = 11;
	p[PAGE] = 12;
	q = mremap(p, 2 * PAGE, 64 * PAGE, MREMAP_MAYMOVE);
	CHECK(q != MAP_FAILED);
	CHECK(q[0] == 11 && q[PAGE] == 12 && q[63 * PAGE] == 0);
	if (q != p)
		CHECK_KILLED(look, p, SIGSEGV);
	q = mremap(q, 64 * PAGE, PAGE, 0);
	CHECK(q != MAP_FAILED && q[0] == 11);
	CHECK_KILLED(look, q + PAGE, SIGSEGV);
}

static void dropped_pages_read_zero(void)
{
	char *p = map(2 * PAGE, PROT_READ | PROT_WRITE, MAP_PRIVATE);

	memset(p, 5, 2 * PAGE);
	CHECK(madvise(p, PAGE, MADV_DONTNEED) == 0);
	CHECK(madvise(p, PAGE, MADV_SEQUENTIAL) == 0);
	CHECK(madvise(p, PAGE, MADV_WIPEONFORK) < 0 && errno == EINVAL);
	CHECK(p[0] == 0 && p[PAGE] == 5);
}

static char *brk_to(char *address)
{
	return (char *)call(SYS_brk, (long)address, 0, 0, 0, 0, 0);
}

static void the_break_moves(void)
{
	char *start = (char *)(((uintptr_t)brk_to(NULL) + PAGE - 1) & -PAGE);
	char *p = start, *end = p + 8 * PAGE;

	CHECK(brk_to(end) == end);
	memset(p, 3, 8 * PAGE);
	CHECK(brk_to(p + 4 * PAGE) == p + 4 * PAGE);
	CHECK_KILLED(look, p + 6 * PAGE, SIGSEGV);
	CHECK(brk_to(end) == end);
	CHECK(p[6 * PAGE] == 0 && p[0] == 3);
	CHECK(brk_to((char *)0x7fffffffffff) == end);
	CHECK(brk_to((char *)-1) == end);
	CHECK(brk_to((char *)0x1000) == end);
}

static void files_can_be_mapped(void)
{
	int fd = open("/tmp/mapped", O_RDWR | O_CREAT | O_TRUNC, 0600);
	char text[PAGE + 100], *p, *s;

	CHECK(fd >= 0);
	memset(text, 'f', sizeof(text));
	CHECK(write(fd, text, sizeof(text)) == sizeof(text));
	p = mmap(NULL, 2 * PAGE, PROT_READ | PROT_WRITE, MAP_PRIVATE, fd, 0);
	CHECK(p != MAP_FAILED);
	CHECK(p[0] == 'f' && p[PAGE + 99] == 'f' && p[PAGE + 100] == 0);
	p[0] = 'x';
	CHECK(pread(fd, text, 1, 0) == 1 && text[0] == 'f');
	s = mmap(NULL, PAGE, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	if (s != MAP_FAILED) {
		s[1] = 'y';
		CHECK(pread(fd, text, 2, 0) == 2 && text[1] == 'y');
	}
	CHECK(ftruncate(fd, 10) == 0);
	CHECK_EXITED(look, p, 0);
	p = mmap(NULL, 2 * PAGE, PROT_READ, MAP_PRIVATE, fd, 0);
	CHECK(p != MAP_FAILED);
	CHECK_EXITED(look, p, 0);
	CHECK_KILLED(look, p + PAGE, SIGBUS); /* wholly beyond the end */
	unlink("/tmp/mapped");
}

const struct test memory_tests[] = {
	{"fresh_memory_is_zero", fresh_memory_is_zero, 0},
	{"protection_is_kept", protection_is_kept, 0},
	{"data_is_not_code", data_is_not_code, 0},
	{"kernel_addresses_are_shut", kernel_addresses_are_shut, 0},
	{"kernel_addresses_cannot_be_mapped", kernel_addresses_cannot_be_mapped,
		0},
	{"fork_copies_private_memory", fork_copies_private_memory, 0},
	{"kernel_writes_break_sharing_too", kernel_writes_break_sharing_too, 0},
	{"shared_memory_is_shared", shared_memory_is_shared, 0},
	{"named_memory_is_shared", named_memory_is_shared, 0},
	{"fixed_mappings_replace", fixed_mappings_replace, 0},
	{"moved_mappings_keep_their_content", moved_mappings_keep_their_content,
		0},
	{"dropped_pages_read_zero", dropped_pages_read_zero, 0},
	{"the_break_moves", the_break_moves, 0},
	{"files_can_be_mapped", files_can_be_mapped, 0},
	{0},
};
