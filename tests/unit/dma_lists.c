/* SPDX-License-Identifier: MIT */
/*
 * Lists of pieces, buffers that stay where they are (identity), and buffers
 * that the device gets a copy of (untrusted devices).
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <iommu/dma.h>
#include "support/play.h"

enum {
	PAGE = 4096,
	/** One chunk of a bitmap of addresses. */
	CHUNK = 128 << 20,
};

/* ---- lists and identity ---- */

static void lists_go_piece_by_piece(void **state)
{
	static const struct {
		enum iommu_domain_kind kind;
		struct iommu_dma_config config;
	} row[] = {{IOMMU_DOMAIN_IDENTITY, {0}},
		{IOMMU_DOMAIN_IDENTITY, {.deferred = true}},
		{IOMMU_DOMAIN_MAPPED, {0}},
		{IOMMU_DOMAIN_MAPPED, {.untrusted = true}},
		{IOMMU_DOMAIN_MAPPED, {.untrusted = true, .deferred = true}}};
	struct iommu_dma_piece piece[5];
	struct iommu_dma_range range[5];
	struct play p;
	unsigned count;

	(void)state;
	for (unsigned k = 0; k < 5; k++) {
		bool identity = row[k].kind == IOMMU_DOMAIN_IDENTITY;

		play_open(&p, "plain", row[k].kind, &row[k].config, 1);
		play_pieces(&p, piece);
		OK(iommu_dma_map_list(p.dma, piece, 5, ~0ull, IOMMU_BOTH_WAYS,
			range, &count));
		assert_int_equal(count, 5);
		for (unsigned n = 0; n < 5; n++) {
			assert_int_equal(range[n].size, piece[n].size);
			assert_int_equal(
				range[n].iova.v == piece[n].phys.v, identity);
			assert_true(
				rig_can_write(&p.r, RIG_DEV, range[n].iova.v));
		}
		assert_int_equal(iommu_dma_destroy(p.dma), IOMMU_IN_USE);
		OK(iommu_dma_unmap_list(p.dma, range, count, IOMMU_BOTH_WAYS));
		for (unsigned n = 0; n < 5; n++) {
			uint64_t *word = model_ptr(p.r.m, piece[n].phys.v);

			assert_int_equal(*word, 0x1234);
			assert_int_equal(
				rig_can_write(&p.r, RIG_DEV, range[n].iova.v),
				identity);
		}
		if (!identity)
			assert_int_equal(iommu_dma_unmap_list(p.dma, range,
						 count, IOMMU_BOTH_WAYS),
				IOMMU_BAD_ARGUMENT);
		play_close(&p);
	}
}

/** A run of whole pages goes on in the next table, and stops at what no device
 *  may be led to. */
static void runs_of_pages_cross_tables(void **state)
{
	static struct iommu_dma_piece piece[200];
	static struct iommu_dma_range range[9][200];
	struct iommu_dma_config config = {0};
	unsigned count[9], n, k;
	struct play p;

	(void)state;
	play_open(&p, "non-coherent", IOMMU_DOMAIN_MAPPED, &config, 1);
	for (n = 0; n < 200; n++)
		piece[n] = (struct iommu_dma_piece){
			iommu_phys(p.memory + (n & 1) * PAGE), PAGE};
	for (k = 0; k < 8; k++) {
		OK(iommu_dma_map_list(p.dma, piece, 200, ~0ull, IOMMU_BOTH_WAYS,
			range[k], &count[k]));
		for (n = 0; n < 200; n += 33)
			assert_true(rig_can_write(
				&p.r, RIG_DEV, range[k][0].iova.v + n * PAGE));
	}
	for (k = 0; k < 8; k++)
		OK(iommu_dma_unmap_list(
			p.dma, range[k], count[k], IOMMU_BOTH_WAYS));
	/* Somebody else's page in each of the runs. */
	for (k = 0; k < 8; k++)
		OK(iommu_map(p.domain,
			iommu_iova(range[k][0].iova.v + 5 * PAGE),
			iommu_phys(p.memory), PAGE, IOMMU_READ));
	assert_int_equal(iommu_dma_map_list(p.dma, piece, 200, ~0ull,
				 IOMMU_BOTH_WAYS, range[8], &count[8]),
		IOMMU_MAPPED);
	for (k = 0; k < 8; k++)
		OK(iommu_unmap_now(p.domain,
			iommu_iova(range[k][0].iova.v + 5 * PAGE), PAGE));
	piece[150].phys = iommu_phys(0xfee01000);
	assert_int_equal(iommu_dma_map_list(p.dma, piece, 200, ~0ull,
				 IOMMU_BOTH_WAYS, range[0], &count[0]),
		IOMMU_RESERVED_RANGE);
	for (n = 0; n < 200; n += 33)
		assert_false(rig_can_write(
			&p.r, RIG_DEV, range[1][0].iova.v + n * PAGE));
	play_close(&p);
}

