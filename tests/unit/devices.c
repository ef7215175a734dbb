/* SPDX-License-Identifier: MIT */
/*
 * Who is attached where: visits, domains in several units, ids that run out,
 * devices that are known before they are seen.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include "support/board.h"

#define RW (IOMMU_READ | IOMMU_WRITE)

/* ---- visits ---- */

static struct {
	unsigned unit;
	struct iommu_device_id id;
	void *owner;
} seen[16];
static unsigned visits;

static void note(void *arg, unsigned unit, struct iommu_device_id id,
	struct iommu_domain *domain)
{
	assert_ptr_equal(arg, &visits);
	assert_true(visits < 16);
	seen[visits].unit = unit;
	seen[visits].id = id;
	seen[visits++].owner = iommu_domain_owner(domain);
}

static void visit(struct rig *r)
{
	visits = 0;
	iommu_visit_attached(r->iommu, note, &visits);
}

/** Two segments and three units, named in an odd order. */
static void open_three_units(struct rig *r)
{
	static const struct model_function_desc functions[] = {
		{.bdf = 0, .kind = MODEL_CONVENTIONAL, .unit = -1},
		{.bdf = MODEL_BDF(0, 9, 0),
			.kind = MODEL_INTEGRATED,
			.unit = -1},
		{.bdf = MODEL_BDF(0, 2, 0),
			.kind = MODEL_INTEGRATED,
			.unit = 0},
		{.bdf = MODEL_BDF(0, 3, 0),
			.kind = MODEL_INTEGRATED,
			.unit = -1},
		{.segment = 1,
			.bdf = MODEL_BDF(0, 1, 0),
			.kind = MODEL_INTEGRATED,
			.unit = -1},
	};
	const struct model_personality *kind = model_personality_find("plain");
	struct model_unit_desc units[] = {{.kind = kind},
		{.kind = kind, .include_all = true},
		{.kind = kind, .segment = 1, .include_all = true}};
	struct model_desc desc = {.seed = 1,
		.mode = MODEL_LAZY,
		.units = units,
		.unit_count = 3,
		.functions = functions,
		.function_count = 5};

	rig_open_machine(r, model_create(&desc));
	rig_start_ok(r);
}

static struct iommu_domain *owned_domain(struct rig *r, void *owner)
{
	struct iommu_domain_config config = {
		.kind = IOMMU_DOMAIN_MAPPED, .owner = owner};
	struct iommu_domain *domain;

	OK(iommu_domain_create(r->iommu, &config, &domain));
	return domain;
}

/** Met in the opposite order: that makes no difference. */
static void visit_in_order(struct rig *r, const struct iommu_device_id id[4],
	const unsigned order[4])
{
	struct iommu_domain *domain[4];

	for (unsigned n = 4; n--;) {
		domain[n] = owned_domain(r, &domain[n]);
		OK(iommu_attach(r->iommu, id[n], domain[n]));
	}
	visit(r);
	assert_int_equal(visits, 4);
	for (unsigned n = 0; n < 4; n++)
		assert_true(iommu_device_same(seen[n].id, id[order[n]]));
	for (unsigned n = 0; n < 4; n++) {
		OK(iommu_detach(r->iommu, id[n]));
		OK(iommu_domain_destroy(domain[n]));
	}
	rig_close(r);
}

static void attached_devices_are_visited_in_order(void **state)
{
	static const struct iommu_device_id id[] = {{1, MODEL_BDF(0, 1, 0)},
		{0, MODEL_BDF(0, 9, 0)}, {0, MODEL_BDF(0, 2, 0)},
		{0, MODEL_BDF(0, 3, 0)}};
	/* Units, then segments, then requester ids. */
	static const unsigned order[] = {2, 3, 1, 0};
	struct iommu_domain *domain[4];
	struct iommu_unit_info info;
	struct rig r;

	(void)state;
	open_three_units(&r);
	visit_in_order(&r, id, order);
	open_three_units(&r);
	visit(&r);
	assert_int_equal(visits, 0);
	for (unsigned n = 0; n < 4; n++) {
		domain[n] = owned_domain(&r, &domain[n]);
		OK(iommu_attach(r.iommu, id[n], domain[n]));
	}
	visit(&r);
	assert_int_equal(visits, 4);
	for (unsigned n = 0; n < 4; n++) {
		assert_true(iommu_device_same(seen[n].id, id[order[n]]));
		assert_ptr_equal(seen[n].owner, &domain[order[n]]);
	}
	assert_int_equal(seen[0].unit, 0);
	assert_int_equal(seen[2].unit, 1);
	assert_int_equal(seen[3].unit, 2);
	OK(iommu_unit_info(r.iommu, 1, &info));
	assert_int_equal(info.attached, 2);
	OK(iommu_detach(r.iommu, id[3]));
	visit(&r);
	assert_int_equal(visits, 3);
	assert_true(iommu_device_same(seen[1].id, id[1]));
	for (unsigned n = 0; n < 4; n++) {
		enum iommu_status status = iommu_detach(r.iommu, id[n]);

		assert_int_equal(
			status, n == 3 ? IOMMU_NOT_ATTACHED : IOMMU_OK);
		OK(iommu_domain_destroy(domain[n]));
	}
	rig_close(&r);
}

