/* SPDX-License-Identifier: MIT */
/* Attacks by way of the device's own files: interrupts, messages, registers. */
#include <setjmp.h>

#include "attack.h"

#define DISK "00:01.0"
#define MSIX_TABLE 0x2000 /* in the disk's BAR 0 */

static int enable_interrupt(void)
{
	int fd;

	take();
	CHECK(udev_ctl(&target, "msi 1") == 0);
	fd = udev_irq_open(&target, 0);
	CHECK(fd >= 0);
	return fd;
}

static void raise_interrupt(void)
{
	udev_write32(edu, EDU_INTERRUPT_RAISE, 1);
}

/* Somebody else in this address space raises one, a moment from now. */
static int raise_later(void *arg)
{
	(void)arg;
	usleep(50000);
	raise_interrupt();
	return 0;
}

static pid_t thread_raises(void)
{
	static char stack[16384] __attribute__((aligned(16)));
	pid_t pid = clone(raise_later, stack + sizeof(stack),
		CLONE_VM | CLONE_FILES | SIGCHLD, NULL);

	CHECK(pid > 0);
	return pid;
}

/* What is right: a read takes the count, does not wait if told so, and poll
 * says when there is something. */
static void interrupts_are_counted(void)
{
	int quick = enable_interrupt(), waiting;
	struct pollfd p = {.fd = quick, .events = POLLIN};
	uint64_t count = 0;
	pid_t pid;

	CHECK(read(quick, &count, sizeof(count)) < 0 && errno == EAGAIN);
	CHECK(poll(&p, 1, 0) == 0);
	for (int i = 0; i < 3; i++) {
		raise_interrupt();
		usleep(20000); /* two at once may be one */
	}
	CHECK(poll(&p, 1, 1000) == 1 && p.revents == POLLIN);
	CHECK(read(quick, &count, sizeof(count)) == sizeof(count));
	CHECK(count == 3);
	CHECK(read(quick, &count, 4) < 0 && errno == EINVAL);
	waiting = udev_open(&target, "irq", O_RDONLY);
	CHECK(waiting >= 0);
	pid = thread_raises();
	CHECK(read(waiting, &count, sizeof(count)) == sizeof(count));
	CHECK(count == 1);
	CHECK(waitpid(pid, NULL, 0) == pid);
}

/* Of a vector that was another owner's, nothing is left to read, and nothing
 * comes to the next one. */
static void interrupt_after_detach(void)
{
	uint64_t count;
	int fd = enable_interrupt();

	raise_interrupt();
	CHECK(udev_irq_wait(fd, 1000) == 1);
	udev_write32(edu, EDU_INTERRUPT_ACK, 1);
	raise_interrupt(); /* under way, or counted already */
	CHECK(udev_detach(&target) == 0);
	CHECK(read(fd, &count, sizeof(count)) < 0);
	CHECK(errno == EPERM || errno == ENODEV);
	take();
	CHECK(read(fd, &count, sizeof(count)) < 0);
	CHECK(udev_ctl(&target, "msi 1") == 0);
	CHECK(udev_irq_wait(fd, 100) == 0);
}

/* One who reads while the device is taken away is not left waiting. */
static void waiting_while_detached(void)
{
	int fd = enable_interrupt();
	pid_t pid = fork();

	CHECK(pid >= 0);
	if (pid == 0) {
		usleep(50000);
		_exit(udev_detach(&target) != 0);
	}
	CHECK(udev_irq_wait(fd, 20000) < 0);
	CHECK(waitpid(pid, NULL, 0) == pid);
}

static void interrupts_of_others(void)
{
	int fd = enable_interrupt(), status;
	pid_t pid = fork();
	uint64_t count;

	CHECK(pid >= 0);
	if (pid == 0) {
		CHECK(read(fd, &count, sizeof(count)) < 0 && errno == EPERM);
		CHECK(udev_ctl(&target, "msi 0") == -EPERM);
		CHECK(udev_config_write(&target, 0x3c, 1, 0xaa) == -EPERM);
		CHECK(!udev_map(&target, 0, NULL));
		_exit(0);
	}
	CHECK(waitpid(pid, &status, 0) == pid && status == 0);
	raise_interrupt();
	CHECK(udev_irq_wait(fd, 1000) == 1);
}

