/* SPDX-License-Identifier: MIT */
/*
 * Interrupts of assigned devices.
 *
 * A vector's life: CPU vector -> remapping entry that only this requester id
 * may use -> message in the device's MSI capability or MSI-X table -> enabled.
 * Backwards: the device's enable bit off -> entry cleared and forgotten by the
 * unit -> CPU vector freed when no handler runs any more. So an interrupt that
 * is on its way when the owner goes ends at a cleared entry.
 *
 * The state of a device is made once and stays; `lock` guards the counts and
 * `enabled`, the assign lock everything else.
 */
#include "assign/interrupts.h"
#include "cpu/cpu.h"
#include "cpu/irq.h"
#include "fs/file.h"
#include "host/host.h"
#include "lib/errno.h"
#include "lib/lock.h"
#include "lib/print.h"
#include "mem/mem.h"
#include "pci/pci.h"
#include "proc/wait.h"

#define MSIX_ENABLE 0x8000
#define MSIX_MASK_ALL 0x4000
#define MSIX_ENTRY_SIZE 16
#define MSI_ENABLE 1
#define MSI_64BIT 0x80

struct vector {
	uint64_t count;
	int cpu_vector; /* -1: none */
	bool in_block;  /* `irq` belongs to vector 0's block */
	struct iommu_irq irq;
	bool remapped;
	struct waitq readers;
	struct poll_source source;
	struct device_interrupts *device;
};

struct device_interrupts {
	struct spinlock lock;
	unsigned enabled;
	volatile uint32_t *table; /* MSI-X, mapped on first use */
	struct vector vectors[MAX_DEVICE_VECTORS];
};

static struct device_interrupts *state_of(struct pci_device *d)
{
	struct device_interrupts *s = d->interrupts;

	if (s)
		return s;
	s = kzalloc(sizeof(*s));
	if (!s)
		return NULL;
	spin_init(&s->lock);
	for (unsigned i = 0; i < MAX_DEVICE_VECTORS; i++) {
		s->vectors[i].cpu_vector = -1;
		s->vectors[i].device = s;
		waitq_init(&s->vectors[i].readers);
		poll_source_init(&s->vectors[i].source);
	}
	__atomic_store_n(&d->interrupts, s, __ATOMIC_RELEASE);
	return s;
}

static void arrived(void *arg)
{
	struct vector *v = arg;

	spin_lock(&v->device->lock);
	v->count++;
	spin_unlock(&v->device->lock);
	wake_all(&v->readers);
	poll_wake(&v->source);
}

/* Spread the interrupts of devices over the CPUs. */
static unsigned choose_cpu(unsigned n)
{
	return n % cpu_count;
}

/* Entries of a block go with vector 0's, all at once. */
static void entry_close(struct vector *v)
{
	if (v->remapped && !v->in_block &&
		iommu_irq_free(host_iommu, &v->irq) != IOMMU_OK)
		kprintf("iommu: an interrupt entry is lost: not confirmed\n");
}

static void vector_close(struct vector *v)
{
	if (v->cpu_vector >= 0)
		irq_free(v->cpu_vector);
	v->cpu_vector = -1;
	v->remapped = v->in_block = false;
	v->count = 0;
}

/* Entry n of a block that vector 0 holds, or one of its own. */
static int vector_remap(struct pci_device *d, struct vector *v, unsigned n,
	const struct vector *block, struct msi_message *out)
{
	struct iommu_irq_target target = {
		.destination = cpus[choose_cpu(n)]->apic_id,
		.vector = (uint8_t)v->cpu_vector};
	struct iommu_msi_message m;
	enum iommu_status st = IOMMU_OK;
	unsigned index = block ? n : 0;

	if (block) {
		v->irq = block->irq;
		v->in_block = v != block;
	} else {
		st = iommu_irq_alloc(host_iommu, host_device_id(d), 1, &v->irq);
	}
	if (st != IOMMU_OK)
		return st == IOMMU_NO_ENTRY ? -ENOSPC : -EIO;
	v->remapped = true;
	if (iommu_irq_set(host_iommu, &v->irq, index, &target) != IOMMU_OK ||
		iommu_irq_message(host_iommu, &v->irq, index, &m) != IOMMU_OK)
		return -EIO;
	*out = (struct msi_message){m.address, m.data};
	return 0;
}

