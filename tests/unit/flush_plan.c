/* SPDX-License-Identifier: MIT */
/*
 * The flush planner's truth table, a row per test case: what changed, on which
 * kind of unit, and the exact commands in order.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <stdio.h>
#include <string.h>
#include "iommu/vtd/flush.h"

/** One letter per command. */
static const char *spell(const struct vtd_plan *plan, char *out)
{
	static const char letter[] = {
		[VTD_OP_WRITE_BUFFER] = 'W',
		[VTD_OP_CONTEXT_GLOBAL] = 'C',
		[VTD_OP_CONTEXT_DEVICE] = 'c',
		[VTD_OP_IOTLB_GLOBAL] = 'I',
		[VTD_OP_IOTLB_DOMAIN] = 'd',
		[VTD_OP_IOTLB_PAGES] = 'p',
		[VTD_OP_DEVICE_TLB] = 't',
		[VTD_OP_INTERRUPT_GLOBAL] = 'E',
		[VTD_OP_INTERRUPT_INDEX] = 'e',
	};

	for (unsigned n = 0; n < plan->count; n++)
		out[n] = letter[plan->command[n].op];
	out[plan->count] = '\0';
	return out;
}

#define PLAIN                                           \
	{                                               \
		.page_selective = true, .max_mask = 18, \
		.max_interrupt_mask = 15                \
	}

static const struct vtd_traits plain = PLAIN;
static const struct vtd_traits caching = {.caching_mode = true,
	.page_selective = true,
	.max_mask = 18,
	.max_interrupt_mask = 15};
static const struct vtd_traits buffer = {.write_buffer = true,
	.page_selective = true,
	.max_mask = 18,
	.max_interrupt_mask = 15};
static const struct vtd_traits both = {.caching_mode = true,
	.write_buffer = true,
	.page_selective = true,
	.max_mask = 18,
	.max_interrupt_mask = 15};
static const struct vtd_traits whole = {.page_selective = false};
static const struct vtd_traits self = {.root_flushes = true,
	.interrupt_root_flushes = true,
	.page_selective = true,
	.max_mask = 18,
	.max_interrupt_mask = 15};

static void structures(void **state)
{
	static const struct {
		const struct vtd_traits *unit;
		const char *root_pointer, *root, *made, *removed, *irt, *irte,
			*irte_again;
	} row[] = {
		{&plain, "CI", "", "", "cd", "E", "", "e"},
		{&caching, "CI", "CI", "cd", "ccd", "E", "e", "e"},
		{&buffer, "CI", "W", "W", "cd", "E", "W", "e"},
		{&both, "CI", "CI", "cd", "ccd", "E", "e", "e"},
		{&self, "", "", "", "cd", "", "", "e"},
	};

	(void)state;
	for (unsigned n = 0; n < sizeof(row) / sizeof(*row); n++) {
		struct vtd_plan plan;
		char text[VTD_PLAN_MAX + 1];

		vtd_plan_root_pointer(row[n].unit, &plan);
		assert_string_equal(spell(&plan, text), row[n].root_pointer);
		vtd_plan_root_entry(row[n].unit, &plan);
		assert_string_equal(spell(&plan, text), row[n].root);
		vtd_plan_context_made(row[n].unit, 0x18, 7, &plan);
		assert_string_equal(spell(&plan, text), row[n].made);
		vtd_plan_context_removed(row[n].unit, 0x18, 7, &plan);
		assert_string_equal(spell(&plan, text), row[n].removed);
		assert_int_equal(plan.command[0].sid, 0x18);
		assert_int_equal(plan.command[0].did, 7);
		assert_int_equal(plan.command[plan.count - 1].did, 7);
		vtd_plan_interrupt_pointer(row[n].unit, &plan);
		assert_string_equal(spell(&plan, text), row[n].irt);
		vtd_plan_interrupt(row[n].unit, 5, 0, false, &plan);
		assert_string_equal(spell(&plan, text), row[n].irte);
		vtd_plan_interrupt(row[n].unit, 5, 0, true, &plan);
		assert_string_equal(spell(&plan, text), row[n].irte_again);
	}
}

