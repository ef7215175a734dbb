/* SPDX-License-Identifier: MIT */
/*
 * The model forgets exactly what a flush names and checks exactly what the
 * specification reserves: neighbours, boundaries and the forgiving mode.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <string.h>
#include "support/mini.h"

#define DEV MODEL_BDF(0, 3, 0)
#define OTHER MODEL_BDF(0, 4, 0)
#define DID 5

static struct mini d;
static uint64_t top, frame;

static void ready_on(struct model *m)
{
	mini_open(&d, m);
	mini_start(&d);
	top = mini_page(&d);
	frame = model_page_alloc(d.m, 0, 9);
	mini_attach(&d, DEV, top, DID, TT_SS);
}

static void ready(const char *kind, enum model_mode mode)
{
	ready_on(model_create_simple(kind, mode, 1));
}

static bool can_write(uint64_t iova)
{
	uint64_t v = 1;

	return model_dma_write(d.m, 0, DEV, iova, &v, 8) == MODEL_DMA_OK;
}

static uint64_t slot(uint64_t iova, unsigned level)
{
	return mini_slot(&d, top, mini_levels(&d), iova, level);
}

static void neighbours_keep_their_table_pointers(void **state)
{
	(void)state;
	ready("plain", MODEL_LAZY);
	mini_map(&d, top, 0x200000, frame, 3);
	mini_map(&d, top, 0x201000, frame, 3);
	assert_true(can_write(0x200000));
	mini_store(&d, slot(0x200000, 2), 0);
	/* The pages before and after the table's 2 MiB. */
	mini_flush_iotlb(&d, GRAN_NARROW, DID, 0x1ff000, 0, false);
	mini_flush_iotlb(&d, GRAN_NARROW, DID, 0x400000, 0, false);
	assert_true(can_write(0x201000));
	/* The first and the last page in it each drop the pointer. */
	mini_flush_iotlb(&d, GRAN_NARROW, DID, 0x3ff000, 0, false);
	mini_flush_iotlb(&d, GRAN_NARROW, DID, 0x200000, 1, false);
	assert_false(can_write(0x201000));
	assert_int_equal(model_checkpoint(d.m), 0);
	mini_close(&d, true);
}

static void neighbours_keep_their_translations(void **state)
{
	(void)state;
	ready("plain", MODEL_LAZY);
	for (uint64_t iova = 0x10000; iova < 0x13000; iova += 0x1000) {
		mini_map(&d, top, iova, frame, 3);
		assert_true(can_write(iova));
		mini_store(&d, slot(iova, 1), 0);
	}
	mini_flush_iotlb(&d, GRAN_NARROW, DID, 0x11000, 0, true);
	assert_true(can_write(0x10000));
	assert_false(can_write(0x11000));
	assert_true(can_write(0x12000));
	mini_close(&d, false);
}

#define IRTE(vector) ((uint64_t)(vector) << 16 | ENTRY_P)
#define FROM(sid) (1ull << 18 | (sid))
#define MSI(index) (0xfee00000ull | (index) << 5 | BIT(4) | BIT(3))

static void interrupt_flush_takes_a_mask(void **state)
{
	(void)state;
	ready("plain", MODEL_LAZY);
	mini_start_interrupts(&d);
	mini_hear(&d);
	for (unsigned i = 3; i <= 8; i++) {
		mini_store(&d, d.irt + i * 16 + 8, FROM(DEV));
		mini_store(&d, d.irt + i * 16, IRTE(0x50));
		assert_true(model_msi(d.m, 0, DEV, MSI(i), 0));
		mini_store(&d, d.irt + i * 16, IRTE(0x60));
	}
	/* Stale, although still present. */
	assert_int_equal(model_checkpoint(d.m), 6);
	/* Four entries from 4 on; the low bits of the index are ignored. */
	mini_queue(&d, DESC_IEC | BIT(4) | 2ull << 27 | 6ull << 32, 0);
	mini_wait(&d);
	for (unsigned i = 3; i <= 8; i++) {
		model_msi(d.m, 0, DEV, MSI(i), 0);
		assert_int_equal(
			heard.last.vector, i < 4 || i > 7 ? 0x50 : 0x60);
	}
	mini_close(&d, false);
}

