/* SPDX-License-Identifier: MIT */
/* The sorted array of a space's regions. */
#include "mem/region.h"
#include "lib/errno.h"
#include "lib/string.h"

unsigned region_index(const struct space *s, uint64_t addr)
{
	unsigned low = 0, high = s->count;

	while (low < high) {
		unsigned mid = (low + high) / 2;

		if (s->regions[mid].end <= addr)
			low = mid + 1;
		else
			high = mid;
	}
	return low;
}

struct region *region_at(const struct space *s, uint64_t addr)
{
	unsigned i = region_index(s, addr);

	if (i == s->count || s->regions[i].start > addr)
		return NULL;
	return &s->regions[i];
}

bool region_any(const struct space *s, uint64_t start, uint64_t end)
{
	unsigned i = region_index(s, start);

	return i < s->count && s->regions[i].start < end;
}

int regions_reserve(struct space *s, unsigned more)
{
	unsigned want = s->count + more;
	struct region *bigger;

	if (want > MAX_REGIONS)
		return -ENOMEM;
	if (want <= s->room)
		return 0;
	want = MIN(MAX(want, s->room * 2), MAX_REGIONS);
	bigger = kmalloc(want * sizeof(*bigger));
	if (!bigger)
		return -ENOMEM;
	if (s->count)
		memcpy(bigger, s->regions, s->count * sizeof(*bigger));
	kfree(s->regions);
	s->regions = bigger;
	s->room = want;
	return 0;
}

static void open_gap(struct space *s, unsigned at)
{
	memmove(&s->regions[at + 1], &s->regions[at],
		(s->count - at) * sizeof(struct region));
	s->count++;
}

static void close_gap(struct space *s, unsigned at, unsigned n)
{
	memmove(&s->regions[at], &s->regions[at + n],
		(s->count - at - n) * sizeof(struct region));
	s->count -= n;
}

void region_insert(struct space *s, const struct region *r)
{
	unsigned at = region_index(s, r->start);

	open_gap(s, at);
	s->regions[at] = *r;
	regions_join(s, r->start, r->end);
}

void region_split(struct space *s, uint64_t addr)
{
	unsigned at = region_index(s, addr);
	struct region *r = &s->regions[at];
	uint64_t skip;

	if (at == s->count || r->start >= addr)
		return;
	open_gap(s, at);
	r = &s->regions[at];
	skip = addr - r->start;
	r[1] = r[0];
	r[0].end = r[1].start = addr;
	r[1].offset += skip;
	r[1].registers += skip;
	if (r->file)
		file_get(r->file);
}

static bool joinable(const struct region *a, const struct region *b)
{
	uint64_t size = a->end - a->start;

	if (a->end != b->start || a->prot != b->prot || a->flags != b->flags ||
		a->file != b->file)
		return false;
	if (a->flags & REGION_REGISTERS)
		return a->registers + size == b->registers &&
			a->readonly[0] == b->readonly[0] &&
			a->readonly[1] == b->readonly[1];
	return !a->file || a->offset + size == b->offset;
}

void regions_join(struct space *s, uint64_t start, uint64_t end)
{
	unsigned at = region_index(s, start ? start - 1 : 0);

	while (at + 1 < s->count && s->regions[at].start <= end) {
		struct region *r = &s->regions[at];

		if (!joinable(&r[0], &r[1])) {
			at++;
			continue;
		}
		r[0].end = r[1].end;
		if (r[1].file)
			file_put(r[1].file);
		close_gap(s, at + 1, 1);
	}
}

void regions_remove(struct space *s, uint64_t start, uint64_t end)
{
	unsigned at = region_index(s, start);
	unsigned n = 0;

	while (at + n < s->count && s->regions[at + n].start < end) {
		if (s->regions[at + n].file)
			file_put(s->regions[at + n].file);
		n++;
	}
	close_gap(s, at, n);
}

/* The highest multiple of align below which len bytes end at `high`, or 0. */
static uint64_t below(uint64_t high, uint64_t len, uint64_t align)
{
	return high < len ? 0 : ALIGN_DOWN(high - len, align);
}

/* The highest place for len bytes in the gap [low, high), or 0. */
static uint64_t fit(uint64_t len, uint64_t align, uint64_t low, uint64_t high,
	bool registers)
{
	static const uint64_t holes[][2] = {{REGISTERS_START, REGISTERS_END},
		{INTERRUPT_WINDOW_START, INTERRUPT_WINDOW_END}};
	uint64_t at = below(high, len, align);

	for (unsigned i = 0; i < ARRAY_SIZE(holes) && !registers; i++)
		if (at < holes[i][1] && at + len > holes[i][0])
			at = below(holes[i][0], len, align);
	return at >= low && region_allowed(at, at + len, registers) ? at : 0;
}

uint64_t region_gap(const struct space *s, uint64_t len, uint64_t align,
	uint64_t low, uint64_t high)
{
	unsigned i = region_index(s, high);

	if (i < s->count && s->regions[i].start < high)
		high = s->regions[i].start;
	for (;;) {
		uint64_t floor = i ? MAX(s->regions[i - 1].end, low) : low;
		uint64_t at =
			fit(len, align, floor, high, low >= REGISTERS_START);

		if (at)
			return at;
		if (!i || s->regions[i - 1].start <= low)
			return 0;
		high = s->regions[--i].start;
	}
}

bool region_allowed(uint64_t start, uint64_t end, bool registers)
{
	bool in_window = start >= REGISTERS_START && end <= REGISTERS_END;
	bool clear_of_window = end <= REGISTERS_START || start >= REGISTERS_END;

	if (registers)
		return in_window;
	return start >= LOWEST_ADDRESS && end <= user_top && clear_of_window &&
		(end <= INTERRUPT_WINDOW_START ||
			start >= INTERRUPT_WINDOW_END);
}
