/* SPDX-License-Identifier: MIT */
/*
 * Memory that runs out. Every operation is repeated with its first, second,
 * third ... allocation failing, until none is left to fail, in a space without
 * and with a device. After each failure the space is as before, the device
 * reaches all that it should, the same call succeeds when there is memory
 * again, and no frame is lost.
 */
#include "support/spaces.h"
#include "lib/string.h"

#define A 0x10000000ull
#define B 0x20000000ull
#define PARTIAL 1 /* what was done before memory ran out stays */

struct state {
	struct space *s, *other;
	struct device d, second;
	struct file *file;
};

/* A space with something of everything, packed so that regions touch. */
static void build(struct state *t, bool with_device)
{
	*t = (struct state){.d = {.levels = 4, .huge = true}};
	t->second = t->d;
	t->file = file_of_pages(4, 0x40, O_RDWR);
	t->s = space_create();
	anon(t->s, A, 16 * K, 0);
	map_file(t->s, A + 16 * K, 4 * K, RW, MAP_PRIVATE, t->file, 0);
	anon(t->s, A + 24 * K, 8 * K, 0);
	space_set_brk(t->s, B);
	assert_int_equal(space_brk(t->s, B + 4 * K), B + 4 * K);
	anon(t->s, B + 8 * K, 4 * K, 0);
	for (unsigned i = 0; i < 16; i += 3)
		cpu_put(t->s, A + i * K, (uint8_t)(i + 1));
	cpu_put(t->s, B + K, 0xb1);
	cpu_put(t->s, B + 9 * K, 0xb9);
	cpu_put(t->s, A + 25 * K, 0xa9);
	t->other = fork_of(t->s);
	protect_pages(t->s, A + 8 * K, 2 * K, 0);
	protect_pages(t->s, A + 10 * K, 2 * K, PROT_READ);
	if (with_device)
		assert_int_equal(device_attach(&t->d, t->s), 0);
	machine_meanwhile = devices_prefetch;
}

static void tear_down(struct state *t)
{
	machine_meanwhile = NULL;
	gone(t->s);
	gone(t->other);
	file_put(t->file);
	assert_int_equal(files_open, 0);
	assert_int_equal(machine_missing(), 0);
}

/* ------------------------------------------------------------ what is there */

struct snapshot {
	unsigned count;
	struct region regions[64];
	uint64_t brk;
	int bytes[64 * 16]; /* first of each page; -1: not readable */
	unsigned nbytes;
};

static void take(struct space *s, struct snapshot *out)
{
	memset(out, 0, sizeof(*out));
	out->brk = space_brk(s, 0);
	regions_join(s, 0, USER_END);
	out->count = s->count;
	memcpy(out->regions, s->regions, s->count * sizeof(struct region));
	for (unsigned i = 0; i < out->count; i++)
		for (uint64_t a = out->regions[i].start;
			a < out->regions[i].end &&
			out->nbytes < ARRAY_SIZE(out->bytes);
			a += K) {
			uint8_t byte = 0;

			/* Not by the CPU: that would fill it in. */
			out->bytes[out->nbytes++] =
				space_read(s, a, &byte, 1) ? byte : -1;
		}
}

static void compare(const struct snapshot *a, const struct snapshot *b)
{
	assert_int_equal(a->count, b->count);
	for (unsigned i = 0; i < a->count; i++) {
		assert_int_equal(a->regions[i].start, b->regions[i].start);
		assert_int_equal(a->regions[i].end, b->regions[i].end);
		assert_int_equal(a->regions[i].prot, b->regions[i].prot);
		assert_int_equal(a->regions[i].flags, b->regions[i].flags);
		assert_ptr_equal(a->regions[i].file, b->regions[i].file);
	}
	assert_int_equal(a->brk, b->brk);
	/* A page may have come, or have gone if it was still all zero. */
	for (unsigned i = 0; i < a->nbytes; i++)
		if (a->bytes[i] != b->bytes[i] && a->bytes[i] != -1 &&
			(b->bytes[i] != -1 || a->bytes[i]))
			machine_blame("page %u: %#x became %#x", i, a->bytes[i],
				b->bytes[i]);
}

