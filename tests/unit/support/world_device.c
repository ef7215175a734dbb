/* SPDX-License-Identifier: MIT */
/*
 * Devices of a random world: whose they are, what they reach, and their
 * interrupts.
 */
#include <string.h>
#include "world_parts.h"

bool ats_enabled(struct world *w, const struct world_device *d)
{
	return d->bdf == RIG_ATS &&
		model_pci_read(w->r.m, 0, 0, (uint8_t)d->bdf, 0x106, 2) &
		0x8000;
}

static struct iommu_domain *domain_of(
	struct world *w, const struct world_device *d)
{
	if (d->space == WORLD_IDENTITY)
		return iommu_domain_identity(w->r.iommu);
	return d->space < 0 ? NULL : w->space[d->space].domain;
}

bool check_device(struct world *w, const struct world_device *d)
{
	struct iommu_domain *domain = domain_of(w, d);
	struct iommu_device_info info;
	unsigned users = 0;

	if (!ok(w, "device info",
		    iommu_device_info(w->r.iommu, rig_id(d->bdf), &info)))
		return false;
	if (info.domain != domain ||
		info.state !=
			(domain ? IOMMU_DEVICE_ATTACHED : IOMMU_DEVICE_BLOCKED))
		return wrong(w, "%04x is said to be in state %u, domain %p",
			d->bdf, info.state, (void *)info.domain);
	for (unsigned i = 0; i < WORLD_DEVICES; i++)
		users += domain && domain_of(w, &w->dev[i]) == domain;
	return !domain || iommu_domain_devices(domain) == users ||
		wrong(w, "a domain of %u devices is said to have %u", users,
			iommu_domain_devices(domain));
}

/* ---- ownership ---------------------------------------------------------- */

static bool is_blocked_now(struct world *w, struct world_device *d)
{
	d->space = WORLD_BLOCKED;
	model_device_expect(w->r.m, 0, d->bdf, MODEL_NOBODY);
	return check_device(w, d);
}

bool detach(struct world *w, struct world_device *d)
{
	return ok(w, "detach", iommu_detach(w->r.iommu, rig_id(d->bdf))) &&
		is_blocked_now(w, d);
}

static bool attach(
	struct world *w, struct world_device *d, int space, uint64_t r)
{
	struct world_space *s = space < 0 ? NULL : &w->space[space];
	struct iommu_device_id id = rig_id(d->bdf);
	bool done;

	model_device_expect(w->r.m, 0, d->bdf, s ? s->owner : 0);
	world_starve(w, r);
	if (!world_fed(w, "attach",
		    !s ? iommu_attach(w->r.iommu, id,
				 iommu_domain_identity(w->r.iommu))
			    : s->mapped
			    ? iommu_attach(w->r.iommu, id, s->domain)
			    : rig_space_attach(&s->host, d->bdf),
		    &done))
		return false;
	if (!done)
		return is_blocked_now(w, d);
	d->space = space;
	return check_device(w, d);
}

bool attach_or_detach(struct world *w, uint64_t word)
{
	struct world_device *d = &w->dev[word % WORLD_DEVICES];
	uint64_t r = world_mix(word);

	if (d->space != WORLD_BLOCKED) {
		if (!detach(w, d))
			return false;
	} else if (!attach(w, d,
			   r % 8 || !d->passes
				   ? (int)((word >> 8) % WORLD_SPACES)
				   : WORLD_IDENTITY,
			   r >> 8)) {
		return false;
	}
	return dma(w, d, (word >> 16) % WORLD_SLOTS, false, false);
}

/* The host is told that a device is gone, or that its bus has another number.
 * What a device with a TLB of its own keeps is its own affair then. */
bool remove_device(struct world *w, uint64_t word)
{
	struct world_device *d = &w->dev[word % WORLD_DEVICES];

	if (ats_enabled(w, d))
		return true;
	return ok(w, "removal",
		       iommu_device_removed(w->r.iommu, rig_id(d->bdf))) &&
		is_blocked_now(w, d) &&
		dma(w, d, (word >> 16) % WORLD_SLOTS, false, false);
}

