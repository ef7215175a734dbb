/* SPDX-License-Identifier: MIT */
/*
 * Two CPUs at the same thing: whenever one is in a hook of the host, the other
 * does the same. One wins, both are served, nothing is lost. A hook that calls
 * the library again plays the other CPU, so that every order is tried, not the
 * few that threads happen to find.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <stdio.h>
#include <string.h>
#include "support/rig.h"

#define RW (IOMMU_READ | IOMMU_WRITE)

static const char *const kinds[] = {
	"plain", "no-qi", "non-coherent", "caching", "worst-memory"};
#define KINDS (sizeof(kinds) / sizeof(*kinds))

/** What the other CPU does, and at which hook of the first one's. */
static struct {
	struct rig *r;
	void (*act)(struct rig *r);
	unsigned countdown;
	bool happened;
	struct iommu_host real;
} other;

static void maybe(void)
{
	if (!other.act || !other.countdown || --other.countdown)
		return;
	/* Only one CPU can be played: it must not find a lock taken. */
	if (other.r->host.locks_held) {
		other.countdown = 1;
		return;
	}
	other.happened = true;
	other.act(other.r);
}

static void *page_alloc(void *ctx, unsigned order, iommu_phys_t *out_phys)
{
	void *page = other.real.page_alloc(ctx, order, out_phys);

	maybe();
	return page;
}

static unsigned long lock(void *ctx, struct iommu_lock *lock)
{
	maybe();
	return other.real.lock(ctx, lock);
}

/** Asked whenever the hardware is waited for. */
static uint64_t now_ns(void *ctx)
{
	maybe();
	return other.real.now_ns(ctx);
}

/** Stored, but not yet in memory. */
static void cache_flush(void *ctx, const void *virt, size_t size)
{
	maybe();
	other.real.cache_flush(ctx, virt, size);
}

static void open_rig(struct rig *r, const char *kind)
{
	memset(&other, 0, sizeof(other));
	rig_open(r, kind, MODEL_LAZY, 1);
	other.r = r;
	other.real = r->hooks;
	r->hooks.page_alloc = page_alloc;
	r->hooks.lock = lock;
	r->hooks.now_ns = now_ns;
	r->hooks.cache_flush = cache_flush;
	rig_start_ok(r);
}

/** From now on, the n-th hook is where the other CPU acts. */
static void arm(void (*act)(struct rig *r), unsigned n)
{
	other.act = act;
	other.countdown = n;
	other.happened = false;
}

static bool disarm(void)
{
	other.act = NULL;
	return other.happened;
}

static struct iommu_domain *domain;
static enum iommu_status got;

/** A state to start from, what both CPUs do, and what holds afterwards. */
struct race {
	void (*before)(struct rig *r);
	void (*both)(struct rig *r);
	void (*after)(struct rig *r);
};

static void run(const struct race *race)
{
	for (unsigned k = 0; k < KINDS; k++) {
		bool met = true;

		for (unsigned n = 1; met; n++) {
			struct rig r;

			open_rig(&r, kinds[k]);
			domain = rig_mapped_domain(&r);
			if (race->before)
				race->before(&r);
			arm(race->both, n);
			race->both(&r);
			met = disarm();
			race->after(&r);
			OK(iommu_domain_destroy(domain));
			rig_close(&r);
			assert_true(n < 200);
			assert_true(met || n > 1);
		}
	}
}

/* ---- a device that nobody has looked at ---- */

static void look(struct rig *r)
{
	struct iommu_device_info info;

	OK(iommu_device_info(r->iommu, rig_id(RIG_DEV), &info));
	assert_int_equal(info.state, IOMMU_DEVICE_BLOCKED);
}

static void devices_are_met_once(void **state)
{
	static const struct race race = {NULL, look, look};

	(void)state;
	run(&race);
}

/* ---- attach ---- */

static unsigned attached, busy;

static void attach(struct rig *r)
{
	enum iommu_status status =
		iommu_attach(r->iommu, rig_id(RIG_DEV), domain);

	attached += status == IOMMU_OK;
	busy += status == IOMMU_BUSY;
	if (status != IOMMU_OK && status != IOMMU_BUSY)
		fail_msg("%s", iommu_status_text(status));
}

static void map_one(struct rig *r)
{
	(void)r;
	attached = busy = 0;
	OK(iommu_map(
		domain, iommu_iova(0x5000), iommu_phys(0x100000), 4096, RW));
}