/** An absent context entry is cached under domain id 0 (VT-d 6.1). */
static void caching_mode_forgets_id_zero(void **state)
{
	struct vtd_plan plan;

	(void)state;
	vtd_plan_context_made(&caching, 0x18, 7, &plan);
	assert_int_equal(plan.command[0].did, 0);
	assert_int_equal(plan.command[1].did, 7);
	vtd_plan_context_removed(&caching, 0x18, 7, &plan);
	assert_int_equal(plan.command[1].did, 0);
}

/** The short way to a plan agrees with the long one. */
static void check_block(const struct vtd_traits *unit,
	const struct iommu_batch *batch, const struct vtd_plan *plan)
{
	const struct vtd_command *c = &plan->command[0];
	uint64_t high = 0;
	bool taken = vtd_plan_block(
		unit, batch->range[0].first, batch->range[0].last, &high);

	assert_int_equal(
		taken, plan->count == 1 && c->op == VTD_OP_IOTLB_PAGES);
	if (taken)
		assert_int_equal(high,
			c->address | (c->leaf_only ? 1 << 6 : 0) | c->mask);
}

static void leaves(void **state)
{
	static const struct {
		const struct vtd_traits *unit;
		unsigned changes;
		const char *want;
		bool leaf_only;
	} row[] = {
		{&plain, IOMMU_MADE_PRESENT, "", false},
		{&caching, IOMMU_MADE_PRESENT, "p", false},
		{&buffer, IOMMU_MADE_PRESENT, "W", false},
		{&both, IOMMU_MADE_PRESENT, "p", false},
		{&plain, IOMMU_REMOVED, "p", true},
		{&plain, IOMMU_RIGHTS_CUT, "p", true},
		{&plain, IOMMU_RIGHTS_RAISED, "p", true},
		{&plain, IOMMU_TABLE_CHANGED, "p", false},
		{&plain, IOMMU_REMOVED | IOMMU_TABLE_CHANGED, "p", false},
		{&plain, IOMMU_REMOVED | IOMMU_MADE_PRESENT, "p", false},
		{&whole, IOMMU_REMOVED, "d", false},
		{&whole, IOMMU_MADE_PRESENT, "", false},
		{&buffer, IOMMU_REMOVED, "p", true},
	};

	(void)state;
	for (unsigned n = 0; n < sizeof(row) / sizeof(*row); n++) {
		char text[VTD_PLAN_MAX + 1];
		struct iommu_batch batch;
		struct vtd_plan plan;

		iommu_batch_init(&batch, NULL);
		iommu_batch_add(
			&batch, row[n].changes, iommu_iova(0x5000), 4096);
		vtd_plan_tables(row[n].unit, 9, &batch, &plan);
		if (row[n].changes == IOMMU_REMOVED)
			check_block(row[n].unit, &batch, &plan);
		assert_string_equal(spell(&plan, text), row[n].want);
		if (plan.count)
			assert_int_equal(
				plan.command[0].leaf_only, row[n].leaf_only);
	}
}

/** Every page of the ranges is covered by an aligned block, or by the domain.
 */
static void check_cover(
	const struct vtd_traits *unit, const struct iommu_batch *batch)
{
	struct vtd_plan plan;

	vtd_plan_tables(unit, 9, batch, &plan);
	assert_true(plan.count >= 1 && plan.count <= VTD_PLAN_PAGES);
	if (plan.command[0].op == VTD_OP_IOTLB_DOMAIN)
		return;
	for (unsigned n = 0; n < batch->count; n++)
		for (uint64_t at = batch->range[n].first;
			at < batch->range[n].last; at += 4096) {
			bool found = false;

			for (unsigned k = 0; k < plan.count; k++) {
				const struct vtd_command *c = &plan.command[k];
				uint64_t size = 4096ull << c->mask;

				assert_int_equal(c->op, VTD_OP_IOTLB_PAGES);
				assert_true(c->mask <= unit->max_mask);
				assert_int_equal(c->address & (size - 1), 0);
				assert_int_equal(c->did, 9);
				found |= at >= c->address &&
					at < c->address + size;
			}
			assert_true(found);
		}
}

/** A large page that lies wholly in a range is in one block, at every place: a
 *  unit may keep one of which only a part is flushed (6.5.2.3). Nor is much
 * more flushed than was asked for. */
