/* SPDX-License-Identifier: MIT */
/*
 * An earlier system's tables with many domains, many interrupts and odd
 * entries, made by hand: what of them is gone on with, which ids are kept
 * apart, and that all of it comes back when the heritage ends.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <string.h>
#include "iommu/backend.h"
#include "support/systems.h"

#define AT SYSTEMS_AT

enum {
	GCMD = 0x18,
	RTADDR = 0x20,
	FSTS = 0x34,
	IRTA = 0xb8,
	/** Requester ids of bus 0 that no function has. */
	NOBODY = 0x60,
};
#define IRE (1u << 25)

struct play {
	struct systems s;
	/** The context table of bus 0, the interrupt entries. */
	uint64_t *context, *irte;
	size_t pages;
};

static void (*plain_write)(void *, void *, uint32_t, unsigned, uint64_t);
/** Commands that left interrupt remapping off. */
static unsigned unmapped;

static void write_and_look(
	void *ctx, void *regs, uint32_t offset, unsigned width, uint64_t value)
{
	plain_write(ctx, regs, offset, width, value);
	unmapped += offset == GCMD && !(value & IRE);
}

/** RIG_OTHER reaches AT; the first system hands over, with so many interrupt
 *  entries. */
static void leave(
	struct play *p, const struct model_personality *kind, unsigned entries)
{
	uint64_t root;

	systems_open(&p->s, model_create_usual(kind, MODEL_LAZY, 0, 1, false));
	p->s.first.options.interrupt_entries = entries;
	systems_live(&p->s);
	systems_hand_over(&p->s);
	root = model_read64(p->s.m, model_unit_base(p->s.m, 0) + RTADDR);
	p->context = model_ptr(p->s.m, root & ~0xfffull);
	p->context = model_ptr(p->s.m, p->context[0] & ~0xfffull);
	root = model_read64(p->s.m, model_unit_base(p->s.m, 0) + IRTA);
	p->irte = model_ptr(p->s.m, root & ~0xfffull);
	plain_write = p->s.next.hooks.reg_write;
	p->s.next.hooks.reg_write = write_and_look;
	p->pages = model_pages_in_use(p->s.m, MODEL_OWNER_DRIVER);
}

/** Ends the next system; nothing of it is left. */
static void end(struct play *p)
{
	OK(iommu_destroy(p->s.next.iommu));
	assert_int_equal(
		model_pages_in_use(p->s.m, MODEL_OWNER_DRIVER), p->pages);
	assert_int_equal(model_violation_count(p->s.m), 0);
	model_destroy(p->s.m);
}

static uint16_t did_of(struct play *p, uint16_t bdf)
{
	struct iommu_device_info info;

	OK(iommu_device_info(p->s.next.iommu, rig_id(bdf), &info));
	return info.did;
}

static bool is_inherited_id(unsigned n)
{
	return n >= 2 && n < 150 && n % 3;
}

/** Ids beyond those that one word of a map holds. */
static void ids_are_kept_until_the_end(void **state)
{
	struct iommu_domain *domain;
	uint64_t other[2];
	struct play p;
	uint16_t id;

	(void)state;
	leave(&p, model_personality_find("atom"), 256);
	other[0] = p.context[2 * RIG_OTHER];
	other[1] = p.context[2 * RIG_OTHER + 1] & 7;
	memset(p.context, 0, 4096);
	for (unsigned n = 0; n < 150; n++)
		if (is_inherited_id(n)) {
			p.context[2 * (NOBODY + n)] = other[0];
			p.context[2 * (NOBODY + n) + 1] = other[1] | n << 8;
		}
	/* The very first id that a device can have. */
	p.context[0] = other[0];
	p.context[1] = other[1] | 2 << 8;
	rig_start_ok(&p.s.next);
	assert_int_equal(iommu_inherited_count(p.s.next.iommu), 100);
	/* Every id that is free, and no other. */
	for (unsigned n = 2; n < 256; n++)
		if (!is_inherited_id(n)) {
			assert_true(__did_take(
				&p.s.next.iommu->unit[0]->dids, &id));
			assert_int_equal(id, n);
		}
	assert_false(__did_take(&p.s.next.iommu->unit[0]->dids, &id));
	OK(iommu_inherited_end(p.s.next.iommu));
	assert_int_equal(iommu_inherited_count(p.s.next.iommu), 0);
	/* What they leave is given to others once. */
	domain = rig_mapped_domain(&p.s.next);
	OK(iommu_attach(p.s.next.iommu, rig_id(RIG_DEV), domain));
	id = did_of(&p, RIG_DEV);
	assert_true(is_inherited_id(id));
	OK(iommu_inherited_end(p.s.next.iommu));
	for (unsigned n = 2; n < 150; n++)
		if (is_inherited_id(n) && n != id) {
			uint16_t more;

			assert_true(__did_take(
				&p.s.next.iommu->unit[0]->dids, &more));
			assert_true(is_inherited_id(more));
			assert_int_not_equal(more, id);
		}
	OK(iommu_detach(p.s.next.iommu, rig_id(RIG_DEV)));
	OK(iommu_domain_destroy(domain));
	end(&p);
}

