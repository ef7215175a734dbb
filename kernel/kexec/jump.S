/* SPDX-License-Identifier: MIT */
/*
 * The last steps, out of the way of the image: kexec_leave_start runs as a copy
 * in struct kexec_control, at its physical address. kexec_enter gets there
 * through the boot page tables, which map both that address and this code.
 */
#include "kexec/local.h"

	.text
	.globl kexec_enter
/* rdi: physical address of struct kexec_control, rsi: of its top table, rdx: of
 * its copies, rcx: of the start information, r8: the image's entry */
kexec_enter:
	lea boot_pml4, %rax
	mov %rax, %cr3
	jmp *%rdi

	.section .rodata
	.globl kexec_leave_start
	.balign 16
kexec_leave_start:
	.code64
	mov %rsi, %cr3
	mov $0x20, %eax /* PAE */
	mov %rax, %cr4
	lidt no_table(%rip)
	lea gdt(%rip), %rax
	mov %rax, gdt_base(%rip)
	lgdt gdt_pointer(%rip)
	lea code32(%rip), %eax
	mov %eax, far32(%rip)
	mov %rdx, %r9
	mov %ecx, %ebx
	mov %r8d, %ebp
	cld
1:	mov (%r9), %rdi
	mov 8(%r9), %rsi
	mov 16(%r9), %rcx
	test %rdi, %rdi
	jz 2f
	rep movsb
	mov 24(%r9), %rcx
	xor %eax, %eax
	rep stosb
	add $32, %r9
	jmp 1b
2:	ljmpl *far32(%rip)

	.code32
code32:
	mov $0x10, %eax
	mov %eax, %ds
	mov %eax, %es
	mov %eax, %ss
	mov %eax, %fs
	mov %eax, %gs
	mov $0x11, %eax /* ET PE: no paging, and so no long mode */
	mov %eax, %cr0
	xor %eax, %eax
	xor %edx, %edx
	mov $0xc0000080, %ecx /* EFER */
	wrmsr
	mov %eax, %cr4
	mov %eax, %cr3
	jmp *%ebp

	.balign 8
gdt:
	.quad 0
	.quad 0x00cf9b000000ffff /* 32-bit code */
	.quad 0x00cf93000000ffff /* data */
gdt_pointer:
	.short 23
gdt_base:
	.quad 0
far32:
	.long 0
	.short 8
no_table:
	.short 0
	.quad 0
	.org kexec_leave_start + KEXEC_CODE_SIZE /* fails beyond that */

	.section .note.GNU-stack, "", @progbits
