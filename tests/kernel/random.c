/* SPDX-License-Identifier: MIT */
/*
 * Random operations on several spaces, which fork, exec and exit, with devices
 * that come and go at any moment, against an oracle: one byte and one
 * protection per page. After each step some pages, now and then all, must look
 * to CPUs and devices as the oracle says, and no frame may be freed that
 * anybody can still reach.
 *
 * random [SEED [STEPS]] replays a run, or soaks.
 */
#include "support/dice.h"
#include "support/spaces.h"
#include "lib/string.h"

void *calloc(size_t n, size_t size);
void free(void *p);
long time(long *t);
unsigned long long strtoull(const char *s, char **end, int base);
int printf(const char *fmt, ...);

#define SPACES 4
#define DEVICES 5
#define FILE_PAGES 40

static const struct zone {
	uint64_t start;
	unsigned pages;
	enum {
		PLAIN,
		BRK
	} kind;
} zones[] = {
	{0x10000000, 64, PLAIN},
	{0x40000000 - 16 * K, 32, PLAIN},
	{INTERRUPT_WINDOW_START - 16 * K, 16, PLAIN},
	{INTERRUPT_WINDOW_END, 8, PLAIN},
	{0x7000000000 - 8 * K, 24, PLAIN},
	{0x7fffff0000, 16, PLAIN},
	{0x30001000, 40, BRK},
};
#define SLOTS (64 + 32 + 16 + 8 + 24 + 16 + 40)
#define HUGE_START 0x50000000ull
#define HUGE_SLOTS 2

struct slot {
	bool mapped, stack, anonymous;
	uint8_t prot;
	uint8_t *shared;    /* the byte of a shared page, or NULL */
	uint8_t own, fresh; /* of a private one: now, and when discarded */
};

struct world {
	struct space *s;
	struct slot slots[SLOTS];
	struct slot huge[HUGE_SLOTS];
	unsigned brk; /* pages */
};

static struct world worlds[SPACES];
static struct device devices[DEVICES];
static struct file *files[2]; /* for private and for shared mappings */
static uint8_t file_bytes[FILE_PAGES];
static uint64_t seed, steps = 100000;
static struct object {
	struct object *next;
	uint8_t bytes[64];
} * objects;

/* --------------------------------------------------------------- addresses */

static const struct zone *pick_zone(unsigned *first)
{
	unsigned n = any(ARRAY_SIZE(zones) - 1);

	*first = 0;
	for (unsigned i = 0; i < n; i++)
		*first += zones[i].pages;
	return &zones[n];
}

/* The byte of a page that is looked at: pages move, so the same in all. */
static uint64_t slot_addr(unsigned slot)
{
	unsigned n = 0, at = slot;

	while (at >= zones[n].pages)
		at -= zones[n++].pages;
	return zones[n].start + at * K + 0x7b5;
}

static uint64_t huge_addr(unsigned slot)
{
	return HUGE_START + slot * LARGE_PAGE_SIZE + 0x12345;
}

struct range {
	unsigned first, n; /* slots */
	uint64_t start;
};

static struct range pick_range(void)
{
	struct range r;
	const struct zone *z = pick_zone(&r.first);
	unsigned at = any(z->pages), most = 1 + any(24);

	r.n = 1 + any(MIN(z->pages - at, most));
	r.first += at;
	r.start = z->start + at * K;
	return r;
}

static uint8_t *byte_of(struct slot *s)
{
	return s->shared ? s->shared : &s->own;
}

static void forget(struct slot *s, unsigned n)
{
	memset(s, 0, n * sizeof(*s));
}

/* Mostly the same CPUs for a space: what they cache lives longer. */
static void choose_cpu(const struct world *w)
{
	unsigned n = (unsigned)(w - worlds);

	machine_cpu(any(16) ? n % TEST_CPUS : any(TEST_CPUS));
}

/* ------------------------------------------------------------------ checks */

static void check_cpu(struct world *w, struct slot *s, uint64_t addr)
{
	uint8_t seen = 0;
	int want = !s->mapped ? -EFAULT : s->prot & PROT_READ ? 0 : -EACCES;
	int err;

	choose_cpu(w);
	err = cpu_read(w->s, addr, &seen);
	if (err != want || (!err && seen != *byte_of(s)))
		machine_blame("CPU at %#llx: %d %#x, not %d %#x",
			(unsigned long long)addr, err, seen, want, *byte_of(s));
}

