/* SPDX-License-Identifier: MIT */
/*
 * How the stores of a driver are seen: whose page faults they are, several
 * machines at once, pages that become tables again; and how far a unit walks
 * ahead when it sees one.
 */
#define _GNU_SOURCE
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <signal.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>
#include "support/aborts.h"
#include "support/attached.h"

static sigjmp_buf back;
static volatile int caught, traps;

static void plain_handler(int sig)
{
	caught = sig;
	siglongjmp(back, 1);
}

static void wide_handler(int sig, siginfo_t *info, void *context)
{
	(void)context;
	caught = info->si_signo == sig ? -sig : 0;
	siglongjmp(back, 1);
}

static void count_trap(int sig)
{
	(void)sig;
	traps++;
}

static int touch(volatile int *nothing)
{
	caught = 0;
	if (!sigsetjmp(back, 1))
		*nothing = 1;
	return caught;
}

static void faults_elsewhere_are_the_programs_own(void **state)
{
	volatile int *nothing =
		mmap(NULL, 4096, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	struct sigaction fault = {.sa_handler = plain_handler};
	struct sigaction trap = {.sa_handler = count_trap};
	struct sigaction old_fault, old_trap, now;

	(void)state;
	sigaction(SIGSEGV, &fault, &old_fault);
	sigaction(SIGTRAP, &trap, &old_trap);
	watched("plain", 0);
	assert_int_equal(touch(nothing), SIGSEGV);
	traps = 0;
	raise(SIGTRAP);
	assert_int_equal(traps, 1);
	mini_close(&d, true);
	/* The machine gone, all is as it was. */
	sigaction(SIGTRAP, NULL, &now);
	assert_ptr_equal(now.sa_handler, count_trap);
	fault.sa_flags = SA_SIGINFO;
	fault.sa_sigaction = wide_handler;
	sigaction(SIGSEGV, &fault, &now);
	assert_ptr_equal(now.sa_handler, plain_handler);
	watched("plain", 0);
	assert_int_equal(touch(nothing), -SIGSEGV);
	mini_close(&d, true);
	sigaction(SIGSEGV, &old_fault, NULL);
	sigaction(SIGTRAP, &old_trap, NULL);
	munmap((void *)nothing, 4096);
}

static void no_file_is_left_open(void **state)
{
	int first, then;

	(void)state;
	first = dup(2);
	close(first);
	watched("plain", 0);
	then = dup(2);
	close(then);
	assert_int_equal(then, first);
	mini_close(&d, true);
}

static unsigned mappings_of_a_machine(void)
{
	FILE *maps = fopen("/proc/self/maps", "r");
	char line[400];
	unsigned n = 0;

	assert_non_null(maps);
	while (fgets(line, sizeof line, maps))
		n += strstr(line, "memfd:model") != NULL;
	fclose(maps);
	return n;
}

static void nothing_is_left_mapped(void **state)
{
	(void)state;
	watched("plain", 0);
	assert_true(mappings_of_a_machine() >= 2);
	mini_close(&d, true);
	assert_int_equal(mappings_of_a_machine(), 0);
}

static void have_no_room(void)
{
	struct rlimit least = {MODEL_PAGE, MODEL_PAGE};

	signal(SIGXFSZ, SIG_IGN);
	setrlimit(RLIMIT_FSIZE, &least);
	watched("plain", 0);
}

static void no_machine_without_its_memory(void **state)
{
	(void)state;
	aborts(have_no_room, "");
}

/* How a child ends that does this while stores are seen. */
static int end_of_child(void (*act)(void))
{
	pid_t child = fork();
	int how = 0;

	if (!child) {
		alarm(20);
		signal(SIGSEGV, SIG_DFL);
		signal(SIGTRAP, SIG_IGN);
		watched("plain", 0);
		act();
		_exit(0);
	}
	assert_int_equal(waitpid(child, &how, 0), child);
	return WIFSIGNALED(how) ? WTERMSIG(how) : 0;
}

static void store_to_nothing(void)
{
	*(volatile int *)mmap(
		NULL, 4096, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0) = 1;
}

static void trap_once(void)
{
	raise(SIGTRAP);
}

static void programs_without_handlers_end_as_ever(void **state)
{
	(void)state;
	assert_int_equal(end_of_child(store_to_nothing), SIGSEGV);
	assert_int_equal(end_of_child(trap_once), 0);
}

/* A program that steps through itself goes on to do so. */
static void steps_of_the_program_itself(void **state)
{
	struct sigaction trap = {.sa_handler = count_trap}, old;

	(void)state;
	sigaction(SIGTRAP, &trap, &old);
	watched("plain", 0);
	traps = 0;
	/* Below the stack the compiler may have something. */
	__asm__ volatile("leaq -128(%%rsp), %%rsp\n\t"
			 "pushfq\n\t"
			 "orq $0x100, (%%rsp)\n\t"
			 "popfq\n\t"
			 "nop\n\tnop\n\tnop\n\tnop\n\t"
			 "pushfq\n\t"
			 "andq $~0x100, (%%rsp)\n\t"
			 "popfq\n\t"
			 "leaq 128(%%rsp), %%rsp\n\t" ::
				 : "memory", "cc");
	assert_in_range(traps, 4, 16);
	mini_close(&d, true);
	sigaction(SIGTRAP, &old, NULL);
}

static void tear_a_context_entry(void)
{
	mini_store(&d, mini_context(&d, DEV) + 8, 6ull << 8 | 2);
	only(MODEL_V_CHANGE);
}

static void several_machines_are_watched(void **state)
{
	struct mini kept[3];

	(void)state;
	for (unsigned i = 0; i < 3; i++) {
		watched("plain", 0);
		kept[i] = d;
	}
	/* The one made in between goes first. */
	for (unsigned i = 0; i < 3; i++) {
		d = kept[(i + 1) % 3];
		tear_a_context_entry();
		mini_close(&d, false);
	}
}

static void page_that_is_a_table_again(void **state)
{
	uint64_t slot, table;

	(void)state;
	watched("plain", 0);
	slot = mini_slot(&d, top, mini_levels(&d), 0x10000, 2);
	table = *(uint64_t *)model_ptr(d.m, slot) & ~0xfffull;
	mini_store(&d, slot, 0);
	flush_domain();
	model_page_free(d.m, table, 0);
	/* The one given back last: now the table above it. */
	assert_int_equal(mini_page(&d), table);
	mini_store(&d, mini_slot(&d, top, mini_levels(&d), 0x8000000000, 4),
		table | 3);
	mini_map(&d, top, 0x8000000000, frame, 3);
	assert_true(can_write(DEV, 0x8000000000));
	assert_int_equal(model_violation_count(d.m), 0);
	mini_store(&d, table, 0x40000000 | SS_PS | 3);
	expect(MODEL_V_CHANGE);
}

/* One store may change the end of one table and the begin of the next. */
static void store_across_two_tables(void **state)
{
	uint64_t table, slot;

	(void)state;
	watched("plain", MODEL_EAGER);
	table = model_page_alloc(d.m, 1, MODEL_OWNER_DRIVER);
	memset(model_ptr(d.m, table), 0, 0x2000);
	for (unsigned n = 0; n < 2; n++) {
		slot = mini_slot(&d, top, 4, 0x400000 + n * 0x200000, 2);
		mini_store(&d, slot, (table + n * 0x1000) | 3);
		assert_false(can_write(DEV, 0x400000 + n * 0x200000));
	}
	for (unsigned n = 0; n < 2; n++) {
		size_t cached = model_cached(d.m, 0);
		uint64_t v = (frame | 3) << 32;

		/* Both are seen, the second one from its lower half on. */
		memcpy((char *)model_ptr(d.m, table + 0xffc), &v, 8);
		assert_int_equal(model_cached(d.m, 0), cached + !n);
		/* And both are still watched. */
		set_leaf(0x401000 + n * 0x1000, frame | 3);
		set_leaf(0x601000 + n * 0x1000, frame | 3);
		assert_int_equal(model_cached(d.m, 0), cached + 2 + !n);
	}
	mini_close(&d, false);
}

static void texts_name_the_entry(void **state)
{
	char text[100];
	uint64_t slot;

	(void)state;
	watched("plain", 0);
	slot = mini_slot(&d, top, mini_levels(&d), 0x40008000, 2);
	mini_store(&d, slot + 24, 0x400000 | SS_PS | 3);
	assert_true(can_write(DEV, 0x40000000 + 3 * 0x200000));
	mini_store(&d, slot + 24, top | 3);
	snprintf(text, sizeof text, "one step at %#llx (level 2)",
		(unsigned long long)slot + 24);
	assert_true(said(text));
	slot = mini_context(&d, DEV);
	mini_store(&d, slot + 8, 6ull << 8 | 2);
	snprintf(text, sizeof text, "context entry at %#llx changed half",
		(unsigned long long)slot);
	assert_true(said(text));
	mini_close(&d, false);
}

/* Once the unit may read a table, it may do so at any moment: the tables need
 * not have been used (VT-d 9.3). */
static void tables_are_seen_before_they_are_used(void **state)
{
	uint64_t slot;

	(void)state;
	for (unsigned eager = 0; eager < 2; eager++) {
		with_functions("plain", MODEL_WATCH | (eager ? MODEL_EAGER : 0),
			NULL, 0);
		mini_start(&d);
		slot = mini_context(&d, DEV);
		if (!eager)
			can_write(OTHER, 0);
		mini_store(&d, slot, mini_page(&d) | 1);
		mini_store(&d, slot + 8, 5ull << 8 | 2);
		assert_true(model_violations_of(d.m, MODEL_V_CHANGE) > 0);
		mini_close(&d, false);
	}
}

/* As long as no request comes by it. */
static void root_table_that_is_not_used_is_written_in_any_way(void **state)
{
	(void)state;
	for (unsigned abort = 0; abort < 2; abort++) {
		with_functions("abort-dma", MODEL_WATCH, NULL, 0);
		if (abort) {
			mini_write64(&d, RTADDR, d.root | 3ull << 10);
			mini_command(&d, G_RTP, true);
			mini_translation(&d, true);
		} else {
			mini_set_root(&d);
		}
		mini_store(&d, d.root + 16 * 5, mini_page(&d) | 1);
		mini_store(&d, d.root + 16 * 5 + 8, 1);
		mini_store(&d, d.root + 16 * 5 + 8, 0);
		mini_close(&d, true);
	}
}

/* ---- walking ahead --------------------------------------------------------
 */

static void new_context_entry_is_walked_at_once(void **state)
{
	static const uint16_t devs[] = {OTHER, MODEL_BDF(1, 2, 3)};

	(void)state;
	for (unsigned i = 0; i < 2; i++) {
		watched("plain", MODEL_EAGER);
		/* Its table is known once the unit has come by. */
		mini_context(&d, devs[i]);
		can_write(devs[i], 0);
		top = mini_page(&d);
		mini_map(&d, top, 0x30000, frame, 3);
		mini_attach(&d, devs[i], top, DID + 1, TT_SS);
		assert_int_equal(model_checkpoint(d.m), 0);
		set_leaf(0x30000, 0);
		assert_int_equal(model_checkpoint(d.m), 1);
		expect(MODEL_V_STALE);
	}
}

static void nothing_is_walked_for_pass_through(void **state)
{
	(void)state;
	watched("plain", MODEL_EAGER);
	mini_attach(&d, OTHER, 0, DID + 1, TT_PASS);
	model_prefetch(d.m);
	expect_nothing();
}

/* Every unit walks over what it has as a table. */
static void second_unit_walks_at_once(void **state)
{
	const struct model_personality *kind = model_personality_find("plain");

	(void)state;
	for (unsigned unit = 0; unit < 2; unit++) {
		uint16_t dev = unit ? OTHER : DEV;

		mini_open(&d,
			model_create_pair(kind, kind, MODEL_LAZY,
				MODEL_WATCH | MODEL_EAGER, 1, false));
		d.base = model_unit_base(d.m, unit);
		mapped();
		mini_attach(&d, dev, top, DID, TT_SS);
		assert_true(can_write(dev, 0x10000));
		assert_int_equal(model_cached(d.m, !unit), 0);
		set_leaf(0x11000, frame | 3);
		set_leaf(0x11000, 0);
		assert_true(can_write(dev, 0x11000));
		expect_at_checkpoint(MODEL_V_STALE);
	}
}

/* Who met a table first answers for it. */
static void unit_that_walked_a_table_is_named(void **state)
{
	const struct model_personality *kind = model_personality_find("plain");

	(void)state;
	mini_open(&d,
		model_create_pair(
			kind, kind, MODEL_LAZY, MODEL_WATCH, 1, false));
	attached();
	assert_true(can_write(DEV, 0x10000));
	/* The second unit has contexts of its own, for the same tables. */
	d.base = model_unit_base(d.m, 1);
	d.root = mini_page(&d);
	d.ring = mini_page(&d);
	d.tail = 0;
	mini_start(&d);
	mini_attach(&d, OTHER, top, DID, TT_SS);
	assert_true(can_write(OTHER, 0x10000));
	mini_store(&d, mini_context(&d, OTHER) + 8, 6ull << 8 | 2);
	assert_int_equal(model_violation(d.m, 0)->unit, 1);
	mini_store(&d, mini_slot(&d, top, 4, 0x10000, 2), SS_PS | 3);
	assert_int_equal(model_violation(d.m, 1)->unit, 0);
	expect(MODEL_V_CHANGE);
}

/* What was forgotten comes back when it is changed, with the way to it and
 * nothing else. */
static void one_store_is_one_entry(void **state)
{
	(void)state;
	watched("plain", MODEL_EAGER);
	set_leaf(0x40000000, frame | 3);
	assert_true(can_write(DEV, 0x40000000));
	mini_flush_iotlb(&d, GRAN_GLOBAL, 0, 0, 0, false);
	mini_flush_context(&d, GRAN_GLOBAL, 0, 0);
	assert_int_equal(model_cached(d.m, 0), 0);
	set_leaf(0x40001000, frame | 3);
	/* Root, context, the tables below the first, the page. */
	assert_int_equal(model_cached(d.m, 0), 2 + mini_levels(&d));
	set_leaf(0x40001000, 0);
	assert_true(can_write(DEV, 0x40001000));
	expect_at_checkpoint(MODEL_V_STALE);
}

/* A table that a domain without devices has kept: the unit cannot come there,
 * so there is nothing that would have to be flushed (VT-d 6.5.3.3). */
static void nothing_is_walked_for_a_domain_without_devices(void **state)
{
	size_t cached;

	(void)state;
	watched("plain", MODEL_EAGER);
	take_context(DEV);
	mini_flush_context(&d, GRAN_NARROW, DID, DEV);
	flush_domain();
	cached = model_cached(d.m, 0);
	set_leaf(0x11000, frame | 3);
	set_leaf(0x10000, 0);
	assert_int_equal(model_cached(d.m, 0), cached);
	mini_attach(&d, DEV, top, DID, TT_SS);
	assert_false(can_write(DEV, 0x10000));
	assert_true(can_write(DEV, 0x11000));
	expect_nothing();
}

/* With the pointers to it forgotten, a page is still of the domain's table. */
static void new_page_is_reached_from_the_top(void **state)
{
	(void)state;
	watched("plain", MODEL_EAGER);
	flush_domain();
	set_leaf(0x11000, frame | 3);
	mini_attach(&d, OTHER, top, DID, TT_SS);
	assert_true(can_write(OTHER, 0x11000));
	assert_int_equal(model_checkpoint(d.m), 0);
	assert_int_equal(model_violation_count(d.m), 0);
	/* Found also when no context is remembered. */
	mini_flush_context(&d, GRAN_GLOBAL, 0, 0);
	mini_flush_iotlb(&d, GRAN_GLOBAL, 0, 0, 0, false);
	set_leaf(0x12000, frame | 3);
	set_leaf(0x12000, 0);
	expect_at_checkpoint(MODEL_V_STALE);
}

/* The bit that says so in upper tables means nothing in the lowest. */
static void lowest_entries_have_no_size(void **state)
{
	(void)state;
	watched("plain", 0);
	set_leaf(0x10000, frame | SS_PS | 3);
	set_leaf(0x10000, frame | 3);
	assert_int_equal(model_violations_of(d.m, MODEL_V_CHANGE), 0);
	mini_close(&d, true);
}

static void large_page_becomes_a_table_that_is_not_memory(void **state)
{
	uint64_t slot;

	(void)state;
	watched("plain", 0);
	slot = mini_slot(&d, top, mini_levels(&d), 0x40000000, 2);
	mini_store(&d, slot, 0x400000 | SS_PS | 3);
	assert_true(can_write(DEV, 0x40000000));
	mini_store(&d, slot, 0x3ff0000000 | 3);
	expect(MODEL_V_CHANGE);
}

/* A page behind a table without write permission cannot be written. */
static void rights_of_the_tables_above_count(void **state)
{
	uint64_t slot;

	(void)state;
	watched("plain", MODEL_EAGER);
	slot = mini_slot(&d, top, mini_levels(&d), 0x200000, 2);
	mini_store(&d, slot, mini_page(&d) | SS_R);
	set_leaf(0x200000, frame | 3);
	assert_false(can_write(DEV, 0x200000));
	assert_int_equal(model_last_fault(d.m), F_WRITE);
	/* Its way leads by the upper entries, too. */
	mini_store(&d, slot, 0);
	assert_int_equal(model_checkpoint(d.m), 2);
	expect(MODEL_V_STALE);
}

static void no_walk_while_translation_is_off(void **state)
{
	size_t cached;

	(void)state;
	watched("plain", MODEL_EAGER);
	mini_translation(&d, false);
	cached = model_cached(d.m, 0);
	mini_map(&d, top, 0x20000, frame, 3);
	model_prefetch(d.m);
	assert_int_equal(model_cached(d.m, 0), cached);
	/* Switched on, the unit walks over all there is. */
	mini_set_root(&d);
	mini_flush_context(&d, GRAN_GLOBAL, 0, 0);
	mini_flush_iotlb(&d, GRAN_GLOBAL, 0, 0, 0, false);
	mini_translation(&d, true);
	set_leaf(0x20000, 0);
	assert_int_equal(model_checkpoint(d.m), 1);
	expect(MODEL_V_STALE);
}

/* Whoever takes a unit over may switch off what he likes first. */
static void tables_of_an_earlier_owner_are_not_walked_ahead(void **state)
{
	(void)state;
	mini_open(&d,
		model_create_usual(model_personality_find("plain"), MODEL_LAZY,
			MODEL_WATCH | MODEL_EAGER, 1, true));
	mini_command(&d, G_IRE, false);
	model_prefetch(d.m);
	assert_int_equal(model_violation_count(d.m), 0);
	mini_translation(&d, false);
	mini_close(&d, true);
}

static void caching_mode_remembers_holes_ahead(void **state)
{
	size_t plain;

	(void)state;
	ready("plain");
	plain = model_cached(d.m, 0);
	model_prefetch(d.m);
	/* All there is was used before. */
	assert_int_equal(model_cached(d.m, 0), plain);
	mini_close(&d, true);
	ready("caching");
	model_prefetch(d.m);
	set_leaf(0x11000, frame | 3);
	assert_int_equal(model_checkpoint(d.m), 1);
	expect(MODEL_V_STALE);
}

#define T(f) cmocka_unit_test(f)

int main(void)
{
	const struct CMUnitTest tests[] = {
		T(faults_elsewhere_are_the_programs_own),
		T(no_file_is_left_open),
		T(nothing_is_left_mapped),
		T(no_machine_without_its_memory),
		T(several_machines_are_watched),
		T(programs_without_handlers_end_as_ever),
		T(steps_of_the_program_itself),
		T(page_that_is_a_table_again),
		T(store_across_two_tables),
		T(texts_name_the_entry),
		T(tables_are_seen_before_they_are_used),
		T(second_unit_walks_at_once),
		T(unit_that_walked_a_table_is_named),
		T(new_context_entry_is_walked_at_once),
		T(nothing_is_walked_for_pass_through),
		T(one_store_is_one_entry),
		T(nothing_is_walked_for_a_domain_without_devices),
		T(new_page_is_reached_from_the_top),
		T(lowest_entries_have_no_size),
		T(large_page_becomes_a_table_that_is_not_memory),
		T(rights_of_the_tables_above_count),
		T(no_walk_while_translation_is_off),
		T(tables_of_an_earlier_owner_are_not_walked_ahead),
		T(caching_mode_remembers_holes_ahead),
		T(root_table_that_is_not_used_is_written_in_any_way),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
