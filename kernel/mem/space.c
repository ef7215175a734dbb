/* SPDX-License-Identifier: MIT */
/*
 * Address spaces: birth, fork, death, and sharing with devices. What processes
 * ask of a space (mmap and its relatives) is in map.c.
 *
 * Life: space_create() -> regions come and go -> the last space_put() detaches
 * devices (assign_space_gone(), which quiets them first), makes every CPU leave
 * the tables, and frees all memory.
 */
#include "mem/region.h"
#include "mem/share.h"
#include "mem/shootdown.h"
#include "mem/tlb.h"
#include "mem/user.h"
#include "assign/assign.h"
#include "cpu/cpu.h"
#include "lib/errno.h"
#include "lib/print.h"
#include "lib/string.h"
#include "lib/text.h"
#include "proc/sched.h"

uint64_t user_top = 0x800000000000ull;

static struct mutex all_lock; /* guards all_spaces; outside any space's lock */
static struct list all_spaces = LIST_INIT(all_spaces);

void space_init(void)
{
	mutex_init(&all_lock);
	shootdown_init();
	user_access_init();
}

struct space *space_create(void)
{
	struct space *s = kzalloc(sizeof(*s));

	if (!s)
		return NULL;
	s->refs = 1;
	mutex_init(&s->lock);
	if (!tables_init(&s->tables)) {
		kfree(s);
		return NULL;
	}
	mutex_lock(&all_lock);
	list_push_back(&all_spaces, &s->all);
	mutex_unlock(&all_lock);
	return s;
}

void space_get(struct space *s)
{
	__atomic_add_fetch(&s->refs, 1, __ATOMIC_RELAXED);
}

static void destroy(struct space *s)
{
	mutex_lock(&all_lock);
	list_remove(&s->all);
	mutex_unlock(&all_lock);
	shootdown_leave(s);
	regions_remove(s, 0, USER_END);
	zap(s, 0, USER_END);
	tables_destroy(&s->tables, s->quarantined);
	kfree(s->regions);
	kfree(s);
}

void space_put(struct space *s)
{
	if (__atomic_sub_fetch(&s->refs, 1, __ATOMIC_ACQ_REL))
		return;
	assign_space_gone(s);
	destroy(s);
}

void space_switch(struct space *s)
{
	struct cpu *cpu = this_cpu();
	uint64_t cr3 = s ? virt_to_phys(s->tables.top).v : kernel_cr3;

	if (cpu->space == s)
		return;
	/* Said before the tables are loaded: a shootdown that starts between
	 * the two reaches this CPU, one that started before has changed the
	 * entries already. The old tables are denied after that only: until
	 * then this CPU may walk them, if only by speculation. */
	__atomic_store_n(&cpu->next_space, s, __ATOMIC_SEQ_CST);
	tlb_load(cr3);
	__atomic_store_n(&cpu->space, s, __ATOMIC_RELEASE);
}

/* fork: one entry of the parent into the child. */
static int fork_leaf(struct change *c, struct space *child,
	const struct region *r, const struct leaf *l)
{
	bool shared = r->flags & REGION_SHARED;
	bool mine = pte_present(*l->entry) ? l->entry->v & PTE_WRITE : true;
	/* A device may write the parent's page at any moment: it must stay
	 * where it is and writable, so the child gets its copy now. */
	bool copy = !shared &&
		(l->level == 2 ||
			(c->space->shared_with_devices &&
				r->prot & PROT_WRITE));
	unsigned order = l->level == 2 ? 9 : 0;
	pte_t *to = tables_entry(&child->tables, l->addr, l->level, true);
	struct page *p = page_of(pte_phys(*l->entry));
	pte_t value = *l->entry;

	if (!to)
		return -ENOMEM;
	if (copy) {
		void *own = order ? pages_alloc(order) : page_alloc_dirty();

		if (!own)
			return -ENOMEM;
		memcpy(own, page_virt(p), PAGE_SIZE << order);
		value = pte_make(virt_to_phys(own), value.v & ~PTE_ADDR);
		if (pte_present(value) && r->prot & PROT_WRITE)
			value.v |= PTE_WRITE;
	} else {
		page_get(p);
		if (!shared && mine && pte_present(value)) {
			value.v &= ~PTE_WRITE;
			tables_set(&c->space->tables, l->entry, value);
			change_add(c, l->addr, leaf_end(l), CHANGE_CUT);
		}
	}
	tables_set(&child->tables, to, value);
	child->resident += 1ull << order;
	return 0;
}

static int fork_region(
	struct change *c, struct space *child, const struct region *r)
{
	struct tables *t = &c->space->tables;
	struct leaf l;
	int err = 0;

	if (r->flags & REGION_REGISTERS)
		return 0;
	if (r->file)
		file_get(r->file);
	region_insert(child, r);
	for (bool more = tables_next(t, r->start, r->end, &l); more && !err;
		more = tables_after(t, r->end, &l)) {
		err = fork_leaf(c, child, r, &l);
		sched_breathe();
	}
	return err;
}

int space_fork(struct space *parent, struct space **out)
{
	struct space *child = space_create();
	struct change c = change_begin(parent);
	int err;

	if (!child)
		return -ENOMEM;
	mutex_lock(&parent->lock);
	err = regions_reserve(child, parent->count);
	for (unsigned i = 0; i < parent->count && !err; i++)
		err = fork_region(&c, child, &parent->regions[i]);
	child->brk_start = parent->brk_start;
	child->brk = parent->brk;
	if (change_flush(&c))
		err = -EIO;
	mutex_unlock(&parent->lock);
	if (err) {
		space_put(child);
		return err;
	}
	*out = child;
	return 0;
}

