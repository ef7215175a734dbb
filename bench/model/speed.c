/* SPDX-License-Identifier: MIT */
/*
 * How fast the model is by itself, without sanitizers: DMA, an edit of a table
 * with its page flush, and a page given and taken, on some kinds of units. The
 * goal is a million operations a second. And what it costs to keep a small
 * machine and to put it back, with some dozens of pages changed meanwhile; the
 * goal is 10 us.
 */
#include <model/model.h>
#include <stdio.h>
#include <time.h>
#include "tests/model/support/mini.h"

#define DEV MODEL_BDF(0, 3, 0)
#define DID 5
#define PAGES 512
#define TOUCHED 20
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

/* Another life of a small machine: pages are taken, filled by the device and by
 * the driver, and unmapped again. */
static void live(struct mini *d, uint64_t top)
{
	uint64_t value = 1;

	for (unsigned n = 0; n < TOUCHED; n++) {
		uint64_t frame = model_page_alloc(d->m, 0, 9);

		mini_map(d, top, AT + n * 0x1000ull, frame, SS_R | SS_W);
		model_dma_write(d->m, 0, DEV, AT + n * 0x1000ull, &value, 8);
	}
	mini_flush_iotlb(d, GRAN_DOMAIN, DID, 0, 0, false);
}

static void measure_snapshots(const char *kind)
{
	double start, keep = 0, back = 0;
	size_t pages = 0;
	struct mini d, kept;
	unsigned n;
	uint64_t top;

	mini_open(&d, model_create_simple(kind, MODEL_LAZY, 1));
	mini_start(&d);
	top = mini_page(&d);
	mini_attach(&d, DEV, top, DID, TT_SS);
	live(&d, top);
	kept = d;
	for (n = 0; n < 20000; n++) {
		struct model_snapshot *s;

		start = now();
		s = model_snapshot(d.m);
		keep += now() - start;
		live(&d, top);
		pages = model_pages_in_use(d.m, 0);
		start = now();
		model_restore(d.m, s);
		back += now() - start;
		d = kept;
		model_snapshot_free(s);
	}
	printf("%-14s %-28s %8.2f us, %zu pages\n", kind, "a snapshot",
		keep / n * 1e6, pages - TOUCHED);
	printf("%-14s %-28s %8.2f us, %zu pages\n", kind, "and back to it",
		back / n * 1e6, pages);
	model_destroy(d.m);
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
	measure_snapshots("plain");
	measure_snapshots("non-coherent");
	return 0;
}
