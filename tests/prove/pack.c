/* SPDX-License-Identifier: MIT */
/*
 * Descriptors and context entries from any command and any entry: no shift
 * beyond its width, no table read beyond its end, no reserved bit set.
 *
 * Assumptions: page numbers and addresses are what the planner and the domains
 * hand over: page-aligned, roots within 52 bits, 3 to 5 levels, a unit that has
 * at least one depth (unusable() refuses others). Atomic accesses are plain
 * ones here: this is about values, not about order.
 *
 * eva: -eva-precision 3
 */
#include "prove.h"

#define __atomic_load_n(at, order) (*(at))
#define __atomic_store_n(at, value, order) (*(at) = (value))
#define __atomic_exchange_n(at, value, order) (*(at))
#define __atomic_fetch_add(at, value, order) (*(at) += (value))
#include "iommu/vtd/queue.c"
#include "iommu/vtd/entries.c"

static volatile uint64_t sink;

static void descriptors(void)
{
	struct vtd_command command;
	struct vtd_traits traits;
	struct vtd_entry d;
	int op;

	HOSTILE(command);
	HOSTILE(traits);
	traits.drain_reads = Frama_C_interval(0, 1);
	traits.drain_writes = Frama_C_interval(0, 1);
	traits.throttle = Frama_C_interval(0, 1);
	command.leaf_only = Frama_C_interval(0, 1);
	//@ loop unroll VTD_OP_INTERRUPT_INDEX + 1;
	for (op = VTD_OP_CONTEXT_GLOBAL; op <= VTD_OP_INTERRUPT_INDEX; op++) {
		command.op = (uint8_t)op;
		/* The planner's masks: 6.5.2.3, 6.5.2.5, 6.5.2.7. */
		command.mask = (uint8_t)(op == VTD_OP_DEVICE_TLB
				? Frama_C_interval(0, 52)
				: Frama_C_interval(0, 31));
		d = encode(&traits, &command);
		sink = d.low ^ d.high;
		//@ assert 1 <= (d.low & 15) <= 4;
	}
}

static void entry_of(enum iommu_domain_kind kind)
{
	struct unit unit;
	struct entry entry;
	struct vtd_entry e;

	HOSTILE(unit);
	HOSTILE(entry);
	unit.levels = (unsigned)Frama_C_interval(8, 63);
	entry.kind = kind;
	entry.ats = Frama_C_interval(0, 1);
	entry.levels = (unsigned)Frama_C_interval(3, 5);
	entry.root.v &= 0x000ffffffffff000ull;
	e = compose(&unit, &entry);
	sink = e.low ^ e.high;
	/* A pass-through entry's depth comes from a count of zeros, which the
	 * analyser does not compute. */
	if (kind != IOMMU_DOMAIN_IDENTITY)
		//@ assert e.high < 0x1000000;
		;
}

void harness(void)
{
	descriptors();
	entry_of(IOMMU_DOMAIN_IDENTITY);
	entry_of(IOMMU_DOMAIN_MAPPED);
}
