/* SPDX-License-Identifier: MIT */
/*
 * The CBDMA driver of user/ on the model's engine, behind the model's unit: it
 * is told plain pointers, which the library maps to where they lead.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <errno.h>
#include <string.h>
#include <model/devices.h>
#include "support/rig.h"
#include "user/ucbdma/cbdma.c"

#define OWNER 9
#define ORDER 6 /* 64 pages */
#define ROOM (MODEL_PAGE << ORDER)

struct bench {
	struct rig r;
	struct iommu_domain *domain;
	struct model_cbdma engine;
	struct cbdma driver;
	uint64_t frames; /* one run, mapped at the pointers to it */
	char *memory;
	bool absent, hangs;
};

static uint64_t bus_read(void *context, unsigned offset, unsigned width)
{
	struct bench *b = context;

	if (b->absent)
		return ~0ull;
	if (b->hangs && offset == CHANCMD)
		return CHANCMD_RESET; /* and never done */
	return model_cbdma_read(&b->engine, offset, width);
}

static void bus_write(
	void *context, unsigned offset, unsigned width, uint64_t value)
{
	struct bench *b = context;

	if (!b->hangs)
		model_cbdma_write(&b->engine, offset, width, value);
}

static uint64_t bus_now(void *context)
{
	struct bench *b = context;

	model_advance(b->r.m, 1000000);
	return model_now(b->r.m);
}

static const struct cbdma_bus bus = {bus_read, bus_write, bus_now};

static void open_bench(struct bench *b)
{
	memset(b, 0, sizeof *b);
	rig_run(&b->r, "skylake-sp", MODEL_LAZY, 1);
	b->domain = rig_mapped_domain(&b->r);
	OK(iommu_attach(b->r.iommu, rig_id(RIG_DEV), b->domain));
	b->frames = model_page_alloc(b->r.m, ORDER, OWNER);
	assert_true(b->frames != MODEL_NONE);
	b->memory = model_ptr(b->r.m, b->frames);
	memset(b->memory, 0, ROOM);
	OK(iommu_map(b->domain, iommu_iova((uintptr_t)b->memory),
		iommu_phys(b->frames), ROOM, IOMMU_READ | IOMMU_WRITE));
	model_cbdma_init(&b->engine, b->r.m, 0, RIG_DEV);
}

/* The last pages are the ring's. */
static void start(struct bench *b)
{
	char *ring = b->memory + ROOM - 4 * MODEL_PAGE;

	assert_int_equal(cbdma_start(&b->driver, &bus, b, (void *)ring), 0);
}

static void close_bench(struct bench *b)
{
	OK(iommu_unmap_now(b->domain, iommu_iova((uintptr_t)b->memory), ROOM));
	OK(iommu_detach(b->r.iommu, rig_id(RIG_DEV)));
	iommu_interrupt_all(b->r.iommu);
	rig_take_faults(&b->r);
	OK(iommu_domain_destroy(b->domain));
	model_page_free(b->r.m, b->frames, ORDER);
	rig_close(&b->r);
}

static void check_copy(struct bench *b, char *to, const char *from, size_t size)
{
	for (size_t i = 0; i < size; i++)
		((char *)from)[i] = (char)(i * 31 + (i >> 8) + 1);
	assert_int_equal(
		cbdma_fill(&b->driver, to, 0x1122334455667788, size), 0);
	for (size_t i = 0; i < size; i++)
		assert_int_equal(to[i], (char)(0x88 - 0x11 * (i % 8)));
	to[size] = 'x';
	assert_int_equal(cbdma_copy(&b->driver, to, from, size), 0);
	assert_memory_equal(to, from, size);
	assert_int_equal(to[size], 'x');
}

static void plain_pointers_are_copied(void **state)
{
	static const size_t sizes[] = {1, 7, 64, 4095, 4096, 4097, 70000};
	struct bench b;

	(void)state;
	open_bench(&b);
	start(&b);
	for (size_t i = 0; i < sizeof sizes / sizeof *sizes; i++)
		check_copy(&b, b.memory + 0x18003, b.memory + 5, sizes[i]);
	close_bench(&b);
}

/* The ring goes round, and the device's 16-bit count does too. */
static void count_and_ring_wrap(void **state)
{
	struct bench b;

	(void)state;
	open_bench(&b);
	start(&b);
	b.driver.max_size = 8;
	for (unsigned i = 0; i < 50; i++)
		check_copy(&b, b.memory + 0x10000, b.memory, 8 * 800 + i);
	close_bench(&b);
}

