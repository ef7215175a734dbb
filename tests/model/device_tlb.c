/* SPDX-License-Identifier: MIT */
/*
 * Device TLBs: translations that a device keeps, requests that it sends
 * translated, and devices that do not answer a flush.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include "support/attached.h"

static void ats_on(uint16_t dev)
{
	model_pci_write(
		d.m, 0, (uint8_t)(dev >> 8), (uint8_t)dev, 0x106, 2, 0x8000);
}

static void ready_with_device_tlb(void)
{
	ready("plain");
	mini_attach(&d, ATS, top, DID, TT_ATS);
	ats_on(ATS);
}

static void device_tlb_flush_rules(void **state)
{
	(void)state;
	ready("plain");
	mini_flush_device(&d, ATS, 0, false);
	assert_int_equal(model_violations_of(d.m, MODEL_V_ATS), 1);
	expect_at_checkpoint(MODEL_V_ATS);
	ready_with_device_tlb();
	mini_translation(&d, false);
	mini_flush_device(&d, ATS, 0, false);
	expect_at_checkpoint(MODEL_V_ATS);
}

static void translated_requests_need_permission(void **state)
{
	uint64_t v = 1;

	(void)state;
	ready("plain");
	assert_int_equal(model_dma_translated(d.m, 0, DEV, frame, &v, 8, true),
		MODEL_DMA_BLOCKED);
	assert_int_equal(model_last_fault(d.m), F_TT_BLOCKS);
	mini_attach(&d, ATS, top, DID, TT_ATS);
	assert_int_equal(model_dma_translated(d.m, 0, ATS, frame, &v, 8, true),
		MODEL_DMA_OK);
	mini_close(&d, true);
}

static void silent_device_times_out(void **state)
{
	(void)state;
	ready_with_device_tlb();
	model_ats_behave(d.m, 0, ATS, MODEL_ATS_NEVER);
	mini_queue(&d, DESC_DEVTLB | (uint64_t)ATS << 32, 0);
	assert_false(mini_wait(&d));
	assert_true(mini_read32(&d, FSTS) & FSTS_ITE);
	assert_int_equal(bits(mini_read64(&d, IQERCD), 47, 32), ATS);
	/* Cleared, the queue goes on with what is new. */
	mini_write32(&d, FSTS, FSTS_ITE);
	assert_true(mini_wait(&d));
	mini_close(&d, true);
}

static void late_device_delays_the_wait(void **state)
{
	uint64_t start;

	(void)state;
	ready_with_device_tlb();
	model_ats_behave(d.m, 0, ATS, MODEL_ATS_LATE);
	mini_queue(&d, DESC_DEVTLB | (uint64_t)ATS << 32, 0);
	start = model_now(d.m);
	assert_true(mini_wait(&d));
	assert_true(model_now(d.m) - start >= 900000);
	mini_close(&d, true);
}

static void removed_device_times_out(void **state)
{
	(void)state;
	ready_with_device_tlb();
	model_device_remove(d.m, 0, ATS);
	assert_int_equal(
		model_pci_read(d.m, 0, 0, (uint8_t)ATS, 0, 4), 0xffffffff);
	mini_queue(&d, DESC_DEVTLB | (uint64_t)ATS << 32, 0);
	assert_false(mini_wait(&d));
	assert_true(mini_read32(&d, FSTS) & FSTS_ITE);
	mini_close(&d, true);
}

static void device_tlb_without_flush(void **state)
{
	uint64_t v = 0;

	(void)state;
	ready_with_device_tlb();
	assert_true(model_ats_request(d.m, 0, ATS, 0x10000, true));
	set_leaf(0x10000, 0);
	mini_flush_iotlb(&d, GRAN_DOMAIN, DID, 0, 0, false);
	assert_int_equal(
		model_ats_dma(d.m, 0, ATS, 0x10000, &v, 8, true), MODEL_DMA_OK);
	expect_at_checkpoint(MODEL_V_STALE);
}

static void device_tlb_flush_sizes(void **state)
{
	(void)state;
	ready_with_device_tlb();
	for (uint64_t iova = 0x10000; iova < 0x14000; iova += 0x1000) {
		set_leaf(iova, frame | 3);
		assert_true(model_ats_request(d.m, 0, ATS, iova, true));
	}
	for (uint64_t iova = 0x10000; iova < 0x14000; iova += 0x1000)
		set_leaf(iova, 0);
	mini_flush_iotlb(&d, GRAN_DOMAIN, DID, 0, 0, false);
	/* S with the lowest zero at bit 12: two pages. */
	mini_flush_device(&d, ATS, 0x10000, true);
	assert_int_equal(model_checkpoint(d.m), 2);
	model_violations_clear(d.m);
	/* Lowest zero at bit 13: four pages. */
	mini_flush_device(&d, ATS, 0x11000, true);
	assert_int_equal(model_checkpoint(d.m), 0);
	mini_close(&d, true);
}

static void device_tlb_flush_of_everything(void **state)
{
	(void)state;
	ready_with_device_tlb();
	assert_true(model_ats_request(d.m, 0, ATS, 0x10000, true));
	set_leaf(0x10000, 0);
	mini_flush_iotlb(&d, GRAN_DOMAIN, DID, 0, 0, false);
	mini_flush_device(&d, ATS, 0x7ffffffffffff000, true);
	assert_int_equal(model_checkpoint(d.m), 0);
	mini_close(&d, true);
}

static void device_tlb_before_iotlb(void **state)
{
	(void)state;
	ready_with_device_tlb();
	assert_true(model_ats_request(d.m, 0, ATS, 0x10000, true));
	set_leaf(0x10000, 0);
	mini_flush_device(&d, ATS, 0x10000, false);
	mini_flush_iotlb(&d, GRAN_DOMAIN, DID, 0, 0, false);
	expect_at_checkpoint(MODEL_V_ORDER);
}

#define T(f) cmocka_unit_test(f)

int main(void)
{
	const struct CMUnitTest tests[] = {
		T(device_tlb_flush_rules),
		T(translated_requests_need_permission),
		T(silent_device_times_out),
		T(late_device_delays_the_wait),
		T(removed_device_times_out),
		T(device_tlb_without_flush),
		T(device_tlb_flush_sizes),
		T(device_tlb_flush_of_everything),
		T(device_tlb_before_iotlb),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
