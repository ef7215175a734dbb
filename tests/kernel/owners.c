/* SPDX-License-Identifier: MIT */
/*
 * Who owns a device, in the cases that a pid alone does not decide: borrowed
 * memory, another program in the same process, a pid that comes again; and what
 * nobody gets. On the real library and the model of a unit.
 */
#include "support/files.h"
#include "support/surroundings.h"
#include "support/walker.h"
#include "assign/assign.h"
#include "cpu/time.h"
#include "host/host.h"
#include "lib/errno.h"

#define A 0x10000000ull
#define K 4096ull

static void start(void)
{
	surroundings_start(&model_personalities[0], MODEL_LAZY, 1);
}

/* A process with a page at A. */
static struct space *born(int pid)
{
	struct space *s = space_create();

	assert_non_null(s);
	assert_int_equal(
		space_mmap(s, A, K, PROT_READ | PROT_WRITE,
			MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED, NULL, 0),
		A);
	processes[pid] = (struct process){.pid = pid, .space = s, .refs = 1};
	return s;
}

static void dies(int pid)
{
	struct space *s = processes[pid].space;

	processes[pid].space = NULL;
	space_put(s);
}

static bool works(unsigned i)
{
	uint64_t v = 0x55;

	return model_dma_write(model, 0, bdf_of(i), A, &v, 8) == MODEL_DMA_OK;
}

static int owner_pid(unsigned i)
{
	struct assigned a;

	return assign_of(&functions[i].pci, &a) ? a.pid : 0;
}

static void what_borrows_memory_takes_it_for_the_memory(void **state)
{
	(void)state;
	start();
	space_get(born(1));
	processes[2] = (struct process){
		.pid = 2, .space = processes[1].space, .refs = 1};
	assert_int_equal(assign_attach(address_of(0), 2), 0);
	assert_int_equal(owner_pid(0), 2);
	dies(2);
	assert_true(works(0));
	/* The lender owns it as well as the borrower did. */
	assert_ptr_equal(functions[0].pci.owner, processes[1].space);
	assert_int_equal(assign_attach(address_of(0), 1), -EBUSY);
	dies(1);
	assert_false(works(0));
	assert_int_equal(owner_pid(0), 0);
	surroundings_stop();
}

static bool came_through;

static void try_after_the_reset(void)
{
	came_through = came_through || (functions[0].resets && works(0));
}

static void another_program_has_no_device(void **state)
{
	struct space *old;

	(void)state;
	start();
	old = born(1);
	assert_int_equal(assign_attach(address_of(0), 1), 0);
	functions[0].resets = 0;
	born(1); /* the same pid, and a page at the same address */
	devices_turn = try_after_the_reset;
	space_put(old);
	devices_turn = NULL;
	assert_false(came_through);
	assert_int_equal(functions[0].resets, 1);
	assert_false(functions[0].master);
	assert_false(works(0));
	assert_int_equal(owner_pid(0), 0);
	assert_int_equal(assign_detach(address_of(0), 1), -ENXIO);
	dies(1);
	surroundings_stop();
}

static void a_pid_that_comes_again_owns_nothing(void **state)
{
	(void)state;
	start();
	born(1);
	assert_int_equal(assign_attach(address_of(0), 1), 0);
	dies(1);
	assert_int_equal(assign_attach(address_of(0), 1), -ESRCH);
	born(1);
	assert_false(works(0));
	assert_int_equal(owner_pid(0), 0);
	assert_int_equal(assign_detach(address_of(0), 1), -ENXIO);
	dies(1);
	surroundings_stop();
}

static void a_device_that_firmware_uses_is_nobodys(void **state)
{
	(void)state;
	reserved_for = 1;
	start();
	reserved_for = -1;
	born(1);
	assert_int_equal(assign_attach(address_of(1), 1), -EPERM);
	assert_int_equal(owner_pid(1), 0);
	assert_false(functions[1].master);
	assert_int_equal(functions[1].resets, 0);
	assert_int_equal(assign_attach(address_of(0), 1), 0);
	dies(1);
	surroundings_stop();
}

static void translation_stays_on_while_there_is_an_owner(void **state)
{
	(void)state;
	start();
	born(1);
	assert_int_equal(assign_attach(address_of(0), 1), 0);
	assert_int_equal(assign_power(false), -EBUSY);
	assert_true(iommu_is_on(host_iommu));
	assert_true(works(0));
	dies(1);
	assert_int_equal(assign_power(false), 0);
	assert_int_equal(assign_power(true), 0);
	assert_false(works(0));
	surroundings_stop();
}

