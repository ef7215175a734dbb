/* SPDX-License-Identifier: MIT */
/* Instructions and processor states that a program must not be able to use
 * against the kernel. */
#include "usertests.h"

#include <ucontext.h>

/* Each is one instruction that only the kernel may execute. */
#define PRIVILEGED(name, text)                                       \
	static void name(void *unused)                               \
	{                                                            \
		(void)unused;                                        \
		__asm__ volatile(text ::"a"(0l), "c"(0x10l), "d"(0l) \
				 : "memory");                        \
	}
PRIVILEGED(do_hlt, "hlt")
PRIVILEGED(do_cli, "cli")
PRIVILEGED(do_sti, "sti")
PRIVILEGED(do_in, "in $0x60, %%al")
PRIVILEGED(do_out, "out %%al, $0x80")
PRIVILEGED(do_wrmsr, "wrmsr")
PRIVILEGED(do_rdmsr, "rdmsr")
PRIVILEGED(do_cr3, "mov %%rax, %%cr3")
PRIVILEGED(do_cr0, "mov %%cr0, %%rax")
PRIVILEGED(do_cr4, "mov %%rax, %%cr4")
PRIVILEGED(do_dr7, "mov %%rax, %%dr7")
PRIVILEGED(do_lgdt, "lgdt -64(%%rsp)")
PRIVILEGED(do_lidt, "lidt -64(%%rsp)")
PRIVILEGED(do_ltr, "ltr %%ax")
PRIVILEGED(do_clts, "clts")
PRIVILEGED(do_invlpg, "invlpg (%%rsp)")
PRIVILEGED(do_wbinvd, "wbinvd")
PRIVILEGED(do_swapgs, "swapgs")
PRIVILEGED(do_int80_vector, "int $0x20")
PRIVILEGED(do_int_irq, "int $0xef")
PRIVILEGED(do_int_double_fault, "int $0x08")
PRIVILEGED(do_int_page_fault, "int $0x0e")
PRIVILEGED(do_far_jump, "push $0x08; push $0x400000; lretq")
PRIVILEGED(do_load_ds, "mov $0x10, %%eax; mov %%eax, %%ss")
PRIVILEGED(do_bad_stack, "mov $0x8000000000000000, %%rsp; push %%rax")

static void privileged_instructions(void)
{
	static void (*const all[])(void *) = {do_hlt, do_cli, do_sti, do_in,
		do_out, do_wrmsr, do_rdmsr, do_cr3, do_cr0, do_cr4, do_dr7,
		do_lgdt, do_lidt, do_ltr, do_clts, do_invlpg, do_wbinvd,
		do_swapgs, do_int80_vector, do_int_irq, do_int_double_fault,
		do_int_page_fault, do_far_jump, do_load_ds, do_bad_stack};

	for (size_t i = 0; i < sizeof(all) / sizeof(all[0]); i++) {
		int status = in_child(all[i], NULL);

		/* SIGBUS: Linux calls a stack segment fault that. */
		if (WIFSIGNALED(status) &&
			(WTERMSIG(status) == SIGSEGV ||
				WTERMSIG(status) == SIGBUS ||
				WTERMSIG(status) == SIGILL))
			continue;
		printf("  instruction %zu: status %#x\n", i, status);
		CHECK(!"a privileged instruction must end the program");
	}
}

static void do_ud2(void *unused)
{
	(void)unused;
	__asm__ volatile("ud2");
}

static void do_int3(void *unused)
{
	(void)unused;
	__asm__ volatile("int3");
}

static void do_divide(void *unused)
{
	(void)unused;
	__asm__ volatile("idivl %%ecx" ::"a"(1), "d"(0), "c"(0));
}

static void do_single_step(void *unused)
{
	(void)unused;
	__asm__ volatile("pushfq; orl $0x100, (%%rsp); popfq; nop; nop" ::
				 : "memory");
}

static void exceptions_become_signals(void)
{
	CHECK_KILLED(do_ud2, NULL, SIGILL);
	CHECK_KILLED(do_int3, NULL, SIGTRAP);
	CHECK_KILLED(do_divide, NULL, SIGFPE);
	CHECK_KILLED(do_single_step, NULL, SIGTRAP);
}

/* A call entered with a flag set: the kernel must not run with it. */
static long call_with_flag(unsigned long flag, long nr)
{
	long result;

	__asm__ volatile("pushfq; orq %2, (%%rsp); popfq; syscall; "
			 "pushfq; andq %3, (%%rsp); popfq"
			 : "=a"(result)
			 : "a"(nr), "r"(flag), "r"(~flag)
			 : "rcx", "r11", "memory", "cc");
	return result;
}

static void calls_with_odd_flags(void)
{
	static const unsigned long flags[] = {1ul << 10 /* DF */,
		1ul << 14 /* NT */, 1ul << 18 /* AC */, 1ul << 21 /* ID */,
		0x8d5 /* arithmetic */};

	for (size_t i = 0; i < sizeof(flags) / sizeof(flags[0]); i++) {
		CHECK(call_with_flag(flags[i], SYS_getpid) == getpid());
		CHECK(call_with_flag(flags[i], SYS_sched_yield) <= 0);
	}
}

/* AC set by the program must not open user memory to the kernel by accident,
 * nor NT or TF survive into an interrupt's return. */
static void interrupts_with_odd_flags(void)
{
	for (int flag = 0; flag < 3; flag++) {
		static const unsigned long bits[] = {
			1ul << 10, 1ul << 14, 1ul << 18};

		for (volatile int i = 0; i < 20000; i++)
			__asm__ volatile("pushfq; orq %0, (%%rsp); popfq; "
					 "pause; pushfq; andq %1, (%%rsp); "
					 "popfq" ::"r"(bits[flag]),
					 "r"(~bits[flag])
					 : "memory", "cc");
	}
}