/* Where the message goes is the kernel's to say. */
static void message_of_ones_own(void)
{
	int fd = enable_interrupt();
	unsigned msi = udev_capability(&target, 0x05, 0);
	uint32_t before[4], after[4];

	CHECK(msi);
	for (unsigned i = 0; i < 4; i++)
		before[i] = udev_config_read(&target, msi + 4 * i, 4);
	for (unsigned i = 0; i < 4; i++) {
		(void)udev_config_write(
			&target, msi + 4 * i, 4, before[i] ^ 0x1000);
		(void)udev_config_write(&target, msi + 4 * i + 2, 2, 0xffff);
	}
	for (unsigned i = 0; i < 4; i++)
		after[i] = udev_config_read(&target, msi + 4 * i, 4);
	CHECK(!memcmp(before, after, sizeof(before)));
	raise_interrupt();
	CHECK(udev_irq_wait(fd, 1000) == 1);
}

static sigjmp_buf back;

static void on_fault(int signo)
{
	siglongjmp(back, signo);
}

static int can_write(volatile void *p)
{
	if (sigsetjmp(back, 1))
		return 0;
	*(volatile uint32_t *)p = 0xfee00000;
	return 1;
}

static void msix_table(void)
{
	volatile char *regs;
	struct udev disk;
	uint32_t before;

	CHECK(udev_parse(&disk, DISK) == 0);
	CHECK(udev_attach(&disk) == 0);
	CHECK(udev_ctl(&disk, "msix 2") == 0);
	regs = udev_map(&disk, 0, NULL);
	CHECK(regs);
	signal(SIGSEGV, on_fault);
	signal(SIGBUS, on_fault);
	before = udev_read32(regs, MSIX_TABLE);
	CHECK(before); /* it may be looked at */
	CHECK(!can_write(regs + MSIX_TABLE));
	(void)mprotect(
		(void *)(regs + MSIX_TABLE), PAGE, PROT_READ | PROT_WRITE);
	CHECK(!can_write(regs + MSIX_TABLE));
	CHECK(udev_read32(regs, MSIX_TABLE) == before);
	CHECK(can_write(regs + 0x0c)); /* a register like any other */
}

/* Many want it, one gets it, and it works for the one. */
static void race_for_it(int rounds)
{
	for (int i = 0; i < rounds; i++) {
		if (udev_attach(&target))
			continue;
		edu = udev_map(&target, 0, NULL);
		CHECK(edu && edu_read(edu, EDU_ID) == EDU_ID_VALUE);
		CHECK(udev_attach(&target) == -EBUSY);
		CHECK(udev_detach(&target) == 0);
	}
	_exit(0);
}

static void owners_racing(void)
{
	enum {
		RACERS = 4
	};
	pid_t pids[RACERS];
	int status;

	for (int i = 0; i < RACERS; i++) {
		pids[i] = fork();
		CHECK(pids[i] >= 0);
		if (pids[i] == 0)
			race_for_it(10);
	}
	for (int i = 0; i < RACERS; i++)
		CHECK(waitpid(pids[i], &status, 0) == pids[i] && status == 0);
	take();
}

/* A process that has ended keeps its pid until somebody asks for its status. */
static void the_dead(void)
{
	pid_t pid = fork();
	siginfo_t info;

	CHECK(pid >= 0);
	if (pid == 0)
		_exit(0);
	CHECK(waitid(P_PID, (id_t)pid, &info, WEXITED | WNOWAIT) == 0);
	CHECK(udev_attach_to(&target, pid) == -ESRCH);
	CHECK(waitpid(pid, NULL, 0) == pid);
	CHECK(udev_attach_to(&target, pid) == -ESRCH);
	take();
}

const struct attack pci_attacks[] = {
	ATTACK(interrupts_are_counted),
	ATTACK(interrupt_after_detach),
	ATTACK(waiting_while_detached),
	ATTACK(interrupts_of_others),
	ATTACK(message_of_ones_own),
	ATTACK(msix_table),
	ATTACK(owners_racing),
	ATTACK(the_dead),
	{0},
};
