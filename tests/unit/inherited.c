/* SPDX-License-Identifier: MIT */
/*
 * What an earlier system left, when something goes wrong while it is taken over
 * or ended: no memory, a silent device, a unit that stops.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <stdio.h>
#include <string.h>
#include "support/refuse.h"
#include "support/systems.h"

#define AT SYSTEMS_AT

enum {
	RTADDR = 0x20,
	IRTA = 0xb8,
};

/** One unit of a kind, or two: RIG_OTHER is behind the second. */
static struct model *machine(const char *kind, enum model_mode mode)
{
	const struct model_personality *plain = model_personality_find("plain");

	return strcmp(kind, "two")
		? model_create_simple(kind, mode, 1)
		: model_create_pair(plain, plain, mode, 0, 1, false);
}

/** The first system gives one device everything, others a page, and hands
 *  over. */
static void leave(struct systems *p, const char *kind, enum model_mode mode)
{
	systems_open(p, machine(kind, mode));
	p->first.options.ats = IOMMU_ON;
	systems_live(p);
	OK(iommu_attach(p->first.iommu, rig_id(RIG_DEV),
		iommu_domain_identity(p->first.iommu)));
	OK(iommu_attach(p->first.iommu, rig_id(RIG_ATS), p->domain));
	assert_true(rig_can_write(&p->first, RIG_DEV, p->page));
	assert_true(rig_can_write(&p->first, RIG_OTHER, AT));
	systems_hand_over(p);
	p->next.options.ats = IOMMU_ON;
	p->next.options.timeout_ns = 1000000;
	p->next.options.device_timeout_ns = 100000000;
}

/** The identity domain of the first has the id of the second's. */
static void ids_of_both_are_kept_apart(void **state)
{
	static const char *const kinds[] = {
		"plain", "caching", "non-coherent", "write-buffer"};

	(void)state;
	for (unsigned k = 0; k < 8; k++) {
		struct systems p;

		leave(&p, kinds[k / 2], k & 1 ? MODEL_LAZY : MODEL_RANDOM);
		rig_start_ok(&p.next);
		assert_true(rig_can_write(&p.next, RIG_DEV, p.page));
		assert_true(rig_can_write(&p.next, RIG_OTHER, AT));
		assert_false(rig_can_write(&p.next, RIG_BEHIND_PORT, AT));
		/* The second's identity is not the first's. */
		OK(iommu_attach(p.next.iommu, rig_id(RIG_BEHIND_PORT),
			iommu_domain_identity(p.next.iommu)));
		assert_true(rig_can_write(&p.next, RIG_BEHIND_PORT, p.page));
		OK(iommu_inherited_end(p.next.iommu));
		assert_int_equal(iommu_inherited_count(p.next.iommu), 0);
		assert_false(rig_can_write(&p.next, RIG_DEV, p.page));
		assert_false(rig_can_write(&p.next, RIG_OTHER, AT));
		assert_true(rig_can_write(&p.next, RIG_BEHIND_PORT, p.page));
		OK(iommu_detach(p.next.iommu, rig_id(RIG_BEHIND_PORT)));
		OK(iommu_destroy(p.next.iommu));
		assert_int_equal(model_violation_count(p.m), 0);
		model_destroy(p.m);
	}
}

static void all_is_kept(struct systems *p)
{
	assert_true(rig_can_write(&p->next, RIG_DEV, p->page));
	assert_true(rig_can_write(&p->next, RIG_OTHER, AT));
	assert_false(rig_can_write(&p->next, RIG_BEHIND_PORT, AT));
}

/** Whatever page is missing: not started, and what was left goes on; with
 *  memory again, it is taken over after all. */
