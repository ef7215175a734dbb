/* SPDX-License-Identifier: MIT */
/*
 * Snapshots: a machine that is put back does again what it did, bit for bit,
 * whatever was going on when it was kept and whatever happened since.
 *
 * SEED in the environment chooses another run.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <model/devices.h>
#include <stdlib.h>
#include <string.h>
#include "support/attached.h"

enum {
	STEPS = 1000,
	FRAMES = 16,
};

/* A driver and its devices at random. Everything here is copied along. */
struct life {
	struct mini d;
	struct model_attacker attacker;
	uint64_t rng, top, frame[FRAMES], taken[FRAMES];
	uint64_t seen; /* hash of all that was observable */
};

static uint64_t draw(struct life *l)
{
	l->rng ^= l->rng << 13;
	l->rng ^= l->rng >> 7;
	l->rng ^= l->rng << 17;
	return l->rng * 0x2545f4914f6cdd1dull >> 16;
}

static void note(struct life *l, uint64_t value)
{
	l->seen = (l->seen ^ value) * 0x100000001b3ull;
	l->seen ^= l->seen >> 29;
}

static void note_bytes(struct life *l, const void *bytes, size_t size)
{
	const uint8_t *at = bytes;
	uint64_t word;

	for (; size >= 8; at += 8, size -= 8) {
		memcpy(&word, at, 8);
		note(l, word);
	}
}

static uint64_t seed(void)
{
	const char *s = getenv("SEED");

	return s ? strtoull(s, NULL, 0) : 1;
}

static const uint16_t devices[] = {DEV, OTHER, ATS, MODEL_BDF(1, 0, 0)};

static void life_start(struct life *l, struct model *m, uint64_t run)
{
	memset(l, 0, sizeof *l);
	l->rng = (seed() + run) * 0x9e3779b97f4a7c15ull | 1;
	mini_open(&l->d, m);
	mini_start(&l->d);
	if (l->d.queue && l->d.ecap & ECAP_IR)
		mini_start_interrupts(&l->d);
	l->top = mini_page(&l->d);
	for (unsigned n = 0; n < FRAMES; n++)
		l->frame[n] = model_page_alloc(m, 0, OWNER);
	mini_attach(&l->d, DEV, l->top, DID, TT_SS);
	model_attacker_init(&l->attacker, m, 0, OTHER, run);
}

/* ---- steps --------------------------------------------------------------- */

static uint64_t place(uint64_t r)
{
	return 0x40000000 + r % 24 * 0x1000 + (r >> 8) % 3 * 0x200000;
}

static void edit(struct life *l, uint64_t r)
{
	mini_map(&l->d, l->top, place(r), l->frame[(r >> 16) % FRAMES],
		r >> 24 & 3);
	if (r >> 26 & 1)
		mini_flush_iotlb(&l->d, GRAN_DOMAIN, DID, 0, 0, false);
}

static void flush(struct life *l, uint64_t r)
{
	if (r & 1)
		mini_flush_iotlb(
			&l->d, GRAN_NARROW, DID, place(r), 0, r >> 9 & 1);
	else
		mini_flush_context(&l->d, 1 + (r >> 9) % 3, DID, DEV);
}

/* Queued, perhaps rung, not waited for. */
static void flush_later(struct life *l, uint64_t r)
{
	if (!l->d.queue)
		return;
	mini_queue(
		&l->d, DESC_IOTLB | GRAN_DOMAIN << 4 | (uint64_t)DID << 16, 0);
	if (r & 1)
		mini_ring(&l->d);
}

static void attach(struct life *l, uint64_t r)
{
	uint16_t dev = devices[r % 4];
	bool ats = dev == ATS && l->d.ecap & ECAP_DT;

	mini_attach(&l->d, dev, l->top, DID, ats ? TT_ATS : TT_SS);
	if (ats)
		model_pci_write(
			l->d.m, 0, 0, (uint8_t)dev, 0x106, 2, 0x8000 & r << 12);
	if (r >> 8 & 1)
		mini_store(&l->d, mini_context(&l->d, dev), 0);
}