static void one_is_attached(struct rig *r)
{
	assert_int_equal(attached, 1);
	assert_true(busy <= 1);
	assert_true(rig_can_write(r, RIG_DEV, 0x5000));
	OK(iommu_detach(r->iommu, rig_id(RIG_DEV)));
	assert_false(rig_can_write(r, RIG_DEV, 0x5000));
}

static void one_attach_wins(void **state)
{
	static const struct race race = {map_one, attach, one_is_attached};

	(void)state;
	run(&race);
}

/** Two devices of one bus: one context table. */
static uint16_t next_device[] = {RIG_DEV, RIG_OTHER};
static unsigned devices;

static void attach_next(struct rig *r)
{
	uint16_t bdf = next_device[devices++ % 2];

	OK(iommu_attach(r->iommu, rig_id(bdf), domain));
}

static void map_two(struct rig *r)
{
	map_one(r);
	devices = 0;
}

static void both_reach_the_page(struct rig *r)
{
	if (devices == 1)
		attach_next(r);
	for (unsigned n = 0; n < 2; n++) {
		assert_true(rig_can_write(r, next_device[n], 0x5000));
		OK(iommu_detach(r->iommu, rig_id(next_device[n])));
	}
}

static void context_table_is_made_once(void **state)
{
	static const struct race race = {
		map_two, attach_next, both_reach_the_page};

	(void)state;
	run(&race);
}

/** Two members of a group: one after the other, whoever is first. */
static uint16_t member[] = {MODEL_BDF(2, 0, 0), MODEL_BDF(2, 1, 0)};

static void attach_member(struct rig *r)
{
	enum iommu_status status =
		iommu_attach(r->iommu, rig_id(member[devices++ % 2]), domain);

	attached += status == IOMMU_OK;
	busy += status == IOMMU_BUSY;
	if (status != IOMMU_OK && status != IOMMU_BUSY)
		fail_msg("%s", iommu_status_text(status));
}

static void members_reach_the_page(struct rig *r)
{
	unsigned left = 0;

	assert_int_equal(attached + busy, devices);
	assert_true(attached >= 1);
	assert_int_equal(iommu_domain_devices(domain), attached);
	assert_true(rig_can_write(r, member[0], 0x5000));
	for (unsigned n = 0; n < 2; n++)
		left += iommu_detach(r->iommu, rig_id(member[n])) == IOMMU_OK;
	assert_int_equal(left, attached);
	assert_false(rig_can_write(r, member[0], 0x5000));
	assert_false(rig_can_write(r, member[1], 0x5000));
}

static void group_members_wait_for_each_other(void **state)
{
	static const struct race race = {
		map_two, attach_member, members_reach_the_page};

	(void)state;
	run(&race);
}

/** Identity without pass-through needs tables, made once. */
static void attach_identity(struct rig *r)
{
	uint16_t bdf = next_device[devices++ % 2];

	got = iommu_attach(
		r->iommu, rig_id(bdf), iommu_domain_identity(r->iommu));
}

static void identity_tables_are_made_once(void **state)
{
	(void)state;
	for (unsigned n = 1;; n += 1 + n / 16) {
		struct rig r;
		bool met;

		open_rig(&r, "no-pt");
		devices = 0;
		arm(attach_identity, n);
		attach_identity(&r);
		met = disarm();
		assert_int_equal(got, IOMMU_OK);
		for (unsigned k = 0; k < devices; k++) {
			assert_true(
				rig_can_write(&r, next_device[k], 0x100000));
			OK(iommu_detach(r.iommu, rig_id(next_device[k])));
		}
		rig_close(&r);
		if (!met)
			break;
		assert_true(n < 10000);
	}
}

/* ---- map and unmap ---- */

static uint64_t pages_mapped[2];
static unsigned maps;

/** Pages side by side: the tables above are shared. */
static void map_next(struct rig *r)
{
	uint64_t at = 0x40000000 + 0x1000ull * maps;

	(void)r;
	pages_mapped[maps++ % 2] = at;
	OK(iommu_map(
		domain, iommu_iova(at), iommu_phys(0x100000 + at), 4096, RW));
}

static void attach_first(struct rig *r)
{
	maps = 0;
	OK(iommu_attach(r->iommu, rig_id(RIG_DEV), domain));
}

static void pages_are_there(struct rig *r)
{
	iommu_phys_t phys;

	for (unsigned n = 0; n < maps; n++) {
		OK(iommu_iova_to_phys(
			domain, iommu_iova(pages_mapped[n]), &phys));
		assert_int_equal(phys.v, 0x100000 + pages_mapped[n]);
	}
	OK(iommu_unmap_now(domain, iommu_iova(0x40000000), 0x40000000));
	rig_check(r);
	OK(iommu_detach(r->iommu, rig_id(RIG_DEV)));
}

