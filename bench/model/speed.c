/* SPDX-License-Identifier: MIT */
/*
 * How fast the model is by itself, without sanitizers: DMA, an edit of a table
 * with its page flush, and a page given and taken, on some kinds of units. The
 * goal is a million operations a second.
 */
#include <model/model.h>
#include <stdio.h>
#include <time.h>
#include "tests/model/support/mini.h"

#define DEV MODEL_BDF(0, 3, 0)
#define DID 5
#define PAGES 512
#define AT 0x40000000ull

static double now(void)
{
	struct timespec t;

	clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &t);
	return (double)t.tv_sec + (double)t.tv_nsec * 1e-9;
}

static void row(const char *kind, const char *what, unsigned count, double s)
{
	printf("%-14s %-28s %8.2f million a second\n", kind, what,
		count / s * 1e-6);
}

static void measure(const char *kind)
{
	uint64_t top, frame, value = 1;
	struct mini d;
	double start;
	unsigned n;

	mini_open(&d, model_create_simple(kind, MODEL_LAZY, 1));
	mini_start(&d);
	top = mini_page(&d);
	frame = model_page_alloc(d.m, 0, 9);
	for (n = 0; n < PAGES; n++)
		mini_map(&d, top, AT + n * 0x1000ull, frame, SS_R | SS_W);
	mini_attach(&d, DEV, top, DID, TT_SS);
	start = now();
	for (n = 0; n < 2000000; n++)
		model_dma_write(
			d.m, 0, DEV, AT + n % PAGES * 0x1000ull, &value, 8);
	row(kind, "writes of a device", n, now() - start);
	start = now();
	for (n = 0; n < 300000; n++) {
		uint64_t iova = AT + n % PAGES * 0x1000ull;

		mini_map(&d, top, iova, frame, n & 1 ? SS_R : SS_R | SS_W);
		mini_flush_iotlb(&d, GRAN_NARROW, DID, iova, 0, true);
	}
	row(kind, "edits, flushes and waits", n * 3, now() - start);
	start = now();
	for (n = 0; n < 1000000; n++)
		model_page_free(d.m, model_page_alloc(d.m, 0, 9), 0);
	row(kind, "pages taken and given back", n * 2, now() - start);
	model_destroy(d.m);
}

int main(void)
{
	measure("plain");
	measure("no-qi");
	measure("non-coherent");
	measure("caching");
	return 0;
}
