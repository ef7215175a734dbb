/* SPDX-License-Identifier: MIT */
/* The end: say why, show where, stop everything. The first CPU to panic does
 * it; the others stop. */
#include <stdarg.h>
#include "boot/boot_info.h"
#include "cpu/cpu.h"
#include "cpu/local.h"
#include "cpu/trap.h"
#include "kexec/kexec.h"
#include "lib/print.h"

static uint32_t panicking;

extern char kernel_text_start[], kernel_text_end[];

/* Stop the others. A second panic on the same CPU stops at once. */
static void begin(void)
{
	__asm__ volatile("cli");
	if (__atomic_exchange_n(&panicking, 1, __ATOMIC_ACQ_REL))
		stop_this_cpu();
	stop_other_cpus();
}

/* The return addresses on a stack, newest first, among them old ones that no
 * longer count: there are no frame pointers to tell. */
static void print_stack(const uint64_t *sp)
{
	uint64_t at = (uint64_t)sp & ~7ull, top = this_cpu()->kernel_stack;
	unsigned shown = 0;

	if (at >= top || top - at > 65536)
		top = (at | 4095) + 1;
	kprintf("stack:");
	for (; at < top && shown < 24; at += 8) {
		uint64_t v = *(const uint64_t *)at;

		if (v < (uint64_t)kernel_text_start ||
			v >= (uint64_t)kernel_text_end)
			continue;
		kprintf("%s%llx", shown % 4 ? " " : "\n  ",
			(unsigned long long)v);
		shown++;
	}
	kprintf("\n");
}

static void finish(const uint64_t *sp) NORETURN;
static void finish(const uint64_t *sp)
{
	print_stack(sp);
	if (boot_says("panic", "restart"))
		machine_restart();
	kexec_after_panic();
	kprintf("panic: stopped\n");
	stop_this_cpu();
}

void panic(const char *fmt, ...)
{
	char text[256];
	va_list ap;

	begin();
	va_start(ap, fmt);
	kvsnprintf(text, sizeof(text), fmt, ap);
	va_end(ap);
	kprintf("\npanic on CPU %u: %s\n", this_cpu()->id, text);
	finish(__builtin_frame_address(0));
}

static uint64_t read_cr2(void)
{
	uint64_t v;

	__asm__ volatile("mov %%cr2, %0" : "=r"(v));
	return v;
}

static uint64_t read_cr3(void)
{
	uint64_t v;

	__asm__ volatile("mov %%cr3, %0" : "=r"(v));
	return v;
}

#define HEX "%016llx"
#define U(x) ((unsigned long long)(x))

void panic_trap(const struct trap_frame *f, const char *why)
{
	uint64_t cr2 = read_cr2();

	begin();
	kprintf("\npanic on CPU %u: %s in the kernel\n", this_cpu()->id, why);
	kprintf("rip " HEX " cs %llx flags %llx vector %llu error %llx\n",
		U(f->rip), U(f->cs), U(f->rflags), U(f->vector), U(f->error));
	kprintf("rsp " HEX " ss %llx cr2 " HEX " cr3 " HEX "\n", U(f->rsp),
		U(f->ss), U(cr2), U(read_cr3()));
	kprintf("rax " HEX " rbx " HEX " rcx " HEX " rdx " HEX "\n", U(f->rax),
		U(f->rbx), U(f->rcx), U(f->rdx));
	kprintf("rsi " HEX " rdi " HEX " rbp " HEX " r8  " HEX "\n", U(f->rsi),
		U(f->rdi), U(f->rbp), U(f->r8));
	kprintf("r9  " HEX " r10 " HEX " r11 " HEX " r12 " HEX "\n", U(f->r9),
		U(f->r10), U(f->r11), U(f->r12));
	kprintf("r13 " HEX " r14 " HEX " r15 " HEX "\n", U(f->r13), U(f->r14),
		U(f->r15));
	finish(f->rsp >= (1ull << 63) ? (const uint64_t *)f->rsp
				      : __builtin_frame_address(0));
}