static void tables_are_made_once(void **state)
{
	static const struct race race = {
		attach_first, map_next, pages_are_there};

	(void)state;
	run(&race);
}

static uint64_t used;

static void attach_and_find_page(struct rig *r)
{
	attach_first(r);
	used = rig_frame(r, 9);
}

/** Who is told that a page is mapped may use it at once: also below a link that
 *  the other CPU stored and has not yet written back. */
static void map_and_use(struct rig *r)
{
	uint64_t at = 0x40000000 + 0x1000ull * maps++;

	OK(iommu_map(domain, iommu_iova(at), iommu_phys(used), 4096, RW));
	assert_true(rig_can_read(r, RIG_DEV, at));
}

static void unmap_used(struct rig *r)
{
	OK(iommu_unmap_now(domain, iommu_iova(0x40000000), 0x40000000));
	rig_check(r);
	OK(iommu_detach(r->iommu, rig_id(RIG_DEV)));
	model_page_free(r->m, used, 0);
}

static void mapped_is_reachable_at_once(void **state)
{
	static const struct race race = {
		attach_and_find_page, map_and_use, unmap_used};

	(void)state;
	run(&race);
}

/** Two holes in one large page: it is split once. */
static void map_large(struct rig *r)
{
	attach_first(r);
	OK(iommu_map(domain, iommu_iova(0x40000000), iommu_phys(0x200000),
		0x200000, RW));
}

static void cut_next(struct rig *r)
{
	(void)r;
	pages_mapped[maps % 2] = 0x40000000 + 0x7000ull * maps;
	OK(iommu_unmap_now(
		domain, iommu_iova(0x40000000 + 0x7000ull * maps++), 4096));
}

static void holes_are_there(struct rig *r)
{
	for (unsigned n = 0; n < maps; n++) {
		assert_false(rig_can_write(r, RIG_DEV, pages_mapped[n]));
		assert_true(
			rig_can_write(r, RIG_DEV, pages_mapped[n] + 0x1000));
	}
	OK(iommu_unmap_now(domain, iommu_iova(0x40000000), 0x200000));
	OK(iommu_detach(r->iommu, rig_id(RIG_DEV)));
}

static void large_pages_are_split_once(void **state)
{
	static const struct race race = {map_large, cut_next, holes_are_there};

	(void)state;
	run(&race);
}

/** Both fill the reserve that pages are cut from. */
static void map_two_of_small_pages(struct rig *r)
{
	attach_first(r);
	for (uint64_t at = 0; at < 0x400000; at += 4096)
		OK(iommu_map(domain, iommu_iova(0x40000000 + at),
			iommu_phys(0x400000 + at), 4096, RW));
}

static void join_next(struct rig *r)
{
	struct iommu_batch batch;

	(void)r;
	iommu_batch_init(&batch, domain);
	OK(iommu_join(domain,
		iommu_iova(0x40000000 + 0x200000ull * (maps++ % 2)), 0x200000,
		&batch));
	OK(iommu_batch_flush(&batch));
}

static void joined_pages_are_there(struct rig *r)
{
	assert_true(rig_can_write(r, RIG_DEV, 0x40000000));
	assert_true(rig_can_write(r, RIG_DEV, 0x403ff000));
	OK(iommu_unmap_now(domain, iommu_iova(0x40000000), 0x400000));
	assert_false(rig_can_write(r, RIG_DEV, 0x40000000));
	OK(iommu_detach(r->iommu, rig_id(RIG_DEV)));
}

static void reserve_is_not_overfilled(void **state)
{
	static const struct race race = {
		map_two_of_small_pages, join_next, joined_pages_are_there};

	(void)state;
	run(&race);
}

/* ---- detach against everything ---- */

/** Who is told that the device is not attached may rely on it: while another
 *  CPU is detaching it, that is not so yet. */
static void detach(struct rig *r)
{
	got = iommu_detach(r->iommu, rig_id(RIG_DEV));
	attached += got == IOMMU_OK;
	if (!attached)
		assert_int_equal(got, IOMMU_BUSY);
	else if (got != IOMMU_OK)
		assert_true(got == IOMMU_NOT_ATTACHED || got == IOMMU_BUSY);
}

static void map_and_attach(struct rig *r)
{
	map_one(r);
	OK(iommu_attach(r->iommu, rig_id(RIG_DEV), domain));
	assert_true(rig_can_write(r, RIG_DEV, 0x5000));
}