/* What an owner mapped of a device's registers, it has no more when it lost the
 * device, although it lives on; and what is not a device's stays. */
static void registers_go_with_the_device(void **state)
{
	static const struct device_range ranges[] = {
		{.base = 0xfeb00000, .size = 4 * K, .writable = true},
		{.base = 0xfeb80000, .size = K},
		{.base = 0xfec00000, .size = K, .writable = true}};
	uint64_t at[ARRAY_SIZE(ranges)];
	struct pci_device *d = &functions[0].pci;
	struct space *s;

	(void)state;
	start();
	d->bars[2] = (struct pci_bar){.base = 0xfeb00000, .size = 4 * K};
	d->rom = (struct pci_bar){.base = 0xfeb80000, .size = K};
	s = born(1);
	assert_int_equal(assign_attach(address_of(0), 1), 0);
	for (unsigned n = 0; n < ARRAY_SIZE(ranges); n++) {
		struct file *f = file_of_registers(ranges[n]);

		at[n] = (uint64_t)space_mmap(
			s, 0, ranges[n].size, PROT_READ, MAP_SHARED, f, 0);
		file_put(f);
		(void)cpu_byte(s, at[n]);
	}
	assert_int_equal(assign_detach(address_of(0), 1), 0);
	for (unsigned n = 0; n < ARRAY_SIZE(ranges); n++)
		assert_int_equal(cpu_read(s, at[n], &(uint8_t){0}),
			n == ARRAY_SIZE(ranges) - 1 ? 0 : -ENXIO);
	dies(1);
	surroundings_stop();
}

/* Whoever had it before: a device that neither stops nor can be reset may still
 * do what it was told. */
static void a_device_that_cannot_be_stopped_is_nobodys(void **state)
{
	struct function *f = &functions[0];

	(void)state;
	for (unsigned n = 0; n < 4; n++) {
		bool restless = n & 1, no_reset = n & 2;
		int expected = restless && no_reset ? -EIO : 0;

		start();
		born(1);
		born(2);
		f->no_reset = no_reset;
		f->never_idle = restless;
		assert_int_equal(assign_attach(address_of(0), 1), expected);
		assert_int_equal(works(0), !expected);
		/* Nobody tells the second owner of what the first met. */
		if (!expected)
			assert_int_equal(assign_detach(address_of(0), 1), 0);
		assert_int_equal(assign_attach(address_of(0), 2), expected);
		assert_int_equal(owner_pid(0), expected ? 0 : 2);
		f->never_idle = false;
		dies(1);
		dies(2);
		surroundings_stop();
	}
}

/* A device without a reset rests between two owners: not for a year because the
 * clock was set, and whatever the clock does everything works. */
static void a_clock_that_was_set_makes_nobody_wait(void **state)
{
	static const int64_t jumps[] = {0, 365ll * 86400 * (int64_t)NS_PER_S,
		-365ll * 86400 * (int64_t)NS_PER_S};

	(void)state;
	for (unsigned n = 0; n < 9; n++) {
		clock_set_by = 2 * jumps[1];
		start();
		born(1);
		functions[0].no_reset = true;
		assert_int_equal(assign_attach(address_of(0), 1), 0);
		clock_set_by += jumps[n % 3];
		assert_int_equal(assign_detach(address_of(0), 1), 0);
		longest_sleep = 0;
		clock_set_by += jumps[n / 3];
		assert_int_equal(assign_attach(address_of(0), 1), 0);
		assert_true(longest_sleep <= 150 * NS_PER_MS);
		if (n / 3 != 1) /* it seems to have rested for a year */
			assert_true(longest_sleep > 100 * NS_PER_MS);
		assert_true(works(0));
		dies(1);
		surroundings_stop();
		clock_set_by = 0;
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(what_borrows_memory_takes_it_for_the_memory),
		cmocka_unit_test(another_program_has_no_device),
		cmocka_unit_test(a_pid_that_comes_again_owns_nothing),
		cmocka_unit_test(a_device_that_firmware_uses_is_nobodys),
		cmocka_unit_test(translation_stays_on_while_there_is_an_owner),
		cmocka_unit_test(registers_go_with_the_device),
		cmocka_unit_test(a_clock_that_was_set_makes_nobody_wait),
		cmocka_unit_test(a_device_that_cannot_be_stopped_is_nobodys),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
