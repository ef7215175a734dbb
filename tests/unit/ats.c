/* SPDX-License-Identifier: MIT */
/*
 * Devices with a TLB of their own: flushed after the unit's, blamed and blocked
 * when they do not answer, without harm to anybody else.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <stdio.h>
#include <string.h>
#include "iommu/vtd/unit.h"
#include "support/rig.h"

#define RW (IOMMU_READ | IOMMU_WRITE)
#define AT 0x200000ull

struct play {
	struct rig r;
	struct iommu_domain *domain;
	uint64_t page;
};

static void open_play(struct play *p, const char *kind, enum model_mode mode)
{
	rig_open(&p->r, kind, mode, 1);
	p->r.options.ats = IOMMU_ON;
	rig_start_ok(&p->r);
	p->page = rig_frame(&p->r, 9);
	p->domain = rig_mapped_domain(&p->r);
	OK(iommu_attach(p->r.iommu, rig_id(RIG_ATS), p->domain));
	OK(iommu_attach(p->r.iommu, rig_id(RIG_DEV), p->domain));
	OK(iommu_map(p->domain, iommu_iova(AT), iommu_phys(p->page), 4096, RW));
}

static void close_play(struct play *p)
{
	enum iommu_status status;

	status = iommu_detach(p->r.iommu, rig_id(RIG_ATS));
	assert_true(status == IOMMU_OK || status == IOMMU_NOT_ATTACHED);
	OK(iommu_detach(p->r.iommu, rig_id(RIG_DEV)));
	OK(iommu_domain_destroy(p->domain));
	model_page_free(p->r.m, p->page, 0);
	rig_close(&p->r);
}

static bool reaches(struct play *p)
{
	uint64_t word = 7;

	return model_ats_dma(p->r.m, 0, RIG_ATS, AT, &word, 8, true) ==
		MODEL_DMA_OK;
}

static void device_tlb_is_flushed(void **state)
{
	static const char *const kinds[] = {"plain", "caching", "non-coherent",
		"qemu-4.0", "haswell-ep", "sapphire-rapids"};
	struct play p;

	(void)state;
	for (unsigned n = 0; n < 12; n++) {
		open_play(&p, kinds[n / 2], n & 1 ? MODEL_LAZY : MODEL_RANDOM);
		assert_true(model_ats_request(p.r.m, 0, RIG_ATS, AT, true));
		assert_true(reaches(&p));
		OK(iommu_unmap_now(p.domain, iommu_iova(AT), 4096));
		assert_false(reaches(&p));
		rig_check(&p.r);
		assert_int_equal(iommu_power(p.r.iommu, false), IOMMU_IN_USE);
		OK(iommu_map(p.domain, iommu_iova(AT), iommu_phys(p.page), 4096,
			RW));
		assert_true(reaches(&p));
		OK(iommu_detach(p.r.iommu, rig_id(RIG_ATS)));
		assert_false(reaches(&p));
		close_play(&p);
	}
}

static void late_answer_is_waited_for(void **state)
{
	struct play p;

	(void)state;
	open_play(&p, "plain", MODEL_LAZY);
	model_ats_behave(p.r.m, 0, RIG_ATS, MODEL_ATS_LATE);
	assert_true(reaches(&p));
	OK(iommu_unmap_now(p.domain, iommu_iova(AT), 4096));
	assert_false(reaches(&p));
	close_play(&p);
}

static void flushed_as_any_other(struct play *p)
{
	OK(iommu_map(p->domain, iommu_iova(AT), iommu_phys(p->page), 4096, RW));
	assert_true(reaches(p));
	OK(iommu_unmap_now(p->domain, iommu_iova(AT), 4096));
	assert_false(reaches(p));
}

static void silent(const char *kind, enum model_mode mode)
{
	struct iommu_device_info info;
	struct play p;

	open_play(&p, kind, mode);
	model_ats_behave(p.r.m, 0, RIG_ATS, MODEL_ATS_NEVER);
	assert_true(reaches(&p));
	assert_true(rig_can_read(&p.r, RIG_DEV, AT));
	OK(iommu_unmap_now(p.domain, iommu_iova(AT), 4096));
	/* Blamed and blocked; what it holds is refused. */
	OK(iommu_device_info(p.r.iommu, rig_id(RIG_ATS), &info));
	assert_int_equal(info.state, IOMMU_DEVICE_QUARANTINED);
	assert_false(reaches(&p));
	assert_int_equal(iommu_attach(p.r.iommu, rig_id(RIG_ATS), p.domain),
		IOMMU_DEVICE_BROKEN);
	/* The other device and the unit are unharmed. */
	assert_false(rig_can_read(&p.r, RIG_DEV, AT));
	OK(iommu_map(p.domain, iommu_iova(AT), iommu_phys(p.page), 4096, RW));
	assert_true(rig_can_read(&p.r, RIG_DEV, AT));
	OK(iommu_unmap_now(p.domain, iommu_iova(AT), 4096));
	/* After its reset it may come back. */
	model_ats_behave(p.r.m, 0, RIG_ATS, MODEL_ATS_PROMPT);
	OK(iommu_device_revive(p.r.iommu, rig_id(RIG_ATS)));
	OK(iommu_attach(p.r.iommu, rig_id(RIG_ATS), p.domain));
	flushed_as_any_other(&p);
	/* So it is if another came into its place. */
	OK(iommu_device_removed(p.r.iommu, rig_id(RIG_ATS)));
	OK(iommu_attach(p.r.iommu, rig_id(RIG_ATS), p.domain));
	flushed_as_any_other(&p);
	OK(iommu_detach(p.r.iommu, rig_id(RIG_ATS)));
	OK(iommu_detach(p.r.iommu, rig_id(RIG_DEV)));
	OK(iommu_domain_destroy(p.domain));
	model_page_free(p.r.m, p.page, 0);
	rig_close(&p.r);
}

