/* SPDX-License-Identifier: MIT */
/*
 * How many requests, how many bytes, how long each. One thread goes round all
 * queues and keeps `depth` requests in flight in each. Polled, it never rests;
 * with interrupts it sleeps until one of the queues' files can be read.
 *
 * Times are counted in buckets: 32 for each power of two of nanoseconds, so a
 * percentile is at most three per cent too large, whatever was measured.
 */
#include "unvme.h"

#define SUB_BITS 5
#define SUB (1u << SUB_BITS)
#define BUCKETS (64 * SUB)
#define SECOND_NS 1000000000ull

struct slot {
	char *buffer;
	uint64_t started;
};

struct run {
	struct nvme *nvme;
	const struct options *options;
	struct slot *slots;
	uint64_t next; /* sequential: the next request's number */
	uint64_t random;
	uint64_t done, failed, min, max;
	uint64_t buckets[BUCKETS];
};

static unsigned bucket_of(uint64_t ns)
{
	unsigned top = 63 - (unsigned)__builtin_clzll(ns | SUB);

	return (top - SUB_BITS + 1) * SUB +
		(unsigned)(ns >> (top - SUB_BITS) & (SUB - 1));
}

/* The largest time that falls into a bucket. */
static uint64_t bucket_end(unsigned bucket)
{
	unsigned shift = bucket / SUB - 1;

	return ((uint64_t)(SUB + bucket % SUB) + 1) * (1ull << shift) - 1;
}

static uint64_t percentile(const struct run *r, double share)
{
	uint64_t wanted = (uint64_t)((double)r->done * share), seen = 0;

	for (unsigned i = SUB; i < BUCKETS; i++) {
		seen += r->buckets[i];
		if (seen > wanted)
			return bucket_end(i) < r->max ? bucket_end(i) : r->max;
	}
	return r->max;
}

static void count(struct run *r, uint64_t ns, unsigned status)
{
	if (status) {
		r->failed++;
		return;
	}
	r->buckets[bucket_of(ns)]++;
	r->done++;
	if (ns < r->min)
		r->min = ns;
	if (ns > r->max)
		r->max = ns;
}

static uint64_t next_block(struct run *r)
{
	unsigned blocks = (unsigned)(r->options->request / r->nvme->block_size);
	uint64_t places = r->nvme->blocks / blocks;

	if (r->options->sequential)
		return r->next++ % places * blocks;
	r->random ^= r->random << 13;
	r->random ^= r->random >> 7;
	r->random ^= r->random << 17;
	return r->random % places * blocks;
}

static int start(struct run *r, struct nvme_queue *q, struct slot *s)
{
	const struct options *o = r->options;

	s->started = udev_now_ns();
	return nvme_submit(q, o->write ? NVME_WRITE : NVME_READ, next_block(r),
		(unsigned)(o->request / r->nvme->block_size), s->buffer, s);
}

/* Everything that ended in one queue; its slots start again unless `last`. */
static int serve(struct run *r, struct nvme_queue *q, int last)
{
	struct nvme_done done;
	int err;

	while (!(err = nvme_reap(q, &done))) {
		struct slot *s = done.context;

		count(r, udev_now_ns() - s->started, done.status);
		if (!last)
			err = start(r, q, s);
		if (err)
			return err;
	}
	return err == -EAGAIN ? 0 : err;
}

/* Until one of the queues has something to say, or a second has passed. */
static int rest(struct nvme *n)
{
	struct pollfd files[NVME_MAX_QUEUES];
	uint64_t number;

	for (unsigned i = 0; i < n->queues; i++)
		files[i] = (struct pollfd){
			.fd = n->queue[i].irq, .events = POLLIN};
	if (poll(files, n->queues, 1000) < 0 && errno != EINTR)
		return -errno;
	for (unsigned i = 0; i < n->queues; i++)
		if (files[i].revents &&
			read(files[i].fd, &number, sizeof(number)) < 0 &&
			errno != EAGAIN)
			return -errno;
	return 0;
}

static void show_progress(const struct run *r, uint64_t ns)
{
	double seconds = (double)ns / 1e9;

	fprintf(stderr, "\r%3.0f s  %8.0f IOPS  %8.1f MiB/s ", seconds,
		(double)r->done / seconds,
		(double)r->done * (double)r->options->request / seconds /
			1048576);
}

static int go(struct run *r, uint64_t *out_ns)
{
	const struct options *o = r->options;
	struct nvme *n = r->nvme;
	uint64_t begin = udev_now_ns(), now = begin, shown = begin;
	int err = 0;

	for (unsigned i = 0; i < n->queues * o->depth && !err; i++)
		err = start(r, &n->queue[i % n->queues], &r->slots[i]);
	while (!err && now - begin < o->seconds * SECOND_NS) {
		if (o->interrupts)
			err = rest(n);
		for (unsigned i = 0; i < n->queues && !err; i++)
			err = serve(r, &n->queue[i], 0);
		now = udev_now_ns();
		if (now - shown < SECOND_NS)
			continue;
		show_progress(r, now - begin);
		shown = now;
	}
	*out_ns = now - begin;
	for (unsigned i = 0; i < n->queues; i++)
		while (n->queue[i].in_flight && !err) {
			struct nvme_done done;

			err = nvme_wait(&n->queue[i], &done);
		}
	return err;
}

static void show(const struct run *r, uint64_t ns)
{
	const struct options *o = r->options;
	double seconds = (double)ns / 1e9;
	static const double shares[] = {0.5, 0.9, 0.99, 0.999};

	printf("%s %s of %zu bytes, %u queue%s of %u, %s, %.1f s\n",
		o->sequential ? "sequential" : "random",
		o->write ? "writes" : "reads", o->request, o->queues,
		o->queues == 1 ? "" : "s", o->depth,
		o->interrupts ? "interrupts" : "polled", seconds);
	printf("%.0f IOPS, %.1f MiB/s, %llu failed\n",
		(double)r->done / seconds,
		(double)r->done * (double)o->request / seconds / 1048576,
		(unsigned long long)r->failed);
	printf("latency in us: min %.1f", (double)r->min / 1e3);
	for (size_t i = 0; i < sizeof(shares) / sizeof(shares[0]); i++)
		printf(", %g%% %.1f", shares[i] * 100,
			(double)percentile(r, shares[i]) / 1e3);
	printf(", max %.1f\n", (double)r->max / 1e3);
}

int bench(struct nvme *n, const struct options *o)
{
	unsigned slots = n->queues * o->depth;
	struct run *r = calloc(1, sizeof(*r));
	uint64_t ns = 0;
	int err = -ENOMEM;

	if (!r)
		return err;
	*r = (struct run){.nvme = n,
		.options = o,
		.random = 0x9e3779b97f4a7c15,
		.min = UINT64_MAX,
		.slots = calloc(slots, sizeof(*r->slots))};
	for (unsigned i = 0; r->slots && i < slots; i++) {
		r->slots[i].buffer = udev_alloc(o->request);
		if (!r->slots[i].buffer)
			goto out;
	}
	if (!r->slots)
		goto out;
	err = go(r, &ns);
	if (ns >= SECOND_NS)
		fputc('\n', stderr);
	if (!err && !r->done)
		err = -EIO;
	if (!err)
		show(r, ns);
	if (r->failed && !err)
		err = -EIO;
out:
	if (err)
		return err; /* the device may still write to the buffers */
	for (unsigned i = 0; i < slots; i++)
		free(r->slots[i].buffer);
	free(r->slots);
	free(r);
	return 0;
}
