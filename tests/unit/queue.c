/* SPDX-License-Identifier: MIT */
/*
 * The invalidation queue when something goes wrong in it (VT-d 6.5.2.10): a
 * descriptor arrives spoilt, a completion comes that nobody asked for, the ring
 * is full, several CPUs wait when a device falls silent. What was asked for is
 * done in the end, or the caller is told that it was not.
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
#include "support/words.h"

#define RW (IOMMU_READ | IOMMU_WRITE)
#define AT 0x200000ull

enum {
	REG_FSTS = 0x34,
	REG_IQT = 0x88,
	REG_IQA = 0x90,
	FSTS_IQE = 1 << 4,
	FSTS_ICE = 1 << 5,
	FSTS_ITE = 1 << 6,
	TYPE_WAIT = 5,
};

struct play {
	struct rig r;
	struct iommu_domain *domain;
	uint64_t page;
};

/** What happens to descriptors between the library and the unit. */
static struct {
	struct play *p;
	struct iommu_host real;
	unsigned tail;
	/** How many doorbells from now on are spoilt, and which descriptors. */
	unsigned times;
	bool waits;
	/** Device time-outs that the library cleared. */
	unsigned cleared;
} line;

static void spoil(struct model *m, uint64_t ring, unsigned slot)
{
	uint64_t *low = model_ptr(m, ring + 16ull * slot);
	bool is_wait = (*low & 15) == TYPE_WAIT;

	if (is_wait != line.waits)
		return;
	if (is_wait)
		*low |= 1ull << 20; /* reserved */
	else
		*low |= 0xf; /* no such type */
}

static void reg_write(
	void *ctx, void *regs, uint32_t offset, unsigned width, uint64_t value)
{
	struct model *m = line.p->r.m;

	if (offset == REG_IQT && (uintptr_t)regs == model_unit_base(m, 0)) {
		unsigned tail = (unsigned)(value >> 4);
		uint64_t ring =
			model_read64(m, model_unit_base(m, 0) + REG_IQA);
		bool hit = line.times && line.tail != tail;

		for (; line.tail != tail; line.tail = (line.tail + 1) % 512)
			if (hit)
				spoil(m, ring & ~0xfffull, line.tail);
		line.times -= hit;
	}
	line.cleared += offset == REG_FSTS && value == FSTS_ITE;
	line.real.reg_write(ctx, regs, offset, width, value);
}

/** The library's patience with a unit; 0 is the default. */
static uint64_t patience_ns;

static void open_play(struct play *p, const char *kind, enum model_mode mode)
{
	memset(&line, 0, sizeof(line));
	memset(p, 0, sizeof(*p));
	rig_open(&p->r, kind, mode, 1);
	line.p = p;
	line.real = p->r.hooks;
	p->r.hooks.reg_write = reg_write;
	p->r.options.ats = IOMMU_ON;
	if (patience_ns)
		p->r.options.timeout_ns = p->r.options.device_timeout_ns =
			patience_ns;
	rig_start_ok(&p->r);
	p->page = rig_frame(&p->r, 9);
	p->domain = rig_mapped_domain(&p->r);
	OK(iommu_attach(p->r.iommu, rig_id(RIG_DEV), p->domain));
	OK(iommu_map(p->domain, iommu_iova(AT), iommu_phys(p->page), 4096, RW));
	assert_true(rig_can_write(&p->r, RIG_DEV, AT));
}

static void attach_ats(struct play *p, enum model_ats_answer answer)
{
	OK(iommu_attach(p->r.iommu, rig_id(RIG_ATS), p->domain));
	model_ats_behave(p->r.m, 0, RIG_ATS, answer);
}

static void close_play(struct play *p)
{
	enum iommu_status status = iommu_detach(p->r.iommu, rig_id(RIG_ATS));

	assert_true(status == IOMMU_OK || status == IOMMU_NOT_ATTACHED);
	OK(iommu_detach(p->r.iommu, rig_id(RIG_DEV)));
	OK(iommu_domain_destroy(p->domain));
	model_page_free(p->r.m, p->page, 0);
	rig_close(&p->r);
}

static struct iommu_stats stats_of(struct play *p)
{
	struct iommu_stats stats;

	OK(iommu_unit_stats(p->r.iommu, 0, &stats));
	return stats;
}

static enum iommu_status unmap(struct play *p)
{
	return iommu_unmap_now(p->domain, iommu_iova(AT), 4096);
}

