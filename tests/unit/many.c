/* SPDX-License-Identifier: MIT */
/*
 * A device with many queues works while its driver maps and unmaps buffers,
 * loses it, and gets it back: what was mapped all the time is copied, what was
 * not is refused, and nothing else changes. SEED and ROUNDS from the
 * environment.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <stdlib.h>
#include <string.h>
#include <model/devices.h>
#include "support/rig.h"

#define RW (IOMMU_READ | IOMMU_WRITE)
#define OWNER 7

enum {
	ENTRIES = 8,
	RINGS_AT = 0x100000,
	BUFFERS_AT = 0x200000,
	BUFFERS = 64,
	/* First half of a page to the second half of another. */
	HALF = 2048,
};

static struct rig rig;
static struct model_many many;
static struct iommu_domain *domain;
static uint64_t ring[MODEL_MANY_QUEUES], frame[BUFFERS];
static uint64_t seed;

/* What the descriptors in flight are to do. */
static struct job {
	unsigned from, to;
	uint8_t byte;
	bool cut; /* a buffer of it was not mapped for a while */
} job[MODEL_MANY_QUEUES][ENTRIES];

static unsigned any(unsigned below)
{
	seed ^= seed << 13;
	seed ^= seed >> 7;
	seed ^= seed << 17;
	return (unsigned)(seed >> 20) % below;
}

static uint64_t buffer_at(unsigned n)
{
	return BUFFERS_AT + (uint64_t)n * 0x3000;
}

static void map(uint64_t iova, uint64_t phys)
{
	OK(iommu_map(
		domain, iommu_iova(iova), iommu_phys(phys), MODEL_PAGE, RW));
}

static unsigned reg(unsigned queue, unsigned offset)
{
	return MODEL_MANY_FIRST + queue * MODEL_MANY_STRIDE + offset;
}

static uint64_t *words(uint64_t phys)
{
	return model_ptr(rig.m, phys);
}

static struct model_many_descriptor *descriptor(unsigned queue, unsigned n)
{
	return (struct model_many_descriptor *)words(ring[queue]) + n;
}

static void queues_on(void)
{
	for (unsigned q = 0; q < MODEL_MANY_QUEUES; q++) {
		memset(words(ring[q]), 0, MODEL_PAGE);
		model_many_write(&many, reg(q, MODEL_MANY_RING),
			RINGS_AT + (uint64_t)q * MODEL_PAGE);
		model_many_write(&many, reg(q, MODEL_MANY_ENTRIES), ENTRIES);
		model_many_write(&many, reg(q, MODEL_MANY_ON), 0);
		model_many_write(&many, reg(q, MODEL_MANY_ON), 1);
	}
}

static void open_world(const char *kind, enum model_mode mode)
{
	rig_open(&rig, kind, mode, seed);
	rig.options.fault_storm = 0;
	rig_start_ok(&rig);
	domain = rig_mapped_domain(&rig);
	OK(iommu_attach(rig.iommu, rig_id(RIG_DEV), domain));
	model_device_expect(rig.m, 0, RIG_DEV, OWNER);
	model_many_init(&many, rig.m, 0, RIG_DEV, seed);
	for (unsigned q = 0; q < MODEL_MANY_QUEUES; q++) {
		ring[q] = rig_frame(&rig, OWNER);
		map(RINGS_AT + (uint64_t)q * MODEL_PAGE, ring[q]);
	}
	for (unsigned n = 0; n < BUFFERS; n++) {
		frame[n] = rig_frame(&rig, OWNER);
		map(buffer_at(n), frame[n]);
	}
	queues_on();
}

/* ---- what the driver does -------------------------------------------------
 */

static bool in_flight(unsigned n)
{
	for (unsigned q = 0; q < MODEL_MANY_QUEUES; q++) {
		const struct model_many_queue *queue = &many.queue[q];

		for (unsigned i = queue->head; i != queue->tail;
			i = (i + 1) % ENTRIES)
			if (job[q][i].from == n || job[q][i].to == n)
				return true;
	}
	return false;
}

/* A pair of buffers that no other descriptor has. */
static void enqueue(void)
{
	unsigned q = any(MODEL_MANY_QUEUES);
	unsigned from = any(BUFFERS), to = any(BUFFERS);
	unsigned tail = many.queue[q].tail;
	struct job *j = &job[q][tail];

	if ((tail + 1) % ENTRIES == many.queue[q].head || from == to ||
		in_flight(from) || in_flight(to))
		return;
	*j = (struct job){from, to, (uint8_t)(1 + any(255)), false};
	memset(words(frame[from]), j->byte, HALF);
	memset((char *)words(frame[to]) + HALF, 0, HALF);
	*descriptor(q, tail) =
		(struct model_many_descriptor){.source = buffer_at(from),
			.target = buffer_at(to) + HALF,
			.length = HALF};
	model_many_write(&many, reg(q, MODEL_MANY_TAIL), tail + 1);
}