static void nth_page_is_missing(void **state)
{
	static const char *const kinds[] = {"plain", "caching", "no-pt", "two"};

	(void)state;
	for (unsigned k = 0, n = 1; k < 4; n++) {
		enum iommu_status status;
		struct systems p;
		bool hit;

		leave(&p, kinds[k], MODEL_LAZY);
		model_fail_alloc(p.m, n, false);
		status = rig_start(&p.next);
		hit = model_failures(p.m);
		model_fail_alloc(p.m, 0, false);
		if (status != IOMMU_OK) {
			assert_int_equal(status, IOMMU_NO_MEMORY);
			all_is_kept(&p);
		}
		if (status != IOMMU_OK && p.next.iommu) {
			status = iommu_start(p.next.iommu);
			if (status == IOMMU_WRONG_STATE)
				status = IOMMU_NO_MEMORY; /* not discovered */
			else
				assert_int_equal(status, IOMMU_OK);
		}
		if (status == IOMMU_OK) {
			all_is_kept(&p);
			model_fail_alloc(p.m, 1, true);
			status = iommu_inherited_end(p.next.iommu);
			model_fail_alloc(p.m, 0, false);
			assert_true(status == IOMMU_OK ||
				status == IOMMU_NO_MEMORY);
			assert_true(status != IOMMU_OK ||
				!iommu_inherited_count(p.next.iommu));
			OK(iommu_inherited_end(p.next.iommu));
			assert_false(rig_can_write(&p.next, RIG_DEV, p.page));
		}
		assert_int_equal(model_violation_count(p.m), 0);
		if (p.next.iommu)
			OK(iommu_destroy(p.next.iommu));
		model_destroy(p.m);
		if (!hit) {
			n = 0;
			k++;
		}
		assert_true(n < 60);
	}
}

/** A bus without a table is passed over, and no device behind it. */
static void first_device_of_the_next_bus_is_found(void **state)
{
	struct rig first, next;
	struct model *m = model_create_simple("plain", MODEL_LAZY, 1);
	uint64_t page;

	(void)state;
	rig_open_machine(&first, m);
	rig_start_ok(&first);
	page = rig_frame(&first, 9);
	OK(iommu_attach(first.iommu, rig_id(RIG_BEHIND_PORT),
		iommu_domain_identity(first.iommu)));
	OK(iommu_hand_over(first.iommu, IOMMU_HAND_OVER_KEPT));
	rig_open_machine(&next, m);
	next.options.take_over = IOMMU_TAKE_OVER_KEPT;
	rig_start_ok(&next);
	assert_int_equal(iommu_inherited_count(next.iommu), 1);
	assert_true(rig_can_write(&next, RIG_BEHIND_PORT, page));
	OK(iommu_inherited_end(next.iommu));
	assert_false(rig_can_write(&next, RIG_BEHIND_PORT, page));
	OK(iommu_destroy(next.iommu));
	assert_int_equal(model_violation_count(m), 0);
	model_destroy(m);
}

/** A device that keeps its translations to itself stays blocked. */
static void silent_device_is_kept_back(void **state)
{
	static const char *const kinds[] = {"plain", "haswell-ep"};

	(void)state;
	for (unsigned k = 0; k < 2; k++) {
		struct iommu_device_info info;
		enum iommu_status status;
		struct systems p;

		leave(&p, kinds[k], MODEL_LAZY);
		rig_start_ok(&p.next);
		assert_true(model_ats_request(p.m, 0, RIG_ATS, AT, true));
		model_ats_behave(p.m, 0, RIG_ATS, MODEL_ATS_NEVER);
		status = iommu_inherited_end(p.next.iommu);
		assert_true(status == IOMMU_OK || status == IOMMU_UNCONFIRMED ||
			status == IOMMU_DEVICE_BROKEN);
		assert_false(rig_can_write(&p.next, RIG_OTHER, AT));
		OK(iommu_device_info(p.next.iommu, rig_id(RIG_ATS), &info));
		assert_int_equal(info.state, IOMMU_DEVICE_QUARANTINED);
		rig_close_anyhow(&p.next);
	}
}

/** What is not there has no TLB: nobody waits for its answer. Nor does what
 *  comes into its place inherit anything. */