static void one_was_detached(struct rig *r)
{
	assert_int_equal(attached, 1);
	assert_false(rig_can_write(r, RIG_DEV, 0x5000));
}

static void one_detach_wins(void **state)
{
	static const struct race race = {
		map_and_attach, detach, one_was_detached};

	(void)state;
	run(&race);
}

/** While a member of a group comes, another one cannot leave. */
static void come_or_leave(struct rig *r)
{
	if (devices++ % 2) {
		got = iommu_detach(r->iommu, rig_id(member[0]));
		assert_true(got == IOMMU_OK || got == IOMMU_BUSY);
		busy += got == IOMMU_BUSY;
	} else {
		got = iommu_attach(r->iommu, rig_id(member[1]), domain);
		assert_int_equal(got, IOMMU_OK);
	}
}

static void map_and_attach_member(struct rig *r)
{
	map_two(r);
	OK(iommu_attach(r->iommu, rig_id(member[0]), domain));
}

static void the_other_member_is_there(struct rig *r)
{
	assert_true(rig_can_write(r, member[1], 0x5000));
	OK(iommu_detach(r->iommu, rig_id(member[1])));
	assert_int_equal(iommu_detach(r->iommu, rig_id(member[0])),
		devices == 2 && !busy ? IOMMU_NOT_ATTACHED : IOMMU_OK);
	assert_false(rig_can_write(r, member[0], 0x5000));
}

static void members_do_not_pass_each_other(void **state)
{
	static const struct race race = {map_and_attach_member, come_or_leave,
		the_other_member_is_there};

	(void)state;
	run(&race);
}

/* ---- a device that falls silent ---- */

static enum iommu_status flushed[2];
static unsigned flushes;

static void flush_next(struct rig *r)
{
	unsigned n = flushes++ % 2;

	(void)r;
	flushed[n] =
		iommu_flush(domain, IOMMU_RIGHTS_CUT, iommu_iova(0x5000), 4096);
}

/** Until the silent device is blocked it may use what its TLB holds: the CPU
 *  that is told "done" must not be the one that came meanwhile. */
static void nobody_is_told_done_before_the_silent_is_blocked(void **state)
{
	bool unconfirmed = false;

	(void)state;
	for (unsigned n = 1;; n++) {
		struct iommu_device_info info;
		struct rig r;
		bool met;

		memset(&other, 0, sizeof(other));
		rig_open(&r, "plain", MODEL_LAZY, 1);
		other.r = &r;
		other.real = r.hooks;
		r.hooks.lock = lock;
		r.hooks.now_ns = now_ns;
		r.options.ats = IOMMU_ON;
		r.options.timeout_ns = r.options.device_timeout_ns = 1000000;
		rig_start_ok(&r);
		domain = rig_mapped_domain(&r);
		OK(iommu_attach(r.iommu, rig_id(RIG_ATS), domain));
		model_ats_behave(r.m, 0, RIG_ATS, MODEL_ATS_NEVER);
		flushes = 0;
		flushed[1] = IOMMU_OK;
		arm(flush_next, n);
		flush_next(&r);
		met = disarm();
		for (unsigned k = 0; k < 2; k++) {
			assert_true(flushed[k] == IOMMU_OK ||
				flushed[k] == IOMMU_UNCONFIRMED);
			unconfirmed |= flushed[k] == IOMMU_UNCONFIRMED;
		}
		OK(iommu_device_info(r.iommu, rig_id(RIG_ATS), &info));
		assert_int_equal(info.state, IOMMU_DEVICE_QUARANTINED);
		OK(iommu_domain_destroy(domain));
		rig_close(&r);
		if (!met)
			break;
		n += n / 16;
		assert_true(n < 100000);
	}
	assert_true(unconfirmed);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(devices_are_met_once),
		cmocka_unit_test(one_attach_wins),
		cmocka_unit_test(context_table_is_made_once),
		cmocka_unit_test(group_members_wait_for_each_other),
		cmocka_unit_test(identity_tables_are_made_once),
		cmocka_unit_test(tables_are_made_once),
		cmocka_unit_test(mapped_is_reachable_at_once),
		cmocka_unit_test(large_pages_are_split_once),
		cmocka_unit_test(reserve_is_not_overfilled),
		cmocka_unit_test(one_detach_wins),
		cmocka_unit_test(members_do_not_pass_each_other),
		cmocka_unit_test(
			nobody_is_told_done_before_the_silent_is_blocked),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