static void check_device(struct device *d, struct slot *s, uint64_t addr)
{
	bool mapped = s->mapped && addr < 1ull << (12 + 9 * d->levels);
	uint8_t seen = 0;
	int read = device_read(d, addr, &seen);
	bool write = device_target(d, addr, true);

	/* A stack is there as far as it was touched. */
	if (s->stack && mapped && read == REFUSED)
		return;
	if ((read == REACHED) != (mapped && s->prot) ||
		write != (mapped && s->prot & PROT_WRITE) ||
		(read == REACHED && seen != *byte_of(s)))
		machine_blame("device at %#llx: %d %d %#x, not %d %#x",
			(unsigned long long)addr, read == REACHED, write, seen,
			s->mapped ? s->prot : -1, *byte_of(s));
}

/** Small or huge, and where it lies. */
static struct slot *slot_of(struct world *w, unsigned n, uint64_t *out_addr)
{
	bool huge = n >= SLOTS;

	*out_addr = huge ? huge_addr(n - SLOTS) : slot_addr(n);
	return huge ? &w->huge[n - SLOTS] : &w->slots[n];
}

static void check_slot(unsigned space, unsigned slot)
{
	struct world *w = &worlds[space];
	uint64_t addr;
	struct slot *s = slot_of(w, slot, &addr);

	if (any(4))
		check_cpu(w, s, addr);
	for (unsigned i = 0; i < DEVICES; i++)
		if (devices[i].space == w->s)
			check_device(&devices[i], s, addr);
}

static void check_counts(struct space *s)
{
	uint64_t at = 0, n = 0;
	struct leaf l;

	while (tables_next(&s->tables, at, USER_END, &l)) {
		if (!(l.entry->v & PTE_REGISTERS))
			n += pte_span(l.level) / K;
		if (!region_at(s, l.addr))
			machine_blame("a page at %#llx and no region",
				(unsigned long long)l.addr);
		at = leaf_end(&l);
	}
	assert_int_equal(n, space_resident(s));
}

static void check_all(void)
{
	for (unsigned i = 0; i < SPACES; i++) {
		for (unsigned slot = 0; slot < SLOTS + HUGE_SLOTS; slot++)
			check_slot(i, slot);
		check_counts(worlds[i].s);
	}
}

/* -------------------------------------------------------------- operations */

static uint8_t pick_prot(void)
{
	static const uint8_t prots[] = {
		RW, RW, RW, PROT_READ, PROT_READ | PROT_EXEC, 0};

	return prots[any(ARRAY_SIZE(prots))];
}

static void do_map(struct world *w)
{
	struct range r = pick_range();
	unsigned kind = any(6), first = any(FILE_PAGES - r.n + 1);
	uint8_t prot = pick_prot();
	struct file *f = NULL;
	struct object *o = NULL;
	int flags = ANON | MAP_FIXED | (any(3) ? 0 : MAP_POPULATE);

	if (kind == 1)
		flags |= MAP_GROWSDOWN;
	if (kind == 2) {
		o = calloc(1, sizeof(*o));
		o->next = objects;
		objects = o;
		flags = MAP_SHARED | MAP_ANONYMOUS | MAP_FIXED;
	}
	if (kind == 3 || kind == 4) {
		f = files[kind - 3];
		flags = (kind == 3 ? MAP_PRIVATE : MAP_SHARED) | MAP_FIXED;
	}
	assert_int_equal(
		space_mmap(w->s, r.start, r.n * K, prot, flags, f, first * K),
		r.start);
	for (unsigned i = 0; i < r.n; i++) {
		struct slot *s = &w->slots[r.first + i];

		*s = (struct slot){.mapped = true,
			.prot = prot,
			.stack = kind == 1,
			.anonymous = kind < 2 || kind == 5};
		if (kind == 3)
			s->own = s->fresh = (uint8_t)(0x80 + first + i);
		if (o)
			s->shared = &o->bytes[i];
		if (kind == 4)
			s->shared = &file_bytes[first + i];
	}
}

static void do_unmap(struct world *w)
{
	struct range r = pick_range();

	unmap(w->s, r.start, r.n * K);
	forget(&w->slots[r.first], r.n);
}

static void do_protect(struct world *w)
{
	struct range r = pick_range();
	uint8_t prot = pick_prot();
	bool whole = true;
	int err;

	for (unsigned i = 0; i < r.n; i++)
		whole = whole && w->slots[r.first + i].mapped;
	err = space_mprotect(w->s, r.start, r.n * K, prot);
	assert_int_equal(err, whole ? 0 : -ENOMEM);
	for (unsigned i = 0; i < r.n && whole; i++)
		w->slots[r.first + i].prot = prot;
}