int space_share(struct space *s, bool write_back, bool huge)
{
	int err = 0;

	mutex_lock(&s->lock);
	for (unsigned i = 0; i < s->count && !huge; i++)
		if (s->regions[i].flags & REGION_HUGE)
			err = -ENOTSUP;
	if (!err && !s->shared_with_devices) {
		err = tables_share(&s->tables);
		if (!err)
			s->shared_with_devices = true;
	}
	if (!err && write_back)
		tables_write_back(&s->tables);
	if (!err) {
		s->no_huge |= !huge;
		err = populate(s, 0, USER_END);
	}
	mutex_unlock(&s->lock);
	return err;
}

void space_unshare(struct space *s)
{
	mutex_lock(&s->lock);
	if (s->shared_with_devices) {
		s->shared_with_devices = false;
		s->no_huge = false;
		s->domain = NULL;
		tables_unshare(&s->tables, s->quarantined);
	}
	mutex_unlock(&s->lock);
}

bool space_is_shared(const struct space *s)
{
	return s->shared_with_devices;
}

void space_quarantine(struct space *s)
{
	mutex_lock(&s->lock);
	s->quarantined = true;
	mutex_unlock(&s->lock);
}

uint64_t space_root(struct space *s, unsigned levels)
{
	return tables_root(&s->tables, levels).v;
}

void *space_domain(const struct space *s)
{
	return s->domain;
}

void space_set_domain(struct space *s, void *domain)
{
	mutex_lock(&s->lock);
	s->domain = domain;
	mutex_unlock(&s->lock);
}

/* Registers in one space: entries out, regions marked. */
static void revoke_in(struct space *s, uint64_t base, uint64_t size)
{
	mutex_lock(&s->lock);
	for (unsigned i = 0; i < s->count; i++) {
		struct region *r = &s->regions[i];

		if (!(r->flags & REGION_REGISTERS) ||
			r->registers >= base + size ||
			r->registers + (r->end - r->start) <= base)
			continue;
		r->flags |= REGION_REVOKED;
		zap(s, r->start, r->end);
	}
	mutex_unlock(&s->lock);
}

void space_revoke_device(uint64_t base, uint64_t size)
{
	struct space *s;

	mutex_lock(&all_lock);
	list_for_each (s, &all_spaces, all)
		revoke_in(s, base, size);
	mutex_unlock(&all_lock);
}

size_t space_read(struct space *s, uint64_t addr, void *dst, size_t n)
{
	size_t done = 0;

	mutex_lock(&s->lock);
	while (done < n && addr + done < USER_END) {
		uint64_t at = addr + done;
		size_t part = MIN(n - done, PAGE_SIZE - at % PAGE_SIZE);
		struct leaf l;
		char *page;

		if (!tables_next(&s->tables, ALIGN_DOWN(at, PAGE_SIZE),
			    ALIGN_DOWN(at, PAGE_SIZE) + PAGE_SIZE, &l) ||
			!pte_present(*l.entry) || l.entry->v & PTE_REGISTERS)
			break;
		page = phys_to_virt(pte_phys(*l.entry));
		memcpy((char *)dst + done, page + (at - l.addr), part);
		done += part;
	}
	mutex_unlock(&s->lock);
	return done;
}

void space_identify(struct space *s, uint64_t addr, uintptr_t *out_object,
	uint64_t *out_offset)
{
	const struct region *r;

	*out_object = (uintptr_t)s;
	*out_offset = addr;
	mutex_lock(&s->lock);
	r = region_at(s, addr);
	if (r && r->flags & REGION_SHARED && r->file) {
		*out_object = r->file->inode ? (uintptr_t)r->file->inode
					     : (uintptr_t)r->file;
		*out_offset = r->offset + (addr - r->start);
	}
	mutex_unlock(&s->lock);
}

uint64_t space_resident(struct space *s)
{
	return __atomic_load_n(&s->resident, __ATOMIC_RELAXED);
}

uint64_t space_size(struct space *s)
{
	uint64_t size = 0;

	mutex_lock(&s->lock);
	for (unsigned i = 0; i < s->count; i++)
		size += s->regions[i].end - s->regions[i].start;
	mutex_unlock(&s->lock);
	return size;
}

static const char *region_name(const struct space *s, const struct region *r)
{
	if (r->file && r->file->path)
		return r->file->path;
	if (r->flags & REGION_GROWSDOWN)
		return "[stack]";
	if (s->brk_start && r->start >= s->brk_start && r->end <= s->brk)
		return "[heap]";
	return "";
}

void space_maps(struct space *s, struct text *t)
{
	mutex_lock(&s->lock);
	for (unsigned i = 0; i < s->count; i++) {
		const struct region *r = &s->regions[i];

		text_printf(t, "%08llx-%08llx %c%c%c%c %08llx 00:00 0 %s\n",
			(unsigned long long)r->start,
			(unsigned long long)r->end,
			r->prot & PROT_READ ? 'r' : '-',
			r->prot & PROT_WRITE ? 'w' : '-',
			r->prot & PROT_EXEC ? 'x' : '-',
			r->flags & REGION_SHARED ? 's' : 'p',
			(unsigned long long)r->offset, region_name(s, r));
	}
	mutex_unlock(&s->lock);
}
