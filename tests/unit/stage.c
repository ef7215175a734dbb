/* SPDX-License-Identifier: MIT */
/*
 * One system after the other on the same units: what is kept, what is blocked,
 * and that there is no moment in between. Two instances of the library stand
 * for the two systems; after every register access of the second a device is
 * tried.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "support/kinds.h"
#include "support/words.h"

#define RW (IOMMU_READ | IOMMU_WRITE)
#define AT 0x7000ull
#define VECTOR 0x61

static struct rig *watched;
static bool kept; /* what must be true after each register access */
static unsigned accesses;
static bool pointer_written;
static void (*plain_write)(void *, void *, uint32_t, unsigned, uint64_t);

static void write_and_look(
	void *ctx, void *regs, uint32_t offset, unsigned width, uint64_t value)
{
	plain_write(ctx, regs, offset, width, value);
	accesses++;
	pointer_written |= offset == 0x18 && value & 1u << 30;
	if (!watched)
		return;
	assert_false(rig_can_read(watched, RIG_ATS, AT));
	if (kept)
		assert_true(rig_can_read(watched, RIG_DEV, AT));
}

static uint64_t (*plain_read)(void *, void *, uint32_t, unsigned);

/** A device whose entries no unit remembers is tried as soon as the new root
 *  table is in use: by then all of it must have reached memory. */
static uint64_t read_and_look(
	void *ctx, void *regs, uint32_t offset, unsigned width)
{
	enum {
		GSTS = 0x1c,
		RTPS = 1 << 30
	};
	uint64_t value = plain_read(ctx, regs, offset, width);

	if (offset == GSTS && value & RTPS && pointer_written && watched) {
		pointer_written = false;
		if (kept)
			assert_true(
				rig_can_read(watched, RIG_BEHIND_BRIDGE, AT));
	}
	return value;
}

/** A system that came before. */
struct earlier {
	struct rig r;
	struct rig_space space;
	uint64_t frame;
	struct iommu_irq irq;
	struct iommu_msi_message message;
	bool remapped;
	/** Chosen before live_earlier(). */
	bool x2apic, ats;
};

static void send(struct earlier *e, struct rig *r, bool arrives)
{
	unsigned before;

	if (!e->remapped)
		return;
	before = r->host.device_interrupts;
	model_msi(r->m, 0, RIG_DEV, e->message.address, e->message.data);
	assert_int_equal(r->host.device_interrupts - before, arrives);
	if (arrives)
		assert_int_equal(r->host.last_interrupt.vector, VECTOR);
}

static void live_earlier(struct earlier *e, struct model *m)
{
	struct iommu_irq_target target = {.destination = 1, .vector = VECTOR};
	struct rig *r = &e->r;

	rig_open_machine(r, m);
	r->options.x2apic = e->x2apic ? IOMMU_ON : IOMMU_AUTO;
	r->options.ats = e->ats ? IOMMU_ON : IOMMU_AUTO;
	rig_start_ok(r);
	e->frame = rig_frame(r, 9);
	rig_space_open(&e->space, r);
	rig_space_set(&e->space, AT, e->frame | RW);
	OK(rig_space_attach(&e->space, RIG_DEV));
	OK(rig_space_attach(&e->space, RIG_BEHIND_BRIDGE));
	assert_true(rig_can_write(r, RIG_DEV, AT));
	OK(iommu_irq_remapped(r->iommu, rig_id(RIG_DEV), &e->remapped));
	if (e->remapped) {
		OK(iommu_irq_alloc(r->iommu, rig_id(RIG_DEV), 1, &e->irq));
		OK(iommu_irq_set(r->iommu, &e->irq, 0, &target));
		OK(iommu_irq_message(r->iommu, &e->irq, 0, &e->message));
	}
	send(e, r, true);
}

/** The next system; *r lies in memory that m owns already. */
static void start_next(
	struct rig *r, struct model *m, enum iommu_take_over take_over)
{
	rig_open_machine(r, m);
	r->options.take_over = take_over;
	watched = r;
	kept = take_over == IOMMU_TAKE_OVER_KEPT;
	plain_write = r->hooks.reg_write;
	r->hooks.reg_write = write_and_look;
	plain_read = r->hooks.reg_read;
	r->hooks.reg_read = read_and_look;
	pointer_written = false;
	accesses = 0;
	rig_start_ok(r);
	assert_true(accesses > 3);
	watched = NULL;
}

