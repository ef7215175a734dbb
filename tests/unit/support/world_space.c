/* SPDX-License-Identifier: MIT */
/*
 * Address spaces of a random world: pages that come, go, change their rights,
 * are shared by a fork and copied on a write; a block that is mapped as one
 * large page, cut and joined; and the death of a process at any moment.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <string.h>
#include "world_parts.h"

/* Places that share and do not share tables of each level. */
const uint64_t world_places[WORLD_SLOTS] = {
	0x0,
	0x1000,
	0x2000,
	0x3000,
	0x7000,
	0x8000,
	0x1fe000,
	0x1ff000,
	0x200000,
	0x201000,
	0x3ff000,
	0x400000,
	0x3ffff000,
	0x40000000,
	0x40001000,
	0x401ff000,
	0x40200000,
	0x7ffff000,
	0x80000000,
	0xfedff000,
	0xfef00000,
	0x100000000,
	0x3fffffe000,
	0x3ffffff000,
};

/* Where a block may lie: no slot is within the same 2 MiB. */
static const uint64_t block_places[] = {
	0x600000, 0x40400000, 0x80200000, 0xfec00000 - 0x200000};

#define BLOCK_BYTES ((uint64_t)WORLD_BLOCK * MODEL_PAGE)

bool space_open(struct world *w, unsigned i)
{
	struct world_space *s = &w->space[i];

	memset(s, 0, sizeof *s);
	s->mapped = w->mapped_spaces >> i & 1;
	s->bits = 64;
	if (s->mapped) {
		struct iommu_domain_config config = {
			.kind = IOMMU_DOMAIN_MAPPED};

		if (!ok(w, "mapped domain",
			    iommu_domain_create(
				    w->r.iommu, &config, &s->domain)))
			return false;
		for (unsigned u = 0; u < model_unit_count(w->r.m); u++)
			if (w->unit_bits[u] < s->bits)
				s->bits = w->unit_bits[u];
	} else {
		rig_space_open(&s->host, &w->r);
		s->domain = s->host.domain;
	}
	s->owner = 10 + w->next_owner++ % 180;
	return true;
}

/* ---- frames ------------------------------------------------------------- */

static void stamp(struct world *w, uint64_t frame)
{
	uint64_t value = ++w->next_stamp << 8 | 0xa5;

	w->stamp[frame / MODEL_PAGE] = value;
	*(uint64_t *)model_ptr(w->r.m, frame) = value;
}

static unsigned frame_users(const struct world *w, uint64_t frame)
{
	unsigned users = 0;

	for (unsigned i = 0; i < WORLD_SPACES; i++)
		for (unsigned n = 0; n < WORLD_SLOTS; n++)
			users += w->space[i].slot[n].frame == frame;
	return users;
}

/* Its last user is gone: it goes back. */
static void frame_leave(struct world *w, uint64_t frame)
{
	if (!frame_users(w, frame))
		model_page_free(w->r.m, frame, 0);
}

/* ---- slots -------------------------------------------------------------- */

static void entry(struct world_space *s, unsigned n)
{
	struct world_slot *slot = &s->slot[n];

	rig_space_set(&s->host, world_places[n],
		slot->frame ? slot->frame | 0x20 | slot->rights : 0);
}

static void note(
	struct iommu_batch *batch, unsigned change, unsigned n, uint64_t size)
{
	iommu_batch_add(batch, change, iommu_iova(world_places[n]), size);
}

/* A page of a mapped domain. r may make the library's allocations fail. */
static bool map_for_library(
	struct world *w, struct world_space *s, unsigned n, uint64_t r)
{
	struct world_slot *slot = &s->slot[n];
	uint64_t frame = slot->frame;
	bool mapped = false;
	enum iommu_status got;

	world_starve(w, r);
	got = iommu_map(s->domain, iommu_iova(world_places[n]),
		iommu_phys(frame), MODEL_PAGE, slot->rights);
	if (world_places[n] >> s->bits) {
		model_fail_alloc(w->r.m, 0, false);
		if (got != IOMMU_WIDTH)
			return wrong(w, "map: %s", iommu_status_text(got));
	} else if (!world_fed(w, "map", got, &mapped)) {
		return false;
	}
	if (!mapped) {
		slot->frame = 0;
		frame_leave(w, frame);
	}
	return true;
}

static bool slot_map(struct world *w, struct world_space *s, unsigned n,
	unsigned rights, struct iommu_batch *batch, uint64_t r)
{
	struct world_slot *slot = &s->slot[n];

	slot->frame = model_page_alloc(w->r.m, 0, s->owner);
	if (slot->frame == MODEL_NONE)
		return wrong(w, "out of frames");
	slot->rights = rights;
	stamp(w, slot->frame);
	if (s->mapped)
		return map_for_library(w, s, n, r);
	entry(s, n);
	note(batch, IOMMU_MADE_PRESENT, n, MODEL_PAGE);
	return true;
}

