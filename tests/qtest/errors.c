/* SPDX-License-Identifier: MIT */
/*
 * What goes wrong between the library and QEMU's unit: descriptors that arrive
 * damaged (VT-d 6.5.2.10, invalidation queue error), through every kind of call
 * that flushes, and a unit that does not answer.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <cmocka.h>
#include "support/rig.h"

#define AT 0x1234567000ull

enum {
	GSTS = 0x1c,
	FSTS = 0x34,
	IQH = 0x80,
	IQT = 0x88,
	IQA = 0x90,
};
#define QIES (1u << 26)
#define IQE (1u << 4)

static void (*plain_write)(void *, void *, uint32_t, unsigned, uint64_t);
static uint64_t (*plain_read)(void *, void *, uint32_t, unsigned);

/** The low half of what the next descriptors become on their way. */
static uint64_t damage;
static unsigned damaged;

/** Spoils the first descriptor of each submission, as long as there is some
 *  damage to do. A doorbell that is repeated after a repair passes. */
static void spoil_and_ring(
	void *ctx, void *regs, uint32_t offset, unsigned width, uint64_t value)
{
	struct qemu *q = ctx;

	if (offset == IQT && damaged &&
		qemu_read(q, QEMU_UNIT + GSTS, 4) & QIES &&
		qemu_read(q, QEMU_UNIT + IQT, 8) != value) {
		uint64_t *slot = qemu_at(q,
			(qemu_read(q, QEMU_UNIT + IQA, 8) & ~0xfffull) +
				qemu_read(q, QEMU_UNIT + IQH, 8));

		slot[0] = damage;
		damaged--;
	}
	plain_write(ctx, regs, offset, width, value);
}

typedef void write_register(void *, void *, uint32_t, unsigned, uint64_t);
typedef uint64_t read_register(void *, void *, uint32_t, unsigned);

/** Starts with register accesses of the test's; read may be NULL. */
static void open_with(struct rig *r, const char *unit, write_register *write,
	read_register *read)
{
	struct iommu_options options;
	uint8_t dmar[4096];
	size_t size;

	rig_start(r, unit, NULL);
	OK(iommu_destroy(r->iommu));
	plain_write = r->host.reg_write;
	plain_read = r->host.reg_read;
	r->host.reg_write = write;
	if (read)
		r->host.reg_read = read;
	damaged = 0;
	iommu_options_default(&options);
	/* QEMU never waits; what it does not do at once it does not do. */
	options.timeout_ns = options.device_timeout_ns = 20000000;
	size = qemu_dmar(&r->q, dmar, sizeof(dmar));
	OK(iommu_create(&r->host, &options, &r->iommu));
	OK(iommu_discover(r->iommu, dmar, size));
	OK(iommu_start(r->iommu));
}

static char text[8192];

static void collect(void *arg, const char *piece, size_t length)
{
	(void)arg;
	strncat(text, piece, length);
}

static uint64_t queue_errors(struct rig *r)
{
	struct iommu_stats stats;

	OK(iommu_unit_stats(r->iommu, 0, &stats));
	return stats.queue_errors;
}

/** The evidence is in the report. */
static void expect_evidence(struct rig *r, uint64_t low)
{
	char wanted[40];

	text[0] = '\0';
	iommu_report_queue(r->iommu, collect, NULL);
	snprintf(wanted, sizeof(wanted), " %016llx, code 0\n",
		(unsigned long long)low);
	assert_non_null(strstr(text, " last refused: "));
	assert_non_null(strstr(text, wanted));
}

/* A type that does not exist, reserved bits, no granularity, and a wait
 * without an address in memory. */
static const uint64_t damages[] = {0xf, 0xff0000000000ff02ull, 0x2, 0x80000005};