/** One system after the other. */
static void follow(struct earlier *e, struct rig *r, struct model *m,
	enum iommu_take_over take_over)
{
	live_earlier(e, m);
	start_next(r, m, take_over);
}

static enum iommu_device_state state_of(struct rig *r, uint16_t bdf)
{
	struct iommu_device_info info;

	OK(iommu_device_info(r->iommu, rig_id(bdf), &info));
	return info.state;
}

static void no_violation(struct rig *r)
{
	if (model_violation_count(r->m))
		model_report(r->m, stderr);
	assert_int_equal(model_violation_count(r->m), 0);
}

/** Ends the last system and the machine. */
static void end_next(struct rig *r)
{
	OK(iommu_destroy(r->iommu));
	no_violation(r);
	model_destroy(r->m);
}

/** What the first left is used, then replaced device by device. */
static void succeed(const struct model_personality *kind, enum model_mode mode,
	bool handed_over)
{
	struct model *m = model_create_usual(kind, mode, 0, 3, false);
	struct iommu_domain *domain;
	struct earlier e = {0};
	struct rig r;

	live_earlier(&e, m);
	if (handed_over) {
		OK(iommu_hand_over(e.r.iommu, IOMMU_HAND_OVER_KEPT));
		no_violation(&e.r);
		assert_true(rig_can_write(&e.r, RIG_DEV, AT));
		send(&e, &e.r, true);
	}
	start_next(&r, m, IOMMU_TAKE_OVER_KEPT);
	send(&e, &r, true);
	/* The bridge's id and the function's behind it. */
	assert_int_equal(iommu_inherited_count(r.iommu), 3);
	assert_int_equal(state_of(&r, RIG_DEV), IOMMU_DEVICE_INHERITED);
	assert_int_equal(state_of(&r, RIG_OTHER), IOMMU_DEVICE_BLOCKED);
	assert_true(rig_can_read(&r, RIG_BEHIND_BRIDGE, AT));

	/* A new owner: nothing of the old one is left, nor for the group. */
	domain = rig_mapped_domain(&r);
	OK(iommu_attach(r.iommu, rig_id(RIG_DEV), domain));
	assert_false(rig_can_read(&r, RIG_DEV, AT));
	assert_true(rig_can_read(&r, RIG_BEHIND_BRIDGE, AT));
	OK(iommu_attach(r.iommu, rig_id(MODEL_BDF(2, 0, 0)), domain));
	assert_false(rig_can_read(&r, RIG_BEHIND_BRIDGE, AT));
	assert_int_equal(iommu_inherited_count(r.iommu), 0);
	send(&e, &r, true);
	OK(iommu_inherited_end(r.iommu));
	send(&e, &r, false);
	OK(iommu_detach(r.iommu, rig_id(RIG_DEV)));
	OK(iommu_detach(r.iommu, rig_id(MODEL_BDF(2, 0, 0))));
	OK(iommu_domain_destroy(domain));
	/* The old owner's memory is free: the model would know better. */
	rig_space_free(&e.space);
	model_page_free(m, e.frame, 0);
	rig_check(&r);
	end_next(&r);
}

static void what_was_left_is_kept(void **state)
{
	const struct model_personality *p;

	(void)state;
	for (p = kinds_next(NULL); p; p = kinds_next(p)) {
		succeed(p, MODEL_LAZY, true);
		succeed(p, MODEL_RANDOM, true);
		succeed(p, MODEL_LAZY, false);
	}
}

/** Without a wish to keep anything: nobody reaches anything, at once. */
static void what_was_left_is_blocked_without_a_pause(void **state)
{
	const struct model_personality *p;

	(void)state;
	for (p = kinds_next(NULL); p; p = kinds_next(p)) {
		struct model *m;
		struct earlier e = {0};
		struct rig r;

		m = model_create_usual(p, MODEL_LAZY, 0, 3, false);
		follow(&e, &r, m, IOMMU_TAKE_OVER_BLOCKED);
		assert_false(rig_can_read(&r, RIG_DEV, AT));
		assert_int_equal(iommu_inherited_count(r.iommu), 0);
		send(&e, &r, false);
		end_next(&r);
	}
}