static void step_through_a_call(void *unused)
{
	(void)unused;
	signal(SIGTRAP, SIG_IGN);
	__asm__ volatile(
		"pushfq; orl $0x100, (%%rsp); popfq; syscall" ::"a"(SYS_getpid)
		: "rcx", "r11", "memory");
	_exit(3);
}

static void single_stepping_into_the_kernel(void)
{
	/* SIGTRAP from the processor cannot be ignored. */
	CHECK_KILLED(step_through_a_call, NULL, SIGTRAP);
}

/* A call at the very end of the lower half returns to a non-canonical
 * address, where sysret would fault with the kernel's privilege. */
static void call_from_the_last_page(void *unused)
{
	char *last = (char *)0x7ffffffff000;
	char *p = mmap(last, PAGE, PROT_READ | PROT_WRITE | PROT_EXEC,
		MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED, -1, 0);

	(void)unused;
	if (p == MAP_FAILED)
		raise(SIGSEGV); /* there is no such page: as good */
	p[PAGE - 2] = 0x0f;
	p[PAGE - 1] = 0x05;
	__asm__ volatile("jmp *%1" ::"a"(SYS_getpid), "r"(p + PAGE - 2)
			 : "rcx", "r11", "memory");
}

static void call_returns_to_the_hole(void)
{
	CHECK_KILLED(call_from_the_last_page, NULL, SIGSEGV);
}

static void segment_bases(void)
{
	const int set_fs = 0x1002, set_gs = 0x1001;

	/* Writing these to the base register would fault in the kernel. */
	CHECK(call(SYS_arch_prctl, set_fs, 0x800000000000, 0, 0, 0, 0) < 0);
	CHECK(call(SYS_arch_prctl, set_fs, INT64_MIN, 0, 0, 0, 0) < 0);
	CHECK(call(SYS_arch_prctl, set_fs, 0xffff7fffffffffff, 0, 0, 0, 0) < 0);
	CHECK(call(SYS_arch_prctl, set_fs, -4096, 0, 0, 0, 0) < 0);
	CHECK(call(SYS_arch_prctl, set_gs, 0x800000000000, 0, 0, 0, 0) < 0);
	CHECK(call(SYS_arch_prctl, 0x7777, 0, 0, 0, 0, 0) < 0);
}

static void null_selectors(void *unused)
{
	(void)unused;
	__asm__ volatile("mov %0, %%ds; mov %0, %%es; mov %0, %%gs" ::"r"(0));
	for (volatile int i = 0; i < 100000; i++)
		;
	_exit(call(SYS_getppid, 0, 0, 0, 0, 0, 0) > 0 ? 0 : 1);
}

static void odd_segments(void)
{
	CHECK_EXITED(null_selectors, NULL, 0);
}

static void recurse(void *unused)
{
	volatile char frame[1024];

	frame[0] = 1;
	if (frame[0]) /* the compiler sees no end either way */
		recurse(unused);
	frame[1] = frame[0];
}

static void endless_recursion(void)
{
	CHECK_KILLED(recurse, NULL, SIGSEGV);
}

static void jump_at_random(void *unused)
{
	char *p = mmap(NULL, 16 * PAGE, PROT_READ | PROT_WRITE | PROT_EXEC,
		MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

	(void)unused;
	alarm(1); /* some of it loops */
	for (size_t i = 0; i < 16 * PAGE; i += 8)
		*(uint64_t *)(p + i) = random64();
	/* No call by chance: what it would do is not this test's business. */
	for (size_t i = 0; i + 1 < 16 * PAGE; i++)
		if (p[i] == 0x0f && p[i + 1] == 0x05)
			p[i + 1] = 0x0b;
	__asm__ volatile("jmp *%0" ::"r"(p + random64() % (16 * PAGE)));
}

static void random_instructions(void)
{
	for (int i = 0; i < 100; i++) {
		random64();
		in_child(jump_at_random, NULL);
	}
}

/* Vector registers belong to their process. */
static void vector_registers_stay(void)
{
	pid_t children[4];
	int status;

	for (int n = 0; n < 4; n++) {
		children[n] = fork();
		CHECK(children[n] >= 0);
		if (children[n])
			continue;
		uint64_t mine = 0x1111111111111111u * (unsigned)(n + 1), seen;

		__asm__ volatile("movq %0, %%xmm7" ::"r"(mine) : "xmm7");
		for (volatile int i = 0; i < 2000000; i++)
			;
		call(SYS_getppid, 0, 0, 0, 0, 0, 0);
		__asm__ volatile("movq %%xmm7, %0" : "=r"(seen));
		_exit(seen != mine);
	}
	for (int n = 0; n < 4; n++)
		CHECK(waitpid(children[n], &status, 0) == children[n] &&
			status == 0);
}

const struct test cpu_tests[] = {
	{"privileged_instructions", privileged_instructions, 0},
	{"exceptions_become_signals", exceptions_become_signals, 0},
	{"calls_with_odd_flags", calls_with_odd_flags, 0},
	{"interrupts_with_odd_flags", interrupts_with_odd_flags, 0},
	{"single_stepping_into_the_kernel", single_stepping_into_the_kernel, 0},
	{"call_returns_to_the_hole", call_returns_to_the_hole, 0},
	{"segment_bases", segment_bases, 0},
	{"odd_segments", odd_segments, 0},
	{"endless_recursion", endless_recursion, 0},
	{"random_instructions", random_instructions, 1},
	{"vector_registers_stay", vector_registers_stay, 0},
	{0},
};
