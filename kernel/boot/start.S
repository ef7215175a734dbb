/* SPDX-License-Identifier: MIT */
/*
 * From the boot loader to C. Both protocols enter in 32-bit protected mode
 * without paging; they differ only in where the loader's information is. This
 * builds the boot page tables and calls kmain(protocol magic, address of the
 * information) at the kernel's linked address.
 *
 * The boot page tables map the first 4 GiB three times: at their own address
 * (for this code and the start of other CPUs), in the direct map, and the first
 * GiB as the kernel image. mem/kernel_map.c replaces them; other CPUs pass
 * through them on their way up, so they stay.
 */

#define PVH_MAGIC 0x336ec578

	.section .boot.head, "a"
	/* Multiboot2 3.1.1: 8-byte aligned, in the first 32 KiB of the file. */
	.balign 8
header:
	.long 0xe85250d6, 0, header_end - header
	.long -(0xe85250d6 + (header_end - header))
	.balign 8
	.short 1, 0 /* wanted: modules, memory map, either RSDP */
	.long 24, 3, 6, 14, 15
	.balign 8
	.short 6, 0 /* modules start on a page */
	.long 8
	.balign 8
	.short 0, 0
	.long 8
header_end:

	.section .note.pvh, "a", @note
	.balign 4
	.long 4, 4, 18 /* XEN_ELFNOTE_PHYS32_ENTRY */
	.asciz "Xen"
	.long start_pvh

	.section .boot.bss, "aw", @nobits
	.balign 4096
	.globl boot_pml4
boot_pml4:
	.skip 4096
low_map: /* page-directory pointers: identity and direct map */
	.skip 4096
image_map:
	.skip 4096
directories:
	.skip 4 * 4096

	.section .boot.data, "aw"
	.balign 8
gdt:
	.quad 0
	.quad 0x00af9b000000ffff /* 64-bit code */
	.quad 0x00cf93000000ffff /* data */
gdt_pointer:
	.short 23
	.long gdt
too_old:
	.asciz "This processor has no 64-bit mode.\r\n"

	.section .boot.text, "ax"
	.code32
	.globl start_pvh
start_pvh:
	mov $PVH_MAGIC, %eax
	.globl start_multiboot2
start_multiboot2:
	cli
	cld
	mov %eax, %edi
	mov %ebx, %esi

	mov $0x80000000, %eax
	cpuid
	cmp $0x80000001, %eax
	jb no_long_mode
	mov $0x80000001, %eax
	cpuid
	bt $29, %edx
	jnc no_long_mode
	mov %edx, %ebp

	/* 2 MiB pages over 4 GiB; every CPU with long mode has those. */
	mov $0x83, %eax
	mov $directories, %ebx
1:	mov %eax, (%ebx)
	movl $0, 4(%ebx)
	add $8, %ebx
	add $0x200000, %eax
	jnc 1b

	mov $directories + 3, %eax
	mov %eax, low_map
	mov %eax, image_map + 510 * 8
	add $4096, %eax
	mov %eax, low_map + 8
	add $4096, %eax
	mov %eax, low_map + 16
	add $4096, %eax
	mov %eax, low_map + 24
	movl $low_map + 3, boot_pml4
	movl $low_map + 3, boot_pml4 + 256 * 8
	movl $image_map + 3, boot_pml4 + 511 * 8

	mov $0x20, %eax /* PAE */
	mov %eax, %cr4
	mov $boot_pml4, %eax
	mov %eax, %cr3
	mov $0xc0000080, %ecx /* EFER */
	rdmsr
	or $0x100, %eax /* LME */
	and $~0x8000, %eax /* TCE: mem/change.c */
	bt $20, %ebp
	jnc 2f
	or $0x800, %eax /* NXE */
2:	wrmsr
	mov $0x80010033, %eax /* PG WP NE ET MP PE */
	mov %eax, %cr0
	lgdt gdt_pointer
	ljmp $0x08, $long_mode

no_long_mode:
	mov $too_old, %esi
	mov $0x3f8, %edx
3:	lodsb
	test %al, %al
	jz 4f
	outb %al, %dx
	jmp 3b
4:	hlt
	jmp 4b

	.code64
long_mode:
	mov $0x10, %eax
	mov %eax, %ds
	mov %eax, %es
	mov %eax, %ss
	xor %eax, %eax
	mov %eax, %fs
	mov %eax, %gs
	mov %edi, %edi
	mov %esi, %esi
	movabs $start_high, %rax
	jmp *%rax

	.text
start_high:
	lea boot_stack_top(%rip), %rsp
	xor %ebp, %ebp
	call kmain
1:	hlt
	jmp 1b

	.bss
	.balign 4096
	.globl boot_stack
boot_stack:
	.skip 16384
	.globl boot_stack_top
boot_stack_top:

	.section .note.GNU-stack, "", @progbits