/* ---- DMA ---------------------------------------------------------------- */

/* What a device must find at one of the places. */
struct aim {
	uint64_t iova;
	uint64_t page; /* 0: nothing */
	unsigned rights;
};

static struct aim aim_at(
	const struct world *w, const struct world_device *d, unsigned n)
{
	const struct world_space *s = d->space < 0 ? NULL : &w->space[d->space];
	unsigned page = n < WORLD_SLOTS ? 0 : n - WORLD_SLOTS;
	struct aim a = {0};

	if (n < WORLD_SLOTS) {
		a.iova = world_places[n];
		if (s) {
			a.page = s->slot[n].frame;
			a.rights = s->slot[n].rights;
		}
		return a;
	}
	if (!s || !s->block.phys) {
		a.iova = 0x600000 + (uint64_t)page * MODEL_PAGE;
		return a;
	}
	a.iova = s->block.iova + (uint64_t)page * MODEL_PAGE;
	a.rights = RW;
	if (s->block.mapped[page])
		a.page = s->block.phys + (uint64_t)page * MODEL_PAGE;
	return a;
}

/* The order between devices is theirs to make: writes of the others land. */
static void settle(struct world *w, const struct world_device *d)
{
	uint64_t x;

	for (unsigned i = 0; i < WORLD_DEVICES; i++) {
		struct world_device *o = &w->dev[i];

		if (!o->posted || o == d)
			continue;
		o->posted = false;
		model_dma_read(w->r.m, 0, o->bdf, world_places[0], &x, 8);
	}
}

static bool request(struct world *w, struct world_device *d,
	const struct aim *a, bool write, bool post, uint64_t *value)
{
	struct model *m = w->r.m;

	if (ats_enabled(w, d) && write && post)
		return model_ats_post(m, 0, d->bdf, a->iova, value, 8) ==
			MODEL_DMA_OK;
	if (ats_enabled(w, d))
		return model_ats_dma(m, 0, d->bdf, a->iova, value, 8, write) ==
			MODEL_DMA_OK;
	/* Another read, whose answer takes its time. */
	if (!write && post)
		(void)model_dma_read_late(m, 0, d->bdf, a->iova, 8);
	if (!write)
		return model_dma_read(m, 0, d->bdf, a->iova, value, 8) ==
			MODEL_DMA_OK;
	return (post ? model_dma_post : model_dma_write)(
		       m, 0, d->bdf, a->iova, value, 8) == MODEL_DMA_OK;
}

/* With all of memory: only what is there is asked for, only to be read. */
static bool identity_dma(struct world *w, struct world_device *d, unsigned n)
{
	struct aim a = {.iova = (uint64_t)n * 0x1000};
	uint64_t value = 0;

	if (!request(w, d, &a, false, false, &value))
		return wrong(w, "%04x is refused memory at %#llx", d->bdf,
			(unsigned long long)a.iova);
	return value == *(uint64_t *)model_ptr(w->r.m, a.iova) ||
		wrong(w, "%04x misreads memory at %#llx", d->bdf,
			(unsigned long long)a.iova);
}

bool dma(struct world *w, struct world_device *d, unsigned n, bool write,
	bool post)
{
	uint64_t value = ++w->next_stamp << 8 | 0x5a;
	struct aim a = aim_at(w, d, n);
	bool want, got;

	w->done++;
	settle(w, d);
	if (d->space == WORLD_IDENTITY)
		return identity_dma(w, d, n);
	d->posted |= post && write;
	want = a.page && a.iova >> d->bits == 0 &&
		(a.rights & (write ? IOMMU_WRITE : IOMMU_READ));
	got = request(w, d, &a, write, post, &value);
	if (got != want)
		return wrong(w, "%s of %04x at %#llx %s",
			write ? "write" : "read", d->bdf,
			(unsigned long long)a.iova,
			want ? "was refused" : "got through");
	if (!want)
		return true;
	if (write)
		w->stamp[a.page / MODEL_PAGE] = value;
	return value == w->stamp[a.page / MODEL_PAGE] ||
		wrong(w, "%04x read %#llx at %#llx instead of %#llx", d->bdf,
			(unsigned long long)value, (unsigned long long)a.iova,
			(unsigned long long)w->stamp[a.page / MODEL_PAGE]);
}