/** Devices on every bus, and those that no unit is for until one comes. */
static void all_buses_are_visited(void **state)
{
	static const uint16_t bdf[] = {RIG_DEV, RIG_OTHER, RIG_BEHIND_PORT,
		MODEL_BDF(2, 0, 0), RIG_BEHIND_BRIDGE};
	struct iommu_device_info info;
	uint8_t structure[256];
	size_t size;
	struct rig r;

	(void)state;
	rig_open_two(&r, "plain", "plain", MODEL_LAZY);
	size = rig_take_unit_out(&r, structure);
	rig_start_ok(&r);
	/* Behind the second unit are 00:04.0 and bus 2. */
	for (unsigned n = 0; n < 5; n++)
		assert_int_equal(
			iommu_device_info(r.iommu, rig_id(bdf[n]), &info),
			n == 0 || n == 2 ? IOMMU_OK : IOMMU_UNCOVERED);
	OK(iommu_units_add(r.iommu, structure, size));
	for (unsigned n = 0; n < 5; n++)
		OK(iommu_attach(r.iommu, rig_id(bdf[n]),
			iommu_domain_identity(r.iommu)));
	visit(&r);
	assert_int_equal(visits, 5);
	for (unsigned n = 0; n < 5; n++) {
		assert_int_equal(seen[n].unit, n > 1);
		OK(iommu_detach(r.iommu, rig_id(bdf[n])));
	}
	visit(&r);
	assert_int_equal(visits, 0);
	rig_close(&r);
}

/* ---- domains ---- */

/** A domain lives in several units, each with an id of its own. */
static void one_domain_in_three_units(void **state)
{
	static const struct iommu_device_id id[] = {{1, MODEL_BDF(0, 1, 0)},
		{0, MODEL_BDF(0, 9, 0)}, {0, MODEL_BDF(0, 2, 0)}};
	struct iommu_domain *domain;
	uint64_t word = 7, frame;
	struct rig r;

	(void)state;
	open_three_units(&r);
	frame = rig_frame(&r, 9);
	domain = rig_mapped_domain(&r);
	for (unsigned n = 0; n < 3; n++)
		OK(iommu_attach(r.iommu, id[n], domain));
	assert_int_equal(iommu_domain_devices(domain), 3);
	OK(iommu_map(domain, iommu_iova(0x5000), iommu_phys(frame), 4096, RW));
	for (unsigned n = 0; n < 3; n++)
		assert_int_equal(model_dma_write(r.m, id[n].segment,
					 id[n].requester, 0x5000, &word, 8),
			MODEL_DMA_OK);
	OK(iommu_unmap_now(domain, iommu_iova(0x5000), 4096));
	for (unsigned n = 0; n < 3; n++) {
		struct iommu_fault f;

		assert_int_not_equal(model_dma_write(r.m, id[n].segment,
					     id[n].requester, 0x5000, &word, 8),
			MODEL_DMA_OK);
		assert_true(iommu_interrupt_all(r.iommu));
		assert_true(iommu_fault_next(r.iommu, &f));
		assert_true(iommu_device_same(f.device, id[n]));
		OK(iommu_detach(r.iommu, id[n]));
	}
	OK(iommu_domain_destroy(domain));
	model_page_free(r.m, frame, 0);
	rig_close(&r);
}