static void identity_cannot_move_a_buffer(void **state)
{
	struct iommu_dma_config config = {0};
	struct iommu_dma_piece piece[2];
	struct iommu_dma_range range[2];
	unsigned count;
	struct play p;
	iommu_iova_t at;
	uint64_t iova;
	void *virt;

	(void)state;
	play_open(&p, "plain", IOMMU_DOMAIN_IDENTITY, &config, 1);
	assert_int_equal(
		play_map(&p, PAGE, p.memory + PAGE - 2, &iova), IOMMU_WIDTH);
	OK(play_map(&p, PAGE, p.memory + PAGE - 1, &iova));
	OK(play_unmap(&p, PAGE, iova));
	/* The second piece does not fit: the first is taken back. */
	piece[0] = (struct iommu_dma_piece){iommu_phys(p.memory), PAGE};
	piece[1] = (struct iommu_dma_piece){iommu_phys(p.memory + PAGE), PAGE};
	assert_int_equal(
		iommu_dma_map_list(p.dma, piece, 2, p.memory + PAGE - 1,
			IOMMU_BOTH_WAYS, range, &count),
		IOMMU_WIDTH);
	assert_int_equal(iommu_dma_map_list(p.dma, piece, 1, p.memory,
				 IOMMU_BOTH_WAYS, range, &count),
		IOMMU_WIDTH);
	OK(iommu_dma_reserve(p.dma, iommu_iova(p.memory), PAGE));
	OK(iommu_dma_alloc(p.dma, 1, ~0ull, &virt, &at));
	assert_int_equal(at.v,
		(uint64_t)((char *)virt - (char *)model_direct_map(p.r.m)));
	OK(iommu_dma_free(p.dma, 1, virt, at));
	play_close(&p);
}

static void long_lists_are_refused(void **state)
{
	enum {
		PIECES = 80
	};
	struct iommu_dma_config config = {0};
	struct iommu_dma_piece piece[PIECES];
	struct iommu_dma_range range[PIECES];
	unsigned count;
	struct play p;

	(void)state;
	play_open(&p, "plain", IOMMU_DOMAIN_MAPPED, &config, 1);
	for (unsigned n = 0; n < PIECES; n++)
		piece[n] = (struct iommu_dma_piece){
			iommu_phys(p.memory), 256 * PAGE};
	/* At most half a chunk: 64 such pieces. */
	assert_int_equal(iommu_dma_map_list(p.dma, piece, 65, ~0ull,
				 IOMMU_BOTH_WAYS, range, &count),
		IOMMU_WIDTH);
	OK(iommu_dma_map_list(
		p.dma, piece, 64, ~0ull, IOMMU_BOTH_WAYS, range, &count));
	assert_int_equal(count, 1);
	assert_int_equal(range[0].size, CHUNK / 2);
	assert_true(
		rig_can_write(&p.r, RIG_DEV, range[0].iova.v + CHUNK / 2 - 8));
	OK(iommu_dma_unmap_list(p.dma, range, 1, IOMMU_BOTH_WAYS));
	assert_int_equal(iommu_dma_map_list(p.dma, piece, 1, 0xfffff,
				 IOMMU_BOTH_WAYS, range, &count),
		IOMMU_WIDTH);
	play_close(&p);
}

/* ---- copies ---- */