static void reserved_halves(void **state)
{
	uint64_t v = 0;

	(void)state;
	ready("plain", MODEL_LAZY);
	mini_store(&d, d.root + 16 * 9 + 8, 1);
	mini_store(&d, d.root + 16 * 9, mini_page(&d) | 1);
	model_dma_read(d.m, 0, MODEL_BDF(9, 0, 0), 0, &v, 8);
	assert_int_equal(model_last_fault(d.m), F_ROOT_RSVD);
	mini_map(&d, top, 0x20000, frame, 3 | BIT(62));
	assert_false(can_write(0x20000));
	assert_int_equal(model_last_fault(d.m), F_SS_RSVD);
	/* Bits 52 to 61 and 63 belong to software. */
	mini_map(&d, top, 0x21000, frame, 3 | MASK(61, 52) | BIT(63) | 0x47c);
	assert_true(can_write(0x21000));
	assert_int_equal(model_violations_of(d.m, MODEL_V_RESERVED), 2);
	mini_close(&d, false);
}

static void pass_through_needs_the_largest_width(void **state)
{
	uint64_t at;

	(void)state;
	ready("plain", MODEL_LAZY);
	at = mini_context(&d, OTHER);
	mini_store(&d, at + 8, 1ull << 8 | 1);
	mini_store(&d, at, TT_PASS << 2 | 1);
	model_dma_read(d.m, 0, OTHER, frame, &at, 8);
	assert_int_equal(model_last_fault(d.m), F_CTX_INVALID);
	mini_close(&d, false);
}

static void guest_width_limits_the_address(void **state)
{
	struct model_personality p = *model_personality_find("plain");
	struct model_unit_desc unit = {.kind = &p, .include_all = true};
	struct model_desc desc = {.units = &unit, .unit_count = 1};

	(void)state;
	p.cap = (p.cap & ~MASK(21, 16)) | 40ull << 16;
	p.haw = 41;
	ready_on(model_create(&desc));
	mini_map(&d, top, (1ull << 41) - 0x1000, frame, 3);
	assert_true(can_write((1ull << 41) - 0x1000));
	assert_false(can_write(1ull << 41));
	assert_int_equal(model_last_fault(d.m), F_ADDRESS);
	mini_close(&d, true);
}

static void large_pages_lead_to_the_right_bytes(void **state)
{
	uint64_t run, v = 0x77, w = 0;
	uint8_t line[64];

	(void)state;
	ready("plain", MODEL_LAZY);
	run = model_page_alloc(d.m, 9, 9);
	mini_store(&d, slot(0x40000000, 2), run | SS_PS | 3);
	memcpy((char *)model_ptr(d.m, run) + 0x5ff8, &v, 8);
	/* Walked, then cached; at two places of the page. */
	for (int i = 0; i < 2; i++) {
		model_dma_read(d.m, 0, DEV, 0x40005ff8, &w, 8);
		assert_int_equal(w, 0x77);
	}
	memset(line, 0x33, sizeof line);
	assert_int_equal(model_dma_write(d.m, 0, DEV, 0x40006fe0, line, 64),
		MODEL_DMA_OK);
	assert_memory_equal((char *)model_ptr(d.m, run) + 0x6fe0, line, 64);
	mini_close(&d, true);
}

static void forgiving_mode_forgives(void **state)
{
	(void)state;
	/* Seen without write-back, tables not cached, contexts by device. */
	ready("non-coherent", MODEL_BENIGN);
	d.coherent = true;
	mini_map(&d, top, 0x200000, frame, 3);
	mini_map(&d, top, 0x201000, frame, 3);
	assert_true(can_write(0x200000));
	mini_store(&d, slot(0x200000, 2), 0);
	assert_false(can_write(0x201000));
	/* But a cached translation stays until it is flushed. */
	assert_true(can_write(0x200000));
	mini_flush_iotlb(&d, GRAN_DOMAIN, DID, 0, 0, false);
	assert_false(can_write(0x200000));
	mini_close(&d, true);
}

static void never(void *ctx, const struct model_reach *reach)
{
	(void)ctx;
	(void)reach;
	fail();
}