/** An id without a function may be what others on its bus use, the first one,
 *  too: it goes with any of them. */
static void first_id_goes_with_its_bus(void **state)
{
	struct iommu_domain *domain;
	struct play p;

	(void)state;
	leave(&p, model_personality_find("plain"), 256);
	p.context[0] = p.context[2 * RIG_OTHER];
	p.context[1] = p.context[2 * RIG_OTHER + 1];
	memset(p.context + 2, 0, 4096 - 16);
	rig_start_ok(&p.s.next);
	assert_int_equal(iommu_inherited_count(p.s.next.iommu), 1);
	domain = rig_mapped_domain(&p.s.next);
	OK(iommu_attach(p.s.next.iommu, rig_id(RIG_DEV), domain));
	assert_int_equal(iommu_inherited_count(p.s.next.iommu), 0);
	OK(iommu_detach(p.s.next.iommu, rig_id(RIG_DEV)));
	OK(iommu_domain_destroy(domain));
	end(&p);
}

/** How many single entries a device can get, and which is the first. */
static unsigned take_all(struct play *p, bool *taken)
{
	struct iommu_irq irq;
	unsigned count = 0;

	while (iommu_irq_alloc(p->s.next.iommu, rig_id(RIG_DEV), 1, &irq) ==
		IOMMU_OK) {
		assert_false(taken[irq.first]);
		taken[irq.first] = true;
		count++;
	}
	return count;
}

/** Entries that are used keep working and are nobody else's; the table is as
 *  large as the one found. */
static void interrupts_are_kept_until_the_end(void **state)
{
	enum {
		/* Twice as many as the next one would make for itself. */
		COUNT = 2048
	};
	static bool taken[COUNT], was_kept[COUNT];
	unsigned kept = 0;
	struct play p;

	(void)state;
	memset(taken, 0, sizeof(taken));
	leave(&p, model_personality_find("plain"), COUNT);
	for (unsigned n = 0; n < COUNT; n += n < 200 ? 1 : 61) {
		if (n % 5 == 4)
			continue;
		p.irte[2 * n] = 1 | (n & 0xff) << 16;
		p.irte[2 * n + 1] = 1 << 18 | RIG_OTHER;
		taken[n] = was_kept[n] = true;
		kept++;
	}
	unmapped = 0;
	rig_start_ok(&p.s.next);
	/* Not for a moment without remapping. */
	assert_int_equal(unmapped, 0);
	assert_int_equal(take_all(&p, taken), COUNT - kept);
	OK(iommu_inherited_end(p.s.next.iommu));
	for (unsigned n = 0; n < COUNT; n++)
		taken[n] = !was_kept[n];
	/* Each of them once, whatever is ended again. */
	assert_int_equal(take_all(&p, taken), kept);
	OK(iommu_inherited_end(p.s.next.iommu));
	assert_int_equal(take_all(&p, taken), 0);
	end(&p);
}

/** What this unit could not have used itself is left out. */
static void unsound_entries_are_left_out(void **state)
{
	static const struct {
		uint64_t low, high;
		/** Bits of ECAP that the unit has not. */
		uint64_t without;
		bool sound;
	} row[] = {
		{0, 0, 0, true}, {0x010, 0, 0, false}, {0x800, 0, 0, false},
		{1ull << 45, 0, 0, true}, {1ull << 46, 0, 0, false},
		{1ull << 51, 0, 0, false},
		{2, 0, 0, true}, /* faults are not recorded */
		{4, 0, 0, true}, /* a TLB of its own */
		{4, 0, 1 << 2, false}, {8, 0, 0, true}, /* pass-through */
		{8, 0, 1 << 6, false}, {8 | 1ull << 50, 0, 0, true},
		{12, 0, 0, false}, {0, 1 << 7, 0, false},
		{0, 1 << 24, 0, false}, {0, 1ull << 63, 0, false},
		{0, 4, 0, false},     /* no such number of levels */
		{0, 1 << 3, 0, true}, /* for software */
	};

	(void)state;
	for (unsigned n = 0; n < sizeof(row) / sizeof(*row); n++) {
		struct model_personality kind =
			*model_personality_find("plain");
		struct play p;

		kind.ecap &= ~row[n].without;
		leave(&p, &kind, 256);
		p.context[2 * NOBODY] = p.context[2 * RIG_OTHER] ^ row[n].low;
		p.context[2 * NOBODY + 1] =
			p.context[2 * RIG_OTHER + 1] ^ row[n].high;
		rig_start_ok(&p.s.next);
		assert_int_equal(iommu_inherited_count(p.s.next.iommu),
			1 + row[n].sound);
		assert_true(rig_can_write(&p.s.next, RIG_OTHER, AT));
		OK(iommu_inherited_end(p.s.next.iommu));
		assert_false(rig_can_write(&p.s.next, RIG_OTHER, AT));
		end(&p);
	}
}

