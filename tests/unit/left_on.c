/* SPDX-License-Identifier: MIT */
/*
 * Units as a careless owner leaves them: descriptors under way in the queue,
 * interrupts in compatibility format allowed, memory protected, another mode of
 * tables. And the other way round: the library, torn away, leaves a queue that
 * the next owner can switch off.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <stdio.h>
#include <string.h>
#include "support/rig.h"

enum {
	GCMD = 0x18,
	GSTS = 0x1c,
	RTADDR = 0x20,
	FSTS = 0x34,
	PMEN = 0x64,
	PLMBASE = 0x68,
	PLMLIMIT = 0x6c,
	IQH = 0x80,
	IQT = 0x88,
	IQA = 0x90,
	TE = 1u << 31,
	SRTP = 1u << 30,
	QIE = 1u << 26,
	IRE = 1u << 25,
	CFI = 1u << 23,
	IQE = 1u << 4,
	EPM = 1u << 31,
	PRS = 1u << 0,
	IOTLB_GLOBAL = 2 | 1 << 4,
	WAIT = 5,
};

static struct model *m;
static uint64_t base;

static void open_left_on(const char *kind, enum model_mode mode, uint64_t seed)
{
	m = model_create_usual(
		model_personality_find(kind), mode, 0, seed, true);
	assert_non_null(m);
	base = model_unit_base(m, 0);
}

static uint32_t get(unsigned at)
{
	return model_read32(m, base + at);
}

/** Sets or clears a bit as any driver would, and waits for it. */
static void command(uint32_t bit, bool on)
{
	uint32_t keep = get(GSTS) & (TE | QIE | IRE | CFI);

	model_write32(m, base + GCMD, on ? keep | bit : keep & ~bit);
	for (unsigned n = 0; !(get(GSTS) & bit) == on; n++)
		assert_true(n < 100000);
}

/** What the earlier owner did is not the library's. */
static void start(struct rig *r)
{
	model_violations_clear(m);
	rig_open_machine(r, m);
	rig_start_ok(r);
	rig_check(r);
}

/** Descriptors after the last wait, fetched at any time. */
static void queue_under_way_is_awaited(void **state)
{
	static const char *const kinds[] = {
		"plain", "qemu-4.0", "qemu-7.2", "qemu-10", "self-flushing"};

	(void)state;
	for (unsigned k = 0; k < 5; k++)
		for (uint64_t seed = 0; seed < 24; seed++) {
			unsigned count = (unsigned)seed % 6;
			uint64_t ring, tail;
			struct rig r;

			open_left_on(kinds[k],
				seed % 3 ? MODEL_RANDOM : MODEL_LAZY, seed);
			ring = model_read64(m, base + IQA) & ~0xfffull;
			tail = model_read64(m, base + IQT);
			for (unsigned n = 0; n < count; n++) {
				uint64_t *slot = model_ptr(m, ring + tail);

				slot[0] = IOTLB_GLOBAL;
				slot[1] = 0;
				if (seed & 8 && n + 1 == count)
					slot[0] = WAIT;
				tail += 16;
			}
			if (count)
				model_write64(m, base + IQT, tail);
			start(&r);
			assert_int_equal(r.host.logged[IOMMU_LOG_WARNING], 0);
			assert_false(rig_can_read(&r, RIG_DEV, 0x1000));
			rig_close(&r);
		}
}

static void enter(uint64_t descriptor, unsigned count)
{
	uint64_t ring = model_read64(m, base + IQA) & ~0xfffull;
	uint64_t tail = model_read64(m, base + IQT);

	for (; count--; tail += 16) {
		uint64_t *slot = model_ptr(m, ring + tail);

		slot[0] = descriptor;
		slot[1] = 0;
	}
	model_write64(m, base + IQT, tail);
}

/** Flushes that an earlier owner did not wait for. */
static void enter_flushes(unsigned count)
{
	enter(IOTLB_GLOBAL, count);
}

static bool told;

static void listen(void *ctx, enum iommu_log_level level, const char *line)
{
	(void)ctx;
	(void)level;
	told |= strstr(line, "the queue found does not move") != NULL;
}

