/* SPDX-License-Identifier: MIT */
/* Devices that read, write and interrupt as they like; see lives.h. None heeds
 * its bus-master bit, and each goes on sending its old owner's interrupts. */
#include "support/lives.h"
#include "host/host.h"
#include "lib/string.h"

uint64_t reach[FUNCTIONS];
struct doing doing[MAX_THREADS + 1];
struct tally tally;
bool remapping;

static struct owner *owner_of_generation(uint64_t generation)
{
	for (int pid = 1; pid <= PROCESSES; pid++)
		if (owners[pid].generation == generation && !owners[pid].lender)
			return &owners[pid];
	return NULL;
}

static bool dma(unsigned i, uint64_t iova, void *buf, size_t n, bool write)
{
	enum model_dma_status st;

	if (i == DEVICE_TLB)
		st = model_ats_dma(model, 0, bdf_of(i), iova, buf, n, write);
	else if (write)
		st = model_dma_write(model, 0, bdf_of(i), iova, buf, n);
	else
		st = model_dma_read(model, 0, bdf_of(i), iova, buf, n);
	tally.refusals += st != MODEL_DMA_OK;
	return st == MODEL_DMA_OK;
}

/* What the device found on a page that it reached. */
static void check_stamp(unsigned i, unsigned page, const struct stamp *found)
{
	uint64_t generation = reach[i] ? reach[i] : reach[mate_of(i)];
	struct owner *o = owner_of_generation(generation);
	bool changing = !o || o->changing & HALF(page);

	if (!generation)
		machine_blame("function %u is nobody's and reaches page %u of "
			      "generation %llu",
			i, page, (unsigned long long)found->generation);
	if (!found->generation && changing)
		return; /* fresh: not stamped yet */
	if (found->generation != generation)
		machine_blame("function %u, attached to generation %llu, "
			      "reaches a page stamped %#llx",
			i, (unsigned long long)generation,
			(unsigned long long)found->generation);
	if (found->address != A + page * K && !changing)
		machine_blame("function %u finds page %#llx at page %u", i,
			(unsigned long long)found->address, page);
	if (!changing && (o->prot[page] == NOT_MAPPED || !o->prot[page]))
		machine_blame(
			"function %u reads page %u without the right", i, page);
}

static void stray_read(unsigned i)
{
	unsigned page = any(PAGES);
	struct stamp found;

	if (!dma(i, A + page * K + STAMP_AT, &found, sizeof(found), false))
		return;
	tally.strays++;
	check_stamp(i, page, &found);
}

static void stray_write(unsigned i)
{
	unsigned page = any(PAGES), at = TRANSFER_SIZE + any(490) * 8;
	uint64_t value = dice_state;
	uint64_t generation = reach[i] ? reach[i] : reach[mate_of(i)];
	struct owner *o = owner_of_generation(generation);

	if (!any(3)) {
		/* It lands when the unit is made to drain, at the latest; the
		 * model knows whose page it is on its way to. */
		(void)model_dma_post(
			model, 0, bdf_of(i), A + page * K + at, &value, 8);
		return;
	}
	if (!dma(i, A + page * K + at, &value, 8, true))
		return;
	tally.strays++;
	if (!generation)
		machine_blame(
			"function %u is nobody's and writes page %u", i, page);
	if (!o || o->changing & HALF(page) || o->state != ALIVE)
		return;
	if (o->prot[page] != RW)
		machine_blame("function %u writes page %u without the right", i,
			page);
	if (memcmp(frame_at(o->s, page) + at, &value, 8))
		machine_blame(
			"function %u writes page %u of somebody else", i, page);
}

/* The message that its last owner programmed, or one like it. */
static void stray_interrupt(unsigned i)
{
	uint32_t data = functions[i].msi_data + any(32);
	int tag;

	if (!remapping || !functions[i].msi_address ||
		!model_msi(model, 0, bdf_of(i), functions[i].msi_address, data))
		return;
	tally.messages++;
	tag = irq_arrives(model_hooks.last_interrupt.vector);
	if (tag != (int)i && tag != (int)mate_of(i))
		machine_blame("function %u raises vector %u of function %d", i,
			model_hooks.last_interrupt.vector, tag);
}

void devices_stray(void)
{
	unsigned i = any(FUNCTIONS);

	if (any(6) || functions[i].pci.header_type)
		return;
	switch (any(4)) {
	case 0:
		stray_interrupt(i);
		break;
	case 1:
		stray_read(i);
		break;
	default:
		stray_write(i);
	}
}

static void no_reach(void *ctx, const struct model_reach *found)
{
	machine_blame("function %u is detached and %#llx is in its tables",
		*(unsigned *)ctx, (unsigned long long)found->iova);
}

unsigned index_of(const struct pci_device *d)
{
	return (unsigned)((const struct function *)d - functions);
}

enum iommu_device_state state_of(unsigned i)
{
	struct iommu_device_id id = {.requester = bdf_of(i)};
	struct iommu_device_info info;

	assert_int_equal(iommu_device_info(host_iommu, id, &info), IOMMU_OK);
	return info.state;
}

/* What is about to be attached may be reached from now on. */
static void remember_target(struct pci_device *d)
{
	unsigned i = index_of(d), self = threads_self();

	/* The same is done to what is to be detached. */
	doing[self].handing = doing[self].function == (int)i &&
		state_of(i) == IOMMU_DEVICE_BLOCKED;
	if (doing[self].handing)
		reach[i] = doing[self].target;
}

/* Between two owners: nothing is reached, whatever the device tries. */
static void expect_nothing(struct pci_device *d)
{
	unsigned i = index_of(d);
	uint64_t value = 0;

	if (functions[mate_of(i)].pci.owner ||
		(mate_of(i) != i && reach[mate_of(i)]))
		value = 1; /* its mate's requests look the same */
	if (!value) {
		assert_true(model_enumerate(model, 0, bdf_of(i), no_reach, &i));
		for (unsigned page = 0; page < PAGES; page += 3)
			if (dma(i, A + page * K, &value, 8, true))
				machine_blame("function %u is detached and "
					      "writes page %u",
					i, page);
	}
	if (functions[i].msi_on)
		machine_blame("function %u sends interrupts of nobody", i);
	if (!doing[threads_self()].handing)
		reach[i] = 0;
}

static void remember_space(struct process *p)
{
	doing[threads_self()].target = found_by_pid[p->pid];
}

void strays_start(void)
{
	memset(reach, 0, sizeof(reach));
	for (unsigned n = 0; n <= MAX_THREADS; n++)
		doing[n].function = -1;
	at_quiet = remember_target;
	at_reset = expect_nothing;
	at_space = remember_space;
}

void strays_stop(void)
{
	at_quiet = at_reset = NULL;
	at_space = NULL;
	devices_turn = NULL;
}
