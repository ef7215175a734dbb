/* SPDX-License-Identifier: MIT */
/*
 * What is done to units, seen at their registers: several are asked before one
 * is waited for, and firmware's protected memory opens only behind translation.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <string.h>
#include "support/rig.h"

#define RW (IOMMU_READ | IOMMU_WRITE)

enum {
	GCMD = 0x18,
	GSTS = 0x1c,
	PMEN = 0x64,
	PLMBASE = 0x68,
	PLMLIMIT = 0x6c,
	PHMBASE = 0x70,
	PHMLIMIT = 0x78,
	IQT = 0x88,
};
#define TES (1u << 31)
#define QIES (1u << 26)
#define IRES (1u << 25)
#define EPM (1u << 31)
#define PRS 1u

static void (*plain_write)(void *, void *, uint32_t, unsigned, uint64_t);
static void (*plain_relax)(void *, uint64_t);

/* ---- several units ---- */

static char events[64];

static void note(char event)
{
	size_t n = strlen(events);

	if (n + 1 < sizeof events)
		events[n] = event;
}

static void write_noting(
	void *ctx, void *regs, uint32_t offset, unsigned width, uint64_t value)
{
	plain_write(ctx, regs, offset, width, value);
	if (offset == IQT)
		note('d');
}

static void relax_noting(void *ctx, uint64_t waited_ns)
{
	plain_relax(ctx, waited_ns);
	note('w');
}

static void units_are_waited_for_together(void **state)
{
	struct iommu_domain *domain;
	struct iommu_stats before, after;
	struct rig r;
	unsigned n;

	(void)state;
	rig_open_two(&r, "plain", "plain", MODEL_LAZY);
	plain_write = r.hooks.reg_write;
	plain_relax = r.hooks.relax;
	r.hooks.reg_write = write_noting;
	r.hooks.relax = relax_noting;
	rig_start_ok(&r);
	domain = rig_mapped_domain(&r);
	OK(iommu_map(
		domain, iommu_iova(0x5000), iommu_phys(0x100000), 0x2000, RW));
	OK(iommu_attach(r.iommu, rig_id(RIG_DEV), domain));
	OK(iommu_attach(r.iommu, rig_id(RIG_OTHER), domain));
	assert_true(rig_can_write(&r, RIG_DEV, 0x5000));
	assert_true(rig_can_write(&r, RIG_OTHER, 0x5000));
	for (n = 0; n < 2; n++) {
		OK(iommu_unit_stats(r.iommu, n, &before));
		memset(events, 0, sizeof events);
		OK(iommu_unmap_now(
			domain, iommu_iova(0x5000 + n * 0x1000), 4096));
		/* Two doorbells, and only then the first wait. */
		assert_memory_equal(events, "ddw", 3);
		assert_null(strchr(events + 2, 'd'));
		OK(iommu_unit_stats(r.iommu, n, &after));
		assert_int_equal(after.doorbells, before.doorbells + 1);
	}
	OK(iommu_detach(r.iommu, rig_id(RIG_DEV)));
	OK(iommu_detach(r.iommu, rig_id(RIG_OTHER)));
	OK(iommu_domain_destroy(domain));
	rig_close(&r);
}

/* ---- protected memory ---- */

static struct model *machine;

/** Nobody reaches the region, before, between and after. */
static void write_and_try(
	void *ctx, void *regs, uint32_t offset, unsigned width, uint64_t value)
{
	uint64_t word;

	plain_write(ctx, regs, offset, width, value);
	if (!machine)
		return;
	assert_int_not_equal(
		model_dma_read(machine, 0, RIG_DEV, 0x800000, &word, 8),
		MODEL_DMA_OK);
}

static uint64_t reg(struct rig *r, unsigned offset)
{
	return model_read32(r->m, model_unit_base(r->m, 0) + offset);
}

static void protected_memory_opens_behind_translation(void **state)
{
	uint64_t base, frame;
	struct rig r;

	(void)state;
	rig_open(&r, "protected-regions", MODEL_LAZY, 1);
	machine = r.m;
	base = model_unit_base(r.m, 0);
	frame = rig_frame(&r, 9);
	assert_true(frame < 0x800000);
	/* As firmware leaves it: everything below 16 MiB. */
	model_write32(r.m, base + PLMBASE, 0);
	model_write32(r.m, base + PLMLIMIT, 0xe00000);
	model_write64(r.m, base + PHMBASE, 0x400000000);
	model_write64(r.m, base + PHMLIMIT, 0x300000000);
	model_write32(r.m, base + PMEN, (uint32_t)reg(&r, PMEN) | EPM);
	model_advance(r.m, 100000);
	assert_true(reg(&r, PMEN) & PRS);
	plain_write = r.hooks.reg_write;
	r.hooks.reg_write = write_and_try;
	rig_start_ok(&r);
	machine = NULL;
	assert_true(reg(&r, GSTS) & TES);
	assert_false(reg(&r, PMEN) & (PRS | EPM));
	OK(iommu_attach(
		r.iommu, rig_id(RIG_OTHER), iommu_domain_identity(r.iommu)));
	assert_true(rig_can_write(&r, RIG_OTHER, frame));
	OK(iommu_detach(r.iommu, rig_id(RIG_OTHER)));
	model_page_free(r.m, frame, 0);
	rig_close(&r);
}