static void silent_device_is_blamed_and_blocked(void **state)
{
	(void)state;
	silent("plain", MODEL_LAZY);
	silent("plain", MODEL_RANDOM);
	silent("haswell-ep", MODEL_LAZY);
	silent("nehalem-5520", MODEL_LAZY); /* does not say who */
}

/** More devices with a TLB than one submission has room for. */
static void many_tlbs_are_flushed(void **state)
{
	enum {
		MANY = 21
	};
	struct iommu_domain *domain;
	uint64_t word = 7, page;
	struct rig r;

	(void)state;
	for (unsigned gone = 0; gone < 2; gone++) {
		rig_open_row(&r, "plain", MANY, true);
		r.options.ats = IOMMU_ON;
		rig_start_ok(&r);
		page = rig_frame(&r, 9);
		domain = rig_mapped_domain(&r);
		for (unsigned n = 1; n <= MANY; n++)
			OK(iommu_attach(r.iommu, rig_id(RIG_ROW(n)), domain));
		/* Some leave in the middle of the list. */
		for (unsigned n = 1; gone && n <= MANY; n += 3)
			OK(iommu_detach(r.iommu, rig_id(RIG_ROW(n))));
		OK(iommu_map(
			domain, iommu_iova(AT), iommu_phys(page), 4096, RW));
		for (unsigned n = 1; n <= MANY; n++)
			assert_int_equal(
				model_ats_dma(r.m, 0, RIG_ROW(n), AT, &word, 8,
					true) == MODEL_DMA_OK,
				!gone || n % 3 != 1);
		OK(iommu_unmap_now(domain, iommu_iova(AT), 4096));
		for (unsigned n = 1; n <= MANY; n++)
			assert_int_not_equal(model_ats_dma(r.m, 0, RIG_ROW(n),
						     AT, &word, 8, true),
				MODEL_DMA_OK);
		for (unsigned n = 1; n <= MANY; n++)
			assert_int_equal(
				iommu_detach(r.iommu, rig_id(RIG_ROW(n))),
				gone && n % 3 == 1 ? IOMMU_NOT_ATTACHED
						   : IOMMU_OK);
		OK(iommu_domain_destroy(domain));
		model_page_free(r.m, page, 0);
		rig_close(&r);
	}
}

/* ---- what is flushed, and what is not ---- */

/** What the unit has to look up for a request; *out_ok: it passed. */
static uint64_t lookups(struct play *p, uint64_t at, bool *out_ok)
{
	struct model_counters before, after;
	uint64_t word = 7;

	model_counters(p->r.m, &before);
	*out_ok = model_ats_dma(p->r.m, 0, RIG_ATS, at, &word, 8, true) ==
		MODEL_DMA_OK;
	model_counters(p->r.m, &after);
	return after.walks + after.cache_hits - before.walks -
		before.cache_hits;
}