static void detach_ends_what_was_inherited(void **state)
{
	struct model *m = model_create_simple("plain", MODEL_LAZY, 1);
	struct earlier e = {0};
	struct rig r;

	(void)state;
	live_earlier(&e, m);
	OK(rig_space_attach(&e.space, RIG_BEHIND_PORT));
	start_next(&r, m, IOMMU_TAKE_OVER_KEPT);
	assert_int_equal(
		iommu_detach(r.iommu, rig_id(RIG_OTHER)), IOMMU_NOT_ATTACHED);
	OK(iommu_detach(r.iommu, rig_id(RIG_DEV)));
	assert_int_equal(
		iommu_detach(r.iommu, rig_id(RIG_DEV)), IOMMU_NOT_ATTACHED);
	assert_false(rig_can_read(&r, RIG_DEV, AT));
	assert_int_equal(state_of(&r, RIG_DEV), IOMMU_DEVICE_BLOCKED);
	/* What comes into the place of a device that is gone inherits
	 * nothing. */
	assert_true(rig_can_read(&r, RIG_BEHIND_PORT, AT));
	model_device_remove(m, 0, RIG_BEHIND_PORT);
	OK(iommu_device_removed(r.iommu, rig_id(RIG_BEHIND_PORT)));
	assert_int_equal(iommu_inherited_count(r.iommu), 2);
	OK(iommu_suspend(r.iommu));
	assert_int_equal(iommu_inherited_end(r.iommu), IOMMU_WRONG_STATE);
	model_unit_reset(m, 0);
	OK(iommu_resume(r.iommu));
	/* A sleep does not end it. */
	assert_true(rig_can_read(&r, RIG_BEHIND_BRIDGE, AT));
	assert_int_equal(iommu_inherited_count(r.iommu), 2);
	OK(iommu_inherited_end(r.iommu));
	assert_int_equal(iommu_inherited_count(r.iommu), 0);
	assert_false(rig_can_read(&r, RIG_BEHIND_BRIDGE, AT));
	end_next(&r);
}

static uint32_t (*plain_pci)(void *ctx, uint16_t segment, uint8_t bus,
	uint8_t devfn, uint16_t offset, unsigned width);

/** RIG_DEV has a second function, without access control between them. */
static uint32_t two_functions(void *ctx, uint16_t segment, uint8_t bus,
	uint8_t devfn, uint16_t offset, unsigned width)
{
	bool second = !bus && devfn == (RIG_DEV | 1);
	uint32_t value = plain_pci(ctx, segment, bus,
		second ? (uint8_t)RIG_OTHER : devfn, offset, width);

	return !bus && devfn == RIG_DEV && offset == 0xe ? value | 0x80 : value;
}

/** A next owner that has looked at the second function only: of the first it
 *  knows that it leads the group. */
static void start_with_leader(struct rig *r, struct model *m)
{
	struct iommu_device_info info;

	rig_open_machine(r, m);
	r->options.take_over = IOMMU_TAKE_OVER_KEPT;
	r->options.fault_storm = 5;
	plain_pci = r->hooks.pci_read;
	r->hooks.pci_read = two_functions;
	rig_start_ok(r);
	OK(iommu_device_info(r->iommu, rig_id(RIG_DEV | 1), &info));
	assert_int_equal(info.group.requester, RIG_DEV);
	assert_true(rig_can_read(r, RIG_DEV, AT));
}

static void detach_ends_it_for_who_was_never_met(void **state)
{
	struct model *m = model_create_simple("plain", MODEL_LAZY, 1);
	struct earlier e = {0};
	struct rig r;

	(void)state;
	live_earlier(&e, m);
	start_with_leader(&r, m);
	model_fail_alloc(m, 1, true);
	assert_int_equal(iommu_detach(r.iommu, rig_id(RIG_BEHIND_BRIDGE)),
		IOMMU_NO_MEMORY);
	model_fail_alloc(m, 0, false);
	OK(iommu_detach(r.iommu, rig_id(RIG_DEV)));
	assert_false(rig_can_read(&r, RIG_DEV, AT));
	end_next(&r);
}