static void large_pages_are_covered_at_once(void **state)
{
	struct vtd_traits unit = PLAIN;

	(void)state;
	for (unsigned n = 0; n < 4000; n++) {
		uint64_t first = (n * 37ull) % 1500, pages = 1 + n * 53 % 1400;
		uint64_t last = first + pages - 1, flushed = 0;
		struct iommu_batch batch;
		struct vtd_plan plan;

		unit.max_mask = (uint8_t)(n % 13);
		iommu_batch_init(&batch, NULL);
		iommu_batch_add(&batch, IOMMU_REMOVED, iommu_iova(first << 12),
			pages << 12);
		check_cover(&unit, &batch);
		vtd_plan_tables(&unit, 9, &batch, &plan);
		check_block(&unit, &batch, &plan);
		if (plan.command[0].op == VTD_OP_IOTLB_DOMAIN)
			continue;
		for (unsigned k = 0; k < plan.count; k++)
			flushed += 1ull << plan.command[k].mask;
		assert_true(flushed <= 4 * pages);
		for (uint64_t at = 0; at < 4096; at += 512) {
			bool whole = false;

			if (at < first || at + 511 > last)
				continue;
			for (unsigned k = 0; k < plan.count; k++) {
				const struct vtd_command *c = &plan.command[k];

				whole |= c->mask >= 9 &&
					c->address >> 12 <= at &&
					at < (c->address >> 12) +
							(1ull << c->mask);
			}
			assert_true(whole);
		}
	}
}

static void ranges_are_covered(void **state)
{
	struct vtd_traits unit = PLAIN;
	uint64_t seed = 88172645463325252ull;

	(void)state;
	for (unsigned n = 0; n < 3000; n++) {
		struct iommu_batch batch;
		unsigned ranges;

		seed ^= seed << 13;
		seed ^= seed >> 7;
		seed ^= seed << 17;
		unit.max_mask = seed % 5 == 0 ? 0 : seed % 19;
		ranges = 1 + seed / 64 % 12;
		iommu_batch_init(&batch, NULL);
		for (unsigned k = 0; k < ranges; k++) {
			seed = seed * 6364136223846793005ull + 1;
			iommu_batch_add(&batch, IOMMU_REMOVED,
				iommu_iova((seed >> 20 & 0xfffff) << 12),
				((seed >> 44) % 700 + 1) * 4096);
		}
		assert_true(batch.count <= IOMMU_BATCH_RANGES);
		check_cover(&unit, &batch);
	}
}

static void everything_becomes_the_domain(void **state)
{
	struct iommu_batch batch;
	struct vtd_plan plan;
	char text[VTD_PLAN_MAX + 1];

	(void)state;
	iommu_batch_init(&batch, NULL);
	iommu_batch_add(&batch, IOMMU_REMOVED, iommu_iova(0), ~0ull);
	vtd_plan_tables(&plain, 9, &batch, &plan);
	assert_string_equal(spell(&plan, text), "d");
	assert_int_equal(plan.command[0].did, 9);
	/* And what comes behind is part of it. */
	iommu_batch_init(&batch, NULL);
	iommu_batch_add(&batch, IOMMU_REMOVED, iommu_iova(0), 1ull << 40);
	iommu_batch_add(&batch, IOMMU_REMOVED, iommu_iova(1ull << 41), 4096);
	vtd_plan_tables(&plain, 9, &batch, &plan);
	assert_string_equal(spell(&plan, text), "d");
}

static bool is_covered(const struct vtd_plan *plan, uint64_t at)
{
	for (unsigned n = 0; n < plan->count; n++) {
		const struct vtd_command *c = &plan->command[n];

		if (c->op == VTD_OP_IOTLB_DOMAIN)
			return true;
		if (at >= c->address && at - c->address < 4096ull << c->mask)
			return true;
	}
	return false;
}