/** Unmaps count of 16 pages; the device is left with the other blocks of 4. */
static void unmap_some(struct play *p, unsigned first, unsigned count)
{
	uint64_t kept;
	bool ok;

	for (unsigned n = 1; n < 16; n++)
		OK(iommu_map(p->domain, iommu_iova(AT + 4096ull * n),
			iommu_phys(p->page), 4096, RW));
	for (unsigned n = 0; n < 16; n++)
		assert_true(model_ats_request(
			p->r.m, 0, RIG_ATS, AT + 4096ull * n, true));
	kept = lookups(p, AT, &ok);
	OK(iommu_unmap_now(
		p->domain, iommu_iova(AT + 4096ull * first), 4096ull * count));
	for (unsigned n = 0; n < 16; n++) {
		bool near =
			n / 4 >= first / 4 && n / 4 <= (first + count - 1) / 4;
		uint64_t done = lookups(p, AT + 4096ull * n, &ok);

		assert_int_equal(ok, n - first >= count);
		if (!near)
			assert_int_equal(done, kept);
	}
	rig_check(&p->r);
	OK(iommu_unmap_now(p->domain, iommu_iova(AT), 16 * 4096));
	OK(iommu_map(p->domain, iommu_iova(AT), iommu_phys(p->page), 4096, RW));
}

static void device_tlb_forgets_the_range_alone(void **state)
{
	static const unsigned range[][2] = {
		{4, 4}, {8, 4}, {5, 2}, {9, 1}, {8, 3}, {12, 2}};
	struct play p;

	(void)state;
	for (unsigned n = 0; n < sizeof(range) / sizeof(*range); n++) {
		open_play(&p, "plain", MODEL_LAZY);
		unmap_some(&p, range[n][0], range[n][1]);
		close_play(&p);
	}
}

/** A device that was pulled out is asked for nothing any more. */
static void removed_device_is_not_asked(void **state)
{
	struct iommu_stats before, after;
	struct play p;

	(void)state;
	open_play(&p, "plain", MODEL_LAZY);
	assert_true(reaches(&p));
	model_device_remove(p.r.m, 0, RIG_ATS);
	OK(iommu_unit_stats(p.r.iommu, 0, &before));
	OK(iommu_device_removed(p.r.iommu, rig_id(RIG_ATS)));
	OK(iommu_unmap_now(p.domain, iommu_iova(AT), 4096));
	OK(iommu_unit_stats(p.r.iommu, 0, &after));
	assert_int_equal(after.device_tlb_flushes, before.device_tlb_flushes);
	assert_int_equal(after.device_timeouts, 0);
	close_play(&p);
}

/** Devices of one domain behind two units: each is asked through its own. */
static void each_unit_asks_its_own_devices(void **state)
{
	struct iommu_stats stats;
	struct play p;

	(void)state;
	rig_open_two(&p.r, "plain", "plain", MODEL_LAZY);
	p.r.options.ats = IOMMU_ON;
	rig_start_ok(&p.r);
	p.page = rig_frame(&p.r, 9);
	p.domain = rig_mapped_domain(&p.r);
	OK(iommu_attach(p.r.iommu, rig_id(RIG_ATS), p.domain));
	/* RIG_OTHER is behind the second unit. */
	OK(iommu_attach(p.r.iommu, rig_id(RIG_OTHER), p.domain));
	OK(iommu_map(p.domain, iommu_iova(AT), iommu_phys(p.page), 4096, RW));
	assert_true(reaches(&p));
	OK(iommu_unmap_now(p.domain, iommu_iova(AT), 4096));
	OK(iommu_unit_stats(p.r.iommu, 0, &stats));
	assert_int_equal(stats.device_tlb_flushes, 1);
	OK(iommu_unit_stats(p.r.iommu, 1, &stats));
	assert_int_equal(stats.device_tlb_flushes, 0);
	OK(iommu_detach(p.r.iommu, rig_id(RIG_OTHER)));
	OK(iommu_detach(p.r.iommu, rig_id(RIG_ATS)));
	OK(iommu_domain_destroy(p.domain));
	model_page_free(p.r.m, p.page, 0);
	rig_close(&p.r);
}

/* ---- the device's switch ---- */