static void storm_ends_it_for_who_was_never_met(void **state)
{
	struct model *m = model_create_simple("plain", MODEL_LAZY, 1);
	struct earlier e = {0};
	struct iommu_fault f;
	struct rig r;

	(void)state;
	live_earlier(&e, m);
	start_with_leader(&r, m);
	for (unsigned n = 0; n < 8; n++) {
		rig_can_write(&r, RIG_DEV, AT + 0x100000);
		iommu_interrupt_all(r.iommu);
		while (iommu_fault_next(r.iommu, &f))
			assert_int_equal(f.device.requester, RIG_DEV);
	}
	assert_false(rig_can_read(&r, RIG_DEV, AT));
	assert_int_equal(state_of(&r, RIG_DEV), IOMMU_DEVICE_QUARANTINED);
	end_next(&r);
}

static struct rig *trying;

/** The device tries while the library waits for its flush. */
static void try_meanwhile(struct model_host *h)
{
	(void)h;
	rig_can_read(trying, RIG_DEV, AT);
}

/** What is read between the flush and its end must not come back. */
static void nothing_comes_back_while_it_ends(void **state)
{
	struct model *m = model_create_simple("plain", MODEL_LAZY, 1);
	struct earlier e = {0};
	struct rig r;

	(void)state;
	follow(&e, &r, m, IOMMU_TAKE_OVER_KEPT);
	trying = &r;
	r.host.on_relax = try_meanwhile;
	OK(iommu_detach(r.iommu, rig_id(RIG_DEV)));
	r.host.on_relax = NULL;
	assert_false(rig_can_read(&r, RIG_DEV, AT));
	end_next(&r);
}

/** The identity domain's id is this instance's own: an old one with tables of
 *  its own gets another. */
static void old_identity_has_another_id(void **state)
{
	struct model *m = model_create_simple("no-pt", MODEL_LAZY, 1);
	struct earlier e = {0};
	uint64_t frame;
	struct rig r;

	(void)state;
	live_earlier(&e, m);
	frame = rig_frame(&e.r, 9);
	OK(iommu_attach(e.r.iommu, rig_id(RIG_OTHER),
		iommu_domain_identity(e.r.iommu)));
	start_next(&r, m, IOMMU_TAKE_OVER_KEPT);
	words_start();
	iommu_report_stats(r.iommu, words_sink, NULL);
	/* 0 and 1, the old device's, and the one in place of the old 1. */
	words_have(" domain ids: 4 of 65536\n");
	OK(iommu_attach(r.iommu, rig_id(MODEL_BDF(0, 1, 0)),
		iommu_domain_identity(r.iommu)));
	assert_true(rig_can_read(&r, RIG_OTHER, frame));
	assert_true(rig_can_read(&r, MODEL_BDF(0, 1, 0), frame));
	OK(iommu_detach(r.iommu, rig_id(MODEL_BDF(0, 1, 0))));
	assert_true(rig_can_read(&r, RIG_OTHER, frame));
	OK(iommu_inherited_end(r.iommu));
	assert_false(rig_can_read(&r, RIG_OTHER, frame));
	words_start();
	iommu_report_stats(r.iommu, words_sink, NULL);
	words_have(" domain ids: 2 of 65536\n");
	end_next(&r);
}

/** Entries that were kept are not given out, until they have ended. */
static void kept_interrupts_are_taken(void **state)
{
	struct model *m = model_create_simple("plain", MODEL_LAZY, 1);
	struct iommu_irq irq[8];
	struct earlier e = {0};
	unsigned count = 0;
	struct rig r;

	(void)state;
	follow(&e, &r, m, IOMMU_TAKE_OVER_KEPT);
	while (count < 7 &&
		iommu_irq_alloc_ioapic(r.iommu, 2, 128, &irq[count]) ==
			IOMMU_OK)
		count++;
	assert_int_equal(count, 7); /* of 1024, one in use */
	assert_int_equal(iommu_irq_alloc_ioapic(r.iommu, 2, 128, &irq[7]),
		IOMMU_NO_ENTRY);
	send(&e, &r, true);
	OK(iommu_inherited_end(r.iommu));
	OK(iommu_irq_alloc_ioapic(r.iommu, 2, 128, &irq[7]));
	send(&e, &r, false);
	end_next(&r);
}

