/* SPDX-License-Identifier: MIT */
/*
 * The DMA interface: buffers of odd places and sizes reach the device and come
 * back, alone and in lists, strict, deferred and through copies.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <iommu/dma.h>
#include "support/kinds.h"

enum {
	BUFFERS = 24,
	ROUNDS = 120,
	MEMORY_ORDER = 6,
	MEMORY = 4096 << MEMORY_ORDER,
};

struct buffer {
	bool used;
	uint64_t phys;
	size_t size;
	iommu_iova_t iova;
	enum iommu_direction direction;
};

struct play {
	struct rig r;
	struct iommu_domain *domain;
	struct iommu_dma *dma;
	struct iommu_dma_config config;
	uint64_t memory, seed;
	struct buffer buffer[BUFFERS];
};

static uint64_t draw(struct play *p, uint64_t below)
{
	p->seed ^= p->seed << 13;
	p->seed ^= p->seed >> 7;
	p->seed ^= p->seed << 17;
	return p->seed % below;
}

static void open_play(struct play *p, const char *kind, enum model_mode mode,
	const struct iommu_dma_config *config, enum iommu_domain_kind what)
{
	struct iommu_domain_config domain = {.kind = what};

	memset(p, 0, sizeof(*p));
	p->seed = 0x9e3779b97f4a7c15ull;
	p->config = *config;
	rig_run(&p->r, kind, mode, 1);
	p->memory = model_page_alloc(p->r.m, MEMORY_ORDER, 9);
	OK(iommu_domain_create(p->r.iommu, &domain, &p->domain));
	OK(iommu_attach(p->r.iommu, rig_id(RIG_DEV), p->domain));
	OK(iommu_dma_create(p->domain, config, &p->dma));
}

static void close_play(struct play *p)
{
	OK(iommu_dma_destroy(p->dma));
	OK(iommu_detach(p->r.iommu, rig_id(RIG_DEV)));
	OK(iommu_domain_destroy(p->domain));
	model_page_free(p->r.m, p->memory, MEMORY_ORDER);
	rig_close(&p->r);
}

static void take(struct play *p, struct buffer *b)
{
	size_t at = draw(p, MEMORY / 2);

	b->size = 1 + draw(p, draw(p, 2) ? 300 : 20000);
	b->phys = p->memory + at;
	b->direction = (enum iommu_direction)(1 + draw(p, 3));
	OK(iommu_dma_map(p->dma, iommu_phys(b->phys), b->size, 0xffffffff,
		b->direction, &b->iova));
	assert_int_equal(b->iova.v & 4095, b->phys & 4095);
	assert_true(b->iova.v + b->size - 1 <= 0xffffffff);
	b->used = true;
}

/** The device sees what the CPU wrote, and the other way round. */
static void use(struct play *p, struct buffer *b)
{
	uint64_t last = b->size - 1;
	uint8_t *cpu = model_ptr(p->r.m, b->phys), byte = 0, mark;

	mark = (uint8_t)draw(p, 256);
	if (b->direction & IOMMU_TO_DEVICE) {
		cpu[last] = mark;
		iommu_dma_sync(p->dma, b->iova, b->size, IOMMU_TO_DEVICE);
		assert_int_equal(model_dma_read(p->r.m, 0, RIG_DEV,
					 b->iova.v + last, &byte, 1),
			MODEL_DMA_OK);
		assert_int_equal(byte, mark);
	}
	if (b->direction & IOMMU_FROM_DEVICE) {
		assert_int_equal(model_dma_write(p->r.m, 0, RIG_DEV, b->iova.v,
					 &mark, 1),
			MODEL_DMA_OK);
		iommu_dma_sync(p->dma, b->iova, b->size, IOMMU_FROM_DEVICE);
		assert_int_equal(cpu[0], mark);
	} else {
		assert_int_not_equal(model_dma_write(p->r.m, 0, RIG_DEV,
					     b->iova.v, &mark, 1),
			MODEL_DMA_OK);
	}
}

static void give_back(struct play *p, struct buffer *b)
{
	OK(iommu_dma_unmap(p->dma, b->iova, b->size, b->direction));
	b->used = false;
	if (p->config.deferred)
		return;
	assert_false(rig_can_read(&p->r, RIG_DEV, b->iova.v & ~7ull));
	rig_check(&p->r);
}