static struct {
	struct play *p;
	struct iommu_host real;
	unsigned on, off;
} ats_switch;

/** Looks what the device can translate at the moment it is switched. */
static void pci_write(void *ctx, uint16_t segment, uint8_t bus, uint8_t devfn,
	uint16_t offset, unsigned width, uint32_t value)
{
	struct play *p = ats_switch.p;
	bool on = value & 0x8000;

	ats_switch.real.pci_write(
		ctx, segment, bus, devfn, offset, width, value);
	ats_switch.on += on;
	ats_switch.off += !on;
	assert_int_equal(on, model_ats_request(p->r.m, 0, RIG_ATS, AT, true));
}

/** The entry first, then the switch (VT-d 4.1.2); and off at the end. */
static void switch_follows_the_entry(void **state)
{
	struct play p;

	(void)state;
	rig_open(&p.r, "plain", MODEL_LAZY, 1);
	p.r.options.ats = IOMMU_ON;
	ats_switch.p = &p;
	ats_switch.real = p.r.hooks;
	ats_switch.on = ats_switch.off = 0;
	p.r.hooks.pci_write = pci_write;
	rig_start_ok(&p.r);
	p.page = rig_frame(&p.r, 9);
	p.domain = rig_mapped_domain(&p.r);
	OK(iommu_map(p.domain, iommu_iova(AT), iommu_phys(p.page), 4096, RW));
	OK(iommu_attach(p.r.iommu, rig_id(RIG_ATS), p.domain));
	assert_int_equal(ats_switch.on, 1);
	OK(iommu_detach(p.r.iommu, rig_id(RIG_ATS)));
	assert_int_equal(ats_switch.off, 1);
	OK(iommu_domain_destroy(p.domain));
	model_page_free(p.r.m, p.page, 0);
	rig_close(&p.r);
}

/* ---- three devices with TLBs in one domain ---- */

static void open_three(
	struct rig *r, const char *kind, enum model_mode mode, uint64_t seed)
{
	struct model_function_desc functions[4] = {
		{.bdf = 0, .kind = MODEL_CONVENTIONAL, .unit = -1}};
	struct model_unit_desc unit = {
		.kind = model_personality_find(kind), .include_all = true};
	struct model_desc desc = {.seed = seed,
		.mode = mode,
		.units = &unit,
		.unit_count = 1,
		.functions = functions,
		.function_count = 4};

	for (unsigned n = 1; n <= 3; n++)
		functions[n] =
			(struct model_function_desc){.bdf = MODEL_BDF(0, n, 0),
				.kind = MODEL_INTEGRATED,
				.unit = -1,
				.ats = true};
	rig_open_machine(r, model_create(&desc));
}

/** All three hold the page at AT in their TLBs. */
static struct iommu_domain *start_three(struct rig *r)
{
	struct iommu_domain *domain;
	uint64_t word = 7, page;

	r->options.ats = IOMMU_ON;
	rig_start_ok(r);
	page = rig_frame(r, 9);
	domain = rig_mapped_domain(r);
	OK(iommu_map(domain, iommu_iova(AT), iommu_phys(page), 4096, RW));
	for (unsigned n = 1; n <= 3; n++) {
		const uint16_t bdf = MODEL_BDF(0, n, 0);

		OK(iommu_attach(r->iommu, rig_id(bdf), domain));
		assert_int_equal(
			model_ats_dma(r->m, 0, bdf, AT, &word, 8, true),
			MODEL_DMA_OK);
	}
	return domain;
}

/** None of the three reaches the page any more. */
static void unmap_from_three(struct rig *r, struct iommu_domain *domain)
{
	uint64_t word = 7;

	OK(iommu_unmap_now(domain, iommu_iova(AT), 4096));
	for (unsigned n = 1; n <= 3; n++)
		assert_int_not_equal(model_ats_dma(r->m, 0, MODEL_BDF(0, n, 0),
					     AT, &word, 8, true),
			MODEL_DMA_OK);
	assert_int_equal(model_violation_count(r->m), 0);
	rig_close_anyhow(r);
}

/** One of three falls silent: the two others are flushed all the same, whether
 *  the unit says who it was or not. */