/** Far more ranges than a batch tells apart: none of them is lost. */
static void full_batch_forgets_nothing(void **state)
{
	const uint64_t distance = 0x40000000;

	(void)state;
	for (unsigned count = 1; count < 3 * IOMMU_BATCH_RANGES; count++) {
		struct iommu_batch batch;
		struct vtd_plan plan;

		iommu_batch_init(&batch, NULL);
		for (unsigned n = 0; n < count; n++)
			iommu_batch_add(&batch, IOMMU_REMOVED,
				iommu_iova(n * distance), 4096);
		assert_true(batch.count <= IOMMU_BATCH_RANGES);
		assert_null(batch.pages);
		vtd_plan_tables(&plain, 9, &batch, &plan);
		for (unsigned n = 0; n < count; n++)
			assert_true(is_covered(&plan, n * distance));
	}
}

/** The ends of a full batch are those of all its ranges, whatever their order,
 *  and its changes are theirs. */
static void full_batch_has_the_ends_of_all(void **state)
{
	(void)state;
	for (unsigned n = 0; n <= IOMMU_BATCH_RANGES; n++)
		for (unsigned k = 0; k <= IOMMU_BATCH_RANGES; k++) {
			struct iommu_batch batch;

			if (k == n)
				continue;
			iommu_batch_init(&batch, NULL);
			for (unsigned i = 0; i <= IOMMU_BATCH_RANGES; i++) {
				uint64_t at = (i + 2) * 0x4000;

				at = i == n ? 0x2000 : i == k ? 0x90000 : at;
				iommu_batch_add(&batch,
					i == k ? IOMMU_TABLE_CHANGED
					       : IOMMU_REMOVED,
					iommu_iova(at), 0x1000);
			}
			assert_int_equal(batch.count, 1);
			assert_int_equal(batch.range[0].first, 0x2000);
			assert_int_equal(batch.range[0].last, 0x90fff);
			assert_int_equal(batch.range_changes[0],
				IOMMU_TABLE_CHANGED | IOMMU_REMOVED);
			/* All that comes is joined. */
			iommu_batch_add(&batch, IOMMU_RIGHTS_CUT,
				iommu_iova(0x1000000), 0x1000);
			assert_int_equal(batch.count, 1);
			assert_int_equal(batch.range[0].first, 0x2000);
			assert_int_equal(batch.range[0].last, 0x1000fff);
		}
}

/** Ranges that touch are one, in either direction. */
static void neighbours_are_one_range(void **state)
{
	static const struct {
		uint64_t first, size;
		unsigned count;
	} row[] = {
		{0x10000, 0x2000, 1},
		{0x12000, 0x1000, 1},
		{0xf000, 0x1000, 1},
		{0x11000, 0x8000, 1},
		{0xd000, 0x2fff, 1},
		{0xd000, 0x2000, 2},
		{0x13000, 0x1000, 2},
		{0, ~0ull, 1},
	};

	(void)state;
	for (unsigned n = 0; n < sizeof(row) / sizeof(*row); n++) {
		struct iommu_batch batch;

		iommu_batch_init(&batch, NULL);
		iommu_batch_add(
			&batch, IOMMU_REMOVED, iommu_iova(0x10000), 0x2000);
		iommu_batch_add(&batch, IOMMU_TABLE_CHANGED,
			iommu_iova(row[n].first), row[n].size);
		assert_int_equal(batch.count, row[n].count);
		assert_int_equal(batch.range_changes[0] & IOMMU_TABLE_CHANGED,
			row[n].count == 1 ? IOMMU_TABLE_CHANGED : 0);
	}
}

/** Whole pages, whichever of their bytes are named. */
static void bytes_become_pages(void **state)
{
	static const struct {
		uint64_t at, size, first, last;
	} row[] = {
		{0x10001, 1, 0x10000, 0x10fff},
		{0x10fff, 1, 0x10000, 0x10fff},
		{0x10fff, 2, 0x10000, 0x11fff},
		{0x10000, 0x1001, 0x10000, 0x11fff},
		{0x10000, 0x1000, 0x10000, 0x10fff},
		{0x10800, 0x1000, 0x10000, 0x11fff},
		{0, 1, 0, 0xfff},
	};

	(void)state;
	for (unsigned n = 0; n < sizeof(row) / sizeof(*row); n++) {
		struct iommu_batch batch;

		iommu_batch_init(&batch, NULL);
		iommu_batch_add(&batch, IOMMU_REMOVED, iommu_iova(row[n].at),
			row[n].size);
		assert_int_equal(batch.count, 1);
		assert_int_equal(batch.range[0].first, row[n].first);
		assert_int_equal(batch.range[0].last, row[n].last);
	}
}