/** The judge saw the spoilt descriptors too; they are not the library's. */
static void forgive(struct play *p)
{
	assert_int_equal(model_violation_count(p->r.m),
		model_violations_of(p->r.m, MODEL_V_QUEUE) +
			model_violations_of(p->r.m, MODEL_V_RESERVED));
	model_violations_clear(p->r.m);
}

static void spoilt_descriptor_is_repeated(void **state)
{
	static const char *const kinds[] = {
		"plain", "caching", "nehalem-5520", "qemu-7.2"};

	(void)state;
	for (unsigned k = 0; k < 16; k++) {
		struct play p;

		open_play(&p, kinds[k / 4], k & 1 ? MODEL_LAZY : MODEL_RANDOM);
		line.waits = k & 2;
		line.times = 1;
		OK(unmap(&p));
		assert_int_equal(line.times, 0);
		forgive(&p);
		assert_false(rig_can_read(&p.r, RIG_DEV, AT));
		assert_int_equal(stats_of(&p).queue_errors, 1);
		assert_non_null(
			strstr(p.r.host.last_line, "refused descriptor"));
		words_start();
		iommu_report_queue(p.r.iommu, words_sink, NULL);
		words_have(" last refused: ");
		/* The queue goes on as before. */
		OK(iommu_map(p.domain, iommu_iova(AT), iommu_phys(p.page), 4096,
			RW));
		assert_true(rig_can_read(&p.r, RIG_DEV, AT));
		OK(unmap(&p));
		assert_false(rig_can_read(&p.r, RIG_DEV, AT));
		assert_int_equal(stats_of(&p).queue_errors, 1);
		close_play(&p);
	}
}

/** Whatever is sent is spoilt: the caller is told, in bounded time. */
static void always_spoilt_ends_unconfirmed(void **state)
{
	(void)state;
	for (unsigned k = 0; k < 2; k++) {
		enum iommu_status status;
		struct play p;

		open_play(&p, "plain", MODEL_LAZY);
		line.waits = k;
		line.times = 1000;
		status = unmap(&p);
		assert_true(status == IOMMU_UNCONFIRMED ||
			status == IOMMU_UNIT_LOST);
		assert_true(line.times > 900);
		rig_close_anyhow(&p.r);
	}
}

static void fewer_than_the_repeats_is_done(void **state)
{
	struct play p;

	(void)state;
	open_play(&p, "plain", MODEL_LAZY);
	line.times = 3;
	OK(unmap(&p));
	assert_int_equal(stats_of(&p).queue_errors, 3);
	forgive(&p);
	assert_false(rig_can_read(&p.r, RIG_DEV, AT));
	close_play(&p);
}

/** Whoever looks late learns of a loss all the same, however many came since.
 */
static void old_loss_is_not_forgotten(void **state)
{
	const struct vtd_command everything = {.op = VTD_OP_IOTLB_GLOBAL};
	struct ticket ticket;
	struct vtd_unit *unit;
	struct play p;

	(void)state;
	open_play(&p, "plain", MODEL_LAZY);
	unit = vtd_of(p.r.iommu->unit[0]);
	line.times = 1;
	OK(vtd_submit(unit, &everything, 1, &ticket));
	for (unsigned n = 0; n < 20; n++) {
		OK(iommu_flush_all(p.domain, IOMMU_REMOVED));
		line.times = 1;
	}
	line.times = 0;
	assert_int_equal(stats_of(&p).queue_errors, 20);
	assert_int_equal(vtd_wait(&unit->unit, ticket), IOMMU_UNCONFIRMED);
	forgive(&p);
	close_play(&p);
}

/** Two units are flushed together, one refuses: its part is repeated. */
static void refusal_of_one_unit_of_two_is_repeated(void **state)
{
	(void)state;
	for (unsigned k = 0; k < 4; k++) {
		struct play p;

		memset(&line, 0, sizeof(line));
		memset(&p, 0, sizeof(p));
		rig_open_two(&p.r, "plain", "plain",
			k & 1 ? MODEL_RANDOM : MODEL_LAZY);
		line.p = &p;
		line.real = p.r.hooks;
		p.r.hooks.reg_write = reg_write;
		rig_start_ok(&p.r);
		p.page = rig_frame(&p.r, 9);
		p.domain = rig_mapped_domain(&p.r);
		OK(iommu_attach(p.r.iommu, rig_id(RIG_DEV), p.domain));
		OK(iommu_attach(p.r.iommu, rig_id(RIG_OTHER), p.domain));
		OK(iommu_map(p.domain, iommu_iova(AT), iommu_phys(p.page), 4096,
			RW));
		assert_true(rig_can_write(&p.r, RIG_DEV, AT));
		assert_true(rig_can_write(&p.r, RIG_OTHER, AT));
		line.waits = k & 2;
		line.times = 1;
		OK(unmap(&p));
		assert_int_equal(line.times, 0);
		forgive(&p);
		assert_int_equal(stats_of(&p).queue_errors, 1);
		assert_false(rig_can_write(&p.r, RIG_DEV, AT));
		assert_false(rig_can_write(&p.r, RIG_OTHER, AT));
		OK(iommu_detach(p.r.iommu, rig_id(RIG_OTHER)));
		close_play(&p);
	}
}

