/* SPDX-License-Identifier: MIT */
/*
 * All that a kernel needs to put its devices behind the I/O MMU with libiommu.
 * The kernel here is a small one with a direct map of all memory; what it
 * offers is declared in kernel.h.
 */
#include <iommu/iommu.h>
#include <iommu/dma.h>
#include "kernel.h"

static struct iommu *iommu;

/* ---- what the library asks of the kernel ---- */

static void *page_alloc(void *ctx, unsigned order, iommu_phys_t *out_phys)
{
	void *page = kernel_pages_zeroed(order);

	(void)ctx;
	if (page)
		*out_phys = iommu_phys(kernel_virt_to_phys(page));
	return page;
}

static void page_free(void *ctx, void *page, iommu_phys_t phys, unsigned order)
{
	(void)ctx;
	(void)phys;
	kernel_pages_free(page, order);
}

static void *phys_to_virt(void *ctx, iommu_phys_t phys)
{
	(void)ctx;
	/* Any address may be asked for: NULL for what is not memory. */
	return kernel_phys_to_virt(phys.v);
}

static void *regs_map(void *ctx, iommu_phys_t base, uint64_t size)
{
	(void)ctx;
	return kernel_map_uncached(base.v, size);
}

static void regs_unmap(void *ctx, void *regs, uint64_t size)
{
	(void)ctx;
	kernel_unmap(regs, size);
}

static uint64_t reg_read(void *ctx, void *regs, uint32_t offset, unsigned width)
{
	(void)ctx;
	return kernel_mmio_read((char *)regs + offset, width);
}

static void reg_write(
	void *ctx, void *regs, uint32_t offset, unsigned width, uint64_t value)
{
	(void)ctx;
	kernel_mmio_write((char *)regs + offset, width, value);
}

static void cache_flush(void *ctx, const void *virt, size_t size)
{
	(void)ctx;
	kernel_cache_write_back(virt, size);
}

static unsigned long lock(void *ctx, struct iommu_lock *lock)
{
	(void)ctx;
	return kernel_spin_lock_irqsave((kernel_spinlock *)lock->opaque);
}

static void unlock(void *ctx, struct iommu_lock *lock, unsigned long flags)
{
	(void)ctx;
	kernel_spin_unlock_irqrestore((kernel_spinlock *)lock->opaque, flags);
}

static uint64_t now_ns(void *ctx)
{
	(void)ctx;
	return kernel_uptime_ns();
}

static void log_line(void *ctx, enum iommu_log_level level, const char *line)
{
	(void)ctx;
	if (level <= IOMMU_LOG_WARNING)
		kernel_print(line);
}

static uint32_t pci_read(void *ctx, uint16_t segment, uint8_t bus,
	uint8_t devfn, uint16_t offset, unsigned width)
{
	(void)ctx;
	return kernel_pci_read(segment, bus, devfn, offset, width);
}

static bool unit_msi(void *ctx, unsigned unit, struct iommu_msi_message *out)
{
	(void)ctx;
	return kernel_msi_allocate(unit, &out->address, &out->data);
}

static const struct iommu_host host = {
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
	.unit_msi = unit_msi,
};

/* ---- what the kernel asks of the library ---- */

/** At boot, with bus mastering off everywhere. False: no protection. */
bool protection_start(const void *dmar, size_t size)
{
	enum iommu_status status = iommu_create(&host, NULL, &iommu);

	if (status == IOMMU_OK)
		status = iommu_discover(iommu, dmar, size);
	if (status == IOMMU_OK)
		status = iommu_start(iommu);
	if (status == IOMMU_OK)
		return true;
	kernel_print(iommu_status_text(status));
	return false;
}

/** The interrupt of unit n: copies what happened, wakes protection_faults(). */
void protection_interrupt(unsigned n)
{
	if (iommu_interrupt(iommu, n))
		kernel_wake_fault_thread();
}

/** A thread's work: a line in the log for each refused access. */
void protection_faults(void)
{
	struct iommu_fault fault;
	char line[160];

	while (iommu_fault_next(iommu, &fault)) {
		iommu_fault_format(&fault, line, sizeof(line));
		kernel_print(line);
	}
}

/** A device and its address space, for a driver. */
struct protected_device {
	struct iommu_device_id id;
	struct iommu_domain *domain;
	struct iommu_dma *dma;
};

/** Puts a device behind an address space of its own, with nothing in it. */
enum iommu_status protected_open(struct protected_device *dev, unsigned bus,
	unsigned slot, unsigned function)
{
	struct iommu_domain_config space = {
		.kind = IOMMU_DOMAIN_MAPPED, .owner = dev};
	struct iommu_dma_config config = {.deferred = false};
	enum iommu_status status;

	dev->id = iommu_device_id(0, bus, slot, function);
	status = iommu_domain_create(iommu, &space, &dev->domain);
	if (status != IOMMU_OK)
		return status;
	status = iommu_dma_create(dev->domain, &config, &dev->dma);
	if (status == IOMMU_OK)
		status = iommu_attach(iommu, dev->id, dev->domain);
	if (status != IOMMU_OK &&
		(iommu_dma_destroy(dev->dma) != IOMMU_OK ||
			iommu_domain_destroy(dev->domain) != IOMMU_OK))
		kernel_print("an address space could not be undone");
	return status;
}

/** Takes it back. The driver has stopped the device, and its bus mastering is
 *  off. If the status is not IOMMU_OK the device's buffers must not be reused.
 */
enum iommu_status protected_close(struct protected_device *dev)
{
	enum iommu_status status = iommu_detach(iommu, dev->id);

	if (status == IOMMU_OK)
		status = iommu_dma_destroy(dev->dma);
	if (status == IOMMU_OK)
		status = iommu_domain_destroy(dev->domain);
	return status;
}

/** Lets the device reach a buffer; the address to give to it is *out. */
enum iommu_status protected_map(struct protected_device *dev, void *buffer,
	size_t size, bool device_writes, uint64_t *out)
{
	iommu_iova_t iova;
	enum iommu_status status = iommu_dma_map(dev->dma,
		iommu_phys(kernel_virt_to_phys(buffer)), size, ~0ull,
		device_writes ? IOMMU_FROM_DEVICE : IOMMU_TO_DEVICE, &iova);

	if (status == IOMMU_OK)
		*out = iova.v;
	return status;
}

/** The device has lost the buffer when this returns. */
enum iommu_status protected_unmap(struct protected_device *dev,
	uint64_t address, size_t size, bool device_writes)
{
	return iommu_dma_unmap(dev->dma, iommu_iova(address), size,
		device_writes ? IOMMU_FROM_DEVICE : IOMMU_TO_DEVICE);
}

/** At shutdown. */
void protection_stop(void)
{
	if (iommu_destroy(iommu) != IOMMU_OK)
		kernel_print("the I/O MMU could not be switched off");
}