static void request(struct life *l, uint64_t r)
{
	struct model *m = l->d.m;
	uint16_t dev = devices[r % 4];
	uint64_t at = place(r >> 8), v = r, w = r;

	switch ((r >> 40) % 8) {
	case 0:
		note(l, model_dma_read(m, 0, dev, at, &v, 8));
		break;
	case 1:
		note(l, model_dma_write(m, 0, dev, at, &v, 8));
		break;
	case 2:
		note(l, model_dma_post(m, 0, dev, at, &v, 8));
		break;
	case 3:
		note(l, model_dma_read_late(m, 0, dev, at, 8));
		break;
	case 4:
		note(l, model_dma_atomic(m, 0, dev, at, 1, &w));
		break;
	case 5:
		note(l, model_ats_request(m, 0, ATS, at, r >> 50 & 1));
		break;
	case 6:
		note(l, model_ats_dma(m, 0, ATS, at, &v, 8, r >> 50 & 1));
		break;
	default:
		note(l, model_ats_post(m, 0, ATS, at, &v, 8));
	}
	note(l, v + w);
	note(l, model_last_fault(m));
	note(l, model_posted(m));
}

static void memory(struct life *l, uint64_t r)
{
	uint64_t *page = &l->taken[r % FRAMES];
	unsigned order = r % FRAMES % 3;

	if (*page && *page != MODEL_NONE) {
		model_page_free(l->d.m, *page, order);
		*page = 0;
		return;
	}
	model_fail_alloc(l->d.m, r >> 8 & 1, false);
	*page = model_page_alloc(l->d.m, order, OWNER + 1);
	note(l, *page);
	if (*page != MODEL_NONE)
		note_bytes(l, model_ptr(l->d.m, *page), MODEL_PAGE);
}

static void interrupts(struct life *l, uint64_t r)
{
	uint64_t at = l->d.irt + r % 256 * 16;

	mini_store(&l->d, at + 8, 1ull << 18 | DEV);
	mini_store(&l->d, at, (r >> 8 & 0xff) << 16 | (r >> 16 & 1));
	if (l->d.queue && r >> 17 & 1)
		mini_flush_irte(&l->d, false, r % 256);
	note(l,
		model_msi(l->d.m, 0, DEV, 0xfee00010 | (r % 256 & 0x7fff) << 5,
			0));
}

static void odd(struct life *l, uint64_t r)
{
	struct model *m = l->d.m;

	switch (r % 8) {
	case 0:
		model_advance(m, r >> 8 & 0xffff);
		break;
	case 1:
		note(l, model_checkpoint(m));
		break;
	case 2:
		model_prefetch(m);
		break;
	case 3:
		model_fail_wait(m, 1 + (r >> 8) % 4);
		break;
	case 4:
		model_unit_error(m, 0, r >> 8 & 0x71);
		mini_write32(&l->d, FSTS, 0x71);
		break;
	case 5:
		model_attacker_act(&l->attacker, place(r >> 8));
		break;
	case 6:
		model_pci_write(m, 0, 0, (uint8_t)OTHER, 0x3c, 1, r >> 8);
		note(l, model_pci_read(m, 0, 0, (uint8_t)OTHER, 0x3c, 4));
		break;
	default:
		if (r >> 8 & 1)
			model_violations_clear(m);
	}
}

static void step(struct life *l)
{
	static void (*const steps[])(struct life * l, uint64_t r) = {edit,
		flush, flush_later, attach, request, request, request, memory,
		interrupts, odd};
	uint64_t r = draw(l);

	steps[r % 10](l, r / 10);
	note(l, mini_read32(&l->d, FSTS));
	note(l, mini_read64(&l->d, FSTS + 0x200 + (r >> 20) % 16 * 8));
	note(l, model_violation_count(l->d.m));
}