static void neighbours_of_the_silent_are_flushed(void **state)
{
	static const char *const kinds[] = {"plain", "nehalem-5520"};

	(void)state;
	for (unsigned k = 0; k < 6; k++) {
		struct iommu_domain *domain;
		struct rig r;

		open_three(&r, kinds[k / 3], MODEL_LAZY, 1);
		domain = start_three(&r);
		model_ats_behave(
			r.m, 0, MODEL_BDF(0, 1 + k % 3, 0), MODEL_ATS_NEVER);
		unmap_from_three(&r, domain);
	}
}

/** However many fall silent in one domain, none is left attached. */
static void all_that_are_silent_are_blocked(void **state)
{
	static const char *const kinds[] = {"plain", "nehalem-5520"};

	(void)state;
	for (unsigned k = 0; k < 2; k++) {
		struct iommu_device_info info;
		struct iommu_domain *domain;
		struct rig r;

		open_three(&r, kinds[k], MODEL_LAZY, 1);
		domain = start_three(&r);
		for (unsigned n = 1; n <= 3; n++)
			model_ats_behave(
				r.m, 0, MODEL_BDF(0, n, 0), MODEL_ATS_NEVER);
		OK(iommu_unmap_now(domain, iommu_iova(AT), 4096));
		for (unsigned n = 1; n <= 3; n++) {
			OK(iommu_device_info(
				r.iommu, rig_id(MODEL_BDF(0, n, 0)), &info));
			assert_int_equal(info.state, IOMMU_DEVICE_QUARANTINED);
		}
		assert_int_equal(iommu_domain_devices(domain), 0);
		rig_close_anyhow(&r);
	}
}

static void without_the_option_the_tlb_stays_off(void **state)
{
	struct iommu_stats stats;
	struct rig r;
	struct iommu_domain *domain;

	(void)state;
	rig_run(&r, "plain", MODEL_LAZY, 1);
	domain = rig_mapped_domain(&r);
	OK(iommu_attach(r.iommu, rig_id(RIG_ATS), domain));
	OK(iommu_map(domain, iommu_iova(AT), iommu_phys(0x10000), 4096, RW));
	OK(iommu_unmap_now(domain, iommu_iova(AT), 4096));
	OK(iommu_detach(r.iommu, rig_id(RIG_ATS)));
	OK(iommu_unit_stats(r.iommu, 0, &stats));
	assert_int_equal(stats.device_tlb_flushes, 0);
	OK(iommu_domain_destroy(domain));
	rig_close(&r);
}

/* A ring that was full when a device's silence emptied it has room again. */
static void slots_of_dropped_waits_are_free(void **state)
{
	const unsigned most = (VTD_QUEUE_SLOTS - 1) / (VTD_PLAN_MAX + 1);
	struct vtd_plan plan = {.count = VTD_PLAN_MAX};
	struct ticket ticket;
	struct vtd_unit *unit;
	struct play p;

	(void)state;
	open_play(&p, "plain", MODEL_LAZY);
	model_ats_behave(p.r.m, 0, RIG_ATS, MODEL_ATS_NEVER);
	/* One silence after another, for each submission. */
	p.r.iommu->options.device_timeout_ns *= 10;
	unit = vtd_of(p.r.iommu->unit[0]);
	/* Each waits for the one before. */
	p.r.iommu->options.device_timeout_ns *= 4;
	for (unsigned n = 0; n < VTD_PLAN_MAX; n++)
		plan.command[n] = (struct vtd_command){.op = VTD_OP_DEVICE_TLB,
			.sid = RIG_ATS,
			.mask = VTD_MASK_ALL};
	for (unsigned n = 0; n < most; n++)
		OK(vtd_submit(unit, plan.command, plan.count, &ticket));
	assert_int_equal(vtd_wait(&unit->unit, ticket), IOMMU_UNCONFIRMED);
	for (unsigned n = 0; n < VTD_PLAN_MAX; n++)
		plan.command[n] =
			(struct vtd_command){.op = VTD_OP_IOTLB_GLOBAL};
	OK(vtd_run(unit, &plan));
	OK(iommu_unmap_now(p.domain, iommu_iova(AT), 4096));
	close_play(&p);
}

static struct play *unmapping;
static unsigned asked;