static void damaged_descriptor_is_replaced(void **state)
{
	struct iommu_domain *domain;
	uint64_t page, root, *entry;
	struct rig r;
	size_t n;

	open_with(&r, *state, spoil_and_ring, NULL);
	page = qemu_pages(&r.q, 0);
	root = rig_table(&r);
	entry = rig_map(&r, root, AT, page, 7);
	domain = rig_domain(&r, root, NULL);
	OK(iommu_attach(r.iommu, r.edu[0], domain));
	for (n = 0; n < sizeof(damages) / sizeof(*damages); n++) {
		uint64_t errors = queue_errors(&r);

		assert_true(rig_reaches(&r, 0, AT, page));
		*entry = 0;
		damage = damages[n];
		damaged = 1;
		OK(iommu_flush(domain, IOMMU_REMOVED, iommu_iova(AT), 4096));
		assert_int_equal(damaged, 0);
		assert_int_equal(queue_errors(&r), errors + 1);
		expect_evidence(&r, damage);
		assert_false(qemu_read(&r.q, QEMU_UNIT + FSTS, 4) & IQE);
		/* The flush was done all the same. */
		assert_false(rig_reaches(&r, 0, AT, page));
		*entry = page | 7;
		OK(iommu_flush(
			domain, IOMMU_MADE_PRESENT, iommu_iova(AT), 4096));
	}
	/* Two in a row; then the detach's own. */
	assert_true(rig_reaches(&r, 0, AT, page));
	*entry = 0;
	damaged = 2;
	OK(iommu_flush(domain, IOMMU_REMOVED, iommu_iova(AT), 4096));
	assert_false(rig_reaches(&r, 0, AT, page));
	damaged = 1;
	OK(iommu_detach(r.iommu, r.edu[0]));
	assert_int_equal(damaged, 0);
	OK(iommu_domain_destroy(domain));
	rig_stop(&r);
}

/** Damage without an end: the call ends, and says that nothing is certain. */
static void endless_damage_ends_with_a_status(void **state)
{
	struct iommu_device_info info;
	struct rig r;

	open_with(&r, *state, spoil_and_ring, NULL);
	OK(iommu_attach(r.iommu, r.edu[0], iommu_domain_identity(r.iommu)));
	damage = 0xf;
	damaged = 1000;
	assert_int_equal(iommu_detach(r.iommu, r.edu[0]), IOMMU_UNCONFIRMED);
	/* Once, and three times more. */
	assert_int_equal(damaged, 996);
	damaged = 0;
	OK(iommu_device_info(r.iommu, r.edu[0], &info));
	assert_int_equal(info.state, IOMMU_DEVICE_QUARANTINED);
	assert_int_equal(
		iommu_attach(r.iommu, r.edu[0], iommu_domain_identity(r.iommu)),
		IOMMU_DEVICE_BROKEN);
	/* The unit itself is well: others go on, and so does the device. */
	OK(iommu_attach(r.iommu, r.edu[1], iommu_domain_identity(r.iommu)));
	OK(iommu_detach(r.iommu, r.edu[1]));
	OK(iommu_device_revive(r.iommu, r.edu[0]));
	OK(iommu_attach(r.iommu, r.edu[0], iommu_domain_identity(r.iommu)));
	OK(iommu_detach(r.iommu, r.edu[0]));
	rig_stop(&r);
}

static bool gone;

static uint64_t read_or_nothing(
	void *ctx, void *regs, uint32_t offset, unsigned width)
{
	if (gone)
		return width == 8 ? ~0ull : ~0u;
	return plain_read(ctx, regs, offset, width);
}

static void write_or_nothing(
	void *ctx, void *regs, uint32_t offset, unsigned width, uint64_t value)
{
	if (!gone)
		plain_write(ctx, regs, offset, width, value);
}

/** The unit falls off the bus. */
static void unit_that_is_gone_is_reported(void **state)
{
	struct iommu_unit_info info;
	struct rig r;

	gone = false;
	open_with(&r, *state, write_or_nothing, read_or_nothing);
	OK(iommu_attach(r.iommu, r.edu[0], iommu_domain_identity(r.iommu)));
	gone = true;
	assert_int_equal(iommu_detach(r.iommu, r.edu[0]), IOMMU_UNIT_LOST);
	OK(iommu_unit_info(r.iommu, 0, &info));
	assert_int_equal(info.state, IOMMU_UNIT_FAILED);
	assert_int_equal(
		iommu_attach(r.iommu, r.edu[1], iommu_domain_identity(r.iommu)),
		IOMMU_UNIT_LOST);
	assert_int_equal(iommu_destroy(r.iommu), IOMMU_UNCONFIRMED);
	qemu_stop(&r.q);
}

#define EACH(test)                                        \
	{#test " (48)", test, NULL, NULL, "aw-bits=48"},  \
	{                                                 \
#test " (39, caching)", test, NULL, NULL, \
			"aw-bits=39,caching-mode=on"      \
	}

int main(void)
{
	const struct CMUnitTest tests[] = {
		EACH(damaged_descriptor_is_replaced),
		EACH(endless_damage_ends_with_a_status),
		EACH(unit_that_is_gone_is_reported),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