static void play(const char *kind, enum model_mode mode,
	const struct iommu_dma_config *config)
{
	static struct play p;

	open_play(&p, kind, mode, config, IOMMU_DOMAIN_MAPPED);
	for (unsigned n = 0; n < ROUNDS; n++) {
		struct buffer *b = &p.buffer[draw(&p, BUFFERS)];

		if (b->used)
			give_back(&p, b);
		else
			take(&p, b);
		if (b->used)
			use(&p, b);
	}
	assert_int_equal(iommu_dma_destroy(p.dma), IOMMU_IN_USE);
	for (unsigned n = 0; n < BUFFERS; n++)
		if (p.buffer[n].used)
			give_back(&p, &p.buffer[n]);
	close_play(&p);
}

static void buffers_come_and_go(void **state)
{
	static const struct iommu_dma_config configs[] = {{.guard = true},
		{.untrusted = true}, {.deferred = true},
		{.deferred = true, .untrusted = true, .defer_count = 5}};

	(void)state;
	for (const struct model_personality *k = kinds_next(NULL); k;
		k = kinds_next(k)) {
		for (unsigned n = 0; n < 4; n++)
			play(k->name, n & 1 ? MODEL_LAZY : MODEL_RANDOM,
				&configs[n]);
	}
}

/** What shares the pages with an untrusted device's buffer stays unseen. */
static void copies_hide_the_neighbours(void **state)
{
	struct iommu_dma_config config = {.untrusted = true};
	struct play p;
	iommu_iova_t iova;
	uint64_t word = 0;
	uint64_t *page;

	(void)state;
	open_play(&p, "plain", MODEL_LAZY, &config, IOMMU_DOMAIN_MAPPED);
	page = model_ptr(p.r.m, p.memory);
	page[1] = 0x5ec2e7;
	page[2] = 0xda7a;
	OK(iommu_dma_map(p.dma, iommu_phys(p.memory + 16), 8, ~0ull,
		IOMMU_BOTH_WAYS, &iova));
	assert_int_equal(model_dma_read(p.r.m, 0, RIG_DEV, iova.v, &word, 8),
		MODEL_DMA_OK);
	assert_int_equal(word, 0xda7a);
	assert_int_equal(
		model_dma_read(p.r.m, 0, RIG_DEV, iova.v - 8, &word, 8),
		MODEL_DMA_OK);
	assert_int_equal(word, 0);
	word = 7;
	assert_int_equal(
		model_dma_write(p.r.m, 0, RIG_DEV, iova.v - 8, &word, 8),
		MODEL_DMA_OK);
	OK(iommu_dma_unmap(p.dma, iova, 8, IOMMU_BOTH_WAYS));
	assert_int_equal(page[1], 0x5ec2e7);
	/* One byte more than a page, one byte into it, and both. */
	for (unsigned n = 1; n < 4; n++) {
		uint64_t at = n & 1, size = 4096 + (n >> 1), last = at + size;

		if (at + size == 4096)
			continue;
		*((uint8_t *)page + last) = 0x5e;
		OK(iommu_dma_map(p.dma, iommu_phys(p.memory + at), size, ~0ull,
			IOMMU_BOTH_WAYS, &iova));
		assert_int_equal(model_dma_read(p.r.m, 0, RIG_DEV,
					 iova.v + size, &word, 1),
			MODEL_DMA_OK);
		assert_int_equal((uint8_t)word, 0);
		OK(iommu_dma_unmap(p.dma, iova, size, IOMMU_BOTH_WAYS));
	}
	close_play(&p);
}

static uint64_t waits(struct play *p)
{
	struct iommu_stats stats;

	OK(iommu_unit_stats(p->r.iommu, 0, &stats));
	return stats.waits;
}

/** An address is not handed out again before its flush, and the window ends by
 *  count and by time. */
