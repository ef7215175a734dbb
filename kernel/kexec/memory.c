/* SPDX-License-Identifier: MIT */
/*
 * The machine's memory for the next kernel. What is free here, it may use at
 * once; all other RAM is inherited: tables of a unit lie in it, and buffers of
 * devices. Only the longest free runs are named, so that the map stays short;
 * the rest follows when the next kernel has taken over.
 */
#include "kexec/local.h"

#define MAX_RUNS 32

struct writer {
	struct pvh_memory *entry;
	unsigned count, max;
	struct boot_range runs[MAX_RUNS]; /* in order */
	unsigned nruns;
};

static void add(struct writer *w, uint64_t start, uint64_t end, uint32_t type)
{
	struct pvh_memory *last = w->entry + w->count - 1;

	if (start >= end)
		return;
	if (w->count && last->type == type && last->addr + last->size == start)
		last->size += end - start;
	else if (w->count < w->max)
		w->entry[w->count++] = (struct pvh_memory){
			.addr = start, .size = end - start, .type = type};
}

static void add_ram(struct writer *w, uint64_t start, uint64_t end)
{
	for (unsigned i = 0; i < w->nruns; i++) {
		uint64_t from = MAX(w->runs[i].start, start);
		uint64_t to = MIN(w->runs[i].end, end);

		if (from >= to)
			continue;
		add(w, start, from, BOOT_E820_INHERITED);
		add(w, from, to, BOOT_E820_RAM);
		start = to;
	}
	add(w, start, end, BOOT_E820_INHERITED);
}

static void add_described(
	void *ctx, uint64_t start, uint64_t end, uint32_t type)
{
	if (type == BOOT_E820_RAM)
		add_ram(ctx, start, end);
	else
		add(ctx, start, end, type);
}

static void sort(struct boot_range *runs, unsigned count)
{
	for (unsigned i = 1; i < count; i++)
		for (unsigned j = i; j && runs[j].start < runs[j - 1].start;
			j--) {
			struct boot_range higher = runs[j - 1];

			runs[j - 1] = runs[j];
			runs[j] = higher;
		}
}

unsigned kexec_memory_map(struct pvh_memory *out, unsigned max,
	const struct boot_range *kept, unsigned nkept)
{
	struct writer w = {.entry = out, .max = max};

	w.nruns = pages_free_runs(w.runs, MAX_RUNS - nkept);
	for (unsigned i = 0; i < nkept; i++)
		w.runs[w.nruns++] = kept[i];
	sort(w.runs, w.nruns);
	boot_describe_memory(add_described, &w);
	return w.count;
}

struct question {
	uint64_t at, end; /* RAM up to `at` so far */
};

static void ask(void *ctx, uint64_t start, uint64_t end, uint32_t type)
{
	struct question *q = ctx;

	if (type == BOOT_E820_RAM && q->at >= start && q->at < end)
		q->at = end;
}

bool kexec_is_ram(uint64_t start, uint64_t end)
{
	struct question q = {start, end};

	boot_describe_memory(ask, &q);
	return q.at >= q.end;
}