/* ---- what the unit reports besides ---- */

static unsigned errors_left;

static void completion_error(struct model_host *h)
{
	if (errors_left) {
		errors_left--;
		model_unit_error(h->m, 0, FSTS_ICE);
	}
}

static void unasked_completion_is_noted(void **state)
{
	struct play p;

	(void)state;
	open_play(&p, "plain", MODEL_LAZY);
	attach_ats(&p, MODEL_ATS_LATE);
	errors_left = 1;
	p.r.host.on_relax = completion_error;
	OK(unmap(&p));
	p.r.host.on_relax = NULL;
	assert_int_equal(errors_left, 0);
	assert_non_null(
		strstr(p.r.host.last_line, "unexpected completion from"));
	assert_int_equal(
		model_read32(p.r.m, model_unit_base(p.r.m, 0) + REG_FSTS) &
			FSTS_ICE,
		0);
	assert_false(rig_can_read(&p.r, RIG_DEV, AT));
	close_play(&p);
}

static void long_waits_are_in_the_histogram(void **state)
{
	struct iommu_stats stats;
	unsigned slot = 0;
	struct play p;

	(void)state;
	open_play(&p, "plain", MODEL_LAZY);
	attach_ats(&p, MODEL_ATS_LATE);
	OK(unmap(&p));
	stats = stats_of(&p);
	/* 900 us: below 1024 us, not below 512 us. */
	for (unsigned n = 0; n < IOMMU_LATENCY_SLOTS; n++)
		if (stats.latency[n])
			slot = n;
	assert_int_equal(slot, 10);
	assert_int_equal(stats.latency[slot], 1);
	close_play(&p);
}

/* ---- several at once ---- */

static struct play *crowd;
static unsigned depth, deepest, most;
static enum iommu_status worst;

/** While one waits, the next one comes and asks for something too. */
static void next_one(struct model_host *h)
{
	enum iommu_status status;

	(void)h;
	if (deepest == most)
		return;
	deepest = ++depth;
	status = iommu_flush(
		crowd->domain, IOMMU_RIGHTS_CUT, iommu_iova(AT), 4096);
	if (status != IOMMU_OK)
		worst = status;
	depth--;
}

static void come_together(struct play *p, unsigned count)
{
	crowd = p;
	depth = deepest = 0;
	most = count;
	worst = IOMMU_OK;
	p->r.host.on_relax = next_one;
}

static void full_ring_is_waited_for(void **state)
{
	static const char *const kinds[] = {"plain", "caching"};

	(void)state;
	for (unsigned k = 0; k < 2; k++) {
		struct play p;

		open_play(&p, kinds[k], MODEL_LAZY);
		attach_ats(&p, MODEL_ATS_LATE);
		come_together(&p, 200);
		OK(unmap(&p));
		p.r.host.on_relax = NULL;
		assert_int_equal(deepest, 200);
		assert_int_equal(worst, IOMMU_OK);
		assert_false(rig_can_read(&p.r, RIG_DEV, AT));
		close_play(&p);
	}
}

/** Fills the ring as if another CPU were on its way to it all the time, to whom
 *  the doorbell is left. */
static struct ticket fill_ring(struct vtd_unit *unit, unsigned submissions)
{
	const struct vtd_command everything = {.op = VTD_OP_IOTLB_GLOBAL};
	struct ticket ticket;

	unit->queue.coming++;
	for (unsigned n = 0; n < submissions; n++)
		OK(vtd_submit(unit, &everything, 1, &ticket));
	unit->queue.coming--;
	return ticket;
}