static bool device_remapped(struct pci_device *d)
{
	bool remapped;

	return iommu_irq_remapped(host_iommu, host_device_id(d), &remapped) ==
		IOMMU_OK &&
		remapped;
}

static int vector_open(struct pci_device *d, struct vector *v, unsigned n,
	const struct vector *block, struct msi_message *out)
{
	v->cpu_vector = irq_alloc(arrived, v);
	if (v->cpu_vector < 0)
		return -ENOSPC;
	if (device_remapped(d))
		return vector_remap(d, v, n, block, out);
	*out = msi_compose(v->cpu_vector, choose_cpu(n));
	return 0;
}

void interrupts_release(struct pci_device *d)
{
	struct device_interrupts *s = d->interrupts;
	unsigned n;

	if (!s)
		return;
	pci_interrupts_off(d);
	spin_lock(&s->lock);
	n = s->enabled;
	s->enabled = 0;
	spin_unlock(&s->lock);
	/* A device may send what it was told once, whatever its enable bit
	 * says: no CPU vector is free for others before all entries are. */
	for (unsigned i = 0; i < MAX_DEVICE_VECTORS; i++)
		entry_close(&s->vectors[i]);
	for (unsigned i = 0; i < MAX_DEVICE_VECTORS; i++) {
		vector_close(&s->vectors[i]);
		if (i < n) {
			wake_all(&s->vectors[i].readers);
			poll_wake(&s->vectors[i].source);
		}
	}
}

static void publish(struct device_interrupts *s, unsigned n)
{
	spin_lock(&s->lock);
	s->enabled = n;
	spin_unlock(&s->lock);
}

void interrupts_forget(struct pci_device *d)
{
	if (d->interrupts)
		d->interrupts->table = NULL;
}

static bool map_table(struct pci_device *d, struct device_interrupts *s)
{
	const struct pci_bar *bar = &d->bars[d->msix_bar];
	size_t size = (size_t)d->msix_count * MSIX_ENTRY_SIZE;

	if (s->table)
		return true;
	if (d->msix_bar >= ARRAY_SIZE(d->bars) || bar->io ||
		d->msix_offset > bar->size || size > bar->size - d->msix_offset)
		return false;
	s->table = kernel_map_device(phys(bar->base + d->msix_offset), size);
	return s->table;
}

int interrupts_enable_msix(struct pci_device *d, unsigned n)
{
	struct device_interrupts *s = state_of(d);
	unsigned control = d->cap_msix + 2;
	int err = 0;

	if (!s)
		return -ENOMEM;
	if (!d->msix_count || !map_table(d, s))
		return -ENOTSUP;
	if (n > MIN((unsigned)d->msix_count, MAX_DEVICE_VECTORS))
		return -EINVAL;
	interrupts_release(d);
	if (!n)
		return 0;
	pci_set_memory(d, true);
	pci_write16(d, control,
		(uint16_t)(pci_read16(d, control) | MSIX_ENABLE |
			MSIX_MASK_ALL));
	for (unsigned i = 0; i < d->msix_count; i++)
		s->table[i * 4 + 3] = 1;
	for (unsigned i = 0; i < n && !err; i++) {
		struct msi_message m;

		err = vector_open(d, &s->vectors[i], i, NULL, &m);
		if (err)
			break;
		s->table[i * 4 + 0] = (uint32_t)m.address;
		s->table[i * 4 + 1] = (uint32_t)(m.address >> 32);
		s->table[i * 4 + 2] = m.data;
		s->table[i * 4 + 3] = 0;
	}
	if (err) {
		interrupts_release(d);
		return err;
	}
	publish(s, n);
	pci_write16(d, control,
		(uint16_t)((pci_read16(d, control) | MSIX_ENABLE) &
			~MSIX_MASK_ALL));
	return 0;
}

