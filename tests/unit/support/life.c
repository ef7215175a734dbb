/* SPDX-License-Identifier: MIT */
/* See life.h. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include "life.h"

void life_power(struct rig *r, uint64_t iova, uint64_t frame)
{
	OK(iommu_power(r->iommu, false));
	assert_false(iommu_is_on(r->iommu));
	assert_true(rig_can_write(r, RIG_OTHER, frame));
	OK(iommu_power(r->iommu, true));
	assert_false(rig_can_write(r, RIG_OTHER, frame));
	assert_true(rig_can_write(r, RIG_DEV, iova));
	OK(iommu_suspend(r->iommu));
	model_unit_reset(r->m, 0);
	OK(iommu_resume(r->iommu));
	assert_true(rig_can_write(r, RIG_DEV, iova));
	assert_false(rig_can_write(r, RIG_OTHER, frame));
}

void life_interrupts(struct rig *r)
{
	struct iommu_irq_target target = {.destination = 3, .vector = 0x61};
	struct iommu_msi_message msg;
	struct iommu_irq irq;
	bool remapped = false;

	OK(iommu_irq_remapped(r->iommu, rig_id(RIG_DEV), &remapped));
	if (!remapped)
		return;
	OK(iommu_irq_alloc(r->iommu, rig_id(RIG_DEV), 2, &irq));
	OK(iommu_irq_message(r->iommu, &irq, 1, &msg));
	assert_false(model_msi(r->m, 0, RIG_DEV, msg.address, msg.data));
	OK(iommu_irq_set(r->iommu, &irq, 1, &target));
	assert_true(model_msi(r->m, 0, RIG_DEV, msg.address, msg.data));
	assert_int_equal(r->host.last_interrupt.vector, 0x61);
	assert_int_equal(r->host.last_interrupt.destination, 3);
	assert_false(model_msi(r->m, 0, RIG_OTHER, msg.address, msg.data));
	target.vector = 0x62;
	OK(iommu_irq_set(r->iommu, &irq, 1, &target));
	assert_true(model_msi(r->m, 0, RIG_DEV, msg.address, msg.data));
	assert_int_equal(r->host.last_interrupt.vector, 0x62);
	rig_check(r);
	OK(iommu_irq_free(r->iommu, &irq));
	assert_false(model_msi(r->m, 0, RIG_DEV, msg.address, msg.data));
	rig_check(r);
}