/** It finds no room either, so somebody else has to ring. */
static void full_ring_is_rung_for_whoever_comes(void **state)
{
	struct ticket ticket;
	struct vtd_unit *unit;
	uint64_t doorbells;
	struct play p;

	(void)state;
	open_play(&p, "plain", MODEL_LAZY);
	unit = vtd_of(p.r.iommu->unit[0]);
	doorbells = stats_of(&p).doorbells;
	ticket = fill_ring(unit, VTD_QUEUE_SLOTS);
	assert_true(stats_of(&p).doorbells > doorbells);
	OK(iommu_flush_all(p.domain, IOMMU_REMOVED));
	OK(vtd_wait(&unit->unit, ticket));
	close_play(&p);
}

static void full_ring_is_emptied_before_it_goes_off(void **state)
{
	struct play p;

	(void)state;
	open_play(&p, "plain", MODEL_LAZY);
	(void)fill_ring(vtd_of(p.r.iommu->unit[0]), VTD_QUEUE_SLOTS / 2 - 1);
	OK(iommu_suspend(p.r.iommu));
	OK(iommu_resume(p.r.iommu));
	assert_true(rig_can_write(&p.r, RIG_DEV, AT));
	close_play(&p);
}

static void full_ring_of_a_dead_unit_is_given_up(void **state)
{
	enum iommu_status status;
	struct play p;

	(void)state;
	/* Several waits one after the other must end before the model takes
	 * them for one without an end. */
	patience_ns = 1000000;
	open_play(&p, "plain", MODEL_LAZY);
	patience_ns = 0;
	come_together(&p, 258);
	model_unit_hang(p.r.m, 0, 0);
	status = unmap(&p);
	p.r.host.on_relax = NULL;
	assert_int_equal(status, IOMMU_UNIT_LOST);
	assert_int_equal(worst, IOMMU_UNIT_LOST);
	assert_int_equal(deepest, 258);
	assert_int_equal(model_violation_count(p.r.m), 0);
	rig_close_anyhow(&p.r);
}

static unsigned looks;
static enum iommu_status second;

static void second_one(struct model_host *h)
{
	(void)h;
	if (++looks == 1)
		second = iommu_flush(
			crowd->domain, IOMMU_RIGHTS_CUT, iommu_iova(AT), 4096);
}

/** The CPU whose descriptor was refused is away: another one that waits behind
 *  repairs the queue and gets it going. */
static void others_go_on_without_the_one_refused(void **state)
{
	(void)state;
	for (unsigned k = 0; k < 2; k++) {
		struct play p;

		open_play(&p, "plain", k ? MODEL_RANDOM : MODEL_LAZY);
		crowd = &p;
		looks = 0;
		second = IOMMU_UNCONFIRMED;
		line.times = 1;
		p.r.host.on_relax = second_one;
		OK(unmap(&p));
		p.r.host.on_relax = NULL;
		assert_true(looks > 1);
		assert_int_equal(second, IOMMU_OK);
		assert_int_equal(stats_of(&p).queue_errors, 1);
		assert_int_equal(stats_of(&p).timeouts, 0);
		forgive(&p);
		assert_false(rig_can_read(&p.r, RIG_DEV, AT));
		close_play(&p);
	}
}

/** A device falls silent while several wait: each one's flush is repeated, and
 *  only the device is blocked. */
static void silence_harms_nobody_else(void **state)
{
	static const char *const kinds[] = {
		"plain", "haswell-ep", "nehalem-5520"};

	(void)state;
	for (unsigned k = 0; k < 12; k++) {
		struct iommu_device_info info;
		struct play p;

		open_play(&p, kinds[k % 3], k & 1 ? MODEL_LAZY : MODEL_RANDOM);
		attach_ats(&p, MODEL_ATS_NEVER);
		come_together(&p, 1 + k);
		OK(unmap(&p));
		p.r.host.on_relax = NULL;
		assert_int_equal(worst, IOMMU_OK);
		assert_int_equal(deepest, most);
		assert_true(line.cleared > 0);
		assert_int_equal(stats_of(&p).device_timeouts, line.cleared);
		OK(iommu_device_info(p.r.iommu, rig_id(RIG_ATS), &info));
		assert_int_equal(info.state, IOMMU_DEVICE_QUARANTINED);
		assert_false(rig_can_read(&p.r, RIG_DEV, AT));
		model_ats_behave(p.r.m, 0, RIG_ATS, MODEL_ATS_PROMPT);
		OK(iommu_device_revive(p.r.iommu, rig_id(RIG_ATS)));
		close_play(&p);
	}
}

/* ---- many laps ---- */