static void deferred_window_is_bounded(void **state)
{
	struct iommu_dma_config config = {
		.deferred = true, .defer_count = 4, .defer_ns = 1000000};
	iommu_iova_t iova[6], old[2], again;
	uint64_t before;
	struct play p;

	(void)state;
	open_play(&p, "plain", MODEL_LAZY, &config, IOMMU_DOMAIN_MAPPED);
	for (unsigned n = 0; n < 6; n++)
		OK(iommu_dma_map(p.dma, iommu_phys(p.memory), 4096, ~0ull,
			IOMMU_BOTH_WAYS, &iova[n]));
	before = waits(&p);
	for (unsigned n = 0; n < 2; n++) {
		assert_true(rig_can_read(&p.r, RIG_DEV, iova[n].v));
		old[n] = iova[n];
		OK(iommu_dma_unmap(p.dma, iova[n], 4096, IOMMU_BOTH_WAYS));
		OK(iommu_dma_map(p.dma, iommu_phys(p.memory), 4096, ~0ull,
			IOMMU_BOTH_WAYS, &again));
		for (unsigned k = 0; k <= n; k++)
			assert_true(again.v != old[k].v);
		iova[n] = again;
	}
	assert_int_equal(waits(&p), before);
	/* Asked for before it is too late, waited for when it is. */
	OK(iommu_dma_unmap(p.dma, iova[2], 4096, IOMMU_BOTH_WAYS));
	assert_int_equal(waits(&p), before + 1);
	assert_true(rig_can_read(&p.r, RIG_DEV, iova[3].v));
	OK(iommu_dma_unmap(p.dma, iova[3], 4096, IOMMU_BOTH_WAYS));
	assert_false(rig_can_read(&p.r, RIG_DEV, old[0].v));
	assert_false(rig_can_read(&p.r, RIG_DEV, old[1].v));
	assert_false(rig_can_read(&p.r, RIG_DEV, iova[2].v));

	OK(iommu_dma_tick(p.dma));
	assert_int_equal(waits(&p), before + 1);
	model_advance(p.r.m, 1000000);
	OK(iommu_dma_tick(p.dma));
	assert_int_equal(waits(&p), before + 2);
	assert_false(rig_can_read(&p.r, RIG_DEV, iova[3].v));
	/* Nothing is left to flush. */
	OK(iommu_dma_flush(p.dma));
	assert_int_equal(waits(&p), before + 2);
	iova[2] = iova[4];
	iova[3] = iova[5];
	for (unsigned n = 0; n < 4; n++)
		OK(iommu_dma_unmap(p.dma, iova[n], 4096, IOMMU_BOTH_WAYS));
	close_play(&p);
}

enum {
	LATE = 40,
};

static struct late {
	struct play *play;
	iommu_iova_t iova;
	unsigned released;
} late[LATE];

/** No device reaches what the host is told it may reuse. */
static void released(void *cookie)
{
	struct late *l = cookie;

	l->released++;
	assert_false(rig_can_write(&l->play->r, RIG_DEV, l->iova.v));
}

static void released_when_out_of_reach(void **state)
{
	static const struct iommu_dma_config configs[] = {
		{.released = released},
		{.released = released, .deferred = true},
		{.released = released, .deferred = true, .defer_count = 7},
		{.released = released, .untrusted = true}};

	(void)state;
	for (const struct model_personality *k = kinds_next(NULL); k;
		k = kinds_next(k)) {
		static struct play p;

		for (unsigned c = 0; c < 4; c++) {
			open_play(&p, k->name, MODEL_LAZY, &configs[c],
				IOMMU_DOMAIN_MAPPED);
			for (unsigned n = 0; n < LATE; n++) {
				late[n] = (struct late){.play = &p};
				OK(iommu_dma_map(p.dma, iommu_phys(p.memory),
					1 + n, ~0ull, IOMMU_BOTH_WAYS,
					&late[n].iova));
				assert_true(rig_can_write(
					&p.r, RIG_DEV, late[n].iova.v));
			}
			for (unsigned n = 0; n < LATE; n++)
				OK(iommu_dma_unmap_later(p.dma, late[n].iova,
					1 + n, IOMMU_BOTH_WAYS, &late[n]));
			OK(iommu_dma_flush(p.dma));
			for (unsigned n = 0; n < LATE; n++)
				assert_int_equal(late[n].released, 1);
			close_play(&p);
		}
	}
}

/** What is never confirmed is never released. */
static void lost_buffers_are_not_released(void **state)
{
	struct iommu_dma_config config = {
		.released = released, .deferred = true, .defer_count = 16};
	enum iommu_status status = IOMMU_OK;
	struct play p;

	(void)state;
	open_play(&p, "plain", MODEL_LAZY, &config, IOMMU_DOMAIN_MAPPED);
	for (unsigned n = 0; n < LATE; n++) {
		late[n] = (struct late){.play = &p};
		OK(iommu_dma_map(p.dma, iommu_phys(p.memory), 4096, ~0ull,
			IOMMU_BOTH_WAYS, &late[n].iova));
	}
	model_unit_hang(p.r.m, 0, 0);
	for (unsigned n = 0; n < LATE; n++) {
		enum iommu_status one = iommu_dma_unmap_later(
			p.dma, late[n].iova, 4096, IOMMU_BOTH_WAYS, &late[n]);

		assert_true(n >= 15 || one == IOMMU_OK);
		status = status == IOMMU_OK ? one : status;
	}
	assert_int_equal(status, IOMMU_UNIT_LOST);
	assert_int_not_equal(iommu_dma_destroy(p.dma), IOMMU_IN_USE);
	for (unsigned n = 0; n < LATE; n++)
		assert_int_equal(late[n].released, 0);
	rig_close_anyhow(&p.r);
}