static void removed_device_is_not_asked(void **state)
{
	static const char *const kinds[] = {"plain", "two"};

	(void)state;
	for (unsigned k = 0; k < 4; k++) {
		struct iommu_stats stats;
		struct systems p;

		leave(&p, kinds[k / 2], MODEL_LAZY);
		rig_start_ok(&p.next);
		model_device_remove(p.m, 0, RIG_ATS);
		/* Nothing is inherited by this one, on any unit. */
		OK(iommu_device_removed(p.next.iommu, rig_id(RIG_BEHIND_PORT)));
		assert_int_equal(iommu_inherited_count(p.next.iommu), 3);
		if (k & 1)
			OK(iommu_device_removed(p.next.iommu, rig_id(RIG_ATS)));
		OK(iommu_inherited_end(p.next.iommu));
		assert_int_equal(iommu_inherited_count(p.next.iommu), 0);
		OK(iommu_unit_stats(p.next.iommu, 0, &stats));
		assert_int_equal(stats.device_timeouts, 0);
		assert_int_equal(stats.device_tlb_flushes, 0);
		OK(iommu_destroy(p.next.iommu));
		assert_int_equal(model_violation_count(p.m), 0);
		model_destroy(p.m);
	}
}

/** Also where another unit than the first translated for it. */
static void removed_device_leaves_nothing_on_any_unit(void **state)
{
	struct systems p;

	(void)state;
	leave(&p, "two", MODEL_LAZY);
	rig_start_ok(&p.next);
	model_device_remove(p.m, 0, RIG_OTHER);
	assert_int_equal(iommu_inherited_count(p.next.iommu), 3);
	OK(iommu_device_removed(p.next.iommu, rig_id(RIG_OTHER)));
	assert_int_equal(iommu_inherited_count(p.next.iommu), 2);
	rig_close_anyhow(&p.next);
}

/** Somebody takes a device whose neighbour has gone: an id of the bus that no
 *  function has any more may be the device's own alias. */
static void ids_without_a_function_end_with_their_bus(void **state)
{
	struct systems p;

	(void)state;
	leave(&p, "plain", MODEL_LAZY);
	rig_start_ok(&p.next);
	model_device_remove(p.m, 0, RIG_OTHER);
	OK(iommu_attach(p.next.iommu, rig_id(RIG_BEHIND_PORT),
		iommu_domain_identity(p.next.iommu)));
	assert_int_equal(iommu_inherited_count(p.next.iommu), 3);
	OK(iommu_attach(p.next.iommu, rig_id(MODEL_BDF(0, 1, 0)),
		iommu_domain_identity(p.next.iommu)));
	assert_int_equal(iommu_inherited_count(p.next.iommu), 2);
	assert_true(rig_can_write(&p.next, RIG_DEV, p.page));
	rig_close_anyhow(&p.next);
}

/** Nothing is asked of a device's TLB while translation is off (VT-d 6.5.2.5):
 *  it is switched off with its entry. */
static void old_tlb_ends_while_translation_is_off(void **state)
{
	struct iommu_stats stats;
	struct systems p;

	(void)state;
	leave(&p, "plain", MODEL_LAZY);
	rig_start_ok(&p.next);
	assert_true(model_ats_request(p.m, 0, RIG_ATS, AT, true));
	OK(iommu_power(p.next.iommu, false));
	OK(iommu_detach(p.next.iommu, rig_id(RIG_ATS)));
	OK(iommu_unit_stats(p.next.iommu, 0, &stats));
	assert_int_equal(stats.device_tlb_flushes, 0);
	assert_int_equal(
		model_pci_read(p.m, 0, 0, (uint8_t)RIG_ATS, 0x106, 2), 0);
	assert_int_equal(model_violation_count(p.m), 0);
	rig_close_anyhow(&p.next);
}

/** Ids 0 and 1 are this library's: an earlier owner's domain that has one of
 *  them gets another. If there is none, the unit cannot be taken over. */