static void parts_of_a_copy_are_carried(void **state)
{
	struct iommu_dma_config config = {.untrusted = true};
	iommu_iova_t iova, other;
	uint64_t word = 0, *cpu;
	struct play p;

	(void)state;
	play_open(&p, "plain", IOMMU_DOMAIN_MAPPED, &config, 1);
	cpu = model_ptr(p.r.m, p.memory);
	/* Without any copy there is nothing to carry. */
	iommu_dma_sync(p.dma, iommu_iova(0x5000), 8, IOMMU_TO_DEVICE);
	OK(iommu_dma_map(p.dma, iommu_phys(p.memory + 0x100), 64, ~0ull,
		IOMMU_BOTH_WAYS, &iova));
	cpu[0x100 / 8] = 1;
	cpu[0x108 / 8] = 2;
	iommu_dma_sync(p.dma, iommu_iova(iova.v + 8), 8, IOMMU_TO_DEVICE);
	model_dma_read(p.r.m, 0, RIG_DEV, iova.v, &word, 8);
	assert_int_equal(word, 0);
	model_dma_read(p.r.m, 0, RIG_DEV, iova.v + 8, &word, 8);
	assert_int_equal(word, 2);
	/* More than the buffer has is cut, beyond it is nothing. */
	iommu_dma_sync(p.dma, iova, 1 << 20, IOMMU_TO_DEVICE);
	model_dma_read(p.r.m, 0, RIG_DEV, iova.v, &word, 8);
	assert_int_equal(word, 1);
	cpu[0x140 / 8] = 3;
	iommu_dma_sync(p.dma, iommu_iova(iova.v + 64), 8, IOMMU_TO_DEVICE);
	model_dma_read(p.r.m, 0, RIG_DEV, iova.v + 64, &word, 8);
	assert_int_equal(word, 0);
	/* In front of it, on the same page: carried from its start. */
	cpu[0x100 / 8] = 4;
	iommu_dma_sync(p.dma, iommu_iova(iova.v - 0x10), 8, IOMMU_TO_DEVICE);
	model_dma_read(p.r.m, 0, RIG_DEV, iova.v, &word, 8);
	assert_int_equal(word, 4);
	/* Some other buffer's address, one without a copy. */
	OK(iommu_dma_map(p.dma, iommu_phys(p.memory + 0x4000), PAGE, ~0ull,
		IOMMU_BOTH_WAYS, &other));
	for (unsigned n = 0; n < 64; n++)
		iommu_dma_sync(p.dma, iommu_iova(other.v + n * PAGE), 8,
			IOMMU_FROM_DEVICE);
	assert_int_equal(cpu[0x100 / 8], 4);
	OK(iommu_dma_unmap(p.dma, other, PAGE, IOMMU_BOTH_WAYS));
	/* What only goes to the device does not come back. */
	OK(iommu_dma_unmap(p.dma, iova, 64, IOMMU_BOTH_WAYS));
	cpu[0] = 5;
	OK(iommu_dma_map(
		p.dma, iommu_phys(p.memory), 8, ~0ull, IOMMU_TO_DEVICE, &iova));
	cpu[0] = 6;
	OK(iommu_dma_unmap(p.dma, iova, 8, IOMMU_TO_DEVICE));
	assert_int_equal(cpu[0], 6);
	play_close(&p);
}

/** Two copies whose addresses fall on one another in the table of copies. */
static void copies_are_told_apart(void **state)
{
	enum {
		COPIES = 200
	};
	struct iommu_dma_config config = {.untrusted = true};
	iommu_iova_t iova[COPIES];
	struct play p;

	(void)state;
	play_open(&p, "plain", IOMMU_DOMAIN_MAPPED, &config, 1);
	for (unsigned n = 0; n < COPIES; n++) {
		uint64_t *cpu = model_ptr(p.r.m, p.memory + n * PAGE);

		*cpu = n;
		OK(iommu_dma_map(p.dma, iommu_phys(p.memory + n * PAGE), 8,
			~0ull, IOMMU_BOTH_WAYS, &iova[n]));
		*cpu = 1000 + n;
	}
	for (unsigned n = 0; n < COPIES; n++) {
		uint64_t word = 0;

		iommu_dma_sync(p.dma, iova[n], 8, IOMMU_TO_DEVICE);
		model_dma_read(p.r.m, 0, RIG_DEV, iova[n].v, &word, 8);
		assert_int_equal(word, 1000 + n);
	}
	for (unsigned n = 0; n < COPIES; n++)
		OK(iommu_dma_unmap(
			p.dma, iova[(n * 7) % COPIES], 8, IOMMU_BOTH_WAYS));
	play_close(&p);
}

static void too_big_a_copy_is_refused(void **state)
{
	struct iommu_dma_config config = {.untrusted = true};
	iommu_iova_t iova;
	struct play p;

	(void)state;
	play_open(&p, "plain", IOMMU_DOMAIN_MAPPED, &config, 1);
	assert_int_equal(iommu_dma_map(p.dma, iommu_phys(p.memory + 8),
				 256 * PAGE, ~0ull, IOMMU_TO_DEVICE, &iova),
		IOMMU_NO_MEMORY);
	OK(iommu_dma_map(p.dma, iommu_phys(p.memory + 8), 256 * PAGE - 8, ~0ull,
		IOMMU_TO_DEVICE, &iova));
	OK(iommu_dma_unmap(p.dma, iova, 256 * PAGE - 8, IOMMU_TO_DEVICE));
	play_close(&p);
}

static unsigned released_count;

static void on_released(void *cookie)
{
	(void)cookie;
	released_count++;
}