static bool byte_is_reached(struct play *p, uint64_t iova)
{
	uint8_t byte;

	return model_dma_read(p->r.m, 0, RIG_DEV, iova, &byte, 1) ==
		MODEL_DMA_OK;
}

static void ends_are_reached(
	struct play *p, const struct iommu_dma_range *range, bool want)
{
	assert_int_equal(byte_is_reached(p, range->iova.v), want);
	assert_int_equal(
		byte_is_reached(p, range->iova.v + range->size - 1), want);
}

/** Also a byte alone on its page, and in a list the last one's. */
static void reach_first_and_last_bytes(const char *kind)
{
	static const size_t offsets[] = {0, 1, 4095},
			    sizes[] = {1, 2, 4095, 4096, 4097, 8192, 8193};
	struct iommu_dma_config config = {0};
	struct play p;

	open_play(&p, kind, MODEL_LAZY, &config, IOMMU_DOMAIN_MAPPED);
	for (unsigned n = 0; n < 21; n++) {
		struct iommu_dma_piece piece[2];
		struct iommu_dma_range range[2];
		unsigned count;

		for (unsigned k = 0; k < 2; k++)
			piece[k] = (struct iommu_dma_piece){
				iommu_phys(p.memory + k * 0x10000 +
					offsets[n % 3]),
				sizes[n / 3]};
		range[0].size = sizes[n / 3];
		OK(iommu_dma_map(p.dma, piece[0].phys, range[0].size, ~0ull,
			IOMMU_BOTH_WAYS, &range[0].iova));
		ends_are_reached(&p, &range[0], true);
		OK(iommu_dma_unmap(
			p.dma, range[0].iova, range[0].size, IOMMU_BOTH_WAYS));
		ends_are_reached(&p, &range[0], false);
		OK(iommu_dma_map_list(p.dma, piece, 2, ~0ull, IOMMU_BOTH_WAYS,
			range, &count));
		for (unsigned k = 0; k < count; k++)
			ends_are_reached(&p, &range[k], true);
		OK(iommu_dma_unmap_list(p.dma, range, count, IOMMU_BOTH_WAYS));
		for (unsigned k = 0; k < count; k++)
			ends_are_reached(&p, &range[k], false);
	}
	close_play(&p);
}

static void first_and_last_bytes_are_reached(void **state)
{
	(void)state;
	reach_first_and_last_bytes("plain");
	/* New leaves of an old table are written back, or flushed. */
	reach_first_and_last_bytes("non-coherent");
	reach_first_and_last_bytes("caching-non-coherent");
}

/** Long lists go over the ends of tables, wherever in a piece these are. */
static void lists_go_on_in_the_next_table(void **state)
{
	static const unsigned pages[] = {10, 1, 17, 12};
	struct iommu_dma_config config = {0};
	struct iommu_dma_range range[30][4];
	unsigned count[30];
	struct play p;

	(void)state;
	open_play(&p, "plain", MODEL_LAZY, &config, IOMMU_DOMAIN_MAPPED);
	for (unsigned n = 0; n < 30; n++) {
		struct iommu_dma_piece piece[4];
		uint64_t at = 0;

		for (unsigned k = 0; k < 4; k++)
			piece[k] = (struct iommu_dma_piece){
				iommu_phys(p.memory + k * 0x3000),
				pages[(n + k) % 4] * 4096};
		OK(iommu_dma_map_list(p.dma, piece, 4, ~0ull, IOMMU_BOTH_WAYS,
			range[n], &count[n]));
		for (unsigned k = 0; k < 4; at += piece[k++].size)
			for (uint64_t in = 0; in < piece[k].size; in += 4096) {
				iommu_phys_t phys;

				OK(iommu_iova_to_phys(p.domain,
					iommu_iova(
						range[n][0].iova.v + at + in),
					&phys));
				assert_int_equal(phys.v, piece[k].phys.v + in);
			}
	}
	for (unsigned n = 0; n < 30; n++)
		OK(iommu_dma_unmap_list(
			p.dma, range[n], count[n], IOMMU_BOTH_WAYS));
	close_play(&p);
}