static bool unmap_for_library(struct world *w, struct world_space *s,
	uint64_t iova, uint64_t size, uint64_t expect,
	struct iommu_batch *batch)
{
	uint64_t removed = 0;

	if (!ok(w, "unmap",
		    iommu_unmap(s->domain, iommu_iova(iova), size, batch,
			    &removed)))
		return false;
	return removed == expect ||
		wrong(w, "%llu bytes unmapped instead of %llu",
			(unsigned long long)removed,
			(unsigned long long)expect);
}

static bool slot_unmap(struct world *w, struct world_space *s, unsigned n,
	struct iommu_batch *batch, uint64_t *out_frame)
{
	*out_frame = s->slot[n].frame;
	s->slot[n].frame = 0;
	if (s->mapped)
		return unmap_for_library(
			w, s, world_places[n], MODEL_PAGE, MODEL_PAGE, batch);
	entry(s, n);
	if (!w->sabotaged || n != 5)
		note(batch, IOMMU_REMOVED, n, MODEL_PAGE);
	return true;
}

/* The host's own tables: rights change, or a write copies a shared frame.
 * *out_frame: the frame that was replaced, or 0. */
static bool slot_change(struct world *w, struct world_space *s, unsigned n,
	struct iommu_batch *batch, uint64_t *out_frame)
{
	struct world_slot *slot = &s->slot[n];
	unsigned change;

	*out_frame = 0;
	if (frame_users(w, slot->frame) > 1) {
		uint64_t copy = model_page_alloc(w->r.m, 0, s->owner);

		if (copy == MODEL_NONE)
			return wrong(w, "out of frames");
		*out_frame = slot->frame;
		slot->frame = copy;
		slot->rights = RW;
		stamp(w, copy);
		change = IOMMU_REMOVED | IOMMU_RIGHTS_RAISED;
	} else {
		slot->rights ^= IOMMU_WRITE;
		change = slot->rights & IOMMU_WRITE ? IOMMU_RIGHTS_RAISED
						    : IOMMU_RIGHTS_CUT;
	}
	entry(s, n);
	note(batch, change, n, MODEL_PAGE);
	return true;
}

/* One edit of one slot. *out_frame: what became free, or 0. */
static bool edit_slot(struct world *w, struct world_space *s, unsigned n,
	uint64_t r, struct iommu_batch *batch, uint64_t *out_frame)
{
	*out_frame = 0;
	if (!s->slot[n].frame)
		return slot_map(
			w, s, n, r & 1 ? RW : IOMMU_READ, batch, r >> 8);
	if (!s->mapped && r >> 1 & 1)
		return slot_change(w, s, n, batch, out_frame);
	return slot_unmap(w, s, n, batch, out_frame);
}

/* One batch of up to eight edits, then the frames that became free. */
bool edit(struct world *w, uint64_t word)
{
	struct world_space *s = &w->space[word % WORLD_SPACES];
	unsigned count = 1 + (word >> 8) % 8, slot[8];
	uint64_t frame[8];
	struct iommu_batch batch;

	iommu_batch_init(&batch, s->domain);
	for (unsigned i = 0; i < count; i++) {
		slot[i] = (word >> (12 + 5 * i)) % WORLD_SLOTS;
		w->done++;
		if (!edit_slot(w, s, slot[i], world_mix(word + i), &batch,
			    &frame[i]))
			return false;
	}
	if (!ok(w, "flush", iommu_batch_flush(&batch)))
		return false;
	for (unsigned i = 0; i < count; i++)
		if (frame[i])
			frame_leave(w, frame[i]);
	for (unsigned i = 0; i < count; i++)
		if (!probe(w, s, slot[i]))
			return false;
	return true;
}

/* ---- the block ---------------------------------------------------------- */

static uint64_t block_mapped(
	const struct world_block *b, unsigned first, unsigned count)
{
	uint64_t bytes = 0;

	for (unsigned i = first; i < first + count; i++)
		bytes += b->mapped[i] ? MODEL_PAGE : 0;
	return bytes;
}

static void block_mark(
	struct world_block *b, unsigned first, unsigned count, bool mapped)
{
	for (unsigned i = first; i < first + count; i++)
		b->mapped[i] = mapped;
}

static void block_free(struct world *w, struct world_block *b)
{
	if (b->phys)
		model_page_free(w->r.m, b->phys, 9);
	memset(b, 0, sizeof *b);
}

