/* SPDX-License-Identifier: MIT */
/* See sides.h. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <cmocka.h>
#include "sides.h"

#define OWNER 9
#define ADDRESS 0x000ffffffffff000ull
#define LARGE_LEAF 0x80ull

enum {
	/** In a page: where devices write, and what they read. */
	WRITTEN = 8,
	READ = 16,
	/** Parts of edu's buffer: zeros, and what was read last. */
	ZEROS = 0,
	FOUND = 64,
};

struct iommu_device_id side_device(unsigned n)
{
	return iommu_device_id(0, 0, 3 + n, 0);
}

uint64_t *side_at(const struct side *s, uint64_t phys)
{
	return s->model ? model_ptr(s->model, phys)
			: qemu_at(&s->qemu->q, phys);
}

static uint64_t new_pages(const struct side *s, unsigned order)
{
	return s->model ? model_page_alloc(s->model, order, OWNER)
			: qemu_pages(&s->qemu->q, order);
}

void side_take_memory(struct side *s)
{
	unsigned n;

	for (n = 0; n < FRAMES; n++)
		s->frame[n] = new_pages(s, 0);
	for (n = 0; n < BLOCKS; n++)
		s->block[n] = new_pages(s, 9);
	s->scratch = new_pages(s, 0);
}

/* ---- accesses ---- */

/** Returns whether it arrived, if that can be told. */
static bool transfer(struct side *s, unsigned dev, bool to_memory,
	uint64_t iova, uint32_t part, uint64_t *word)
{
	uint16_t bdf = side_device(dev).requester;

	if (!s->model) {
		edu_dma(&s->qemu->q, s->qemu->bar[dev], to_memory, iova, part,
			8);
		return true;
	}
	return (to_memory ? model_dma_write(s->model, 0, bdf, iova, word, 8)
			  : model_dma_read(s->model, 0, bdf, iova, word, 8)) ==
		MODEL_DMA_OK;
}

/** Word `at` of all that may be reached, at the offset of an address inside a
 *  large page. */
static uint64_t *word_of(
	const struct side *s, unsigned n, uint64_t iova, unsigned at)
{
	uint64_t phys = n < FRAMES
		? s->frame[n]
		: s->block[n - FRAMES] + (iova & (LARGE - PAGE));

	return side_at(s, phys + at);
}

int side_write(struct side *s, unsigned dev, uint64_t iova)
{
	uint64_t zero = 0;
	int found = NOWHERE, n;

	for (n = 0; n < FRAMES + BLOCKS; n++)
		*word_of(s, (unsigned)n, iova, WRITTEN) = ~0ull;
	transfer(s, dev, true, iova + WRITTEN, ZEROS, &zero);
	for (n = 0; n < FRAMES + BLOCKS; n++)
		if (!*word_of(s, (unsigned)n, iova, WRITTEN))
			found = n;
	return found;
}

int side_read(struct side *s, unsigned dev, uint64_t iova, uint64_t scratch)
{
	uint64_t word = 0, *out = side_at(s, s->scratch);
	unsigned n;

	for (n = 0; n < FRAMES + BLOCKS; n++)
		*word_of(s, n, iova, READ) = n + 100;
	/* What is refused leaves zeros in edu's buffer. */
	if (!transfer(s, dev, false, iova + READ, FOUND, &word))
		word = 0;
	if (!scratch)
		return NOWHERE;
	*out = ~0ull;
	transfer(s, dev, true, scratch, FOUND, &word);
	assert_true(*out != ~0ull);
	return *out ? (int)*out - 100 : NOWHERE;
}

/* ---- interrupts ---- */

enum {
	CAP_POINTER = 0x34,
	CAP_MSI = 5,
	EDU_RAISE = 0x60,
	EDU_ACKNOWLEDGE = 0x64,
};

static unsigned msi_capability(struct qemu *q, unsigned rid)
{
	unsigned at = qemu_config_read(q, rid, CAP_POINTER, 1);

	while (at && qemu_config_read(q, rid, at, 1) != CAP_MSI)
		at = qemu_config_read(q, rid, at + 1, 1);
	assert_int_not_equal(at, 0);
	return at;
}