/** A list with a piece that cannot be mapped leaves nothing behind, whether the
 *  tables were used before or not. */
static void list_with_a_bad_piece_is_refused(void **state)
{
	static const struct {
		uint64_t phys;
		size_t size;
		enum iommu_status want;
	} row[] = {
		{0xfee00000, 1, IOMMU_RESERVED_RANGE},
		{0xfeefffff, 1, IOMMU_RESERVED_RANGE},
		{0xfedff000, 4097, IOMMU_RESERVED_RANGE},
		{1ull << 46, 1, IOMMU_WIDTH},
		{(1ull << 46) - 1, 2, IOMMU_WIDTH},
		{(1ull << 46) - 1, 1, IOMMU_OK},
		{0xfedfffff, 1, IOMMU_OK},
		{0xfef00000, 1, IOMMU_OK},
	};
	struct iommu_dma_config config = {0};
	struct play p;

	(void)state;
	open_play(&p, "plain", MODEL_LAZY, &config, IOMMU_DOMAIN_MAPPED);
	for (unsigned n = 0; n < 2 * sizeof(row) / sizeof(*row); n++) {
		struct iommu_dma_piece piece[2] = {{iommu_phys(p.memory), 16},
			{iommu_phys(row[n / 2].phys), row[n / 2].size}};
		struct iommu_dma_range range[2];
		enum iommu_status status;
		unsigned count;

		/* By itself, and behind another. */
		status = iommu_dma_map_list(p.dma, piece + !(n & 1),
			1 + (n & 1), ~0ull, IOMMU_BOTH_WAYS, range, &count);
		assert_int_equal(status, row[n / 2].want);
		if (status == IOMMU_OK)
			OK(iommu_dma_unmap_list(
				p.dma, range, count, IOMMU_BOTH_WAYS));
	}
	close_play(&p);
}

static void lists_become_runs(void **state)
{
	struct iommu_dma_config config = {0};
	struct iommu_dma_range range[4];
	struct iommu_dma_piece piece[4];
	struct iommu_stats before, after;
	unsigned count;
	struct play p;

	(void)state;
	open_play(&p, "caching", MODEL_LAZY, &config, IOMMU_DOMAIN_MAPPED);
	piece[0] =
		(struct iommu_dma_piece){iommu_phys(p.memory + 0x10800), 0x800};
	piece[1] =
		(struct iommu_dma_piece){iommu_phys(p.memory + 0x3000), 0x2000};
	piece[2] =
		(struct iommu_dma_piece){iommu_phys(p.memory + 0x8000), 0x10};
	piece[3] = (struct iommu_dma_piece){
		iommu_phys(p.memory + 0x20000), 0x1000};
	OK(iommu_unit_stats(p.r.iommu, 0, &before));
	OK(iommu_dma_map_list(
		p.dma, piece, 4, ~0ull, IOMMU_BOTH_WAYS, range, &count));
	OK(iommu_unit_stats(p.r.iommu, 0, &after));
	assert_int_equal(after.waits - before.waits, 1);
	assert_int_equal(count, 2);
	assert_int_equal(range[0].size, 0x2810);
	assert_int_equal(range[1].size, 0x1000);
	*(uint64_t *)model_ptr(p.r.m, p.memory + 0x4ff8) = 0x4ff8;
	uint64_t word = 0;
	assert_int_equal(model_dma_read(p.r.m, 0, RIG_DEV,
				 range[0].iova.v + 0x800 + 0x1ff8, &word, 8),
		MODEL_DMA_OK);
	assert_int_equal(word, 0x4ff8);
	OK(iommu_dma_unmap_list(p.dma, range, count, IOMMU_BOTH_WAYS));
	rig_check(&p.r);
	assert_false(rig_can_read(&p.r, RIG_DEV, range[1].iova.v));
	assert_int_equal(
		iommu_dma_unmap_list(p.dma, range, count, IOMMU_BOTH_WAYS),
		IOMMU_BAD_ARGUMENT);
	close_play(&p);
}