/** Interrupts of another width of ids cannot be gone on with. */
static void other_apic_ids_end_interrupts(void **state)
{
	struct model *m = model_create_simple("plain", MODEL_LAZY, 1);
	struct earlier e = {0};
	struct rig r;

	(void)state;
	e.x2apic = true;
	follow(&e, &r, m, IOMMU_TAKE_OVER_KEPT);
	send(&e, &r, false);
	end_next(&r);
}

/** A device with a TLB of its own, which is on when it is inherited. */
static void old_tlb_is_emptied_and_switched_off(void **state)
{
	struct model *m = model_create_simple("plain", MODEL_LAZY, 1);
	struct earlier e = {0};
	struct rig r;
	uint64_t word;

	(void)state;
	e.ats = true;
	live_earlier(&e, m);
	OK(rig_space_attach(&e.space, RIG_ATS));
	assert_true(model_ats_request(m, 0, RIG_ATS, AT, false));
	rig_open_machine(&r, m);
	r.options.take_over = IOMMU_TAKE_OVER_KEPT;
	rig_start_ok(&r);
	assert_int_equal(model_ats_dma(m, 0, RIG_ATS, AT, &word, 8, false),
		MODEL_DMA_OK);
	assert_int_equal(model_pci_read(m, 0, 0, RIG_ATS, 0x106, 2), 0x8000);
	OK(iommu_detach(r.iommu, rig_id(RIG_ATS)));
	assert_int_equal(model_pci_read(m, 0, 0, RIG_ATS, 0x106, 2), 0);
	assert_int_not_equal(model_ats_dma(m, 0, RIG_ATS, AT, &word, 8, false),
		MODEL_DMA_OK);
	end_next(&r);
}

static void enter(struct model *m, uint64_t low, uint64_t high)
{
	uint64_t base = model_unit_base(m, 0);
	uint64_t tail = model_read64(m, base + 0x88);
	uint64_t *slot =
		model_ptr(m, (model_read64(m, base + 0x90) & ~0xfffull) + tail);

	slot[0] = low;
	slot[1] = high;
	model_write64(m, base + 0x88, (tail + 16) % 8192);
}

/** A queue in the middle of its work is let finish. */
static void busy_queue_is_waited_for(void **state)
{
	struct model *m = model_create_simple("plain", MODEL_LAZY, 1);
	uint64_t word = model_page_alloc(m, 0, MODEL_OWNER_DRIVER);
	struct earlier e = {0};
	unsigned n;
	struct rig r;

	(void)state;
	e.ats = true;
	live_earlier(&e, m);
	OK(rig_space_attach(&e.space, RIG_ATS));
	model_ats_behave(m, 0, RIG_ATS, MODEL_ATS_LATE);
	for (n = 0; n < 2; n++) {
		/* The device's TLB, then a wait that stores. */
		enter(m, 3 | (uint64_t)RIG_ATS << 32, 0x7ffffffffffff001);
		enter(m, 0x25 | (n + 5ull) << 32, word);
	}
	rig_open_machine(&r, m);
	rig_start_ok(&r);
	assert_int_equal(*(uint32_t *)model_ptr(m, word), 6);
	OK(iommu_destroy(r.iommu));
	model_page_free(m, word, 0);
	no_violation(&r);
	model_destroy(m);
}

/** The earlier owner was beyond the first page of its ring, and did not wait.
 */
static void long_queue_is_ended_where_it_stands(void **state)
{
	struct model *m = model_create_simple("plain", MODEL_LAZY, 1);
	uint64_t base = model_unit_base(m, 0);
	struct earlier e = {0};
	struct rig r;

	(void)state;
	live_earlier(&e, m);
	for (unsigned n = 0; n < 300; n++) {
		enter(m, 0x12, 0); /* all of the IOTLB */
		while (model_read32(m, base + 0x80) !=
			model_read32(m, base + 0x88))
			model_advance(m, 1000);
	}
	assert_true(model_read32(m, base + 0x80) >= 4096);
	rig_open_machine(&r, m);
	rig_start_ok(&r);
	assert_int_equal(r.host.logged[IOMMU_LOG_WARNING], 0);
	assert_false(rig_can_write(&r, RIG_DEV, AT));
	end_next(&r);
}

/** The unit does not confirm: nothing of the earlier owner's may be reused, and
 *  that is said as often as it is asked. */
