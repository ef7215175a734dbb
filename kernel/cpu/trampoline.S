/* SPDX-License-Identifier: MIT */
/*
 * Where another CPU starts, in real mode, in a copy of these bytes in a page
 * below 640 KiB; smp.c fills in the addresses that depend on the page. The CPU
 * passes through the boot page tables, which map that page at its own address,
 * into the kernel's.
 */
	.section .rodata
	.globl trampoline_start, trampoline_end
	.globl trampoline_gdt_base, trampoline_far32, trampoline_far64
	.globl trampoline_cr3, trampoline_efer, trampoline_entry
	.globl trampoline_code32, trampoline_code64, trampoline_gdt

	.balign 16
trampoline_start:
	.code16
	cli
	cld
	xor %ebx, %ebx
	mov %cs, %bx
	mov %bx, %ds
	shl $4, %ebx
	lgdtl trampoline_gdt_pointer - trampoline_start
	mov $0x11, %eax /* ET PE; caches on */
	mov %eax, %cr0
	ljmpl *(trampoline_far32 - trampoline_start)

	.code32
trampoline_code32:
	mov $0x10, %eax
	mov %eax, %ds
	mov %eax, %es
	mov %eax, %ss
	mov $0x20, %eax /* PAE */
	mov %eax, %cr4
	mov (trampoline_cr3 - trampoline_start)(%ebx), %eax
	mov %eax, %cr3
	mov $0xc0000080, %ecx
	xor %edx, %edx
	mov (trampoline_efer - trampoline_start)(%ebx), %eax
	wrmsr
	mov $0x80010033, %eax /* PG WP NE ET MP PE */
	mov %eax, %cr0
	ljmpl *(trampoline_far64 - trampoline_start)(%ebx)

	.code64
trampoline_code64:
	mov (trampoline_entry - trampoline_start)(%rbx), %rax
	jmp *%rax

	.balign 8
trampoline_gdt:
	.quad 0
	.quad 0x00af9b000000ffff /* 64-bit code */
	.quad 0x00cf93000000ffff /* data */
	.quad 0x00cf9b000000ffff /* 32-bit code */
trampoline_gdt_pointer:
	.short 31
trampoline_gdt_base:
	.long 0
trampoline_far32:
	.long 0
	.short 0x18
trampoline_far64:
	.long 0
	.short 0x08
	.balign 8
trampoline_cr3:
	.long 0
trampoline_efer:
	.long 0
trampoline_entry:
	.quad 0
trampoline_end:

	.text
	.globl ap_entry
ap_entry:
	mov kernel_cr3(%rip), %rax
	mov %rax, %cr3
	/* Am I the one that is expected? A CPU that comes after its time must
	 * not take another's stack. */
	xor %eax, %eax
	cpuid
	cmp $0xb, %eax
	jb 1f
	mov $0xb, %eax
	xor %ecx, %ecx
	cpuid
	test %ebx, %ebx
	jz 1f
	mov %edx, %eax
	jmp 2f
1:	mov $1, %eax
	cpuid
	shr $24, %ebx
	mov %ebx, %eax
2:	mov %eax, %eax
	bts $32, %rax /* SMP_EXPECTED */
	xor %ecx, %ecx
	lock cmpxchg %rcx, smp_expected(%rip)
	jne 3f
	mov smp_stack(%rip), %rsp
	mov smp_cpu(%rip), %rdi
	xor %ebp, %ebp
	call smp_cpu_start
3:	cli
	hlt
	jmp 3b

	.section .note.GNU-stack, "", @progbits
