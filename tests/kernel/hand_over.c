/* SPDX-License-Identifier: MIT */
/*
 * One kernel after the other on a unit that stays on. The second one is the
 * same code with an instance of its own; what the first had, it never gives
 * back. What a device reaches is tried at the unit, whatever its bus mastering
 * says.
 */
#include "support/surroundings.h"
#include "assign/assign.h"
#include "assign/assignment.h"
#include "assign/faults.h"
#include "host/host.h"
#include "lib/string.h"

#define A 0x10000000ull
#define RW (PROT_READ | PROT_WRITE)

static bool reaches(unsigned i)
{
	uint8_t byte = 0x5a;

	return model_dma_write(model, 0, bdf_of(i), A, &byte, 1) ==
		MODEL_DMA_OK;
}

static void be_born(int pid)
{
	struct space *s = space_create();

	assert_non_null(s);
	assert_int_equal(
		space_mmap(s, A, PAGE_SIZE, RW,
			MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED, NULL, 0),
		A);
	processes[pid] = (struct process){.pid = pid, .space = s, .refs = 1};
}

/* Two processes, and one of them has a device that works. */
static void first_kernel(const struct model_personality *kind)
{
	ksnprintf(machine_note, sizeof(machine_note), "%s", kind->name);
	surroundings_start(kind, MODEL_LAZY, 1);
	ksnprintf(machine_note, sizeof(machine_note), "%s", kind->name);
	be_born(1);
	be_born(2);
	assert_int_equal(assign_attach(address_of(0), 1), 0);
	assert_true(reaches(0) && functions[0].master);
}

static void next_kernel(bool keeps)
{
	struct iommu *first = host_iommu;

	/* In the first kernel no device changes hands any more. */
	assert_true(mutex_held(&assign_lock));
	mutex_unlock(&assign_lock);
	machine_keeps_devices = keeps;
	assign_init();
	machine_keeps_devices = false;
	assert_ptr_not_equal(first, host_iommu);
	assert_null(assign_absent_reason());
}

static void end(void)
{
	surroundings_check();
	space_put(processes[1].space);
	space_put(processes[2].space);
	surroundings_stop_broken();
}

static void each_kind(void (*play)(const struct model_personality *kind))
{
	const struct model_personality *kind = model_personalities;

	for (; kind->name; kind++)
		if (kind->cap >> 8 & 0x1f)
			play(kind);
}

static void stop_and_go(const struct model_personality *kind)
{
	first_kernel(kind);
	assign_hand_over(ASSIGN_STOP);
	assert_false(functions[0].master);
	assert_false(reaches(0));
	next_kernel(false);
	assert_false(reaches(0));
	assert_int_equal(assign_attach(address_of(0), 2), 0);
	assert_true(reaches(0));
	end();
}

static void stopped_devices_stay_stopped(void **state)
{
	(void)state;
	each_kind(stop_and_go);
}

static void keep_and_block(const struct model_personality *kind)
{
	first_kernel(kind);
	assign_hand_over(ASSIGN_KEEP);
	assert_true(functions[0].master && reaches(0));
	next_kernel(false);
	assert_false(reaches(0));
	assert_int_equal(iommu_inherited_count(host_iommu), 0);
	assert_int_equal(assign_attach(address_of(1), 2), 0);
	assert_true(reaches(1) && !reaches(0));
	end();
}

static void kept_devices_lose_it_to_the_next_kernel(void **state)
{
	(void)state;
	each_kind(keep_and_block);
}

static void keep_and_go_on(const struct model_personality *kind)
{
	first_kernel(kind);
	assign_hand_over(ASSIGN_KEEP);
	next_kernel(true);
	assert_true(functions[0].master && reaches(0));
	assert_true(iommu_inherited_count(host_iommu) > 0);
	assert_int_equal(assign_attach(address_of(1), 2), 0);
	assert_true(reaches(1));
	/* Its first owner is not this kernel's, whatever the list says. */
	assert_int_equal(assign_detach(address_of(0), 1), 0);
	assert_false(functions[0].master);
	assert_int_equal(assign_end_inheritance(), 0);
	assert_int_equal(iommu_inherited_count(host_iommu), 0);
	assert_true(!reaches(0) && reaches(1) && functions[1].master);
	end();
}

static void kept_devices_go_on_until_that_is_ended(void **state)
{
	(void)state;
	each_kind(keep_and_go_on);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(stopped_devices_stay_stopped),
		cmocka_unit_test(kept_devices_lose_it_to_the_next_kernel),
		cmocka_unit_test(kept_devices_go_on_until_that_is_ended),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
