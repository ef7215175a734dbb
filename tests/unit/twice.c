/* SPDX-License-Identifier: MIT */
/*
 * A second thing goes wrong while the first is dealt with: a device fell
 * silent, a map has to be taken back, a device changes hands; and then the unit
 * stops, or its n-th answer does not come, for each n until the run is
 * untouched. Whatever happens the caller is told in bounded time, and nothing
 * that the hardware may still reach is given away.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <stdio.h>
#include <string.h>
#include <iommu/dma.h>
#include <iommu/stage.h>
#include "support/board.h"
#include "support/table.h"

#define RW (IOMMU_READ | IOMMU_WRITE)
#define AT 0x200000ull
#define REGION 0x800000ull

static struct rig first, r;
static struct iommu_domain *domain;
static struct iommu_dma *dma;
static uint64_t page;

struct scene {
	const char *kind;
	/** Brings the machine to where the first thing goes wrong. */
	void (*prepare)(const char *kind);
	/** The call during which the second one does. */
	enum iommu_status (*call)(void);
	/** What the call says when nothing else goes wrong. */
	enum iommu_status usual;
};

static void start(void)
{
	r.options.timeout_ns = 1000000;
	r.options.device_timeout_ns = 2000000;
	rig_start_ok(&r);
	page = rig_frame(&r, 9);
	domain = rig_mapped_domain(&r);
}

static void map_and_attach(uint16_t bdf)
{
	enum iommu_status status =
		iommu_map(domain, iommu_iova(AT), iommu_phys(page), 4096, RW);

	assert_true(status == IOMMU_OK || status == IOMMU_MAPPED);
	OK(iommu_attach(r.iommu, rig_id(bdf), domain));
}

/* ---- a silent device ---- */

static void fall_silent(const char *kind)
{
	rig_open(&r, kind, MODEL_LAZY, 1);
	r.options.ats = IOMMU_ON;
	start();
	map_and_attach(RIG_ATS);
	assert_true(model_ats_request(r.m, 0, RIG_ATS, AT, true));
	model_ats_behave(r.m, 0, RIG_ATS, MODEL_ATS_NEVER);
}

static enum iommu_status unmap(void)
{
	return iommu_unmap_now(domain, iommu_iova(AT), 4096);
}

static void be_blocked(const char *kind)
{
	fall_silent(kind);
	OK(unmap());
	model_ats_behave(r.m, 0, RIG_ATS, MODEL_ATS_PROMPT);
}

static enum iommu_status revive(void)
{
	return iommu_device_revive(r.iommu, rig_id(RIG_ATS));
}

/* ---- reserved memory, between two owners ---- */

static void park(const char *kind)
{
	struct builder table;

	board_begin(&table);
	board_add(RIG_DEV, BOARD_INTEGRATED);
	table_unit_for_all(&table);
	table_reserved(&table, 0, REGION, REGION + 0x1fff);
	table_endpoint(&table, RIG_DEV);
	table_close(&table);
	board_open(&r, kind, &table);
	r.options.keep_reserved_memory = true;
	r.options.allow_reserved_memory = true;
	start();
	assert_true(rig_can_write(&r, RIG_DEV, REGION));
}

static enum iommu_status attach(void)
{
	return iommu_attach(r.iommu, rig_id(RIG_DEV), domain);
}

static void leave_parking(const char *kind)
{
	park(kind);
	map_and_attach(RIG_DEV);
}

static enum iommu_status detach(void)
{
	return iommu_detach(r.iommu, rig_id(RIG_DEV));
}

/** A domain in which it reaches nothing: one entry cannot simply take the place
 *  of the other. */
static enum iommu_status attach_blocked(void)
{
	struct iommu_domain_config config = {.kind = IOMMU_DOMAIN_BLOCKED};

	if (domain && iommu_domain_kind(domain) != IOMMU_DOMAIN_BLOCKED)
		OK(iommu_domain_create(r.iommu, &config, &domain));
	return attach();
}

static void leave_blocked(const char *kind)
{
	park(kind);
	OK(attach_blocked());
}

static enum iommu_status hand_over(void)
{
	return iommu_hand_over(r.iommu, IOMMU_HAND_OVER_BLOCKED);
}

/* ---- what an earlier owner left ---- */

static void inherit(const char *kind)
{
	struct model *m = model_create_simple(kind, MODEL_LAZY, 1);
	struct iommu_irq_target target = {.vector = 0x50};
	struct iommu_domain *old;
	struct iommu_irq irq;

	rig_open_machine(&first, m);
	first.options.ats = IOMMU_ON;
	rig_start_ok(&first);
	old = rig_mapped_domain(&first);
	OK(iommu_attach(first.iommu, rig_id(RIG_BEHIND_BRIDGE), old));
	OK(iommu_attach(first.iommu, rig_id(RIG_DEV), old));
	OK(iommu_attach(first.iommu, rig_id(RIG_ATS), old));
	OK(iommu_irq_alloc(first.iommu, rig_id(RIG_DEV), 1, &irq));
	OK(iommu_irq_set(first.iommu, &irq, 0, &target));
	rig_open_machine(&r, m);
	r.options.take_over = IOMMU_TAKE_OVER_KEPT;
	start();
}

static enum iommu_status detach_inherited(void)
{
	return iommu_detach(r.iommu, rig_id(RIG_BEHIND_BRIDGE));
}