/* The device reaches exactly what the process may. */
static void check_device(struct state *t)
{
	for (unsigned i = 0; t->d.tlb && i < t->s->count; i++) {
		const struct region *r = &t->s->regions[i];

		for (uint64_t a = r->start; a < r->end; a += K) {
			bool read = device_target(&t->d, a, false);
			bool write = device_target(&t->d, a, true);

			if (read != !!r->prot ||
				write != !!(r->prot & PROT_WRITE))
				machine_blame("device at %#llx: %d %d, prot %u",
					(unsigned long long)a, read, write,
					r->prot);
		}
	}
}

/* -------------------------------------------------------------- operations */

static int64_t map_new(struct state *t)
{
	return space_mmap(t->s, 0, 20 * K, RW, ANON | MAP_POPULATE, NULL, 0);
}

static int64_t map_touching(struct state *t)
{
	return space_mmap(
		t->s, A + 20 * K, 4 * K, RW, ANON | MAP_FIXED, NULL, 0);
}

static int64_t map_a_file(struct state *t)
{
	return space_mmap(
		t->s, 0, 4 * K, RW, MAP_PRIVATE | MAP_POPULATE, t->file, 0);
}

static int64_t map_shared(struct state *t)
{
	return space_mmap(t->s, 0, 9 * K, RW,
		MAP_SHARED | MAP_ANONYMOUS | MAP_POPULATE, NULL, 0);
}

static int64_t map_huge(struct state *t)
{
	return space_mmap(
		t->s, 0, 2 * LARGE_PAGE_SIZE, RW, ANON | MAP_HUGETLB, NULL, 0);
}

static int64_t unmap_middle(struct state *t)
{
	return space_munmap(t->s, A + 3 * K, 4 * K);
}

static int64_t protect_middle(struct state *t)
{
	return space_mprotect(t->s, A + 2 * K, 3 * K, PROT_READ);
}

static int64_t grow_brk_to_neighbour(struct state *t)
{
	return space_brk(t->s, B + 8 * K) == B + 8 * K ? 0 : -ENOMEM;
}

static int64_t shrink_brk(struct state *t)
{
	return space_brk(t->s, B + K) == B + K ? 0 : -ENOMEM;
}

static int64_t remap_in_place(struct state *t)
{
	return space_mremap(t->s, B + 8 * K, 4 * K, 9 * K, 0, 0);
}

/* What lies behind the gap that it grows into is of the same kind. */
static int64_t remap_to_neighbour(struct state *t)
{
	return space_mremap(t->s, B, 4 * K, 8 * K, 0, 0);
}

static int64_t remap_elsewhere(struct state *t)
{
	return space_mremap(t->s, A, 6 * K, 20 * K, MREMAP_MAYMOVE, 0);
}

static int64_t remap_far(struct state *t)
{
	return space_mremap(t->s, A + 2 * K, 3 * K, 5 * K,
		MREMAP_MAYMOVE | MREMAP_FIXED, 0x5000000000ull - 2 * K);
}

static int64_t fork_it(struct state *t)
{
	struct space *child;
	int err = space_fork(t->s, &child);

	if (!err)
		space_put(child);
	return err;
}

static int64_t attach_second(struct state *t)
{
	int err = device_attach(&t->second, t->s);

	if (!err)
		device_detach(&t->second);
	return err;
}

static int64_t protect_back(struct state *t)
{
	return space_mprotect(t->s, A + 8 * K, 4 * K, RW);
}

static int64_t write_copy(struct state *t)
{
	return cpu_write(t->other, A + 3 * K, 3);
}

static int64_t write_new(struct state *t)
{
	return cpu_write(t->other, A + K, 3);
}

static int64_t discard_some(struct state *t)
{
	return space_madvise(t->s, A, 4 * K, MADV_DONTNEED);
}