/** The earlier owner left a descriptor that the unit refuses. */
static void queue_that_stands_on_an_error_is_taken_over(void **state)
{
	(void)state;
	for (unsigned seed = 1; seed < 4; seed++) {
		struct rig r;
		uint64_t tail, *slot;

		open_left_on("plain", MODEL_LAZY, seed);
		tail = model_read64(m, base + IQT);
		slot = model_ptr(
			m, (model_read64(m, base + IQA) & ~0xfffull) + tail);
		slot[0] = 0xf; /* no such type */
		model_write64(m, base + IQT, tail + 16);
		for (unsigned n = 0; !(get(FSTS) & IQE); n++) {
			assert_true(n < 1000);
			model_advance(m, 1000);
		}
		model_violations_clear(m);
		rig_open_machine(&r, m);
		r.hooks.log = listen;
		told = false;
		rig_start_ok(&r);
		assert_false(told);
		assert_int_equal(get(FSTS) & IQE, 0);
		assert_false(rig_can_read(&r, RIG_DEV, 0x1000));
		rig_close_anyhow(&r);
	}
}

static unsigned added;
static bool ended;
static void (*plain_write)(void *, void *, uint32_t, unsigned, uint64_t);

/** Counts what is added to the earlier owner's queue. */
static void count_added(
	void *ctx, void *regs, uint32_t offset, unsigned width, uint64_t value)
{
	ended |= offset == GCMD && !(value & QIE);
	added += !ended && offset == IQT && value != get(IQH);
	plain_write(ctx, regs, offset, width, value);
}

/** A wait lies last in an empty queue; but if the unit reports an error, nobody
 *  knows what it met. */
static void after_an_error_the_last_wait_is_not_trusted(void **state)
{
	(void)state;
	for (unsigned n = 0; n < 2; n++) {
		struct rig r;

		open_left_on("plain", MODEL_LAZY, 1);
		enter(WAIT, 1);
		while (get(IQH) != get(IQT))
			model_advance(m, 1000);
		if (n)
			model_unit_error(m, 0, IQE);
		model_violations_clear(m);
		rig_open_machine(&r, m);
		plain_write = r.hooks.reg_write;
		r.hooks.reg_write = count_added;
		added = 0;
		ended = false;
		rig_start_ok(&r);
		assert_true(ended);
		assert_int_equal(added, n);
		assert_int_equal(get(FSTS) & IQE, 0);
		rig_close_anyhow(&r);
	}
}

/** Whatever answer does not come: the start ends, and says how. */
static void queue_that_stands_still_is_given_up(void **state)
{
	bool heard = false;

	(void)state;
	for (unsigned n = 0; n < 120; n++) {
		enum iommu_status status;
		struct rig r;

		open_left_on(n & 2 ? "plain" : "no-ir", MODEL_LAZY, 1);
		enter_flushes(3);
		/* It may also be where there is no memory. */
		if (n >= 100)
			model_write64(m, base + IQA, 0x3fff00000000);
		model_violations_clear(m);
		rig_open_machine(&r, m);
		r.options.timeout_ns = r.options.device_timeout_ns = 1000000;
		r.hooks.log = listen;
		told = false;
		if (n & 1)
			model_unit_hang(m, 0, n / 2);
		else
			model_fail_wait(m, n / 2 + 1);
		status = rig_start(&r);
		assert_true(status == IOMMU_OK || status == IOMMU_UNIT_LOST);
		heard |= told;
		assert_int_equal(model_violations_of(m, MODEL_V_WAIT), 0);
		assert_int_equal(r.host.locks_held, 0);
		rig_close_anyhow(&r);
	}
	assert_true(heard);
}

/** Firmware ran its own system while this one slept. */
static void what_ran_meanwhile_is_switched_off(void **state)
{
	static const char *const kinds[] = {"plain", "caching", "qemu-7.2"};

	(void)state;
	for (unsigned k = 0; k < 6; k++) {
		struct rig r, meanwhile;
		bool on = k & 1;

		rig_open(&r, kinds[k / 2], MODEL_LAZY, 1);
		m = r.m;
		base = model_unit_base(m, 0);
		rig_start_ok(&r);
		OK(iommu_power(r.iommu, on));
		OK(iommu_suspend(r.iommu));
		model_unit_reset(m, 0);
		rig_open_machine(&meanwhile, m);
		rig_start_ok(&meanwhile);
		OK(iommu_attach(meanwhile.iommu, rig_id(RIG_DEV),
			iommu_domain_identity(meanwhile.iommu)));
		assert_true(rig_can_write(&meanwhile, RIG_DEV, 0x400000));
		/* Emulated units know no such bit. */
		if (k / 2 < 2)
			command(CFI, true);
		model_violations_clear(m);
		OK(iommu_resume(r.iommu));
		assert_int_equal(iommu_is_on(r.iommu), on);
		assert_int_equal(!!(get(GSTS) & TE), on);
		assert_int_equal(get(GSTS) & CFI, 0);
		/* Untranslated is open to all. */
		assert_int_equal(rig_can_write(&r, RIG_DEV, 0x400000), !on);
		OK(iommu_power(r.iommu, true));
		assert_false(rig_can_write(&r, RIG_DEV, 0x400000));
		rig_check(&r);
		OK(iommu_destroy(r.iommu));
		model_destroy(m);
	}
}