static void narrow_devices_get_low_addresses(void **state)
{
	struct iommu_dma_config config = {0};
	struct iommu_domain_config none = {.kind = IOMMU_DOMAIN_BLOCKED};
	struct iommu_domain *blocked;
	struct iommu_dma *dma;
	iommu_iova_t iova;
	struct play p;
	void *ring;

	(void)state;
	open_play(&p, "plain", MODEL_LAZY, &config, IOMMU_DOMAIN_MAPPED);
	assert_int_equal(iommu_dma_map(p.dma, iommu_phys(p.memory), 1, 0xfff,
				 IOMMU_BOTH_WAYS, &iova),
		IOMMU_WIDTH);
	assert_int_equal(iommu_dma_map(p.dma, iommu_phys(p.memory), 0, ~0ull,
				 IOMMU_BOTH_WAYS, &iova),
		IOMMU_BAD_ARGUMENT);
	OK(iommu_dma_alloc(p.dma, 2, 0xfffffff, &ring, &iova));
	assert_true(iova.v + 0x4000 <= 0x10000000);
	*(uint64_t *)ring = 1;
	assert_true(rig_can_write(&p.r, RIG_DEV, iova.v));
	assert_int_equal(*(uint64_t *)ring, 0x1234);
	OK(iommu_dma_free(p.dma, 2, ring, iova));
	assert_int_equal(
		iommu_dma_free(p.dma, 2, ring, iova), IOMMU_BAD_ARGUMENT);
	OK(iommu_domain_create(p.r.iommu, &none, &blocked));
	assert_int_equal(
		iommu_dma_create(blocked, &config, &dma), IOMMU_BAD_ARGUMENT);
	OK(iommu_domain_destroy(blocked));
	close_play(&p);
}

static void identity_hands_out_physical_addresses(void **state)
{
	struct iommu_dma_config config = {0};
	iommu_iova_t iova;
	struct play p;

	(void)state;
	open_play(&p, "plain", MODEL_LAZY, &config, IOMMU_DOMAIN_IDENTITY);
	OK(iommu_dma_map(p.dma, iommu_phys(p.memory + 5), 100, ~0ull,
		IOMMU_BOTH_WAYS, &iova));
	assert_int_equal(iova.v, p.memory + 5);
	OK(iommu_dma_unmap(p.dma, iova, 100, IOMMU_BOTH_WAYS));
	close_play(&p);
}

/** Addresses never overlap, whatever the order of coming and going. */
static void addresses_do_not_overlap(void **state)
{
	struct iommu_dma_config config = {0};
	struct {
		uint64_t first, last;
		size_t size;
	} live[200] = {{0}};
	struct play p;

	(void)state;
	open_play(&p, "plain", MODEL_BENIGN, &config, IOMMU_DOMAIN_MAPPED);
	for (unsigned n = 0; n < 3000; n++) {
		unsigned k = (unsigned)draw(&p, 200);
		iommu_iova_t iova;

		if (live[k].size) {
			OK(iommu_dma_unmap(p.dma, iommu_iova(live[k].first),
				live[k].size, IOMMU_BOTH_WAYS));
			live[k].size = 0;
			continue;
		}
		live[k].size = 1 + draw(&p, draw(&p, 4) ? 40000 : 400000);
		if (live[k].size > MEMORY)
			live[k].size = MEMORY;
		OK(iommu_dma_map(p.dma, iommu_phys(p.memory), live[k].size,
			0xffffffff, IOMMU_BOTH_WAYS, &iova));
		live[k].first = iova.v;
		live[k].last = (iova.v + live[k].size - 1) | 4095;
		assert_true(live[k].last < 0xfee00000 || iova.v > 0xfeefffff);
		for (unsigned m = 0; m < 200; m++)
			if (m != k && live[m].size)
				assert_true(live[m].last < live[k].first ||
					live[m].first > live[k].last);
	}
	for (unsigned k = 0; k < 200; k++)
		if (live[k].size)
			OK(iommu_dma_unmap(p.dma, iommu_iova(live[k].first),
				live[k].size, IOMMU_BOTH_WAYS));
	close_play(&p);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(buffers_come_and_go),
		cmocka_unit_test(copies_hide_the_neighbours),
		cmocka_unit_test(deferred_window_is_bounded),
		cmocka_unit_test(released_when_out_of_reach),
		cmocka_unit_test(lost_buffers_are_not_released),
		cmocka_unit_test(first_and_last_bytes_are_reached),
		cmocka_unit_test(lists_go_on_in_the_next_table),
		cmocka_unit_test(list_with_a_bad_piece_is_refused),
		cmocka_unit_test(lists_become_runs),
		cmocka_unit_test(narrow_devices_get_low_addresses),
		cmocka_unit_test(identity_hands_out_physical_addresses),
		cmocka_unit_test(addresses_do_not_overlap),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
