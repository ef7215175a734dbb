/* SPDX-License-Identifier: MIT */
/*
 * The hooks that lend a machine to a host: the order of locks, exactly, what is
 * forgotten of it with the memory they lay in, and what is told of all that.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <string.h>
#include <unistd.h>
#include "support/aborts.h"
#include "support/attached.h"
#include "support/lent.h"

static void opened(void)
{
	cold("plain");
	lend(d.m, 1);
}

static void refused(const char *why)
{
	assert_int_equal(model_violations_of(d.m, MODEL_V_WAIT), 1);
	assert_true(said(why));
	model_violations_clear(d.m);
}

#define BOTH_ORDERS "two locks are taken in both orders"

/* ---- order ----------------------------------------------------------------
 */

static void each_pair_is_noted_once(void **state)
{
	(void)state;
	opened();
	for (unsigned n = 0; n < 100; n++)
		both(0, 1);
	assert_int_equal(host.orders, 1);
	both(2, 3);
	both(0, 1);
	both(2, 3);
	/* Nothing of what was held before. */
	assert_int_equal(host.orders, 2);
	hold(4);
	let_go(4);
	assert_int_equal(host.orders, 2);
	hold(4);
	hold(5);
	hold(6);
	let_go(6);
	let_go(5);
	let_go(4);
	assert_int_equal(host.orders, 5);
	mini_close(&d, true);
}

static bool is_noted(unsigned first, unsigned then)
{
	for (unsigned n = 0; n < host.orders; n++)
		if (host.order[n].first == &locks[first] &&
			host.order[n].then == &locks[then])
			return true;
	return false;
}

/* Whichever goes first, the others are held as before; only the last one may
 * go. */
static void given_back_in_any_order(void **state)
{
	(void)state;
	for (unsigned gone = 0; gone < 8; gone++) {
		opened();
		for (unsigned n = 0; n < 8; n++)
			hold(n);
		assert_int_equal(host.orders, 28);
		let_go(gone);
		if (gone < 7)
			refused("a lock given back before one taken later");
		hold(9);
		assert_int_equal(host.orders, 35);
		let_go(9);
		for (unsigned n = 8; n--;)
			if (n != gone)
				let_go(n);
		for (unsigned n = 0; n < 8; n++)
			assert_int_equal(is_noted(n, 9), n != gone);
		mini_close(&d, true);
	}
}

static void more_than_are_kept_in_mind(void **state)
{
	(void)state;
	opened();
	for (unsigned n = 0; n < 12; n++)
		hold(n);
	/* Eight are. */
	assert_int_equal(host.orders, 8 * 7 / 2 + 4 * 8);
	for (unsigned n = 12; n--;)
		let_go(n);
	assert_int_equal(host.locks_held, 0);
	both(1, 0);
	refused(BOTH_ORDERS);
	mini_close(&d, true);
}

static void most_pairs(void **state)
{
	(void)state;
	opened();
	for (unsigned n = 0; n < 12; n++)
		for (unsigned k = n + 1; k < 12; k++)
			both(n, k);
	assert_int_equal(host.orders, 64);
	both(1, 0);
	refused(BOTH_ORDERS);
	mini_close(&d, true);
}

/* By way of seven others, which is as many as one may hold. */
static void long_way_round(void **state)
{
	(void)state;
	for (unsigned links = 1; links <= 9; links++) {
		opened();
		for (unsigned n = links; n--;)
			both(n, n + 1);
		assert_int_equal(model_violation_count(d.m), 0);
		both(links, 0);
		if (links <= 8)
			refused(BOTH_ORDERS);
		mini_close(&d, true);
	}
}

static void take_the_last(void)
{
	hold(7);
}

/* Instead of waiting for ever. */
static void taken_twice(void **state)
{
	(void)state;
	opened();
	for (unsigned n = 0; n < 8; n++)
		hold(n);
	aborts(take_the_last, "a lock is taken twice");
	for (unsigned n = 8; n--;)
		let_go(n);
	mini_close(&d, true);
}

/* ---- memory ---------------------------------------------------------------
 */

/* What lay in the pages given back, to the last of them, and nothing beside. */
static void order_goes_with_the_pages(void **state)
{
	const unsigned page = MODEL_PAGE / sizeof *locks;
	struct iommu_lock *more;
	iommu_phys_t next;

	(void)state;
	opened();
	more = hooks.page_alloc(hooks.ctx, 1, &next);
	/* One after the other. */
	assert_ptr_equal(more, locks + 2 * page);
	both(2 * page, 2 * page + 1);
	both(0, 2 * page);
	both(2 * page + 1, 1);
	both(2 * page - 1, 2 * page + 2);
	both(3 * page, 2 * page + 3);
	assert_int_equal(host.orders, 5);
	hooks.page_free(hooks.ctx, locks, place, 1);
	assert_int_equal(host.orders, 2);
	assert_ptr_equal(host.order[0].first, more);
	assert_ptr_equal(host.order[1].then, more + 3);
	/* Those after them go without the ones before. */
	hooks.page_free(hooks.ctx, more, next, 1);
	assert_int_equal(host.orders, 0);
	mini_close(&d, true);
}