/* A queue that is not there, where the unit says it is. */
static struct {
	struct iommu_host real;
	uint64_t at;
	unsigned left; /* so many looks whether it is on */
	unsigned ended;
} lie;

static uint64_t lying_read(
	void *ctx, void *regs, uint32_t offset, unsigned width)
{
	uint64_t v = lie.real.reg_read(ctx, regs, offset, width);

	if (offset == GSTS && lie.left) {
		lie.left--;
		return v | QIE;
	}
	return offset == IQA ? lie.at | (v & 0xfff) : v;
}

static void watched_write(
	void *ctx, void *regs, uint32_t offset, unsigned width, uint64_t value)
{
	lie.ended += offset == IQT && value;
	lie.real.reg_write(ctx, regs, offset, width, value);
}

/** Whatever lies there is as it was, also if it is what the library needs right
 *  then. */
static void a_queue_that_is_not_there_costs_nothing(void **state)
{
	(void)state;
	for (unsigned n = 0; n < 8 * 24; n++) {
		uint64_t others, *word, before[512];
		struct rig r;

		rig_open(&r, "plain", MODEL_LAZY, n);
		m = r.m;
		others = rig_frame(&r, 9);
		word = model_ptr(m, others);
		for (unsigned i = 0; i < 512; i++)
			word[i] = before[i] = i * 0x123456789ull;
		lie.real = r.hooks;
		r.hooks.reg_read = lying_read;
		r.hooks.reg_write = watched_write;
		r.options.timeout_ns = 1000000;
		/* Then the pages that the library takes. */
		lie.at = others + n / 8 * 0x1000;
		lie.left = n % 8;
		lie.ended = 0;
		if (rig_start(&r) == IOMMU_OK) {
			model_violations_clear(m);
			rig_check(&r);
			assert_false(rig_can_read(&r, RIG_DEV, 0x1000));
		}
		assert_true(lie.ended || n != 7);
		assert_memory_equal(word, before, sizeof(before));
		rig_close_anyhow(&r);
	}
}

static void compatibility_interrupts_end(void **state)
{
	struct rig r;

	(void)state;
	open_left_on("plain", MODEL_LAZY, 1);
	command(CFI, true);
	assert_true(model_msi(m, 0, RIG_DEV, 0xfee01000, 0x41));
	start(&r);
	assert_int_equal(get(GSTS) & CFI, 0);
	assert_false(model_msi(m, 0, RIG_DEV, 0xfee01000, 0x41));
	rig_close(&r);
}

/** Memory that firmware protected is open when the start is over. */
static void protected_memory_opens(void **state)
{
	struct rig r;

	(void)state;
	m = model_create_simple("protected-regions", MODEL_LAZY, 1);
	base = model_unit_base(m, 0);
	model_write32(m, base + PLMBASE, 0x400000);
	model_write32(m, base + PLMLIMIT, 0x5fffff);
	model_write32(m, base + PMEN, get(PMEN) | EPM);
	for (unsigned n = 0; !(get(PMEN) & PRS); n++)
		assert_true(n < 100000);
	start(&r);
	assert_int_equal(get(PMEN) & (PRS | EPM), 0);
	OK(iommu_attach(
		r.iommu, rig_id(RIG_DEV), iommu_domain_identity(r.iommu)));
	assert_true(rig_can_write(&r, RIG_DEV, 0x400000));
	OK(iommu_detach(r.iommu, rig_id(RIG_DEV)));
	rig_close(&r);
}

static struct iommu_host real;

static void write_all_but_pmen(
	void *ctx, void *regs, uint32_t offset, unsigned width, uint64_t value)
{
	if (offset != PMEN)
		real.reg_write(ctx, regs, offset, width, value);
}

