/* SPDX-License-Identifier: MIT */
/* What the I/O MMU library asks of its host: this kernel (iommu/host.h has the
 * contracts). */
#include "host/host.h"
#include "cpu/cpu.h"
#include "cpu/irq.h"
#include "cpu/time.h"
#include "lib/lock.h"
#include "lib/print.h"
#include "lib/string.h"
#include "mem/mem.h"
#include "pci/pci.h"

struct iommu *host_iommu;

static void *page_alloc_hook(void *ctx, unsigned order, iommu_phys_t *out)
{
	void *p = pages_alloc(order);

	(void)ctx;
	if (p)
		*out = iommu_phys(virt_to_phys(p).v);
	return p;
}

static void page_free_hook(
	void *ctx, void *page, iommu_phys_t at, unsigned order)
{
	(void)ctx;
	(void)at;
	pages_free(page, order);
}

static void *phys_to_virt_hook(void *ctx, iommu_phys_t at)
{
	(void)ctx;
	return page_of(phys(at.v)) ? phys_to_virt(phys(at.v)) : NULL;
}

static void *regs_map_hook(void *ctx, iommu_phys_t base, uint64_t size)
{
	(void)ctx;
	return kernel_map_device(phys(base.v), size);
}

/* Register windows are mapped for good. */
static void regs_unmap_hook(void *ctx, void *regs, uint64_t size)
{
	(void)ctx;
	(void)regs;
	(void)size;
}

static uint64_t reg_read_hook(
	void *ctx, void *regs, uint32_t offset, unsigned width)
{
	volatile char *at = (volatile char *)regs + offset;

	(void)ctx;
	if (width == 8)
		return *(volatile uint64_t *)at;
	return *(volatile uint32_t *)at;
}

static void reg_write_hook(
	void *ctx, void *regs, uint32_t offset, unsigned width, uint64_t value)
{
	volatile char *at = (volatile char *)regs + offset;

	(void)ctx;
	if (width == 8)
		*(volatile uint64_t *)at = value;
	else
		*(volatile uint32_t *)at = (uint32_t)value;
}

static inline void flush_line(uintptr_t at)
{
	__asm__ volatile("clflush (%0)" ::"r"(at) : "memory");
}

/* A new table is 64 lines: four of them in a turn. */
static void cache_flush_hook(void *ctx, const void *virt, size_t size)
{
	size_t line = cpu_features.clflush_size;
	uintptr_t at = ALIGN_DOWN((uintptr_t)virt, line);
	uintptr_t end = (uintptr_t)virt + size;

	(void)ctx;
	for (; size >= PAGE_SIZE && at + 3 * line < end; at += 4 * line) {
		flush_line(at);
		flush_line(at + line);
		flush_line(at + 2 * line);
		flush_line(at + 3 * line);
	}
	for (; at < end; at += line)
		flush_line(at);
	__asm__ volatile("mfence" ::: "memory");
}

/* The storage is zeroed by the library, which is a free spinlock here. */
static unsigned long lock_hook(void *ctx, struct iommu_lock *lock)
{
	_Static_assert(sizeof(struct spinlock) <= sizeof(*lock), "storage");
	(void)ctx;
	spin_lock((struct spinlock *)lock->opaque);
	return 0;
}

static void unlock_hook(void *ctx, struct iommu_lock *lock, unsigned long state)
{
	(void)ctx;
	(void)state;
	spin_unlock((struct spinlock *)lock->opaque);
}

static uint64_t now_hook(void *ctx)
{
	(void)ctx;
	return time_ns();
}

/* A flush ends sooner than a `pause` under an emulator: kernel/lib/spinlock.c.
 */
#define RELAX_AFTER_NS 20000

static void relax_hook(void *ctx, uint64_t waited_ns)
{
	(void)ctx;
	if (waited_ns > RELAX_AFTER_NS)
		cpu_relax();
}

static void log_hook(void *ctx, enum iommu_log_level level, const char *line)
{
	(void)ctx;
	(void)level;
	kprintf("iommu: %s\n", line);
}

static uint32_t pci_read_hook(void *ctx, uint16_t segment, uint8_t bus,
	uint8_t devfn, uint16_t offset, unsigned width)
{
	(void)ctx;
	return pci_config_read(segment, bus, devfn, offset, width);
}

static void pci_write_hook(void *ctx, uint16_t segment, uint8_t bus,
	uint8_t devfn, uint16_t offset, unsigned width, uint32_t value)
{
	(void)ctx;
	pci_config_write(segment, bus, devfn, offset, width, value);
}

static host_fault_handler on_fault;

static void unit_interrupt(void *arg)
{
	if (iommu_interrupt(host_iommu, (unsigned)(uintptr_t)arg) && on_fault)
		on_fault();
}

static bool unit_msi_hook(
	void *ctx, unsigned unit, struct iommu_msi_message *out)
{
	int vector = irq_alloc(unit_interrupt, (void *)(uintptr_t)unit);
	struct msi_message m;

	(void)ctx;
	if (vector < 0)
		return false;
	m = msi_compose(vector, 0);
	out->address = m.address;
	out->data = m.data;
	return true;
}

static unsigned cpu_index_hook(void *ctx)
{
	(void)ctx;
	return this_cpu()->id;
}

static const struct iommu_host hooks = {
	.direct_map = (void *)DIRECT_BASE,
	.page_alloc = page_alloc_hook,
	.page_free = page_free_hook,
	.phys_to_virt = phys_to_virt_hook,
	.regs_map = regs_map_hook,
	.regs_unmap = regs_unmap_hook,
	.reg_read = reg_read_hook,
	.reg_write = reg_write_hook,
	.cache_flush = cache_flush_hook,
	.lock = lock_hook,
	.unlock = unlock_hook,
	.now_ns = now_hook,
	.relax = relax_hook,
	.log = log_hook,
	.pci_read = pci_read_hook,
	.pci_write = pci_write_hook,
	.unit_msi = unit_msi_hook,
	.cpu_index = cpu_index_hook,
};

enum iommu_status host_create(
	const struct iommu_options *options, host_fault_handler fault)
{
	on_fault = fault;
	return iommu_create(&hooks, options, &host_iommu);
}