static void what_is_not_confirmed_has_not_ended(void **state)
{
	struct model *m = model_create_simple("plain", MODEL_LAZY, 1);
	struct earlier e = {0};
	struct rig r;

	(void)state;
	follow(&e, &r, m, IOMMU_TAKE_OVER_KEPT);
	OK(iommu_power(r.iommu, false));
	assert_int_equal(
		iommu_hand_over(r.iommu, IOMMU_HAND_OVER_BLOCKED), IOMMU_OFF);
	OK(iommu_power(r.iommu, true));
	model_unit_hang(m, 0, 0);
	assert_int_equal(
		iommu_detach(r.iommu, rig_id(RIG_DEV)), IOMMU_UNIT_LOST);
	assert_int_equal(state_of(&r, RIG_DEV), IOMMU_DEVICE_QUARANTINED);
	assert_int_equal(iommu_inherited_end(r.iommu), IOMMU_UNIT_LOST);
	assert_int_equal(iommu_inherited_end(r.iommu), IOMMU_UNIT_LOST);
	assert_int_equal(iommu_destroy(r.iommu), IOMMU_UNCONFIRMED);
	no_violation(&r);
	model_destroy(m);
}

/** Switched off, what was kept can end, too. */
static void kept_ends_while_off(void **state)
{
	struct model *m = model_create_simple("caching", MODEL_LAZY, 1);
	struct earlier e = {0};
	struct rig r;

	(void)state;
	follow(&e, &r, m, IOMMU_TAKE_OVER_KEPT);
	OK(iommu_power(r.iommu, false));
	OK(iommu_inherited_end(r.iommu));
	OK(iommu_power(r.iommu, true));
	assert_false(rig_can_read(&r, RIG_DEV, AT));
	end_next(&r);
}

/** The pages that an instance took must be back where that was promised. */
static void left_blocked(void **state)
{
	static const struct {
		const char *kind;
		enum iommu_status end;
	} kinds[] = {{"plain", IOMMU_UNCONFIRMED},
		{"caching-non-coherent", IOMMU_UNCONFIRMED},
		{"no-qi", IOMMU_UNCONFIRMED}, {"abort-dma", IOMMU_OK}};
	size_t k;

	(void)state;
	for (k = 0; k < sizeof kinds / sizeof kinds[0]; k++) {
		struct model *m =
			model_create_simple(kinds[k].kind, MODEL_LAZY, 1);
		struct iommu_domain *domain;
		struct rig r, next;

		rig_open_machine(&r, m);
		rig_start_ok(&r);
		domain = rig_mapped_domain(&r);
		OK(iommu_attach(r.iommu, rig_id(RIG_DEV), domain));
		assert_int_equal(
			iommu_hand_over(r.iommu, IOMMU_HAND_OVER_BLOCKED),
			IOMMU_IN_USE);
		OK(iommu_detach(r.iommu, rig_id(RIG_DEV)));
		OK(iommu_domain_destroy(domain));
		OK(iommu_hand_over(r.iommu, IOMMU_HAND_OVER_BLOCKED));
		assert_false(iommu_is_on(r.iommu));
		no_violation(&r);
		assert_false(rig_can_read(&r, RIG_DEV, AT));
		/* The fault tells which of the two ways it is. */
		assert_int_equal(model_last_fault(m),
			kinds[k].end == IOMMU_OK ? 0x33 : 0x02);
		assert_int_equal(iommu_destroy(r.iommu), kinds[k].end);
		if (kinds[k].end == IOMMU_OK)
			assert_int_equal(model_pages_in_use(m, 0), 0);
		assert_false(rig_can_read(&r, RIG_DEV, AT));
		no_violation(&r);

		start_next(&next, m, IOMMU_TAKE_OVER_BLOCKED);
		OK(iommu_attach(next.iommu, rig_id(RIG_DEV),
			iommu_domain_identity(next.iommu)));
		OK(iommu_detach(next.iommu, rig_id(RIG_DEV)));
		OK(iommu_destroy(next.iommu));
		no_violation(&next);
		model_destroy(m);
	}
}