/** Programs the message of edu's capability. */
static void program(
	struct side *s, unsigned dev, struct iommu_msi_message message)
{
	unsigned rid = side_device(dev).requester;
	struct qemu *q = &s->qemu->q;

	if (!s->msi)
		s->msi = msi_capability(q, rid);
	qemu_config_write(q, rid, s->msi + 4, 4, (uint32_t)message.address);
	qemu_config_write(
		q, rid, s->msi + 8, 4, (uint32_t)(message.address >> 32));
	qemu_config_write(q, rid, s->msi + 12, 2, message.data);
	qemu_config_write(q, rid, s->msi + 2, 2, 1);
	s->programmed[dev] = message;
}

void side_send(struct side *s, unsigned dev, struct iommu_msi_message message)
{
	const struct iommu_msi_message *last = &s->programmed[dev];
	struct qemu *q;

	if (s->model) {
		model_msi(s->model, 0, side_device(dev).requester,
			message.address, message.data);
		return;
	}
	if (last->address != message.address || last->data != message.data)
		program(s, dev, message);
	q = &s->qemu->q;
	qemu_write(q, s->qemu->bar[dev] + EDU_RAISE, 4, 1);
	qemu_write(q, s->qemu->bar[dev] + EDU_ACKNOWLEDGE, 4, 1);
}

struct arrival side_arrived(struct side *s)
{
	const struct model_interrupt *last = &s->host.last_interrupt;
	struct arrival arrived = {0};
	unsigned value[5];

	if (!s->model) {
		while (qemu_arrived(&s->qemu->q, value))
			arrived = (struct arrival){.count = arrived.count + 1,
				.destination = value[0],
				.logical = value[1],
				.delivery = (uint8_t)value[2],
				.vector = (uint8_t)value[3],
				.level = value[4]};
		return arrived;
	}
	arrived.count = s->host.device_interrupts;
	s->host.device_interrupts = 0;
	if (!arrived.count)
		return arrived;
	arrived.destination = last->destination;
	arrived.logical = last->logical;
	arrived.delivery = last->delivery;
	arrived.vector = last->vector;
	arrived.level = last->level;
	return arrived;
}

/* ---- the host's tables ---- */

static void stored(struct side *s, uint64_t *entry, size_t size)
{
	if (s->hooks.cache_flush)
		s->hooks.cache_flush(s->hooks.ctx, entry, size);
}

static uint64_t new_table(struct side *s)
{
	uint64_t table = new_pages(s, 0);

	assert_true(s->tables < TABLES);
	s->table[s->tables++] = table;
	memset(side_at(s, table), 0, PAGE);
	stored(s, side_at(s, table), PAGE);
	return table;
}

/** The entry for an address at a level; makes the tables above, unless a large
 *  leaf is in the way: then its entry, and *level is 2. */
static uint64_t *find_entry(struct side *s, uint64_t iova, unsigned *level)
{
	uint64_t table = s->table[0];
	unsigned at;

	for (at = 4;; at--) {
		uint64_t *entry =
			side_at(s, table) + (iova >> (3 + 9 * at) & 511);

		if (at == *level || *entry & LARGE_LEAF) {
			*level = at;
			return entry;
		}
		if (!*entry) {
			*entry = new_table(s) | 7;
			stored(s, entry, 8);
		}
		table = *entry & ADDRESS;
	}
}

enum iommu_status side_split(struct side *s, uint64_t iova)
{
	unsigned level = 1, n;
	uint64_t *entry = find_entry(s, iova, &level), table, leaf = *entry;

	if (level == 1)
		return IOMMU_NOT_MAPPED;
	table = new_table(s);
	for (n = 0; n < 512; n++)
		side_at(s, table)[n] = (leaf & ~LARGE_LEAF) + n * PAGE;
	stored(s, side_at(s, table), PAGE);
	*entry = table | 7;
	stored(s, entry, 8);
	return iommu_flush(s->domain[SHARED], IOMMU_TABLE_CHANGED,
		iommu_iova(iova & ~(LARGE - 1)), LARGE);
}