static bool block_make(struct world *w, struct world_space *s, uint64_t r)
{
	struct world_block *b = &s->block;
	uint64_t phys = model_page_alloc(w->r.m, 9, s->owner);
	bool mapped = true;

	if (phys == MODEL_NONE)
		return true;
	b->iova = block_places[r % 4];
	b->phys = phys;
	for (unsigned i = 0; i < WORLD_BLOCK; i++)
		stamp(w, phys + i * MODEL_PAGE);
	if (s->mapped) {
		world_starve(w, r >> 8);
		if (!world_fed(w, "map of a block",
			    iommu_map(s->domain, iommu_iova(b->iova),
				    iommu_phys(phys), BLOCK_BYTES, RW),
			    &mapped))
			return false;
	} else {
		rig_space_set_large(&s->host, b->iova,
			phys | 0xe0 | IOMMU_READ | IOMMU_WRITE);
		if (!ok(w, "flush of a large page",
			    iommu_flush(s->domain, IOMMU_MADE_PRESENT,
				    iommu_iova(b->iova), BLOCK_BYTES)))
			return false;
	}
	block_mark(b, 0, WORLD_BLOCK, mapped);
	if (!mapped)
		block_free(w, b);
	return true;
}

static bool block_remove(
	struct world *w, struct world_space *s, unsigned first, unsigned count)
{
	struct world_block *b = &s->block;
	uint64_t iova = b->iova + (uint64_t)first * MODEL_PAGE;
	struct iommu_batch batch;

	iommu_batch_init(&batch, s->domain);
	if (s->mapped) {
		if (!unmap_for_library(w, s, iova, (uint64_t)count * MODEL_PAGE,
			    block_mapped(b, first, count), &batch))
			return false;
	} else {
		rig_space_set_large(&s->host, b->iova, 0);
		iommu_batch_add(&batch, IOMMU_REMOVED, iommu_iova(b->iova),
			BLOCK_BYTES);
	}
	if (!ok(w, "flush of a block", iommu_batch_flush(&batch)))
		return false;
	block_mark(b, first, count, false);
	return true;
}

/* Maps the holes in a part again. */
static bool block_fill(
	struct world *w, struct world_space *s, unsigned first, unsigned count)
{
	struct world_block *b = &s->block;

	for (unsigned i = first; i < first + count; i++) {
		uint64_t off = (uint64_t)i * MODEL_PAGE;

		if (b->mapped[i])
			continue;
		w->done++;
		if (!ok(w, "map of a hole",
			    iommu_map(s->domain, iommu_iova(b->iova + off),
				    iommu_phys(b->phys + off), MODEL_PAGE, RW)))
			return false;
		b->mapped[i] = true;
	}
	return true;
}

static bool block_join(struct world *w, struct world_space *s)
{
	struct iommu_batch batch;

	iommu_batch_init(&batch, s->domain);
	return ok(w, "join",
		       iommu_join(s->domain, iommu_iova(s->block.iova),
			       BLOCK_BYTES, &batch)) &&
		ok(w, "flush of a join", iommu_batch_flush(&batch));
}

bool edit_block(struct world *w, uint64_t word)
{
	struct world_space *s = &w->space[word % WORLD_SPACES];
	unsigned first = (word >> 8) % WORLD_BLOCK;
	unsigned count = 1 + (word >> 20) % (WORLD_BLOCK - first);
	bool good = true;

	if (!w->blocks || (!s->mapped && !w->large_pages))
		return true;
	if (!s->block.phys) {
		good = block_make(w, s, world_mix(word));
	} else if (!s->mapped || (word >> 32) % 4 == 0) {
		good = block_remove(w, s, 0, WORLD_BLOCK);
		if (good)
			block_free(w, &s->block);
	} else if ((word >> 32) % 4 == 1) {
		good = block_remove(w, s, first, count);
	} else {
		good = block_fill(w, s, first, count);
		if (good && word >> 34 & 1)
			good = block_join(w, s);
	}
	return good && probe(w, s, WORLD_SLOTS + first) &&
		probe(w, s, WORLD_SLOTS + (first + count) % WORLD_BLOCK);
}

/* ---- whole tables, whole spaces ----------------------------------------- */