static void enumeration_knows_pass_through_and_off(void **state)
{
	(void)state;
	ready("plain", MODEL_LAZY);
	mini_attach(&d, OTHER, 0, 1, TT_PASS);
	assert_false(model_enumerate(d.m, 0, OTHER, never, NULL));
	assert_false(model_enumerate(d.m, 5, DEV, never, NULL)); /* no unit */
	assert_true(model_enumerate(d.m, 0, MODEL_BDF(1, 0, 0), never, NULL));
	mini_translation(&d, false);
	assert_false(model_enumerate(d.m, 0, DEV, never, NULL));
	mini_close(&d, true);
}

static void count_of_what_is_cached(void **state)
{
	(void)state;
	ready("plain", MODEL_LAZY);
	mini_map(&d, top, 0x1000, frame, 3);
	assert_true(can_write(0x1000));
	/* Root, context, three table pointers, one translation. */
	assert_int_equal(model_cached(d.m, 0), 6);
	assert_int_equal(model_cached(d.m, 1), 0);
	mini_flush_context(&d, GRAN_GLOBAL, 0, 0);
	assert_int_equal(model_cached(d.m, 0), 4);
	mini_flush_iotlb(&d, GRAN_GLOBAL, 0, 0, 0, false);
	assert_int_equal(model_cached(d.m, 0), 0);
	mini_close(&d, true);
}

static void pages_in_use_by_owner(void **state)
{
	size_t before;
	uint64_t run;

	(void)state;
	ready("plain", MODEL_LAZY);
	before = model_pages_in_use(d.m, 0);
	run = model_page_alloc(d.m, 3, 77);
	assert_int_equal(run & 0x7fff, 0);
	assert_int_equal(model_pages_in_use(d.m, 77), 8);
	assert_int_equal(model_pages_in_use(d.m, 0), before + 8);
	model_page_free(d.m, run, 3);
	assert_int_equal(model_pages_in_use(d.m, 77), 0);
	assert_int_equal(model_violation_count(d.m), 0);
	/* Twice is once too often. */
	model_page_free(d.m, run, 0);
	assert_int_equal(model_violations_of(d.m, MODEL_V_FREE), 1);
	mini_close(&d, false);
}

/* More than there are buckets, in two domains, and then in places used before.
 */
static void many_translations_are_kept_apart(void **state)
{
	enum {
		N = 6000
	};
	uint64_t other, second, v;
	uint64_t *word;

	(void)state;
	ready("plain", MODEL_LAZY);
	second = mini_page(&d);
	mini_attach(&d, OTHER, second, DID + 1, TT_SS);
	for (int again = 0; again < 2; again++) {
		for (uint64_t i = 0; i < N; i++) {
			frame = model_page_alloc(d.m, 0, 9);
			other = i % 8 ? 0 : model_page_alloc(d.m, 0, 9);
			word = model_ptr(d.m, frame);
			*word = i;
			mini_store(&d, slot(i << 12, 1), frame | 3);
			if (!other)
				continue;
			word = model_ptr(d.m, other);
			*word = ~i;
			mini_store(&d, mini_slot(&d, second, 4, i << 12, 1),
				other | 3);
		}
		for (int cached = 0; cached < 2; cached++)
			for (uint64_t i = 0; i < N; i++) {
				model_dma_read(d.m, 0, DEV, i << 12, &v, 8);
				assert_true(v == i);
				if (i % 8)
					continue;
				model_dma_read(d.m, 0, OTHER, i << 12, &v, 8);
				assert_true(v == ~i);
			}
		mini_flush_iotlb(&d, GRAN_DOMAIN, DID, 0, 0, false);
		/* The other domain's are there: pages, tables, contexts. */
		assert_int_equal(model_cached(d.m, 0), 1 + 2 + N / 8 + 2 + 12);
		/* New ones do not take the places of those. */
		for (uint64_t i = 0; i < N; i++)
			model_dma_read(d.m, 0, DEV, i << 12, &v, 8);
		for (uint64_t i = 0; i < N; i += 8) {
			model_dma_read(d.m, 0, OTHER, i << 12, &v, 8);
			assert_true(v == ~i);
		}
		mini_flush_iotlb(&d, GRAN_GLOBAL, 0, 0, 0, false);
		assert_int_equal(model_cached(d.m, 0), 3);
	}
	mini_close(&d, true);
}