/* All that one can ask at the end. */
static void look(struct life *l)
{
	struct model *m = l->d.m;
	struct model_counters n;
	uint64_t page;

	for (size_t i = 0; i < model_violation_count(m); i++) {
		const struct model_violation *v = model_violation(m, i);

		note(l, v->count);
		for (const char *c = v->text; *c; c++)
			note(l, (uint8_t)*c);
	}
	model_counters(m, &n);
	note_bytes(l, &n, sizeof n);
	note(l, model_cached(m, 0));
	note(l, model_pages_in_use(m, 0));
	note(l, model_now(m));
	for (page = 0; page < 512 * MODEL_PAGE; page += MODEL_PAGE)
		note_bytes(l, model_ptr(m, page), MODEL_PAGE);
}

static uint64_t go_on(struct life *l, unsigned steps)
{
	while (steps--)
		step(l);
	look(l);
	return l->seen;
}

/* ---- the same again ------------------------------------------------------ */

static void again(struct model *m, uint64_t run, unsigned steps)
{
	struct life l, kept;
	struct model_snapshot *s;
	uint64_t seen;

	assert_non_null(m);
	life_start(&l, m, run);
	for (unsigned n = 0; n < 100; n++)
		step(&l);
	s = model_snapshot(m);
	assert_non_null(s);
	kept = l;
	seen = go_on(&l, steps);
	for (unsigned n = 0; n < 2; n++) {
		model_restore(m, s);
		l = kept;
		if (go_on(&l, steps) != seen)
			fail_msg("another end than before, SEED=%llu run %llu",
				(unsigned long long)seed(),
				(unsigned long long)run);
	}
	model_snapshot_free(s);
	model_destroy(m);
}

static void every_kind_does_the_same_again(void **state)
{
	uint64_t run = 0;

	(void)state;
	print_message("SEED=%llu\n", (unsigned long long)seed());
	for (const struct model_personality *p = model_personalities; p->name;
		p++)
		for (unsigned mode = 0; mode < 3; mode++)
			again(model_create_usual(p, (enum model_mode)mode, 0,
				      run, run & 1),
				run, STEPS),
				run++;
}

static void watched_stores_are_watched_again(void **state)
{
	const struct model_personality *kind = model_personality_find("plain");

	(void)state;
	for (unsigned run = 0; run < 4; run++)
		again(model_create_usual(kind, MODEL_LAZY,
			      MODEL_WATCH | (run & 1 ? MODEL_EAGER : 0), run,
			      false),
			run, 200);
}

/* ---- one thing at a time ------------------------------------------------- */

static struct model_snapshot *keep(void)
{
	struct model_snapshot *s = model_snapshot(d.m);

	assert_non_null(s);
	return s;
}

static void in_the_middle_of_the_queue(void **state)
{
	struct model_snapshot *s;
	struct mini kept;

	(void)state;
	ready("plain");
	set_leaf(0x10000, 0);
	mini_queue(&d,
		DESC_IOTLB | GRAN_DOMAIN << 4 | BIT(6) | BIT(7) |
			(uint64_t)DID << 16,
		0);
	mini_ring(&d);
	s = keep();
	kept = d;
	for (unsigned n = 0; n < 3; n++) {
		/* Fetched, not carried out. */
		assert_true(can_write(DEV, 0x10000));
		assert_true(mini_wait(&d));
		assert_false(can_write(DEV, 0x10000));
		model_restore(d.m, s);
		d = kept;
	}
	assert_true(mini_wait(&d));
	model_snapshot_free(s);
	mini_close(&d, true);
}