/* A whole lowest table is unlinked, with all that it maps. */
bool unlink_table(struct world *w, uint64_t word)
{
	struct world_space *s = &w->space[word % WORLD_SPACES];
	uint64_t base = world_places[(word >> 8) % WORLD_SLOTS] & ~0x1fffffull;
	uint64_t frame[WORLD_SLOTS], table = 0;
	unsigned freed = 0, slot[WORLD_SLOTS];

	if (s->mapped && base >> s->bits)
		return true;
	for (unsigned n = 0; n < WORLD_SLOTS; n++)
		if (world_places[n] - base < 0x200000 && s->slot[n].frame) {
			slot[freed] = n;
			frame[freed++] = s->slot[n].frame;
			s->slot[n].frame = 0;
		}
	if (s->mapped) {
		if (!ok(w, "unmap",
			    iommu_unmap_now(
				    s->domain, iommu_iova(base), 0x200000)))
			return false;
	} else {
		table = rig_space_unlink(&s->host, base);
		if (table &&
			!ok(w, "flush of a table",
				iommu_flush(s->domain,
					IOMMU_REMOVED | IOMMU_TABLE_CHANGED,
					iommu_iova(base), 0x200000)))
			return false;
	}
	if (table)
		model_page_free(w->r.m, table, 0);
	for (unsigned i = 0; i < freed; i++)
		frame_leave(w, frame[i]);
	for (unsigned i = 0; i < freed; i++)
		if (!probe(w, s, slot[i]))
			return false;
	return true;
}

bool space_end(struct world *w, unsigned i)
{
	struct world_space *s = &w->space[i];

	for (unsigned d = 0; d < WORLD_DEVICES; d++)
		if (w->dev[d].space == (int)i && !detach(w, &w->dev[d]))
			return false;
	if (!ok(w, "destroy", iommu_domain_destroy(s->domain)))
		return false;
	if (!s->mapped)
		rig_space_free(&s->host);
	for (unsigned n = 0; n < WORLD_SLOTS; n++) {
		uint64_t frame = s->slot[n].frame;

		s->slot[n].frame = 0;
		if (frame)
			frame_leave(w, frame);
	}
	block_free(w, &s->block);
	return true;
}

/* Its devices write until the last moment. */
bool die(struct world *w, uint64_t word)
{
	unsigned i = word % WORLD_SPACES;

	for (unsigned d = 0; d < WORLD_DEVICES; d++)
		for (unsigned k = 0; k < 3; k++)
			if (w->dev[d].space == (int)i &&
				!dma(w, &w->dev[d],
					(word >> (8 + 5 * k)) % WORLD_SLOTS,
					true, true))
				return false;
	return space_end(w, i) && space_open(w, i);
}

/* A parent's page becomes the child's too, for both to read only. The parent's
 * device must lose its write before the child may rely on the content. */
static bool share_slot(struct world *w, struct world_space *from, unsigned n,
	struct iommu_batch *batch)
{
	struct world_slot *slot = &from->slot[n];
	uint64_t frame;

	if (!(slot->rights & IOMMU_WRITE))
		return true;
	if (!from->mapped) {
		slot->rights = IOMMU_READ;
		entry(from, n);
		note(batch, IOMMU_RIGHTS_CUT, n, MODEL_PAGE);
		return true;
	}
	frame = slot->frame;
	if (!unmap_for_library(
		    w, from, world_places[n], MODEL_PAGE, MODEL_PAGE, batch) ||
		!ok(w, "flush", iommu_batch_flush(batch)))
		return false;
	slot->frame = frame;
	slot->rights = IOMMU_READ;
	return map_for_library(w, from, n, ~0ull);
}

bool fork_space(struct world *w, uint64_t word)
{
	unsigned i = word % WORLD_SPACES;
	unsigned k = (i + 1 + (word >> 8) % (WORLD_SPACES - 1)) % WORLD_SPACES;
	struct world_space *from = &w->space[i], *to = &w->space[k];
	struct iommu_batch cut, made;

	if (!space_end(w, k) || !space_open(w, k))
		return false;
	to->owner = from->owner;
	iommu_batch_init(&cut, from->domain);
	iommu_batch_init(&made, to->domain);
	for (unsigned n = 0; n < WORLD_SLOTS; n++) {
		if (!from->slot[n].frame)
			continue;
		w->done++;
		if (!share_slot(w, from, n, &cut))
			return false;
		to->slot[n] = from->slot[n];
		if (to->mapped) {
			if (!map_for_library(w, to, n, ~0ull))
				return false;
			continue;
		}
		entry(to, n);
		note(&made, IOMMU_MADE_PRESENT, n, MODEL_PAGE);
	}
	if (!ok(w, "flush of a fork", iommu_batch_flush(&cut)) ||
		!ok(w, "flush of a child", iommu_batch_flush(&made)))
		return false;
	for (unsigned n = 0; n < WORLD_SLOTS; n++)
		if (!probe(w, from, n))
			return false;
	return true;
}