static void ends_of_the_address_space(void **state)
{
	const uint64_t top = ~0ull - 0x1fff;
	struct iommu_batch batch;
	struct vtd_plan plan;

	(void)state;
	iommu_batch_init(&batch, NULL);
	iommu_batch_add(&batch, IOMMU_REMOVED, iommu_iova(0), 4096);
	vtd_plan_tables(&plain, 9, &batch, &plan);
	assert_int_equal(plan.count, 1);
	assert_true(is_covered(&plan, 0));
	iommu_batch_init(&batch, NULL);
	iommu_batch_add(&batch, IOMMU_REMOVED, iommu_iova(top), 0x4000);
	assert_true(batch.range[0].first == top);
	assert_true(batch.range[0].last == ~0ull);
}

/** No block of this unit is as large as a large page (VT-d 6.5.2.3). */
static void large_pages_are_not_flushed_in_pieces(void **state)
{
	struct vtd_traits unit = PLAIN;
	struct iommu_batch batch;
	struct vtd_plan plan;
	char text[VTD_PLAN_MAX + 1];

	(void)state;
	iommu_batch_init(&batch, NULL);
	iommu_batch_add(&batch, IOMMU_REMOVED, iommu_iova(0x200000), 0x200000);
	unit.max_mask = 8;
	vtd_plan_tables(&unit, 9, &batch, &plan);
	assert_string_equal(spell(&plan, text), "d");
	unit.max_mask = 9;
	vtd_plan_tables(&unit, 9, &batch, &plan);
	assert_string_equal(spell(&plan, text), "p");
	assert_int_equal(plan.command[0].mask, 9);
}

/** "address/mask" of each command, pages in hexadecimal; "domain". */
static const char *blocks(const struct vtd_plan *plan, char *out, size_t size)
{
	size_t length = 0;

	*out = '\0';
	for (unsigned n = 0; n < plan->count; n++) {
		const struct vtd_command *c = &plan->command[n];

		length += (size_t)snprintf(out + length, size - length,
			c->op == VTD_OP_IOTLB_DOMAIN ? "%sdomain" : "%s%llx/%u",
			n ? " " : "", (unsigned long long)c->address >> 12,
			c->mask);
	}
	return out;
}

/** One block that is at most four times too large, else as few as there are,
 *  else the domain. */
static void ranges_become_these_blocks(void **state)
{
	static const struct {
		uint8_t max_mask;
		uint64_t first, last;
		const char *want;
	} row[] = {
		{18, 0, 0, "0/0"},
		{18, 0, 1, "0/1"},
		{18, 1, 2, "0/2"},
		{18, 3, 4, "0/3"},
		{18, 7, 8, "7/0 8/0"},
		{18, 6, 9, "0/4"},
		{18, 14, 17, "e/1 10/1"},
		{18, 14, 18, "e/1 10/1 12/0"},
		{1, 0, 5, "0/1 2/1 4/1"},
		{1, 0, 11, "0/1 2/1 4/1 6/1 8/1 a/1"},
		{1, 0, 12, "domain"},
		{0, 4, 7, "4/0 5/0 6/0 7/0"},
		{3, 8, 15, "8/3"},
		{2, 8, 15, "8/2 c/2"},
		{18, 0x40000, 0x7ffff, "40000/18"},
		{17, 0x40000, 0x7ffff, "domain"},
		{17, 0x40001, 0x80000, "domain"},
		{9, 0x200, 0x5ff, "200/9 400/9"},
		{9, 0x400, 0x7ff, "400/9 600/9"},
		{2, 0x201, 0x208, "201/0 202/1 204/2 208/0"},
	};

	(void)state;
	for (unsigned n = 0; n < sizeof(row) / sizeof(*row); n++) {
		struct vtd_traits unit = PLAIN;
		struct iommu_batch batch;
		struct vtd_plan plan;
		char text[200];

		unit.max_mask = row[n].max_mask;
		iommu_batch_init(&batch, NULL);
		iommu_batch_add(&batch, IOMMU_REMOVED,
			iommu_iova(row[n].first << 12),
			(row[n].last - row[n].first + 1) << 12);
		vtd_plan_tables(&unit, 9, &batch, &plan);
		assert_string_equal(
			blocks(&plan, text, sizeof(text)), row[n].want);
	}
}

