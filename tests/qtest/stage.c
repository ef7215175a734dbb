/* SPDX-License-Identifier: MIT */
/*
 * One system after the other on QEMU's unit: two instances of the library, the
 * second with nothing but what the first left in the hardware and in memory.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <cmocka.h>
#include "support/rig.h"

#define AT 0x1234567000ull

/* Register offsets of the unit. */
enum {
	GSTS = 0x1c,
	FSTS = 0x34,
	IQT = 0x88,
	IQA = 0x90,
};
#define TES (1u << 31)
#define IQE (1u << 4)

static unsigned accesses;
static void (*plain_write)(void *, void *, uint32_t, unsigned, uint64_t);

/** Translation is never off, whatever is written. */
static void write_and_look(
	void *ctx, void *regs, uint32_t offset, unsigned width, uint64_t value)
{
	plain_write(ctx, regs, offset, width, value);
	accesses++;
	assert_true(qemu_read(ctx, QEMU_UNIT + GSTS, 4) & TES);
}

/** Another instance on the same machine. */
static struct iommu *next_system(struct rig *r, enum iommu_interface interface,
	enum iommu_take_over take_over)
{
	struct iommu_host host = r->host;
	struct iommu_options options;
	struct iommu *next;
	uint8_t dmar[4096];
	size_t size = qemu_dmar(&r->q, dmar, sizeof(dmar));

	iommu_options_default(&options);
	options.take_over = take_over;
	options.interface = interface;
	plain_write = host.reg_write;
	host.reg_write = write_and_look;
	accesses = 0;
	OK(iommu_create(&host, &options, &next));
	OK(iommu_discover(next, dmar, size));
	OK(iommu_start(next));
	assert_true(accesses > 3);
	return next;
}

struct earlier {
	struct rig r;
	uint64_t page;
	struct iommu_domain *domain;
};

/** The first device on tables, the second without anything. */
static void live_earlier(
	struct earlier *e, void **state, enum iommu_interface interface)
{
	struct iommu_options options;
	uint64_t root;

	iommu_options_default(&options);
	options.interface = interface;
	rig_start(&e->r, *state, &options);
	e->page = qemu_pages(&e->r.q, 0);
	root = rig_table(&e->r);
	rig_map(&e->r, root, AT, e->page, 7);
	e->domain = rig_domain(&e->r, root, NULL);
	OK(iommu_attach(e->r.iommu, e->r.edu[0], e->domain));
	assert_true(rig_reaches(&e->r, 0, AT, e->page));
}

static void kept(void **state, enum iommu_interface first,
	enum iommu_interface second, bool handed_over)
{
	struct iommu_device_info info;
	struct iommu *next;
	struct earlier e;

	live_earlier(&e, state, first);
	if (handed_over) {
		OK(iommu_hand_over(e.r.iommu, IOMMU_HAND_OVER_KEPT));
		assert_true(rig_reaches(&e.r, 0, AT, e.page));
	}
	next = next_system(&e.r, second, IOMMU_TAKE_OVER_KEPT);
	assert_true(rig_reaches(&e.r, 0, AT, e.page));
	assert_false(rig_reaches(&e.r, 1, AT, e.page));
	assert_int_equal(iommu_inherited_count(next), 1);
	OK(iommu_device_info(next, e.r.edu[0], &info));
	assert_int_equal(info.state, IOMMU_DEVICE_INHERITED);

	/* Its new owner sees physical addresses, not the old tables. */
	OK(iommu_attach(next, e.r.edu[0], iommu_domain_identity(next)));
	assert_false(rig_reaches(&e.r, 0, AT, e.page));
	assert_true(rig_reaches(&e.r, 0, e.page, e.page));
	assert_int_equal(iommu_inherited_count(next), 0);
	OK(iommu_inherited_end(next));
	OK(iommu_detach(next, e.r.edu[0]));
	assert_false(rig_reaches(&e.r, 0, e.page, e.page));
	qemu_stop(&e.r.q);
}