bool some_dma(struct world *w, uint64_t word)
{
	struct world_device *d = &w->dev[word % WORLD_DEVICES];

	for (unsigned i = 0; i < 4; i++) {
		unsigned n = (word >> (8 + 5 * i)) % WORLD_SLOTS;

		if (word >> (44 + i) & word >> (48 + i) & 1)
			n = WORLD_SLOTS + (word >> (4 * i)) % WORLD_BLOCK;
		if (!dma(w, d, n, word >> (40 + i) & 1, word >> (50 + i) & 1))
			return false;
	}
	return true;
}

bool probe(struct world *w, const struct world_space *s, unsigned n)
{
	for (unsigned i = 0; i < WORLD_DEVICES; i++)
		if (w->dev[i].space == (int)(s - w->space) &&
			!dma(w, &w->dev[i], n, false, false))
			return false;
	return true;
}

/* ---- interrupts --------------------------------------------------------- */

static bool interrupt_alloc(
	struct world *w, struct world_device *d, uint64_t word)
{
	bool done;

	world_starve(w, world_mix(word));
	if (!world_fed(w, "irq alloc",
		    iommu_irq_alloc(w->r.iommu, rig_id(d->bdf),
			    1u << (word >> 8) % 4, &d->irq),
		    &done))
		return false;
	d->irq_used = done;
	d->vector = 0;
	return true;
}

bool interrupt_edit(struct world *w, uint64_t word)
{
	struct world_device *d = &w->dev[word % WORLD_DEVICES];
	struct iommu_irq_target target = {
		.destination = (word >> 16) % 200, .vector = 0};

	if (!d->remapped)
		return true;
	if (!d->irq_used)
		return interrupt_alloc(w, d, word);
	if ((word >> 8) % 4 == 0) {
		d->irq_used = false;
		return ok(w, "irq free", iommu_irq_free(w->r.iommu, &d->irq));
	}
	if ((word >> 8) % 4 == 1) {
		d->vector = 0;
		return ok(w, "irq clear",
			iommu_irq_clear(w->r.iommu, &d->irq, 0));
	}
	d->vector = target.vector = (uint8_t)(0x20 + (word >> 32) % 200);
	return ok(w, "irq set", iommu_irq_set(w->r.iommu, &d->irq, 0, &target));
}

bool interrupt_send(struct world *w, uint64_t word)
{
	struct world_device *d = &w->dev[word % WORLD_DEVICES];
	struct world_device *from = &w->dev[(word >> 8) % WORLD_DEVICES];
	struct iommu_msi_message msg;
	bool want, got;

	if (!d->remapped || !from->remapped || !d->irq_used)
		return true;
	if (!ok(w, "irq message",
		    iommu_irq_message(w->r.iommu, &d->irq, 0, &msg)))
		return false;
	want = d->vector && from == d;
	got = model_msi(w->r.m, 0, from->bdf, msg.address, msg.data);
	if (from->unit != d->unit) {
		/* Another table: only its own entry may answer. */
		return !got ||
			(from->irq_used &&
				w->r.host.last_interrupt.vector ==
					from->vector) ||
			wrong(w, "%04x used an entry of %04x", from->bdf,
				d->bdf);
	}
	if (want != got)
		return wrong(w, "interrupt of %04x sent by %04x %s", d->bdf,
			from->bdf, want ? "was refused" : "got through");
	if (got && w->r.host.last_interrupt.vector != d->vector)
		return wrong(w, "vector %u instead of %u",
			w->r.host.last_interrupt.vector, d->vector);
	return true;
}
