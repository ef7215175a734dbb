/* SPDX-License-Identifier: MIT */
/*
 * How it ends: with the process, with hardware that confirms nothing, with
 * registers that are taken away.
 */
#include "support/spaces.h"

#define A 0x10000000ull
#define B 0x20000000ull

static void exits_in_the_middle(struct device *d)
{
	struct space *s = with_device(d), *child;

	anon(s, A, 40 * K, 0);
	anon(s, B, 700 * K, MAP_SHARED & 0);
	device_prefetch(d);
	child = fork_of(s);
	gone(s);
	expect_nothing(d, A);
	assert_int_equal(cpu_byte(child, A), 0);
	gone(child);
}

static void exit_takes_the_device_away_first(void **state)
{
	(void)state;
	on_every_unit(exits_in_the_middle);
}

static void flush_fails(struct device *d)
{
	struct space *s = with_device(d);
	uint64_t lost = memory_counts().quarantined;

	anon(s, A, 8 * K, 0);
	anon(s, B, 8 * K, 0);
	device_prefetch(d);
	units_fail = true;
	unmap(s, A, 8 * K);
	units_fail = false;
	/* Eight frames and the table that mapped them. */
	lost = memory_counts().quarantined - lost;
	assert_int_equal(lost, 9);
	assert_int_equal(cpu_write(s, A, 1), -EFAULT);
	/* The unit may still know what it was not seen to forget; so nothing
	 * of this space comes back, although the next flush succeeds. */
	unmap(s, B, 8 * K);
	machine_meanwhile = NULL;
	cpus_leave();
	lost = memory_counts().quarantined;
	space_quarantine(s);
	device_detach(d);
	space_put(s);
	(void)lost;
}

static uint64_t quarantined_by(void (*run)(struct device *d))
{
	uint64_t before = memory_counts().quarantined, after;
	struct device d = {.levels = 4, .caching_mode = true};

	run(&d);
	after = memory_counts().quarantined;
	machine_expect_lost(after - before);
	assert_int_equal(machine_missing(), 0);
	return after - before;
}

static void frames_are_quarantined_if_the_flush_is_not_confirmed(void **state)
{
	(void)state;
	/* 16 frames, their two tables of the lowest level, one of the second,
	 * one of the third, and the device's two top levels. */
	assert_int_equal(quarantined_by(flush_fails), 16 + 2 + 1 + 1 + 2);
}

static void detach_fails(struct device *d)
{
	struct space *s = with_device(d);

	anon(s, A, 3 * K, 0);
	space_quarantine(s);
	gone(s);
}

static void a_device_that_is_not_quiet_keeps_its_memory(void **state)
{
	(void)state;
	assert_int_equal(quarantined_by(detach_fails), 3 + 3 + 2);
}

static void copy_fails(struct device *d)
{
	struct space *s = with_device(d), *child;

	anon(s, A, K, 0);
	protect_pages(s, A, K, PROT_READ);
	child = fork_of(s);
	units_fail = true;
	assert_int_equal(space_mprotect(s, A, K, RW), -EIO);
	units_fail = false;
	gone(child);
	gone(s);
}

static void a_copy_that_is_not_confirmed_keeps_the_old_frame(void **state)
{
	(void)state;
	/* The old frame of the page and, since the unit may still walk the
	 * space, the new one, the tables and the top levels. */
	assert_int_equal(quarantined_by(copy_fails), 2 + 3 + 2);
}

static void revokes(struct device *d)
{
	struct file *f = file_of_registers(some_registers);
	struct file *other = file_of_registers((struct device_range){
		.base = 0xfec00000, .size = 0x1000, .writable = true});
	struct space *s = with_device(d);
	uint64_t at, kept;

	at = (uint64_t)space_mmap(s, 0, 4 * K, RW, MAP_SHARED, f, 0);
	kept = (uint64_t)space_mmap(s, 0, K, RW, MAP_SHARED, other, 0);
	anon(s, A, K, 0);
	machine_cpu(1);
	cpu_put(s, at, 1);
	machine_cpu(2);
	cpu_put(s, kept, 1);
	machine_cpu(0);
	cpu_put(s, at + 3 * K, 1);
	space_revoke_device(some_registers.base, some_registers.size);
	for (unsigned i = 0; i < TEST_CPUS; i++) {
		machine_cpu(i);
		assert_int_equal(cpu_write(s, at, 1), -ENXIO);
		assert_int_equal(cpu_write(s, at + 3 * K, 1), -ENXIO);
		cpu_put(s, kept, 2);
	}
	/* mprotect does not bring them back. */
	protect_pages(s, at, 4 * K, 0);
	protect_pages(s, at, 4 * K, RW);
	assert_int_equal(cpu_write(s, at, 1), -ENXIO);
	assert_int_equal(device_write(d, A, 1), REACHED);
	unmap(s, at, 4 * K);
	file_put(f);
	file_put(other);
	gone(s);
	assert_int_equal(files_open, 0);
}

static void revoked_registers_are_gone_on_every_cpu(void **state)
{
	(void)state;
	on_every_unit(revokes);
}

static void revokes_without_hearing_units(struct device *d)
{
	struct file *f = file_of_registers(some_registers);
	struct space *s = with_device(d);
	uint64_t at = (uint64_t)space_mmap(s, 0, 4 * K, RW, MAP_SHARED, f, 0);

	cpu_put(s, at, 1);
	units_flushes = 0;
	space_revoke_device(some_registers.base, some_registers.size);
	unmap(s, at, 4 * K);
	assert_int_equal(units_flushes, 0);
	file_put(f);
	gone(s);
}

static void units_hear_nothing_of_what_they_never_see(void **state)
{
	(void)state;
	on_every_unit(revokes_without_hearing_units);
}

/* What may not be written through the file's range is not by mprotect. */
static void registers_that_are_read_only_stay_so(void **state)
{
	struct file *f = file_of_registers((struct device_range){
		.base = 0xfeb00000, .size = 0x1000, .writable = false});
	struct space *s = space_create();
	int64_t at = space_mmap(s, 0, K, PROT_READ, MAP_SHARED, f, 0);

	(void)state;
	assert_true(at > 0);
	assert_int_equal(space_mmap(s, 0, K, RW, MAP_SHARED, f, 0), -EACCES);
	(void)!space_mprotect(s, (uint64_t)at, K, RW);
	assert_int_equal(cpu_write(s, (uint64_t)at, 1), -EACCES);
	file_put(f);
	gone(s);
}

#define TEST(f) cmocka_unit_test_setup_teardown(f, machine_start, machine_stop)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(exit_takes_the_device_away_first),
		TEST(frames_are_quarantined_if_the_flush_is_not_confirmed),
		TEST(a_device_that_is_not_quiet_keeps_its_memory),
		TEST(a_copy_that_is_not_confirmed_keeps_the_old_frame),
		TEST(revoked_registers_are_gone_on_every_cpu),
		TEST(units_hear_nothing_of_what_they_never_see),
		TEST(registers_that_are_read_only_stay_so),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