static void without_a_free_id_nothing_is_taken_over(void **state)
{
	struct iommu_unit_info info;
	struct systems p;
	uint64_t root;

	(void)state;
	leave(&p, "16-domains", MODEL_LAZY);
	root = model_read64(p.m, model_unit_base(p.m, 0) + RTADDR);
	/* Every function of bus 0 has an id of its own. */
	for (unsigned n = 0; n < 16; n++) {
		uint64_t *entry = model_ptr(p.m, root & ~0xfffull);

		entry = model_ptr(p.m, entry[0] & ~0xfffull);
		entry[2 * (0x60 + n)] = p.page | 1;
		entry[2 * (0x60 + n) + 1] =
			(entry[2 * RIG_OTHER + 1] & 7) | (uint64_t)n << 8;
	}
	assert_int_equal(rig_start(&p.next), IOMMU_NO_DOMAIN_ID);
	OK(iommu_unit_info(p.next.iommu, 0, &info));
	assert_int_equal(info.state, IOMMU_UNIT_FAILED);
	assert_int_equal(iommu_attach(p.next.iommu, rig_id(RIG_DEV),
				 iommu_domain_identity(p.next.iommu)),
		IOMMU_UNIT_LOST);
	rig_close_anyhow(&p.next);
}

/** Interrupt entries that do not lie in memory: blocked, from the first one
 *  on. */
static void interrupt_entries_outside_of_memory_are_left(void **state)
{
	struct iommu_irq irq;
	struct systems p;

	(void)state;
	leave(&p, "plain", MODEL_LAZY);
	model_write64(p.m, model_unit_base(p.m, 0) + IRTA, 0x3fff00000000 | 7);
	rig_start_ok(&p.next);
	all_is_kept(&p);
	OK(iommu_irq_alloc(p.next.iommu, rig_id(RIG_DEV), 1, &irq));
	assert_int_equal(irq.first, 0);
	rig_close_anyhow(&p.next);
}

/** One of two units stopped: what is behind the other is handed over. */
static void lost_unit_is_left_out_of_the_next_hand_over(void **state)
{
	struct systems p;

	(void)state;
	leave(&p, "two", MODEL_LAZY);
	rig_start_ok(&p.next);
	model_unit_hang(p.m, 1, 0);
	assert_int_equal(
		iommu_detach(p.next.iommu, rig_id(RIG_OTHER)), IOMMU_UNIT_LOST);
	assert_int_equal(iommu_inherited_end(p.next.iommu), IOMMU_UNIT_LOST);
	OK(iommu_hand_over(p.next.iommu, IOMMU_HAND_OVER_KEPT));
	assert_false(rig_can_write(&p.next, RIG_DEV, p.page));
	rig_close_anyhow(&p.next);
}

/** One entry's end was not confirmed: that it is over cannot be said any more,
 *  whatever is confirmed later. */
static void one_unconfirmed_entry_haunts_the_unit(void **state)
{
	struct iommu_device_info info;
	struct systems p;

	(void)state;
	leave(&p, "plain", MODEL_BENIGN);
	refuse_prepare(&p.next);
	rig_start_ok(&p.next);
	refuse(true);
	assert_int_equal(
		iommu_detach(p.next.iommu, rig_id(RIG_DEV)), IOMMU_UNCONFIRMED);
	refuse(false);
	OK(iommu_device_info(p.next.iommu, rig_id(RIG_DEV), &info));
	assert_int_equal(info.state, IOMMU_DEVICE_QUARANTINED);
	assert_int_equal(iommu_inherited_end(p.next.iommu), IOMMU_UNCONFIRMED);
	assert_int_equal(iommu_inherited_count(p.next.iommu), 0);
	assert_int_equal(iommu_inherited_end(p.next.iommu), IOMMU_UNCONFIRMED);
	rig_close_anyhow(&p.next);
}

/** Who else is concerned cannot be found out without memory: nothing has
 *  changed, and the next try works. */
