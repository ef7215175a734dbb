/* SPDX-License-Identifier: MIT */
/*
 * What a process asks of its space. Each call first checks everything and
 * reserves what it needs, then does a part that cannot fail; where memory for a
 * resident space runs out afterwards, the new mapping is taken back.
 */
#include "mem/region.h"
#include "lib/errno.h"
#include "lib/string.h"

/* Round a range to pages; false: empty, or wraps, or beyond the end. */
static bool round_range(uint64_t addr, uint64_t *len)
{
	if (addr % PAGE_SIZE || !*len || *len > USER_END)
		return false;
	*len = ALIGN_UP(*len, PAGE_SIZE);
	return addr <= USER_END && *len <= USER_END - addr;
}

/* Huge regions are cut at multiples of their page size only. */
static bool cuts_huge(const struct space *s, uint64_t addr)
{
	const struct region *r = region_at(s, addr);

	return r && r->start < addr && r->flags & REGION_HUGE &&
		addr % LARGE_PAGE_SIZE;
}

/* Room to cut at both ends is reserved. */
static void take_back(struct space *s, uint64_t start, uint64_t end)
{
	region_split(s, start);
	region_split(s, end);
	regions_remove(s, start, end);
	zap(s, start, end);
}

static int __unmap(struct space *s, uint64_t start, uint64_t end)
{
	int err;

	if (!region_any(s, start, end))
		return 0;
	if (cuts_huge(s, start) || cuts_huge(s, end))
		return -EINVAL;
	err = regions_reserve(s, 2);
	if (err)
		return err;
	take_back(s, start, end);
	return 0;
}

int space_munmap(struct space *s, uint64_t addr, uint64_t len)
{
	int err;

	if (!round_range(addr, &len))
		return -EINVAL;
	mutex_lock(&s->lock);
	err = __unmap(s, addr, addr + len);
	mutex_unlock(&s->lock);
	return err;
}

/* Where a new mapping goes: an address or -errno. */
static int64_t place(struct space *s, uint64_t addr, uint64_t len, int flags,
	const struct region *r)
{
	bool registers = r->flags & REGION_REGISTERS;
	uint64_t align = r->flags & REGION_HUGE ? LARGE_PAGE_SIZE : PAGE_SIZE;
	uint64_t low = registers ? REGISTERS_START : LOWEST_ADDRESS;
	uint64_t high = registers ? REGISTERS_END : user_top - STACK_ROOM;
	uint64_t at;

	if (flags & (MAP_FIXED | MAP_FIXED_NOREPLACE)) {
		if (addr % align)
			return -EINVAL;
		if (addr < LOWEST_ADDRESS)
			return -EPERM;
		if (addr + len < addr ||
			!region_allowed(addr, addr + len, registers))
			return -ENOMEM;
		if (flags & MAP_FIXED_NOREPLACE &&
			region_any(s, addr, addr + len))
			return -EEXIST;
		return (int64_t)addr;
	}
	addr = ALIGN_UP(addr, align);
	if (addr >= low && addr + len > addr &&
		region_allowed(addr, addr + len, registers) &&
		!region_any(s, addr, addr + len))
		return (int64_t)addr;
	if (flags & MAP_32BIT && !registers)
		high = 0x80000000;
	at = region_gap(s, len, align, low, high);
	return at ? (int64_t)at : -ENOMEM;
}

static bool mapping_allowed(const struct file *f, int prot, bool shared)
{
	unsigned mode = f->flags & O_ACCMODE;

	if (mode == O_WRONLY || f->flags & O_PATH)
		return false;
	return !(shared && prot & PROT_WRITE && mode != O_RDWR);
}

/* The file's side of a new region. */
static int describe_file(struct region *r, struct file *f, uint64_t offset)
{
	bool shared = r->flags & REGION_SHARED;
	uint64_t len = r->end;
	struct device_range d;
	int err;

	if (!mapping_allowed(f, (int)r->prot, shared))
		return -EACCES;
	r->file = f;
	r->offset = offset;
	if (f->ops->get_page)
		return 0;
	if (!f->ops->get_device)
		return -ENODEV;
	if (!shared)
		return -EINVAL;
	err = f->ops->get_device(f, offset, len, &d);
	if (err)
		return err;
	if (d.base % PAGE_SIZE || d.size < len)
		return -ENXIO;
	if (r->prot & PROT_EXEC || (r->prot & PROT_WRITE && !d.writable))
		return -EACCES;
	r->flags |= REGION_REGISTERS;
	if (d.write_combining)
		r->flags |= REGION_COMBINING;
	r->registers = d.base;
	r->readonly[0] = d.writable ? d.readonly_start : d.base;
	r->readonly[1] = d.writable ? d.readonly_end : d.base + d.size;
	return 0;
}

