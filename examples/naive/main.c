/* SPDX-License-Identifier: MIT */
/*
 * Runs the naive driver on the model and prints what it earns:
 *
 *	naive [kind]	plain (default), non-coherent, caching, 16-domains ...
 */
#include <model/model.h>
#include <string.h>
#include "driver.h"

#define OWNER 9
#define DISK MODEL_BDF(0, 3, 0)
#define NET MODEL_BDF(0, 4, 0)
#define SOUND MODEL_BDF(0, 1, 0)
#define PID 300

static uint32_t read32(void *ctx, uint64_t phys)
{
	return model_read32(ctx, phys);
}

static uint64_t read64(void *ctx, uint64_t phys)
{
	return model_read64(ctx, phys);
}

static void write32(void *ctx, uint64_t phys, uint32_t v)
{
	model_write32(ctx, phys, v);
}

static void write64(void *ctx, uint64_t phys, uint64_t v)
{
	model_write64(ctx, phys, v);
}

static uint64_t page_alloc(void *ctx)
{
	uint64_t pa = model_page_alloc(ctx, 0, MODEL_OWNER_DRIVER);

	memset(model_ptr(ctx, pa), 0, MODEL_PAGE);
	return pa;
}

static void page_free(void *ctx, uint64_t phys)
{
	model_page_free(ctx, phys, 0);
}

static void *ptr(void *ctx, uint64_t phys)
{
	return model_ptr(ctx, phys);
}

static void dma(struct model *m, uint16_t bdf, uint64_t iova)
{
	uint64_t v = 1;

	model_dma_write(m, 0, bdf, iova, &v, sizeof v);
}

/* A day in the life: two processes with a device each. The first unmaps three
 * pages and ends, the second goes on; a third has a long process id. */
static void day(struct model *m)
{
	struct naive n = {.host = {m, read32, read64, write32, write64,
				  page_alloc, page_free, ptr}};
	uint64_t first, second;

	naive_start(&n, model_unit_base(m, 0));
	first = naive_attach(&n, DISK, PID);
	dma(m, NET, 0x5000);
	second = naive_attach(&n, NET, PID + 1);
	dma(m, NET, 0x5000);
	naive_map(&n, second, 0x5000, model_page_alloc(m, 0, OWNER));
	dma(m, NET, 0x5000);
	for (uint64_t iova = 0x3000; iova < 0x6000; iova += 0x1000) {
		naive_map(&n, first, iova, model_page_alloc(m, 0, OWNER));
		dma(m, DISK, iova);
	}
	model_checkpoint(m);
	naive_unmap(&n, first, PID, 0x3000, 3);
	model_checkpoint(m);
	dma(m, DISK, 0x5000);
	naive_detach(&n, DISK, first, PID);
	dma(m, DISK, 0x3000);
	model_checkpoint(m);
	naive_attach(&n, SOUND, 70000);
	dma(m, SOUND, 0);
}

int main(int argc, char **argv)
{
	const char *name = argc > 1 ? argv[1] : "plain";
	struct model *m = model_create_usual(model_personality_find(name),
		MODEL_LAZY, MODEL_WATCH, 1, false);

	if (!m) {
		fprintf(stderr, "no such kind of unit: %s\n", name);
		return 2;
	}
	day(m);
	model_report(m, stdout);
	model_destroy(m);
	return 0;
}
