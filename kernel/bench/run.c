/* SPDX-License-Identifier: MIT */
/*
 * Every case in order, on one CPU and where it says so on two at once. The
 * lines, for bench/run:
 *
 *	loop INSTRUCTIONS TICKS
 *	row NAME CPUS PER BEST MEDIAN OPERATIONS DOORBELLS DESCRIPTORS
 *	failed NAME CPUS STATUS
 *	clock TICKS NANOSECONDS
 *
 * BEST and MEDIAN are the ticks of PER operations, in the best and the median
 * round; DOORBELLS and DESCRIPTORS belong to OPERATIONS. Two CPUs do twice as
 * much; the time is that of the slower one.
 *
 * Workers are kernel threads, bound to a CPU each. They meet at each start of a
 * measurement; one that failed lets the other go on alone.
 */
#include "bench/bench.h"
#include "cpu/io.h"
#include "cpu/time.h"
#include "lib/string.h"
#include "lib/text.h"
#include "mem/mem.h"
#include "pci/pci.h"
#include "proc/process.h"
#include "proc/thread.h"
#include "proc/wait.h"

#define MAX_WORKERS 2
#define SCALE 8

struct worker {
	struct bench bench;
	const struct bench_case *what;
	unsigned rounds;
	enum iommu_status status;
	struct bench_meter result[BENCH_ROUNDS][BENCH_ROWS];
};

static struct worker workers[MAX_WORKERS];
static unsigned together; /* workers of the present case */
static uint32_t arrived;  /* atomic: meetings, summed over workers */
static bool alone;        /* atomic: a worker does not come any more */
static unsigned rounds;   /* to be measured */
static unsigned done;     /* lock */
static struct spinlock lock = SPINLOCK_INIT;
static struct waitq finished = WAITQ_INIT(finished);
static struct mutex running; /* one reader at a time */

/* ----------------------------------------------------------------- workers */

/* Without cpu_relax(): under an emulator that would hold up the other. */
void bench_meet(struct bench *b)
{
	uint32_t wanted = ++b->meetings * together;

	__atomic_fetch_add(&arrived, 1, __ATOMIC_ACQ_REL);
	while (__atomic_load_n(&arrived, __ATOMIC_ACQUIRE) < wanted &&
		!__atomic_load_n(&alone, __ATOMIC_ACQUIRE))
		;
}

static void measure(struct worker *w)
{
	enum iommu_status st = IOMMU_OK;

	for (unsigned r = 0; r <= w->rounds && st == IOMMU_OK; r++) {
		memset(w->bench.meter, 0, sizeof(w->bench.meter));
		st = w->what->round(&w->bench);
		if (r) /* the first only warms up */
			memcpy(w->result[r - 1], w->bench.meter,
				sizeof(w->bench.meter));
	}
	w->status = st;
	if (st != IOMMU_OK)
		__atomic_store_n(&alone, true, __ATOMIC_RELEASE);
}

static void work(void *arg)
{
	struct worker *w = arg;

	sched_set_affinity(thread_current(), 1u << w->bench.cpu);
	measure(w);
	spin_lock(&lock);
	done++;
	spin_unlock(&lock);
	wake_all(&finished);
}

/* Returns when all are done; a thread that could not be made counts as failed.
 */
static void let_work(unsigned cpus)
{
	unsigned started = 0;

	together = cpus;
	arrived = 0;
	alone = false;
	done = 0;
	for (unsigned i = 0; i < cpus; i++) {
		if (kernel_thread("bench", work, &workers[i])) {
			started++;
			continue;
		}
		workers[i].status = IOMMU_NO_MEMORY;
		__atomic_store_n(&alone, true, __ATOMIC_RELEASE);
	}
	spin_lock(&lock);
	while (done < started)
		(void)wait_on(
			&finished, &lock, WAIT_FOREVER, WAIT_UNINTERRUPTIBLE);
	spin_unlock(&lock);
}

/* ------------------------------------------------------------------- cases */

static void sort(uint64_t *v, unsigned n)
{
	for (unsigned i = 1; i < n; i++)
		for (unsigned j = i; j && v[j] < v[j - 1]; j--) {
			uint64_t swap = v[j];

			v[j] = v[j - 1];
			v[j - 1] = swap;
		}
}