/** The host believes that all memory is open: it is told that it is not. */
static void memory_that_stays_protected_is_told(void **state)
{
	struct iommu_unit_info info;
	struct rig r;

	(void)state;
	m = model_create_simple("protected-regions", MODEL_LAZY, 1);
	base = model_unit_base(m, 0);
	model_write32(m, base + PMEN, get(PMEN) | EPM);
	for (unsigned n = 0; !(get(PMEN) & PRS); n++)
		assert_true(n < 100000);
	rig_open_machine(&r, m);
	real = r.hooks;
	r.hooks.reg_write = write_all_but_pmen;
	assert_int_equal(rig_start(&r), IOMMU_UNIT_LOST);
	OK(iommu_unit_info(r.iommu, 0, &info));
	assert_int_equal(info.state, IOMMU_UNIT_FAILED);
	assert_non_null(strstr(info.reason, "protected memory"));
	rig_close_anyhow(&r);
}

/** Tables of a mode that may not be exchanged while translation is on (11.4.5):
 *  it goes off first. */
static void other_modes_are_left_first(void **state)
{
	(void)state;
	for (unsigned resumed = 0; resumed < 2; resumed++) {
		struct model_personality kind =
			*model_personality_find("sapphire-rapids");
		uint64_t page;
		struct rig r;

		kind.cap &= ~(1ull << 63);
		m = model_create_usual(&kind, MODEL_LAZY, 0, 1, false);
		base = model_unit_base(m, 0);
		if (resumed) {
			start(&r);
			OK(iommu_suspend(r.iommu));
			model_unit_reset(m, 0);
		}
		page = model_page_alloc(m, 0, 9);
		memset(model_ptr(m, page), 0, MODEL_PAGE);
		model_write64(m, base + RTADDR, page | 1 << 10);
		command(SRTP, true);
		command(TE, true);
		model_violations_clear(m);
		if (resumed)
			OK(iommu_resume(r.iommu));
		else
			start(&r);
		assert_int_equal(model_violations_of(m, MODEL_V_COMMAND), 0);
		assert_true(get(GSTS) & TE);
		model_violations_clear(m);
		rig_close(&r);
	}
}

/** No moment at which the queue could not be switched off by somebody who
 *  cannot add to it. */
static void torn_away_the_queue_can_be_switched_off(void **state)
{
	static const char *const kinds[] = {"plain", "self-flushing", "qemu-10",
		"no-ir", "sapphire-rapids", "caching"};

	(void)state;
	for (unsigned k = 0; k < 12; k++) {
		struct rig r;

		rig_open(&r, kinds[k / 2], MODEL_LAZY, 1);
		if (k & 1)
			r.options.interrupt_remapping = IOMMU_OFF_ALWAYS;
		rig_start_ok(&r);
		m = r.m;
		base = model_unit_base(m, 0);
		command(TE, false);
		command(QIE, false);
		assert_int_equal(model_violation_count(m), 0);
		rig_close_anyhow(&r);
	}
}

/** Without the queue, each flush and its wait is counted too. */
static void register_flushes_are_counted(void **state)
{
	struct iommu_stats before, after;
	struct rig r;

	(void)state;
	rig_run(&r, "no-qi", MODEL_LAZY, 1);
	OK(iommu_unit_stats(r.iommu, 0, &before));
	/* The start flushes both as a whole. */
	assert_true(before.context_flushes > 0);
	assert_int_equal(before.global_flushes, before.context_flushes);
	OK(iommu_attach(
		r.iommu, rig_id(RIG_DEV), iommu_domain_identity(r.iommu)));
	OK(iommu_detach(r.iommu, rig_id(RIG_DEV)));
	OK(iommu_unit_stats(r.iommu, 0, &after));
	assert_int_equal(after.context_flushes, before.context_flushes + 1);
	assert_int_equal(after.domain_flushes, before.domain_flushes + 1);
	assert_true(after.waits > before.waits);
	assert_int_equal(after.doorbells, 0);
	assert_int_equal(after.attaches, 1);
	assert_int_equal(after.detaches, 1);
	rig_close(&r);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(queue_under_way_is_awaited),
		cmocka_unit_test(queue_that_stands_on_an_error_is_taken_over),
		cmocka_unit_test(after_an_error_the_last_wait_is_not_trusted),
		cmocka_unit_test(queue_that_stands_still_is_given_up),
		cmocka_unit_test(what_ran_meanwhile_is_switched_off),
		cmocka_unit_test(memory_that_stays_protected_is_told),
		cmocka_unit_test(a_queue_that_is_not_there_costs_nothing),
		cmocka_unit_test(compatibility_interrupts_end),
		cmocka_unit_test(protected_memory_opens),
		cmocka_unit_test(other_modes_are_left_first),
		cmocka_unit_test(torn_away_the_queue_can_be_switched_off),
		cmocka_unit_test(register_flushes_are_counted),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