/* ---- the queue ---- */

/** Whoever comes next can switch the queue off, without knowing its memory:
 *  the last descriptor was a wait, even if nothing had to be flushed. */
static void queue_can_be_switched_off_from_the_start(void **state)
{
	uint64_t base;
	struct rig r;

	(void)state;
	rig_run(&r, "self-flushing", MODEL_LAZY, 1);
	base = model_unit_base(r.m, 0);
	model_write32(r.m, base + GCMD, TES | IRES);
	model_advance(r.m, 100000);
	assert_false(reg(&r, GSTS) & QIES);
	assert_int_equal(model_violation_count(r.m), 0);
	rig_close_anyhow(&r);
}

enum {
	LOOKED_AT_GCMD = 0x18,
	LOOKED_AT_CCMD = 0x28,
	LOOKED_AT_IQT = 0x88,
};

static struct rig *locked;
static unsigned writes_seen;

static void write_under_a_lock(
	void *ctx, void *regs, uint32_t offset, unsigned width, uint64_t value)
{
	if (offset == LOOKED_AT_GCMD || offset == LOOKED_AT_CCMD) {
		assert_true(locked->host.locks_held > 0);
		writes_seen++;
	}
	/* The queue is not on yet when its tail is first written. */
	if (offset == LOOKED_AT_IQT && value) {
		assert_true(locked->host.locks_held > 0);
		writes_seen++;
	}
	plain_write(ctx, regs, offset, width, value);
}

/** Two CPUs must not change the same register at once: read, changed and
 *  written back under a lock, and so are the queue's tail and its slots. */
static void shared_registers_are_written_under_a_lock(void **state)
{
	static const char *const kinds[] = {"plain", "no-qi", "write-buffer"};

	(void)state;
	for (unsigned k = 0; k < 3; k++) {
		struct iommu_domain *domain;
		struct rig r;

		rig_open(&r, kinds[k], MODEL_LAZY, 1);
		plain_write = r.hooks.reg_write;
		r.hooks.reg_write = write_under_a_lock;
		locked = &r;
		writes_seen = 0;
		rig_start_ok(&r);
		domain = rig_mapped_domain(&r);
		OK(iommu_attach(r.iommu, rig_id(RIG_DEV), domain));
		OK(iommu_map(domain, iommu_iova(0x1000), iommu_phys(0x100000),
			4096, IOMMU_READ));
		OK(iommu_unmap_now(domain, iommu_iova(0x1000), 4096));
		OK(iommu_detach(r.iommu, rig_id(RIG_DEV)));
		OK(iommu_domain_destroy(domain));
		OK(iommu_power(r.iommu, false));
		assert_true(writes_seen > 3);
		rig_close(&r);
	}
}

/* ---- flushes that a unit refuses ---- */

static struct {
	struct iommu_host real;
	/** Bit n: the n-th command from now on is refused. */
	unsigned refused;
	bool one;
	uint32_t at;
} refusal;

static void count_command(
	void *ctx, void *regs, uint32_t offset, unsigned width, uint64_t value)
{
	if (width == 8 && value >> 63) {
		refusal.one = refusal.refused & 1;
		refusal.refused >>= 1;
		refusal.at = offset;
	}
	refusal.real.reg_write(ctx, regs, offset, width, value);
}

/** What was carried out: nothing (CAIG and IAIG 0). */
static uint64_t read_refusal(
	void *ctx, void *regs, uint32_t offset, unsigned width)
{
	uint64_t value = refusal.real.reg_read(ctx, regs, offset, width);

	if (!refusal.one || offset != refusal.at || value >> 63)
		return value;
	return value & ~(3ull << (offset == LOOKED_AT_CCMD ? 59 : 57));
}

/** A narrow flush that is refused is made wider; everything must not be
 *  refused (VT-d 11.4.6). */
