/* SPDX-License-Identifier: MIT */
/*
 * Memory that was the attacker's until a moment ago. Each attack first lets the
 * unit translate the page, so that a translation that is not forgotten shows.
 */
#include "attack.h"

/* Enough to be given the frames that were just freed. */
#define CANARY (8ul << 20)

static void warm(char *p)
{
	device_fill((uintptr_t)p, 'w', 64);
	CHECK(all_are(p, 'w', 64));
	CHECK(was_not_refused());
}

static void unmapped(void)
{
	char *p = get_pages(3);
	struct canary c;

	take();
	warm(p + PAGE);
	CHECK(munmap(p + PAGE, PAGE) == 0);
	c = plant_canary(CANARY);
	device_fill((uintptr_t)p + PAGE, 0xcc, 64);
	CHECK(was_refused());
	CHECK(!device_sees((uintptr_t)p + PAGE, 64, NULL));
	CHECK(canary_lives(&c));
	device_fill((uintptr_t)p, 'x', 64); /* its neighbours stay */
	device_fill((uintptr_t)p + 2 * PAGE, 'y', 64);
	CHECK(p[0] == 'x' && p[2 * PAGE] == 'y');
}

/* A whole table page goes with the last of its pages. */
static void unmapped_with_its_table(void)
{
	const size_t size = 16ul << 20;
	/* The canary's addresses are taken first: it must not lie there. */
	struct canary c = {.memory = get_pages(size / PAGE), .size = size};
	char *p = get_pages(size / PAGE);

	CHECK(mprotect(c.memory, size, PROT_NONE) == 0);
	memset(p, 1, size);
	take();
	for (size_t i = 0; i < size; i += 2ul << 20)
		warm(p + i);
	CHECK(munmap(p, size) == 0);
	CHECK(mprotect(c.memory, size, PROT_READ | PROT_WRITE) == 0);
	memset(c.memory, 0x5c, size);
	for (size_t i = 0; i < size; i += 2ul << 20)
		device_fill((uintptr_t)p + i, 0xcc, 64);
	CHECK(was_refused());
	CHECK(canary_lives(&c));
}

static void made_read_only(void)
{
	char *p = get_pages(1), got[64];

	take();
	warm(p);
	CHECK(mprotect(p, PAGE, PROT_READ) == 0);
	device_fill((uintptr_t)p, 0xcc, 64);
	CHECK(all_are(p, 'w', 64));
	CHECK(was_refused());
	CHECK(device_sees((uintptr_t)p, 64, got) && all_are(got, 'w', 64));
	CHECK(mprotect(p, PAGE, PROT_READ | PROT_WRITE) == 0);
	device_fill((uintptr_t)p, 'n', 64); /* and no write is lost again */
	CHECK(all_are(p, 'n', 64));
}

static void made_inaccessible(void)
{
	char *p = get_pages(1);

	take();
	warm(p);
	CHECK(mprotect(p, PAGE, PROT_NONE) == 0);
	CHECK(!device_sees((uintptr_t)p, 64, NULL));
	device_fill((uintptr_t)p, 0xcc, 64);
	CHECK(was_refused());
	CHECK(mprotect(p, PAGE, PROT_READ) == 0);
	CHECK(all_are(p, 'w', 64));
}

static void moved(void)
{
	char *p = get_pages(2), *q;
	char *hole = get_pages(64);
	struct canary c;

	take();
	warm(p);
	q = mremap(p, 2 * PAGE, 2 * PAGE, MREMAP_MAYMOVE | MREMAP_FIXED,
		hole + 8 * PAGE);
	CHECK(q == hole + 8 * PAGE && all_are(q, 'w', 64));
	c = plant_canary(CANARY);
	if (p < c.memory || p >= c.memory + c.size) {
		device_fill((uintptr_t)p, 0xcc, 64);
		CHECK(was_refused());
	}
	CHECK(canary_lives(&c) && all_are(q, 'w', 64));
	device_fill((uintptr_t)q, 'm', 64);
	CHECK(all_are(q, 'm', 64));
}