/* Length and kind of the new region; r->end holds the length so far. */
static int describe(struct space *s, struct region *r, uint64_t len, int prot,
	int flags, struct file *f, uint64_t offset)
{
	int type = flags & MAP_TYPE;

	*r = (struct region){.prot = (uint32_t)prot & 7};
	if (type != MAP_SHARED && type != MAP_PRIVATE && type != 3)
		return -EINVAL;
	if (type != MAP_PRIVATE)
		r->flags |= REGION_SHARED;
	if (flags & MAP_GROWSDOWN && flags & MAP_ANONYMOUS)
		r->flags |= REGION_GROWSDOWN;
	if (!len || len > USER_END)
		return len ? -ENOMEM : -EINVAL;
	r->end = ALIGN_UP(len, PAGE_SIZE);
	if (flags & MAP_HUGETLB) {
		if (!(flags & MAP_ANONYMOUS) || type != MAP_PRIVATE ||
			s->no_huge)
			return -EINVAL;
		r->flags |= REGION_HUGE;
		r->end = ALIGN_UP(len, LARGE_PAGE_SIZE);
	}
	if (flags & MAP_ANONYMOUS)
		return 0;
	if (!f)
		return -EBADF;
	if (offset % PAGE_SIZE || offset + r->end < offset)
		return -EINVAL;
	return describe_file(r, f, offset);
}

static int64_t __map(
	struct space *s, uint64_t addr, int flags, struct region *r)
{
	uint64_t len = r->end;
	int64_t at = place(s, addr, len, flags, r);
	int err;

	if (at < 0)
		return at;
	r->start = (uint64_t)at;
	r->end = r->start + len;
	err = regions_reserve(s, 3);
	if (!err)
		err = __unmap(s, r->start, r->end);
	if (err)
		return err;
	if (r->file)
		file_get(r->file);
	region_insert(s, r);
	if (s->shared_with_devices || flags & MAP_POPULATE)
		err = populate(s, r->start, r->end);
	if (err && s->shared_with_devices) {
		take_back(s, r->start, r->end);
		return err;
	}
	return at;
}

int64_t space_mmap(struct space *s, uint64_t addr, uint64_t len, int prot,
	int flags, struct file *f, uint64_t offset)
{
	struct file *memory = NULL;
	struct region r;
	int64_t at;

	mutex_lock(&s->lock);
	at = describe(s, &r, len, prot, flags, f, offset);
	if (!at && !r.file && r.flags & REGION_SHARED) {
		memory = shared_memory_create();
		r.file = memory;
		r.offset = 0;
		at = memory ? 0 : -ENOMEM;
	}
	if (!at)
		at = __map(s,
			ALIGN_DOWN(addr, PAGE_SIZE) == addr ||
					!(flags & MAP_FIXED)
				? ALIGN_DOWN(addr, PAGE_SIZE)
				: addr,
			flags, &r);
	mutex_unlock(&s->lock);
	if (memory)
		file_put(memory);
	return at;
}

/* Every byte of the range is mapped, and what is mapped may get `prot`. */
static int check_protect(
	struct space *s, uint64_t start, uint64_t end, int prot)
{
	uint64_t at = start;

	if (cuts_huge(s, start) || cuts_huge(s, end))
		return -EINVAL;
	for (unsigned i = region_index(s, start); at < end; i++) {
		const struct region *r = &s->regions[i];

		if (i == s->count || r->start > at)
			return -ENOMEM;
		if (r->file &&
			!mapping_allowed(
				r->file, prot, r->flags & REGION_SHARED))
			return -EACCES;
		if (r->flags & REGION_REGISTERS && prot & PROT_EXEC)
			return -EACCES;
		at = r->end;
	}
	return regions_reserve(s, 2);
}

static int __protect(struct space *s, uint64_t start, uint64_t end, int prot)
{
	struct change c = change_begin(s);

	region_split(s, start);
	region_split(s, end);
	for (unsigned i = region_index(s, start);
		i < s->count && s->regions[i].start < end; i++) {
		s->regions[i].prot = (uint32_t)prot;
		protect(&c, &s->regions[i]);
	}
	regions_join(s, start, end);
	if (change_flush(&c))
		return -EIO;
	if (s->shared_with_devices && prot)
		return populate(s, start, end);
	return 0;
}