static void refused_flush_is_made_wider(void **state)
{
	(void)state;
	for (unsigned pattern = 0; pattern < 64; pattern++) {
		enum iommu_status unmapped, detached;
		struct iommu_domain *domain;
		struct rig r;

		memset(&refusal, 0, sizeof(refusal));
		rig_open(&r, "no-qi", MODEL_LAZY, 1);
		refusal.real = r.hooks;
		r.hooks.reg_write = count_command;
		r.hooks.reg_read = read_refusal;
		rig_start_ok(&r);
		domain = rig_mapped_domain(&r);
		OK(iommu_attach(r.iommu, rig_id(RIG_DEV), domain));
		OK(iommu_map(domain, iommu_iova(0x1000), iommu_phys(0x100000),
			4096, IOMMU_READ | IOMMU_WRITE));
		assert_true(rig_can_write(&r, RIG_DEV, 0x1000));
		/* Pages, the domain, everything. */
		refusal.refused = pattern & 7;
		unmapped = iommu_unmap_now(domain, iommu_iova(0x1000), 4096);
		assert_int_equal(unmapped,
			(pattern & 7) == 7 ? IOMMU_UNIT_LOST : IOMMU_OK);
		if (unmapped == IOMMU_OK)
			assert_false(rig_can_write(&r, RIG_DEV, 0x1000));
		/* The device's context, the domain's, all: 7. Or that is
		 * not refused, but the domain and everything: 6. */
		refusal.refused = pattern >> 3;
		detached = iommu_detach(r.iommu, rig_id(RIG_DEV));
		assert_int_equal(detached,
			(pattern & 7) == 7 || pattern >> 3 >= 6
				? IOMMU_UNIT_LOST
				: IOMMU_OK);
		refusal.refused = 0;
		assert_int_equal(model_violation_count(r.m), 0);
		rig_close_anyhow(&r);
	}
}

/** Switched on again, the hardware starts at the ring's first slot: so does the
 *  library, wherever it was. */
static void queue_starts_at_its_first_slot(void **state)
{
	struct iommu_domain *domain;
	struct rig r;

	(void)state;
	for (unsigned n = 0; n < 5; n++) {
		uint64_t tail;

		rig_run(&r, "plain", MODEL_LAZY, 1);
		domain = rig_mapped_domain(&r);
		OK(iommu_attach(r.iommu, rig_id(RIG_DEV), domain));
		for (unsigned i = 0; i < 40 * n; i++)
			OK(iommu_flush_all(domain, IOMMU_REMOVED));
		OK(iommu_power(r.iommu, false));
		OK(iommu_suspend(r.iommu));
		OK(iommu_resume(r.iommu));
		OK(iommu_power(r.iommu, true));
		tail = model_read64(r.m, model_unit_base(r.m, 0) + IQT);
		assert_in_range(tail >> 4, 1, 16);
		OK(iommu_detach(r.iommu, rig_id(RIG_DEV)));
		OK(iommu_domain_destroy(domain));
		rig_close(&r);
	}
}

static uint64_t command_seen;
static uint32_t command_at;

static void note_command(
	void *ctx, void *regs, uint32_t offset, unsigned width, uint64_t value)
{
	if (offset == command_at)
		command_seen = value;
	plain_write(ctx, regs, offset, width, value);
}

/** A flush through registers asks for what the unit can drain, no more
 *  (VT-d 11.4.6.1). */
static void registers_ask_for_draining(void **state)
{
	(void)state;
	for (unsigned n = 0; n < 4; n++) {
		struct model_personality kind =
			*model_personality_find("no-qi");
		struct iommu_domain *domain;
		struct rig r;

		kind.version = 0x10;
		kind.cap &= ~(3ull << 54);
		kind.cap |= (uint64_t)n << 54; /* DWD, DRD */
		rig_open_machine(
			&r, model_create_usual(&kind, MODEL_LAZY, 0, 1, false));
		plain_write = r.hooks.reg_write;
		r.hooks.reg_write = note_command;
		command_at = (uint32_t)(kind.ecap >> 8 & 0x3ff) * 16 + 8;
		rig_start_ok(&r);
		domain = rig_mapped_domain(&r);
		OK(iommu_attach(r.iommu, rig_id(RIG_DEV), domain));
		command_seen = 0;
		OK(iommu_flush_all(domain, IOMMU_REMOVED));
		assert_true(command_seen >> 63);
		assert_int_equal(command_seen >> 48 & 1, n & 1);
		assert_int_equal(command_seen >> 49 & 1, n >> 1);
		OK(iommu_detach(r.iommu, rig_id(RIG_DEV)));
		OK(iommu_domain_destroy(domain));
		rig_close(&r);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(units_are_waited_for_together),
		cmocka_unit_test(queue_can_be_switched_off_from_the_start),
		cmocka_unit_test(protected_memory_opens_behind_translation),
		cmocka_unit_test(shared_registers_are_written_under_a_lock),
		cmocka_unit_test(queue_starts_at_its_first_slot),
		cmocka_unit_test(registers_ask_for_draining),
		cmocka_unit_test(refused_flush_is_made_wider),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
