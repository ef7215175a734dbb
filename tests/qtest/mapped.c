/* SPDX-License-Identifier: MIT */
/*
 * Mapped domains, the DMA interface, interrupt remapping and the order of
 * flushes on QEMU's own unit.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>
#include <iommu/dma.h>
#include "support/rig.h"

#define RW (IOMMU_READ | IOMMU_WRITE)

static struct iommu_domain *mapped_domain(struct rig *r)
{
	struct iommu_domain_config config = {.kind = IOMMU_DOMAIN_MAPPED};
	struct iommu_domain *domain;

	OK(iommu_domain_create(r->iommu, &config, &domain));
	return domain;
}

static void start(struct rig *r, void **state)
{
	struct iommu_options options;

	iommu_options_default(&options);
	if (strstr(*state, "caching"))
		options.interface = IOMMU_INTERFACE_REGISTERS;
	rig_start(r, *state, &options);
}

/** Small and large pages, split under a device that keeps its page. */
static void pages_of_all_sizes(void **state)
{
	struct iommu_domain *domain;
	struct iommu_batch batch;
	uint64_t block;
	struct rig r;

	start(&r, state);
	block = qemu_pages(&r.q, 9);
	domain = mapped_domain(&r);
	OK(iommu_attach(r.iommu, r.edu[0], domain));
	OK(iommu_map(domain, iommu_iova(0x40000000), iommu_phys(block),
		0x200000, RW));
	assert_true(rig_reaches(&r, 0, 0x40000000, block));
	assert_true(rig_reaches(&r, 0, 0x401ff000, block + 0x1ff000));
	OK(iommu_unmap_now(domain, iommu_iova(0x40005000), 0x1000));
	assert_false(rig_reaches(&r, 0, 0x40005000, block + 0x5000));
	assert_true(rig_reaches(&r, 0, 0x40006000, block + 0x6000));
	OK(iommu_map(domain, iommu_iova(0x40005000), iommu_phys(block + 0x5000),
		0x1000, RW));
	iommu_batch_init(&batch, domain);
	OK(iommu_join(domain, iommu_iova(0x40000000), 0x200000, &batch));
	OK(iommu_batch_flush(&batch));
	assert_true(rig_reaches(&r, 0, 0x40005000, block + 0x5000));
	OK(iommu_unmap_now(domain, iommu_iova(0x40000000), 0x200000));
	assert_false(rig_reaches(&r, 0, 0x40005000, block + 0x5000));
	OK(iommu_detach(r.iommu, r.edu[0]));
	OK(iommu_domain_destroy(domain));
	rig_stop(&r);
}

static void buffers_by_the_dma_interface(void **state)
{
	struct iommu_dma_config config = {.untrusted = true};
	struct iommu_domain *domain;
	struct iommu_dma *dma;
	iommu_iova_t iova;
	uint64_t page, *word;
	struct rig r;

	start(&r, state);
	page = qemu_pages(&r.q, 0);
	word = qemu_at(&r.q, page);
	domain = mapped_domain(&r);
	OK(iommu_attach(r.iommu, r.edu[0], domain));
	OK(iommu_dma_create(domain, &config, &dma));
	for (unsigned n = 0; n < 3; n++) {
		word[7] = word[9] = 1;
		word[8] = 2;
		OK(iommu_dma_map(dma, iommu_phys(page + 64), 8, 0xffffffff,
			IOMMU_FROM_DEVICE, &iova));
		edu_dma(&r.q, r.bar[0], true, iova.v - 8, 0, 24);
		assert_int_equal(word[8], 2);
		OK(iommu_dma_unmap(dma, iova, 8, IOMMU_FROM_DEVICE));
		/* The device's zeros have arrived, and nothing around. */
		assert_int_equal(word[8], 0);
		assert_int_equal(word[7], 1);
		assert_int_equal(word[9], 1);
	}
	OK(iommu_dma_destroy(dma));
	OK(iommu_detach(r.iommu, r.edu[0]));
	OK(iommu_domain_destroy(domain));
	rig_stop(&r);
}

/** A second device's fault while the first is not fetched is counted lost. */
static void faults_overflow(void **state)
{
	struct iommu_fault fault;
	unsigned lost = 0;
	struct rig r;

	start(&r, state);
	assert_false(rig_reaches(&r, 0, 0x1000, 0x100000));
	assert_false(rig_reaches(&r, 1, 0x2000, 0x100000));
	assert_true(iommu_interrupt(r.iommu, 0));
	assert_true(iommu_fault_next(r.iommu, &fault));
	assert_true(iommu_device_same(fault.device, r.edu[0]));
	assert_int_equal(fault.kind, IOMMU_FAULT_DMA);
	assert_false(iommu_fault_next(r.iommu, &fault));
	assert_false(rig_reaches(&r, 1, 0x3000, 0x100000));
	assert_true(iommu_interrupt(r.iommu, 0));
	assert_true(iommu_fault_next(r.iommu, &fault));
	assert_true(iommu_device_same(fault.device, r.edu[1]));
	assert_int_equal(fault.address.v, 0x3000);
	lost += fault.lost;
	assert_int_equal(lost, 1);
	rig_stop(&r);
}