static void note_cut(unsigned n)
{
	for (unsigned q = 0; q < MODEL_MANY_QUEUES; q++)
		for (unsigned i = 0; i < ENTRIES; i++)
			if (job[q][i].from == n || job[q][i].to == n)
				job[q][i].cut = true;
}

/* A page goes while the device may be at it, and is somebody else's at once. */
static void replace_page(void)
{
	unsigned q = any(MODEL_MANY_QUEUES), n = any(BUFFERS);

	if (many.queue[q].head != many.queue[q].tail)
		n = job[q][many.queue[q].head].to;
	note_cut(n);
	OK(iommu_unmap_now(domain, iommu_iova(buffer_at(n)), MODEL_PAGE));
	model_page_free(rig.m, frame[n], 0);
	model_many_work(&many, any(300));
	frame[n] = rig_frame(&rig, OWNER);
	map(buffer_at(n), frame[n]);
}

/* The driver dies with work in every queue; the next owner starts afresh. */
static void die(void)
{
	OK(iommu_detach(rig.iommu, rig_id(RIG_DEV)));
	model_many_work(&many, 50);
	assert_int_equal(model_posted(rig.m), 0);
	for (unsigned n = 0; n < BUFFERS; n++) {
		OK(iommu_unmap_now(
			domain, iommu_iova(buffer_at(n)), MODEL_PAGE));
		model_page_free(rig.m, frame[n], 0);
		frame[n] = rig_frame(&rig, OWNER);
		map(buffer_at(n), frame[n]);
	}
	OK(iommu_attach(rig.iommu, rig_id(RIG_DEV), domain));
	queues_on();
	memset(job, 0, sizeof job);
}

/* ---- what must come of it --------------------------------------------------
 */

static unsigned long copied, refused;

static void look_at(unsigned q, unsigned n)
{
	struct model_many_descriptor *d = descriptor(q, n);
	const struct job *j = &job[q][n];
	const uint8_t *to = (uint8_t *)words(frame[j->to]) + HALF;

	if (d->status == MODEL_MANY_DONE && !j->cut) {
		for (unsigned i = 0; i < HALF; i++)
			assert_int_equal(to[i], j->byte);
		copied++;
	}
	if (d->status == MODEL_MANY_REFUSED) {
		assert_true(j->cut);
		refused++;
	}
	d->status = 0;
}

static void finish(void)
{
	uint64_t x;

	while (model_many_work(&many, 1000))
		;
	/* Its own reading pushes what it has written. */
	model_dma_read(rig.m, 0, RIG_DEV, RINGS_AT, &x, 8);
	for (unsigned q = 0; q < MODEL_MANY_QUEUES; q++) {
		assert_true(many.queue[q].on);
		for (unsigned n = 0; n < ENTRIES; n++)
			look_at(q, n);
	}
}

static void play(const char *kind, enum model_mode mode, unsigned rounds)
{
	open_world(kind, mode);
	for (unsigned i = 0; i < rounds; i++) {
		for (unsigned k = 0; k < 20; k++)
			enqueue();
		for (unsigned k = 0; k < 4; k++) {
			model_many_work(&many, any(200));
			replace_page();
		}
		if (any(8) == 0)
			die();
		else
			finish();
	}
	OK(iommu_detach(rig.iommu, rig_id(RIG_DEV)));
	OK(iommu_domain_destroy(domain));
	rig_close(&rig);
}

static void queues_work_while_the_driver_does(void **state)
{
	static const char *const kinds[] = {"plain", "no-qi", "no-drain",
		"caching", "worst-memory", "no-psi", "sapphire-rapids"};
	const char *given = getenv("SEED"), *wanted = getenv("ROUNDS");
	unsigned rounds = wanted ? (unsigned)atoi(wanted) : 30;

	(void)state;
	seed = given ? strtoull(given, NULL, 0) | 1 : 1;
	print_message("SEED=%llu\n", (unsigned long long)seed);
	for (unsigned k = 0; k < sizeof kinds / sizeof kinds[0]; k++) {
		play(kinds[k], MODEL_LAZY, rounds);
		play(kinds[k], MODEL_RANDOM, rounds);
	}
	print_message("%lu copied, %lu refused\n", copied, refused);
	assert_true(copied > 30 * rounds && refused > rounds);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(queues_work_while_the_driver_does),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
