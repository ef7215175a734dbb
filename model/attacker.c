/* SPDX-License-Identifier: MIT */
/*
 * A device that means harm: it guesses addresses and ids, forges interrupts
 * and lies about translation. It decides nothing itself: the judge sees what
 * got through.
 */
#include <string.h>
#include <model/devices.h>
#include "internal.h"

void model_attacker_init(struct model_attacker *a, struct model *m,
	uint16_t segment, uint16_t bdf, uint64_t seed)
{
	memset(a, 0, sizeof *a);
	a->m = m;
	a->segment = segment;
	a->bdf = bdf;
	a->seed = seed | 1;
}

static uint64_t guess(struct model_attacker *a)
{
	a->seed ^= a->seed << 13;
	a->seed ^= a->seed >> 7;
	a->seed ^= a->seed << 17;
	return a->seed;
}

static uint64_t address(struct model_attacker *a, uint64_t hint)
{
	struct model *m = a->m;
	uint64_t r = guess(a);

	switch (r % 8) {
	case 0: /* any page of memory, as if untranslated */
	case 1:
		return m->ram_base + (r >> 8) % m->ram_size;
	case 2: /* beside what it knows */
		return hint + ((r >> 8) % 16 - 8) * MODEL_PAGE + (r & 0xfff);
	case 3:
		return hint ^ 1ull << (r >> 8) % 58;
	case 4: /* a unit's registers */
		return m->units ? m->unit[0].base + (r >> 8) % m->unit[0].size
				: r;
	case 5: /* tables, if it knew where they are */
		return m->units ? (m->unit[0].root & PAGE_BASE) +
				(r >> 8) % (16 * MODEL_PAGE)
				: r;
	case 6:
		return r >> (r & 63);
	default:
		return r;
	}
}

static void count(struct model_attacker *a, enum model_dma_status s)
{
	a->tried++;
	if (s == MODEL_DMA_OK)
		a->through++;
	else
		a->refused++;
}

/* Every format of an interrupt request. */
static void forge_interrupt(struct model_attacker *a)
{
	uint64_t r = guess(a), at = WINDOW | (r & 0xfffff & ~3ull);
	uint32_t data = (uint32_t)(r >> 32);
	bool arrived;

	if (r >> 20 & 1)
		data &= 0xff;
	if (r >> 21 & 1)
		arrived = model_msi(a->m, a->segment, a->bdf, at, data);
	else
		arrived = model_dma_write(a->m, a->segment, a->bdf, at, &data,
				  4) == MODEL_DMA_OK;
	a->tried++;
	if (arrived)
		a->interrupts++;
	else
		a->refused++;
}

void model_attacker_act(struct model_attacker *a, uint64_t hint)
{
	struct model *m = a->m;
	uint64_t at = address(a, hint), data[8] = {0x6861636b6564}, old;
	size_t len = 1 + guess(a) % sizeof data;

	switch (guess(a) % 8) {
	case 0:
	case 1:
		count(a, model_dma_read(m, a->segment, a->bdf, at, data, len));
		break;
	case 2:
	case 3:
		count(a, model_dma_write(m, a->segment, a->bdf, at, data, len));
		break;
	case 4:
		count(a, model_dma_post(m, a->segment, a->bdf, at, data, len));
		break;
	case 5:
		count(a,
			model_dma_atomic(
				m, a->segment, a->bdf, at & ~7ull, 1, &old));
		break;
	case 6:
		if (guess(a) & 1)
			model_ats_request(m, a->segment, a->bdf, at, true);
		count(a,
			model_dma_translated(
				m, a->segment, a->bdf, at, data, len, true));
		break;
	default:
		forge_interrupt(a);
		break;
	}
}