/** A unit that stops on the way is told of, wherever it does. */
static void stopped_unit_is_told_of(void **state)
{
	bool lost = true;

	(void)state;
	for (unsigned n = 0; lost; n++) {
		struct iommu_unit_info info;
		enum iommu_status status;
		struct play p;

		leave(&p, model_personality_find("plain"), 256);
		p.irte[2 * 7] = 1;
		p.irte[2 * 7 + 1] = 1 << 18 | RIG_OTHER;
		p.s.next.options.timeout_ns = 1000000;
		p.s.next.options.device_timeout_ns = 1000000;
		rig_start_ok(&p.s.next);
		model_unit_hang(p.s.m, 0, n);
		status = iommu_inherited_end(p.s.next.iommu);
		OK(iommu_unit_info(p.s.next.iommu, 0, &info));
		lost = info.state == IOMMU_UNIT_FAILED;
		assert_int_equal(status, lost ? IOMMU_UNIT_LOST : IOMMU_OK);
		rig_close_anyhow(&p.s.next);
		assert_true(n < 100);
	}
}

/** Blocked, the next owner gets nothing of what the one before left. */
static void blocked_hand_over_ends_the_heritage(void **state)
{
	bool stopped = true;

	(void)state;
	for (unsigned n = 0; stopped; n++) {
		struct iommu_unit_info info;
		enum iommu_status status;
		struct play p;

		leave(&p, model_personality_find("plain"), 256);
		p.s.next.options.timeout_ns = 1000000;
		p.s.next.options.device_timeout_ns = 1000000;
		rig_start_ok(&p.s.next);
		assert_true(rig_can_write(&p.s.next, RIG_OTHER, AT));
		if (n)
			model_unit_hang(p.s.m, 0, n - 1);
		status = iommu_hand_over(
			p.s.next.iommu, IOMMU_HAND_OVER_BLOCKED);
		OK(iommu_unit_info(p.s.next.iommu, 0, &info));
		stopped = strcmp(info.reason, "handed over") != 0;
		if (stopped) {
			assert_int_equal(status, IOMMU_UNIT_LOST);
		} else {
			assert_int_equal(status, IOMMU_OK);
			assert_false(rig_can_write(&p.s.next, RIG_OTHER, AT));
		}
		stopped |= !n;
		rig_close_anyhow(&p.s.next);
		assert_true(n < 200);
	}
}

/** Whoever hands over has no unit any more, and says why. */
static void handed_over_unit_says_so(void **state)
{
	struct iommu_unit_info info;
	struct rig r;

	(void)state;
	rig_run(&r, "plain", MODEL_LAZY, 1);
	OK(iommu_hand_over(r.iommu, IOMMU_HAND_OVER_BLOCKED));
	OK(iommu_unit_info(r.iommu, 0, &info));
	assert_int_equal(info.state, IOMMU_UNIT_FAILED);
	assert_string_equal(info.reason, "handed over");
	rig_close_anyhow(&r);
}

/** Errors that an earlier owner did not look at are not this one's. */
static void old_errors_are_cleared(void **state)
{
	struct play p;

	(void)state;
	leave(&p, model_personality_find("plain"), 256);
	model_unit_error(p.s.m, 0, 1 | 1 << 5); /* PFO, ICE */
	rig_start_ok(&p.s.next);
	assert_int_equal(
		model_read32(p.s.m, model_unit_base(p.s.m, 0) + FSTS) & 0x21,
		0);
	OK(iommu_inherited_end(p.s.next.iommu));
	end(&p);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(ids_are_kept_until_the_end),
		cmocka_unit_test(first_id_goes_with_its_bus),
		cmocka_unit_test(interrupts_are_kept_until_the_end),
		cmocka_unit_test(unsound_entries_are_left_out),
		cmocka_unit_test(stopped_unit_is_told_of),
		cmocka_unit_test(blocked_hand_over_ends_the_heritage),
		cmocka_unit_test(handed_over_unit_says_so),
		cmocka_unit_test(old_errors_are_cleared),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
