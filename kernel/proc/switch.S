/* SPDX-License-Identifier: MIT */
/* From one kernel stack to another. Only what the C calling convention lets a
 * callee keep has to be saved; the interrupt state is the scheduler's. */

	.section .text
	.code64

/* void switch_stacks(uint64_t *save_sp, uint64_t new_sp) */
	.globl switch_stacks
	.type switch_stacks, @function
switch_stacks:
	push %rbp
	push %rbx
	push %r12
	push %r13
	push %r14
	push %r15
	mov %rsp, (%rdi)
	mov %rsi, %rsp
	pop %r15
	pop %r14
	pop %r13
	pop %r12
	pop %rbx
	pop %rbp
	ret
	.size switch_stacks, . - switch_stacks

/* The first thing a new thread runs; thread_create() laid its stack so. */
	.globl thread_start
	.type thread_start, @function
thread_start:
	xor %ebp, %ebp
	call thread_begin
	ud2
	.size thread_start, . - thread_start

	.section .note.GNU-stack, "", @progbits