static void handed_over_is_hands_off(void **state)
{
	struct model *m = model_create_simple("plain", MODEL_LAZY, 1);
	struct earlier e = {0};
	struct rig *r = &e.r;

	(void)state;
	live_earlier(&e, m);
	assert_int_equal(iommu_hand_over(r->iommu, (enum iommu_hand_over)2),
		IOMMU_BAD_ARGUMENT);
	OK(iommu_hand_over(r->iommu, IOMMU_HAND_OVER_KEPT));
	assert_int_equal(iommu_hand_over(r->iommu, IOMMU_HAND_OVER_KEPT),
		IOMMU_WRONG_STATE);
	assert_int_equal(
		iommu_detach(r->iommu, rig_id(RIG_DEV)), IOMMU_WRONG_STATE);
	assert_int_equal(iommu_attach(r->iommu, rig_id(RIG_OTHER),
				 iommu_domain_identity(r->iommu)),
		IOMMU_WRONG_STATE);
	assert_int_equal(iommu_power(r->iommu, false), IOMMU_WRONG_STATE);
	assert_int_equal(iommu_suspend(r->iommu), IOMMU_WRONG_STATE);
	assert_int_equal(iommu_inherited_end(r->iommu), IOMMU_WRONG_STATE);
	assert_int_equal(iommu_flush(e.space.domain, IOMMU_REMOVED,
				 iommu_iova(AT), 4096),
		IOMMU_UNIT_LOST);
	assert_int_equal(iommu_destroy(r->iommu), IOMMU_IN_USE);
	assert_true(rig_can_read(r, RIG_DEV, AT));
	no_violation(r);
	model_destroy(m);
}

/** Tables of an earlier owner that make no sense. What the hardware does with
 *  them is its owner's fault; reading them must not be ours. */
static void garbage_is_survived(void **state)
{
	const char *text = getenv("SEED");
	unsigned seed = text ? (unsigned)strtoul(text, NULL, 0) : 1;

	(void)state;
	print_message("SEED=%u\n", seed);
	for (unsigned n = 0; n < 60; n++) {
		struct model *m =
			model_create_simple("plain", MODEL_LAZY, seed + n);
		struct rig first, r;
		uint64_t page[3];

		srand(seed + n);
		rig_open_machine(&first, m);
		rig_start_ok(&first);
		for (unsigned i = 0; i < 3; i++)
			page[i] = rig_frame(&first, 9);
		for (unsigned i = 0; i < 3 * 512; i++) {
			uint64_t *word = model_ptr(m, page[i / 512]);
			uint64_t value = (uint64_t)rand() << 32 ^
				(uint64_t)rand() << 8 ^ (uint64_t)rand();

			/* Some lead to each other, some far out. */
			if (rand() & 1)
				value = page[rand() % 3] | (rand() & 0xfff);
			if (rand() & 1 && i & 1)
				value &= 0xffff07;
			word[i % 512] = value;
		}
		model_write64(m, model_unit_base(m, 0) + 0x20,
			rand() & 7 ? page[0] : (uint64_t)rand() << 20);
		model_write64(m, model_unit_base(m, 0) + 0xb8,
			page[1] | (rand() & 0x80f));
		rig_open_machine(&r, m);
		r.options.take_over = IOMMU_TAKE_OVER_KEPT;
		rig_start_ok(&r);
		OK(iommu_inherited_end(r.iommu));
		assert_int_equal(iommu_inherited_count(r.iommu), 0);
		OK(iommu_destroy(r.iommu));
		model_destroy(m);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(what_was_left_is_kept),
		cmocka_unit_test(what_was_left_is_blocked_without_a_pause),
		cmocka_unit_test(detach_ends_what_was_inherited),
		cmocka_unit_test(detach_ends_it_for_who_was_never_met),
		cmocka_unit_test(storm_ends_it_for_who_was_never_met),
		cmocka_unit_test(nothing_comes_back_while_it_ends),
		cmocka_unit_test(old_identity_has_another_id),
		cmocka_unit_test(kept_interrupts_are_taken),
		cmocka_unit_test(other_apic_ids_end_interrupts),
		cmocka_unit_test(old_tlb_is_emptied_and_switched_off),
		cmocka_unit_test(busy_queue_is_waited_for),
		cmocka_unit_test(long_queue_is_ended_where_it_stands),
		cmocka_unit_test(what_is_not_confirmed_has_not_ended),
		cmocka_unit_test(kept_ends_while_off),
		cmocka_unit_test(left_blocked),
		cmocka_unit_test(handed_over_is_hands_off),
		cmocka_unit_test(garbage_is_survived),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