/** More units than are flushed at a time. */
static void one_domain_in_many_units(void **state)
{
	enum {
		MANY = 19
	};
	const struct model_personality *kind = model_personality_find("plain");
	struct model_function_desc functions[MANY + 1] = {
		{.bdf = 0, .kind = MODEL_CONVENTIONAL, .unit = MANY - 1}};
	struct model_unit_desc units[MANY] = {0};
	struct model_desc desc = {.seed = 1,
		.mode = MODEL_LAZY,
		.units = units,
		.unit_count = MANY,
		.functions = functions,
		.function_count = MANY + 1};
	struct iommu_domain *domain;
	uint64_t frame;
	struct rig r;

	(void)state;
	for (unsigned n = 0; n < MANY; n++) {
		units[n].kind = kind;
		functions[n + 1] = (struct model_function_desc){
			.bdf = MODEL_BDF(0, n + 1, 0),
			.kind = MODEL_INTEGRATED,
			.unit = (int)n};
	}
	rig_open_machine(&r, model_create(&desc));
	rig_start_ok(&r);
	frame = rig_frame(&r, 9);
	domain = rig_mapped_domain(&r);
	OK(iommu_map(domain, iommu_iova(0x5000), iommu_phys(frame), 4096, RW));
	for (unsigned n = 1; n <= MANY; n++) {
		OK(iommu_attach(r.iommu, rig_id(MODEL_BDF(0, n, 0)), domain));
		assert_true(rig_can_write(&r, MODEL_BDF(0, n, 0), 0x5000));
	}
	OK(iommu_unmap_now(domain, iommu_iova(0x5000), 4096));
	for (unsigned n = 1; n <= MANY; n++) {
		assert_false(rig_can_write(&r, MODEL_BDF(0, n, 0), 0x5000));
		OK(iommu_detach(r.iommu, rig_id(MODEL_BDF(0, n, 0))));
	}
	OK(iommu_domain_destroy(domain));
	model_page_free(r.m, frame, 0);
	rig_close(&r);
}

/** A blocked domain owns its devices and lets them reach nothing. */
static void blocked_domain_owns_and_blocks(void **state)
{
	static const char *const kinds[] = {"plain", "caching", "no-qi"};

	(void)state;
	for (unsigned k = 0; k < 3; k++) {
		struct iommu_domain_config config = {
			.kind = IOMMU_DOMAIN_BLOCKED, .owner = &config};
		struct iommu_device_info info;
		struct iommu_domain *domain;
		struct rig r;

		rig_run(&r, kinds[k], MODEL_LAZY, 1);
		OK(iommu_domain_create(r.iommu, &config, &domain));
		OK(iommu_attach(r.iommu, rig_id(RIG_DEV), domain));
		OK(iommu_attach(r.iommu, rig_id(RIG_BEHIND_BRIDGE), domain));
		OK(iommu_device_info(r.iommu, rig_id(RIG_DEV), &info));
		assert_int_equal(info.state, IOMMU_DEVICE_ATTACHED);
		assert_ptr_equal(info.domain, domain);
		assert_int_equal(iommu_domain_devices(domain), 2);
		assert_false(rig_can_read(&r, RIG_DEV, 0x100000));
		assert_false(rig_can_read(&r, RIG_BEHIND_BRIDGE, 0x100000));
		assert_int_equal(iommu_attach(r.iommu, rig_id(RIG_DEV),
					 iommu_domain_identity(r.iommu)),
			IOMMU_BUSY);
		assert_int_equal(iommu_domain_destroy(domain), IOMMU_IN_USE);
		OK(iommu_detach(r.iommu, rig_id(RIG_DEV)));
		OK(iommu_detach(r.iommu, rig_id(RIG_BEHIND_BRIDGE)));
		OK(iommu_domain_destroy(domain));
		rig_close(&r);
	}
}

/** A unit of 16 ids, two of which are taken, and more devices than that. */
static void ids_run_out_and_come_back(void **state)
{
	enum {
		MANY = 20
	};
	struct iommu_domain *domain[MANY + 1];
	unsigned attached = 0;
	struct rig r;

	(void)state;
	rig_open_row(&r, "16-domains", MANY, false);
	rig_start_ok(&r);
	for (unsigned n = 1; n <= MANY; n++) {
		enum iommu_status status;

		domain[n] = rig_mapped_domain(&r);
		status = iommu_attach(r.iommu, rig_id(RIG_ROW(n)), domain[n]);
		assert_int_equal(
			status, n <= 14 ? IOMMU_OK : IOMMU_NO_DOMAIN_ID);
		attached += status == IOMMU_OK;
	}
	assert_int_equal(attached, 14);
	/* The identity domain has its own already. */
	OK(iommu_attach(
		r.iommu, rig_id(RIG_ROW(20)), iommu_domain_identity(r.iommu)));
	/* One leaves, one fits. */
	OK(iommu_detach(r.iommu, rig_id(RIG_ROW(3))));
	OK(iommu_attach(r.iommu, rig_id(RIG_ROW(15)), domain[15]));
	assert_int_equal(iommu_attach(r.iommu, rig_id(RIG_ROW(3)), domain[3]),
		IOMMU_NO_DOMAIN_ID);
	for (unsigned n = 1; n <= MANY; n++) {
		assert_true(iommu_detach(r.iommu, rig_id(RIG_ROW(n))) <=
			IOMMU_NOT_ATTACHED);
		OK(iommu_domain_destroy(domain[n]));
	}
	rig_close(&r);
}