static void print_row(
	struct text *t, const char *name, unsigned row, unsigned cpus)
{
	const struct bench_meter *last = &workers[0].result[rounds - 1][row];
	uint64_t ticks[BENCH_ROUNDS];

	for (unsigned r = 0; r < rounds; r++) {
		ticks[r] = 0;
		for (unsigned i = 0; i < cpus; i++)
			ticks[r] =
				MAX(ticks[r], workers[i].result[r][row].ticks);
	}
	sort(ticks, rounds);
	text_printf(t, "row %s %u %llu %llu %llu %llu %llu %llu\n", name, cpus,
		(unsigned long long)last->operations,
		(unsigned long long)ticks[0],
		(unsigned long long)ticks[rounds / 2],
		(unsigned long long)last->operations,
		(unsigned long long)last->doorbells,
		(unsigned long long)last->descriptors);
}

static enum iommu_status prepare(const struct bench_case *c, unsigned cpus)
{
	enum iommu_status st = IOMMU_OK;

	for (unsigned i = 0; i < cpus; i++) {
		struct worker *w = &workers[i];

		w->what = c;
		w->rounds = rounds;
		w->bench.meetings = 0;
		if (st == IOMMU_OK && c->prepare)
			st = c->prepare(&w->bench);
	}
	return st;
}

static enum iommu_status run_case(const struct bench_case *c, unsigned cpus)
{
	enum iommu_status st = prepare(c, cpus), end;

	if (st == IOMMU_OK)
		let_work(cpus);
	for (unsigned i = 0; i < cpus; i++) {
		if (st == IOMMU_OK)
			st = workers[i].status;
		end = c->finish ? c->finish(&workers[i].bench) : IOMMU_OK;
		if (st == IOMMU_OK)
			st = end;
	}
	return st;
}

static void run_group(struct text *t, const struct bench_case *c, unsigned most)
{
	for (; c->round; c++)
		for (unsigned cpus = 1; cpus <= (c->two_cpus ? most : 1);
			cpus++) {
			enum iommu_status st = run_case(c, cpus);

			for (unsigned i = 0; i < BENCH_ROWS && c->row[i]; i++)
				if (st == IOMMU_OK)
					print_row(t, c->row[i], i, cpus);
				else
					text_printf(t, "failed %s %u %s\n",
						c->row[i], cpus,
						iommu_status_text(st));
		}
}

/* --------------------------------------------------------------------- run */

/* QEMU's teaching devices: they do nothing by themselves. */
static unsigned find_devices(void)
{
	struct pci_device *d;
	unsigned found = 0;

	for (unsigned n = 0; found < MAX_WORKERS && (d = pci_nth(n)); n++) {
		if (d->vendor != 0x1234 || d->device != 0x11e8 || d->owner)
			continue;
		workers[found] = (struct worker){
			.bench = {
				.cpu = found,
				.device = host_device_id(d),
				.iova = (1ull << 40) + ((uint64_t)found << 38),
				.phys = (1ull << 38) + ((uint64_t)found << 36),
			}};
		found++;
	}
	return MIN(found, cpu_count);
}

static void run_all(struct text *t)
{
	uint64_t instructions, ticks, ns = time_ns(), tsc = read_tsc();
	unsigned most = find_devices();

	if (!host_iommu || !iommu_is_on(host_iommu) || !most) {
		text_printf(t, "failed all 1 no I/O MMU or no edu device\n");
		return;
	}
	ticks = bench_calibrate(&instructions);
	/* Counted instructions are the same in every round. */
	rounds = ticks == instructions ? 3 : BENCH_ROUNDS;
	for (unsigned i = 0; i < MAX_WORKERS; i++)
		workers[i].bench.scale = ticks == instructions ? 1 : SCALE;
	text_printf(t, "loop %llu %llu\n", (unsigned long long)instructions,
		(unsigned long long)ticks);
	run_group(t, bench_map, most);
	run_group(t, bench_dma, most);
	run_group(t, bench_iova, most);
	run_group(t, bench_device, most);
	text_printf(t, "clock %llu %llu\n",
		(unsigned long long)(read_tsc() - tsc),
		(unsigned long long)(time_ns() - ns));
}

void bench_run(struct text *t)
{
	mutex_lock(&running);
	run_all(t);
	mutex_unlock(&running);
}

void bench_init(void)
{
	mutex_init(&running);
}
