/* SPDX-License-Identifier: MIT */
/*
 * The only instructions of the kernel that touch user memory. A page fault that
 * cannot be resolved between user_access_start and user_access_end resumes at
 * user_access_fault. Each routine keeps in registers what the fault path needs
 * to tell how many bytes are left: rcx * r9 + r10. Long copies go by eight
 * bytes, which under an emulator is eight times as fast.
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

	.macro one_left
	mov	$1, %ecx
	mov	$1, %r9d
	xor	%r10d, %r10d
	.endm

	.global user_access_start, user_access_end, user_access_fault

user_access_start:

/* size_t user_copy(void *dst, const void *src, size_t n): bytes not copied */
	.global user_copy
user_copy:
	mov	%rdx, %rcx
	mov	%edx, %r10d
	and	$7, %r10d
	shr	$3, %rcx
	mov	$8, %r9d
	user_open
	rep movsq
	mov	%r10, %rcx
	xor	%r10d, %r10d
	mov	$1, %r9d
	rep movsb
	user_close
	xor	%eax, %eax
	ret

/* size_t user_zero(void *dst, size_t n): bytes not zeroed */
	.global user_zero
user_zero:
	mov	%rsi, %rcx
	mov	%esi, %r10d
	and	$7, %r10d
	shr	$3, %rcx
	mov	$8, %r9d
	xor	%eax, %eax
	user_open
	rep stosq
	mov	%r10, %rcx
	xor	%r10d, %r10d
	mov	$1, %r9d
	rep stosb
	user_close
	ret

/* size_t user_load32_asm(const void *src, uint32_t *out): 0, or 1 at a fault */
	.global user_load32_asm
user_load32_asm:
	one_left
	user_open
	mov	(%rdi), %eax
	user_close
	mov	%eax, (%rsi)
	xor	%eax, %eax
	ret

/* size_t user_store32_asm(void *dst, uint32_t v): 0, or 1 at a fault */
	.global user_store32_asm
user_store32_asm:
	one_left
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
	one_left
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
	imul	%r9, %rcx
	lea	(%rcx, %r10), %rax
	ret
	.section .note.GNU-stack,"",@progbits