static void device_keeps_its_tables(void **state)
{
	kept(state, IOMMU_INTERFACE_AUTO, IOMMU_INTERFACE_AUTO, true);
	kept(state, IOMMU_INTERFACE_REGISTERS, IOMMU_INTERFACE_AUTO, true);
	kept(state, IOMMU_INTERFACE_AUTO, IOMMU_INTERFACE_REGISTERS, true);
}

/** The earlier system stopped in the middle of its life, its queue on. */
static void system_that_crashed(void **state)
{
	kept(state, IOMMU_INTERFACE_AUTO, IOMMU_INTERFACE_AUTO, false);
	kept(state, IOMMU_INTERFACE_REGISTERS, IOMMU_INTERFACE_AUTO, false);
}

/** Its queue even stands on an error. */
static void system_that_crashed_in_its_queue(void **state)
{
	uint64_t *slot, tail;
	struct iommu *next;
	struct earlier e;

	live_earlier(&e, state, IOMMU_INTERFACE_QUEUE);
	tail = qemu_read(&e.r.q, QEMU_UNIT + IQT, 8);
	slot = qemu_at(&e.r.q,
		(qemu_read(&e.r.q, QEMU_UNIT + IQA, 8) & ~0xfffull) + tail);
	slot[0] = 0xf; /* no such type */
	slot[1] = 0;
	qemu_write(&e.r.q, QEMU_UNIT + IQT, 8, tail + 16);
	assert_true(qemu_read(&e.r.q, QEMU_UNIT + FSTS, 4) & IQE);

	next = next_system(&e.r, IOMMU_INTERFACE_AUTO, IOMMU_TAKE_OVER_BLOCKED);
	assert_false(qemu_read(&e.r.q, QEMU_UNIT + FSTS, 4) & IQE);
	assert_false(rig_reaches(&e.r, 0, AT, e.page));
	OK(iommu_attach(next, e.r.edu[0], iommu_domain_identity(next)));
	assert_true(rig_reaches(&e.r, 0, e.page, e.page));
	OK(iommu_detach(next, e.r.edu[0]));
	qemu_stop(&e.r.q);
}

static void left_blocked(void **state)
{
	struct iommu *next;
	struct earlier e;

	live_earlier(&e, state, IOMMU_INTERFACE_AUTO);
	assert_int_equal(iommu_hand_over(e.r.iommu, IOMMU_HAND_OVER_BLOCKED),
		IOMMU_IN_USE);
	OK(iommu_detach(e.r.iommu, e.r.edu[0]));
	OK(iommu_domain_destroy(e.domain));
	OK(iommu_hand_over(e.r.iommu, IOMMU_HAND_OVER_BLOCKED));
	assert_true(qemu_read(&e.r.q, QEMU_UNIT + GSTS, 4) & TES);
	assert_false(rig_reaches(&e.r, 0, AT, e.page));
	assert_false(rig_reaches(&e.r, 0, e.page, e.page));
	/* Without abort-DMA mode the tables stay. */
	assert_int_equal(iommu_destroy(e.r.iommu), IOMMU_UNCONFIRMED);
	assert_true(e.r.q.pages_out > 0);
	next = next_system(&e.r, IOMMU_INTERFACE_AUTO, IOMMU_TAKE_OVER_BLOCKED);
	assert_false(rig_reaches(&e.r, 0, e.page, e.page));
	OK(iommu_attach(next, e.r.edu[1], iommu_domain_identity(next)));
	assert_true(rig_reaches(&e.r, 1, e.page, e.page));
	qemu_stop(&e.r.q);
}

#define EACH(test)                                               \
	{#test " (48)", test, NULL, NULL, "aw-bits=48"},         \
		{#test " (39, caching)", test, NULL, NULL,       \
			"aw-bits=39,caching-mode=on"},           \
	{                                                        \
#test " (remapping)", test, NULL, NULL,          \
			"aw-bits=48,intremap=on,device-iotlb=on" \
	}

int main(void)
{
	const struct CMUnitTest tests[] = {
		EACH(device_keeps_its_tables),
		EACH(system_that_crashed),
		EACH(system_that_crashed_in_its_queue),
		EACH(left_blocked),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