/** Positions outgrow 32 bits' worth of laps only in years, a lap is soon. */
static void queue_runs_in_laps(void **state)
{
	struct play p;

	(void)state;
	open_play(&p, "plain", MODEL_LAZY);
	for (unsigned n = 0; n < 3000; n++) {
		OK(unmap(&p));
		OK(iommu_map(p.domain, iommu_iova(AT), iommu_phys(p.page), 4096,
			RW));
	}
	OK(unmap(&p));
	assert_false(rig_can_read(&p.r, RIG_DEV, AT));
	OK(iommu_suspend(p.r.iommu));
	model_unit_reset(p.r.m, 0);
	OK(iommu_resume(p.r.iommu));
	for (unsigned n = 0; n < 600; n++)
		OK(iommu_flush_all(p.domain, IOMMU_REMOVED));
	close_play(&p);
}

/** All of the address space is forgotten, at whatever end it was cached. */
static void flush_all_reaches_everything(void **state)
{
	static const char *const kinds[] = {"plain", "no-qi", "no-psi"};
	static const uint64_t far[] = {0, AT, 1ull << 30, 0xfffffffff000};

	(void)state;
	for (unsigned k = 0; k < 3; k++) {
		struct iommu_batch batch;
		struct play p;

		open_play(&p, kinds[k], MODEL_LAZY);
		iommu_batch_init(&batch, p.domain);
		for (unsigned n = 0; n < 4; n++) {
			if (far[n] != AT)
				OK(iommu_map(p.domain, iommu_iova(far[n]),
					iommu_phys(p.page), 4096, RW));
			assert_true(rig_can_read(&p.r, RIG_DEV, far[n]));
		}
		for (unsigned n = 0; n < 4; n++)
			OK(iommu_unmap(p.domain, iommu_iova(far[n]), 4096,
				&batch, NULL));
		OK(iommu_flush_all(p.domain, IOMMU_REMOVED));
		for (unsigned n = 0; n < 4; n++)
			assert_false(rig_can_read(&p.r, RIG_DEV, far[n]));
		OK(iommu_batch_flush(&batch));
		close_play(&p);
	}
}

/* ---- nothing in the ring is lost ---- */

enum {
	CROWD = 300,
};

static struct iommu_domain *crowded;

/** While one waits the next one unmaps a page of its own. */
static void next_page(struct model_host *h)
{
	enum iommu_status status;

	(void)h;
	if (deepest == CROWD)
		return;
	deepest = ++depth;
	status = iommu_unmap_now(
		crowded, iommu_iova(AT + 4096ull * deepest), 4096);
	if (status != IOMMU_OK)
		worst = status;
	depth--;
}

/** More want to say something different than the ring holds: each is heard. */
static void full_ring_is_not_written_on(void **state)
{
	struct play p;

	(void)state;
	open_play(&p, "plain", MODEL_LAZY);
	crowded = rig_mapped_domain(&p.r);
	OK(iommu_attach(p.r.iommu, rig_id(RIG_OTHER), crowded));
	for (unsigned n = 1; n <= CROWD; n++) {
		OK(iommu_map(crowded, iommu_iova(AT + 4096ull * n),
			iommu_phys(p.page), 4096, RW));
		assert_true(rig_can_read(&p.r, RIG_OTHER, AT + 4096ull * n));
	}
	attach_ats(&p, MODEL_ATS_LATE);
	come_together(&p, 0);
	p.r.host.on_relax = next_page;
	OK(unmap(&p));
	p.r.host.on_relax = NULL;
	assert_int_equal(deepest, CROWD);
	assert_int_equal(worst, IOMMU_OK);
	for (unsigned n = 1; n <= CROWD; n++)
		assert_false(rig_can_read(&p.r, RIG_OTHER, AT + 4096ull * n));
	OK(iommu_detach(p.r.iommu, rig_id(RIG_OTHER)));
	OK(iommu_domain_destroy(crowded));
	close_play(&p);
}

/* ---- what the unit is asked for ---- */

static struct play *asking;
static unsigned iotlb_seen;
static bool drains_reads, drains_writes;

static void read_descriptors(
	void *ctx, void *regs, uint32_t offset, unsigned width, uint64_t value)
{
	enum {
		TYPE_IOTLB = 2,
		DRAIN_WRITES = 1 << 6,
		DRAIN_READS = 1 << 7,
	};
	struct model *m = asking->r.m;
	unsigned tail = (unsigned)(value >> 4);

	for (; offset == REG_IQT && line.tail != tail;
		line.tail = (line.tail + 1) % 512) {
		uint64_t ring =
			model_read64(m, model_unit_base(m, 0) + REG_IQA);
		uint64_t low = *(uint64_t *)model_ptr(
			m, (ring & ~0xfffull) + 16ull * line.tail);

		if ((low & 15) != TYPE_IOTLB)
			continue;
		iotlb_seen++;
		assert_int_equal(!!(low & DRAIN_READS), drains_reads);
		assert_int_equal(!!(low & DRAIN_WRITES), drains_writes);
	}
	line.real.reg_write(ctx, regs, offset, width, value);
}

