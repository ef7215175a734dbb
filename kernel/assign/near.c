/* SPDX-License-Identifier: MIT */
/*
 * What an address is near. A device's request is refused page by page, so what
 * is known is a page; the nearest mapped range on either side says more about
 * the mistake than the number does.
 */
#include "assign/near.h"
#include "fs/file.h"
#include "lib/print.h"
#include "lib/string.h"
#include "mem/mem.h"
#include "mem/region.h"

/* Farther than this from everything, an address is not near anything. */
#define FAR (1ull << 30)
#define NAME_SIZE 48

static void amount(uint64_t bytes, char *buf, size_t size)
{
	static const char *const units[] = {"KiB", "MiB", "GiB"};
	unsigned unit = 0;

	for (bytes >>= 10; bytes >= 10240 && unit < 2; unit++)
		bytes >>= 10;
	ksnprintf(buf, size, "%llu %s", (unsigned long long)bytes, units[unit]);
}

/* A range by the name that its owner knows it by; `at` is the edge or the place
 * in it that matters: the heap may be joined with what precedes it. */
static void name_of(
	const struct space *s, const struct region *r, uint64_t at, char *name)
{
	const char *path = r->file ? r->file->path : NULL, *slash;

	if (r->flags & REGION_REGISTERS)
		strlcpy(name, "a device's registers", NAME_SIZE);
	else if (r->flags & REGION_GROWSDOWN)
		strlcpy(name, "the stack", NAME_SIZE);
	else if (at > s->brk_start && at <= ALIGN_UP(s->brk, PAGE_SIZE))
		strlcpy(name, "the heap", NAME_SIZE);
	else if (path && (slash = strrchr(path, '/')))
		ksnprintf(name, NAME_SIZE, "%.30s", slash + 1);
	else if (r->flags & REGION_SHARED)
		strlcpy(name, "shared memory", NAME_SIZE);
	else
		ksnprintf(name, NAME_SIZE, "the memory at 0x%llx",
			(unsigned long long)r->start);
}

static void inside(const struct space *s, const struct region *r, uint64_t addr,
	char *buf, size_t size)
{
	char name[NAME_SIZE];

	name_of(s, r, addr + 1, name);
	if (r->flags & REGION_REGISTERS)
		ksnprintf(buf, size, "in %s, which no device sees", name);
	else
		ksnprintf(buf, size, "in %s", name);
}

/* addr lies between two ranges, either of which may be missing. */
static void between(const struct space *s, const struct region *below,
	const struct region *above, uint64_t addr, char *buf, size_t size)
{
	uint64_t past = below ? addr - below->end : FAR;
	uint64_t before = above ? above->start - addr : FAR;
	char name[NAME_SIZE], distance[24];

	if (past >= FAR && before >= FAR) {
		ksnprintf(buf, size, "far from all memory");
	} else if (past <= before) {
		name_of(s, below, below->end, name);
		amount(past, distance, sizeof(distance));
		ksnprintf(buf, size, "%s past the end of %s",
			past ? distance : "just", name);
	} else {
		name_of(s, above, above->start + 1, name);
		amount(before, distance, sizeof(distance));
		ksnprintf(buf, size, "%s before %s", distance, name);
	}
}

static void search(struct space *s, uint64_t addr, char *buf, size_t size)
{
	const struct region *below = NULL, *above = NULL;
	unsigned i;

	mutex_lock(&s->lock);
	i = region_index(s, addr);
	if (i < s->count)
		above = &s->regions[i];
	if (i > 0)
		below = &s->regions[i - 1];
	if (above && addr >= above->start)
		inside(s, above, addr, buf, size);
	else
		between(s, below, above, addr, buf, size);
	mutex_unlock(&s->lock);
}

void near_text(struct space *s, uint64_t addr, char *buf, size_t size)
{
	if (addr < LOWEST_ADDRESS)
		ksnprintf(buf, size, "at address 0, where nothing ever lies");
	else if (addr >= INTERRUPT_WINDOW_START && addr < INTERRUPT_WINDOW_END)
		ksnprintf(buf, size, "in the window of interrupt messages");
	else if (addr >= USER_END)
		ksnprintf(buf, size, "in the half that is the kernel's");
	else
		search(s, addr, buf, size);
}