static void what_is_counted(void **state)
{
	struct model_counters n;
	uint64_t v;

	(void)state;
	ready("plain", MODEL_LAZY);
	mini_start_interrupts(&d);
	mini_map(&d, top, 0x10000, frame, 3);
	assert_true(can_write(0x10000));
	assert_true(can_write(0x10000));
	assert_false(can_write(0x20000));
	mini_store(&d, d.irt + 8, FROM(DEV));
	mini_store(&d, d.irt, IRTE(0x50));
	assert_true(model_msi(d.m, 0, DEV, MSI(0), 0));
	assert_true(model_msi(d.m, 0, DEV, MSI(0), 0));
	assert_false(model_msi(d.m, 0, DEV, MSI(1), 0));
	model_counters(d.m, &n);
	assert_int_equal(n.dma, 3);
	assert_int_equal(n.dma_blocked, 1);
	/* The context, the page, the page that is not there. */
	assert_int_equal(n.walks, 3);
	/* Twice the context, a page, an interrupt entry. */
	assert_int_equal(n.cache_hits, 4);
	assert_int_equal(n.faults, 2);
	assert_int_equal(n.faults_lost, 0);
	assert_int_equal(n.interrupts, 2);
	assert_int_equal(n.interrupts_blocked, 1);
	assert_int_equal(n.flushes, 3);
	assert_int_equal(n.waits, 3);
	assert_int_equal(n.descriptors, 6);
	assert_int_equal(n.device_flushes, 0);
	assert_int_equal(n.line_flushes, 0);
	assert_int_equal(n.write_buffer_flushes, 0);
	v = n.reg_reads + n.reg_writes;
	mini_read32(&d, GSTS);
	mini_write32(&d, FEDATA, 0);
	model_counters(d.m, &n);
	assert_int_equal(n.reg_reads + n.reg_writes, v + 2);
	mini_close(&d, true);
	ready("worst-memory", MODEL_LAZY);
	model_counters(d.m, &n);
	v = n.line_flushes;
	model_cache_flush(d.m, d.root + 60, 8);
	model_cache_flush(d.m, d.root, 0);
	model_counters(d.m, &n);
	assert_int_equal(n.line_flushes, v + 2);
	assert_in_range(n.write_buffer_flushes, 1, 10);
	mini_close(&d, true);
}

static void roots_and_failures_are_remembered(void **state)
{
	struct model_counters a, b;
	uint64_t v;

	(void)state;
	ready("caching", MODEL_LAZY);
	assert_false(can_write(0x20000));
	model_counters(d.m, &a);
	/* The context, and that there is no page. */
	assert_false(can_write(0x20000));
	model_counters(d.m, &b);
	assert_int_equal(b.cache_hits - a.cache_hits, 2);
	/* The root of a context that is read for the first time. */
	model_dma_read(d.m, 0, OTHER, 0, &v, 8);
	model_counters(d.m, &b);
	assert_int_equal(b.cache_hits - a.cache_hits, 3);
	mini_close(&d, true);
}

static void time_moves_as_far_as_told(void **state)
{
	uint64_t t;

	(void)state;
	ready("plain", MODEL_LAZY);
	t = model_now(d.m);
	model_advance(d.m, 16007);
	assert_int_equal(model_now(d.m) - t, 16007 + 100);
	/* A unit that has nothing to do may rest for as long as it likes. */
	mini_flush_iotlb(&d, GRAN_GLOBAL, 0, 0, 0, false);
	model_advance(d.m, 3000000000000ull);
	model_advance(d.m, 3000000000000ull);
	mini_flush_context(&d, GRAN_GLOBAL, 0, 0);
	/* Who polls and sees nothing gets there the faster. */
	t = model_now(d.m);
	for (int i = 0; i < 256; i++)
		model_now(d.m);
	assert_in_range(model_now(d.m) - t, 257 * 100, 257 * 200);
	for (int i = 0; i < 2000; i++)
		model_now(d.m);
	assert_true(model_now(d.m) - t > 1000000000);
	mini_close(&d, true);
}