static void nth_page_of_an_attach_is_missing(void **state)
{
	(void)state;
	for (unsigned n = 2;; n++) {
		enum iommu_status status;
		struct systems p;
		bool hit;

		leave(&p, "plain", MODEL_LAZY);
		rig_start_ok(&p.next);
		model_fail_alloc(p.m, n / 2, false);
		status = n & 1
			? iommu_attach(p.next.iommu, rig_id(RIG_BEHIND_PORT),
				  iommu_domain_identity(p.next.iommu))
			: iommu_detach(p.next.iommu, rig_id(RIG_DEV));
		hit = model_failures(p.m);
		model_fail_alloc(p.m, 0, false);
		assert_true(status == IOMMU_OK || status == IOMMU_NO_MEMORY ||
			status == IOMMU_NOT_ATTACHED);
		assert_true(rig_can_write(&p.next, RIG_OTHER, AT));
		if (status == IOMMU_NO_MEMORY && n & 1)
			OK(iommu_attach(p.next.iommu, rig_id(RIG_BEHIND_PORT),
				iommu_domain_identity(p.next.iommu)));
		else if (status != IOMMU_OK && !(n & 1))
			OK(iommu_detach(p.next.iommu, rig_id(RIG_DEV)));
		rig_close_anyhow(&p.next);
		if (!hit && n & 1)
			break;
		assert_true(n < 40);
	}
}

/** A device is gone, and the unit does not say that it forgot it. */
static void removal_that_is_not_confirmed_is_told(void **state)
{
	struct systems p;

	(void)state;
	leave(&p, "two", MODEL_LAZY);
	rig_start_ok(&p.next);
	model_unit_hang(p.m, 0, 0);
	assert_int_equal(iommu_device_removed(p.next.iommu, rig_id(RIG_DEV)),
		IOMMU_UNIT_LOST);
	/* Behind the other one. */
	OK(iommu_device_removed(p.next.iommu, rig_id(RIG_OTHER)));
	rig_close_anyhow(&p.next);
}

static void unit_stops_at_any_access(void **state)
{
	(void)state;
	for (unsigned n = 1; n < 60; n++) {
		enum iommu_status status;
		struct systems p;

		leave(&p, "plain", MODEL_LAZY);
		rig_start_ok(&p.next);
		assert_true(rig_can_write(&p.next, RIG_DEV, p.page));
		if (n & 1)
			model_unit_hang(p.m, 0, n / 2);
		else
			model_unit_gone(p.m, 0, n / 2);
		status = iommu_inherited_end(p.next.iommu);
		assert_true(status == IOMMU_OK || status == IOMMU_UNIT_LOST ||
			status == IOMMU_UNCONFIRMED ||
			status == IOMMU_WRONG_STATE);
		if (status == IOMMU_OK && !(n & 1))
			assert_int_equal(
				iommu_inherited_count(p.next.iommu), 0);
		assert_int_equal(p.next.host.locks_held, 0);
		rig_close_anyhow(&p.next);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(ids_of_both_are_kept_apart),
		cmocka_unit_test(nth_page_is_missing),
		cmocka_unit_test(first_device_of_the_next_bus_is_found),
		cmocka_unit_test(silent_device_is_kept_back),
		cmocka_unit_test(removed_device_is_not_asked),
		cmocka_unit_test(removed_device_leaves_nothing_on_any_unit),
		cmocka_unit_test(ids_without_a_function_end_with_their_bus),
		cmocka_unit_test(old_tlb_ends_while_translation_is_off),
		cmocka_unit_test(without_a_free_id_nothing_is_taken_over),
		cmocka_unit_test(interrupt_entries_outside_of_memory_are_left),
		cmocka_unit_test(lost_unit_is_left_out_of_the_next_hand_over),
		cmocka_unit_test(unit_stops_at_any_access),
		cmocka_unit_test(one_unconfirmed_entry_haunts_the_unit),
		cmocka_unit_test(nth_page_of_an_attach_is_missing),
		cmocka_unit_test(removal_that_is_not_confirmed_is_told),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