static void do_discard(struct world *w)
{
	struct range r = pick_range();

	(void)!space_madvise(w->s, r.start, r.n * K, MADV_DONTNEED);
	for (unsigned i = 0; i < r.n; i++)
		w->slots[r.first + i].own = w->slots[r.first + i].fresh;
}

static void do_move(struct world *w)
{
	struct range from = pick_range(), to = pick_range();
	const struct region *r = region_at(w->s, from.start);
	bool whole = r && r->end >= from.start + from.n * K;
	bool apart = to.start >= from.start + from.n * K ||
		from.start >= to.start + to.n * K;
	bool stack = w->slots[from.first].stack;
	struct slot moved[64];
	int64_t at;

	/* What lies behind a file's end is another test's. */
	if (to.n > from.n && !w->slots[from.first].anonymous)
		return;
	at = space_mremap(w->s, from.start, from.n * K, to.n * K,
		MREMAP_MAYMOVE | MREMAP_FIXED, to.start);
	if (!whole || !apart) {
		assert_int_equal(at, whole ? -EINVAL : -EFAULT);
		return;
	}
	assert_int_equal(at, to.start);
	for (unsigned i = 0; i < to.n; i++)
		moved[i] = i < from.n
			? w->slots[from.first + i]
			: (struct slot){.mapped = true,
				  .prot = w->slots[from.first].prot,
				  .stack = stack,
				  .anonymous = true};
	forget(&w->slots[from.first], from.n);
	memcpy(&w->slots[to.first], moved, to.n * sizeof(moved[0]));
}

static void do_resize(struct world *w)
{
	struct range r = pick_range();
	const struct region *region = region_at(w->s, r.start);
	unsigned old = 1 + any(r.n);
	struct slot *s = &w->slots[r.first];
	int64_t at;

	if (!region || region->end < r.start + old * K)
		return;
	if (!s->anonymous && r.n > old)
		return;
	at = space_mremap(w->s, r.start, old * K, r.n * K, 0, 0);
	if (at < 0) {
		assert_int_equal(at, -ENOMEM);
		assert_true(r.n > old);
		return;
	}
	for (unsigned i = old; i < r.n; i++) {
		assert_false(s[i].mapped);
		s[i] = (struct slot){.mapped = true,
			.prot = s[0].prot,
			.stack = s[0].stack,
			.anonymous = true};
	}
}

static void do_brk(struct world *w)
{
	const struct zone *z = &zones[ARRAY_SIZE(zones) - 1];
	struct slot *s = &w->slots[SLOTS - z->pages];
	unsigned pages = any(z->pages + 1);
	uint64_t to = z->start + pages * K - (pages ? any(K) : 0);

	assert_int_equal(space_brk(w->s, to), to);
	for (unsigned i = 0; i < z->pages; i++) {
		if (i >= pages)
			forget(&s[i], 1);
		else if (i >= w->brk)
			s[i] = (struct slot){
				.mapped = true, .prot = RW, .anonymous = true};
	}
	w->brk = pages;
}

static void do_huge(struct world *w)
{
	unsigned i = any(HUGE_SLOTS), n = 1 + any(HUGE_SLOTS - i);
	uint64_t start = HUGE_START + i * LARGE_PAGE_SIZE;
	uint64_t len = n * LARGE_PAGE_SIZE;
	uint8_t prot = pick_prot();
	int64_t at;

	if (any(3) == 0) {
		unmap(w->s, start, len);
		forget(&w->huge[i], n);
		return;
	}
	if (any(2) && w->huge[i].mapped && w->huge[i + n - 1].mapped) {
		protect_pages(w->s, start, len, prot);
		while (n--)
			w->huge[i + n].prot = prot;
		return;
	}
	at = space_mmap(w->s, start, len, prot, ANON | MAP_HUGETLB | MAP_FIXED,
		NULL, 0);
	if (at == -EINVAL && w->s->no_huge)
		return;
	assert_int_equal(at, start);
	while (n--)
		w->huge[i + n] = (struct slot){.mapped = true, .prot = prot};
}

static void start_world(struct world *w)
{
	memset(w, 0, sizeof(*w));
	w->s = space_create();
	assert_non_null(w->s);
	space_set_brk(w->s, zones[ARRAY_SIZE(zones) - 1].start);
}

static void do_exit(struct world *w)
{
	if (any(2))
		cpus_leave();
	space_put(w->s);
	start_world(w);
}