enum iommu_status side_store(
	struct side *s, uint64_t iova, bool large, uint64_t leaf)
{
	unsigned level = large ? 2 : 1, changes = 0;
	enum iommu_status status = IOMMU_OK;
	uint64_t *entry, old;

	if (iova >> 48)
		return IOMMU_WIDTH;
	entry = find_entry(s, iova, &level);
	if (level == 2 && !large) {
		status = side_split(s, iova);
		level = 1;
		entry = find_entry(s, iova, &level);
	}
	if (status != IOMMU_OK)
		return status;
	old = *entry;
	*entry = leaf | (leaf && large ? LARGE_LEAF : 0);
	stored(s, entry, 8);
	if (*entry)
		changes |= IOMMU_MADE_PRESENT;
	if (old)
		changes |= IOMMU_REMOVED;
	if (old && large && !(old & LARGE_LEAF))
		changes |= IOMMU_TABLE_CHANGED;
	return iommu_flush(s->domain[SHARED], changes, iommu_iova(iova),
		large ? LARGE : PAGE);
}

/* ---- life ---- */

static void make_shared(struct side *s)
{
	struct iommu_domain_config config = {.kind = IOMMU_DOMAIN_SHARED};
	uint64_t lower;

	s->tables = 0;
	config.roots.levels4 = iommu_phys(new_table(s));
	lower = new_table(s);
	config.roots.levels3 = iommu_phys(lower);
	*side_at(s, s->table[0]) = lower | 7;
	stored(s, side_at(s, s->table[0]), 8);
	OK(iommu_domain_create(s->iommu, &config, &s->domain[SHARED]));
	OK(side_store(s, SCRATCH_AT, false, s->scratch | 3));
}

void side_open(struct side *s, const struct iommu_options *options)
{
	struct iommu_domain_config config = {.kind = IOMMU_DOMAIN_MAPPED};
	uint8_t dmar[4096];
	size_t size = s->model ? model_dmar(s->model, dmar, sizeof(dmar))
			       : qemu_dmar(&s->qemu->q, dmar, sizeof(dmar));
	unsigned n;

	memset(s->irq, 0, sizeof(s->irq));
	for (n = 0; n < IRQS; n++)
		s->message[n] = (struct iommu_msi_message){0xfee00000, 0x40};
	OK(iommu_create(&s->hooks, options, &s->iommu));
	OK(iommu_discover(s->iommu, dmar, size));
	OK(iommu_start(s->iommu));
	s->domain[IDENTITY] = iommu_domain_identity(s->iommu);
	for (n = IDENTITY + 1; n < SHARED; n++) {
		OK(iommu_domain_create(s->iommu, &config, &s->domain[n]));
		OK(iommu_map(s->domain[n], iommu_iova(SCRATCH_AT),
			iommu_phys(s->scratch), PAGE,
			IOMMU_READ | IOMMU_WRITE));
	}
	make_shared(s);
	(void)side_arrived(s);
}

void side_close(struct side *s)
{
	enum iommu_status status;
	unsigned n;

	status = iommu_power(s->iommu, true);
	assert_int_equal(status, IOMMU_OK);
	for (n = 0; n < IRQS; n++)
		if (s->irq[n].count)
			OK(iommu_irq_free(s->iommu, &s->irq[n]));
	for (n = 0; n < DEVICES; n++) {
		status = iommu_detach(s->iommu, side_device(n));
		assert_true(status == IOMMU_OK || status == IOMMU_NOT_ATTACHED);
	}
	for (n = IDENTITY + 1; n < DOMAINS; n++)
		OK(iommu_domain_destroy(s->domain[n]));
	OK(iommu_destroy(s->iommu));
	for (n = 0; s->model && n < s->tables; n++)
		model_page_free(s->model, s->table[n], 0);
}