/** What QEMU saw, in its order: one letter per descriptor. */
static void traced(struct rig *r, char *out, size_t size)
{
	static const struct {
		const char *name;
		char letter;
	} kind[] = {{"vtd_inv_desc_cc_devices", 'c'},
		{"vtd_inv_desc_cc_global", 'C'}, {"vtd_inv_desc_iotlb_", 'i'},
		{"vtd_inv_desc_wait_", 'w'}, {"vtd_inv_desc_iec", 'e'}};
	FILE *file = fopen(r->q.trace_path, "r");
	char line[256];
	size_t n = 0;

	assert_non_null(file);
	while (fgets(line, sizeof(line), file))
		for (unsigned k = 0; k < 5; k++)
			if (strstr(line, kind[k].name) && n + 1 < size)
				out[n++] = kind[k].letter;
	out[n] = '\0';
	fclose(file);
}

static void flushes_come_in_order(void **state)
{
	char before[512], after[512];
	struct rig r;

	(void)state;
	rig_start(&r, "aw-bits=48", NULL);
	OK(iommu_attach(r.iommu, r.edu[0], iommu_domain_identity(r.iommu)));
	traced(&r, before, sizeof(before));
	OK(iommu_detach(r.iommu, r.edu[0]));
	traced(&r, after, sizeof(after));
	assert_int_equal(strncmp(before, after, strlen(before)), 0);
	assert_string_equal(after + strlen(before), "ciw");
	rig_stop(&r);

	/* Caching mode: the entry that was absent is forgotten, too. */
	rig_start(&r, "aw-bits=48,caching-mode=on", NULL);
	OK(iommu_attach(r.iommu, r.edu[0], iommu_domain_identity(r.iommu)));
	traced(&r, before, sizeof(before));
	OK(iommu_detach(r.iommu, r.edu[0]));
	traced(&r, after, sizeof(after));
	assert_string_equal(after + strlen(before), "cciw");
	OK(iommu_attach(r.iommu, r.edu[0], iommu_domain_identity(r.iommu)));
	traced(&r, before, sizeof(before));
	assert_string_equal(before + strlen(after), "ciw");
	OK(iommu_detach(r.iommu, r.edu[0]));
	rig_stop(&r);
}

static void interrupt_entries_are_flushed(void **state)
{
	struct iommu_irq_target target = {.destination = 0, .vector = 0x51};
	char before[512], after[512];
	struct iommu_msi_message message;
	struct iommu_irq irq;
	bool remapped = false;
	struct rig r;

	(void)state;
	rig_start(&r, "aw-bits=48,intremap=on", NULL);
	OK(iommu_irq_remapped(r.iommu, r.edu[0], &remapped));
	assert_true(remapped);
	OK(iommu_irq_alloc(r.iommu, r.edu[0], 4, &irq));
	assert_int_equal(irq.first % 4, 0);
	traced(&r, before, sizeof(before));
	OK(iommu_irq_set(r.iommu, &irq, 2, &target));
	traced(&r, after, sizeof(after));
	assert_string_equal(before, after);
	target.vector = 0x52;
	OK(iommu_irq_set(r.iommu, &irq, 2, &target));
	traced(&r, after, sizeof(after));
	assert_string_equal(after + strlen(before), "ew");
	OK(iommu_irq_message(r.iommu, &irq, 2, &message));
	assert_int_equal(message.address & 0xfff00018, 0xfee00018);
	assert_int_equal(message.data, 2);
	assert_int_equal(
		iommu_irq_set(r.iommu, &irq, 4, &target), IOMMU_BAD_ARGUMENT);
	OK(iommu_irq_free(r.iommu, &irq));
	assert_int_equal(iommu_irq_free(r.iommu, &irq), IOMMU_BAD_ARGUMENT);
	OK(iommu_irq_alloc_ioapic(r.iommu, 0, 32, &irq));
	OK(iommu_irq_free(r.iommu, &irq));
	assert_int_equal(
		iommu_irq_alloc_ioapic(r.iommu, 9, 32, &irq), IOMMU_UNCOVERED);
	rig_stop(&r);
}

#define EACH(test)                                               \
	{#test " (48)", test, NULL, NULL, "aw-bits=48"},         \
		{#test " (39)", test, NULL, NULL, "aw-bits=39"}, \
	{                                                        \
#test " (registers)", test, NULL, NULL,          \
			"aw-bits=48,caching-mode=on"             \
	}

int main(void)
{
	const struct CMUnitTest tests[] = {
		EACH(pages_of_all_sizes),
		EACH(buffers_by_the_dma_interface),
		EACH(faults_overflow),
		cmocka_unit_test(flushes_come_in_order),
		cmocka_unit_test(interrupt_entries_are_flushed),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