static void do_fork(struct world *w)
{
	struct world *to = &worlds[any(SPACES)];

	if (to == w)
		return;
	space_put(to->s);
	memcpy(to, w, sizeof(*w));
	to->s = fork_of(w->s);
}

static void do_attach(struct world *w)
{
	struct device *d = &devices[any(DEVICES)];
	bool huge = false;
	int err;

	if (d->space) {
		device_detach(d);
		return;
	}
	*d = (struct device){
		.levels = 3 + any(3),
		.caching_mode = any(2),
		.noncoherent = any(2),
		.huge = any(4),
	};
	for (unsigned i = 0; i < HUGE_SLOTS; i++)
		huge = huge || w->huge[i].mapped;
	err = device_attach(d, w->s);
	assert_int_equal(err, huge && !d->huge ? -ENOTSUP : 0);
}

static void do_cpu_write(struct world *w)
{
	uint64_t addr;
	struct slot *s = slot_of(w, any(SLOTS + HUGE_SLOTS), &addr);
	uint8_t value = (uint8_t)any(256);
	int want = !s->mapped ? -EFAULT : s->prot & PROT_WRITE ? 0 : -EACCES;

	choose_cpu(w);
	assert_int_equal(cpu_write(w->s, addr, value), want);
	if (!want)
		*byte_of(s) = value;
}

static void do_device_write(struct world *w)
{
	uint64_t addr;
	struct slot *s = slot_of(w, any(SLOTS + HUGE_SLOTS), &addr);
	uint8_t value = (uint8_t)any(256);

	for (unsigned i = 0; i < DEVICES; i++) {
		if (devices[i].space != w->s)
			continue;
		check_device(&devices[i], s, addr);
		if (device_write(&devices[i], addr, value) == REACHED)
			*byte_of(s) = value;
	}
}

static void step(void)
{
	static const struct {
		void (*run)(struct world *w);
		unsigned weight;
	} table[] = {
		{do_map, 12},
		{do_unmap, 8},
		{do_protect, 12},
		{do_discard, 5},
		{do_move, 6},
		{do_resize, 6},
		{do_brk, 4},
		{do_huge, 3},
		{do_exit, 1},
		{do_fork, 3},
		{do_attach, 4},
		{do_cpu_write, 20},
		{do_device_write, 16},
	};
	unsigned at = any(100), i = 0;

	while (at >= table[i].weight)
		at -= table[i++].weight;
	table[i].run(&worlds[any(SPACES)]);
}

/* Now and then, in the middle of anything, the devices look at all there is. */
static void sometimes(void)
{
	static unsigned n;

	if (++n % 64 == 0)
		devices_prefetch();
}

static void contents_and_reach_are_as_the_oracle_says(void **unused)
{
	(void)unused;
	printf("seed %llu, %llu steps\n", (unsigned long long)seed,
		(unsigned long long)steps);
	dice_state = seed;
	user_top = 1ull << 39;
	tables_in_memory = any(2);
	files[0] = file_of_pages(FILE_PAGES, 0x80, O_RDONLY);
	files[1] = file_of_pages(FILE_PAGES, 0, O_RDWR);
	for (unsigned i = 0; i < FILE_PAGES; i++)
		file_bytes[i] = (uint8_t)i;
	for (unsigned i = 0; i < SPACES; i++)
		start_world(&worlds[i]);
	machine_meanwhile = sometimes;
	for (uint64_t n = 0; n < steps; n++) {
		ksnprintf(machine_note, sizeof(machine_note),
			"seed %llu, step %llu", (unsigned long long)seed,
			(unsigned long long)n);
		step();
		for (unsigned i = 0; i < 4; i++)
			check_slot(any(SPACES), any(SLOTS + HUGE_SLOTS));
		if (n % 128 == 0)
			check_all();
	}
	machine_meanwhile = NULL;
	check_all();
	cpus_leave();
	for (unsigned i = 0; i < SPACES; i++)
		space_put(worlds[i].s);
	file_put(files[0]);
	file_put(files[1]);
	assert_int_equal(files_open, 0);
	while (objects) {
		struct object *o = objects;

		objects = o->next;
		free(o);
	}
}

int main(int argc, char **argv)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(
			contents_and_reach_are_as_the_oracle_says,
			machine_start, machine_stop),
	};

	seed = argc > 1 ? strtoull(argv[1], NULL, 0) : (uint64_t)time(NULL);
	if (argc > 2)
		steps = strtoull(argv[2], NULL, 0);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