static void drained_writes_are_no_superfluous_flush(void **state)
{
	struct model_counters a, b;
	uint64_t v = 1;

	(void)state;
	ready("plain", MODEL_LAZY);
	mini_map(&d, top, 0x10000, frame, 3);
	model_dma_post(d.m, 0, DEV, 0x10000, &v, 8);
	model_counters(d.m, &a);
	mini_flush_iotlb(&d, GRAN_DOMAIN, DID, 0, 0, false);
	model_counters(d.m, &b);
	assert_int_equal(a.superfluous, b.superfluous);
	mini_flush_iotlb(&d, GRAN_DOMAIN, DID, 0, 0, false);
	model_counters(d.m, &b);
	assert_int_equal(a.superfluous + 1, b.superfluous);
	mini_close(&d, true);
}

/* Whatever its kind, if it takes something that memory has no longer. */
static void needed_flushes_are_no_superfluous_ones(void **state)
{
	struct model_counters a, b;

	(void)state;
	for (unsigned gran = GRAN_GLOBAL; gran <= GRAN_NARROW; gran++) {
		ready("plain", MODEL_LAZY);
		for (unsigned again = 0; again < 2; again++) {
			mini_map(&d, top, 0x10000, frame, 3);
			assert_int_equal(can_write(0x10000), true);
			mini_store(&d, slot(0x10000, 1), 0);
			model_counters(d.m, &a);
			mini_flush_iotlb(&d, gran, DID, 0x10000, 0, false);
			model_counters(d.m, &b);
			assert_int_equal(a.superfluous, b.superfluous);
			mini_flush_iotlb(&d, gran, DID, 0x10000, 0, false);
			model_counters(d.m, &b);
			assert_int_equal(a.superfluous + 1, b.superfluous);
		}
		mini_close(&d, true);
	}
}

static void requests_are_split_at_pages(void **state)
{
	uint8_t out[4096 + 64], in[4096 + 64];
	uint64_t page[3];

	(void)state;
	ready("plain", MODEL_LAZY);
	/* Three pages, in another order than their addresses. */
	for (unsigned i = 0; i < 3; i++)
		page[i] = model_page_alloc(d.m, 0, 9);
	for (unsigned i = 0; i < 3; i++)
		mini_map(&d, top, 0x10000 + i * 0x1000, page[2 - i], 3);
	for (unsigned i = 0; i < sizeof out; i++)
		out[i] = (uint8_t)(i * 31 + 5);
	assert_int_equal(model_dma_write(d.m, 0, DEV, 0x10fe0, out, sizeof out),
		MODEL_DMA_OK);
	assert_memory_equal((char *)model_ptr(d.m, page[2]) + 0xfe0, out, 32);
	assert_memory_equal(model_ptr(d.m, page[1]), out + 32, 4096);
	assert_memory_equal(model_ptr(d.m, page[0]), out + 32 + 4096, 32);
	assert_int_equal(model_dma_read(d.m, 0, DEV, 0x10fe0, in, sizeof in),
		MODEL_DMA_OK);
	assert_memory_equal(in, out, sizeof out);
	/* The worst of the pieces counts. */
	mini_store(&d, slot(0x12000, 1), 0);
	mini_flush_iotlb(&d, GRAN_DOMAIN, DID, 0, 0, false);
	assert_int_equal(model_dma_read(d.m, 0, DEV, 0x10fe0, in, sizeof in),
		MODEL_DMA_BLOCKED);
	mini_close(&d, true);
}

#define T(f) cmocka_unit_test(f)

int main(void)
{
	const struct CMUnitTest tests[] = {
		T(neighbours_keep_their_table_pointers),
		T(neighbours_keep_their_translations),
		T(interrupt_flush_takes_a_mask),
		T(reserved_halves),
		T(pass_through_needs_the_largest_width),
		T(guest_width_limits_the_address),
		T(large_pages_lead_to_the_right_bytes),
		T(forgiving_mode_forgives),
		T(enumeration_knows_pass_through_and_off),
		T(count_of_what_is_cached),
		T(pages_in_use_by_owner),
		T(many_translations_are_kept_apart),
		T(what_is_counted),
		T(time_moves_as_far_as_told),
		T(drained_writes_are_no_superfluous_flush),
		T(needed_flushes_are_no_superfluous_ones),
		T(requests_are_split_at_pages),
		T(roots_and_failures_are_remembered),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