int space_mprotect(struct space *s, uint64_t addr, uint64_t len, int prot)
{
	int err;

	if (!len)
		return addr % PAGE_SIZE ? -EINVAL : 0;
	if (prot & ~7)
		return -EINVAL;
	if (!round_range(addr, &len))
		return addr % PAGE_SIZE ? -EINVAL : -ENOMEM;
	mutex_lock(&s->lock);
	err = check_protect(s, addr, addr + len, prot);
	if (!err)
		err = __protect(s, addr, addr + len, prot);
	mutex_unlock(&s->lock);
	return err;
}

/* Move the entries of [from, from+len) to `to`; tables for it exist. */
static void move_entries(
	struct change *c, uint64_t from, uint64_t to, uint64_t len)
{
	struct tables *t = &c->space->tables;
	uint64_t at = from;
	struct leaf l;

	while (tables_next(t, at, from + len, &l)) {
		uint64_t dst = to + (l.addr - from);

		tables_set(t, tables_entry(t, dst, 1, false), *l.entry);
		change_add(c, dst, dst + PAGE_SIZE, CHANGE_PRESENT);
		tables_set(t, l.entry, (pte_t){0});
		change_add(c, l.addr, leaf_end(&l), CHANGE_REMOVED);
		at = leaf_end(&l);
	}
}

/* Tables for `common` bytes, pages for the rest: all that can fail. */
static int prepare_move(
	struct space *s, uint64_t to, uint64_t common, uint64_t new_len)
{
	for (uint64_t at = 0; at < common; at += PAGE_SIZE)
		if (!tables_entry(&s->tables, to + at, 1, true))
			return -ENOMEM;
	if (!s->shared_with_devices)
		return 0;
	return populate(s, to + common, to + new_len);
}

static int64_t move_region(struct space *s, const struct region *old,
	uint64_t addr, uint64_t old_len, uint64_t new_len, uint64_t to)
{
	struct change c = change_begin(s);
	struct region r = *old;
	uint64_t common = MIN(old_len, new_len);
	int err;

	r.offset += addr - r.start;
	r.start = to;
	r.end = to + new_len;
	if (r.file)
		file_get(r.file);
	region_insert(s, &r);
	err = prepare_move(s, to, common, new_len);
	if (err) {
		take_back(s, to, to + new_len);
		return err;
	}
	region_split(s, addr);
	region_split(s, addr + old_len);
	regions_remove(s, addr, addr + old_len);
	move_entries(&c, addr, to, common);
	/* If it is not confirmed the space is quarantined: the pages have moved
	 * all the same. */
	(void)!change_flush(&c);
	zap(s, addr, addr + old_len);
	return (int64_t)to;
}

static int64_t grow_in_place(
	struct space *s, uint64_t addr, uint64_t old_len, uint64_t new_len)
{
	uint64_t end = addr + old_len, new_end = addr + new_len;
	struct region r = *region_at(s, addr);

	if (r.end != end || region_any(s, end, new_end) || new_end < end ||
		!region_allowed(end, new_end, false))
		return -ENOMEM;
	r.offset += end - r.start;
	r.start = end;
	r.end = new_end;
	if (r.file)
		file_get(r.file);
	region_insert(s, &r);
	if (s->shared_with_devices && populate(s, end, new_end)) {
		take_back(s, end, new_end);
		return -ENOMEM;
	}
	return (int64_t)addr;
}

static int64_t __remap(struct space *s, uint64_t addr, uint64_t old_len,
	uint64_t new_len, int flags, uint64_t new_addr)
{
	const struct region *r = region_at(s, addr);
	uint64_t to;
	int64_t at;
	int err;

	if (!r || addr + old_len > r->end)
		return -EFAULT;
	if (r->flags & (REGION_HUGE | REGION_REGISTERS))
		return -EINVAL;
	err = regions_reserve(s, 5);
	if (err)
		return err;
	r = region_at(s, addr);
	if (flags & MREMAP_FIXED) {
		if (new_addr % PAGE_SIZE || new_addr + new_len < new_addr ||
			!region_allowed(new_addr, new_addr + new_len, false) ||
			(new_addr < addr + old_len &&
				addr < new_addr + new_len))
			return -EINVAL;
		err = __unmap(s, new_addr, new_addr + new_len);
		if (err)
			return err;
		return move_region(s, region_at(s, addr), addr, old_len,
			new_len, new_addr);
	}
	if (new_len <= old_len) {
		err = new_len < old_len
			? __unmap(s, addr + new_len, addr + old_len)
			: 0;
		return err ? err : (int64_t)addr;
	}
	at = grow_in_place(s, addr, old_len, new_len);
	if (at >= 0 || !(flags & MREMAP_MAYMOVE))
		return at;
	to = region_gap(
		s, new_len, PAGE_SIZE, LOWEST_ADDRESS, user_top - STACK_ROOM);
	if (!to)
		return -ENOMEM;
	return move_region(s, region_at(s, addr), addr, old_len, new_len, to);
}