static void dropped(void)
{
	char *p = get_pages(1);
	struct canary c;

	take();
	warm(p);
	CHECK(madvise(p, PAGE, MADV_DONTNEED) == 0);
	c = plant_canary(CANARY);
	CHECK(p[0] == 0);
	device_fill((uintptr_t)p, 'd', 64);
	CHECK(all_are(p, 'd', 64));
	CHECK(canary_lives(&c));
}

static void behind_the_break(void)
{
	char *start = (char *)syscall(12, 0), *end = start + 16 * PAGE;
	char *p = (char *)(((uintptr_t)start + 2 * PAGE) & -PAGE);
	struct canary c;

	CHECK((char *)syscall(12, end) == end);
	take();
	warm(p + 4 * PAGE);
	CHECK((char *)syscall(12, p + PAGE) == p + PAGE);
	c = plant_canary(CANARY);
	device_fill((uintptr_t)p + 4 * PAGE, 0xcc, 64);
	CHECK(was_refused());
	CHECK(canary_lives(&c));
}

static void replaced(void)
{
	char *p = get_pages(1), *q;
	struct canary c;

	take();
	warm(p);
	q = mmap(p, PAGE, PROT_READ | PROT_WRITE,
		MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED, -1, 0);
	CHECK(q == p && p[0] == 0);
	c = plant_canary(CANARY);
	device_fill((uintptr_t)p, 'r', 64);
	CHECK(all_are(p, 'r', 64)); /* the new page, not the old one */
	CHECK(canary_lives(&c));
}

/* New memory is there for the device before the processor touched it. */
static void fresh_memory(void)
{
	char *p;

	take();
	p = get_pages(4);
	device_fill((uintptr_t)p + PAGE, 'f', 64);
	CHECK(all_are(p + PAGE, 'f', 64));
	p = (char *)syscall(12, 0);
	CHECK((char *)syscall(12, p + 4 * PAGE) == p + 4 * PAGE);
	device_fill((uintptr_t)p + 2 * PAGE, 'g', 64);
	CHECK(all_are(p + 2 * PAGE, 'g', 64));
	CHECK(was_not_refused());
}

/* The page was never written, only read, when the device came. */
static void never_written_memory(void)
{
	char *p = get_pages(4), *q = get_pages(4);

	CHECK(p[0] == 0 && q[0] == 0);
	take();
	device_fill((uintptr_t)p, 'z', 64);
	CHECK(all_are(p, 'z', 64));
	CHECK(all_are(q, 0, 4 * PAGE));
}

#define HUGE_PAGE 0x200000ul

/* One entry of 2 MiB goes, and entries of 4 KiB come in its place. */
static void unmapped_huge_page(void)
{
	char *p = mmap(NULL, HUGE_PAGE, PROT_READ | PROT_WRITE,
		MAP_PRIVATE | MAP_ANONYMOUS | MAP_HUGETLB, -1, 0);
	char *last = p + HUGE_PAGE - PAGE;
	struct canary c;

	CHECK(p != MAP_FAILED);
	take();
	warm(p);
	warm(last);
	CHECK(munmap(p, HUGE_PAGE) == 0);
	c = plant_canary(CANARY);
	if (last < c.memory || last >= c.memory + c.size) {
		device_fill((uintptr_t)last, 0xcc, 64);
		CHECK(was_refused());
	}
	CHECK(canary_lives(&c));
	CHECK(munmap(c.memory, c.size) == 0);
	CHECK(mmap(p, HUGE_PAGE, PROT_READ | PROT_WRITE,
		      MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED, -1, 0) == p);
	CHECK(last[0] == 0);
	device_fill((uintptr_t)last, 's', 64);
	CHECK(all_are(last, 's', 64) && all_are(p, 0, HUGE_PAGE - PAGE));
}

const struct attack change_attacks[] = {
	ATTACK(unmapped),
	ATTACK(unmapped_with_its_table),
	ATTACK(unmapped_huge_page),
	ATTACK(made_read_only),
	ATTACK(made_inaccessible),
	ATTACK(moved),
	ATTACK(dropped),
	ATTACK(behind_the_break),
	ATTACK(replaced),
	ATTACK(fresh_memory),
	ATTACK(never_written_memory),
	{0},
};