static void write_msi(
	struct pci_device *d, const struct msi_message *m, unsigned log2_count)
{
	unsigned cap = d->cap_msi;
	uint16_t control = pci_read16(d, cap + 2);

	pci_write32(d, cap + 4, (uint32_t)m->address);
	if (control & MSI_64BIT) {
		pci_write32(d, cap + 8, (uint32_t)(m->address >> 32));
		pci_write16(d, cap + 12, (uint16_t)m->data);
	} else {
		pci_write16(d, cap + 8, (uint16_t)m->data);
	}
	pci_write16(d, cap + 2,
		(uint16_t)((control & ~0x70u) | log2_count << 4 | MSI_ENABLE));
}

static unsigned log2_of(unsigned n)
{
	unsigned log2 = 0;

	while (n >> (log2 + 1))
		log2++;
	return log2;
}

int interrupts_enable_msi(struct pci_device *d, unsigned n)
{
	struct device_interrupts *s = state_of(d);
	struct msi_message first = {0}, m;
	struct vector *block;
	int err = 0;

	if (!s)
		return -ENOMEM;
	if (!d->cap_msi)
		return -ENOTSUP;
	if (n & (n - 1) || n > 32 ||
		log2_of(n | 1) > (pci_read16(d, d->cap_msi + 2) >> 1 & 7u))
		return -EINVAL;
	interrupts_release(d);
	if (!n)
		return 0;
	/* The device adds the number to the data: without remapping that
	 * would need consecutive CPU vectors. */
	if (n > 1 && !device_remapped(d))
		return -ENOTSUP;
	block = &s->vectors[0];
	if (device_remapped(d)) {
		if (iommu_irq_alloc(host_iommu, host_device_id(d), n,
			    &block->irq) != IOMMU_OK)
			return -ENOSPC;
		block->remapped = true;
	}
	for (unsigned i = 0; i < n && !err; i++) {
		err = vector_open(d, &s->vectors[i], i, block, &m);
		if (i == 0)
			first = m;
	}
	if (err) {
		interrupts_release(d);
		return err;
	}
	publish(s, n);
	write_msi(d, &first, log2_of(n));
	return 0;
}

unsigned interrupts_count(const struct pci_device *d)
{
	return d->interrupts ? d->interrupts->enabled : 0;
}

int64_t interrupts_read(struct pci_device *d, unsigned n, bool nonblock)
{
	struct device_interrupts *s =
		__atomic_load_n(&d->interrupts, __ATOMIC_ACQUIRE);
	struct vector *v;
	int64_t result = 0;

	if (!s || n >= MAX_DEVICE_VECTORS)
		return -ENODEV;
	v = &s->vectors[n];
	spin_lock(&s->lock);
	for (;;) {
		if (n >= s->enabled)
			result = -ENODEV;
		else if (v->count)
			result = (int64_t)v->count;
		else if (nonblock)
			result = -EAGAIN;
		if (result)
			break;
		result = wait_on(&v->readers, &s->lock, WAIT_FOREVER,
			WAIT_INTERRUPTIBLE);
		if (result)
			break;
	}
	if (result > 0)
		v->count = 0;
	spin_unlock(&s->lock);
	return result;
}

unsigned interrupts_poll(struct pci_device *d, unsigned n, struct poller *p)
{
	struct device_interrupts *s =
		__atomic_load_n(&d->interrupts, __ATOMIC_ACQUIRE);
	unsigned events = 0;

	if (!s || n >= MAX_DEVICE_VECTORS)
		return POLLERR;
	poll_register(p, &s->vectors[n].source);
	spin_lock(&s->lock);
	if (n >= s->enabled)
		events = POLLERR;
	else if (s->vectors[n].count)
		events = POLLIN;
	spin_unlock(&s->lock);
	return events;
}