static const struct operation {
	const char *name;
	int64_t (*run)(struct state *t);
	unsigned flags;
} operations[] = {
	{"mmap", map_new, 0},
	{"mmap between two", map_touching, 0},
	{"mmap of a file", map_a_file, 0},
	{"mmap shared", map_shared, 0},
	{"mmap huge", map_huge, 0},
	{"munmap", unmap_middle, 0},
	{"mprotect", protect_middle, 0},
	{"brk up", grow_brk_to_neighbour, 0},
	{"brk down", shrink_brk, 0},
	{"mremap in place", remap_in_place, 0},
	{"mremap up to another", remap_to_neighbour, 0},
	{"mremap elsewhere", remap_elsewhere, 0},
	{"mremap far away", remap_far, 0},
	{"fork", fork_it, 0},
	{"attach", attach_second, 0},
	{"mprotect back", protect_back, PARTIAL},
	{"write to a copy", write_copy, 0},
	{"write to nothing", write_new, 0},
	{"madvise", discard_some, PARTIAL},
};

static void exhaust(const struct operation *op, bool with_device)
{
	struct snapshot before, after;
	bool more = true;

	for (unsigned n = 1; more; n++) {
		struct state t;
		int64_t result;

		build(&t, with_device);
		take(t.s, &before);
		machine_fail(n);
		ksnprintf(machine_note, sizeof(machine_note),
			"%s, allocation %u", op->name, n);
		result = op->run(&t);
		more = machine_failed();
		machine_fail(0);
		if (more && result < 0 && !(op->flags & PARTIAL)) {
			take(t.s, &after);
			compare(&before, &after);
			check_device(&t);
		}
		if (result < 0) {
			if (!more || result != -ENOMEM)
				machine_blame("%s: %lld at allocation %u",
					op->name, (long long)result, n);
			result = op->run(&t);
			if (result < 0)
				machine_blame("%s again: %lld after failure %u",
					op->name, (long long)result, n);
		}
		check_device(&t);
		tear_down(&t);
		assert_true(n < 1000);
	}
}

static void without_a_device_every_failure_is_undone(void **state)
{
	(void)state;
	for (unsigned i = 0; i < ARRAY_SIZE(operations); i++)
		exhaust(&operations[i], false);
}

static void with_a_device_every_failure_is_undone(void **state)
{
	(void)state;
	for (unsigned i = 0; i < ARRAY_SIZE(operations); i++)
		exhaust(&operations[i], true);
}

/* The first device: everything becomes resident, or nothing stays shared. */
static void a_first_attach_that_fails_leaves_no_trace(void **state)
{
	(void)state;
	for (unsigned n = 1;; n++) {
		struct state t;
		bool failed;
		int err;

		build(&t, false);
		machine_fail(n);
		err = device_attach(&t.d, t.s);
		failed = machine_failed();
		machine_fail(0);
		if (err) {
			assert_int_equal(err, -ENOMEM);
			assert_false(space_is_shared(t.s));
			assert_int_equal(device_attach(&t.d, t.s), 0);
		}
		check_device(&t);
		assert_int_equal(cpu_byte(t.other, A + 3 * K), 4);
		tear_down(&t);
		if (!failed)
			break;
	}
}

static void a_space_is_made_whole_or_not_at_all(void **state)
{
	(void)state;
	for (unsigned n = 1;; n++) {
		struct space *s;

		machine_fail(n);
		s = space_create();
		machine_fail(0);
		if (s) {
			space_put(s);
			break;
		}
		assert_int_equal(machine_missing(), 0);
	}
}

/* No memory at all: what frees memory must still work, device or not. */
static void memory_can_be_given_back_when_there_is_none(void **state)
{
	void **chain = NULL, **p;
	struct state t;

	(void)state;
	build(&t, true);
	while ((p = page_alloc())) {
		*p = chain;
		chain = p;
	}
	unmap(t.s, A, 16 * K);
	assert_int_equal(space_madvise(t.other, A, 4 * K, MADV_DONTNEED), 0);
	while ((p = chain)) {
		chain = *p;
		page_free(p);
	}
	tear_down(&t);
}

#define TEST(f) cmocka_unit_test_setup_teardown(f, machine_start, machine_stop)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(without_a_device_every_failure_is_undone),
		TEST(with_a_device_every_failure_is_undone),
		TEST(a_first_attach_that_fails_leaves_no_trace),
		TEST(a_space_is_made_whole_or_not_at_all),
		TEST(memory_can_be_given_back_when_there_is_none),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