static void refused(
	struct bench *b, void *to, const void *from, const char *why)
{
	assert_int_equal(cbdma_copy(&b->driver, to, from, 100), -EIO);
	assert_string_equal(cbdma_error_text(b->driver.error), why);
	check_copy(b, b->memory + 0x10000, b->memory, 5000);
}

static void what_is_not_mapped_is_refused_and_the_engine_goes_on(void **state)
{
	struct bench b;

	(void)state;
	open_bench(&b);
	start(&b);
	memset(b.memory, 'a', 100);
	refused(&b, b.memory, b.memory + ROOM + 4096, "source address");
	refused(&b, b.memory + ROOM, b.memory, "destination address");
	/* Partly outside: the device stops where it is not allowed. */
	refused(&b, b.memory, b.memory + ROOM - 50, "source address");
	close_bench(&b);
}

static void ring_out_of_reach(void **state)
{
	static struct cbdma_memory elsewhere;
	struct bench b;

	(void)state;
	open_bench(&b);
	assert_int_equal(cbdma_start(&b.driver, &bus, &b, &elsewhere), 0);
	assert_int_equal(
		cbdma_copy(&b.driver, b.memory, b.memory + 100, 10), -EIO);
	assert_string_equal(cbdma_error_text(b.driver.error), "chain address");
	close_bench(&b);
}

static void no_engine_and_a_dead_one(void **state)
{
	struct bench b;

	(void)state;
	open_bench(&b);
	b.absent = true;
	assert_int_equal(
		cbdma_start(&b.driver, &bus, &b, (void *)b.memory), -ENOTSUP);
	b.absent = false;
	start(&b);
	b.hangs = true;
	assert_int_equal(
		cbdma_copy(&b.driver, b.memory + 64, b.memory, 10), -ETIMEDOUT);
	assert_int_equal(
		cbdma_start(&b.driver, &bus, &b, (void *)b.memory), -ETIMEDOUT);
	b.hangs = false;
	start(&b);
	check_copy(&b, b.memory + 0x10000, b.memory, 5000);
	close_bench(&b);
}

/* The engine's own message, through the unit's remapping. */
static void interrupt_comes_once_until_rearmed(void **state)
{
	struct iommu_irq_target target = {.destination = 2, .vector = 0x51};
	struct iommu_msi_message message;
	struct cbdma_descriptor *d;
	struct iommu_irq irq;
	struct bench b;

	(void)state;
	open_bench(&b);
	start(&b);
	OK(iommu_irq_alloc(b.r.iommu, rig_id(RIG_DEV), 1, &irq));
	OK(iommu_irq_set(b.r.iommu, &irq, 0, &target));
	OK(iommu_irq_message(b.r.iommu, &irq, 0, &message));
	b.engine.msi_address = message.address;
	b.engine.msi_data = message.data;
	bus_write(&b, MODEL_CBDMA_INTRCTRL, 1, 1);
	bus_write(&b, CHANCTRL, 2, 1);
	d = b.driver.memory->ring;
	d[0].size = d[1].size = d[2].size = 8;
	d[0].control = d[1].control = d[2].control = 0x21; /* null, interrupt */
	bus_write(&b, DMACOUNT, 2, 1);
	assert_int_equal(b.r.host.last_interrupt.vector, 0x51);
	b.r.host.last_interrupt.vector = 0;
	bus_write(&b, DMACOUNT, 2, 2);
	assert_int_equal(b.r.host.last_interrupt.vector, 0);
	bus_write(&b, CHANCTRL, 2, 1);
	bus_write(&b, DMACOUNT, 2, 3);
	assert_int_equal(b.r.host.last_interrupt.vector, 0x51);
	OK(iommu_irq_free(b.r.iommu, &irq));
	close_bench(&b);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(plain_pointers_are_copied),
		cmocka_unit_test(count_and_ring_wrap),
		cmocka_unit_test(
			what_is_not_mapped_is_refused_and_the_engine_goes_on),
		cmocka_unit_test(ring_out_of_reach),
		cmocka_unit_test(no_engine_and_a_dead_one),
		cmocka_unit_test(interrupt_comes_once_until_rearmed),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