static enum iommu_status attach_inherited(void)
{
	return iommu_attach(r.iommu, rig_id(RIG_BEHIND_BRIDGE), domain);
}

static enum iommu_status end_all(void)
{
	return iommu_inherited_end(r.iommu);
}

static void inherit_silence(const char *kind)
{
	inherit(kind);
	model_ats_behave(r.m, 0, RIG_ATS, MODEL_ATS_NEVER);
}

static enum iommu_status detach_silent(void)
{
	return iommu_detach(r.iommu, rig_id(RIG_ATS));
}

/* ---- maps that have to be taken back ---- */

static void occupy(const char *kind)
{
	struct iommu_dma_config config = {0};

	rig_open(&r, kind, MODEL_LAZY, 1);
	start();
	map_and_attach(RIG_DEV);
	OK(iommu_dma_create(domain, &config, &dma));
}

/** The last piece cannot be reached by the unit. */
static enum iommu_status map_list(void)
{
	const struct iommu_dma_piece piece[] = {{iommu_phys(page), 4096},
		{iommu_phys(page), 4096}, {iommu_phys(1ull << 60), 4096}};
	struct iommu_dma_range range[3];
	unsigned count;

	return iommu_dma_map_list(
		dma, piece, 3, ~0ull, IOMMU_BOTH_WAYS, range, &count);
}

/** The page of the second table is missing. */
static enum iommu_status map_long(void)
{
	enum iommu_status status;

	model_fail_alloc(r.m, 2, false);
	status = iommu_map(
		domain, iommu_iova(0x3fff000), iommu_phys(page), 2 * 4096, RW);
	model_fail_alloc(r.m, 0, false);
	return status;
}

static const struct scene scenes[] = {
	{"plain", fall_silent, unmap, IOMMU_OK},
	{"nehalem-5520", fall_silent, unmap, IOMMU_OK},
	{"plain", be_blocked, revive, IOMMU_OK},
	{"plain", park, attach, IOMMU_OK},
	{"caching", park, attach, IOMMU_OK},
	{"plain", leave_parking, detach, IOMMU_OK},
	{"caching", leave_parking, detach, IOMMU_OK},
	{"plain", park, attach_blocked, IOMMU_OK},
	{"caching", leave_blocked, detach, IOMMU_OK},
	{"plain", park, hand_over, IOMMU_OK},
	{"plain", inherit, detach_inherited, IOMMU_OK},
	{"plain", inherit, attach_inherited, IOMMU_OK},
	{"plain", inherit_silence, detach_silent, IOMMU_DEVICE_BROKEN},
	{"plain", inherit, hand_over, IOMMU_OK},
	{"plain", inherit, end_all, IOMMU_OK},
	{"plain", occupy, map_list, IOMMU_WIDTH},
	{"caching", occupy, map_list, IOMMU_WIDTH},
	{"caching", occupy, map_long, IOMMU_NO_MEMORY},
};

enum injection {
	HUNG_FROM_NTH_ACCESS,
	GONE_FROM_NTH_ACCESS,
	NTH_WAIT,
};

static bool is_told(const struct scene *s, enum iommu_status status)
{
	return status == s->usual || status == IOMMU_UNIT_LOST ||
		status == IOMMU_UNCONFIRMED || status == IOMMU_DEVICE_BROKEN ||
		status == IOMMU_OFF;
}

/** Returns whether the injection was met. */
static bool run(const struct scene *s, enum injection what, unsigned n)
{
	enum iommu_status status;

	s->prepare(s->kind);
	if (what == HUNG_FROM_NTH_ACCESS)
		model_unit_hang(r.m, 0, n);
	else if (what == GONE_FROM_NTH_ACCESS)
		model_unit_gone(r.m, 0, n);
	else
		model_fail_wait(r.m, n);
	status = s->call();
	if (!is_told(s, status))
		fail_msg("scene %zu: %s", (size_t)(s - scenes),
			iommu_status_text(status));
	assert_int_equal(r.host.locks_held, 0);
	if (model_violation_count(r.m))
		model_report(r.m, stderr);
	assert_int_equal(model_violation_count(r.m), 0);
	rig_close_anyhow(&r);
	return status != s->usual;
}

static void at_every_moment(enum injection what)
{
	for (size_t k = 0; k < sizeof(scenes) / sizeof(*scenes); k++) {
		/* The far end of the call, which is not always met. */
		unsigned missed = 0, met = 0, n;

		for (n = what == NTH_WAIT; missed < 4; n++) {
			bool hit = run(&scenes[k], what, n);

			missed = hit ? 0 : missed + 1;
			met += hit;
			if (n == 400)
				fail_msg("scene %zu does not end", k);
		}
		if (!met)
			fail_msg("scene %zu is never hit", k);
	}
}

static void the_unit_stops_too(void **state)
{
	(void)state;
	at_every_moment(HUNG_FROM_NTH_ACCESS);
}

static void the_unit_vanishes_too(void **state)
{
	(void)state;
	at_every_moment(GONE_FROM_NTH_ACCESS);
}

static void an_answer_does_not_come_either(void **state)
{
	(void)state;
	at_every_moment(NTH_WAIT);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(the_unit_stops_too),
		cmocka_unit_test(the_unit_vanishes_too),
		cmocka_unit_test(an_answer_does_not_come_either),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
