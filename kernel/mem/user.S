/* SPDX-License-Identifier: MIT */
/*
 * The only instructions of the kernel that touch user memory. A page fault that
 * cannot be resolved between user_access_start and user_access_end resumes at
 * user_access_fault. Each routine keeps its result in registers so that the
 * fault path can use it: rcx = bytes left, rax = result.
 *
 * SMAP is lifted only here, and only where the CPU has it (user_smap).
 */
	.section .text
	.macro user_open
	cmpb	$0, user_smap(%rip)
	je	1f
	stac
1:
	.endm
	.macro user_close
	cmpb	$0, user_smap(%rip)
	je	1f
	clac
1:
	.endm

	.global user_access_start, user_access_end, user_access_fault

user_access_start:

/* size_t user_copy(void *dst, const void *src, size_t n): bytes not copied */
	.global user_copy
user_copy:
	mov	%rdx, %rcx
	user_open
	rep movsb
	user_close
	mov	%rcx, %rax
	ret

/* size_t user_zero(void *dst, size_t n): bytes not zeroed */
	.global user_zero
user_zero:
	mov	%rsi, %rcx
	xor	%eax, %eax
	user_open
	rep stosb
	user_close
	mov	%rcx, %rax
	ret

/* size_t user_load32_asm(const void *src, uint32_t *out): 0, or 1 at a fault */
	.global user_load32_asm
user_load32_asm:
	mov	$1, %ecx
	user_open
	mov	(%rdi), %eax
	user_close
	mov	%eax, (%rsi)
	xor	%eax, %eax
	ret

/* size_t user_store32_asm(void *dst, uint32_t v): 0, or 1 at a fault */
	.global user_store32_asm
user_store32_asm:
	mov	$1, %ecx
	user_open
	mov	%esi, (%rdi)
	user_close
	xor	%eax, %eax
	ret

/* size_t user_cmpxchg32_asm(void *p, uint32_t expected, uint32_t v,
 *                           uint32_t *old): 0, or 1 at a fault */
	.global user_cmpxchg32_asm
user_cmpxchg32_asm:
	mov	%rcx, %r8
	mov	$1, %ecx
	mov	%esi, %eax
	user_open
	lock cmpxchg %edx, (%rdi)
	user_close
	mov	%eax, (%r8)
	xor	%eax, %eax
	ret

user_access_end:

user_access_fault:
	user_close
	mov	%rcx, %rax
	ret
	.section .note.GNU-stack,"",@progbits
