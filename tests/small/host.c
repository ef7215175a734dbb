/* SPDX-License-Identifier: MIT */
/* See host.h. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <string.h>
#include "host.h"

struct world world;
struct host host;

/* ---- memory -------------------------------------------------------------- */

static uint8_t arena[ARENA][PAGE_SIZE] __attribute__((aligned(PAGE_SIZE)));
/* Page 0 is nobody's: no address is 0. */
static void *page_alloc(void *ctx, unsigned order, iommu_phys_t *out_phys)
{
	(void)ctx;
	CHECK(order == 0);
	host.allocations++;
	if (host.fail_at &&
		(host.allocations == host.fail_at ||
			(host.fail_on && host.allocations > host.fail_at)))
		return NULL;
	for (unsigned i = 1; i < ARENA; i++) {
		if (host.taken[i])
			continue;
		host.taken[i] = true;
		host.in_use++;
		memset(arena[i], 0, FAN * sizeof(word64));
		*out_phys = iommu_phys((uint64_t)i * PAGE_SIZE);
		return arena[i];
	}
	CHECK(!"memory enough");
	return NULL;
}

static void page_free(void *ctx, void *page, iommu_phys_t phys, unsigned order)
{
	uint64_t i = phys.v / PAGE_SIZE;

	(void)ctx;
	CHECK(order == 0 && i < ARENA && host.taken[i] && page == arena[i]);
	/* The hardware may have walked what was linked before. */
	CHECK(!host.old[i] || host.flushed);
	host.taken[i] = false;
	host.in_use--;
}

static void *phys_to_virt(void *ctx, iommu_phys_t phys)
{
	(void)ctx;
	return arena[phys.v / PAGE_SIZE];
}

static unsigned long lock(void *ctx, struct iommu_lock *l)
{
	(void)ctx;
	(void)l;
	return 0;
}

static void unlock(void *ctx, struct iommu_lock *l, unsigned long state)
{
	(void)ctx;
	(void)l;
	(void)state;
}

void host_empty(void)
{
	memset(host.taken, 0, sizeof host.taken);
	host.in_use = host.fail_at = host.allocations = 0;
}

word64 *table_of(uint64_t entry)
{
	return (word64 *)(void *)arena[(entry & ADDRESS) / PAGE_SIZE];
}

uint64_t new_table(void)
{
	iommu_phys_t phys;

	page_alloc(NULL, 0, &phys);
	return phys.v;
}

/* ---- what is flushed ------------------------------------------------------
 */

static struct {
	uint64_t first, last;
	unsigned changes;
} told[64];
static unsigned tellings;

static void note(const struct iommu_batch *batch)
{
	for (unsigned i = 0; i < batch->count && tellings < 64; i++) {
		told[tellings].first = batch->range[i].first;
		told[tellings].last = batch->range[i].last;
		told[tellings++].changes = batch->range_changes[i];
	}
	host.flushed = true;
}

static enum iommu_status flush_now(
	struct unit *unit, const struct iommu_batch *batch)
{
	(void)unit;
	note(batch);
	return IOMMU_OK;
}

static bool flush_block(
	struct unit *neutral, uint16_t did, uint64_t first, uint64_t last)
{
	struct iommu_batch batch;

	(void)neutral;
	(void)did;
	iommu_batch_init(&batch, NULL);
	iommu_batch_add(&batch, IOMMU_REMOVED, iommu_iova(first),
		(last | (PAGE_SIZE - 1)) - first + 1);
	note(&batch);
	return true;
}

bool was_told(unsigned page, unsigned count, unsigned changes)
{
	uint64_t first = (uint64_t)page * PAGE_SIZE;
	uint64_t last = first + (uint64_t)count * PAGE_SIZE - 1;

	for (unsigned i = 0; i < tellings; i++)
		if (told[i].changes & changes && told[i].first <= first &&
			told[i].last >= last)
			return true;
	return false;
}

void tell_nothing_yet(void)
{
	tellings = 0;
	host.flushed = false;
}

/* ---- the domain ---------------------------------------------------------- */

static struct iommu iommu;
struct iommu_domain domain;
static struct unit_ops ops;
struct unit unit, shallow;

void domain_make(unsigned lowest)
{
	unsigned bits = PAGE_SHIFT + INDEX_BITS * lowest;

	memset(&iommu, 0, sizeof iommu);
	memset(&domain, 0, sizeof domain);
	memset(&unit, 0, sizeof unit);
	host_empty();
	iommu.host = (struct iommu_host){.direct_map = arena,
		.page_alloc = page_alloc,
		.page_free = page_free,
		.phys_to_virt = phys_to_virt,
		.lock = lock,
		.unlock = unlock};
	ops.flush_now = flush_now;
	ops.flush_block = flush_block;
	unit.ops = &ops;
	unit.state = IOMMU_UNIT_ON;
	unit.levels = 1u << world.levels;
	unit.iova_bits = bits;
	unit.phys_bits = 40;
	unit.page_sizes = PAGE_SIZE;
	for (unsigned level = 2; world.large && level <= 3; level++)
		unit.page_sizes |= 1ull << shift_of(level);
	shallow = unit;
	shallow.levels = 1u << lowest;
	iommu.unit[0] = &unit;
	iommu.unit[1] = &shallow;
	iommu.units = 2;
	domain.iommu = &iommu;
	domain.kind = IOMMU_DOMAIN_MAPPED;
	domain.units = 1;
	domain.devices = 1;
	if (world.present)
		domain.duties = IOMMU_DUTY_FLUSH_PRESENT;
	assert_int_equal(core_table_make(&domain, bits), IOMMU_OK);
	assert_int_equal(domain.table.levels, world.levels);
	world.pages = 1u << (bits - PAGE_SHIFT);
	assert_true(world.pages <= MOST_PAGES);
}
