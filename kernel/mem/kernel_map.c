/* SPDX-License-Identifier: MIT */
/*
 * The kernel half of every address space, built once at boot: the direct map
 * of RAM, the image with W^X, and a window in which device registers are
 * mapped for good. The top-level entries never change after
 * kernel_map_init(), so spaces copy them when they are created.
 */
#include "mem/mem.h"
#include "mem/pages.h"
#include "mem/table.h"
#include "mem/tlb.h"
#include "boot/boot_info.h"
#include "cpu/cpu.h"
#include "lib/lock.h"
#include "lib/print.h"
#include "lib/string.h"

extern char kernel_start[], kernel_text_start[], kernel_text_end[],
	kernel_rodata_start[], kernel_rodata_end[], kernel_end[];

#define KERNEL_RW (PTE_PRESENT | PTE_WRITE | PTE_GLOBAL | PTE_NX)
#define KERNEL_RO (PTE_PRESENT | PTE_GLOBAL | PTE_NX)
#define KERNEL_RX (PTE_PRESENT | PTE_GLOBAL)
#define DEVICE_FLAGS (KERNEL_RW | PTE_CACHE_DISABLE | PTE_WRITE_THROUGH)

uint64_t kernel_cr3;
static pte_t *root;
static uint64_t device_next = DEVICE_BASE;
static uint64_t direct_low_end; /* below 4 GiB all is mapped up to here */
static struct spinlock map_lock;

/* The entry for addr at a level (1 = 4 KiB), tables made on the way. */
static pte_t *entry(uint64_t addr, unsigned level)
{
	pte_t *table = root;

	for (unsigned l = 4; l > level; l--) {
		pte_t *e = &table[pte_index(addr, l)];

		if (!pte_present(*e)) {
			void *page = page_alloc();

			if (!page)
				return NULL;
			*e = pte_make(
				virt_to_phys(page), PTE_PRESENT | PTE_WRITE);
		}
		table = pte_table(*e);
	}
	return &table[pte_index(addr, level)];
}

static void map(uint64_t addr, uint64_t p, unsigned level, uint64_t flags)
{
	pte_t *e = entry(addr, level);

	if (!e)
		panic("out of memory for the kernel's page tables");
	*e = pte_make(phys(p), flags | (level > 1 ? PTE_LARGE : 0));
}

/* Text and read-only data are not writable through the direct map either. */
static uint64_t direct_flags(uint64_t p)
{
	uint64_t v = p + IMAGE_BASE;

	if (v >= (uint64_t)kernel_text_start && v < (uint64_t)kernel_rodata_end)
		return KERNEL_RO;
	return KERNEL_RW;
}

static bool holds_image(uint64_t p)
{
	return p + LARGE_PAGE_SIZE > virt_to_phys(kernel_start).v &&
		p < virt_to_phys(kernel_end).v;
}

static void map_direct(uint64_t start, uint64_t end)
{
	start = ALIGN_DOWN(start, LARGE_PAGE_SIZE);
	for (uint64_t p = start; p < end; p += LARGE_PAGE_SIZE) {
		if (!holds_image(p)) {
			map(DIRECT_BASE + p, p, 2, KERNEL_RW);
			continue;
		}
		for (uint64_t q = p; q < p + LARGE_PAGE_SIZE; q += PAGE_SIZE)
			map(DIRECT_BASE + q, q, 1, direct_flags(q));
	}
}

static void map_image(void)
{
	uint64_t start = ALIGN_DOWN((uint64_t)kernel_start, PAGE_SIZE);

	for (uint64_t v = start; v < (uint64_t)kernel_end; v += PAGE_SIZE) {
		uint64_t flags = KERNEL_RW;

		if (v >= (uint64_t)kernel_text_start &&
			v < (uint64_t)kernel_text_end)
			flags = KERNEL_RX;
		else if (v >= (uint64_t)kernel_rodata_start &&
			v < (uint64_t)kernel_rodata_end)
			flags = KERNEL_RO;
		map(v, v - IMAGE_BASE, 1, flags);
	}
}

void kernel_map_enter(void)
{
	tlb_load(kernel_cr3);
}

/* Given out now, or later. */
static bool is_ram(const struct boot_range *r)
{
	return r->usable || r->inherited;
}

void kernel_map_init(void)
{
	spin_init(&map_lock);
	root = page_alloc();
	if (!root)
		panic("no memory for the kernel's page tables");
	for (unsigned i = 0; i < boot_info.nranges; i++) {
		const struct boot_range *r = &boot_info.ranges[i];

		if (is_ram(r) && r->end <= 1ull << 32)
			direct_low_end = MAX(direct_low_end, r->end);
	}
	/* The loader's archive lies outside the usable ranges. */
	direct_low_end =
		MAX(direct_low_end, boot_info.initrd + boot_info.initrd_size);
	direct_low_end = ALIGN_UP(direct_low_end, LARGE_PAGE_SIZE);
	map_direct(0, direct_low_end);
	for (unsigned i = 0; i < boot_info.nranges; i++) {
		const struct boot_range *r = &boot_info.ranges[i];

		if (is_ram(r) && r->end > 1ull << 32)
			map_direct(r->start, r->end);
	}
	map_image();
	if (!entry(DEVICE_BASE, 3))
		panic("no memory for the device window");
	kernel_cr3 = virt_to_phys(root).v;
	kernel_map_enter();
	pages_add_high();
}

void kernel_map_copy(pte_t *top)
{
	memcpy(top + 256, root + 256, 256 * sizeof(pte_t));
}

static void *map_window(phys_t base, size_t size, uint64_t flags)
{
	uint64_t first = ALIGN_DOWN(base.v, PAGE_SIZE);
	uint64_t end = ALIGN_UP(base.v + size, PAGE_SIZE);
	uint64_t at;

	if (!size || end <= first)
		return NULL;
	spin_lock(&map_lock);
	at = device_next;
	if (end - first > IMAGE_BASE - at) {
		spin_unlock(&map_lock);
		return NULL;
	}
	for (uint64_t off = 0; off < end - first; off += PAGE_SIZE) {
		pte_t *e = entry(at + off, 1);

		if (!e) {
			spin_unlock(&map_lock);
			return NULL;
		}
		*e = pte_make(phys(first + off), flags);
	}
	device_next = at + (end - first);
	spin_unlock(&map_lock);
	return (void *)(at + (base.v - first));
}

void *kernel_map_device(phys_t base, size_t size)
{
	return map_window(base, size, DEVICE_FLAGS);
}

void *kernel_map_memory(phys_t base, size_t size)
{
	if (base.v + size <= direct_low_end && base.v + size >= base.v)
		return phys_to_virt(base);
	return map_window(base, size, KERNEL_RO);
}