int64_t space_mremap(struct space *s, uint64_t addr, uint64_t old_len,
	uint64_t new_len, int flags, uint64_t new_addr)
{
	int64_t at;

	if (flags & ~(MREMAP_MAYMOVE | MREMAP_FIXED) ||
		(flags & MREMAP_FIXED && !(flags & MREMAP_MAYMOVE)))
		return -EINVAL;
	if (!round_range(addr, &old_len) || !new_len || new_len > USER_END)
		return -EINVAL;
	new_len = ALIGN_UP(new_len, PAGE_SIZE);
	mutex_lock(&s->lock);
	at = __remap(s, addr, old_len, new_len, flags, new_addr);
	mutex_unlock(&s->lock);
	return at;
}

static int discard(struct space *s, uint64_t start, uint64_t end)
{
	for (unsigned i = region_index(s, start);
		i < s->count && s->regions[i].start < end; i++) {
		const struct region *r = &s->regions[i];
		uint64_t from = MAX(r->start, start);
		uint64_t to = MIN(r->end, end);

		if (r->flags & (REGION_HUGE | REGION_REGISTERS))
			return -EINVAL;
		if (!(r->flags & REGION_SHARED))
			zap(s, from, to);
	}
	if (s->shared_with_devices)
		return populate(s, start, end);
	return 0;
}

int space_madvise(struct space *s, uint64_t addr, uint64_t len, int advice)
{
	int err = 0;

	if (addr % PAGE_SIZE)
		return -EINVAL;
	if (!len)
		return 0;
	if (!round_range(addr, &len))
		return -EINVAL;
	mutex_lock(&s->lock);
	if (!region_any(s, addr, addr + len))
		err = -ENOMEM;
	else if (advice == MADV_DONTNEED)
		err = discard(s, addr, addr + len);
	else if (advice < 0 || advice > 63 || !(1ull << advice & MADV_HINTS))
		err = -EINVAL;
	mutex_unlock(&s->lock);
	return err;
}

void space_set_brk(struct space *s, uint64_t start)
{
	mutex_lock(&s->lock);
	s->brk_start = s->brk = ALIGN_UP(start, PAGE_SIZE);
	mutex_unlock(&s->lock);
}

static void grow_brk(struct space *s, uint64_t brk)
{
	uint64_t start = ALIGN_UP(s->brk, PAGE_SIZE);
	struct region r = {.start = start,
		.end = ALIGN_UP(brk, PAGE_SIZE),
		.prot = PROT_READ | PROT_WRITE};

	if (r.end > start) {
		if (!region_allowed(start, r.end, false) ||
			region_any(s, start, r.end) || regions_reserve(s, 3))
			return;
		region_insert(s, &r);
		if (s->shared_with_devices && populate(s, start, r.end)) {
			take_back(s, start, r.end);
			return;
		}
	}
	s->brk = brk;
}

uint64_t space_brk(struct space *s, uint64_t brk)
{
	uint64_t now;

	mutex_lock(&s->lock);
	if (s->brk_start && brk > s->brk && brk < USER_END)
		grow_brk(s, brk);
	else if (s->brk_start && brk >= s->brk_start && brk < s->brk &&
		!__unmap(s, ALIGN_UP(brk, PAGE_SIZE),
			ALIGN_UP(s->brk, PAGE_SIZE)))
		s->brk = brk;
	now = s->brk;
	mutex_unlock(&s->lock);
	return now;
}

int space_mincore(struct space *s, uint64_t addr, uint64_t len, uint8_t *vec)
{
	int err = 0;

	mutex_lock(&s->lock);
	for (uint64_t at = 0; at < len && !err; at += PAGE_SIZE) {
		uint64_t page = addr + at;
		struct leaf l;

		vec[at / PAGE_SIZE] = 0;
		if (!region_at(s, page))
			err = -ENOMEM;
		else if (tables_next(&s->tables, page, page + 1, &l))
			vec[at / PAGE_SIZE] = pte_present(*l.entry);
	}
	mutex_unlock(&s->lock);
	return err;
}
