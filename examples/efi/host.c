/* SPDX-License-Identifier: MIT */
/*
 * The library's hooks on UEFI's boot services: one CPU, memory at its physical
 * addresses, everything done at a task priority level (TPL) that the services
 * used here allow.
 */
#include "app.h"

/*
 * Reserved, so that the next system leaves alone what iommu_destroy() could not
 * give back. The services align to one page only: ask for nearly twice as much
 * and give back what lies around.
 */
static void *page_alloc(void *ctx, unsigned order, iommu_phys_t *out_phys)
{
	EFI_BOOT_SERVICES *boot = firmware->BootServices;
	uint64_t pages = 1ull << order, size = pages << 12, got, at;

	(void)ctx;
	if (EFI_ERROR(boot->AllocatePages(AllocateAnyPages,
		    EfiReservedMemoryType, 2 * pages - 1, &got)))
		return NULL;
	at = (got + size - 1) & ~(size - 1);
	if (at > got)
		boot->FreePages(got, (at - got) >> 12);
	if (at - got < size - 4096)
		boot->FreePages(at + size, pages - 1 - ((at - got) >> 12));
	boot->SetMem((void *)at, size, 0);
	*out_phys = iommu_phys(at);
	return (void *)at;
}

static void page_free(void *ctx, void *page, iommu_phys_t phys, unsigned order)
{
	(void)ctx;
	(void)page;
	firmware->BootServices->FreePages(phys.v, 1ull << order);
}

static void *phys_to_virt(void *ctx, iommu_phys_t phys)
{
	(void)ctx;
	return is_memory(phys.v) ? (void *)phys.v : NULL;
}

/* The firmware maps what is not memory uncached. */
static void *regs_map(void *ctx, iommu_phys_t base, uint64_t size)
{
	(void)ctx;
	(void)size;
	return (void *)base.v;
}

static void regs_unmap(void *ctx, void *regs, uint64_t size)
{
	(void)ctx;
	(void)regs;
	(void)size;
}

static uint64_t reg_read(void *ctx, void *regs, uint32_t offset, unsigned width)
{
	volatile char *at = (volatile char *)regs + offset;

	(void)ctx;
	return width == 8 ? *(volatile uint64_t *)at : *(volatile uint32_t *)at;
}

static void reg_write(
	void *ctx, void *regs, uint32_t offset, unsigned width, uint64_t value)
{
	volatile char *at = (volatile char *)regs + offset;

	(void)ctx;
	__asm__ volatile("" ::: "memory");
	if (width == 8)
		*(volatile uint64_t *)at = value;
	else
		*(volatile uint32_t *)at = (uint32_t)value;
}

static void cache_flush(void *ctx, const void *virt, size_t size)
{
	const char *at = (const char *)((uintptr_t)virt & ~(uintptr_t)63);

	(void)ctx;
	for (; at < (const char *)virt + size; at += 64)
		__asm__ volatile("clflush %0" ::"m"(*at) : "memory");
	__asm__ volatile("mfence" ::: "memory");
}

/* One CPU: what has to be kept out are the firmware's timer events. Above
 * TPL_NOTIFY the services for memory and console may not be called. */
static unsigned long lock(void *ctx, struct iommu_lock *lock)
{
	(void)ctx;
	(void)lock;
	return (unsigned long)firmware->BootServices->RaiseTPL(TPL_NOTIFY);
}

static void unlock(void *ctx, struct iommu_lock *lock, unsigned long state)
{
	(void)ctx;
	(void)lock;
	firmware->BootServices->RestoreTPL(state);
}

static uint64_t now_ns(void *ctx)
{
	(void)ctx;
	return clock_ns();
}

static void log_line(void *ctx, enum iommu_log_level level, const char *line)
{
	(void)ctx;
	(void)level;
	say("iommu: ", line, "\n", NULL);
}

static struct iommu_device_id device_id(
	uint16_t segment, uint8_t bus, uint8_t devfn)
{
	return iommu_device_id(segment, bus, devfn >> 3, devfn & 7);
}

static uint32_t pci_read(void *ctx, uint16_t segment, uint8_t bus,
	uint8_t devfn, uint16_t offset, unsigned width)
{
	(void)ctx;
	return pci_get(device_id(segment, bus, devfn), offset, width);
}

static void pci_write(void *ctx, uint16_t segment, uint8_t bus, uint8_t devfn,
	uint16_t offset, unsigned width, uint32_t value)
{
	(void)ctx;
	pci_put(device_id(segment, bus, devfn), offset, width, value);
}

/* No direct_map: memory lies at its physical addresses, and a base of 0 would
 * mean "none". No unit_msi: iommu_interrupt_all() is called where something may
 * have happened. */
const struct iommu_host host = {
	.page_alloc = page_alloc,
	.page_free = page_free,
	.phys_to_virt = phys_to_virt,
	.regs_map = regs_map,
	.regs_unmap = regs_unmap,
	.reg_read = reg_read,
	.reg_write = reg_write,
	.cache_flush = cache_flush,
	.lock = lock,
	.unlock = unlock,
	.now_ns = now_ns,
	.log = log_line,
	.pci_read = pci_read,
	.pci_write = pci_write,
};