static void in_the_middle_of_a_command(void **state)
{
	struct model_snapshot *s;
	uint64_t time;

	(void)state;
	ready("no-qi");
	set_leaf(0x10000, 0);
	mini_write64(&d, ECAP_IRO(d.ecap) + 8,
		IOTLB_IVT | (uint64_t)GRAN_GLOBAL << 60 |
			(mini_read64(&d, ECAP_IRO(d.ecap) + 8) & MASK(31, 0)));
	s = keep();
	time = model_now(d.m);
	for (unsigned n = 0; n < 3; n++) {
		model_restore(d.m, s);
		assert_true(mini_read64(&d, ECAP_IRO(d.ecap) + 8) >> 63);
		assert_true(can_write(DEV, 0x10000));
		model_advance(d.m, 100000);
		assert_false(mini_read64(&d, ECAP_IRO(d.ecap) + 8) >> 63);
		assert_false(can_write(DEV, 0x10000));
	}
	model_restore(d.m, s);
	assert_int_equal(model_now(d.m), time);
	model_advance(d.m, 100000);
	model_snapshot_free(s);
	mini_close(&d, true);
}

static void with_writes_in_flight(void **state)
{
	struct model_snapshot *s;
	uint64_t was, value = 0x1122334455667788;
	struct mini kept;

	(void)state;
	ready("plain");
	kept = d;
	was = *(uint64_t *)model_ptr(d.m, frame);
	model_dma_post(d.m, 0, DEV, 0x10000, &value, 8);
	s = keep();
	for (unsigned n = 0; n < 3; n++) {
		model_restore(d.m, s);
		d = kept;
		assert_int_equal(model_posted(d.m), 1);
		assert_int_equal(*(uint64_t *)model_ptr(d.m, frame), was);
		flush_domain();
		assert_int_equal(model_posted(d.m), 0);
		assert_int_equal(*(uint64_t *)model_ptr(d.m, frame), value);
	}
	model_restore(d.m, s);
	model_snapshot_free(s);
	model_destroy(d.m);
}

static void with_a_fault_that_nobody_has_read(void **state)
{
	struct model_snapshot *s;

	(void)state;
	ready("plain");
	assert_false(can_write(DEV, 0x77000));
	s = keep();
	assert_true(mini_read32(&d, FSTS) & 2);
	for (unsigned n = 0; n < 8; n++)
		mini_write32(&d, CAP_FRO(d.cap) + n * 16 + 12, 1u << 31);
	assert_false(mini_read32(&d, FSTS) & 2);
	model_restore(d.m, s);
	assert_true(mini_read32(&d, FSTS) & 2);
	assert_int_equal(mini_read64(&d, CAP_FRO(d.cap)), 0x77000);
	model_snapshot_free(s);
	model_destroy(d.m);
}

/* Lines that were stored and not written back are not there again. */
static void memory_as_the_unit_sees_it(void **state)
{
	struct model_snapshot *s;
	uint64_t slot;

	(void)state;
	ready("non-coherent");
	slot = mini_slot(&d, top, mini_levels(&d), 0x11000, 1);
	*(uint64_t *)model_ptr(d.m, slot) = frame | 3;
	s = keep();
	for (unsigned n = 0; n < 3; n++) {
		assert_false(can_write(DEV, 0x11000));
		model_cache_flush(d.m, slot, 8);
		assert_true(can_write(DEV, 0x11000));
		model_restore(d.m, s);
	}
	model_snapshot_free(s);
	model_destroy(d.m);
}

/* Lines that were written back and wait in a chipset's buffer still wait. */
static void lines_on_their_way(void **state)
{
	struct model_snapshot *s;
	uint64_t slot;
	struct mini kept;

	(void)state;
	ready("worst-memory");
	slot = mini_slot(&d, top, mini_levels(&d), 0x11000, 1);
	*(uint64_t *)model_ptr(d.m, slot) = frame | 3;
	model_cache_flush(d.m, slot, 8);
	s = keep();
	kept = d;
	for (unsigned n = 0; n < 3; n++) {
		*(uint64_t *)model_ptr(d.m, slot) = 0;
		model_cache_flush(d.m, slot, 8);
		mini_write_buffer(&d);
		flush_domain();
		assert_false(can_write(DEV, 0x11000));
		model_restore(d.m, s);
		d = kept;
		mini_write_buffer(&d);
		flush_domain();
		assert_true(can_write(DEV, 0x11000));
	}
	model_snapshot_free(s);
	model_destroy(d.m);
}

