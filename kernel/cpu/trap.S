/* SPDX-License-Identifier: MIT */
/*
 * The ways into the kernel and out of it.
 *
 * GS holds the struct cpu in kernel mode and belongs to the user in user mode;
 * the two are exchanged as soon as the kernel is entered from user mode, with
 * interrupts off. Four traps can come between entering and exchanging (NMI,
 * double fault, machine check, debug): they run on stacks of their own and look
 * at the GS base itself, which is negative for the kernel alone.
 *
 * Offsets into struct cpu and struct trap_frame are checked in trap.c.
 */

#define CPU_KERNEL_STACK 8
#define CPU_USER_STACK 16
#define CPU_TRAP_STACK 24
#define FRAME_VECTOR 120
#define FRAME_RIP 136
#define FRAME_CS 144
#define FRAME_SIZE 176
#define SEL_USER_DATA 0x1b
#define SEL_USER_CODE 0x23
#define VECTOR_SYSCALL 0x100
#define MSR_GS_BASE 0xc0000101

	.macro save_registers
	pushq %rdi
	pushq %rsi
	pushq %rdx
	pushq %rcx
	pushq %rax
	pushq %r8
	pushq %r9
	pushq %r10
	pushq %r11
	pushq %rbx
	pushq %rbp
	pushq %r12
	pushq %r13
	pushq %r14
	pushq %r15
	.endm

	/* A user's values must not steer the kernel. */
	.macro clear_registers
	xor %ebx, %ebx
	xor %ebp, %ebp
	xor %r8d, %r8d
	xor %r9d, %r9d
	xor %r10d, %r10d
	xor %r11d, %r11d
	xor %r12d, %r12d
	xor %r13d, %r13d
	xor %r14d, %r14d
	xor %r15d, %r15d
	.endm

	.macro restore_registers
	popq %r15
	popq %r14
	popq %r13
	popq %r12
	popq %rbp
	popq %rbx
	popq %r11
	popq %r10
	popq %r9
	popq %r8
	popq %rax
	popq %rcx
	popq %rdx
	popq %rsi
	popq %rdi
	.endm

	/* A user may have set AC, which would switch SMAP off. */
	.macro forbid_user_access
	testb $1, trap_smap(%rip)
	jz 9f
	clac
9:
	.endm

	.text

	/* Stubs, 16 bytes each: error code (zero where the CPU pushes none) and
	 * vector on the stack. */
	.balign 16
	.globl trap_stubs
trap_stubs:
	.set vector, 0
	.rept 256
	.balign 16
	.if vector > 31 || ((0x60227d00 >> (vector & 31)) & 1) == 0
	pushq $0
	.endif
	pushq $vector
	.if vector == 1 || vector == 2 || vector == 8 || vector == 18
	jmp trap_anywhere
	.else
	jmp trap_common
	.endif
	.set vector, vector + 1
	.endr

trap_common:
	cld
	testb $3, 24(%rsp) /* CS */
	jz 1f
	swapgs
1:	forbid_user_access
	save_registers
	clear_registers
	mov %rsp, %rdi
	call trap_handle

	/* Out with the frame at the stack pointer, interrupts off. */
trap_exit:
	testb $3, FRAME_CS(%rsp)
	jz 1f
	mov %gs:CPU_KERNEL_STACK, %rax
	mov %gs:CPU_TRAP_STACK, %rcx
	mov %rax, (%rcx)
	restore_registers
	add $16, %rsp
	swapgs
	iretq
1:	restore_registers
	add $16, %rsp
	iretq

	/* void trap_exit_by(struct trap_frame *f) */
	.globl trap_exit_by
trap_exit_by:
	mov %rdi, %rsp
	jmp trap_exit

trap_anywhere:
	cld
	forbid_user_access
	save_registers
	clear_registers
	mov $MSR_GS_BASE, %ecx
	rdmsr
	test %edx, %edx
	js 1f
	swapgs
	inc %ebx /* to be undone */
1:	cmpq $1, FRAME_VECTOR(%rsp)
	jne 2f
	testb $3, FRAME_CS(%rsp)
	jz 2f
	/* A debug trap of a user may sleep: go on from the thread's stack. */
	mov %rsp, %rsi
	mov %gs:CPU_KERNEL_STACK, %rdi
	sub $FRAME_SIZE, %rdi
	mov %rdi, %rax
	mov $FRAME_SIZE / 8, %ecx
	rep movsq
	mov %rax, %rsp
	mov %rax, %rdi
	call trap_handle
	jmp trap_exit
2:	mov %rsp, %rdi
	call trap_urgent
	test %ebx, %ebx
	jz 3f
	swapgs
3:	restore_registers
	add $16, %rsp
	iretq

	/* SYSCALL: return address in rcx, flags in r11, arguments in rdi, rsi,
	 * rdx, r10, r8, r9; SFMASK has cleared IF, DF, AC and TF. */
	.globl trap_syscall_entry
trap_syscall_entry:
	swapgs
	mov %rsp, %gs:CPU_USER_STACK
	mov %gs:CPU_KERNEL_STACK, %rsp
	pushq $SEL_USER_DATA
	pushq %gs:CPU_USER_STACK
	pushq %r11
	pushq $SEL_USER_CODE
	pushq %rcx
	pushq %rax
	pushq $VECTOR_SYSCALL
	save_registers
	clear_registers
	mov %rsp, %rdi
	call trap_syscall
	test %al, %al
	jz trap_exit
	/* The frame is as SYSRET would leave it. */
	mov %gs:CPU_KERNEL_STACK, %rax
	mov %gs:CPU_TRAP_STACK, %rcx
	mov %rax, (%rcx)
	restore_registers
	mov 40(%rsp), %rsp
	swapgs
	sysretq

	.section .note.GNU-stack, "", @progbits
