/* SPDX-License-Identifier: MIT */
/* Births and deaths: fork, exec, exit, kill and detach in the middle of it. */
#include "attack.h"

#define CANARY (16ul << 20)

int after_exec(uint64_t address);

static char shared_address[PAGE] __attribute__((aligned(4096)));

/* Memory at the transfer's address and everything free: none may change. */
static void survive(uint64_t address)
{
	struct canary c = plant_canary(CANARY);
	char *there = (char *)address;

	memset(there, 'k', 64);
	let_transfers_end();
	CHECK(all_are(there, 'k', 64));
	CHECK(canary_lives(&c));
}

static void begin_transfer(char *p)
{
	memset(p, 0xcc, 64);
	edu_load(edu, (uintptr_t)p, 64);
	edu_start_store(edu, (uintptr_t)p, 64);
}

static void detached_in_the_middle(void)
{
	char *p = get_pages(1);

	take();
	begin_transfer(p);
	CHECK(udev_detach(&target) == 0);
	CHECK(!is_listed(getpid()));
	survive((uintptr_t)p);
}

static void touch_registers(void)
{
	(void)edu_read(edu, EDU_ID);
}

/* The registers go with the device: the next owner's are nobody else's. */
static void registers_after_detach(void)
{
	int status;
	pid_t pid;

	take();
	CHECK(udev_detach(&target) == 0);
	pid = fork();
	CHECK(pid >= 0);
	if (pid == 0) {
		touch_registers();
		_exit(0);
	}
	CHECK(waitpid(pid, &status, 0) == pid);
	CHECK(WIFSIGNALED(status) &&
		(WTERMSIG(status) == SIGBUS || WTERMSIG(status) == SIGSEGV));
}

/* A child of this one takes the device, starts a transfer, says so, and ends in
 * the given way. */
static void end_in_the_middle(int by_signal)
{
	int fds[2], status;
	char c;
	pid_t pid;

	CHECK(pipe(fds) == 0);
	pid = fork();
	CHECK(pid >= 0);
	if (pid == 0) {
		take();
		begin_transfer(shared_address);
		CHECK(write(fds[1], "!", 1) == 1);
		while (by_signal)
			pause();
		_exit(0);
	}
	CHECK(read(fds[0], &c, 1) == 1);
	if (by_signal)
		kill(pid, SIGKILL);
	CHECK(waitpid(pid, &status, 0) == pid);
	CHECK(!is_listed(pid));
	survive((uintptr_t)shared_address);
	take(); /* and the device is to be had again */
	device_fill((uintptr_t)shared_address, 'a', 64);
	CHECK(all_are(shared_address, 'a', 64));
}

static void exited_in_the_middle(void)
{
	end_in_the_middle(0);
}

static void killed_in_the_middle(void)
{
	end_in_the_middle(1);
}

static void crashed_in_the_middle(void)
{
	int status;
	pid_t pid = fork();

	CHECK(pid >= 0);
	if (pid == 0) {
		volatile uintptr_t nowhere = 16;

		take();
		begin_transfer(shared_address);
		*(volatile char *)nowhere = 1;
	}
	CHECK(waitpid(pid, &status, 0) == pid && WIFSIGNALED(status));
	CHECK(!is_listed(pid));
	survive((uintptr_t)shared_address);
}

/* The page lies where the new program has one too: at a fixed address. */
#define FIXED 0x10000000ul

static void executed_in_the_middle(void)
{
	char number[32],
		*p = mmap((void *)FIXED, PAGE, PROT_READ | PROT_WRITE,
			MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED, -1, 0);

	CHECK(p != MAP_FAILED);
	take();
	begin_transfer(p);
	snprintf(number, sizeof(number), "%#lx", FIXED);
	execl("/proc/self/exe", own_name, "-after-exec", number, NULL);
	CHECK(!"exec failed");
}

int after_exec(uint64_t address)
{
	char *p = mmap((void *)address, PAGE, PROT_READ | PROT_WRITE,
		MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED, -1, 0);

	CHECK(p != MAP_FAILED);
	CHECK(!is_listed(getpid()));
	survive(address);
	return 0;
}

/* A child's memory is its own from the first moment. */
static void forked(void)
{
	char *p = get_pages(2);
	int go[2], status;
	char c;
	pid_t pid;

	CHECK(pipe(go) == 0);
	take();
	device_fill((uintptr_t)p, 'o', 64);
	pid = fork();
	CHECK(pid >= 0);
	if (pid == 0) {
		CHECK(all_are(p, 'o', 64));
		CHECK(read(go[0], &c, 1) == 1);
		CHECK(all_are(p, 'o', 64));
		memset(p, 'c', PAGE);
		_exit(0);
	}
	device_fill((uintptr_t)p, 'n', 64);
	CHECK(all_are(p, 'n', 64)); /* the parent's pages did not move */
	CHECK(write(go[1], "!", 1) == 1);
	CHECK(waitpid(pid, &status, 0) == pid && status == 0);
	CHECK(all_are(p, 'n', 64));
	device_fill((uintptr_t)p + PAGE, 'm', 64);
	CHECK(all_are(p + PAGE, 'm', 64));
}