static void device_tlb_follows_what_was_removed(void **state)
{
	struct iommu_batch batch;
	struct vtd_plan plan = {0};

	(void)state;
	iommu_batch_init(&batch, NULL);
	iommu_batch_add(&batch, IOMMU_MADE_PRESENT, iommu_iova(0x5000), 4096);
	vtd_plan_device_tlb(0x10, &batch, &plan);
	assert_int_equal(plan.count, 0);
	iommu_batch_add(&batch, IOMMU_REMOVED, iommu_iova(0x6000), 0x2000);
	vtd_plan_device_tlb(0x10, &batch, &plan);
	assert_int_equal(plan.count, 1);
	assert_int_equal(plan.command[0].address, 0x4000);
	assert_int_equal(plan.command[0].mask, 2);
	vtd_plan_device_tlb(0x10, NULL, &plan);
	assert_int_equal(plan.command[1].mask, VTD_MASK_ALL);
}

/** One block for all ranges; beyond what its descriptor can say, everything. */
static void device_tlb_is_asked_for_one_block(void **state)
{
	static const struct {
		uint64_t first[2], last[2];
		const char *want;
	} row[] = {
		{{0, 0}, {0, 0}, "0/0"},
		{{5, 5}, {5, 5}, "5/0"},
		{{5, 9}, {5, 9}, "0/4"},
		{{9, 5}, {9, 6}, "0/4"},
		{{0x10, 0x12}, {0x10, 0x13}, "10/2"},
		{{0, 0x7fffffffff}, {0, 0x7fffffffff}, "0/39"},
		{{0, 0x8000000000}, {0, 0x8000000000}, "0/52"},
	};

	(void)state;
	for (unsigned n = 0; n < sizeof(row) / sizeof(*row); n++) {
		struct vtd_plan plan = {0};
		struct iommu_batch batch;
		char text[200];

		iommu_batch_init(&batch, NULL);
		for (unsigned k = 0; k < 2; k++)
			iommu_batch_add(&batch, IOMMU_REMOVED,
				iommu_iova(row[n].first[k] << 12),
				(row[n].last[k] - row[n].first[k] + 1) << 12);
		vtd_plan_device_tlb(0x10, &batch, &plan);
		assert_int_equal(plan.command[0].sid, 0x10);
		assert_string_equal(
			blocks(&plan, text, sizeof(text)), row[n].want);
	}
}

static void many_interrupts_become_all(void **state)
{
	struct vtd_traits unit = PLAIN;
	struct vtd_plan plan;
	char text[VTD_PLAN_MAX + 1];

	(void)state;
	unit.max_interrupt_mask = 2;
	vtd_plan_interrupt(&unit, 8, 2, true, &plan);
	assert_string_equal(spell(&plan, text), "e");
	assert_int_equal(plan.command[0].mask, 2);
	vtd_plan_interrupt(&unit, 8, 3, true, &plan);
	assert_string_equal(spell(&plan, text), "E");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(structures),
		cmocka_unit_test(caching_mode_forgets_id_zero),
		cmocka_unit_test(leaves),
		cmocka_unit_test(ranges_are_covered),
		cmocka_unit_test(large_pages_are_covered_at_once),
		cmocka_unit_test(everything_becomes_the_domain),
		cmocka_unit_test(full_batch_forgets_nothing),
		cmocka_unit_test(full_batch_has_the_ends_of_all),
		cmocka_unit_test(neighbours_are_one_range),
		cmocka_unit_test(bytes_become_pages),
		cmocka_unit_test(ends_of_the_address_space),
		cmocka_unit_test(large_pages_are_not_flushed_in_pieces),
		cmocka_unit_test(ranges_become_these_blocks),
		cmocka_unit_test(device_tlb_follows_what_was_removed),
		cmocka_unit_test(device_tlb_is_asked_for_one_block),
		cmocka_unit_test(many_interrupts_become_all),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