/** Requests under way are drained where the unit can (CAP.DRD, CAP.DWD), and
 *  nothing is asked for that it has not. */
static void drains_are_asked_for_where_there_are(void **state)
{
	(void)state;
	for (unsigned k = 0; k < 4; k++) {
		struct model_personality kind =
			*model_personality_find("plain");
		struct iommu_domain *domain;
		struct play p;

		drains_writes = k & 1;
		drains_reads = k & 2;
		kind.cap &= ~(3ull << 54);
		kind.cap |= (uint64_t)k << 54;
		memset(&line, 0, sizeof(line));
		memset(&p, 0, sizeof(p));
		rig_open_machine(&p.r,
			model_create_usual(&kind, MODEL_LAZY, 0, 1, false));
		asking = &p;
		line.real = p.r.hooks;
		p.r.hooks.reg_write = read_descriptors;
		iotlb_seen = 0;
		rig_start_ok(&p.r);
		domain = rig_mapped_domain(&p.r);
		OK(iommu_attach(p.r.iommu, rig_id(RIG_DEV), domain));
		OK(iommu_map(domain, iommu_iova(AT), iommu_phys(0x100000), 4096,
			RW));
		OK(iommu_unmap_now(domain, iommu_iova(AT), 4096));
		OK(iommu_detach(p.r.iommu, rig_id(RIG_DEV)));
		OK(iommu_domain_destroy(domain));
		assert_true(iotlb_seen >= 3);
		rig_close(&p.r);
	}
}

/* ---- one of several ids ---- */

/** A device's last id is confirmed, another one is not: the device is not
 *  free. */
static void one_unconfirmed_id_is_enough(void **state)
{
	bool unconfirmed = false;

	(void)state;
	for (unsigned times = 3; times < 12; times++) {
		struct iommu_device_info info;
		enum iommu_status status;
		struct play p;

		open_play(&p, "plain", MODEL_LAZY);
		OK(iommu_attach(
			p.r.iommu, rig_id(RIG_BEHIND_BRIDGE), p.domain));
		line.times = times;
		status = iommu_detach(p.r.iommu, rig_id(RIG_BEHIND_BRIDGE));
		OK(iommu_device_info(
			p.r.iommu, rig_id(RIG_BEHIND_BRIDGE), &info));
		if (times < 4) {
			assert_int_equal(status, IOMMU_OK);
			assert_int_equal(info.state, IOMMU_DEVICE_BLOCKED);
		} else {
			/* Of two, the first; then both. */
			assert_int_equal(status, IOMMU_UNCONFIRMED);
			assert_int_equal(info.state, IOMMU_DEVICE_QUARANTINED);
			unconfirmed = true;
		}
		rig_close_anyhow(&p.r);
	}
	assert_true(unconfirmed);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(spoilt_descriptor_is_repeated),
		cmocka_unit_test(always_spoilt_ends_unconfirmed),
		cmocka_unit_test(fewer_than_the_repeats_is_done),
		cmocka_unit_test(old_loss_is_not_forgotten),
		cmocka_unit_test(refusal_of_one_unit_of_two_is_repeated),
		cmocka_unit_test(unasked_completion_is_noted),
		cmocka_unit_test(long_waits_are_in_the_histogram),
		cmocka_unit_test(full_ring_is_waited_for),
		cmocka_unit_test(full_ring_is_rung_for_whoever_comes),
		cmocka_unit_test(full_ring_is_emptied_before_it_goes_off),
		cmocka_unit_test(full_ring_of_a_dead_unit_is_given_up),
		cmocka_unit_test(others_go_on_without_the_one_refused),
		cmocka_unit_test(silence_harms_nobody_else),
		cmocka_unit_test(queue_runs_in_laps),
		cmocka_unit_test(flush_all_reaches_everything),
		cmocka_unit_test(full_ring_is_not_written_on),
		cmocka_unit_test(drains_are_asked_for_where_there_are),
		cmocka_unit_test(one_unconfirmed_id_is_enough),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