static void lost_unit_takes_no_devices(void **state)
{
	struct iommu_domain *domain;
	struct rig r;

	(void)state;
	rig_open(&r, "plain", MODEL_LAZY, 1);
	r.options.timeout_ns = r.options.device_timeout_ns = 1000000;
	rig_start_ok(&r);
	domain = rig_mapped_domain(&r);
	OK(iommu_attach(r.iommu, rig_id(RIG_DEV), domain));
	model_unit_hang(r.m, 0, 0);
	assert_int_equal(
		iommu_flush_all(domain, IOMMU_REMOVED), IOMMU_UNIT_LOST);
	assert_int_equal(iommu_attach(r.iommu, rig_id(RIG_OTHER), domain),
		IOMMU_UNIT_LOST);
	assert_int_equal(
		iommu_detach(r.iommu, rig_id(RIG_DEV)), IOMMU_UNIT_LOST);
	assert_int_equal(
		iommu_device_revive(r.iommu, rig_id(RIG_DEV)), IOMMU_UNIT_LOST);
	assert_int_not_equal(iommu_power(r.iommu, false), IOMMU_IN_USE);
	rig_close_anyhow(&r);
}

/* ---- a device that is seen late, or no more ---- */

/** An id that was only the alias of others turns out to be a function. */
static void what_comes_after_a_removal_is_looked_at(void **state)
{
	const uint16_t slot = MODEL_BDF(0, 2, 0);
	struct iommu_device_info info;
	struct iommu_domain *domain;
	struct builder table;
	struct rig r;

	(void)state;
	board_begin(&table);
	board_add(slot, BOARD_PCI);
	table_unit_for_all(&table);
	board_open(&r, "plain", &table);
	rig_start_ok(&r);
	domain = rig_mapped_domain(&r);
	OK(iommu_attach(r.iommu, rig_id(slot), domain));
	OK(iommu_device_info(r.iommu, rig_id(slot), &info));
	assert_int_equal(info.group.requester, slot);
	OK(iommu_device_removed(r.iommu, rig_id(slot)));
	board_bridge(slot, BOARD_PCIE_TO_PCI, 1, 1);
	assert_int_equal(
		iommu_attach(r.iommu, rig_id(slot), domain), IOMMU_BRIDGE);
	OK(iommu_domain_destroy(domain));
	rig_close(&r);
}

static void stand_ins_become_devices(void **state)
{
	const uint16_t behind = MODEL_BDF(1, 4, 0), alias = MODEL_BDF(1, 0, 0);
	struct iommu_device_info info;
	struct iommu_domain *domain;
	struct builder table;
	struct rig r;

	(void)state;
	board_begin(&table);
	board_bridge(MODEL_BDF(0, 2, 0), BOARD_PCIE_TO_PCI, 1, 1);
	board_add(behind, BOARD_PCI);
	table_unit_for_all(&table);
	board_open(&r, "plain", &table);
	rig_start_ok(&r);
	domain = rig_mapped_domain(&r);
	OK(iommu_attach(r.iommu, rig_id(behind), domain));
	assert_int_equal(iommu_device_info(r.iommu, rig_id(alias), &info),
		IOMMU_NO_DEVICE);
	board_add(alias, BOARD_PCI);
	OK(iommu_device_info(r.iommu, rig_id(alias), &info));
	assert_int_equal(info.alias, alias);
	OK(iommu_attach(r.iommu, rig_id(alias), domain));
	OK(iommu_detach(r.iommu, rig_id(behind)));
	OK(iommu_detach(r.iommu, rig_id(alias)));
	OK(iommu_domain_destroy(domain));
	rig_close(&r);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(attached_devices_are_visited_in_order),
		cmocka_unit_test(all_buses_are_visited),
		cmocka_unit_test(one_domain_in_three_units),
		cmocka_unit_test(one_domain_in_many_units),
		cmocka_unit_test(blocked_domain_owns_and_blocks),
		cmocka_unit_test(ids_run_out_and_come_back),
		cmocka_unit_test(lost_unit_takes_no_devices),
		cmocka_unit_test(what_comes_after_a_removal_is_looked_at),
		cmocka_unit_test(stand_ins_become_devices),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