static void after_errors(void **state)
{
	struct model_snapshot *s;

	(void)state;
	ready("plain");
	s = keep();
	model_page_free(d.m, frame, 0);
	model_unit_gone(d.m, 0, 0);
	model_device_remove(d.m, 0, DEV);
	assert_int_not_equal(model_violation_count(d.m), 0);
	assert_int_equal(mini_read32(&d, GSTS), ~0u);
	model_restore(d.m, s);
	assert_int_equal(model_violation_count(d.m), 0);
	assert_true(can_write(DEV, 0x10000));
	model_checkpoint(d.m);
	model_snapshot_free(s);
	mini_close(&d, true);
}

/* What was taken since is as if it had never been; the next page is the same,
 * with the same in it. */
static void pages_taken_since_are_free(void **state)
{
	struct model_snapshot *s;
	uint64_t first, used, more[200], *word;

	(void)state;
	ready("plain");
	used = model_pages_in_use(d.m, 0);
	s = keep();
	first = model_page_alloc(d.m, 0, OWNER);
	word = model_ptr(d.m, first);
	for (unsigned n = 0; n < 200; n++) {
		more[n] = model_page_alloc(d.m, n % 4, OWNER);
		memset(model_ptr(d.m, more[n]), 0x55, MODEL_PAGE);
		mini_map(&d, top, 0x100000 + n * 0x1000, more[n], 3);
		assert_true(can_write(DEV, 0x100000 + n * 0x1000));
	}
	model_restore(d.m, s);
	assert_int_equal(model_pages_in_use(d.m, 0), used);
	assert_false(can_write(DEV, 0x100000));
	assert_int_equal(model_page_alloc(d.m, 0, OWNER), first);
	assert_int_not_equal(*word, 0x5555555555555555);
	model_page_free(d.m, first, 0);
	model_snapshot_free(s);
	mini_close(&d, true);
}

/* Each after any other, and after some of them are gone. */
static void a_tree_of_snapshots(void **state)
{
	enum {
		COUNT = 8
	};
	struct model_snapshot *s[COUNT] = {0};
	struct life l, kept[COUNT];
	uint64_t seen[COUNT];
	unsigned n, from;

	(void)state;
	life_start(&l, model_create_simple("worst-memory", MODEL_RANDOM, 3), 7);
	for (n = 0; n < COUNT; n++) {
		/* Every other one branches off an earlier one. */
		if (n & 1 && n > 2) {
			from = n / 2;
			model_restore(l.d.m, s[from]);
			l = kept[from];
			l.rng += n;
		}
		for (unsigned k = 0; k < 60; k++)
			step(&l);
		s[n] = model_snapshot(l.d.m);
		assert_non_null(s[n]);
		kept[n] = l;
		seen[n] = go_on(&l, 100);
	}
	for (n = 0; n < 5 * COUNT; n++) {
		from = n * 5 % COUNT;
		if (!s[from])
			continue;
		model_restore(l.d.m, s[from]);
		l = kept[from];
		assert_int_equal(go_on(&l, 100), seen[from]);
		if (n == 2 * COUNT) {
			model_snapshot_free(s[2]);
			model_snapshot_free(s[COUNT - 1]);
			s[2] = s[COUNT - 1] = NULL;
		}
	}
	for (n = 0; n < COUNT; n++)
		model_snapshot_free(s[n]);
	model_destroy(l.d.m);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(every_kind_does_the_same_again),
		cmocka_unit_test(watched_stores_are_watched_again),
		cmocka_unit_test(in_the_middle_of_the_queue),
		cmocka_unit_test(in_the_middle_of_a_command),
		cmocka_unit_test(with_writes_in_flight),
		cmocka_unit_test(with_a_fault_that_nobody_has_read),
		cmocka_unit_test(memory_as_the_unit_sees_it),
		cmocka_unit_test(lines_on_their_way),
		cmocka_unit_test(after_errors),
		cmocka_unit_test(pages_taken_since_are_free),
		cmocka_unit_test(a_tree_of_snapshots),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