/** Another CPU unmaps while the device that is gone is being detached. */
static void unmap_meanwhile(struct model_host *h)
{
	struct iommu_stats before, after;

	(void)h;
	if (asked++)
		return;
	OK(iommu_unit_stats(unmapping->r.iommu, 0, &before));
	/* It is not blocked yet, which only the other CPU can say. */
	assert_int_equal(
		iommu_unmap_now(unmapping->domain, iommu_iova(AT), 4096),
		IOMMU_UNCONFIRMED);
	OK(iommu_unit_stats(unmapping->r.iommu, 0, &after));
	assert_int_equal(after.device_tlb_flushes, before.device_tlb_flushes);
}

static void gone_device_is_not_asked_while_it_leaves(void **state)
{
	struct play p;

	(void)state;
	open_play(&p, "plain", MODEL_LAZY);
	assert_true(reaches(&p));
	model_device_remove(p.r.m, 0, RIG_ATS);
	unmapping = &p;
	asked = 0;
	p.r.host.on_relax = unmap_meanwhile;
	OK(iommu_device_removed(p.r.iommu, rig_id(RIG_ATS)));
	p.r.host.on_relax = NULL;
	assert_true(asked > 0);
	close_play(&p);
}

/** Translation can be switched off again when the last TLB is; and what follows
 *  in the device's life is like a device without one. */
static void last_tlb_lets_translation_go(void **state)
{
	struct iommu_device_info info;
	struct play p;

	(void)state;
	open_play(&p, "plain", MODEL_LAZY);
	assert_int_equal(iommu_power(p.r.iommu, false), IOMMU_IN_USE);
	OK(iommu_detach(p.r.iommu, rig_id(RIG_ATS)));
	OK(iommu_device_info(p.r.iommu, rig_id(RIG_ATS), &info));
	assert_false(info.tlb_on);
	OK(iommu_power(p.r.iommu, false));
	OK(iommu_power(p.r.iommu, true));
	OK(iommu_attach(
		p.r.iommu, rig_id(RIG_ATS), iommu_domain_identity(p.r.iommu)));
	OK(iommu_detach(p.r.iommu, rig_id(RIG_ATS)));
	OK(iommu_attach(p.r.iommu, rig_id(RIG_ATS), p.domain));
	OK(iommu_unmap_now(p.domain, iommu_iova(AT), 4096));
	flushed_as_any_other(&p);
	close_play(&p);
}

/* ---- what a time-out drops ---- */

static struct rig *dropping;

/** As soon as one is blamed, the others answer. */
static void recover(void *ctx, enum iommu_log_level level, const char *line)
{
	(void)ctx;
	(void)level;
	if (strstr(line, "does not answer"))
		for (unsigned n = 1; n <= 3; n++)
			model_ats_behave(dropping->m, 0, MODEL_BDF(0, n, 0),
				MODEL_ATS_PROMPT);
}

/** Several devices were asked in one go when time was up: all but the one that
 *  is blamed are asked again. */
static void all_that_a_time_out_drops_is_repeated(void **state)
{
	(void)state;
	for (unsigned k = 0; k < 6; k++) {
		struct iommu_domain *domain;
		struct rig r;

		open_three(&r, "plain", k & 1 ? MODEL_LAZY : MODEL_RANDOM, k);
		dropping = &r;
		r.hooks.log = recover;
		domain = start_three(&r);
		for (unsigned n = 1; n <= 3; n++)
			model_ats_behave(
				r.m, 0, MODEL_BDF(0, n, 0), MODEL_ATS_NEVER);
		unmap_from_three(&r, domain);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(device_tlb_is_flushed),
		cmocka_unit_test(late_answer_is_waited_for),
		cmocka_unit_test(silent_device_is_blamed_and_blocked),
		cmocka_unit_test(many_tlbs_are_flushed),
		cmocka_unit_test(device_tlb_forgets_the_range_alone),
		cmocka_unit_test(removed_device_is_not_asked),
		cmocka_unit_test(each_unit_asks_its_own_devices),
		cmocka_unit_test(switch_follows_the_entry),
		cmocka_unit_test(neighbours_of_the_silent_are_flushed),
		cmocka_unit_test(without_the_option_the_tlb_stays_off),
		cmocka_unit_test(slots_of_dropped_waits_are_free),
		cmocka_unit_test(gone_device_is_not_asked_while_it_leaves),
		cmocka_unit_test(all_that_are_silent_are_blocked),
		cmocka_unit_test(last_tlb_lets_translation_go),
		cmocka_unit_test(all_that_a_time_out_drops_is_repeated),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