/** A released copy is told of, one that was not confirmed is not. */
static void copies_are_told_of_when_they_are_free(void **state)
{
	struct iommu_dma_config config = {
		.untrusted = true, .released = on_released};

	(void)state;
	for (unsigned lost = 0; lost < 2; lost++) {
		enum iommu_status status;
		iommu_iova_t iova;
		struct play p;

		play_open(&p, "plain", IOMMU_DOMAIN_MAPPED, &config, 1);
		OK(iommu_dma_map(p.dma, iommu_phys(p.memory + 8), 8, ~0ull,
			IOMMU_BOTH_WAYS, &iova));
		released_count = 0;
		if (lost)
			model_unit_hang(p.r.m, 0, 0);
		status = iommu_dma_unmap_later(
			p.dma, iova, 8, IOMMU_BOTH_WAYS, NULL);
		assert_int_equal(status, lost ? IOMMU_UNIT_LOST : IOMMU_OK);
		assert_int_equal(released_count, !lost);
		if (lost)
			rig_close_anyhow(&p.r);
		else
			play_close(&p);
	}
}

/** A buffer in memory that the CPU cannot read: the device gets a copy that
 *  says nothing. */
static void copies_of_no_memory_are_empty(void **state)
{
	struct iommu_dma_config config = {.untrusted = true};
	iommu_iova_t iova;
	uint64_t word = 7;
	struct play p;

	(void)state;
	play_open(&p, "plain", IOMMU_DOMAIN_MAPPED, &config, 1);
	OK(iommu_dma_map(p.dma, iommu_phys((1ull << 40) + 8), 8, ~0ull,
		IOMMU_BOTH_WAYS, &iova));
	assert_int_equal(model_dma_read(p.r.m, 0, RIG_DEV, iova.v, &word, 8),
		MODEL_DMA_OK);
	assert_int_equal(word, 0);
	assert_true(rig_can_write(&p.r, RIG_DEV, iova.v));
	OK(iommu_dma_unmap(p.dma, iova, 8, IOMMU_BOTH_WAYS));
	play_close(&p);
}

/** Somebody else has mapped a page at the addresses of a list: it is refused as
 *  a whole, and the page stays. */
static void occupied_addresses_refuse_a_list(void **state)
{
	struct iommu_dma_config config = {0};

	(void)state;
	for (unsigned n = 0; n < 8; n++) {
		struct iommu_dma_piece piece[5];
		struct iommu_dma_range range[5];
		iommu_phys_t phys;
		unsigned count;
		uint64_t first;
		struct play p;

		play_open(&p, "plain", IOMMU_DOMAIN_MAPPED, &config, 1);
		play_pieces(&p, piece);
		/* One page, one, four, one, one. */
		piece[2].size = 0x3800;
		OK(iommu_dma_map_list(p.dma, piece, 5, ~0ull, IOMMU_BOTH_WAYS,
			range, &count));
		first = range[0].iova.v & ~0xfffull;
		OK(iommu_dma_unmap_list(p.dma, range, count, IOMMU_BOTH_WAYS));
		OK(iommu_map(p.domain, iommu_iova(first + n * PAGE),
			iommu_phys(0x7000), PAGE, IOMMU_READ));
		assert_int_equal(iommu_dma_map_list(p.dma, piece, 5, ~0ull,
					 IOMMU_BOTH_WAYS, range, &count),
			IOMMU_MAPPED);
		for (unsigned k = 0; k < 8; k++)
			assert_int_equal(
				iommu_iova_to_phys(p.domain,
					iommu_iova(first + k * PAGE), &phys),
				k == n ? IOMMU_OK : IOMMU_NOT_MAPPED);
		OK(iommu_unmap_now(
			p.domain, iommu_iova(first + n * PAGE), PAGE));
		play_close(&p);
	}
}

/** The most and the least that can be asked for. */
static void sizes_have_borders(void **state)
{
	struct iommu_dma_config config = {0};
	iommu_iova_t iova;
	struct play p;
	void *virt;

	(void)state;
	play_open(&p, "plain", IOMMU_DOMAIN_MAPPED, &config, 1);
	OK(iommu_dma_reserve(p.dma, iommu_iova(0x5000), 1));
	OK(iommu_dma_alloc(p.dma, 8, ~0ull, &virt, &iova));
	assert_int_equal(
		iommu_dma_free(p.dma, 9, virt, iova), IOMMU_BAD_ARGUMENT);
	OK(iommu_dma_free(p.dma, 8, virt, iova));
	play_close(&p);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(lists_go_piece_by_piece),
		cmocka_unit_test(runs_of_pages_cross_tables),
		cmocka_unit_test(identity_cannot_move_a_buffer),
		cmocka_unit_test(long_lists_are_refused),
		cmocka_unit_test(parts_of_a_copy_are_carried),
		cmocka_unit_test(copies_are_told_apart),
		cmocka_unit_test(too_big_a_copy_is_refused),
		cmocka_unit_test(copies_are_told_of_when_they_are_free),
		cmocka_unit_test(copies_of_no_memory_are_empty),
		cmocka_unit_test(occupied_addresses_refuse_a_list),
		cmocka_unit_test(sizes_have_borders),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