static void registers_are_whole_pages(void **state)
{
	(void)state;
	opened();
	hooks.regs_map(hooks.ctx, iommu_phys(d.base), 4096 + 1);
	hooks.regs_map(hooks.ctx, iommu_phys(d.base + 1), 4096);
	assert_int_equal(model_violation_count(d.m), 2);
	only(MODEL_V_ACCESS);
	mini_close(&d, false);
}

static void what_is_left_is_named(void **state)
{
	(void)state;
	opened();
	for (uint64_t page = 0; page < 4; page++)
		model_page_free(d.m, page << 12, 0);
	hooks.page_free(hooks.ctx, locks, place, 1);
	assert_int_equal(model_host_check_leaks(&host), 0);
	assert_int_equal(model_violation_count(d.m), 0);
	locks = hooks.page_alloc(hooks.ctx, 1, &place);
	model_host_check_leaks(&host);
	assert_true(said("2 pages are left"));
	hooks.regs_map(hooks.ctx, iommu_phys(d.base), 4096);
	model_host_check_leaks(&host);
	assert_true(said("1 register mappings are left"));
	hold(0);
	hold(1);
	assert_int_equal(model_host_check_leaks(&host), 3);
	assert_true(said("2 locks are left"));
	assert_int_equal(model_violation_count(d.m), 3);
	let_go(1);
	let_go(0);
	mini_close(&d, false);
}

/* ---- what is told ---------------------------------------------------------
 */

static unsigned asked;

static void ask(struct model_host *h)
{
	assert_ptr_equal(h, &host);
	asked++;
}

static void waits_are_shown_to_who_asks(void **state)
{
	uint64_t was;

	(void)state;
	opened();
	hooks.relax(hooks.ctx, 1);
	host.on_relax = ask;
	asked = 0;
	hooks.relax(hooks.ctx, 1);
	hooks.relax(hooks.ctx, 1);
	assert_int_equal(asked, 2);
	/* Time goes on meanwhile. */
	was = hooks.now_ns(hooks.ctx);
	hooks.relax(hooks.ctx, 1);
	assert_int_equal(hooks.now_ns(hooks.ctx) - was, 200);
	assert_int_equal(host.relaxed, 4);
	mini_close(&d, true);
}

static void log_is_printed_if_asked_for(void **state)
{
	char text[100];

	(void)state;
	opened();
	for (unsigned loud = 0; loud < 2; loud++) {
		FILE *file = tmpfile();
		int kept = dup(STDERR_FILENO);

		host.verbose = loud;
		fflush(stderr);
		dup2(fileno(file), STDERR_FILENO);
		hooks.log(hooks.ctx, IOMMU_LOG_INFO, "a line");
		fflush(stderr);
		dup2(kept, STDERR_FILENO);
		close(kept);
		rewind(file);
		text[fread(text, 1, sizeof text - 1, file)] = 0;
		fclose(file);
		assert_string_equal(text, loud ? "a line\n" : "");
		assert_int_equal(host.logged[IOMMU_LOG_INFO], loud + 1);
	}
	host.verbose = false;
	memset(host.logged, 0, sizeof host.logged);
	for (unsigned level = 0; level < 4; level++) {
		hooks.log(hooks.ctx, (enum iommu_log_level)level, "a line");
		for (unsigned n = 0; n < 4; n++)
			assert_int_equal(host.logged[n], n <= level);
	}
	mini_close(&d, true);
}

static void second_unit_has_its_own_vector(void **state)
{
	const struct model_personality *kind = model_personality_find("plain");

	(void)state;
	for (unsigned right = 0; right < 2; right++) {
		mini_open(&d,
			model_create_pair(kind, kind, MODEL_LAZY, 0, 1, false));
		model_host_init(&host, d.m, &hooks);
		d.base = model_unit_base(d.m, 1);
		mini_write32(&d, FEADDR, 0xfee00000);
		mini_write32(&d, FEDATA, MODEL_HOST_VECTOR + right);
		mini_write32(
			&d, FECTL, mini_read32(&d, FECTL) & ~(uint32_t)CTL_IM);
		model_unit_error(d.m, 1, FSTS_ICE);
		assert_int_equal(host.unit_interrupts, 2);
		assert_int_equal(model_violation_count(d.m), !right);
		assert_int_equal(said("unit 1 raises vector 64"), !right);
		mini_close(&d, false);
	}
}

#define T(f) cmocka_unit_test(f)

int main(void)
{
	const struct CMUnitTest tests[] = {
		T(each_pair_is_noted_once),
		T(given_back_in_any_order),
		T(more_than_are_kept_in_mind),
		T(most_pairs),
		T(long_way_round),
		T(taken_twice),
		T(order_goes_with_the_pages),
		T(registers_are_whole_pages),
		T(what_is_left_is_named),
		T(waits_are_shown_to_who_asks),
		T(log_is_printed_if_asked_for),
		T(second_unit_has_its_own_vector),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