/* Whatever a child does with registers it inherited ends in its parent. */
static void forked_child_drives(void)
{
	char *p = get_pages(1);
	int status;
	pid_t pid;

	take();
	pid = fork();
	CHECK(pid >= 0);
	if (pid == 0) {
		memset(p, 'c', PAGE);
		edu_start_store(edu, (uintptr_t)p, 64); /* or dies of it */
		let_transfers_end();
		_exit(!all_are(p, 'c', PAGE));
	}
	CHECK(waitpid(pid, &status, 0) == pid);
	CHECK(WIFSIGNALED(status) || WEXITSTATUS(status) == 0);
	CHECK(!is_listed(pid));
}

static void a_second_owner(void)
{
	int go[2], status;
	char c;
	pid_t pid;

	CHECK(pipe(go) == 0);
	pid = fork();
	CHECK(pid >= 0);
	if (pid == 0) {
		CHECK(read(go[0], &c, 1) == 1);
		CHECK(udev_attach(&target) == -EBUSY);
		_exit(0);
	}
	take();
	CHECK(udev_attach_to(&target, pid) == -EBUSY);
	CHECK(udev_attach(&target) < 0);
	CHECK(udev_attach_to(&target, 1) == -EBUSY);
	CHECK(write(go[1], "!", 1) == 1);
	CHECK(waitpid(pid, &status, 0) == pid && status == 0);
	device_fill((uintptr_t)shared_address, 'a', 64);
	CHECK(all_are(shared_address, 'a', 64));
}

/* What takes a device while it borrows its parent's memory takes it for that
 * memory: it stays when the borrower has gone. */
static void taken_in_a_borrowed_space(void)
{
	char *p = get_pages(1);
	int status;
	pid_t pid = vfork();

	CHECK(pid >= 0);
	if (pid == 0) {
		take();
		_exit(0);
	}
	CHECK(waitpid(pid, &status, 0) == pid && status == 0);
	device_fill((uintptr_t)p, 'v', 64);
	CHECK(all_are(p, 'v', 64));
	CHECK(udev_detach(&target) == 0);
	CHECK(munmap(p, PAGE) == 0);
}

/* Threads map and unmap while the device works on other pages. */
static int churn(void *stop)
{
	while (!*(volatile int *)stop) {
		char *p = mmap(NULL, 64 * PAGE, PROT_READ | PROT_WRITE,
			MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

		if (p == MAP_FAILED)
			continue;
		p[PAGE] = 1;
		mprotect(p, 8 * PAGE, PROT_READ);
		munmap(p, 64 * PAGE);
	}
	return 0;
}

static void busy_address_space(void)
{
	static volatile int stop;
	static char stack[65536] __attribute__((aligned(16)));
	char *p = get_pages(1);
	int pid;

	take();
	pid = clone(churn, stack + sizeof(stack),
		CLONE_VM | CLONE_FILES | SIGCHLD, (void *)&stop);
	CHECK(pid > 0);
	for (int i = 0; i < 10; i++) {
		device_fill((uintptr_t)p, i, 64);
		CHECK(all_are(p, i, 64));
	}
	stop = 1;
	CHECK(waitpid(pid, NULL, 0) == pid);
}

/* The pid in a line for attach names a process, not whoever has the number
 * later. The numbers start again after some 32,000. */
static void a_pid_again(void)
{
	pid_t first = fork(), pid = 0;
	int status;

	CHECK(first >= 0);
	if (first == 0) {
		pause();
		_exit(1);
	}
	CHECK(udev_attach_to(&target, first) == 0 && is_listed(first));
	CHECK(kill(first, SIGKILL) == 0);
	CHECK(waitpid(first, &status, 0) == first);
	for (int tries = 0; pid != first && tries < 70000; tries++) {
		pid = vfork();
		CHECK(pid >= 0);
		if (pid == 0)
			_exit(getpid() == first ? is_listed(first) ||
						udev_map(&target, 0, NULL) ||
						udev_ctl(&target, "reset") !=
							-EPERM ||
						udev_detach(&target) != -ENXIO
						: 0);
		CHECK(waitpid(pid, &status, 0) == pid && status == 0);
	}
	CHECK(pid == first);
	take();
}

const struct attack life_attacks[] = {
	ATTACK(detached_in_the_middle),
	ATTACK(registers_after_detach),
	ATTACK(exited_in_the_middle),
	ATTACK(killed_in_the_middle),
	ATTACK(crashed_in_the_middle),
	ATTACK(executed_in_the_middle),
	ATTACK(forked),
	ATTACK(forked_child_drives),
	ATTACK(a_second_owner),
	ATTACK(taken_in_a_borrowed_space),
	ATTACK(busy_address_space),
	LONG_ATTACK(a_pid_again),
	{0},
};
